"""KM3D as one callable: image and camera in, boxes out. The node, the benchmark and the evaluation all call this."""

from collections.abc import Mapping
from pathlib import Path
from time import perf_counter
from typing import Any

import numpy as np

from km3d_ros.contract import INPUT_TO_GRID, Contract
from voxbox_core.boxes import Boxes3D, apart
from voxbox_core.camera import Camera
from voxbox_core.errors import InputError
from voxbox_core.image import Picture, compose, invert, letterbox, require_seen_by, warp
from voxbox_core.runtime import DeployedModule, OnDevice, Run, open_model

SYSTEM = "km3d"
# Two cars do not stand in one place: what overlaps more, from above, was found twice, as a car behind another often is.
SAME_PLACE = 0.2


class KM3D:
    """The detector.

    contract: of the model.  run: its deployed graph, by any backend.
    score_threshold: least score of a box, 0..1; None takes the contract's, class by class.
    device: where `run` computes, None for host memory; images may be there already.
    stages: seconds of the last call in preprocess, inference and postprocess.
    """

    def __init__(self, contract: Contract, run: Run, score_threshold: float | None = None) -> None:
        self.contract = contract
        self.run = run
        self.device: OnDevice | None = None
        self.score_threshold = score_threshold
        self.backend = self.precision = "unknown"
        self.stages: dict[str, float] = {}

    @classmethod
    def open(
        cls,
        model: Path | str,
        backend: str = "auto",
        threads: int = 0,
        score_threshold: float | None = None,
        precision: str = "auto",
    ) -> "KM3D":
        """Loads a .onnx file or a released model's folder, as `open_model` does.

        Raises InputError when there is none, when it is not of KM3D, or when the backend cannot run it.
        """
        loaded = open_model(model, backend, threads, load_deployed, precision)
        system = loaded.metadata.get("system")
        if system != SYSTEM:
            raise InputError(f"system of {model}", system, SYSTEM, "Give a model exported with `voxbox export km3d`.")
        detector = cls(Contract.from_json(loaded.metadata.get("contract", "")), loaded.run, score_threshold)
        detector.backend, detector.precision, detector.device = loaded.backend, loaded.precision, loaded.device
        apart(Boxes3D.empty(detector.contract.classes), SAME_PLACE)  # compiled now, not at the first image
        return detector

    def __call__(self, image: Picture, camera: Camera) -> Boxes3D:
        """image: (H, W, 3) uint8 RGB, rectified, an array or a tensor on the device.  camera: of this image.

        Returns boxes in the camera's optical frame, best first, with 2D boxes clipped to the image.
        Raises InputError when the image and the camera do not belong together.
        """
        start = perf_counter()
        inputs = self.preprocess(image, camera)
        before = perf_counter()
        outputs = self.run(inputs)
        after = perf_counter()
        boxes = self.postprocess(outputs, camera)
        self.stages = {
            "preprocess": before - start,
            "inference": after - before,
            "postprocess": perf_counter() - after,
        }
        return boxes

    def preprocess(self, image: Picture, camera: Camera) -> dict[str, Any]:
        """The inputs of the deployed graph (`network.Deployed`), the image where `run` computes."""
        require_seen_by(camera, image)
        if self.device is not None:
            image = self.device.upload("image", image)
        width, height = self.contract.input_width, self.contract.input_height
        affine = letterbox(camera.width, camera.height, width, height)
        return {
            "image": warp(image, affine, width, height)[None],
            "intrinsics": camera.intrinsics[None].astype(np.float32),
            "grid_to_image": invert(compose(INPUT_TO_GRID, affine))[None].astype(np.float32),
        }

    def postprocess(self, outputs: Mapping[str, np.ndarray], camera: Camera) -> Boxes3D:
        """Boxes of the first image whose score reaches the threshold, best first, the best one of each place; none with
        a number that is none."""
        score = outputs["score"][0]
        if self.score_threshold is None:
            enough = self.contract.confident(outputs["label"][0].astype(int), score)
        else:
            enough = score >= self.score_threshold
        whole = np.isfinite(outputs["center"][0]).all(1) & np.isfinite(outputs["size"][0]).all(1)
        whole &= np.isfinite(outputs["yaw"][0])
        kept = np.flatnonzero(enough & (score > 0) & whole)
        kept = kept[np.argsort(-score[kept], kind="stable")]
        limit = np.array([camera.width - 1, camera.height - 1] * 2)
        boxes = Boxes3D(
            center=outputs["center"][0, kept],
            size=outputs["size"][0, kept],
            yaw=outputs["yaw"][0, kept],
            label=outputs["label"][0, kept],
            score=score[kept],
            box2d=np.clip(outputs["box2d"][0, kept], 0, limit),
            classes=self.contract.classes,
        )
        return boxes[apart(boxes, SAME_PLACE)]


def load_deployed(file: Path) -> DeployedModule:
    """The deployed graph with trained weights, as a torch module. Raises InputError when the file is not KM3D's."""
    from km3d_ros.network import Deployed, KM3DNet  # PyTorch: a node that runs another engine is lighter without
    from voxbox_core import weights

    stored = weights.load(file)
    network = KM3DNet(Contract.from_json(stored.contract))
    weights.load_into(network, stored)
    metadata = {"system": SYSTEM, "contract": network.contract.to_json()}
    module = Deployed(network).eval()
    return DeployedModule(module, Deployed.OUTPUTS, metadata, dict(zip(Deployed.INPUTS, module.example())))
