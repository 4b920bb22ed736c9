"""An annotator's session: clicks on the frame on display become boxes, which wait to be accepted or withdrawn."""

import threading
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field, replace
from typing import Any

import numpy as np

from msgs.prompts import Click
from point_detr3d_ros.assist import Assist, Encoded, doubts, point_of_pixel, require_in_range
from point_detr3d_ros.detector import SAME_PLACE
from point_detr3d_ros.ground import Mount
from point_detr3d_ros.label_file import AcceptedBox
from voxbox_core.boxes import Axes, Boxes3D, iou_bev
from voxbox_core.datasets.rig import View
from voxbox_core.errors import InputError

_MOST_PENDING = 200  # boxes that wait


@dataclass(frozen=True)
class Frame:
    """What is on display.

    header: of the cloud.  points: (P, 5) in the LiDAR's frame.  mount: how that frame stands.  encoded: in its level
    frame.  views: by the cameras' names, camera_from_lidar from the level frame.
    """

    header: Any
    points: np.ndarray
    mount: Mount
    encoded: Encoded
    views: dict[str, View] = field(default_factory=dict)


@dataclass(frozen=True)
class Answer:
    """boxes: N, in the frame of the header.  places: (N, 3) m, same frame, of the clicks that they answer.  refused:
    what was not answered, or does not wait any longer, and why."""

    header: Any
    boxes: Boxes3D
    places: np.ndarray
    clicks: list[Click]
    refused: list[InputError]


@dataclass(frozen=True)
class Kept:
    """One answered box and the place of its click, (3,) m, in the frame of the header."""

    header: Any
    box: Boxes3D
    place: np.ndarray
    source: str


# A click and a frame -> the place meant in the LiDAR's frame, (3,) m. Raises InputError where it cannot be known.
Place = Callable[[Click, Frame], np.ndarray]


class Session:
    """The frame on display, and the answers given to clicks on it. Its methods may be called in several threads."""

    def __init__(self, assist: Assist) -> None:
        self.assist = assist
        self.frame: Frame | None = None
        self._lock = threading.Lock()
        self._pending: list[Kept] = []
        self._accepted: list[Kept] = []

    def ask(self, clicks: Sequence[Click], place: Place, otherwise: str, least: float) -> Answer:
        """A box for each click, as far as there is one worth showing.

        otherwise: the class where a click has none, "" to find it out.  least: score. Raises InputError when nothing is
        on display yet.
        """
        frame = self.on_display()
        contract, mount = self.assist.contract, frame.mount
        asked, refused = [], []
        for click in clicks:
            try:
                point, label = place(click, frame), self.assist.label_of(click.name or otherwise)
                require_in_range(mount.levelled(point[None])[0], contract, mount.height)
                asked.append((click, point, label))
            except InputError as error:
                refused.append(error)
        places = np.array([point for _, point, _ in asked]).reshape(-1, 3)
        standing = mount.levelled(places)
        boxes = self.assist.ask(frame.encoded, standing, [label for _, _, label in asked])
        against = doubts(boxes, standing, contract, least)
        sound = np.array([doubt is None for doubt in against], bool)
        refused += [doubt for doubt in against if doubt is not None]
        answered = [click for (click, _, _), good in zip(asked, sound) if good]
        answer = Answer(frame.header, mount.back(boxes[sound]), places[sound], answered, refused)
        lost = self._keep(answer)
        return replace(answer, refused=[*refused, _too_many(lost)]) if lost else answer

    def pixel_click(self, camera: str, pixel: np.ndarray) -> Click:
        """A click (2,) px in the rectified image of a camera. Raises InputError where that camera took no part in the
        frame on display, or the pixel shows neither points nor ground."""
        frame = self.on_display()
        view = frame.views.get(camera)
        if view is None:
            seen = ", ".join(frame.views) or "none"
            raise InputError("camera of a click", camera, f"one of the frame on display ({seen})", "Click elsewhere.")
        standing = frame.mount.levelled(frame.points)
        point = point_of_pixel(pixel, standing, view.camera, view.camera_from_lidar, frame.mount.height)
        return Click(frame.mount.lidar_from_level[:3, :3] @ point, frame.header.frame_id, source=f"click in {camera}")

    def accept(self, write: Callable[[Kept], None]) -> int:
        """Gives all that wait to `write`, one by one; how many. What it raises passes, and the rest waits on."""
        count = 0
        with self._lock:
            while self._pending:
                write(self._pending[0])
                self._accepted.append(self._pending.pop(0))
                count += 1
        return count

    def reject(self) -> Kept | None:
        """Withdraws the last one that waits; None where there is none."""
        with self._lock:
            return self._pending.pop() if self._pending else None

    @property
    def waiting(self) -> int:
        """How many boxes wait to be accepted."""
        return len(self._pending)

    def shown(self, header: Any) -> Boxes3D:
        """The boxes of a frame that were not withdrawn, in its order."""
        with self._lock:
            boxes = [kept.box for kept in (*self._accepted, *self._pending) if kept.header.stamp == header.stamp]
        return Boxes3D.concatenate([Boxes3D.empty(self.assist.contract.classes, Axes.BODY), *boxes])

    def on_display(self) -> Frame:
        """The frame that clicks are answered on. Raises InputError before the first."""
        if self.frame is None:
            raise InputError("frame for a click", "missing", "a cloud that was encoded", "Wait for the first cloud.")
        return self.frame

    def _keep(self, answer: Answer) -> int:
        """New boxes wait; one in the place of another that waits on the same frame takes its place. The oldest go where
        there are too many; how many."""
        new = [
            Kept(answer.header, answer.boxes[[i]], answer.places[i], click.source)
            for i, click in enumerate(answer.clicks)
        ]
        with self._lock:
            self._accepted = [kept for kept in self._accepted if kept.header.stamp == answer.header.stamp]
            for kept in new:
                self._pending = [old for old in self._pending if not _same_place(old, kept)]
                self._pending.append(kept)
            lost = max(len(self._pending) - _MOST_PENDING, 0)
            self._pending = self._pending[lost:]
        return lost


def accepted(kept: Kept) -> AcceptedBox:
    """The line of the label file for an accepted box."""
    box, header = kept.box, kept.header
    return AcceptedBox(
        stamp=header.stamp.sec + 1e-9 * header.stamp.nanosec,
        frame_id=header.frame_id,
        class_name=box.names()[0],
        center=tuple(box.center[0]),
        size=tuple(box.size[0]),
        yaw=box.yaw[0],
        click=tuple(kept.place),
        score=box.score[0],
        source=kept.source,
    )


def _too_many(lost: int) -> InputError:
    remedy = f"Accept or reject them in time: the {lost} oldest are let go."
    return InputError("boxes that wait", _MOST_PENDING + lost, f"at most {_MOST_PENDING}", remedy)


def _same_place(old: Kept, new: Kept) -> bool:
    return old.header.stamp == new.header.stamp and float(iou_bev(old.box, new.box)[0, 0]) > SAME_PLACE
