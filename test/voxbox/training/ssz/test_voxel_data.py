"""What a generator is trained on: mirrored worlds, an order that can be taken up anywhere, grids that fit."""

from dataclasses import replace

import numpy as np
import pytest
from scipy.spatial.transform import Rotation
from toy_scenes import CONTRACT, FACING_AHEAD, Scene

from voxbox.training.ssz import data
from voxbox.training.ssz.data import Draws, Frame, Frames, appearance, mirrored_poses
from voxbox.training.ssz.recipe import Recipe
from voxbox_core.datasets.augment import Augmentation
from voxbox_core.datasets.voxel_folder import VoxelFolder
from voxbox_core.errors import InputError
from voxbox_core.voxels import AIR, CLASSES, UNKNOWN


def recipe(**changed):
    return Recipe(data=("unused",), **changed)


def test_a_mirrored_frame_is_the_frame_of_the_mirrored_world():
    scene = Scene.draw(np.random.default_rng(1))
    frame, mirrored = (Frame.of(s.sample("x"), CONTRACT) for s in (scene, scene.mirrored))
    ours = frame.mirrored()
    np.testing.assert_array_equal(ours.image, mirrored.image)
    np.testing.assert_array_equal(ours.labels, mirrored.labels)
    np.testing.assert_allclose(ours.poses.translation, mirrored.poses.translation, atol=1e-12)
    # The toy's quaternions are of the yaw alone: the same rotation, but for the sign of a half turn.
    np.testing.assert_allclose(_matrices(ours.poses), _matrices(mirrored.poses), atol=1e-12)
    assert (frame.labels != mirrored.labels).any()


def test_a_pose_mirrored_twice_is_itself_and_right_stays_right():
    scene = Scene.draw(np.random.default_rng(2))
    tilted = Rotation.from_euler("xyz", [0.3, -0.8, 2.0]).as_matrix() @ FACING_AHEAD
    quaternion = Rotation.from_matrix(tilted).as_quat()[[3, 0, 1, 2]]
    quaternion *= np.sign(quaternion[0])
    poses = replace(scene.poses(), rotation=np.tile(quaternion, (3, 1)))
    once = mirrored_poses(poses)
    np.testing.assert_allclose(_matrices(mirrored_poses(once)), _matrices(poses), atol=1e-12)
    forward, up = _matrices(once)[0, :, 0], _matrices(once)[0, :, 2]
    np.testing.assert_allclose(forward, tilted[:, 0] * (-1, 1, 1), atol=1e-12)
    np.testing.assert_allclose(up, tilted[:, 2] * (-1, 1, 1), atol=1e-12)


def _matrices(poses):
    return Rotation.from_quat(poses.rotation[:, [1, 2, 3, 0]]).as_matrix()


def test_every_pass_has_all_frames_and_a_draw_is_always_the_same(toy):
    frames = Frames([str(toy)], CONTRACT, kept=7)
    plain = Draws(frames, recipe(flip=0.0, appearance=0.0))
    images = [plain[n].image.tobytes() for n in range(40)]
    assert len(set(images[:20])) == 20 and set(images[:20]) == set(images[20:]) and images[:20] != images[20:]
    varied, again = (Draws(Frames([str(toy)], CONTRACT, kept), recipe()) for kept in (0, 100))
    for n in (3, 25, 3):
        a, b = varied[n], again[n]
        np.testing.assert_array_equal(a.image, b.image)
        np.testing.assert_array_equal(a.labels, b.labels)
        np.testing.assert_array_equal(a.poses.rotation, b.poses.rotation)


def test_two_folders_are_one_and_frequencies_are_of_cells(toy):
    frames = Frames([str(toy), str(toy)], CONTRACT, kept=100)
    assert len(frames) == 40
    np.testing.assert_array_equal(frames[3].labels, frames[23].labels)
    folder = VoxelFolder(toy)
    labels = np.stack([folder[i].voxels.labels for i in range(20)])
    np.testing.assert_allclose(frames.frequencies(), [(labels == c).mean() for c in range(len(CLASSES))])


def test_a_class_that_few_frames_have_is_found(toy, monkeypatch):
    """A class that were counted as absent would have no weight, and never be learned."""
    monkeypatch.setattr(data, "_COUNTED_FRAMES", 4)
    monkeypatch.setattr(Frames, "__getitem__", lambda self, i: Frame(None, rare[i], None))
    rare = np.zeros((20, *CONTRACT.fruxel.shape), np.uint8)
    rare[7] = CLASSES.index("bicycle")
    assert Frames([str(toy)], CONTRACT, kept=0).frequencies()[CLASSES.index("bicycle")] == 1 / 20


def test_what_the_image_does_not_reach_is_unknown():
    sample = Scene.draw(np.random.default_rng(3)).sample("x")
    narrow = sample.camera.warped(np.array([[1.0, 0, -8], [0, 1, 0]]), 16, 32)
    frame = Frame.of(replace(sample, image=sample.image[:, 8:24], camera=narrow, depth=None), CONTRACT)
    assert (frame.labels[:, :, :4] == UNKNOWN).all() and (frame.labels[:, :, 12:] == UNKNOWN).all()
    np.testing.assert_array_equal(frame.labels[:, :, 4:12], sample.voxels.labels[:, :, 4:12])
    assert (frame.labels == AIR).any()


def test_a_folder_of_another_grid_is_refused(toy):
    with pytest.raises(InputError, match="grid of .*toy"):
        Frames([str(toy)], replace(CONTRACT, far=20.0), kept=0)


def test_labels_of_other_classes_are_refused():
    sample = Scene.draw(np.random.default_rng(3)).sample("x")
    other = replace(sample, voxels=replace(sample.voxels, classes=(*CLASSES[:-1], "road")))
    with pytest.raises(InputError, match="classes of x"):
        Frame.of(other, CONTRACT)


def test_appearance_leaves_geometry_alone():
    assert appearance(0.0) == Augmentation.none()
    full = appearance(1.0)
    assert full.hue == Augmentation().hue and (full.flip, full.shade, full.shift, full.scale_max) == (0, 0, 0, 1)
