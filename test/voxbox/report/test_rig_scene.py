"""Pictures of a LiDAR and its cameras: what is drawn is where it belongs."""

import numpy as np
import pytest

from voxbox.report.rig_scene import SIDE, Mark, above_view, camera_view, camera_views, rig_scene
from voxbox_core.boxes import Axes, Boxes3D
from voxbox_core.camera import Camera
from voxbox_core.datasets.rig import RigSample, View

AHEAD = np.array([[0, -1, 0, 0], [0, 0, -1, 0], [1, 0, 0, 0], [0, 0, 0, 1.0]])
BACK = AHEAD @ np.diag([-1.0, -1, 1, 1])
CAMERA = Camera(np.array([[80.0, 0, 79.5], [0, 80, 44.5], [0, 0, 1]]), 160, 90)
CAR = Boxes3D([[10, 2, -1]], [[4, 1.8, 1.5]], [0.3], [0], [0.9], np.full((1, 4), np.nan), ("Car",), Axes.BODY)


def view(name: str, pose: np.ndarray) -> View:
    return View(name, np.full((90, 160, 3), 60, np.uint8), CAMERA, pose)


def sample(*views: View) -> RigSample:
    return RigSample("0", np.zeros((0, 5), np.float32), 1.7, views)


@pytest.mark.parametrize("count", range(7))
def test_any_number_of_cameras_gives_one_size_with_even_sides(count):
    views = [view(f"CAM_{i}", AHEAD) for i in range(count)]
    pictures = [rig_scene(sample(*views), boxes, "left", "right", 20.0) for boxes in (CAR, CAR[[]], None)]
    assert len({picture.shape for picture in pictures}) == 1
    assert all(side % 2 == 0 for side in pictures[0].shape[:2])


def test_a_box_is_drawn_only_in_the_camera_that_sees_it():
    nothing = [camera_view(view("CAM", pose), CAR[[]]) for pose in (AHEAD, BACK)]
    ahead, back = (camera_view(view("CAM", pose), CAR) for pose in (AHEAD, BACK))
    changed = np.argwhere((ahead != nothing[0]).any(-1))
    middle = CAMERA.project((AHEAD[:3, :3] @ CAR.center[0])[None])[0][0]
    assert np.abs(changed.mean(0) - middle[::-1]).max() < 12
    np.testing.assert_array_equal(back, nothing[1])


def test_a_click_is_marked_from_above_and_in_the_image():
    place = np.array([6.0, -3.0, -1.0])
    good, refused = (Mark(place, 3, "Car 0.90", good) for good in (True, False))
    pictures = [above_view(sample(), CAR[[]], 10.0, 400, marks) for marks in ([], [good], [refused])]
    assert (pictures[1][80, 260] == 255).all()  # 20 px a metre, forward up
    assert (pictures[2][80, 260] == (255, 96, 80)).all()
    x, y = CAMERA.project((AHEAD[:3, :3] @ place)[None])[0][0].astype(int)
    assert (camera_view(view("CAM", AHEAD), CAR[[]], [good])[y, x] > 200).all()
    untouched = camera_view(view("CAM", BACK), CAR[[]])
    np.testing.assert_array_equal(camera_view(view("CAM", BACK), CAR[[]], [good]), untouched)


def test_cameras_that_look_ahead_come_first_and_images_are_drawn_on_at_the_pictures_size():
    light = View("CAM_B", np.full((90, 160, 3), 240, np.uint8), CAMERA, BACK)
    picture = camera_views(sample(light, view("CAM_A", AHEAD)), CAR[[]])
    assert len(picture) == SIDE
    assert picture[SIDE // 4, 400].max() < 100 < picture[3 * SIDE // 4, 400].min()


def test_what_was_not_answered_says_so():
    answered, not_answered = (rig_scene(sample(), boxes, "", "", 20.0) for boxes in (CAR[[]], None))
    assert (answered != not_answered).any()
