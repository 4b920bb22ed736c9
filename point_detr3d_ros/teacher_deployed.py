"""The teacher as three graphs: two encode a frame, the third decodes any number of prompts of it.

Pyramids travel between them as tables of `rows_of`, ready to be sampled. Standard operations alone, static shapes but
for the leading dimension of DYNAMIC inputs, by its name. Export with torch.onnx.export(..., dynamo=True) of `eval()`.
"""

from collections.abc import Mapping
from typing import ClassVar

import torch
from torch import Tensor, nn

from point_detr3d_ros.contract import STRIDES, Contract
from point_detr3d_ros.images import Cameras, image_sizes
from point_detr3d_ros.sampling import rows_of
from point_detr3d_ros.teacher import Teacher
from voxbox_core.cloud import FEATURES


class LidarPyramid(nn.Module):
    """Pillars of one cloud to the rows of its maps of the ground.

    features: (P, per_pillar, FEATURES) float32.  cell: (P,) int64, iy nx + ix.  P is at least 1:
    an empty cloud is a pillar of zeros. Where an engine wants a fixed P, repeat a pillar together with its cell.
    Returns ground: (1, R, dim).
    """

    INPUTS = ("features", "cell")
    OUTPUTS = ("ground",)
    DYNAMIC: ClassVar[Mapping[str, str]] = {"features": "pillars", "cell": "pillars"}

    def __init__(self, teacher: Teacher) -> None:
        super().__init__()
        self.teacher = teacher
        self.contract = teacher.contract

    def forward(self, features: Tensor, cell: Tensor) -> tuple[Tensor]:
        return (rows_of(self.teacher.encode_lidar(features, cell, 1)),)

    def example(self) -> tuple[Tensor, Tensor]:
        """Inputs of the right shapes, for tracing: three pillars."""
        return torch.zeros(3, self.contract.per_pillar, FEATURES), torch.arange(3)


class ImagePyramid(nn.Module):
    """Images to the rows of their pyramids.

    images: (N, image_height, image_width, 3) uint8 RGB, warped to the network's input; N from 1.
    Returns image_rows: (N, R, dim).
    """

    INPUTS = ("images",)
    OUTPUTS = ("image_rows",)
    DYNAMIC: ClassVar[Mapping[str, str]] = {"images": "cameras"}

    def __init__(self, teacher: Teacher) -> None:
        super().__init__()
        self.teacher = teacher
        self.contract = teacher.contract

    def forward(self, images: Tensor) -> tuple[Tensor]:
        return (rows_of(self.teacher.encode_images(images)),)

    def example(self) -> tuple[Tensor]:
        """Inputs of the right shapes, for tracing: two grey images."""
        return (torch.full((2, self.contract.image_height, self.contract.image_width, 3), 128, dtype=torch.uint8),)


class PromptDecoder(nn.Module):
    """Prompts of one encoded frame to boxes, everything in the network frame (LiDAR frame, ground at z = 0).

    ground: (1, R, dim) of LidarPyramid.  points: (Q, 3) float32, m.  label: (Q,) int64; Q from 1.
    roi: (Q, 5) float32, zeros for clicks; of boxes to be refined, whose centres are the points: length, width, height,
    m, sine and cosine of the yaw.
    With cameras: image_rows (S, R', dim) of ImagePyramid; image_from_lidar (S, 3, 4) float32, to pixels of the
    network's input; camera_valid (S,) float32, 1 or 0, where the other two may hold any finite numbers. S from 1: a
    frame without images has one camera that is not valid.
    Returns score (Q, C), probability of every class: that of `label` judges the box; center (Q, 3), m; size (Q, 3)
    length, width, height, m; heading (Q, 2), sine and cosine of the yaw, not normalised.
    """

    OUTPUTS = ("score", "center", "size", "heading")
    DYNAMIC: ClassVar[Mapping[str, str]] = {
        **dict.fromkeys(("points", "label", "roi"), "prompts"),
        **dict.fromkeys(("image_rows", "image_from_lidar", "camera_valid"), "cameras"),
    }

    def __init__(self, teacher: Teacher) -> None:
        super().__init__()
        self.decoder = teacher.decoder
        self.contract = teacher.contract

    @property
    def inputs(self) -> tuple[str, ...]:
        """Their names, in order."""
        more = ("image_rows", "image_from_lidar", "camera_valid") if self.contract.cameras else ()
        return ("ground", "points", "label", "roi", *more)

    def forward(
        self,
        ground: Tensor,
        points: Tensor,
        label: Tensor,
        roi: Tensor,
        image_rows: Tensor | None = None,
        image_from_lidar: Tensor | None = None,
        camera_valid: Tensor | None = None,
    ) -> tuple[Tensor, ...]:
        cameras = None
        if image_rows is not None and image_from_lidar is not None and camera_valid is not None:
            image = torch.arange(image_rows.shape[0], device=image_rows.device)[None]
            cameras = Cameras(image_rows, image_from_lidar[None], image, camera_valid[None])
        found = self.decoder(ground, points, label, torch.zeros_like(label), cameras, roi)
        return found.score_logit.sigmoid(), found.center, found.size, found.heading

    def example(self) -> tuple[Tensor, ...]:
        """Inputs of the right shapes, for tracing: five prompts, two cameras."""
        contract = self.contract
        cells = sum((contract.grid.ny // s) * (contract.grid.nx // s) for s in STRIDES)
        prompts = (torch.ones(5, 3), torch.zeros(5, dtype=torch.int64), torch.zeros(5, 5))
        ground = (torch.zeros(1, cells, contract.dim), *prompts)
        return (*ground, *no_cameras(contract, 2)) if contract.cameras else ground


def no_cameras(contract: Contract, slots: int = 1) -> tuple[Tensor, Tensor, Tensor]:
    """image_rows, image_from_lidar and camera_valid of a frame without any image."""
    cells = sum(height * width for height, width in image_sizes(contract))
    return torch.zeros(slots, cells, contract.dim), torch.zeros(slots, 3, 4), torch.zeros(slots)
