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
"""

import argparse
from pathlib import Path
from typing import Any

from voxbox.export import km3d, parity, point_detr3d, ssz
from voxbox_core.errors import InputError

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


def run(args: argparse.Namespace) -> dict[str, Any]:
    """Returns the manifest and the differences by backend. Raises InputError; writes nothing then."""
    if args.frames < 1:
        raise InputError("--frames", args.frames, "at least 1", "Correct it or leave it out.")
    _, export, told, _ = SYSTEMS[args.system]
    result = export(args)
    print(f"{args.out}: {told(result)}")
    return result
