"""Camera images as the teacher takes them: of one size, with the matrices that lead from the ground into them."""

from collections.abc import Sequence

import numpy as np

from point_detr3d_ros.contract import Contract
from voxbox_core.datasets.rig import View
from voxbox_core.image import letterbox, warp


def network_views(views: Sequence[View], contract: Contract) -> tuple[np.ndarray, np.ndarray]:
    """Views of a sample in the network frame (`RigSample.grounded`) -> images (n, H, W, 3) uint8 of the contract's size
    and image_from_lidar (n, 3, 4) float32, to homogeneous pixels of them."""
    width, height = contract.image_width, contract.image_height
    images = np.zeros((len(views), height, width, 3), np.uint8)
    matrices = np.zeros((len(views), 3, 4), np.float32)
    for i, view in enumerate(views):
        affine = letterbox(view.camera.width, view.camera.height, width, height)
        images[i] = warp(view.image, affine, width, height)
        matrices[i] = np.vstack([affine, [0.0, 0.0, 1.0]]) @ view.image_from_lidar
    return images, matrices
