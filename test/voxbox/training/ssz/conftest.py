"""A folder of toy scenes, and one thread to learn from them."""

import numpy as np
import pytest
import torch
from toy_scenes import Scene

from voxbox_core.datasets.voxel_folder import VoxelWriter


@pytest.fixture(scope="session")
def toy(tmp_path_factory):
    """A folder of twenty scenes."""
    folder = tmp_path_factory.mktemp("voxels") / "toy"
    rng = np.random.default_rng(0)
    writer = VoxelWriter(folder, suffix=".png")
    for i in range(20):
        writer.write(Scene.draw(rng).sample(f"{i:06d}"))
    return folder


@pytest.fixture(autouse=True)
def _one_thread():
    before = torch.get_num_threads()
    torch.set_num_threads(1)
    yield
    torch.set_num_threads(before)
