"""The teacher as a tool: a frame is encoded once, and then every click on it becomes a box."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from functools import partial
from pathlib import Path
from time import perf_counter
from typing import Any

import numpy as np

from point_detr3d_ros.contract import Contract
from point_detr3d_ros.detector import SYSTEM, Overflow, contract_of, graph_inputs, grounded_boxes, grounded_pillars
from point_detr3d_ros.views import network_views
from voxbox_core.boxes import Axes, Boxes3D
from voxbox_core.camera import Camera
from voxbox_core.datasets.rig import Prompts, View
from voxbox_core.errors import InputError
from voxbox_core.runtime import DeployedModule, LoadedModel, Run, open_model

CAMERAS = 6  # the most that a model's graphs take
MOST_PROMPTS = 64  # in one run of the decoder, as engines with fixed profiles want it
_NEAR_PIXEL = 8.0  # px around a click in an image, within which LiDAR points tell its depth
_SEEN_FROM = 0.1  # m: nearer to the image plane nothing is seen


@dataclass(frozen=True)
class Encoded:
    """A frame ready for prompts.

    inputs: of the decoder's graph, but for the prompts.  height: of the LiDAR's origin above the ground, m.
    cameras: how many took part.
    """

    inputs: Mapping[str, np.ndarray]
    height: float
    cameras: int


class Assist:
    """The prompted detector.

    contract: of the model.  lidar, image, decoder: its three graphs, by any backend; image is None for a model without
    cameras.  stages: seconds of the last `encode` in pillars, encode_lidar and encode_images.  overflow: of the last.
    """

    def __init__(self, contract: Contract, lidar: Run, image: Run | None, decoder: Run) -> None:
        self.contract = contract
        self._lidar, self._image, self._decoder = lidar, image, decoder
        self.backend = self.precision = "unknown"
        self.stages: dict[str, float] = {}
        self.overflow = Overflow()
        self._blank = self._blank_images()

    @classmethod
    def open(cls, folder: Path | str, backend: str = "auto", threads: int = 0) -> "Assist":
        """Loads a released folder of the three graphs `lidar`, `image` and `prompt`.

        Raises InputError when one of them is missing, is not of Point-DETR3D, or belongs to another contract than the
        first, or when the backend cannot run it.
        """
        folder = Path(folder)
        lidar = _open(folder, "lidar", backend, threads)
        contract = contract_of(lidar, folder / "lidar")
        others: dict[str, Run] = {}
        for part in ("image", "prompt") if contract.cameras else ("prompt",):
            loaded = _open(folder, part, backend, threads)
            if contract_of(loaded, folder / part) != contract:
                raise InputError(
                    f"contract of {folder / part}", "another", "that of its lidar", "Export them together."
                )
            others[part] = loaded.run
        assist = cls(contract, lidar.run, others.get("image"), others["prompt"])
        assist.backend, assist.precision = lidar.backend, lidar.precision
        middle = np.array([[sum(contract.x) / 2, sum(contract.y) / 2, 0.0]])
        assist.ask(assist.encode(np.ones((1, 5), np.float32), 0.0), middle, [None])  # warm now, not at the first click
        return assist

    def encode(self, points: np.ndarray, height: float, views: Sequence[View] = ()) -> Encoded:
        """points: (P, 5) float32 x y z intensity age in the LiDAR frame (z up), m, 0..1, s.  height: of the LiDAR's
        origin above the ground, m.  views: 0 to 6 cameras around it. Raises InputError for more, or bad points."""
        if len(views) > CAMERAS:
            raise InputError("cameras", len(views), f"at most {CAMERAS}", "Leave some out.")
        start = perf_counter()
        standing = grounded_pillars(points, height, self.contract)
        self.overflow = Overflow(standing.overflow_pillars, standing.overflow_points)
        before = perf_counter()
        inputs = dict(self._lidar(graph_inputs(standing)))
        after = perf_counter()
        inputs |= self._encode_images(views, height)
        images = perf_counter() - after
        self.stages = {"pillars": before - start, "encode_lidar": after - before, "encode_images": images}
        return Encoded(inputs, height, len(views) if self._image else 0)

    def decode(self, encoded: Encoded, prompts: Prompts) -> Boxes3D:
        """One box per prompt, in the prompts' order, in the LiDAR frame. Its score is that of the prompt's class.

        Raises InputError for prompts of other classes than the contract's.
        """
        return self._decode(encoded, prompts, np.zeros((len(prompts), 5), np.float32))

    def refine(self, encoded: Encoded, boxes: Boxes3D) -> Boxes3D:
        """Boxes that another detector has found in the LiDAR frame -> what the decoder makes of each, in their order.

        Their scores are those of their classes. Raises InputError for boxes of other classes than the contract's.
        """
        roi = np.column_stack([boxes.size, np.sin(boxes.yaw), np.cos(boxes.yaw)]).astype(np.float32)
        return self._decode(encoded, Prompts(boxes.center, boxes.label, boxes.classes), roi)

    def ask(self, encoded: Encoded, points: np.ndarray, labels: Sequence[int | None]) -> Boxes3D:
        """One box per click, points (N, 3), in the LiDAR frame, m; label None is decoded as every class, and answered
        with the one most sure of itself."""
        classes = range(len(self.contract.classes))
        asked = [(i, label) for i, own in enumerate(labels) for label in (classes if own is None else (own,))]
        if not asked:
            return Boxes3D.empty(self.contract.classes, Axes.BODY)
        of, label = (np.array(column) for column in zip(*asked))
        boxes = self.decode(encoded, Prompts(np.asarray(points)[of], label, self.contract.classes))
        best = [rows[np.argmax(boxes.score[rows])] for rows in (np.flatnonzero(of == i) for i in range(len(labels)))]
        return boxes[best]

    def label_of(self, name: str) -> int | None:
        """The class of a name, upper and lower case alike; None for "". Raises InputError for one it does not know."""
        if not name:
            return None
        known = {own.lower(): i for i, own in enumerate(self.contract.classes)}
        if name.lower() not in known:
            raise InputError(
                "class of a click",
                repr(name),
                f"one of {', '.join(self.contract.classes)}, or none",
                "Name one of these.",
            )
        return known[name.lower()]

    def _decode(self, encoded: Encoded, prompts: Prompts, roi: np.ndarray) -> Boxes3D:
        if prompts.classes != self.contract.classes:
            raise InputError(
                "classes of the prompts", prompts.classes, str(self.contract.classes), "Use the contract's."
            )
        slices = [slice(i, i + MOST_PROMPTS) for i in range(0, len(prompts), MOST_PROMPTS)]
        parts = [self._decode_at_once(encoded, prompts[part], roi[part]) for part in slices]
        return Boxes3D.concatenate([Boxes3D.empty(self.contract.classes, Axes.BODY), *parts])

    def _decode_at_once(self, encoded: Encoded, prompts: Prompts, roi: np.ndarray) -> Boxes3D:
        raised = prompts.points + np.array([0.0, 0.0, encoded.height])
        label = prompts.label
        asked = {"points": raised.astype(np.float32), "label": label, "roi": roi}
        found = self._decoder({**encoded.inputs, **asked})
        own = found["score"][np.arange(len(label)), label]
        return grounded_boxes({**found, "score": own, "label": label}, encoded.height, self.contract.classes)

    def _encode_images(self, views: Sequence[View], height: float) -> dict[str, np.ndarray]:
        """What the decoder wants to know of the cameras."""
        if self._image is None or not views:
            return self._blank
        down = np.eye(4)
        down[2, 3] = -height
        grounded = [replace(view, camera_from_lidar=view.camera_from_lidar @ down) for view in views]
        images, matrices = network_views(grounded, self.contract)
        return {
            "image_rows": self._image({"images": images})["image_rows"],
            "image_from_lidar": matrices,
            "camera_valid": np.ones(len(views), np.float32),
        }

    def _blank_images(self) -> dict[str, np.ndarray]:
        """The decoder's inputs where there is no camera: one that sees nothing, for engines refuse to run on none. Its
        shape is the graph's, found by running it."""
        if self._image is None:
            return {}
        grey = np.full((1, self.contract.image_height, self.contract.image_width, 3), 128, np.uint8)
        rows = self._image({"images": grey})["image_rows"]
        return {
            "image_rows": np.zeros_like(rows),
            "image_from_lidar": np.zeros((1, 3, 4), np.float32),
            "camera_valid": np.zeros(1, np.float32),
        }


