"""Score a model on labelled frames, or detections in files.

  voxbox evaluate km3d --data data/street-val --out out/street-val
  voxbox evaluate km3d --data kitti/full --data kitti/mono --keypoints 2,4,8,9
  voxbox evaluate km3d --bag drive.mcap
  voxbox evaluate point-detr3d --data data/rig-val --out out/rig-val
  voxbox evaluate point-detr3d --data kitti/full kitti/lidar_only --format kitti
  voxbox evaluate point-detr3d --data data/rig-val --fused point-detr3d-street-assist
  voxbox evaluate point-detr3d-assist --data data/rig-val
  voxbox evaluate ssz --data data/voxels-val --prior data/voxels-a
  voxbox evaluate ssz-rays --data kitti/full --out out/rays
  voxbox evaluate detections --truth kitti/label_2 --detections out/street-val/detections

Results are average precisions in percent under keys such as Car/3d/0.7/moderate: class, metric (2d, aos, bev, 3d), IoU
to exceed, difficulty. LiDAR detectors have mAP and SPNDS of the nuScenes metrics besides, 0..1; voxels have 3D IoU.
See docs/evaluate.md.
"""

import argparse
import importlib
import sys
from collections import Counter
from pathlib import Path

from voxbox_core.errors import InputError
from voxbox_core.files import whole_folder, write_json
from voxbox_core.metrics.kitti import RULES
from voxbox_core.runtime import PRECISIONS

METRICS_FILE = "metrics.json"
FORMATS = ("rig", "kitti", "nuscenes", "argoverse2")
"""Of folders of LiDAR frames. The first is what `voxbox street rig` writes."""
# Average precision looks at the whole ranking, so nearly all candidates are kept. Scores are products of a heat map's
# peak and an expected 3D IoU, which is small for small things: at 0.05 most pedestrians would be cut off.
SCORE = 0.01


def configure(parser: argparse.ArgumentParser) -> None:
    systems = parser.add_subparsers(dest="system", required=True, metavar="SYSTEM")
    _configure_km3d(systems.add_parser("km3d", help="run KM3D over labelled frames and score it", description=__doc__))
    _configure_point_detr3d(
        systems.add_parser("point-detr3d", help="run Point-DETR3D over LiDAR frames and score it", description=__doc__)
    )
    _configure_assist(
        systems.add_parser("point-detr3d-assist", help="click on objects and judge the boxes", description=__doc__)
    )
    _configure_ssz(systems.add_parser("ssz", help="run SSZ over images with true voxels", description=__doc__))
    _configure_ssz_rays(
        systems.add_parser("ssz-rays", help="judge SSZ's voxels by a LiDAR beside the camera", description=__doc__)
    )
    _configure_detections(
        systems.add_parser("detections", help="score KITTI result files, without a network", description=__doc__)
    )
    for system in systems.choices.values():
        system.formatter_class = argparse.RawDescriptionHelpFormatter
        system.add_argument("--rules", choices=sorted(RULES), default="kitti_r40", help="rule set (default kitti_r40)")
        system.add_argument("--names", type=Path, metavar="FILE", help="score only the frames listed in FILE")
        system.add_argument("--out", type=Path, metavar="DIR", help="folder to write; a former result is replaced")


def _configure_km3d(parser: argparse.ArgumentParser) -> None:
    data = parser.add_mutually_exclusive_group(required=True)
    data.add_argument(
        "--data", type=Path, nargs="+", action="extend", metavar="DIR", help="KITTI-layout folders, scored as one set"
    )
    data.add_argument("--bag", type=Path, metavar="FILE", help="ROS 2 bag with truth")
    parser.add_argument("--image-topic", metavar="TOPIC", help="camera of the bag; found by type when not given")
    parser.add_argument("--camera-info-topic", metavar="TOPIC", help="its camera_info")
    _add_detector(parser, "km3d-street")
    parser.add_argument(
        "--keypoints",
        type=_counts,
        default=(),
        metavar="N,N",
        help="score also with boxes placed by 2, 4, 8, 9 keypoints",
    )


def _configure_point_detr3d(parser: argparse.ArgumentParser) -> None:
    parser.add_argument(
        "--data", type=Path, nargs="+", action="extend", required=True, metavar="DIR", help="folders, scored as one set"
    )
    parser.add_argument("--format", choices=FORMATS, default=FORMATS[0], help=f"of the folders (default {FORMATS[0]})")
    parser.add_argument(
        "--sweeps", type=int, default=1, metavar="N", help="clouds put together, of nuscenes and argoverse2 (default 1)"
    )
    parser.add_argument(
        "--fused",
        metavar="MODEL",
        help="refine the best boxes with this assistant, for example point-detr3d-street-assist",
    )
    _add_detector(parser, "point-detr3d-street")


