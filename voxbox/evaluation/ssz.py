"""`voxbox evaluate ssz`: run SSZ over images with true voxels, and score it beside what needs no network."""

import argparse
from collections.abc import Callable, Sequence
from dataclasses import replace
from pathlib import Path

import cv2
import numpy as np
from tqdm import tqdm

from ssz_ros.reconstructor import SSZ
from voxbox.arguments import require_least
from voxbox.evaluation.ssz_poses import PoseErrors
from voxbox.evaluation.voxel_baselines import Prior, first_hits
from voxbox.evaluation.voxel_report import class_table, numbers, part_table
from voxbox.training.ssz.data import open_folders
from voxbox_core.datasets.voxel_folder import VoxelFolder
from voxbox_core.datasets.voxel_sample import VoxelSample
from voxbox_core.draw_voxels import comparison
from voxbox_core.errors import InputError
from voxbox_core.fruxel_file import save
from voxbox_core.metrics.voxels import Counts, count
from voxbox_core.ros.models import model_path
from voxbox_core.voxels import UNKNOWN, Voxels

MODEL, PRIOR, HITS, HITS_AND_PRIOR = "model", "prior", "true depth", "true depth + prior"
_PRIOR_FRAMES = 1000


def run(args: argparse.Namespace, names: Sequence[str] | None, folder: Path | None) -> dict[str, object]:
    require_least(args, limit=1, examples=0, threads=0)
    ssz = SSZ.open(model_path(args.model), args.backend, args.threads, args.precision)
    sources = open_folders(args.data, ssz.contract)
    chosen = _chosen(sources, names)[: args.limit]
    prior = _prior(open_folders(args.prior or (), ssz.contract))
    show = _pictures(folder, len(chosen), args.examples)
    poses = None if args.discriminator is None else PoseErrors.open(args.discriminator, ssz.contract)
    totals: dict[str, Counts] = {}
    for number, (source, i) in enumerate(tqdm(chosen, "reconstructing", unit="frame")):
        sample = sources[source][i]
        found = ssz(sample.image, sample.camera)
        truth = _seen(sample.voxels, found)
        for name, voxels in {MODEL: found, **baselines(truth, prior)}.items():
            counts = count(voxels, truth)
            totals[name] = totals[name] + counts if name in totals else counts
        show(number, sample, found)
        if poses is not None:
            poses.add(sample, truth, found)
    print(f"{len(chosen)} frames\n\n{class_table(totals)}\n\n{part_table(totals)}")
    if poses is not None:
        print(f"\n{poses.table()}")
    if prior and folder is not None:
        save(folder / "prior.npz", prior.voxels)
    result: dict[str, object] = {name: numbers(counts) for name, counts in totals.items()}
    return {
        **result,
        "poses": None if poses is None else poses.means,
        "frames": len(chosen),
        "model_name": args.model,
        "backend": ssz.backend,
        "precision": ssz.precision,
    }


def baselines(truth: Voxels, prior: Prior | None) -> dict[str, Voxels]:
    """What is predicted of a sample without a network, by name."""
    hits = first_hits(truth)
    if prior is None:
        return {HITS: hits}
    return {PRIOR: prior.voxels, HITS: hits, HITS_AND_PRIOR: prior.behind(hits)}


def _chosen(sources: Sequence[VoxelFolder], names: Sequence[str] | None) -> list[tuple[int, int]]:
    """Source and number of each frame to judge. Raises InputError for a name that no source has."""
    every = {(source, i): folder.names[i] for source, folder in enumerate(sources) for i in range(len(folder))}
    if names is None:
        return list(every)
    wanted = set(names)
    if missing := sorted(wanted - set(every.values())):
        raise InputError(f"frame {missing[0]}", "absent", "a frame of the folders", "Check the frame list.")
    return [place for place, name in every.items() if name in wanted]


def _prior(sources: Sequence[VoxelFolder]) -> Prior | None:
    """Of at most some frames of each folder, evenly spread; None without folders."""
    if not sources:
        return None
    chosen = [
        (folder, int(i))
        for folder in sources
        for i in np.unique(np.linspace(0, len(folder) - 1, min(_PRIOR_FRAMES, len(folder))).round())
    ]
    return Prior.of(folder[i].voxels for folder, i in tqdm(chosen, "prior", unit="frame"))


def _seen(truth: Voxels, found: Voxels) -> Voxels:
    """The truth of the columns that the image reaches: of the others nothing can be asked."""
    labels = np.where(found.labels == UNKNOWN, np.uint8(UNKNOWN), truth.labels)
    return replace(truth, labels=labels)


def _pictures(folder: Path | None, count: int, pictures: int) -> Callable[[int, VoxelSample, Voxels], None]:
    """Draws `pictures` of `count` frames, evenly spread: image, truth and prediction."""
    chosen = set(np.linspace(0, count - 1, min(pictures, count)).astype(int).tolist()) if folder else set()

    def show(number: int, sample: VoxelSample, found: Voxels) -> None:
        if folder is None or number not in chosen:
            return
        (folder / "examples").mkdir(exist_ok=True)
        sheet = comparison(sample.image, sample.voxels, found)
        cv2.imwrite(str(folder / "examples" / f"{sample.name}.jpg"), sheet[..., ::-1])

    return show
