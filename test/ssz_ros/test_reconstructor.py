"""The reconstructor shows the network what is before the grid, and says nothing of what no image reached."""

import subprocess
import sys
from itertools import pairwise

import numpy as np
import pytest
import torch

from ssz_ros.contract import Contract
from ssz_ros.network import build, normalise
from ssz_ros.reconstructor import SSZ, align, load_deployed
from voxbox_core import weights
from voxbox_core.camera import Camera
from voxbox_core.errors import InputError
from voxbox_core.fruxel import Fruxel
from voxbox_core.image import averaged
from voxbox_core.runtime import available
from voxbox_core.voxels import UNKNOWN


def pinhole(focal: float, x: float, y: float, width: int, height: int) -> Camera:
    return Camera(np.array([[focal, 0.0, x], [0.0, focal, y], [0.0, 0.0, 1.0]]), width, height)


def shares(edges: np.ndarray, pixels: int) -> np.ndarray:
    """(results, pixels): length of each pixel's part in each result, slowly."""
    return np.array([[max(0.0, min(b, p + 1) - max(a, p)) for p in range(pixels)] for a, b in pairwise(edges)])


@pytest.mark.parametrize(
    ("scale", "shift"),
    [((0.23, 0.23), (-3.7, 1.2)), ((0.031, 0.031), (0.0, 0.0)), ((0.9, 0.2), (-9.0, 2.5)), ((1.7, 0.4), (-30.3, 0.1))],
)
def test_shrinking_is_an_exact_mean_of_areas(scale, shift) -> None:
    image = np.random.default_rng(0).integers(0, 256, (61, 83, 3), np.uint8)
    affine = np.array([[scale[0], 0.0, shift[0]], [0.0, scale[1], shift[1]]])
    x, y = ((np.arange(n + 1) - 0.5 - shift[axis]) / scale[axis] + 0.5 for axis, n in enumerate((16, 12)))
    expected = np.einsum("yr,xc,rck->yxk", shares(y, 61), shares(x, 83), image) * scale[0] * scale[1]
    found = averaged(image, affine, 16, 12)
    assert found.shape == (12, 16, 3)
    assert np.abs(found - expected).max() <= 0.5 + 1e-6


def test_an_aligned_image_is_taken_as_it_is(contract) -> None:
    fruxel = contract.fruxel
    camera = fruxel.camera(contract.per_cell)
    image = np.random.default_rng(1).integers(0, 256, (camera.height, camera.width, 3), np.uint8)
    aligned = align(image, camera, fruxel, contract.per_cell)
    np.testing.assert_array_equal(aligned.image, image)
    assert aligned.seen.all()


@pytest.mark.parametrize("focal", [457.0, 90.0, 15.0])
def test_what_a_cell_holds_is_seen_before_its_column(contract, focal) -> None:
    """For images larger and smaller than the network's, and principal points off the middle."""
    fruxel, n = contract.fruxel, contract.per_cell
    camera = pinhole(focal, 0.52 * 1.4 * focal, 0.46 * 1.1 * focal, round(1.4 * focal), round(1.1 * focal))
    cell = np.array([[3, 7, 18]])
    u, v = camera.project(fruxel.centers(cell))[0][0]
    radius = max(0.5 * focal / fruxel.focal, 0.6)
    y, x = np.mgrid[: camera.height, : camera.width]
    spot = (np.abs(x - u) < radius) & (np.abs(y - v) < radius)
    aligned = align(np.uint8(255) * spot[..., None].repeat(3, 2), camera, fruxel, n)
    weight = aligned.image[..., 0].astype(float)
    rows, columns = np.indices(weight.shape)
    found = np.array([(weight * rows).sum(), (weight * columns).sum()]) / weight.sum()
    np.testing.assert_allclose(found, n * (cell[0, 1:] + 0.5) - 0.5, atol=0.6 * n * fruxel.focal / focal + 0.02)


def test_fine_patterns_become_grey(contract) -> None:
    camera = pinhole(2000.0, 1999.5, 1499.5, 4000, 3000)
    image = np.zeros((3000, 4000, 3), np.uint8)
    image[::2, ::2] = image[1::2, 1::2] = 255
    seen = align(image, camera, contract.fruxel, contract.per_cell).image
    assert np.abs(seen.astype(int) - 127).max() <= 4


