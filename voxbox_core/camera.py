"""The pinhole camera: intrinsics that follow the image through resize, crop and flip.

Pixel coordinates: integer coordinates are pixel centres (OpenCV's and KITTI's convention), so an image of
width W spans -0.5 .. W - 0.5. Camera frame: optical (x right, y down, z forward), metres.
"""

from dataclasses import dataclass

import numpy as np

from voxbox_core.errors import InputError


@dataclass(frozen=True)
class Camera:
    """A rectified pinhole camera.

    intrinsics: (3, 3) float64, [[fx, 0, cx], [0, fy, cy], [0, 0, 1]], pixels.
    width, height: image size, pixels.
    Raises InputError when the intrinsics are not finite, not of this form, have no focal length, or the size is not
    positive.
    """

    intrinsics: np.ndarray
    width: int
    height: int

    def __post_init__(self) -> None:
        k = np.asarray(self.intrinsics, dtype=np.float64)
        if k.shape != (3, 3):
            raise InputError("camera intrinsics shape", k.shape, "(3, 3)", "Give the 3x3 matrix K.")
        if not np.isfinite(k).all() or k[0, 0] <= 0 or k[1, 1] <= 0:
            raise InputError(
                "camera intrinsics",
                k.tolist(),
                "finite values with fx > 0 and fy > 0",
                "Calibrate the camera.",
            )
        if not np.allclose(k[2], [0.0, 0.0, 1.0]):
            raise InputError("last row of the camera intrinsics", k[2].tolist(), "[0, 0, 1]", "Calibrate the camera.")
        if self.width <= 0 or self.height <= 0:
            raise InputError(
                "camera image size",
                f"{self.width}x{self.height}",
                "a positive width and height",
                "Check camera_info.",
            )
        object.__setattr__(self, "intrinsics", k)

    def project(self, points: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
        """Points (..., 3) in the camera frame, m -> pixels (..., 2) and depth z (...,), m.

        Pixels of points at or behind the image plane (z <= 0) are meaningless: check the depth.
        """
        points = np.asarray(points, dtype=np.float64)
        depth = points[..., 2]
        safe = np.where(np.abs(depth) < 1e-9, 1e-9, depth)
        homogeneous = points @ self.intrinsics.T
        return homogeneous[..., :2] / safe[..., None], depth

    def back_project(self, uv: np.ndarray, depth: np.ndarray) -> np.ndarray:
        """Pixels (..., 2) at depth z (...,), m -> points (..., 3) in the camera frame, m."""
        uv = np.asarray(uv, dtype=np.float64)
        rays = np.concatenate([uv, np.ones_like(uv[..., :1])], -1) @ np.linalg.inv(self.intrinsics).T
        return rays * np.asarray(depth, dtype=np.float64)[..., None]

    def warped(self, affine: np.ndarray, width: int, height: int) -> "Camera":
        """The camera of the image after a pixel affine (2, 3): K' = [affine; 0 0 1] K."""
        return Camera(np.vstack([affine, [0.0, 0.0, 1.0]]) @ self.intrinsics, width, height)

    def flipped(self) -> "Camera":
        """The camera of the mirrored image of the mirrored world (x -> -x): cx' = W - 1 - cx, focal lengths kept."""
        k = self.intrinsics.copy()
        k[0, 1] = -k[0, 1]
        k[0, 2] = self.width - 1 - k[0, 2]
        return Camera(k, self.width, self.height)
