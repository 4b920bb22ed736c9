"""The same surface whether labels are an array or a tensor, on whatever device."""

import numpy as np
import pytest
import torch
from devices import on_each_device

from voxbox_core.device_voxels import surface_cells
from voxbox_core.fruxel import Fruxel
from voxbox_core.voxels import AIR, UNKNOWN, Voxels

GRID = Fruxel(near=2.0, far=9.0, slices=7, rows=9, columns=11, alpha=60.0)


@on_each_device
@pytest.mark.parametrize("air", [0.0, 0.1, 0.5, 1.0])
def test_the_same_cells_touch_air(device, air) -> None:
    rng = np.random.default_rng(0)
    labels = rng.integers(1, 10, GRID.shape, np.uint8)
    labels[rng.random(GRID.shape) < 0.3] = UNKNOWN
    labels[rng.random(GRID.shape) < air] = AIR
    expected = Voxels(labels, GRID).surface
    found = surface_cells(torch.from_numpy(labels).to(device)).cpu().numpy()
    np.testing.assert_array_equal(found, np.flatnonzero(expected))
    np.testing.assert_array_equal(Voxels(labels, GRID, on_surface=found).surface, expected)