@pytest.mark.parametrize(
    "camera",
    [
        pinhole(457.0, 330.5, 222.25, 640, 480),
        pinhole(3000.0, 319.5, 239.5, 640, 480),  # a field of view smaller than alpha
        pinhole(500.0, 10.0, 5.0, 640, 480),  # mostly beside the principal point
        pinhole(500.0, 2000.0, 4.0, 4000, 8),
        pinhole(500.0, 0.0, 900.0, 1, 1800),
    ],
    ids=["wide", "narrow", "off", "flat", "upright"],
)
def test_columns_are_seen_where_the_image_is(contract, camera) -> None:
    fruxel = contract.fruxel
    image = np.zeros((camera.height, camera.width, 3), np.uint8)
    aligned = align(image, camera, fruxel, contract.per_cell)
    fine = np.arange(64) / 64 + 1 / 128
    columns = (np.arange(fruxel.columns)[:, None] + fine - fruxel.principal[0]) / fruxel.focal
    rows = (np.arange(fruxel.rows)[:, None] + fine - fruxel.principal[1]) / fruxel.focal
    u = camera.intrinsics[0, 0] * columns + camera.intrinsics[0, 2]
    v = camera.intrinsics[1, 1] * rows + camera.intrinsics[1, 2]
    inside_u = ((u > -0.5) & (u < camera.width - 0.5)).any(1)
    inside_v = ((v > -0.5) & (v < camera.height - 0.5)).any(1)
    np.testing.assert_array_equal(aligned.seen, np.outer(inside_v, inside_u))
    assert aligned.image.shape == (24, 48, 3)


def test_nothing_is_said_of_what_no_image_reached(contract) -> None:
    shape = (1, *contract.fruxel.shape)

    def run(inputs):
        assert inputs["image"].shape == (1, 24, 48, 3)
        return {"labels": np.full(shape, 2, np.uint8), "probability": np.full(shape, 200, np.uint8)}

    ssz = SSZ(contract, run)
    camera = pinhole(3000.0, 319.5, 239.5, 640, 480)
    voxels = ssz(np.zeros((480, 640, 3), np.uint8), camera)
    seen = voxels.labels[0] != UNKNOWN
    assert 0 < seen.sum() < seen.size / 4
    assert ssz.padding == pytest.approx(1 - seen.mean())
    assert (voxels.labels[:, seen] == 2).all()
    assert (voxels.labels[:, ~seen] == UNKNOWN).all()
    assert voxels.probability is not None
    assert (voxels.probability == np.where(seen, 200, 0)).all()
    assert set(ssz.stages) == {"preprocess", "inference", "postprocess"}


def test_labels_pass_where_all_is_seen(contract, camera) -> None:
    labels = np.random.default_rng(2).integers(0, 10, (1, *contract.fruxel.shape)).astype(np.uint8)
    ssz = SSZ(contract, lambda _: {"labels": labels})
    voxels = ssz(np.zeros((480, 640, 3), np.uint8), camera)
    np.testing.assert_array_equal(voxels.labels, labels[0])
    assert (voxels.probability, ssz.padding, voxels.fruxel) == (None, 0.0, contract.fruxel)


def test_an_image_beside_the_grid_is_refused(contract) -> None:
    with pytest.raises(InputError, match="all outside of the grid"):
        SSZ(contract, run=dict)(np.zeros((480, 640, 3), np.uint8), pinhole(500.0, 5000.0, 240.0, 640, 480))


@pytest.mark.parametrize("image", [(100, 640, 3), (480, 640), (480, 640, 4)])
def test_an_image_of_another_camera_is_refused(contract, camera, image) -> None:
    with pytest.raises(InputError, match=r"image is .*expected uint8 \(480, 640, 3\)"):
        SSZ(contract, run=dict)(np.zeros(image, np.uint8), camera)


