"""Render images with the voxels before their camera: `voxbox street voxels`."""

import argparse
import json
import os
import time
from collections.abc import Callable
from dataclasses import asdict, dataclass, field
from pathlib import Path
from typing import Any, get_args

import numpy as np
from tqdm import tqdm

from voxbox.street.folder import claim
from voxbox.street.outcome import outcome
from voxbox.street.plan import Plan
from voxbox.street.workers import Films, film
from voxbox_core.datasets.street.layout import StreetSettings, build_scene
from voxbox_core.datasets.street.render import Renderer
from voxbox_core.datasets.street.scene import Scene
from voxbox_core.datasets.street.single import Model, read_models, single_sample
from voxbox_core.datasets.street.voxels import (
    GRIDS,
    VoxelScene,
    VoxelSettings,
    aligned_sample,
    build_voxel_scene,
    sample_of,
)
from voxbox_core.datasets.voxel_folder import IMAGES, VoxelWriter
from voxbox_core.datasets.voxel_sample import VoxelSample
from voxbox_core.datasets.voxel_tables import write_tables
from voxbox_core.fruxel import SHAPENET
from voxbox_core.watertight import Holes

SINGLE_PER_CELL = 2
"""Pixels before a column of cells, along x and y, of images of single objects."""


@dataclass(frozen=True)
class VoxelPlan(Plan):
    """A Plan whose frames are VoxelSamples.  settings: of the grid and its camera, whose image has its own size; a
    drive has the images of `voxbox street render --drive` instead, width x height."""

    moments: int = 4
    beams: int | None = None
    settings: VoxelSettings = field(default_factory=VoxelSettings)

    def identity(self) -> dict:
        settings = self.settings
        grid = {"grid": asdict(settings.grid), "sought": asdict(settings.sought), "per_cell": settings.per_cell}
        made = {"seed": self.seed, "drive": self.drive, "moments": self.moments}
        drive = {"rate": self.rate, "width": self.width, "height": self.height} if self.drive else {}
        as_written: dict = json.loads(json.dumps(made | drive | grid))  # where tuples are lists
        return as_written


@dataclass(frozen=True)
class SinglePlan(Plan):
    """A Plan whose frames are single objects, one of `models` after another.  holes: see `watertight.filled`."""

    models: tuple[Model, ...] = ()
    holes: Holes = "refuse"

    def identity(self) -> dict:
        names = [model.name for model in self.models]
        return {"seed": self.seed, "meshes": names, "holes": self.holes}


class SingleFilming:
    """One process's renderer."""

    def __init__(self, plan: SinglePlan) -> None:
        self.plan = plan
        camera = SHAPENET.camera(SINGLE_PER_CELL)
        self._renderer = Renderer(camera.width, camera.height)

    def frame(self, index: int) -> VoxelSample:
        plan = self.plan
        model = plan.models[index % len(plan.models)]
        rng = np.random.default_rng([plan.seed, index])
        name = plan.name(index)
        return single_sample(model, self._renderer, SHAPENET, SINGLE_PER_CELL, name, rng, plan.holes)


class VoxelFilming:
    """One process's renderer, and the scene it filmed last."""

    def __init__(self, plan: VoxelPlan) -> None:
        self.plan = plan
        camera = plan.settings.grid.camera(plan.settings.per_cell)
        self._renderer = Renderer(camera.width, camera.height)
        self._scene: tuple[int, VoxelScene] | None = None

    def frame(self, index: int) -> VoxelSample:
        plan = self.plan
        seed, moment = plan.moment(index)
        if self._scene is None or self._scene[0] != seed:
            self._scene = seed, build_voxel_scene(seed, plan.settings)
        rng = np.random.default_rng([seed, index % plan.moments])
        return aligned_sample(self._scene[1], self._renderer, moment, plan.name(index), rng, plan.settings)


class DriveFilming:
    """One process's renderer, and the scene that is driven through: that of `voxbox street render --drive`."""

    def __init__(self, plan: VoxelPlan) -> None:
        self.plan = plan
        self._renderer = Renderer(plan.width, plan.height)
        self._scene: Scene = build_scene(plan.seed, StreetSettings(plan.width, plan.height))

    def frame(self, index: int) -> VoxelSample:
        plan = self.plan
        moment = plan.moment(index)[1]
        frame = self._renderer.render(self._scene, moment)
        return sample_of(self._scene, frame, moment, plan.name(index), plan.settings.grid, plan.stamp(index))


def configure_voxels(parser: argparse.ArgumentParser) -> None:
    parser.add_argument("out", type=Path, help="folder to write")
    parser.add_argument("--frames", type=int, default=100, help="how many frames")
    parser.add_argument("--grid", choices=tuple(GRIDS), default="street", help="grid of voxels")
    parser.add_argument("--meshes", type=Path, help="single objects of this folder of meshes, not the street")
    parser.add_argument(
        "--holes",
        choices=get_args(Holes),
        default="refuse",
        help="what to do with meshes that are not closed: refuse them, fill them by a vote of rays, or their surface",
    )
    parser.add_argument(
        "--drive", action="store_true", help="the drive of `street render --drive` and its images, not the grid's own"
    )
    parser.add_argument(
        "--moments", type=int, default=VoxelPlan.moments, help="frames of each scene, if it is no drive"
    )
    parser.add_argument("--rate", type=float, default=VoxelPlan.rate, help="frames per second of a drive")
    parser.add_argument("--width", type=int, default=VoxelPlan.width, help="image width of a drive, px")
    parser.add_argument("--height", type=int, default=VoxelPlan.height, help="image height of a drive, px")
    parser.add_argument("--seed", type=int, default=0, help="seed of the first scene")
    parser.add_argument("--image", choices=[suffix[1:] for suffix in IMAGES], default="jpg", help="image files")
    parser.add_argument("--jobs", type=int, default=os.cpu_count(), help="processes")


def render_voxels(args: argparse.Namespace) -> dict:
    """Returns what was written and how fast. Raises InputError."""
    if args.meshes:
        return _finish(args, _singles(args), SingleFilming)
    grid, sought = GRIDS[args.grid]
    plan = VoxelPlan(
        frames=args.frames,
        seed=args.seed,
        drive=args.drive,
        moments=args.moments,
        rate=args.rate,
        width=args.width,
        height=args.height,
        settings=VoxelSettings(grid, sought),
    )
    return _finish(args, plan, DriveFilming if args.drive else VoxelFilming)


def _singles(args: argparse.Namespace) -> SinglePlan:
    """Tells of meshes that are refused."""
    found = read_models(args.meshes, args.holes)
    for name, reason in found.refused.items():
        print(f"{name} is left out: {reason}")
    print(f"{args.meshes}: {len(found.models)} meshes, {len(found.refused)} left out")
    return SinglePlan(args.frames, args.seed, moments=1, models=found.models, holes=args.holes)


def _finish(args: argparse.Namespace, plan: VoxelPlan | SinglePlan, studio: Callable[[Any], Films]) -> dict:
    """Render what is not there yet, and put the tables together."""
    claim(args.out, plan.identity() | {"image": args.image})
    writer = VoxelWriter(args.out, f".{args.image}")
    start = time.perf_counter()
    missing = [i for i in range(plan.frames) if not writer.has(plan.name(i))]
    done = film(plan, missing, writer.write, min(args.jobs, max(len(missing), 1)), studio)
    for _ in tqdm(done, "rendering", total=plan.frames, initial=plan.frames - len(missing), unit="frame"):
        pass
    write_tables(args.out)
    return outcome(args, plan, len(missing), start)
