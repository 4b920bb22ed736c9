"""Voxels -> sensor_msgs/PointCloud2 and visualization_msgs/MarkerArray."""

import array
import math
from typing import Any

import numpy as np
from scipy.spatial.transform import Rotation

from voxbox_core.fruxel import Fruxel
from voxbox_core.voxels import COLOURS, Voxels

POINT = np.dtype([("x", "<f4"), ("y", "<f4"), ("z", "<f4"), ("label", "u1"), ("probability", "<f4")], align=True)
"""A point of the cloud: m in the frame of its header, index of the class, 0..1 (NaN where the model does not say)."""

_TYPES = {"<f4": 7, "|u1": 2}  # sensor_msgs/PointField datatypes
_SIMILAR = 1.15  # a marker's largest cells by its smallest
_OTHER = (200, 200, 200)  # RGB of a class without a colour

HERE = np.eye(3), np.zeros(3)
"""Rotation and translation to the same frame."""


def voxel_cloud(voxels: Voxels, cells: np.ndarray, header: Any, pose: tuple[np.ndarray, np.ndarray] = HERE) -> Any:
    """The centres of some cells as PointCloud2, a POINT each.

    cells: (slices, rows, columns) bool, `voxels.surface` or `voxels.occupied`.  header: of the message.
    pose: rotation (3, 3) and translation (3,), m, from the camera to the frame of the header.
    """
    from sensor_msgs.msg import PointCloud2, PointField

    chosen = np.flatnonzero(cells)
    rotation, translation = pose
    points = np.zeros(len(chosen), POINT)
    places = centers(voxels.fruxel, chosen) @ rotation.T + translation
    points["x"], points["y"], points["z"] = places.T
    points["label"] = voxels.labels.ravel()[chosen]
    if voxels.probability is None:
        points["probability"] = np.nan
    else:
        points["probability"] = voxels.probability.ravel()[chosen] * np.float32(1 / 255)
    fields = [
        PointField(name=name, offset=offset, datatype=_TYPES[kind.str], count=1)
        for name, (kind, offset, *_) in (POINT.fields or {}).items()
    ]
    return PointCloud2(
        header=header,
        height=1,
        width=len(points),
        fields=fields,
        is_bigendian=False,
        point_step=POINT.itemsize,
        row_step=points.nbytes,
        data=array.array("B", points.tobytes()),  # passes into the message as it is; others are checked byte by byte
        is_dense=voxels.probability is not None,
    )


def centers(fruxel: Fruxel, chosen: np.ndarray) -> np.ndarray:
    """Centres (N, 3) in the camera frame, m, of cells (N,) by their flat index."""
    return fruxel.centers(np.stack(np.unravel_index(chosen, fruxel.shape), -1))


class VoxelMarkers:
    """Makes the marker array of each frame: cubes of cells as large as the cells are, one list for slices alike.

    most: cubes of a frame. Of more, the nearest half of `most` is shown whole, and what is farther is thinned evenly.
    lifetime: s after which RViz forgets the markers if nothing follows.
    """

    def __init__(self, most: int, lifetime: float) -> None:
        self.most = most
        self.lifetime = lifetime
        self._shown: set[int] = set()

    def of(self, voxels: Voxels, cells: np.ndarray, header: Any, pose: tuple[np.ndarray, np.ndarray] = HERE) -> Any:
        """MarkerArray in ns `voxels`, the id that of the group of slices; DELETE for groups that have become empty.

        cells: (slices, rows, columns) bool.  pose: as `voxel_cloud`; it is the pose of every marker, whose points stay
        in the camera's frame.
        """
        from visualization_msgs.msg import Marker, MarkerArray

        fruxel = voxels.fruxel
        groups = alike(fruxel)
        chosen = thinned(np.flatnonzero(cells), self.most)
        group = groups[chosen // (fruxel.rows * fruxel.columns)]
        places, labels = centers(fruxel, chosen), voxels.labels.ravel()[chosen]
        colours = _colours(voxels.classes)
        begins = np.searchsorted(group, np.arange(groups[-1] + 2))  # cells are by slice, hence by group
        markers, shown = [], set()
        for number in np.unique(group).tolist():
            part = slice(begins[number], begins[number + 1])
            marker = self._cubes(number, fruxel, groups == number, header, pose)
            marker.points = _points(places[part])
            marker.colors = [colours[label] for label in labels[part].tolist()]
            markers.append(marker)
            shown.add(number)
        for number in sorted(self._shown - shown):
            markers.append(Marker(header=header, ns="voxels", id=number, action=Marker.DELETE))
        self._shown = shown
        return MarkerArray(markers=markers)

    def _cubes(
        self, number: int, fruxel: Fruxel, slices: np.ndarray, header: Any, pose: tuple[np.ndarray, np.ndarray]
    ) -> Any:
        """The marker of a group of slices (bool), without its points."""
        from builtin_interfaces.msg import Duration
        from geometry_msgs.msg import Point, Quaternion
        from visualization_msgs.msg import Marker

        rotation, translation = pose
        marker = Marker(header=header, ns="voxels", id=number, type=Marker.CUBE_LIST, action=Marker.ADD)
        fraction, whole = math.modf(self.lifetime)
        marker.lifetime = Duration(sec=int(whole), nanosec=int(fraction * 1e9))
        x, y, z = translation.tolist()
        marker.pose.position = Point(x=x, y=y, z=z)
        qx, qy, qz, qw = Rotation.from_matrix(rotation).as_quat().tolist()
        marker.pose.orientation = Quaternion(x=qx, y=qy, z=qz, w=qw)
        marker.scale.x = marker.scale.y = float(np.sqrt(fruxel.lateral[slices].min() * fruxel.lateral[slices].max()))
        marker.scale.z = float(np.sqrt(fruxel.thickness[slices].min() * fruxel.thickness[slices].max()))
        return marker


def alike(fruxel: Fruxel) -> np.ndarray:
    """(slices,) number of each slice's group, from 0: neighbours whose cells differ by no more than _SIMILAR."""
    width, thickness = fruxel.lateral, fruxel.thickness
    groups = np.zeros(fruxel.slices, np.int64)
    first = 0
    for k in range(1, fruxel.slices):
        ratios = width[k] / width[first], thickness[k] / thickness[first]
        apart = max(max(r, 1 / r) for r in ratios) > _SIMILAR
        first = k if apart else first
        groups[k] = groups[k - 1] + apart
    return groups


def thinned(chosen: np.ndarray, most: int) -> np.ndarray:
    """At most `most` of (N,) cells sorted by distance: the nearest half of that whole, the others evenly."""
    if len(chosen) <= most:
        return chosen
    near = most // 2
    others = np.linspace(near, len(chosen) - 1, most - near).astype(np.int64)
    return np.concatenate([chosen[:near], chosen[others]])


def _points(places: np.ndarray) -> list[Any]:
    from geometry_msgs.msg import Point

    return [Point(x=x, y=y, z=z) for x, y, z in places.tolist()]


def _colours(classes: tuple[str, ...]) -> list[Any]:
    """ColorRGBA by label."""
    from std_msgs.msg import ColorRGBA

    shares = [[channel / 255 for channel in COLOURS.get(name, _OTHER)] for name in classes]
    return [ColorRGBA(r=red, g=green, b=blue, a=1.0) for red, green, blue in shares]
