"""Run KM3D over frames: one pass of the network per frame, however many ways its keypoints are used."""

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path

import torch
from tqdm import tqdm

from km3d_ros.codec import NEAREST
from km3d_ros.contract import Contract
from km3d_ros.detector import KM3D
from km3d_ros.geometry import fit_location, subset_weights
from voxbox.evaluation.sources import Frame, Frames
from voxbox_core.boxes import Boxes3D
from voxbox_core.datasets.kitti import Labels, from_boxes, write_labels
from voxbox_core.datasets.sample import Sample

# Which boxes a frame has, by variant; "" is the detector as it is, "4" with its geometry solved from 4 keypoints,
# "4 without depth head" with these alone.
Detect = Callable[[Sample], Mapping[str, Boxes3D]]
PLAIN = ""


@dataclass(frozen=True)
class Detected:
    """Label rows by frame: the truth, and the detections of each variant."""

    truth: list[Labels] = field(default_factory=list)
    variants: dict[str, list[Labels]] = field(default_factory=dict)


def detect_with(detector: KM3D, keypoints: Sequence[int] = ()) -> Detect:
    """The detector itself, and with its boxes placed by other numbers of keypoints, with its depth head and without."""

    def detect(sample: Sample) -> dict[str, Boxes3D]:
        if not keypoints:
            return {PLAIN: detector(sample.image, sample.camera)}
        inputs = detector.preprocess(sample.image, sample.camera)
        outputs = detector.run(inputs)
        found = {PLAIN: detector.postprocess(outputs, sample.camera)}
        points, size, yaw = (torch.from_numpy(outputs[n]) for n in ("keypoints", "size", "yaw"))
        intrinsics = torch.from_numpy(inputs["intrinsics"])[:, None]
        for variant, (count, with_head) in variants(detector.contract, keypoints).items():
            weights = subset_weights(count, points)
            depth = torch.from_numpy(outputs["depth"]) if with_head else None
            center, valid = fit_location(points, size, yaw, intrinsics, weights, depth)
            placed = (valid & (center[..., 2] > NEAREST)).numpy()
            moved = {"center": center.numpy(), "score": outputs["score"] * placed}
            found[variant] = detector.postprocess({**outputs, **moved}, sample.camera)
        return found

    return detect


def variants(contract: Contract, keypoints: Sequence[int]) -> dict[str, tuple[int, bool]]:
    """Name -> how many keypoints place the boxes, and whether the depth head helps."""
    ways = {str(count): (count, contract.depth_head) for count in keypoints}
    if contract.depth_head:
        ways |= {f"{count} without depth head": (count, False) for count in keypoints}
    return ways


def detect_frames(
    detect: Detect,
    frames: Frames,
    folder: Path | None = None,
    show: Callable[[int, Frame, Boxes3D], None] | None = None,
) -> Detected:
    """Detect in every frame, with progress.

    folder: where to write truth/NAME.txt and detections/NAME.txt, nowhere when None.
    show: called with every frame's number, the frame, and its boxes.
    """
    result = Detected()
    with tqdm(frames.frames, "detecting", total=frames.count, unit="frame") as progress:
        for index, frame in enumerate(progress):
            found = detect(frame.sample)
            result.truth.append(frame.truth)
            for variant, boxes in found.items():
                result.variants.setdefault(variant, []).append(from_boxes(boxes, frame.calibration))
            if folder is not None:
                write_labels(folder / "truth" / f"{frame.sample.name}.txt", frame.truth)
                write_labels(folder / "detections" / f"{frame.sample.name}.txt", result.variants[PLAIN][-1])
            if show is not None:
                show(index, frame, found[PLAIN])
    return result
