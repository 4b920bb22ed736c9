"""What a trained KM3D-Net and everyone who runs it must agree on. Saved inside checkpoints and ONNX metadata."""

import json
from dataclasses import asdict, dataclass

import numpy as np

from voxbox_core.contract import read_contract
from voxbox_core.errors import InputError

STRIDE = 4  # cells of the output grid are 4x4 input pixels, in every published KM3D and RTM3D
# Affine (2, 3) from input pixels to cells: the centre of a cell is the centre of its pixels.
INPUT_TO_GRID = np.array([[1 / STRIDE, 0.0, 0.5 / STRIDE - 0.5], [0.0, 1 / STRIDE, 0.5 / STRIDE - 0.5]])

# Neck of each backbone: how its deepest features come back to stride 4 (see network.py).
NECKS = {"resnet18": ("deconv", "skip"), "dla34": ("dla",)}
KEYPOINT_CHOICES = (2, 4, 8, 9)
PUBLISHED_THRESHOLD = 0.3


@dataclass(frozen=True)
class Contract:
    """The shape of one KM3D-Net and the meaning of its outputs.

    classes: names, in the order of the heat map's channels.
    mean_dims: (height, width, length) of each class, m; the network predicts the logarithm of the ratio to it.
    input_width, input_height: network input, pixels, multiples of 32.
    backbone: "resnet18" or "dla34".  width: channel multiplier of resnet18.
    neck: "deconv" (KM3D) or "skip" (RTM3D) for resnet18, "dla" for dla34.
    head_channels: channels inside each head; published: 64 with ResNet-18, 256 with DLA-34.
    auxiliary_heads: whether the four heads that only help training, and give the 2D box, exist.
    depth_head: whether a head predicts depth too, for the geometric module to weigh with the keypoints' (codec.py).
    max_objects: objects learned per training image.  max_detections: candidates per image in the deployed graph.
    keypoints_used: how many keypoints (2, 4, 8 or 9) the geometric reasoning module solves with at inference.
    score_thresholds: least score of a box worth showing, by class, 0..1. Scores are products with an expected 3D IoU,
    which is small for small things, so one for all would hide people or show cars that are none. Empty: as published.
    Raises InputError for values that do not make a network.
    """

    classes: tuple[str, ...] = ("Car", "Pedestrian", "Cyclist")
    # Means over KITTI's training labels.
    mean_dims: tuple[tuple[float, float, float], ...] = ((1.53, 1.63, 3.88), (1.76, 0.66, 0.84), (1.74, 0.60, 1.76))
    input_width: int = 1280
    input_height: int = 384
    backbone: str = "resnet18"
    width: float = 1.0
    neck: str = "deconv"
    head_channels: int = 64
    auxiliary_heads: bool = True
    depth_head: bool = False
    max_objects: int = 32
    max_detections: int = 50
    keypoints_used: int = 8
    score_thresholds: tuple[float, ...] = ()

    def __post_init__(self) -> None:
        object.__setattr__(self, "classes", tuple(self.classes))
        object.__setattr__(self, "mean_dims", tuple(tuple(float(v) for v in row) for row in self.mean_dims))
        self._require(len(set(self.classes)) == len(self.classes) > 0, "classes", "distinct class names")
        self._require(
            len(self.mean_dims) == len(self.classes) and all(len(d) == 3 and min(d) > 0 for d in self.mean_dims),
            "mean_dims",
            f"{len(self.classes)} rows of positive height, width, length",
        )
        for name in ("input_width", "input_height"):
            value = getattr(self, name)
            self._require(value > 0 and value % 32 == 0, name, "a positive multiple of 32")
        self._require(self.backbone in NECKS, "backbone", f"one of {tuple(NECKS)}")
        self._require(self.neck in NECKS[self.backbone], "neck", f"one of {NECKS[self.backbone]} with {self.backbone}")
        self._require(0 < self.width <= 4, "width", "a multiplier in (0, 4]")
        self._require(self.backbone == "resnet18" or self.width == 1, "width", "1 with dla34")
        for name in ("head_channels", "max_objects", "max_detections"):
            self._require(getattr(self, name) > 0, name, "a positive number")
        self._require(self.keypoints_used in KEYPOINT_CHOICES, "keypoints_used", f"one of {KEYPOINT_CHOICES}")
        thresholds = tuple(float(v) for v in self.score_thresholds) or (PUBLISHED_THRESHOLD,) * len(self.classes)
        object.__setattr__(self, "score_thresholds", thresholds)
        sound = len(thresholds) == len(self.classes) and all(0 <= v <= 1 for v in thresholds)
        self._require(sound, "score_thresholds", f"{len(self.classes)} numbers from 0 to 1")

    def _require(self, holds: bool, name: str, expected: str) -> None:
        if not holds:
            raise InputError(f"contract value {name}", getattr(self, name), expected, "Correct it, or retrain.")

    @property
    def grid_width(self) -> int:
        """Columns of the output grid."""
        return self.input_width // STRIDE

    @property
    def grid_height(self) -> int:
        """Rows of the output grid."""
        return self.input_height // STRIDE

    @property
    def heads(self) -> dict[str, int]:
        """Channels of each head map, under the published names (spec of the heads: network.py)."""
        paper = {"hm": len(self.classes), "hps": 18, "dim": 3, "rot": 8, "prob": 1}
        auxiliary = {"reg": 2, "wh": 2, "hm_hp": 9, "hp_offset": 2}
        depth = {"depth": 2} if self.depth_head else {}
        return paper | depth | (auxiliary if self.auxiliary_heads else {})

    def confident(self, label: np.ndarray, score: np.ndarray) -> np.ndarray:
        """Which of N detections, with labels (N,) and scores (N,), reach their class's threshold: (N,) bool."""
        return np.asarray(score >= np.array(self.score_thresholds)[label])

    def to_json(self) -> str:
        """One line of JSON that `from_json` reads back to an equal contract."""
        return json.dumps(asdict(self))

    @classmethod
    def from_json(cls, text: str) -> "Contract":
        """Reads `to_json`'s text. Raises InputError for text that is no JSON object, unknown keys and bad values."""
        return read_contract(cls, text)
