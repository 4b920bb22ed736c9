"""From a message's bytes to voxels with the image uploaded once: the same cells as by way of host memory."""

from dataclasses import replace
from pathlib import Path
from types import SimpleNamespace

import numpy as np
import pytest
from devices import Exact, on_each_device

from msgs.images import read_image
from ssz_ros.contract import Contract
from ssz_ros.reconstructor import SSZ, load_deployed
from voxbox.bag.samples import samples
from voxbox.demo.drives import SHIPPED_DRIVE
from voxbox_core.datasets.bag import Bag, find_topics
from voxbox_core.datasets.sample import Sample
from voxbox_core.runtime.torch import Runner
from voxbox_core.runtime.torch_cuda import CudaRunner
from voxbox_core.voxels import UNKNOWN, Voxels

RELEASED = Path(__file__).resolve().parents[2] / "models" / "ssz-street" / "weights.pt"


@pytest.fixture(scope="module")
def frame() -> Sample:
    with Bag(SHIPPED_DRIVE) as bag:
        return next(samples(bag, find_topics(bag), limit=1))


def reconstructor(run, device=None) -> SSZ:
    ssz = SSZ(Contract.from_json(load_deployed(RELEASED).metadata["contract"]), run)
    ssz.device = device
    return ssz


@pytest.fixture(scope="module")
def expected(frame) -> Voxels:
    """By way of host memory, in float32."""
    return reconstructor(Runner(load_deployed(RELEASED)))(frame.image, frame.camera)


def agreement(found: Voxels, expected: Voxels) -> float:
    return float((found.labels == expected.labels).mean())


@on_each_device
def test_bytes_become_voxels_after_one_upload(device, frame, expected) -> None:
    engine = Exact(load_deployed(RELEASED), device)
    data = np.ascontiguousarray(frame.image[..., ::-1]).tobytes()
    height, width = frame.image.shape[:2]
    message = SimpleNamespace(data=data, encoding="bgr8", width=width, height=height, step=3 * width)
    ssz = reconstructor(engine, engine)
    found = ssz(read_image(message, engine), frame.camera)
    assert agreement(found, expected) > 0.9999
    assert np.abs(found.probability.astype(int) - expected.probability).max() <= 3
    assert engine.uploads == [("image", len(data)), ("seen", found.labels[0].size)]


@on_each_device
def test_the_surface_is_found_there(device, frame, expected) -> None:
    engine = Exact(load_deployed(RELEASED), device)
    camera = replace(frame.camera, intrinsics=frame.camera.intrinsics * [[2], [2], [1]])  # sees a part of the grid
    found = reconstructor(engine, engine)(frame.image, camera)
    assert (found.labels == UNKNOWN).any()
    assert found.on_surface is not None
    assert len(found.on_surface) > 100
    np.testing.assert_array_equal(found.surface, Voxels(found.labels, found.fruxel).surface)


@pytest.mark.slow  # where a CPU has no instructions for it
@on_each_device
def test_half_precision_changes_one_cell_in_a_hundred_at_most(device, frame, expected) -> None:
    """And the same each time."""
    engine = CudaRunner(load_deployed(RELEASED), device)
    ssz = reconstructor(engine, engine)
    found, again = (ssz(frame.image, frame.camera) for _ in range(2))
    assert agreement(found, expected) > 0.99
    np.testing.assert_array_equal(found.labels, again.labels)
