"""What is packed is the data set, smaller."""

import numpy as np
import pytest

from voxbox_core.boxes import Boxes3D
from voxbox_core.camera import Camera
from voxbox_core.datasets.packed import PackedSamples, fingerprint, pack, reduced
from voxbox_core.datasets.sample import Sample
from voxbox_core.errors import InputError


def frame(name, width, height, count, classes=("Car", "Van")):
    rng = np.random.default_rng(count)
    boxes = Boxes3D(
        center=rng.normal(size=(count, 3)) + np.array([0, 0, 20]),
        size=np.ones((count, 3)),
        yaw=rng.normal(size=count),
        label=np.arange(count) % 2,
        score=np.ones(count),
        box2d=np.tile([0.0, 1.0, width - 1.0, 9.0], (count, 1)),
        classes=classes,
    )
    camera = Camera(np.array([[200.0, 0, width / 2], [0, 200.0, height / 2], [0, 0, 1]]), width, height)
    image = rng.integers(0, 256, (height, width, 3)).astype(np.uint8)
    return Sample(name, image, camera, boxes, np.zeros(count), np.arange(count), np.zeros((count, 4)))


def test_packed_samples_are_the_samples(tmp_path):
    frames = [frame("a", 60, 20, 2), frame("b", 50, 30, 0), frame("c", 40, 24, 3, ("Pedestrian", "Car"))]
    packed = pack(frames, tmp_path / "pack", 64, progress=False)
    assert len(packed) == 3 and packed.classes == ("Car", "Pedestrian", "Van")
    for source, kept in zip(frames, PackedSamples(tmp_path / "pack"), strict=True):
        assert kept.name == source.name and kept.boxes.names() == source.boxes.names()
        assert np.array_equal(kept.image, source.image)
        assert np.array_equal(kept.boxes.center, source.boxes.center)
        assert np.array_equal(kept.occlusion, source.occlusion) and len(kept.dont_care) == len(source.dont_care)
    assert [p.name for p in tmp_path.iterdir()] == ["pack"]


def test_a_reduced_sample_projects_to_the_reduced_pixels():
    source = frame("a", 60, 20, 2)
    small = reduced(source, 30)
    assert small.image.shape == (10, 30, 3)
    before, _ = source.camera.project(source.boxes.center)
    after, _ = small.camera.project(small.boxes.center)
    assert np.allclose(after, (before + 0.5) / 2 - 0.5)  # pixel centres are integers
    assert np.allclose(small.boxes.box2d[:, :2], (source.boxes.box2d[:, :2] + 0.5) / 2 - 0.5)


def test_nothing_is_left_of_a_packing_that_failed(tmp_path):
    unlabelled = Sample("x", frame("x", 8, 8, 0).image, frame("x", 8, 8, 0).camera)
    with pytest.raises(InputError, match="boxes of x"):
        pack([frame("a", 60, 20, 2), unlabelled], tmp_path / "pack", 64, progress=False)
    with pytest.raises(InputError, match="empty"):
        pack([], tmp_path / "pack", 64, progress=False)
    assert list(tmp_path.iterdir()) == []


def test_a_fingerprint_changes_with_a_file_and_a_parameter(tmp_path):
    file = tmp_path / "a.txt"
    file.write_text("1")
    first = fingerprint([file], 64)
    assert first == fingerprint([file], 64) != fingerprint([file], 65)
    file.write_text("22")
    assert fingerprint([file], 64) != first
