"""What an annotator's session keeps, and what it says when it cannot keep it."""

from dataclasses import dataclass
from types import SimpleNamespace

import numpy as np
from std_msgs.msg import Header

from msgs.prompts import Click
from point_detr3d_ros.contract import Contract
from point_detr3d_ros.ground import Mount
from point_detr3d_ros.session import Frame, Session
from voxbox_core.boxes import Axes, Boxes3D

MOST = 200


@dataclass
class Surest:
    """Answers every click with a car on its place."""

    contract = Contract()

    def label_of(self, name):
        return 0

    def ask(self, encoded, points, labels):
        count = len(points)
        columns = np.tile(self.contract.mean_sizes[0], (count, 1)), np.zeros(count), np.zeros(count, np.int64)
        return Boxes3D(points, *columns, np.ones(count), np.full((count, 4), np.nan), self.contract.classes, Axes.BODY)


def place(click, frame):
    return click.point


def session_on_a_frame():
    session = Session(Surest())
    session.frame = Frame(Header(frame_id="lidar"), np.zeros((0, 5), np.float32), Mount(1.7), SimpleNamespace())
    return session


def clicks(count, first=0):
    """Six metres from one another, none in the place of another."""
    numbers = np.arange(first, first + count)
    x, y = -49 + 6.0 * (numbers % 17), -49 + 6.0 * (numbers // 17)
    return [Click(np.array([a, b, -1.0]), "lidar") for a, b in zip(x, y)]


def test_as_many_boxes_wait_as_may_without_a_word():
    session = session_on_a_frame()
    answer = session.ask(clicks(MOST), place, "", 0.1)
    assert len(answer.boxes) == session.waiting == MOST and not answer.refused


def test_the_oldest_that_are_let_go_are_told():
    session = session_on_a_frame()
    session.ask(clicks(MOST - 1), place, "", 0.1)
    answer = session.ask(clicks(3, MOST), place, "", 0.1)
    (told,) = map(str, answer.refused)
    assert "boxes that wait is 202; expected at most 200" in told and "the 2 oldest are let go" in told
    assert session.waiting == MOST
    kept = []
    session.accept(kept.append)
    np.testing.assert_array_equal(kept[0].place, clicks(3)[2].point)
    assert len(answer.boxes) == 3
