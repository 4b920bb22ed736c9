"""The experiments on Point-DETR3D: which part of full supervision few boxes are worth, and what makes them so.

    .venv/bin/python scripts/point_detr3d_tables.py --data data/rig-train --validation data/rig-val --out runs/tables

Every row is a `voxbox train point-detr3d` of the same number of student steps; the commands are printed. What is done
is kept: the same command goes on after an interruption, and with --show prints the tables of what there is.
"""

import argparse
import json
import shlex
import shutil
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import numpy as np

STRONG = ["--scale-min", "0.85", "--scale-max", "1.15", "--translation", "0.5"]
STUDENTS = {
    "few boxes alone": ["--stage", "s0"],
    "+ pseudo labels": ["--stage", "s3", "--compare", "none"],
    "+ strong augmentation": ["--stage", "s3", "--compare", "none", *STRONG],
    "+ consistency of the whole map": ["--stage", "s3", "--compare", "all", *STRONG],
    "+ point-guided instead": ["--stage", "s3", "--compare", "points", *STRONG],
    "all boxes": ["--stage", "s3", "--compare", "none", "--labelled", "100"],
    "all boxes, strong augmentation": ["--stage", "s3", "--compare", "none", "--labelled", "100", *STRONG],
}
TEACHERS = {
    "learned reference": ["--reference", "learned", "--no-cameras"],
    "explicit, no RoI grid": ["--roi-grid", "0", "--no-cameras"],
    "explicit + RoI grid (LiDAR)": ["--no-cameras"],
    "+ camera, no RoI grid": ["--roi-grid", "0"],
    "+ camera + RoI grid": [],
}
STUDENT_SCORES = ("mAP", "SPNDS", "mATE", "mASE", "mAOE")
TEACHER_SCORES = ("IoU", "centre", "yaw", "click IoU", "click centre")


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--data", required=True, help="rig folder to learn from")
    parser.add_argument("--teacher-data", help="rig folder with cameras, for the rows of the teacher")
    parser.add_argument("--validation", required=True, help="rig folder to judge by")
    parser.add_argument("--out", type=Path, required=True, help="folder of the runs")
    parser.add_argument("--labelled", default="1", help="percent of the frames that have boxes (default 1)")
    parser.add_argument("--seeds", type=int, default=2, help="seeds of split, weights and order (default 2)")
    parser.add_argument("--steps", type=int, default=1000, help="steps of every student (default 1000)")
    parser.add_argument("--teacher-steps", type=int, default=800, help="steps of every teacher (default 800)")
    parser.add_argument("--show", action="store_true", help="train nothing, print the tables")
    args = parser.parse_args()
    if not args.show:
        for seed in range(args.seeds):
            train_students(args, seed)
        if args.teacher_data:
            train_teachers(args)
    print(students_table(args))
    print(teachers_table(args))


def train_students(args: argparse.Namespace, seed: int) -> None:
    teacher = args.out / f"teacher-{seed}"
    common = ["--data", args.data, *_common(args, seed), "--no-cameras", "--labelled", args.labelled]
    for stage in ("s0", "s1", "s2"):
        _run(teacher, [*common, "--pretrain-steps", str(args.steps)], stage)
    for name, options in STUDENTS.items():
        if options[1] == "s0":
            continue  # it is the teacher's stage s0
        pseudo = ["--pseudo-labels", str(teacher / "s2/pseudo_labels.npz")]
        _run(args.out / f"{slug(name)}-{seed}", [*common, *pseudo, *options[2:]], options[1])


def train_teachers(args: argparse.Namespace) -> None:
    common = ["--data", args.teacher_data, *_common(args, 0), "--labelled", "20", "--pretrain-steps", str(args.steps)]
    begun = args.out / "teacher-begun"
    _run(begun, [*common, "--no-cameras"], "s0")
    for name, options in TEACHERS.items():
        out = args.out / f"teacher-{slug(name)}"
        if not (out / "s0").is_dir():  # the student that teachers begin with is the same for all
            shutil.copytree(begun / "s0", out / "s0")
        _run(out, [*common, *options], "s1")


def _common(args: argparse.Namespace, seed: int) -> list[str]:
    steps = ["--student-steps", str(args.steps), "--teacher-steps", str(args.teacher_steps)]
    seeds = ["--seed", str(seed), "--split-seed", str(seed)]
    validation = ["--validation", args.validation, "--validation-frames", "1000", "--validate-every", "1"]
    as_published = ["--rois", "0", "--wrong", "0"]  # a teacher that is asked what the paper's is
    return ["--preset", "compact", "--threads", "1", *as_published, *steps, *seeds, *validation]


def _run(out: Path, options: list[str], stage: str) -> None:
    """One stage of one run, unless it is done."""
    done = {"s2": out / "s2/pseudo_labels.npz"}.get(stage, out / stage / "weights.pt")
    if done.is_file():
        return
    begun = (out / "recipe.json").is_file()
    given = ["--resume"] if begun else [word for word in options if word != "--stage"]
    command = ["voxbox", "train", "point-detr3d", "--out", str(out), "--stage", stage, *given]
    print(shlex.join(command), flush=True)
    subprocess.run([sys.executable, "-m", "voxbox.cli", *command[1:]], check=True)


def slug(name: str) -> str:
    """A folder's name for a row's."""
    return "-".join("".join(c if c.isalnum() else " " for c in name).split())


def _scores(args: argparse.Namespace, name: str, options: list[str]) -> Iterator[dict[str, float]]:
    for seed in range(args.seeds):
        stage = options[1]
        run = args.out / (f"teacher-{seed}" if stage == "s0" else f"{slug(name)}-{seed}")
        if (run / stage / "weights.pt").is_file():
            yield json.loads((run / stage / "validation.json").read_text())["scores"]


def students_table(args: argparse.Namespace) -> str:
    """Means over the seeds, how far the seeds lie apart, and SPNDS as a part of the better row with all boxes."""
    lines = [f"{'student':32}{'seeds':>6}" + "".join(f"{s:>16}" for s in STUDENT_SCORES) + f"{'of all boxes':>14}"]
    full = [
        np.mean([scores["SPNDS"] for scores in found])
        for name, options in STUDENTS.items()
        if "100" in options and (found := list(_scores(args, name, options)))
    ]
    for name, options in STUDENTS.items():
        found = list(_scores(args, name, options))
        if not found:
            continue
        values = np.array([[scores[s] for s in STUDENT_SCORES] for scores in found])
        spread = np.ptp(values, axis=0) / 2
        cells = "".join(f"{m:>10.3f} ±{d:.3f}" for m, d in zip(values.mean(0), spread))
        part = f"{values[:, 1].mean() / max(full):>13.0%}" if full else ""
        lines.append(f"{name:32}{len(found):>6}{cells}{part}")
    return "\n".join(lines) + "\n"


def teachers_table(args: argparse.Namespace) -> str:
    """What each teacher makes of clicks, beside the clicks themselves."""
    lines = [f"{'teacher':32}" + "".join(f"{s:>14}" for s in TEACHER_SCORES)]
    for name in TEACHERS:
        file = args.out / f"teacher-{slug(name)}" / "s1" / "validation.json"
        if file.is_file():
            scores = json.loads(file.read_text())["scores"]
            lines.append(f"{name:32}" + "".join(f"{scores[s]:>14.3f}" for s in TEACHER_SCORES))
    return "\n".join(lines) + "\n"


if __name__ == "__main__":
    main()
