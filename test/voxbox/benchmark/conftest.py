"""A tiny untrained model, and a short drive to measure it on."""

from pathlib import Path

import numpy as np
import pytest
import torch

from km3d_ros.contract import Contract
from km3d_ros.network import Deployed, KM3DNet
from voxbox.export.onnx_graph import write_onnx
from voxbox_core.camera import Camera
from voxbox_core.datasets.bag import write_drive
from voxbox_core.datasets.sample import Sample


@pytest.fixture(scope="session")
def tiny() -> Contract:
    return Contract(input_width=128, input_height=64, width=0.125, neck="skip", head_channels=8, max_detections=10)


@pytest.fixture(scope="session")
def tiny_onnx(tiny, tmp_path_factory) -> Path:
    torch.manual_seed(0)
    deployed = Deployed(KM3DNet(tiny)).eval()
    path = tmp_path_factory.mktemp("model") / "tiny.onnx"
    metadata = {"system": "km3d", "contract": tiny.to_json()}
    write_onnx(deployed, deployed.example(), Deployed.INPUTS, Deployed.OUTPUTS, metadata, path)
    return path


@pytest.fixture(scope="session")
def short_drive(tmp_path_factory) -> Path:
    """Four frames at 10 Hz, without truth."""
    rng = np.random.default_rng(0)
    camera = Camera(np.array([[80.0, 0, 63.5], [0, 80, 31.5], [0, 0, 1]]), 128, 64)
    path = tmp_path_factory.mktemp("drive") / "drive.mcap"
    write_drive(path, [Sample(str(i), rng.integers(0, 255, (64, 128, 3), np.uint8), camera) for i in range(4)])
    return path
