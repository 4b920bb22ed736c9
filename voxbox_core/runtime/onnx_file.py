"""What an ONNX file says of itself, read without the onnx package: nodes do without it.

The file is a protocol buffer of public layout (onnx.proto); only the few fields that are needed are looked at.
"""

from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

from voxbox_core.errors import InputError

# Numbers of fields, by message.
_MODEL_GRAPH, _MODEL_METADATA = 7, 14
_GRAPH_NODE, _GRAPH_INITIALIZER, _GRAPH_INPUT = 1, 5, 11
_NODE_OPERATOR, _TENSOR_TYPE, _VALUE_TYPE, _TYPE_TENSOR, _TENSOR_SHAPE, _SHAPE_DIM, _DIM_NAME = 4, 2, 2, 1, 2, 1, 2
_KEY, _VALUE = 1, 2

_FLOAT16, _BFLOAT16 = 10, 16
_VARINT, _EIGHT_BYTES, _LENGTH, _FOUR_BYTES = 0, 1, 2, 5

Value = int | memoryview


@dataclass(frozen=True)
class OnnxFacts:
    """metadata: what the exporter wrote into the file.  precision: of the network's body, int8, fp16, bf16 or fp32.
    free: names of the dimensions of inputs that may be any number, in order."""

    metadata: dict[str, str]
    precision: str
    free: tuple[str, ...]


def read(path: Path) -> OnnxFacts:
    """Raises InputError when the file is no whole ONNX file."""
    try:
        return _read(memoryview(path.read_bytes()))
    except (IndexError, ValueError) as error:
        value = f"no whole ONNX file ({error})"
        raise InputError(f"model {path}", value, "a valid ONNX file", "Export it again.") from None


def _read(model: memoryview) -> OnnxFacts:
    metadata: dict[str, str] = {}
    operators: set[str] = set()
    types: set[int] = set()
    free: dict[str, None] = {}  # keeps the order
    graphs = 0
    for number, value in _fields(model):
        if number == _MODEL_METADATA:
            metadata.update(_entry(value))
        if number != _MODEL_GRAPH:
            continue
        graphs += 1
        for part, content in _fields(value):
            if part == _GRAPH_NODE:
                operators.update(_texts(content, _NODE_OPERATOR))
            elif part == _GRAPH_INITIALIZER:
                types.update(v for n, v in _fields(content) if n == _TENSOR_TYPE and isinstance(v, int))
            elif part == _GRAPH_INPUT:
                free.update(dict.fromkeys(_free_dimensions(content)))
    if graphs != 1:
        raise ValueError(f"{graphs} graphs")
    return OnnxFacts(metadata, _precision(operators, types), tuple(free))


def _precision(operators: set[str], types: set[int]) -> str:
    if "QuantizeLinear" in operators or "DequantizeLinear" in operators:
        return "int8"
    if _FLOAT16 in types:
        return "fp16"
    return "bf16" if _BFLOAT16 in types else "fp32"


def _free_dimensions(value_info: Value) -> Iterator[str]:
    for of_value in _inside(value_info, _VALUE_TYPE):
        for tensor in _inside(of_value, _TYPE_TENSOR):
            for shape in _inside(tensor, _TENSOR_SHAPE):
                for dimension in _inside(shape, _SHAPE_DIM):
                    yield from _texts(dimension, _DIM_NAME)


def _entry(value: Value) -> dict[str, str]:
    (key,), (text,) = _texts(value, _KEY), _texts(value, _VALUE) or [""]
    return {key: text}


def _texts(message: Value, wanted: int) -> list[str]:
    return [bytes(value).decode() for value in _inside(message, wanted)]


def _inside(message: Value, wanted: int) -> list[memoryview]:
    return [value for number, value in _fields(message) if number == wanted and isinstance(value, memoryview)]


def _fields(message: Value) -> Iterator[tuple[int, Value]]:
    """(number, value) of each field: an int, or the bytes of a text or of a message."""
    if isinstance(message, int):
        raise ValueError("a number where a message should be")
    at = 0
    while at < len(message):
        tag, at = _varint(message, at)
        kind = tag & 7
        if kind == _VARINT:
            number, at = _varint(message, at)
            yield tag >> 3, number
            continue
        if kind == _LENGTH:
            size, at = _varint(message, at)
        elif kind in (_EIGHT_BYTES, _FOUR_BYTES):
            size = 8 if kind == _EIGHT_BYTES else 4
        else:
            raise ValueError(f"a field of kind {kind}")
        if at + size > len(message):
            raise ValueError(f"it ends {at + size - len(message)} bytes early")
        yield tag >> 3, message[at : at + size]
        at += size


def _varint(message: memoryview, at: int) -> tuple[int, int]:
    """A number of seven bits per byte, and where the next field begins."""
    value = shift = 0
    while True:
        byte = message[at]
        value |= (byte & 0x7F) << shift
        at, shift = at + 1, shift + 7
        if byte < 0x80:
            return value, at