def require_in_range(point: np.ndarray, contract: Contract, height: float) -> None:
    """Raises InputError for a click, (3,) m in the LiDAR frame, that is not in the range the networks look at."""
    if not contract.grid.contains((point + np.array([0.0, 0.0, height]))[None])[0]:
        expected = f"x in {contract.x}, y in {contract.y}, z above ground in {contract.z} m"
        raise InputError("place of a click", _told(point), expected, "Click nearer to the LiDAR.")


def _told(point: np.ndarray) -> str:
    return f"({', '.join(f'{v:.1f}' for v in point)})"


def doubts(boxes: Boxes3D, points: np.ndarray, contract: Contract, least: float) -> list[InputError | None]:
    """Why each answer is not to be trusted; None where nothing speaks against it.

    boxes: one per click.  points: (N, 3) the clicks, m, same frame.  least: score.
    """
    return [_doubt(boxes[[i]], points[i], contract, least) for i in range(len(boxes))]


def _doubt(box: Boxes3D, point: np.ndarray, contract: Contract, least: float) -> InputError | None:
    name, score = box.names()[0], float(box.score[0])
    if not (np.isfinite(box.center).all() and np.isfinite(box.yaw).all()):
        return InputError(f"box of a click on a {name}", "not finite", "numbers", "Export the model again.")
    if not score >= least:
        expected = f"at least {least:g} (parameter click_threshold)"
        return InputError(
            f"score of a click on a {name}", f"{score:.2f} at {_told(point)}", expected, "Is anything there?"
        )
    away = float(np.linalg.norm(box.center[0] - point))
    limit = float(np.linalg.norm(contract.mean_sizes[box.label[0]])) / 2
    if away > limit:
        expected = f"at most {limit:.1f} m, half of such an object"
        return InputError(f"way from a click to its {name}", f"{away:.1f} m", expected, "Click on the object.")
    return None


