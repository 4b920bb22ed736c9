"""Render what a LiDAR and the cameras around it see: `voxbox street rig`."""

import argparse
import os
import shutil
import time
from dataclasses import dataclass, replace
from pathlib import Path

import numpy as np
from tqdm import tqdm

from voxbox.street.folder import claim
from voxbox.street.outcome import outcome
from voxbox.street.plan import Plan
from voxbox.street.workers import film
from voxbox_core.datasets.bag import storage_of, write_rig_drive
from voxbox_core.datasets.rig import RigSample
from voxbox_core.datasets.rig_folder import RigFolder, RigWriter
from voxbox_core.datasets.street.render import Renderer
from voxbox_core.datasets.street.rig import RigScene, RigSettings, build_rig_scene, rig_sample
from voxbox_core.errors import InputError

ANY = "any"
FORMATS = ("npz", "mcap")

_RESOLUTION = np.float32(1 / 512)
"""Of the clouds of a drive: 2 mm, as an HDL-32E measures, and in powers of two a third smaller when compressed."""


@dataclass(frozen=True)
class RigPlan(Plan):
    """A Plan whose frames are RigSamples; see RigSettings for what differs: beams None for any, another in every
    scene."""

    moments: int = 3
    width: int = RigSettings.width
    height: int = RigSettings.height
    beams: int | None = RigSettings.beams
    cameras: int = RigSettings.cameras
    sweeps: int = RigSettings.sweeps
    randomise: bool = RigSettings.randomise

    def __post_init__(self) -> None:
        super().__post_init__()
        _ = self.settings

    @property
    def settings(self) -> RigSettings:
        return RigSettings(self.cameras, self.width, self.height, self.beams, self.columns, self.sweeps, self.randomise)


class RigFilming:
    """One process's renderer, if there are cameras, and the scene it filmed last."""

    def __init__(self, plan: RigPlan) -> None:
        self.plan = plan
        self._renderer = Renderer(plan.width, plan.height) if plan.cameras else None
        self._scene: tuple[int, RigScene] | None = None

    def frame(self, index: int) -> RigSample:
        plan = self.plan
        seed, moment = plan.moment(index)
        if self._scene is None or self._scene[0] != seed:
            self._scene = seed, build_rig_scene(seed, plan.settings)
        rng = np.random.default_rng([seed, index])
        return rig_sample(self._scene[1], self._renderer, moment, plan.name(index), rng, plan.stamp(index))


def configure_rig(parser: argparse.ArgumentParser) -> None:
    parser.add_argument("out", type=Path, help="folder (npz) or file (mcap) to write")
    parser.add_argument("--format", choices=FORMATS, default=FORMATS[0], help="a file per frame, or a ROS 2 bag")
    parser.add_argument("--frames", type=int, default=100, help="how many frames")
    parser.add_argument("--drive", action="store_true", help="one scene in motion instead of many scenes")
    parser.add_argument("--moments", type=int, default=RigPlan.moments, help="frames of each scene, if it is no drive")
    parser.add_argument("--rate", type=float, default=RigPlan.rate, help="frames per second of a drive")
    parser.add_argument("--seed", type=int, default=0, help="seed of the first scene")
    parser.add_argument("--cameras", type=int, default=RigPlan.cameras, help="cameras, 0 to 6, as nuScenes mounts them")
    parser.add_argument("--width", type=int, default=RigPlan.width, help="width of an image, px")
    parser.add_argument("--height", type=int, default=RigPlan.height, help="height of an image, px")
    parser.add_argument(
        "--beams", default=ANY, help="LiDAR beams: 16, 32 or 64, or any: another of them in every scene"
    )
    parser.add_argument("--columns", type=int, help="LiDAR firings per turn; the sensor's own when not given")
    parser.add_argument("--sweeps", type=int, default=RigPlan.sweeps, help="turns of the LiDAR in a cloud")
    parser.add_argument(
        "--usual", action="store_true", help="the usual sensor in its usual place, not another in every scene"
    )
    parser.add_argument("--jobs", type=int, default=os.cpu_count(), help="processes")


def render_rig(args: argparse.Namespace) -> dict:
    """Returns what was written and how fast. Raises InputError."""
    plan = RigPlan(
        frames=args.frames,
        seed=args.seed,
        drive=args.drive,
        moments=args.moments,
        rate=args.rate,
        width=args.width,
        height=args.height,
        beams=_beams(args.beams),
        columns=args.columns,
        cameras=args.cameras,
        sweeps=args.sweeps,
        randomise=not args.usual,
    )
    start = time.perf_counter()
    rendered = _drive(args.out, plan, args.jobs) if args.format == "mcap" else _folder(args.out, plan, args.jobs)
    return outcome(args, plan, rendered, start)


def _beams(given: str) -> int | None:
    if given == ANY:
        return None
    if not given.isdecimal():
        raise InputError("LiDAR beams", repr(given), f"a number, or {ANY}", "Give --beams.")
    return int(given)


def _drive(out: Path, plan: RigPlan, jobs: int) -> int:
    """Write an mcap; how many frames were rendered for it. They are in a hidden folder beside it until it is whole."""
    if not plan.drive:
        raise InputError("frames for an mcap", "of many scenes", "one scene in motion", "Give --drive.")
    storage_of(out)  # a name that will not do is refused before the work
    kept = out.with_name(f".{out.name}.frames")
    rendered = _folder(kept, plan, jobs)
    frames = RigFolder(kept)
    samples = (_as_measured(frames[i]) for i in range(plan.frames))
    write_rig_drive(out, tqdm(samples, "writing", total=plan.frames, unit="frame"))
    shutil.rmtree(kept, ignore_errors=True)
    return rendered


def _as_measured(sample: RigSample) -> RigSample:
    points = sample.points.copy()
    points[:, :4] = np.round(points[:, :4] / _RESOLUTION) * _RESOLUTION
    return replace(sample, points=points)


def _folder(out: Path, plan: RigPlan, jobs: int) -> int:
    """Render, with progress, what is not there yet; how many frames that were."""
    claim(out, plan.identity())
    writer = RigWriter(out)
    missing = [i for i in range(plan.frames) if not writer.has(plan.name(i))]
    done = film(plan, missing, writer.write, min(jobs, max(len(missing), 1)), RigFilming)
    for _ in tqdm(done, "rendering", total=plan.frames, initial=plan.frames - len(missing), unit="frame"):
        pass
    return len(missing)
