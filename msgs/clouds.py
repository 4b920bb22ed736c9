"""PointCloud2 messages -> arrays. Duck-typed: messages of rclpy and of rosbags are alike."""

from dataclasses import dataclass
from typing import Any

import numpy as np
from numba import njit

from voxbox_core.errors import InputError

# sensor_msgs/PointField datatypes, without byte order.
_TYPES = {1: "i1", 2: "u1", 3: "i2", 4: "u2", 5: "i4", 6: "u4", 7: "f4", 8: "f8"}

_OWN = 0.1  # m: what is nearer to the LiDAR's origin is no return; drivers write zeros where a beam met nothing
_FULL_SCALES = (1.0, 255.0, 4095.0, 65535.0)  # of intensities as drivers write them


@dataclass(frozen=True)
class Cloud:
    """One sweep.

    points: (P, 5) float32 x y z in the frame of its header, m; intensity as the driver wrote it, 0 where it has none;
    age, 0 s.  invalid: points left out because a coordinate is NaN or infinite.  at_origin: points left out because
    they are the LiDAR's own place.
    """

    points: np.ndarray
    invalid: int
    at_origin: int


class Intensity:
    """Intensities in [0, 1], whatever their scale.

    full: the value that counts as 1; 0 finds the scale by the greatest value seen so far: 1, 8, 12 or 16 bits.
    """

    def __init__(self, full: float = 0.0) -> None:
        self._full = full
        self._greatest = 0.0

    def scale(self, points: np.ndarray) -> None:
        """Scales the intensities, column 3 of (P, 4..) points, in place."""
        values = points[:, 3]
        if not self._full:
            self._greatest = max(self._greatest, float(values.max(initial=0.0)))
        full = self._full or next((s for s in _FULL_SCALES if self._greatest <= s), self._greatest)
        _scale(points, max(np.float32(full), np.finfo(np.float32).tiny))


def read_points(message: Any) -> np.ndarray:
    """A PointCloud2 -> (P, 4) float32 x y z intensity, in the frame of its header, m; points with NaN are left out.

    Intensity is 0 where the cloud has none, or no number. Raises InputError for missing coordinates, unknown types and
    data of another length than described.
    """
    values, columns = _values(message)
    points = np.zeros((len(values), 4), np.float32)
    kept, _ = _keep(values, columns, 0.0, points)
    return points[:kept]


def read_cloud(message: Any) -> Cloud:
    """A PointCloud2 of any layout, organised or not, as one sweep. Raises InputError as `read_points` does."""
    values, columns = _values(message)
    points = np.zeros((len(values), 5), np.float32)
    kept, invalid = _keep(values, columns, _OWN**2, points)
    return Cloud(points[:kept], invalid, len(values) - invalid - kept)


# Compiled when it is imported, not at the first cloud.
@njit(
    "UniTuple(int64, 2)(Array(float32, 2, 'C', readonly=True), int64[::1], float64, float32[:, ::1])",
    cache=True,
    nogil=True,
)
def _keep(values: np.ndarray, columns: np.ndarray, own: float, points: np.ndarray) -> tuple[int, int]:
    """Copy rows (P, n) into the first of the points; -> how many, and how many others have a place that is no number.

    columns: of x, y, z and intensity, -1 for none.  own: m2, what is nearer to the origin is left out.  points: zeros.
    """
    at_x, at_y, at_z, at_intensity = columns
    kept = invalid = 0
    for i in range(len(values)):
        x, y, z = values[i, at_x], values[i, at_y], values[i, at_z]
        # A finite sum, one question instead of three, is of finite numbers; others are looked at one by one.
        if not np.isfinite(x + y + z) and not (np.isfinite(x) and np.isfinite(y) and np.isfinite(z)):
            invalid += 1
            continue
        if x * x + y * y + z * z < own:
            continue
        points[kept, 0], points[kept, 1], points[kept, 2] = x, y, z
        intensity = values[i, at_intensity] if at_intensity >= 0 else np.float32(0)
        if np.isfinite(intensity):
            points[kept, 3] = intensity
        kept += 1
    return kept, invalid


@njit("void(float32[:, ::1], float32)", cache=True, nogil=True)
def _scale(points: np.ndarray, full: np.float32) -> None:
    """Intensities, column 3 of (P, n) points, from 0 to `full` -> 0 to 1, in place."""
    for i in range(len(points)):
        points[i, 3] = min(max(points[i, 3] / full, np.float32(0)), np.float32(1))


def _values(message: Any) -> tuple[np.ndarray, np.ndarray]:
    """(P, n) float32 of all points, and which of the columns are x, y, z and intensity, -1 for none.

    The message's own memory, where it has all of them as drivers mostly do."""
    step = int(message.point_step)
    layout = {f.name: (_TYPES.get(int(f.datatype)), int(f.offset)) for f in message.fields}
    wanted = [name for name in ("x", "y", "z", "intensity") if name in layout]
    if wanted[:3] != ["x", "y", "z"]:
        raise InputError("fields of a point cloud", sorted(layout), "x, y and z", "Publish the coordinates.")
    for name in wanted:
        _check_field(name, *layout[name], step)
    rows = _rows(message, step)
    offsets = np.array([layout[name][1] for name in wanted] + [-4] * (4 - len(wanted)))
    floats = not message.is_bigendian and all(layout[name][0] == "f4" for name in wanted)
    if floats and step % 4 == 0 and not (offsets % 4).any():
        return np.require(rows.view("<f4").reshape(-1, step // 4), requirements=["ALIGNED"]), offsets // 4
    order = ">" if message.is_bigendian else "<"
    formats = [order + str(layout[name][0]) for name in wanted]
    point = np.dtype({"names": wanted, "formats": formats, "offsets": [layout[n][1] for n in wanted], "itemsize": step})
    records = rows.view(point).reshape(-1)
    values = np.empty((len(records), len(wanted)), np.float32)
    with np.errstate(over="ignore", invalid="ignore"):  # float64 beyond float32 becomes infinite, and is left out
        for column, name in enumerate(wanted):
            values[:, column] = records[name]
    return values, np.array([0, 1, 2, 3 if len(wanted) == 4 else -1])


def _check_field(name: str, kind: str | None, offset: int, step: int) -> None:
    if kind is None:
        raise InputError(f"type of field {name}", "unknown", "a PointField datatype 1..8", "Check the driver.")
    if offset < 0 or offset + np.dtype(kind).itemsize > step:
        expected = f"within the {step} bytes of a point"
        raise InputError(f"place of field {name}", f"byte {offset}", expected, "Check the driver.")


def _rows(message: Any, step: int) -> np.ndarray:
    """The bytes of all points without the rows' padding: a view of the message where there is none."""
    height, width = int(message.height), int(message.width)
    row = int(message.row_step) or width * step
    data = np.frombuffer(message.data, np.uint8) if len(message.data) else np.zeros(0, np.uint8)
    if row < width * step or data.size != height * row:
        raise InputError(
            "length of a point cloud's data",
            f"{data.size} bytes",
            f"{height} rows of {row} bytes, each at least {width} points of {step}",
            "The message is cut short or misdescribed: check the driver.",
        )
    if height * width == 0:
        return data[:0]
    return np.ascontiguousarray(data.reshape(height, row)[:, : width * step])
