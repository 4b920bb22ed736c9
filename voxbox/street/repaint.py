"""Voxel samples with other pictures of the same scenes: `voxbox street repaint` (SSZ, section 3.4 and figure 6)."""

import argparse
from dataclasses import replace
from pathlib import Path

from tqdm import tqdm

from voxbox.street.folder import claim
from voxbox_core.datasets.voxel_folder import VoxelFolder, VoxelWriter
from voxbox_core.datasets.voxel_tables import write_tables
from voxbox_core.runtime.model import checksum


def configure_repaint(parser: argparse.ArgumentParser) -> None:
    parser.add_argument("folder", type=Path, help="folder of `voxbox street voxels`")
    parser.add_argument("out", type=Path, help="folder to write")
    parser.add_argument("--weights", type=Path, required=True, help="weights.pt of `voxbox train edges2image`")


def repaint(args: argparse.Namespace) -> dict:
    """Every image by its edges; voxels, depth and poses stay. Returns what was written. Raises InputError."""
    from voxbox.training.edges2image.networks import load_painter, repainted

    samples, painter = VoxelFolder(args.folder), load_painter(args.weights)
    claim(args.out, {"source": str(args.folder.resolve()), "painter": checksum(args.weights)})
    writer = VoxelWriter(args.out)
    missing = [i for i, name in enumerate(samples.names) if not writer.has(name)]
    for i in tqdm(missing, "painting", total=len(samples), initial=len(samples) - len(missing), unit="frame"):
        sample = samples[i]
        writer.write(replace(sample, image=repainted(painter, sample.image)))
    write_tables(args.out)
    print(f"{args.out}: {len(missing)} of {len(samples)} frames painted now")
    return {"out": str(args.out), "frames": len(samples), "painted": len(missing)}