def point_of_pixel(
    pixel: np.ndarray, points: np.ndarray, camera: Camera, camera_from_lidar: np.ndarray, height: float
) -> np.ndarray:
    """A click in an image -> (3,) the place meant, in the LiDAR frame, m.

    pixel: (2,).  points: (P, 3..) of the LiDAR frame.  camera_from_lidar: (4, 4).  At the median depth of the points
    within 8 px; where there are none, on the ground `height` m below the origin. Raises InputError for a pixel that
    sees no ground either.
    """
    seen = np.asarray(points[:, :3], np.float64) @ camera_from_lidar[:3, :3].T + camera_from_lidar[:3, 3]
    pixels, depth = camera.project(seen)
    near = (depth > _SEEN_FROM) & (((pixels - pixel) ** 2).sum(1) <= _NEAR_PIXEL**2)
    lidar_from_camera = np.linalg.inv(camera_from_lidar)
    ray = lidar_from_camera[:3, :3] @ camera.back_project(np.asarray(pixel), np.ones(()))
    origin = lidar_from_camera[:3, 3]
    if near.any():
        return origin + ray * np.median(depth[near])
    reach = (-height - origin[2]) / ray[2] if ray[2] < 0 else -1.0
    if reach <= 0:
        where = f"({pixel[0]:.0f}, {pixel[1]:.0f})"
        raise InputError(
            "click in an image", f"at {where}, above the horizon", "on LiDAR points or ground", "Click lower."
        )
    return origin + ray * reach


def load_deployed(file: Path, part: str) -> DeployedModule:
    """One of the teacher's graphs, `lidar`, `image` or `prompt`, with trained weights, as a torch module.

    Raises InputError when the file is not of its kind.
    """
    from point_detr3d_ros import teacher_deployed  # PyTorch: a node that runs another engine is lighter without
    from point_detr3d_ros.teacher import Teacher
    from voxbox_core import weights

    stored = weights.load(file)
    contract = Contract.from_json(stored.contract)
    teacher = Teacher(contract)
    weights.load_into(teacher, stored)
    kinds: dict[str, Any] = {
        "lidar": teacher_deployed.LidarPyramid,
        "image": teacher_deployed.ImagePyramid,
        "prompt": teacher_deployed.PromptDecoder,
    }
    kind = kinds[part]
    return DeployedModule(kind(teacher).eval(), kind.OUTPUTS, {"system": SYSTEM, "contract": contract.to_json()})


def _open(folder: Path, part: str, backend: str, threads: int) -> LoadedModel:
    return open_model(folder / part, backend, threads, build=partial(load_deployed, part=part))
