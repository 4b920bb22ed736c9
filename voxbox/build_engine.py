"""Build the TensorRT engines of models ahead of time, so that no node has to when it starts.

    ros2 run voxbox build_engine km3d-street                    # for the GPU of this machine
    ros2 run voxbox build_engine models/mine --target sm86      # for another, with tensorrt-rtx; no GPU is needed

They are kept in $VOXBOX_CACHE/engines (else ~/.cache/voxbox/engines), where the nodes look for them.
"""

import argparse
import sys
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path

from tqdm import tqdm

from voxbox_core.errors import InputError
from voxbox_core.ros.models import model_path
from voxbox_core.runtime import PRECISIONS, ModelFile, in_precision, progress, tensorrt
from voxbox_core.runtime.model import MANIFEST

INPUT_ERROR, INTERRUPTED = 2, 130


def main(argv: Sequence[str] | None = None) -> int:
    """Returns the exit status: 0, 2 for bad input (one line on stderr), 130 when interrupted."""
    parser = argparse.ArgumentParser(
        prog="build_engine", description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("models", nargs="+", metavar="MODEL", help="released model's name or folder, or an .onnx file")
    parser.add_argument(
        "--target",
        help="for tensorrt-rtx: a compute capability as sm86, or portable, from Ampere on (default: the GPU of this "
        "machine; portable where there is none)",
    )
    parser.add_argument(
        "--precision",
        choices=("auto", *PRECISIONS),
        default="auto",
        help="which ONNX file of a release (default auto: the one that the nodes open)",
    )
    parser.add_argument("--anew", action="store_true", help="build also what is there already")
    args = parser.parse_args(argv)
    try:
        for path in [graph for name in args.models for graph in graphs(model_path(name, "MODEL"))]:
            build(path, args.target, args.anew, args.precision)
    except InputError as error:
        print(f"build_engine: {error}", file=sys.stderr)
        return INPUT_ERROR
    except KeyboardInterrupt:
        print("build_engine: interrupted", file=sys.stderr)
        return INTERRUPTED
    return 0


def graphs(model: Path) -> list[Path]:
    """What has an engine of its own: a model, or each of the parts that it comes in."""
    if not model.is_dir() or (model / MANIFEST).is_file():
        return [model]
    return sorted(path.parent for path in model.glob(f"*/{MANIFEST}")) or [model]


def build(model: Path, target: str | None = None, anew: bool = False, precision: str = "auto") -> Path:
    """Build the engine of one graph, as `runtime.tensorrt.build`, behind a bar; -> where it is kept.

    precision: as `runtime.open_model` takes it; `auto` is what a node opens.
    """
    file = in_precision(ModelFile.find(model), "tensorrt", precision)
    with bar(model.name):
        return tensorrt.build(file, target, anew)


@contextmanager
def bar(name: str) -> Iterator[None]:
    """What is built in the block is shown as a bar, with a line at the beginning and one at the end."""
    with tqdm(total=100, desc=name, unit="%", bar_format="{desc}: {percentage:3.0f}%|{bar}| {elapsed}") as shown:

        def hear(what: str, done: float) -> bool:
            if done in (0.0, 1.0):
                shown.write(what)
            shown.update(round(100 * done) - shown.n)
            return True

        with progress.told_to(hear):
            yield


if __name__ == "__main__":
    sys.exit(main())
