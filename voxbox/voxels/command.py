"""Make voxel samples of labelled LiDAR frames, and look at them.

  voxbox voxels from-kitti kitti/training data/kitti-voxels
  voxbox voxels from-nuscenes nuscenes data/nuscenes-voxels --cameras CAM_FRONT
  voxbox voxels show data/kitti-voxels sheet.png

What neither boxes nor the LiDAR tell is unknown; it is neither learned nor judged. Images are cropped and scaled to the
grid. What was interrupted goes on where it stopped.
"""

import argparse
import json
from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING, Any, Protocol

import numpy as np
from tqdm import tqdm

from voxbox.arguments import require_least
from voxbox_core.errors import InputError
from voxbox_core.fruxel import STREET, Fruxel
from voxbox_core.voxels import UNKNOWN

if TYPE_CHECKING:
    from voxbox_core.datasets.lidar_voxels import LidarFrame
    from voxbox_core.datasets.voxel_sample import VoxelSample

RECORD = "voxels.json"
PER_CELL = 2
"""Pixels of an image along each side of a column of cells, as the released model sees."""


class Frames(Protocol):
    """Of a data set."""

    names: tuple[str, ...]

    def __getitem__(self, index: int) -> "LidarFrame": ...


def configure(parser: argparse.ArgumentParser) -> None:
    verbs = parser.add_subparsers(dest="sub", required=True, metavar="from-kitti | from-nuscenes | show")
    kitti = verbs.add_parser("from-kitti", help="of a KITTI folder with clouds")
    kitti.add_argument("folder", type=Path, help="with image_2, calib, velodyne, and label_2")
    nuscenes = verbs.add_parser("from-nuscenes", help="of nuScenes' key frames")
    nuscenes.add_argument("folder", type=Path, help="with the tables v1.0-*, or with info.json")
    nuscenes.add_argument("--cameras", nargs="+", metavar="NAME", help="such as CAM_FRONT (default: all)")
    for verb in (kitti, nuscenes):
        verb.add_argument("out", type=Path, help="folder to write, or to go on with")
        verb.add_argument(
            "--fruxel", type=Path, metavar="FILE", help="grid as JSON: near, far, slices, … (default: the street's)"
        )
        verb.add_argument(
            "--per-cell",
            type=int,
            default=PER_CELL,
            metavar="N",
            help="pixels along each side of a column of cells (default: %(default)s)",
        )
        verb.add_argument("--limit", type=int, metavar="N", help="first frames only")
    show = verbs.add_parser("show", help="a picture of a folder's frames: image, first class met, from above and aside")
    show.add_argument("folder", type=Path, help="of voxel samples")
    show.add_argument("out", type=Path, help="picture to write, .png or .jpg")
    show.add_argument("--frames", type=int, default=6, help="how many, evenly spread (default: %(default)s)")


def run(args: argparse.Namespace) -> dict[str, Any]:
    """Returns what was written. Raises InputError."""
    return {"from-kitti": run_from_kitti, "from-nuscenes": run_from_nuscenes, "show": run_show}[args.sub](args)


def run_from_kitti(args: argparse.Namespace) -> dict[str, Any]:
    from voxbox_core.datasets.kitti_voxels import KittiFrames

    frames = KittiFrames(args.folder)
    if frames.skipped:
        print(f"note: {frames.skipped} frames without a cloud are left out")
    return _convert(frames, args)


def run_from_nuscenes(args: argparse.Namespace) -> dict[str, Any]:
    from voxbox_core.datasets.nuscenes_voxels import NuScenesFrames

    return _convert(NuScenesFrames(args.folder, args.cameras and tuple(args.cameras)), args)


def _grid(path: Path | None) -> Fruxel:
    if path is None:
        return STREET
    try:
        return Fruxel.from_json(path.read_text())
    except (OSError, UnicodeDecodeError) as error:
        raise InputError(f"grid {path}", f"unreadable ({error})", "a JSON file", "Check the path.") from None


def _convert(frames: Frames, args: argparse.Namespace) -> dict[str, Any]:
    """Write, with progress, what the folder does not have yet."""
    from voxbox.street.folder import claim
    from voxbox_core.datasets.voxel_folder import VoxelWriter
    from voxbox_core.datasets.voxel_tables import write_tables

    require_least(args, per_cell=1, limit=1)
    fruxel = _grid(args.fruxel)
    source = str(args.folder.resolve())  # the frames of another may have the same names
    grid = json.loads(fruxel.to_json())
    claim(args.out, {"source": source, "fruxel": grid, "per_cell": args.per_cell}, RECORD)
    writer, names = VoxelWriter(args.out), frames.names[: args.limit]
    missing = [i for i, name in enumerate(names) if not writer.has(name)]
    notes, known = [], []
    done = len(names) - len(missing)
    for i in tqdm(missing, args.out.name, len(names), initial=done, unit="frame"):
        try:
            sample = _aligned(frames[i].sample(fruxel), args.per_cell)
        except InputError as error:
            notes.append(f"{names[i]}: {error}")
            continue
        writer.write(sample)
        known.append(float((sample.voxels.labels != UNKNOWN).mean()))
    for note in notes:
        print(f"note: left out: {note}")
    written = len(missing) - len(notes)
    if done + written == 0:
        raise InputError(f"frames of {args.folder}", "all left out", "some that can be converted", "See the notes.")
    write_tables(args.out)
    part = f", {100 * np.mean(known):.0f} % of their cells known" if known else ""
    print(f"{args.out}: {done + written} frames, {written} written now{part}")
    return {"out": str(args.out), "frames": done + written, "written": written, "left_out": notes}


def _aligned(sample: "VoxelSample", per_cell: int) -> "VoxelSample":
    """The sample with its image as a model of its grid sees it."""
    from ssz_ros.reconstructor import align

    fruxel = sample.voxels.fruxel
    image = align(sample.image, sample.camera, fruxel, per_cell).image
    return replace(sample, image=image, camera=fruxel.camera(per_cell))


def run_show(args: argparse.Namespace) -> dict[str, Any]:
    from voxbox.voxels.sheet import write_sheet
    from voxbox_core.datasets.voxel_folder import VoxelFolder

    require_least(args, frames=1)
    folder = VoxelFolder(args.folder, depth=False)
    chosen = np.unique(np.linspace(0, len(folder) - 1, min(args.frames, len(folder))).round().astype(int))
    write_sheet(args.out, [folder[int(i)] for i in tqdm(chosen, "drawing", unit="frame")])
    print(args.out)
    return {"out": str(args.out), "frames": [folder.names[i] for i in chosen]}
