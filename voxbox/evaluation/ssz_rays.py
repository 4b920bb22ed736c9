"""`voxbox evaluate ssz-rays`: real frames, where nobody has voxels as truth: SSZ's against a LiDAR's rays."""

import argparse
import math
from collections.abc import Callable, Mapping, Sequence
from dataclasses import replace
from pathlib import Path

import cv2
import numpy as np
from tqdm import tqdm

from ssz_ros.reconstructor import SSZ, align
from voxbox.arguments import require_least
from voxbox.evaluation.ray_pictures import picture
from voxbox_core.datasets.kitti_voxels import KittiFrames
from voxbox_core.datasets.lidar_voxels import LidarFrame, Scene, fill, inside
from voxbox_core.datasets.nuscenes_voxels import NuScenesFrames
from voxbox_core.errors import InputError
from voxbox_core.fruxel_file import load
from voxbox_core.metrics.voxel_rays import KINDS, Measured, RayCounts, agreement, scores
from voxbox_core.metrics.voxels import RINGS
from voxbox_core.ros.models import model_path
from voxbox_core.voxelize import SUBSLICES
from voxbox_core.voxels import AIR, CLASSES, UNKNOWN, Voxels

FORMATS: Mapping[str, Callable[[Path], KittiFrames | NuScenesFrames]] = {
    "kitti": KittiFrames,
    "nuscenes": NuScenesFrames,
}
_MODEL, _FLAT, _AIR, _PRIOR, _TOLD = "model", "flat ground", "air alone", "prior", "boxes, ground"
_COLUMNS = [f"{kind} {how}" for kind in KINDS for how in ("in", "near")] + ["free occupied"]


def run(args: argparse.Namespace, names: Sequence[str] | None, folder: Path | None) -> dict[str, object]:
    """Prints a table and returns shares by whose voxels they are. Raises InputError."""
    require_least(args, limit=1, examples=0, threads=0)
    frames = FORMATS[args.format](args.data)
    chosen = _chosen(frames.names, names)[: args.limit]
    reconstruct = SSZ.open(model_path(args.model), args.backend, args.threads, args.precision)
    fruxel = reconstruct.contract.fruxel
    prior = None if args.prior is None else load(args.prior, fruxel)
    shown = set(np.linspace(0, len(chosen) - 1, min(args.examples, len(chosen))).astype(int).tolist())
    totals: dict[str, RayCounts] = {}
    for number, index in enumerate(tqdm(chosen, "judging", unit="frame")):
        frame = frames[index]
        found = reconstruct(frame.image, frame.camera)
        told = fill(frame.scene, fruxel)
        truth = measured(frame.scene, told)
        for name, voxels in {_MODEL: found, **rivals(found, frame.scene.height, told, prior)}.items():
            counts = agreement(voxels, truth)
            totals[name] = counts if name not in totals else totals[name] + counts
        if folder is not None and number in shown:
            _draw(folder / "examples" / f"{frame.name}.jpg", frame, found, reconstruct.contract.per_cell)
    found_scores = {name: scores(counts) for name, counts in totals.items()}
    print(_tables(found_scores, len(chosen)))
    cells = {kind: int(n) for kind, n in zip(KINDS, totals[_MODEL].hits[:, 0].sum(-1))}
    return {
        **{name: _without_nan(values) for name, values in found_scores.items()},
        "frames": len(chosen),
        "count": {**cells, "free": int(totals[_MODEL].free[0].sum())},
        "model_name": args.model,
        "backend": reconstruct.backend,
        "precision": reconstruct.precision,
    }


def _chosen(there: Sequence[str], names: Sequence[str] | None) -> list[int]:
    """Indices of the frames to judge."""
    if names is None:
        return list(range(len(there)))
    if missing := sorted(set(names) - set(there)):
        raise InputError(f"frame {missing[0]}", "absent", "a frame with a cloud", "Check the frame list.")
    return [there.index(name) for name in names]


def measured(scene: Scene, told: Voxels) -> Measured:
    """What the LiDAR says of the grid of `told`, which is the scene in it. Free are the cells that rays crossed, unless
    they hold a return, ground or a part of a box."""
    points, cars = scene.returns.points, scene.label == CLASSES.index("car")
    return Measured(
        fruxel=told.fruxel,
        points=points,
        obstacle=~scene.on_ground,
        car=np.asarray(inside(points, scene.boxes[cars]).any(0)),
        free=told.labels == AIR,
    )


def rivals(found: Voxels, height: float, told: Voxels, prior: Voxels | None) -> dict[str, Voxels]:
    """What is judged besides, unknown where `found` is.

    height: of the camera above the ground, m, which is flat and level then; in a slice it is looked for as deep as
    `fill` does.  told: by boxes and LiDAR; what they leave unknown is air here.
    """
    fruxel = found.fruxel
    depth = fruxel.plane(np.arange(fruxel.slices) + 1 - 0.5 / SUBSLICES)
    ground = (fruxel.rays[:, 0, 1] * depth[:, None] > height)[..., None]
    flat = np.broadcast_to(np.where(ground, CLASSES.index("ground"), AIR), fruxel.shape).astype(np.uint8)
    labels = {_FLAT: flat, _AIR: np.zeros_like(flat)} | ({} if prior is None else {_PRIOR: prior.labels})
    labels[_TOLD] = np.where(told.labels == UNKNOWN, np.uint8(AIR), told.labels)
    unknown = found.labels == UNKNOWN
    return {name: Voxels(np.where(unknown, np.uint8(UNKNOWN), own), fruxel) for name, own in labels.items()}


def _draw(path: Path, frame: LidarFrame, found: Voxels, per_cell: int) -> None:
    """Write one frame's picture."""
    sample = frame.sample(found.fruxel)
    fine = 4 * per_cell
    image = align(frame.image, frame.camera, found.fruxel, fine).image
    sample = replace(sample, image=image, camera=found.fruxel.camera(fine))
    path.parent.mkdir(parents=True, exist_ok=True)
    cv2.imwrite(str(path), picture(sample, found, frame.scene)[..., ::-1])


def _tables(found: Mapping[str, Mapping[str, float]], frames: int) -> str:
    """Shares in percent: a line for the model and each rival, then the model and the flat ground by distance."""
    width = max(map(len, found)) + 2
    head = "".join(f"{name:>16}" for name in _COLUMNS)
    lines = [f"{frames} frames, shares in percent", f"{'':{width}}{head}"]
    lines += [f"{name:{width}}" + "".join(_cell(v[column]) for column in _COLUMNS) for name, v in found.items()]
    for name in (_MODEL, _FLAT):
        rings = [f"{nearest:g}-{farthest:g} m" for nearest, farthest in RINGS]
        there = [ring for ring in rings if f"{_COLUMNS[0]}/{ring}" in found[name]]
        lines += ["", f"{name}, by distance"]
        lines += [f"{r:{width}}" + "".join(_cell(found[name][f"{c}/{r}"]) for c in _COLUMNS) for r in there]
    return "\n".join(lines) + "\n"


def _cell(share: float) -> str:
    return f"{'-':>16}" if math.isnan(share) else f"{100 * share:16.2f}"


def _without_nan(values: Mapping[str, float]) -> dict[str, float | None]:
    return {name: None if math.isnan(v) else round(v, 5) for name, v in values.items()}
