"""Clicks and prompts: messages -> the places and classes they name. Duck-typed, as the other readers."""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np


@dataclass(frozen=True)
class Click:
    """A place at which somebody says there is an object.

    point: (3,) m, in the frame `frame_id`; NaN where that was sent.  name: of the object's class, "" where it was not
    said.  id: of the prompt, for whoever sent it; "" for a click.  source: what it came from, for people.
    """

    point: np.ndarray
    frame_id: str
    name: str = ""
    id: str = ""
    source: str = ""


def read_click(message: Any, name: str = "") -> Click:
    """A PointStamped -> the click. Its stamp is not used: RViz writes the wall clock there, whatever it displays."""
    return Click(_place(message.point), str(message.header.frame_id), name, source="click")


def read_prompts(message: Any) -> list[Click]:
    """A Detection3DArray, of which the positions, the classes and the ids count -> clicks, in its order.

    A detection of several results is of the best one's class, and one of none is of any. Each may have a header of its
    own; the array's holds where it has not.
    """
    clicks = []
    for detection in message.detections:
        results = list(detection.results)
        name = str(max(results, key=lambda r: r.hypothesis.score).hypothesis.class_id) if results else ""
        frame_id = str(detection.header.frame_id or message.header.frame_id)
        clicks.append(Click(_place(detection.bbox.center.position), frame_id, name, str(detection.id), "prompt"))
    return clicks


def identified(array: Any, ids: Sequence[str]) -> Any:
    """A Detection3DArray whose detections bear these ids, so that who asked finds the answer."""
    for detection, name in zip(array.detections, ids, strict=True):
        detection.id = name
    return array


def _place(position: Any) -> np.ndarray:
    return np.array([position.x, position.y, position.z], np.float64)
