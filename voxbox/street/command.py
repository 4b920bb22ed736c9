"""Render the synthetic street world, or look at it.

  voxbox street render data/street-train --frames 8000 --seed 0
  voxbox street render data/street-val --frames 500 --seed 1000000
  voxbox street render drive.mcap --format mcap --drive --frames 100 --seed 7
  voxbox street rig data/rig-train --frames 8000 --seed 0 --jobs 2
  voxbox street rig data/rig-val --frames 500 --moments 1 --seed 1000000 --cameras 4
  voxbox street rig rig.mcap --format mcap --drive --frames 100 --seed 7 --cameras 6 --beams 32
  voxbox street voxels data/voxels-train --frames 8000 --seed 0 --jobs 2
  voxbox street voxels data/voxels-val --frames 500 --moments 1 --seed 1000000
  voxbox street voxels drive.voxels --drive --frames 100 --seed 7
  voxbox street voxels data/single --meshes shapenet --frames 1000
  voxbox street sheet sheet.png --frames 12

The same seed gives the same bytes on one machine; another machine's OpenGL may round a pixel differently. Seeds 0 to
99999 are for training, 1000000 to 1000499 for validation. What was interrupted goes on where it stopped; an mcap is
there when it is complete, its frames in a hidden folder beside it until then.
"""

import argparse
import os
import time
from pathlib import Path
from typing import TYPE_CHECKING

from tqdm import tqdm

from voxbox.street.outcome import outcome
from voxbox.street.plan import Plan
from voxbox.street.repaint import configure_repaint, repaint
from voxbox.street.rig import configure_rig, render_rig
from voxbox.street.voxels import configure_voxels, render_voxels
from voxbox_core.errors import InputError

if TYPE_CHECKING:
    from voxbox.street.kept import KeptFrames
    from voxbox_core.datasets.street.kitti_layout import KittiWriter

FORMATS = ("kitti", "mcap")


def configure(parser: argparse.ArgumentParser) -> None:
    verbs = parser.add_subparsers(dest="street_verb", required=True, metavar="VERB")
    render = verbs.add_parser(
        "render", help="render frames into a KITTI folder or an mcap drive", formatter_class=_Help
    )
    render.add_argument("out", type=Path, help="folder (kitti) or file (mcap) to write")
    render.add_argument("--format", choices=FORMATS, default="kitti", help="layout of what is written")
    render.add_argument("--frames", type=int, default=100, help="how many frames")
    render.add_argument("--drive", action="store_true", help="one scene in motion instead of a scene per frame")
    render.add_argument("--moments", type=int, default=Plan.moments, help="frames of each scene, if it is no drive")
    render.add_argument("--rate", type=float, default=Plan.rate, help="frames per second of a drive")
    _add_scene(render)
    render.add_argument(
        "--image", choices=("png", "jpg"), default="png", help="image files of a KITTI folder; an mcap has jpeg"
    )
    render.add_argument("--no-lidar", action="store_true", help="leave the LiDAR out, which is faster")
    render.add_argument(
        "--beams", type=int, default=Plan.beams, help="LiDAR beams: 16, 32 or 64, like VLP-16, HDL-32E, HDL-64E"
    )
    render.add_argument(
        "--columns", type=int, help="LiDAR firings per turn, to thin a cloud; the sensor's own when not given"
    )
    render.add_argument("--depth", action="store_true", help="write depth images too (kitti)")
    render.add_argument("--instance", action="store_true", help="write instance images too (kitti)")
    rig = verbs.add_parser(
        "rig", help="render what a LiDAR and the cameras around it see, into a folder", formatter_class=_Help
    )
    configure_rig(rig)
    voxels = verbs.add_parser(
        "voxels", help="render images with the voxels before their camera, into a folder", formatter_class=_Help
    )
    configure_voxels(voxels)
    painting = verbs.add_parser(
        "repaint", help="voxels with images that a network painted of their edges", formatter_class=_Help
    )
    configure_repaint(painting)
    sheet = verbs.add_parser(
        "sheet", help="one picture of many frames with their boxes, for eyes", formatter_class=_Help
    )
    sheet.add_argument("out", type=Path, help="picture to write, .png or .jpg")
    sheet.add_argument("--frames", type=int, default=12, help="how many frames")
    sheet.add_argument("--across", type=int, default=2, help="frames per row")
    sheet.add_argument("--data", type=Path, help="show this KITTI folder's first frames instead of rendering")
    _add_scene(sheet)


