"""The cuts divide the work differently and do the same; what was measured is summed up rightly."""

import numpy as np
import pytest
import torch

from voxbox.benchmark import graph
from voxbox_core.image import compose, invert, letterbox
from voxbox_core.image import warp as warp_outside
from voxbox_core.runtime import DeployedModule
from voxbox_core.runtime.torch import Runner


@pytest.fixture
def image() -> np.ndarray:
    """A smooth picture, because rounding of coordinates shows at edges, of the size the measurement takes."""
    y, x = np.mgrid[: graph.CAMERA.height, : graph.CAMERA.width]
    planes = (np.sin(x / 40), np.cos(y / 30), np.sin((x + y) / 60))
    return (127 + 120 * np.stack(planes, -1)).astype(np.uint8)


def test_every_cut_ends_with_the_same_boxes(tiny, image):
    found = {}
    for name, cut in graph.cuts(tiny).items():
        inputs, geometry = cut.before(image, graph.CAMERA)
        run = Runner(DeployedModule(cut.module, cut.outputs, {}))
        found[name] = cut.after(run(inputs), geometry)
    whole = found.pop(graph.RELEASED)
    for name in ("no decoding", "network alone"):
        for output in ("score", "label", "size", "yaw", "keypoints"):  # positions of untrained keypoints are anywhere
            same = found[name][output], whole[output]
            np.testing.assert_allclose(*same, rtol=1e-4, atol=1e-3, err_msg=f"{name}: {output}")
    np.testing.assert_allclose(np.sort(found["warp too"]["score"]), np.sort(whole["score"]), atol=1e-3)


def test_the_warp_inside_is_the_one_outside(image):
    width, height = 640, 192
    affine = letterbox(graph.CAMERA.width, graph.CAMERA.height, width, height)
    grid_to_image = invert(compose(graph.INPUT_TO_GRID, affine))[None].astype(np.float32)
    inside = graph.warp(torch.from_numpy(image[None]), torch.from_numpy(grid_to_image), width, height)[0].numpy()
    outside = warp_outside(image, affine, width, height)
    assert np.abs(inside - outside).max() < 2  # grey levels: OpenCV rounds coordinates to 1/32 px, and the result
    assert np.abs(inside - outside).mean() < 0.5


def test_the_summary_compares_round_by_round():
    reference = np.array([[1.0, 9.0], [2.0, 18.0], [1.0, 9.0]])  # the second round met a busy machine
    found = graph._summary(reference * [3.0, 1.0], reference)
    assert found["outside"] == 3
    assert found["inside"] == 9
    assert found["ratio"] == pytest.approx({"median": 1.2, "low": 1.2, "high": 1.2})


def test_a_cut_is_exported_and_measured(tiny, monkeypatch):
    cut = graph.cuts(tiny)["network alone"]
    monkeypatch.setattr(graph, "cuts", lambda contract: {graph.RELEASED: cut})
    result = graph.measure(tiny, ["onnxruntime"], rounds=2, threads=1)
    found = result["onnxruntime"][graph.RELEASED]
    assert found["inside"] > 0 and found["outside"] > 0
    assert found["ratio"] == {"median": 1, "low": 1, "high": 1}
    assert "1.00 (1.00 to 1.00)" in graph.table(result).splitlines()[1]
