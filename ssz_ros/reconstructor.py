"""SSZ as one callable: image and camera in, voxels out. The node, the benchmark and the evaluation all call this.

The grid is the camera's own frustum, so that all there is to do about a camera is to crop and to scale. One that looks
up, down or aslant is taken as it is: nothing is turned.
"""

from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from time import perf_counter

import numpy as np

from ssz_ros.contract import Contract
from voxbox_core.camera import Camera
from voxbox_core.errors import InputError
from voxbox_core.fruxel import Fruxel
from voxbox_core.image import Picture, averaged, require_seen_by, warp
from voxbox_core.runtime import DeployedModule, OnDevice, Run, open_model
from voxbox_core.voxels import UNKNOWN, Voxels

SYSTEM = "ssz"
_TOUCHES = 1e-6  # part of a cell: what an image's edge on a cell's edge may be off by rounding


@dataclass(frozen=True)
class Aligned:
    """An image as the network sees it.

    image: (rows * per_cell, columns * per_cell, 3) uint8 RGB, black where the camera's image does not reach; an array,
    or a tensor as the camera's image was.
    seen: (rows, columns) bool, which columns of cells have any part of the camera's image before them.
    """

    image: Picture
    seen: np.ndarray


class SSZ:
    """The reconstructor.

    contract: of the model.  run: its deployed graph, by any backend.
    device: where `run` computes, None for host memory; images may be there already.
    stages: seconds of the last call in preprocess, inference and postprocess.
    padding: part of the grid's columns, 0..1, that the last call's image did not reach; their cells are UNKNOWN.
    """

    def __init__(self, contract: Contract, run: Run) -> None:
        self.contract = contract
        self.run = run
        self.device: OnDevice | None = None
        self.backend = self.precision = "unknown"
        self.stages: dict[str, float] = {}
        self.padding = 0.0

    @classmethod
    def open(cls, model: Path | str, backend: str = "auto", threads: int = 0, precision: str = "auto") -> "SSZ":
        """Loads a .onnx file or a released model's folder, as `open_model` does.

        Raises InputError when there is none, when it is not of SSZ, or when the backend cannot run it.
        """
        loaded = open_model(model, backend, threads, load_deployed, precision)
        system = loaded.metadata.get("system")
        if system != SYSTEM:
            raise InputError(f"system of {model}", system, SYSTEM, "Give a model exported with `voxbox export ssz`.")
        reconstructor = cls(Contract.from_json(loaded.metadata.get("contract", "")), loaded.run)
        reconstructor.backend, reconstructor.precision = loaded.backend, loaded.precision
        reconstructor.device = loaded.device
        return reconstructor

    def __call__(self, image: Picture, camera: Camera) -> Voxels:
        """image: (H, W, 3) uint8 RGB, rectified, an array or a tensor on the device.  camera: of this image.

        Returns voxels in the camera's optical frame, UNKNOWN where the image does not reach.
        Raises InputError when the image and the camera do not belong together, or the image is none of the grid.
        """
        start = perf_counter()
        if self.device is not None:
            image = self.device.upload("image", image)
        aligned = align(image, camera, self.contract.fruxel, self.contract.per_cell)
        self.padding = 1 - float(aligned.seen.mean())
        before = perf_counter()
        outputs = self._run(aligned)
        after = perf_counter()
        voxels = self.postprocess(outputs, aligned.seen)
        self.stages = {
            "preprocess": before - start,
            "inference": after - before,
            "postprocess": perf_counter() - after,
        }
        return voxels

    def _run(self, aligned: Aligned) -> dict[str, np.ndarray]:
        """The outputs of the graph, and `surface`, (N,) flat indices, from a device, which finds it before
        the labels leave it."""
        inputs = {"image": aligned.image[None]}
        if self.device is None:
            return self.run(inputs)
        from voxbox_core.device_voxels import surface_cells  # PyTorch: a node that runs another engine does without

        found = self.device.compute(inputs)
        self._require_grid(tuple(found["labels"][0].shape))
        seen = self.device.upload("seen", aligned.seen)
        surface = surface_cells(found["labels"][0].where(seen, UNKNOWN))
        return self.device.download(found | {"surface": surface})

    def postprocess(self, outputs: Mapping[str, np.ndarray], seen: np.ndarray) -> Voxels:
        """Voxels of the first image.  seen: (rows, columns) bool, see `Aligned`.

        Raises InputError when the model fills another grid than its contract says.
        """
        labels, probability = outputs["labels"][0], outputs.get("probability")
        self._require_grid(labels.shape)
        certainty = None if probability is None else probability[0]
        if not seen.all():
            labels = np.where(seen, labels, np.uint8(UNKNOWN))
            certainty = None if certainty is None else np.where(seen, certainty, np.uint8(0))
        return Voxels(labels, self.contract.fruxel, certainty, self.contract.classes, outputs.get("surface"))

    def _require_grid(self, shape: tuple[int, ...]) -> None:
        expected = self.contract.fruxel.shape
        if shape != expected:
            raise InputError("grid of the model's labels", shape, f"{expected}", "Export the model again.")


