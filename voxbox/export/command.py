"""Turn trained weights into a model that nodes and people can run.

  voxbox export km3d runs/street/weights.pt --out models/km3d-street
  voxbox export point-detr3d runs/rig/s3/weights.pt --out models/point-detr3d-street
  voxbox export point-detr3d-assist runs/rig/s1/weights.pt --out models/point-detr3d-street-assist
  voxbox export ssz runs/voxels/weights.pt --out models/ssz-street

writes model.onnx (sensor data in, boxes or voxels out, the contract in its metadata), weights.pt (float16) and
manifest.yaml, after every installed backend has found PyTorch's boxes, all of them, value by value, or has labelled
99.99% of the cells as PyTorch does. The manifest, written last, seals the folder: a model whose bytes are not those it
names is refused. The assistant is three graphs, lidar, image and prompt, each in a folder of its own beside their
weights.

  voxbox export km3d runs/street/weights.pt --out models/km3d-street --precision fp32 int8 --validation data/street-val

adds a file of a quarter of the size, fp16 of a half, whose convolutions compute so where the engine can: all but the
last of heads that say metres. What follows, geometry above all, stays float32, and so do inputs and outputs. Each
engine opens the file that it is quickest with. Agreement is judged more generously for these; what they cost in
accuracy is printed where --validation names labelled frames.

--engine builds the TensorRT engine of what was exported, as `ros2 run voxbox build_engine` does.
"""

import argparse
from pathlib import Path
from typing import Any

from voxbox import build_engine
from voxbox.arguments import require_least
from voxbox.export import accuracy, km3d, parity, point_detr3d, release, ssz
from voxbox_core.runtime import PRECISIONS, tensorrt

SYSTEMS = {
    "km3d": (km3d.configure, km3d.export, parity.told, "KM3D-Net: monocular 3D boxes"),
    "point-detr3d": (
        point_detr3d.configure,
        point_detr3d.export,
        parity.told,
        "Point-DETR3D's student: boxes of every cloud",
    ),
    "point-detr3d-assist": (
        point_detr3d.configure_assist,
        point_detr3d.export_assist,
        parity.told,
        "Point-DETR3D's teacher: a box for every click",
    ),
    "ssz": (ssz.configure, ssz.export, ssz.told, "SSZ: semantic voxels of one image"),
}
"""Of each: its options, the work, the result in words, and what it is."""


def configure(parser: argparse.ArgumentParser) -> None:
    systems = parser.add_subparsers(dest="system", required=True, metavar="SYSTEM")
    for name, (configured, _, _, summary) in SYSTEMS.items():
        sub = systems.add_parser(
            name, help=summary, description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
        )
        sub.add_argument("weights", type=Path, help="weights.pt of a training run")
        sub.add_argument("--out", type=Path, required=True, help="model folder to write, for example models/NAME")
        configured(sub)
        _configure_precision(sub)


def _configure_precision(parser: argparse.ArgumentParser) -> None:
    add = parser.add_argument
    add(
        "--precision",
        nargs="+",
        choices=PRECISIONS,
        default=[PRECISIONS[0]],
        metavar="P",
        help=f"of the network's body, {', '.join(PRECISIONS)}: the first is model.onnx, others come beside it "
        f"(default {PRECISIONS[0]})",
    )
    add(
        "--calibration",
        type=int,
        default=32,
        metavar="N",
        help="frames of the street, and as many of --data, that int8 is calibrated on (default %(default)s)",
    )
    add(
        "--engine",
        nargs="?",
        const="",
        metavar="TARGET",
        help="build the TensorRT engine, too: for the GPU of this machine, or with tensorrt-rtx for TARGET, as sm86",
    )
    add("--validation", type=Path, metavar="DIR", help="labelled frames to score fp32 and each precision on")
    add("--limit", type=int, metavar="N", help="score the first N frames only")


def run(args: argparse.Namespace) -> dict[str, Any]:
    """Returns the manifest and the differences by backend. Raises InputError; writes nothing then."""
    require_least(args, frames=1, calibration=1, limit=1)
    accuracy.require_frames(args)
    release.engines()  # raises where there is none to check by
    if args.engine is not None:
        tensorrt.require_buildable(args.engine or None)
    _, export, told, _ = SYSTEMS[args.system]
    result = export(args)
    print(f"{args.out}: {told(result)}")
    if args.validation is not None:
        print(accuracy.table(result["accuracy"]))
    if args.engine is not None:
        for graph in build_engine.graphs(args.out):
            build_engine.build(graph, args.engine or None)
    return result