class _Help(argparse.ArgumentDefaultsHelpFormatter, argparse.RawDescriptionHelpFormatter):
    pass


def _add_scene(parser: argparse.ArgumentParser) -> None:
    parser.add_argument("--seed", type=int, default=0, help="seed of the first scene")
    parser.add_argument("--width", type=int, default=Plan.width, help="image width, px")
    parser.add_argument("--height", type=int, default=Plan.height, help="image height, px")
    parser.add_argument("--jobs", type=int, default=os.cpu_count(), help="processes")


def run(args: argparse.Namespace) -> dict:
    """Returns what was written and how fast. Raises InputError."""
    if args.street_verb == "repaint":
        return repaint(args)
    if args.jobs < 1:
        raise InputError("number of processes", args.jobs, "at least 1", "Give --jobs.")
    return {"render": render, "rig": render_rig, "voxels": render_voxels, "sheet": sheet}[args.street_verb](args)


def render(args: argparse.Namespace) -> dict:
    plan = Plan(
        frames=args.frames,
        seed=args.seed,
        drive=args.drive,
        moments=args.moments,
        rate=args.rate,
        width=args.width,
        height=args.height,
        beams=None if args.no_lidar else args.beams,
        columns=args.columns,
    )
    start = time.perf_counter()
    written = _render_mcap(args, plan) if args.format == "mcap" else _render_kitti(args, plan)
    return outcome(args, plan, written, start)


def _render_kitti(args: argparse.Namespace, plan: Plan) -> int:
    from voxbox.street.folder import claim
    from voxbox_core.datasets.street.kitti_layout import KittiWriter

    writer = KittiWriter(args.out, f".{args.image}", args.depth, args.instance)
    parts = {"image": writer.image_suffix, "depth": writer.depth, "instance": writer.instance}
    claim(args.out, {**plan.identity(), **parts})
    return _render_missing(plan, writer, args.jobs)


def _render_mcap(args: argparse.Namespace, plan: Plan) -> int:
    from voxbox.street.kept import KeptFrames
    from voxbox_core.datasets.bag import storage_of, write_drive

    if args.depth or args.instance:
        wanted = "kitti for depth and instance images"
        raise InputError("format", "mcap", wanted, "Leave --depth and --instance out, or write a KITTI folder.")
    storage_of(args.out)  # a name that will not do is refused before the work
    kept = KeptFrames.of(args.out, plan)
    rendered = _render_missing(plan, kept, args.jobs)
    samples = (kept.read(plan.name(i)) for i in range(plan.frames))
    write_drive(args.out, tqdm(samples, "writing", total=plan.frames, unit="frame"), "jpeg")
    kept.remove()
    return rendered


def _render_missing(plan: Plan, store: "KittiWriter | KeptFrames", jobs: int) -> int:
    """Render, with progress, what the store does not have yet; how many frames that were."""
    from voxbox.street.workers import film

    missing = [i for i in range(plan.frames) if not store.has(plan.name(i))]
    done = film(plan, missing, store.write, min(jobs, max(len(missing), 1)))
    for _ in tqdm(done, "rendering", total=plan.frames, initial=plan.frames - len(missing), unit="frame"):
        pass
    return len(missing)


def sheet(args: argparse.Namespace) -> dict:
    from voxbox.street.sheet import contact_sheet, rendered, stored

    if args.across < 1:
        raise InputError("frames per row", args.across, "at least 1", "Give --across.")
    plan = Plan(frames=args.frames, seed=args.seed, width=args.width, height=args.height, beams=None)
    samples = stored(args.data, args.frames) if args.data else rendered(plan, args.jobs)
    progress = tqdm(samples, "drawing", total=args.frames, unit="frame")
    contact_sheet(args.out, progress, args.across)
    print(args.out)
    return {"out": str(args.out), "frames": args.frames}
