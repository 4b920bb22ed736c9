"""CUBE_LISTs -> a serialized visualization_msgs/MarkerArray, straight from arrays.

rclpy would want a Python object for every point and colour, and no other thread of the node gets far meanwhile. A
publisher takes the bytes as they are, and so does every middleware: they are CDR, in which rosbag2 records too.
"""

import math
import struct
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
from scipy.spatial.transform import Rotation

NAMESPACE = "voxels"

_CUBE_LIST, _ADD, _DELETE = 6, 0, 2  # of visualization_msgs/Marker
_LITTLE_ENDIAN = b"\x00\x01\x00\x00"
_NOWHERE = np.eye(3), np.zeros(3)


@dataclass(frozen=True)
class CubeList:
    """Cubes of one size.

    number: the marker's id.  points: (N, 3) m, N above 0.  colours: (N, 4) RGBA, 0 to 1.  width, thickness: m, along
    x and y, and along z.
    """

    number: int
    points: np.ndarray
    colours: np.ndarray
    width: float
    thickness: float


def marker_array(
    header: Any, pose: tuple[np.ndarray, np.ndarray], lifetime: float, lists: Sequence[CubeList], gone: Sequence[int]
) -> bytes:
    """The message, serialized.

    header: of every marker.  pose: rotation (3, 3) and translation (3,), m, of the cubes' frame in the header's.
    lifetime: s.  gone: ids of markers to be deleted.
    """
    cdr = _Cdr()
    cdr.put("I", len(lists) + len(gone))
    for each in lists:
        _head(cdr, header, each.number, _CUBE_LIST, _ADD)
        _place(cdr, pose, (each.width, each.width, each.thickness), lifetime)
        cdr.sequence(each.points, np.dtype("<f8"))
        cdr.sequence(each.colours, np.dtype("<f4"))
        _tail(cdr)
    for number in gone:
        _head(cdr, header, number, 0, _DELETE)
        _place(cdr, _NOWHERE, (0.0, 0.0, 0.0), 0.0)
        cdr.put("II", 0, 0)
        _tail(cdr)
    return cdr.whole()


def _head(cdr: "_Cdr", header: Any, number: int, kind: int, action: int) -> None:
    cdr.put("iI", header.stamp.sec, header.stamp.nanosec)
    cdr.text(header.frame_id)
    cdr.text(NAMESPACE)
    cdr.put("iii", number, kind, action)


def _place(
    cdr: "_Cdr", pose: tuple[np.ndarray, np.ndarray], scale: tuple[float, float, float], lifetime: float
) -> None:
    """Pose, scale, color, lifetime, frame_locked."""
    rotation, translation = pose
    cdr.put("ddd", *translation)
    cdr.put("dddd", *Rotation.from_matrix(rotation).as_quat())
    cdr.put("ddd", *scale)
    cdr.put("ffff", 0.0, 0.0, 0.0, 0.0)
    fraction, whole = math.modf(lifetime)
    cdr.put("iI", int(whole), int(fraction * 1e9))
    cdr.put("?", False)


def _tail(cdr: "_Cdr") -> None:
    """What only other kinds of markers use: texture_resource, texture, uv_coordinates, text, mesh_resource, mesh_file,
    mesh_use_embedded_materials."""
    cdr.text("")
    cdr.put("iI", 0, 0)
    for _ in range(2):
        cdr.text("")
    cdr.put("II", 0, 0)
    for _ in range(3):
        cdr.text("")
    cdr.put("I", 0)
    cdr.put("?", False)


class _Cdr:
    """Common data representation, little endian: each number stands at a multiple of its size."""

    def __init__(self) -> None:
        self._parts: list[bytes | memoryview] = []
        self._size = 0

    def put(self, kinds: str, *values: Any) -> None:
        """Numbers, of the kinds of `struct`, all of one size."""
        self._align(struct.calcsize(f"<{kinds[0]}"))
        self._add(struct.pack(f"<{kinds}", *values))

    def text(self, text: str) -> None:
        data = text.encode() + b"\0"
        self.put("I", len(data))
        self._add(data)

    def sequence(self, rows: np.ndarray, kind: np.dtype) -> None:
        """A row (N, n) for each element, N above 0, written as n numbers of a kind."""
        self.put("I", len(rows))
        self._align(kind.itemsize)
        self._add(np.ascontiguousarray(rows, kind).reshape(-1).view(np.uint8).data)

    def whole(self) -> bytes:
        """All that was put."""
        return b"".join([_LITTLE_ENDIAN, *self._parts])

    def _align(self, size: int) -> None:
        self._add(bytes(-self._size % size))

    def _add(self, data: bytes | memoryview) -> None:
        self._parts.append(data)
        self._size += len(data)
