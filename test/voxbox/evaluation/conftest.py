"""Labelled frames, and a detector that knows their truth."""

from collections.abc import Callable
from dataclasses import replace
from pathlib import Path

import cv2
import numpy as np
import pytest

from km3d_ros.contract import Contract
from km3d_ros.detector import KM3D
from voxbox_core.boxes import Boxes3D
from voxbox_core.camera import Camera
from voxbox_core.datasets.kitti import Calibration, from_boxes, write_calib, write_labels
from voxbox_core.datasets.sample import Sample

CAMERA = Camera(np.array([[70.0, 0, 63.5], [0, 70, 31.5], [0, 0, 1]]), 128, 64)
CARS = 12  # of 60 over five frames: enough for a whole curve


def _sample(number: int, width: int) -> Sample:
    """Cars side by side; the image's first pixel carries the frame's number, for the oracle to recognise."""
    image = np.full((64, width, 3), 60, np.uint8)
    image[0, 0] = number
    place = np.arange(CARS)
    boxes = Boxes3D(
        center=np.stack([6.0 * place - 30, np.full(CARS, 0.9), 20.0 + number + place], -1),
        size=np.tile([4.0, 1.6, 1.5], (CARS, 1)),
        yaw=np.linspace(-2, 2, CARS),
        label=np.zeros(CARS),
        score=np.ones(CARS),
        box2d=np.stack([9 * place, 0 * place, 9 * place + 8, 0 * place + 50], -1),
        classes=("Car",),
    )
    camera = Camera(CAMERA.intrinsics, width, 64)
    return Sample(str(number), image, camera, boxes, np.zeros(CARS), np.zeros(CARS, np.int64))


def _write(root: Path, samples: list[Sample]) -> Path:
    for part in ("image_2", "calib", "label_2"):
        (root / part).mkdir(parents=True)
    for sample in samples:
        assert sample.boxes is not None
        calibration = Calibration.of_camera(sample.camera.intrinsics)
        cv2.imwrite(str(root / "image_2" / f"{sample.name}.png"), sample.image[..., ::-1])
        write_calib(root / "calib" / f"{sample.name}.txt", calibration)
        rows = from_boxes(sample.boxes, calibration, sample.truncation, sample.occlusion)
        write_labels(root / "label_2" / f"{sample.name}.txt", rows)
    return root


@pytest.fixture
def frames() -> list[Sample]:
    """Five frames, of two sizes."""
    return [_sample(i, 128 if i < 3 else 160) for i in range(5)]


@pytest.fixture
def write_folder() -> Callable[[Path, list[Sample]], Path]:
    """Writes frames as a folder in KITTI layout."""
    return _write


@pytest.fixture
def data(tmp_path, frames) -> Path:
    return _write(tmp_path / "data", frames)


@pytest.fixture
def oracle(monkeypatch, frames):
    """In place of a trained model: it knows the truth by the frame's first pixel, and is `oracle.shift` m off."""

    class Oracle:
        backend, precision, shift, contract = "oracle", "exact", 0.0, Contract()

        def __call__(self, image: np.ndarray, camera: Camera) -> Boxes3D:
            assert image.shape[:2] == (camera.height, camera.width)
            truth = frames[image[0, 0, 0]].boxes
            assert truth is not None
            score = np.linspace(0.5, 0.9, CARS)
            return replace(truth, center=truth.center + np.array([self.shift, 0, 0]), score=score)

    model = Oracle()
    monkeypatch.setattr("voxbox.evaluation.km3d.model_path", Path)  # no released model is needed
    monkeypatch.setattr(KM3D, "open", lambda *args, **kwargs: model)
    return model
