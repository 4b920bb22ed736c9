"""What trained Point-DETR3D networks and all who run them must agree on. Saved in checkpoints and ONNX metadata."""

import json
from dataclasses import asdict, dataclass

import numpy as np

from voxbox_core.cloud import Grid, Range
from voxbox_core.contract import read_contract
from voxbox_core.errors import InputError

CLASSES = ("Car", "Van", "Truck", "Bus", "Cyclist", "Pedestrian")
"""The street world's, by KITTI's names."""

STRIDES = (2, 4, 8)  # of the encoder's maps, in cells
OUTPUT_STRIDE = 2  # of the student's head, in cells: 0.8 m with cells of 0.4 m, as published
REFERENCES = ("explicit", "learned")
SIZE_RANGE = (0.1, 40.0)
"""m, of boxes: neither an untrained network nor the arithmetic of an engine makes others."""


@dataclass(frozen=True)
class Contract:
    """The shape of the networks and the meaning of their outputs. Student and teacher share it.

    classes: names, in the order of labels and heat map channels.  mean_sizes: (length, width, height) of each, m.
    x, y, z: range the networks look at, m, in the LiDAR frame shifted up so that ground is at z = 0.  cell: m.
    per_pillar, max_pillars: most points of a pillar, most pillars of a cloud.  sweeps: most clouds that were put
    together in training; more than these the networks have never seen.
    pillar_channels; stage_channels, stage_layers: of the encoder's three stages, layers after the strided one.
    neck_channels: of each of the three maps that the student's neck joins.  head_channels: inside its heads.
    groups: classes that share a head, as CenterPoint's tasks do.  velocity: whether heads predict it.
    max_detections: candidates per cloud in the deployed graph.
    dim, heads, free_points, roi_grid, ffn: of the teacher's decoder: channels, attention heads, freely placed sampling
    points per head and level, points along a side of the RoI grid (0 for none), hidden channels.
    reference: where a prompt's attention begins: "explicit", at the prompt, or "learned", from its encoding.
    image_width, image_height: of every camera's network input, px; image_channels: of its pyramid's three levels.
    cameras: whether the teacher has an image encoder.
    score_thresholds: least score of a box worth showing, by class, 0..1.
    Raises InputError for values that do not make a network.
    """

    classes: tuple[str, ...] = CLASSES
    # Means over the street world's rig scenes, seeds 10000 to 10999.
    mean_sizes: tuple[tuple[float, float, float], ...] = (
        (3.89, 1.63, 1.53),
        (5.00, 1.90, 2.12),
        (8.47, 2.37, 3.35),
        (11.33, 2.50, 3.08),
        (1.76, 0.62, 1.79),
        (0.59, 0.61, 1.69),
    )
    x: Range = (-51.2, 51.2)
    y: Range = (-51.2, 51.2)
    z: Range = (-1.0, 5.0)
    cell: float = 0.4
    per_pillar: int = 12
    max_pillars: int = 20000
    sweeps: int = 1
    pillar_channels: int = 32
    stage_channels: tuple[int, ...] = (32, 64, 128)
    stage_layers: tuple[int, ...] = (2, 3, 3)
    neck_channels: int = 32
    head_channels: int = 32
    groups: tuple[tuple[str, ...], ...] = (CLASSES,)
    velocity: bool = False
    max_detections: int = 200
    dim: int = 64
    heads: int = 4
    free_points: int = 4
    roi_grid: int = 5
    ffn: int = 128
    reference: str = "explicit"
    cameras: bool = True
    image_width: int = 320
    image_height: int = 192
    image_channels: tuple[int, ...] = (32, 64, 64)
    score_thresholds: tuple[float, ...] = ()

    def __post_init__(self) -> None:
        object.__setattr__(self, "classes", tuple(self.classes))
        object.__setattr__(self, "mean_sizes", tuple(tuple(float(v) for v in row) for row in self.mean_sizes))
        object.__setattr__(self, "groups", tuple(tuple(group) for group in self.groups))
        for name in ("stage_channels", "stage_layers", "image_channels"):
            object.__setattr__(self, name, tuple(int(v) for v in getattr(self, name)))
        for name in ("x", "y", "z"):
            object.__setattr__(self, name, tuple(float(v) for v in getattr(self, name)))
        thresholds = tuple(float(v) for v in self.score_thresholds) or (0.1,) * len(self.classes)
        object.__setattr__(self, "score_thresholds", thresholds)
        self._check_classes()
        self._check_network()

    def _check_classes(self) -> None:
        count = len(self.classes)
        self._require(len(set(self.classes)) == count > 0, "classes", "distinct class names")
        sizes = len(self.mean_sizes) == count and all(len(s) == 3 and min(s) > 0 for s in self.mean_sizes)
        self._require(sizes, "mean_sizes", f"{count} rows of positive length, width, height")
        grouped = [name for group in self.groups for name in group]
        self._require(sorted(grouped) == sorted(self.classes), "groups", f"each of {self.classes} once")
        sound = len(self.score_thresholds) == count and all(0 <= v <= 1 for v in self.score_thresholds)
        self._require(sound, "score_thresholds", f"{count} numbers from 0 to 1")

    def _check_network(self) -> None:
        grid = self.grid  # raises for ranges that are none
        divides = grid.nx % STRIDES[-1] == 0 and grid.ny % STRIDES[-1] == 0
        self._require(divides, "cell", f"one that makes a multiple of {STRIDES[-1]} cells along x and y")
        positive = ("per_pillar", "max_pillars", "sweeps", "pillar_channels", "neck_channels", "head_channels")
        for name in (*positive, "max_detections", "dim", "heads", "free_points", "ffn"):
            self._require(getattr(self, name) > 0, name, "a positive number")
        for name in ("stage_channels", "stage_layers", "image_channels"):
            values = getattr(self, name)
            self._require(len(values) == 3 and min(values) > 0, name, "three positive numbers")
        self._require(self.dim % self.heads == 0, "dim", "a multiple of heads")
        self._require(self.roi_grid == 0 or self.roi_grid > 1, "roi_grid", "0, or 2 and more")
        self._require(self.reference in REFERENCES, "reference", f"one of {REFERENCES}")
        for name in ("image_width", "image_height"):
            value = getattr(self, name)
            self._require(value > 0 and value % 32 == 0, name, "a positive multiple of 32")

    def _require(self, holds: bool, name: str, expected: str) -> None:
        if not holds:
            raise InputError(f"contract value {name}", getattr(self, name), expected, "Correct it, or retrain.")

    @property
    def grid(self) -> Grid:
        """The cells of the pillars."""
        return Grid(self.x, self.y, self.z, self.cell)

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
