"""A torch module as an ONNX file that carries its own metadata."""

import logging
import warnings
from collections.abc import Mapping, Sequence
from pathlib import Path

import onnx
import torch

# 18: at 20 TensorRT's parser has turned bilinear GridSample into nearest; below 18 ScatterND has no reductions.
OPSET = 18


def write_onnx(
    module: torch.nn.Module,
    example: tuple[torch.Tensor, ...],
    inputs: Sequence[str],
    outputs: Sequence[str],
    metadata: Mapping[str, str],
    path: Path,
    dynamic: Mapping[str, str] | None = None,
) -> None:
    """Trace `module` and write it to `path` as one self-contained, checked file.

    dynamic: input -> the name of its first dimension, which may be any number from 1, the same for all inputs of that
    name. All other shapes are those of `example`; there dynamic ones must be above 1, which is traced as a constant.
    """
    names = dynamic or {}
    shapes = tuple({0: names[name]} if name in names else None for name in inputs) if names else None
    logging.getLogger("torch.onnx").setLevel(logging.ERROR)
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")  # the exporter warns of its own internals
        torch.onnx.export(
            module.eval(),
            example,
            path,
            input_names=list(inputs),
            output_names=list(outputs),
            opset_version=OPSET,
            dynamo=True,
            dynamic_shapes=shapes,
            external_data=False,
            verbose=False,
        )
    graph = onnx.load(path)
    _forget_the_source(graph.graph)
    onnx.helper.set_model_props(graph, dict(metadata))
    onnx.checker.check_model(graph, full_check=True)
    onnx.save(graph, path)


def _forget_the_source(graph: onnx.GraphProto) -> None:
    """The exporter notes for every node and value which line of which file on this machine it came from."""
    for part in (graph, *graph.node, *graph.value_info, *graph.input, *graph.output, *graph.initializer):
        part.doc_string = ""
        del part.metadata_props[:]