def test_a_model_of_another_grid_is_refused(contract, camera) -> None:
    ssz = SSZ(contract, lambda _: {"labels": np.zeros((1, 4, 12, 24), np.uint8)})
    with pytest.raises(InputError, match=r"grid of the model's labels is \(4, 12, 24\); expected \(8, 12, 24\)"):
        ssz(np.zeros((480, 640, 3), np.uint8), camera)


@pytest.mark.parametrize("backend", ["onnxruntime", "openvino"])
def test_an_engine_of_its_own_does_without_torch(contract: Contract, tmp_path, backend) -> None:
    pytest.importorskip(backend)
    onnx = pytest.importorskip("onnx")
    value = onnx.helper.make_tensor_value_info
    ends = [value(name, onnx.TensorProto.FLOAT, [1]) for name in ("x", "y")]
    graph = onnx.helper.make_graph([onnx.helper.make_node("Abs", ["x"], ["y"])], "any", ends[:1], ends[1:])
    model = onnx.helper.make_model(graph, opset_imports=[onnx.helper.make_opsetid("", 18)], ir_version=9)
    onnx.helper.set_model_props(model, {"system": "ssz", "contract": contract.to_json()})
    onnx.save(model, tmp_path / "any.onnx")
    opened = f"""
import sys
from ssz_ros.reconstructor import SSZ
ssz = SSZ.open({str(tmp_path / "any.onnx")!r}, {backend!r})
print(ssz.backend, ssz.contract.slices, "torch" in sys.modules)
"""
    said = subprocess.run([sys.executable, "-c", opened], capture_output=True, text=True, check=True).stdout
    assert said.split() == [backend, "8", "False"]


def test_weights_and_contract_make_the_deployed_module(contract: Contract, tmp_path) -> None:
    torch.manual_seed(0)
    network = build(contract).eval()
    weights.save(tmp_path / "weights.pt", network.state_dict(), contract.to_json())
    image = torch.randint(0, 256, (1, 24, 48, 3), dtype=torch.uint8)
    with torch.no_grad():
        logits = network(normalise(image))
    for probability in (True, False):
        deployed = load_deployed(tmp_path / "weights.pt", probability)
        assert Contract.from_json(deployed.metadata["contract"]) == contract
        assert deployed.metadata["system"] == "ssz"
        assert deployed.outputs == (("labels", "probability") if probability else ("labels",))
        with torch.no_grad():
            found = deployed.module(image)
        np.testing.assert_array_equal(found[0], logits.argmax(1))
        if probability:
            np.testing.assert_allclose(found[1], 255 * logits.softmax(1).amax(1), atol=0.51)


def test_open_reads_the_contract_of_an_onnx_file(contract: Contract, camera, tmp_path) -> None:
    export = pytest.importorskip("voxbox.export.onnx_graph")
    torch.manual_seed(0)
    weights.save(tmp_path / "weights.pt", build(contract).state_dict(), contract.to_json())
    deployed = load_deployed(tmp_path / "weights.pt")
    module, file = deployed.module, tmp_path / "model.onnx"
    export.write_onnx(module, module.example(), module.INPUTS, deployed.outputs, deployed.metadata, file)
    for backend in {"onnxruntime", "openvino"} & set(available()):
        ssz = SSZ.open(file, backend, threads=1)
        assert (ssz.contract, ssz.backend) == (contract, backend)
        voxels = ssz(np.full((480, 640, 3), 90, np.uint8), camera)
        assert voxels.labels.max() < len(contract.classes)
        assert voxels.probability is not None


def test_a_foreign_model_is_refused(tmp_path) -> None:
    with pytest.raises(InputError, match="expected"):
        SSZ.open(tmp_path / "absent.onnx")


def test_a_grid_off_the_middle_is_met_as_well() -> None:
    """The camera that `Fruxel.camera` tells is the one whose image is taken as it is, whatever the principal point."""
    fruxel = Fruxel(2.0, 10.0, 4, 10, 16, 50.0, principal=(5.5, 2.25))
    camera = fruxel.camera(3)
    image = np.random.default_rng(3).integers(0, 256, (30, 48, 3), np.uint8)
    np.testing.assert_array_equal(align(image, camera, fruxel, 3).image, image)
