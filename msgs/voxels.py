"""Voxels -> sensor_msgs/PointCloud2 and visualization_msgs/MarkerArray."""

import array
from typing import Any

import numpy as np

from msgs.cube_lists import CubeList, marker_array
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

    def of(self, voxels: Voxels, cells: np.ndarray, header: Any, pose: tuple[np.ndarray, np.ndarray] = HERE) -> bytes:
        """Serialized MarkerArray, as a publisher takes it, in ns `voxels`, the id that of the group of slices; DELETE
        for groups that have become empty.

        cells: (slices, rows, columns) bool.  pose: as `voxel_cloud`; it is the pose of every marker, whose points stay
        in the camera's frame.
        """
        fruxel = voxels.fruxel
        groups = alike(fruxel)
        chosen = thinned(np.flatnonzero(cells), self.most)
        group = groups[chosen // (fruxel.rows * fruxel.columns)]
        places, colours = centers(fruxel, chosen), _colours(voxels.classes)[voxels.labels.ravel()[chosen]]
        begins = np.searchsorted(group, np.arange(groups[-1] + 2))  # cells are by slice, hence by group
        lists = []
        for number in np.unique(group).tolist():
            part = slice(begins[number], begins[number + 1])
            slices = groups == number
            lists.append(
                CubeList(
                    number,
                    places[part],
                    colours[part],
                    _middle(fruxel.lateral[slices]),
                    _middle(fruxel.thickness[slices]),
                )
            )
        shown = {each.number for each in lists}
        gone, self._shown = sorted(self._shown - shown), shown
        return marker_array(header, pose, self.lifetime, lists, gone)


def _middle(sizes: np.ndarray) -> float:
    """Of lengths, m, the one whose ratio to the least is that of the greatest to it."""
    return float(np.sqrt(sizes.min() * sizes.max()))


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


def _colours(classes: tuple[str, ...]) -> np.ndarray:
    """(labels, 4) RGBA, 0 to 1."""
    shares = np.array([COLOURS.get(name, _OTHER) for name in classes]) / 255
    return np.column_stack([shares, np.ones(len(classes))]).astype(np.float32)
