"""The ablation of SSZ (section 4.5 of its paper) on one budget: what poses and inverted residuals are worth.

    voxbox street voxels data/near-a --grid paper --frames 3000 --moments 3 --seed 20000
    voxbox street voxels data/near-val --grid paper --frames 240 --moments 1 --seed 1000000
    .venv/bin/python scripts/ssz_tables.py --data data/near-a --validation data/near-val --out runs/ssz-tables

Every row is a `voxbox train ssz --preset compact` of the same number of steps: the paper's frustum, in 32^3
cells; volumetric blocks with their pointwise convolution first, unlike the paper's (`--order`). The commands are
printed. What is done is kept: the same command goes on after an interruption, and with --show prints the table of what
there is.
"""

import argparse
import json
import shlex
import subprocess
import sys
from pathlib import Path

import numpy as np

ROWS = {
    "SSZ": [],
    "no 6D pose": ["--no-discriminator"],
    "no 2D inverted residuals": ["--no-inverted-2d"],
    "no 2D + 3D inverted residuals": ["--no-inverted-2d", "--no-inverted-3d"],
    "Z-GAN": ["--architecture", "zgan"],
    "channels to depth, no 6D pose": [
        *("--architecture", "c2d", "--no-discriminator"),
        *("--encoder", "32", "64", "128", "256", "320", "--decoder", "192", "128", "128"),
    ],
}
"""The last one is not of the paper: the released model's kind of network."""

CLASSES = ("person", "car", "van", "building", "bicycle", "bus", "truck", "tree", "ground")
"""In the order of the paper's Table 2."""

SCORES = ("IoU", *(f"IoU/{name}" for name in CLASSES), "visible", "occluded", "geometric")


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--data", required=True, help="folder of voxels to learn from")
    parser.add_argument("--validation", required=True, help="folder of voxels to judge by")
    parser.add_argument("--out", type=Path, required=True, help="folder of the runs")
    parser.add_argument("--seeds", type=int, default=2, help="seeds of weights and order (default 2)")
    parser.add_argument("--steps", type=int, default=2000, help="steps of every run (default 2000)")
    parser.add_argument("--batch", type=int, default=8, help="images per step (default 8)")
    parser.add_argument("--rows", nargs="+", choices=ROWS, default=list(ROWS), help="only these (default all)")
    parser.add_argument("--show", action="store_true", help="train nothing, print the table")
    args = parser.parse_args()
    if not args.show:
        for seed in range(args.seeds):
            for name in args.rows:
                train(args, name, seed)
    print(table(args))


def train(args: argparse.Namespace, name: str, seed: int) -> None:
    """One run, unless it is done."""
    out = folder(args, name, seed)
    if (out / "weights.pt").is_file():
        return
    length = ["--steps", str(args.steps), "--batch", str(args.batch), "--seed", str(seed)]
    validation = ["--validation", args.validation, "--validation-frames", "1000", "--validate-every", "1"]
    options = ["--preset", "compact", "--data", args.data, *length, *validation, "--threads", "1", *ROWS[name]]
    given = ["--resume"] if (out / "recipe.json").is_file() else options
    command = ["voxbox", "train", "ssz", "--out", str(out), *given]
    print(shlex.join(command), flush=True)
    subprocess.run([sys.executable, "-m", "voxbox.cli", *command[1:]], check=True)
    if not (out / "weights.pt").is_file():
        sys.exit("stopped; the same command goes on")


def folder(args: argparse.Namespace, name: str, seed: int) -> Path:
    """Of a run."""
    return Path(args.out) / f"{'-'.join(''.join(c if c.isalnum() else ' ' for c in name).split())}-{seed}"


def table(args: argparse.Namespace) -> str:
    """Means over the seeds, and how far the seeds' means over the classes lie apart, halved. A class that the
    validation data lacks is left out."""
    lines = [f"{'3D IoU':32}{'seeds':>6}{'mean':>15}" + "".join(f"{s.removeprefix('IoU/'):>10}" for s in SCORES[1:])]
    for name in ROWS:
        done = [run for seed in range(args.seeds) if (run := folder(args, name, seed) / "weights.pt").is_file()]
        found = [json.loads((run.parent / "validation.json").read_text())["scores"] for run in done]
        if not found:
            continue
        values = np.array([[scores.get(s, np.nan) for s in SCORES] for scores in found])
        first = f"{values[:, 0].mean():>9.3f} ±{np.ptp(values[:, 0]) / 2:.3f}"
        cells = "".join(f"{'-':>10}" if np.isnan(v) else f"{v:>10.3f}" for v in values[:, 1:].mean(0))
        lines.append(f"{name:32}{len(found):>6}{first}{cells}")
    return "\n".join(lines)


if __name__ == "__main__":
    main()
