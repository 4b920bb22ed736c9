"""PointCloud2 messages -> arrays. Duck-typed: messages of rclpy and of rosbags are alike."""

from typing import Any

import numpy as np

from voxbox_core.errors import InputError

# sensor_msgs/PointField datatypes, without byte order.
_TYPES = {1: "i1", 2: "u1", 3: "i2", 4: "u2", 5: "i4", 6: "u4", 7: "f4", 8: "f8"}


def read_points(message: Any) -> np.ndarray:
    """A PointCloud2 -> (P, 4) float32 x y z intensity, in the frame of its header, m; points with NaN are left out.

    Intensity is 0 where the cloud has none. Raises InputError for missing coordinates, unknown types and data of
    another length than described.
    """
    layout = {f.name: (_TYPES.get(int(f.datatype)), int(f.offset)) for f in message.fields}
    wanted = [name for name in ("x", "y", "z", "intensity") if name in layout]
    if wanted[:3] != ["x", "y", "z"]:
        raise InputError("fields of a point cloud", sorted(layout), "x, y and z", "Publish the coordinates.")
    unknown = [name for name in wanted if layout[name][0] is None]
    if unknown:
        raise InputError(f"type of field {unknown[0]}", "unknown", "a PointField datatype 1..8", "Check the driver.")
    height, width, step = int(message.height), int(message.width), int(message.point_step)
    row = int(message.row_step) or width * step
    data = np.frombuffer(message.data, np.uint8)
    if row < width * step or data.size != height * row:
        raise InputError(
            "length of a point cloud's data",
            f"{data.size} bytes",
            f"{height} rows of {row} bytes, each at least {width} points of {step}",
            "The message is cut short or misdescribed: check the driver.",
        )
    order = ">" if message.is_bigendian else "<"
    formats = [order + str(layout[name][0]) for name in wanted]
    point = np.dtype({"names": wanted, "formats": formats, "offsets": [layout[n][1] for n in wanted], "itemsize": step})
    rows = np.ascontiguousarray(data.reshape(height, row)[:, : width * step]).view(point).reshape(-1)
    points = np.zeros((len(rows), 4), np.float32)
    for column, name in enumerate(wanted):
        points[:, column] = rows[name]
    return points[np.isfinite(points[:, :3]).all(-1)]