def _configure_assist(parser: argparse.ArgumentParser) -> None:
    model = "point-detr3d-street-assist"
    parser.add_argument(
        "--data", type=Path, nargs="+", action="extend", required=True, metavar="DIR", help="folders of rig frames"
    )
    parser.add_argument("--model", default=model, help=f"released model's name or folder (default {model})")
    _add_run(parser)
    parser.add_argument("--cameras", action=argparse.BooleanOptionalAction, default=True, help="show it the images")


def _add_detector(parser: argparse.ArgumentParser, model: str) -> None:
    """What every detector is asked for; `model` is the released one."""
    parser.add_argument("--model", default=model, help=f"released model's name, folder or .onnx file (default {model})")
    _add_run(parser)
    _add_precision(parser)
    parser.add_argument("--score", type=float, default=SCORE, help=f"least score of a detection (default {SCORE})")
    parser.add_argument("--examples", type=int, default=8, metavar="N", help="pictures to draw (default 8)")


def _add_run(parser: argparse.ArgumentParser) -> None:
    """How every model is run."""
    parser.add_argument("--backend", default="auto", help="auto, torch, onnxruntime, openvino or tensorrt")
    parser.add_argument("--threads", type=int, default=0, help="CPU threads; 0 leaves it to the backend")
    parser.add_argument("--limit", type=int, metavar="N", help="only the first N frames")


def _add_precision(parser: argparse.ArgumentParser) -> None:
    """Of models that come in several."""
    parser.add_argument(
        "--precision",
        choices=("auto", *PRECISIONS),
        default="auto",
        help="which ONNX file of the release (default auto: the backend's quickest)",
    )


def _configure_ssz(parser: argparse.ArgumentParser) -> None:
    parser.add_argument(
        "--data", type=Path, nargs="+", action="extend", required=True, metavar="DIR", help="folders, scored as one set"
    )
    parser.add_argument("--model", default="ssz-street", help="released model's name or folder (default ssz-street)")
    parser.add_argument(
        "--prior", type=Path, nargs="+", action="extend", metavar="DIR", help="training folders of the prior"
    )
    parser.add_argument(
        "--discriminator", type=Path, metavar="FILE", help="discriminator.pt of a run, to judge its poses"
    )
    _add_run(parser)
    _add_precision(parser)
    parser.add_argument("--examples", type=int, default=8, metavar="N", help="pictures to draw (default 8)")


def _configure_ssz_rays(parser: argparse.ArgumentParser) -> None:
    parser.add_argument("--data", type=Path, required=True, metavar="DIR", help="frames with a camera and a LiDAR")
    parser.add_argument(
        "--format", choices=("kitti", "nuscenes"), default="kitti", help="of the folder (default kitti)"
    )
    parser.add_argument("--model", default="ssz-street", help="released model's name or folder (default ssz-street)")
    parser.add_argument(
        "--prior", type=Path, metavar="FILE", help="fruxel file to judge beside it, of the model's grid"
    )
    _add_run(parser)
    _add_precision(parser)
    parser.add_argument("--examples", type=int, default=8, metavar="N", help="pictures to draw (default 8)")


def _configure_detections(parser: argparse.ArgumentParser) -> None:
    parser.add_argument("--truth", type=Path, required=True, metavar="DIR", help="KITTI label files NAME.txt")
    parser.add_argument("--detections", type=Path, required=True, metavar="DIR", help="KITTI result files NAME.txt")


def _counts(text: str) -> tuple[int, ...]:
    try:
        return tuple(int(word) for word in text.split(","))
    except ValueError:
        raise argparse.ArgumentTypeError(f"{text!r} is no list of numbers such as 2,4,8,9") from None


def run(args: argparse.Namespace) -> dict[str, object]:
    """Returns the scores. Raises InputError; writes nothing then."""
    names = None if args.names is None else _frame_list(args.names)
    score = importlib.import_module(f"voxbox.evaluation.{args.system.replace('-', '_')}").run
    if args.out is None:
        return score(args, names, None)
    with whole_folder(args.out, marker=METRICS_FILE) as folder:
        result = score(args, names, folder)
        write_json(folder / METRICS_FILE, result)
    print(f"written to {args.out}", file=sys.stderr)
    return result


def _frame_list(path: Path) -> list[str]:
    expected = "one frame name per line"
    if not path.is_file():
        raise InputError(f"frame list {path}", "absent", f"a text file with {expected}", "Check the path.")
    try:
        names = path.read_text(encoding="utf-8").split()
    except UnicodeDecodeError:
        raise InputError(f"frame list {path}", "not text", expected, "Check the path.") from None
    if not names:
        raise InputError(f"frame list {path}", "empty", expected, "List the frames to score.")
    for name, count in Counter(names).items():
        if count > 1:
            raise InputError(
                f"frame {name} in {path}", f"there {count} times", "every frame once", "Remove the others."
            )
    return names
