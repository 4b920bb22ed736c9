"""Boxes3D -> visualization_msgs/MarkerArray: one LINE_LIST skeleton for all boxes, one text each."""

import math
from typing import Any

import numpy as np

from voxbox_core.boxes import Axes, Boxes3D

# The twelve edges of a box in Boxes3D's corner order, and a nose: from the front face's bottom edge to its centre top.
_EDGES = ((0, 1), (1, 2), (2, 3), (3, 0), (4, 5), (5, 6), (6, 7), (7, 4), (0, 4), (1, 5), (2, 6), (3, 7))
_HEADING = ((0, 5), (1, 4))  # a cross on the front face
_LINES = np.array(_EDGES + _HEADING)

_LINE_WIDTH = 0.06  # m
_TEXT_HEIGHT = 0.6  # m
_TEXT_ABOVE = 0.4  # m above the box

Colour = tuple[int, int, int]


class Markers:
    """Makes the marker array of each frame and remembers how many texts the last one left to be deleted.

    lifetime: seconds after which RViz forgets the markers if nothing follows.  colours: RGB 0..255 of each class.
    """

    def __init__(self, lifetime: float, colours: dict[str, Colour], other: Colour = (200, 200, 200)) -> None:
        self.lifetime = lifetime
        self._colours = colours
        self._other = other
        self._shown = 0

    def of(self, boxes: Boxes3D, header: Any) -> Any:
        """N boxes -> MarkerArray: ns `boxes` id 0, ns `labels` ids 0..N-1, DELETE for what the last frame had more."""
        from visualization_msgs.msg import Marker, MarkerArray

        markers = [self._skeleton(boxes, header), *self._texts(boxes, header)]
        for extra in range(len(boxes), self._shown):
            markers.append(Marker(header=header, ns="labels", id=extra, action=Marker.DELETE))
        self._shown = len(boxes)
        return MarkerArray(markers=markers)

    def _skeleton(self, boxes: Boxes3D, header: Any) -> Any:
        from geometry_msgs.msg import Point
        from visualization_msgs.msg import Marker

        if not len(boxes):  # RViz complains of a LINE_LIST without points
            return Marker(header=header, ns="boxes", id=0, action=Marker.DELETE)
        marker = Marker(header=header, ns="boxes", id=0, type=Marker.LINE_LIST, action=Marker.ADD)
        marker.lifetime = self._duration()
        marker.pose.orientation.w = 1.0
        marker.scale.x = _LINE_WIDTH
        ends = boxes.corners()[:, _LINES].reshape(-1, 3).tolist()
        marker.points = [Point(x=x, y=y, z=z) for x, y, z in ends]
        marker.colors = [colour for name in boxes.names() for colour in [self._rgba(name)] * _LINES.size]
        return marker

    def _texts(self, boxes: Boxes3D, header: Any) -> list[Any]:
        from geometry_msgs.msg import Point
        from visualization_msgs.msg import Marker

        up = np.array([0.0, -1.0, 0.0] if boxes.axes is Axes.OPTICAL else [0.0, 0.0, 1.0])
        places = boxes.center + up * (boxes.size[:, 2:] / 2 + _TEXT_ABOVE)
        texts = []
        for i, (name, score, (x, y, z)) in enumerate(
            zip(boxes.names(), boxes.score.tolist(), places.tolist(), strict=True)
        ):
            marker = Marker(header=header, ns="labels", id=i, type=Marker.TEXT_VIEW_FACING, action=Marker.ADD)
            marker.lifetime = self._duration()
            marker.pose.position = Point(x=x, y=y, z=z)
            marker.pose.orientation.w = 1.0
            marker.scale.z = _TEXT_HEIGHT
            marker.color = self._rgba(name)
            marker.text = f"{name} {score:.2f}"
            texts.append(marker)
        return texts

    def _rgba(self, name: str) -> Any:
        from std_msgs.msg import ColorRGBA

        red, green, blue = (channel / 255 for channel in self._colours.get(name, self._other))
        return ColorRGBA(r=red, g=green, b=blue, a=1.0)

    def _duration(self) -> Any:
        from builtin_interfaces.msg import Duration

        fraction, whole = math.modf(self.lifetime)
        return Duration(sec=int(whole), nanosec=int(fraction * 1e9))