def align(image: Picture, camera: Camera, fruxel: Fruxel, per_cell: int) -> Aligned:
    """The part of an image that is before a grid, with per_cell x per_cell pixels for each column of cells.

    image: (H, W, 3) uint8 RGB, rectified.  camera: of this image; its principal point may be anywhere.
    Raises InputError when they do not belong together, or no column of the grid is in the image.
    """
    require_seen_by(camera, image)
    affine = fruxel.affine(camera, per_cell)
    seen = _seen(affine, camera, fruxel, per_cell)
    if not seen.any():
        raise InputError(
            "image",
            f"{camera.width}x{camera.height}, all outside of the grid, about the principal point "
            f"({camera.intrinsics[0, 2]:.0f}, {camera.intrinsics[1, 2]:.0f})",
            "one that shows what is straight ahead",
            "Check camera_info, and that it belongs to this image.",
        )
    width, height = per_cell * fruxel.columns, per_cell * fruxel.rows
    shrinks = min(affine[0, 0], affine[1, 1]) < 1
    if shrinks and affine[0, 1] == 0:
        return Aligned(averaged(image, affine, width, height), seen)
    return Aligned(warp(image, affine, width, height), seen)


def _seen(affine: np.ndarray, camera: Camera, fruxel: Fruxel, per_cell: int) -> np.ndarray:
    """(rows, columns) bool: columns of cells that have any part of the image before them."""
    corners = np.array([[-0.5, camera.width - 0.5], [-0.5, camera.height - 0.5]])
    (x0, x1), (y0, y1) = ((affine[:, :2] @ corners + affine[:, 2:]) + 0.5) / per_cell
    return np.outer(_overlaps(y0, y1, fruxel.rows), _overlaps(x0, x1, fruxel.columns))


def _overlaps(low: float, high: float, count: int) -> np.ndarray:
    """(count,) bool: whether the cells [i, i + 1) have a part in [low, high]."""
    cell = np.arange(count)
    return (np.minimum(high, cell + 1) - np.maximum(low, cell)) > _TOUCHES


def load_deployed(file: Path, probability: bool = True) -> DeployedModule:
    """The deployed graph with trained weights, as a torch module; it tells the labels' probability when asked to.

    Raises InputError when the file is not SSZ's."""
    from ssz_ros.network import Deployed, build  # PyTorch: a node that runs another engine is lighter without
    from voxbox_core import weights

    stored = weights.load(file)
    contract = Contract.from_json(stored.contract)
    network = build(contract)
    weights.load_into(network, stored)
    deployed = Deployed(network.eval(), probability)
    metadata = {"system": SYSTEM, "contract": contract.to_json()}
    example = dict(zip(deployed.INPUTS, deployed.example()))
    return DeployedModule(deployed.eval(), deployed.outputs, metadata, example)
