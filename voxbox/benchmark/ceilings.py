"""What a device can do at most, measured: how much it multiplies, and how fast its memory is."""

from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import asdict, dataclass

import torch
from torch.nn import functional as F

from voxbox.benchmark.stopwatch import Stopwatch
from voxbox.benchmark.turns import Case, in_turn

PRECISIONS = ("int8", "fp16", "fp32")
"""The narrowest first."""

# What is done, and how many flops or bytes that is.
Work = tuple[Callable[[], object], int]

_ROUNDS = 20
_DONE = "done"
_COPIED = 1 << 28
"""Bytes, more than caches hold."""
_SIDES = {
    "cuda": {"fp32": 8192, "fp16": 8192, "int8": 8192},
    "cpu": {"fp32": 1024, "fp16": 256, "int8": 1024},  # float16 is emulated by most
}
"""Rows and columns of the matrices: large enough for the best rate, small enough to take some milliseconds."""
_IMAGES = {"cuda": 512, "cpu": 64}
"""Rows and columns of what is convolved."""
_CHANNELS = 256


@dataclass(frozen=True)
class Ceilings:
    """device: its name.  fp32, fp16, int8: multiplications and additions/s.  memory: bytes/s, read and written.
    upload: bytes/s from the host's pinned memory; on the CPU, where nothing is uploaded, as memory."""

    device: str
    fp32: float
    fp16: float
    int8: float
    memory: float
    upload: float

    def flops(self, precision: str) -> float:
        """For a network of this precision: what may be narrow may be wide as well, if that is faster."""
        return float(max(getattr(self, name) for name in PRECISIONS[PRECISIONS.index(precision) :]))


def measure(device: torch.device, threads: int) -> Ceilings:
    """The best of _ROUNDS rounds of PyTorch's products of large matrices, a large convolution, and copies.

    Of float32 the quicker of product and convolution is taken: on AMD's processors PyTorch's products (MKL) use half of
    what these can. Float32 is float32, without TensorFloat-32.
    threads: of the CPU, 0 to leave them as they are.
    """
    work = {name: _product(name, side, device) for name, side in _SIDES[device.type].items()}
    work["convolution"] = _convolution(_IMAGES[device.type], device)
    work["memory"] = _copy(device, device)
    work["upload"] = _copy(torch.device("cpu"), device)
    cases = {name: _timed(each, device.type == "cuda") for name, (each, _) in work.items()}
    with _exact(threads), torch.inference_mode():
        name, times = _name(device), in_turn(cases, _ROUNDS, f"ceilings of {device.type}")
    rates = {what: 1e3 * amount / float(times[what][_DONE].min()) for what, (_, amount) in work.items()}
    fp32 = max(rates.pop("fp32"), rates.pop("convolution"))
    return Ceilings(name, fp32, **rates)


def _timed(work: Callable[[], object], on_gpu: bool) -> Case:
    def once() -> dict[str, float]:
        watch = Stopwatch(on_gpu)
        watch.mark("begun")
        work()
        watch.mark(_DONE)
        return watch.stop()

    return once


def _product(precision: str, side: int, device: torch.device) -> Work:
    flops = 2 * side**3
    if precision == "int8":
        whole = torch.ones(side, side, dtype=torch.int8, device=device)
        return lambda: torch._int_mm(whole, whole.t()), flops  # transposed, as tensor cores want it
    matrix = torch.rand(side, side, device=device).to({"fp32": torch.float32, "fp16": torch.float16}[precision])
    out = torch.empty_like(matrix)
    return lambda: torch.matmul(matrix, matrix, out=out), flops


def _convolution(side: int, device: torch.device) -> Work:
    """Of 3x3, without a border, channels last."""
    image, kernel = (
        torch.rand(shape, device=device).to(memory_format=torch.channels_last)
        for shape in ((1, _CHANNELS, side + 2, side + 2), (_CHANNELS, _CHANNELS, 3, 3))
    )
    return lambda: F.conv2d(image, kernel), 2 * (_CHANNELS * 3 * side) ** 2


def _copy(source: torch.device, target: torch.device) -> Work:
    """What stays in one memory is read there and written there, and counts twice."""
    across = source != target
    there = torch.empty(_COPIED, dtype=torch.uint8, device=target)
    here = torch.ones(_COPIED, dtype=torch.uint8, device=source, pin_memory=across)
    return lambda: there.copy_(here, non_blocking=True), _COPIED if across else 2 * _COPIED


@contextmanager
def _exact(threads: int) -> Iterator[None]:
    """With these threads and exact float32, and afterwards as before."""
    before, precision = torch.get_num_threads(), torch.get_float32_matmul_precision()
    torch.set_num_threads(threads or before)
    torch.set_float32_matmul_precision("highest")
    try:
        with torch.backends.cudnn.flags(enabled=True, benchmark=True, allow_tf32=False):
            yield
    finally:
        torch.set_num_threads(before)
        torch.set_float32_matmul_precision(precision)


def _name(device: torch.device) -> str:
    return torch.cuda.get_device_name(device) if device.type == "cuda" else f"CPU, threads: {torch.get_num_threads()}"


def table(ceilings: Ceilings) -> str:
    """A line."""
    told = asdict(ceilings)
    rates = ", ".join(f"{name} {told[name] / 1e9:,.0f}" for name in reversed(PRECISIONS))
    return (
        f"{ceilings.device}, at most: GFLOP/s {rates}; "
        f"GB/s memory {ceilings.memory / 1e9:,.0f}, upload {ceilings.upload / 1e9:,.1f}"
    )
