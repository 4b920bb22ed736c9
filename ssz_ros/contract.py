"""What a trained SSZ and everyone who runs it must agree on. Saved inside checkpoints and ONNX metadata."""

import json
from dataclasses import asdict, dataclass

from voxbox_core.contract import read_contract
from voxbox_core.errors import InputError
from voxbox_core.fruxel import STREET, Fruxel
from voxbox_core.voxels import CLASSES

ARCHITECTURES = ("c2d", "ssz", "zgan")
ORDERS = ("pointwise_first", "depthwise_first")


@dataclass(frozen=True)
class Contract:
    """The shape of one generator, the grid it fills and the meaning of its labels.

    classes: names by label; 0 is air.
    near, far, slices, rows, columns, alpha, spacing: of the grid, see `Fruxel`; its principal point is the middle.
    per_cell: input pixels along a row and a column for each column of cells: the input has columns * per_cell x
    rows * per_cell pixels.
    architecture: "ssz", the paper's volumetric decoder; "c2d", whose channels become depth (not of the paper, ten times
    as fast on a CPU); "zgan", the predecessor's (Z-GAN, Knyaz et al., ECCVW 2018).
    encoder: channels by level, of the stem first; each level halves the image, and the first brings the input to the
    grid's size where per_cell is 2.  decoder: channels from the deepest level up.
    expansion: t of the inverted residuals.  inverted_2d, inverted_3d: whether encoder and decoder are made of them; the
    ablation of section 4.5 leaves them out.
    order: of a volumetric block, "depthwise_first" is the paper's; the other computes a quarter.
    Raises InputError for values that make no generator.
    """

    classes: tuple[str, ...] = CLASSES
    near: float = STREET.near
    far: float = STREET.far
    slices: int = STREET.slices
    rows: int = STREET.rows
    columns: int = STREET.columns
    alpha: float = STREET.alpha
    spacing: str = STREET.spacing
    per_cell: int = 2
    architecture: str = "c2d"
    encoder: tuple[int, ...] = (32, 64, 128, 192, 256)
    decoder: tuple[int, ...] = (128, 96, 64, 64)
    expansion: int = 4
    inverted_2d: bool = True
    inverted_3d: bool = True
    order: str = "pointwise_first"

    def __post_init__(self) -> None:
        for name in ("classes", "encoder", "decoder"):
            object.__setattr__(self, name, tuple(getattr(self, name)))
        distinct = len(set(self.classes)) == len(self.classes) > 1 and self.classes[0] == CLASSES[0]
        self._require(distinct, "classes", f"distinct class names, {CLASSES[0]!r} first")
        self.fruxel  # noqa: B018 - it checks its part
        self._require(self.architecture in ARCHITECTURES, "architecture", f"one of {ARCHITECTURES}")
        self._require(self.order in ORDERS, "order", f"one of {ORDERS}")
        for name in ("encoder", "decoder"):
            channels = getattr(self, name)
            self._require(len(channels) > 0 and min(channels) > 0, name, "positive numbers of channels")
        for name in ("per_cell", "expansion"):
            self._require(getattr(self, name) > 0, name, "a positive number")

    def _require(self, holds: bool, name: str, expected: str) -> None:
        if not holds:
            raise InputError(f"contract value {name}", getattr(self, name), expected, "Correct it, or retrain.")

    @property
    def fruxel(self) -> Fruxel:
        """The grid."""
        return Fruxel(self.near, self.far, self.slices, self.rows, self.columns, self.alpha, self.spacing)

    @property
    def input_size(self) -> tuple[int, int]:
        """Width and height of the network's input, pixels."""
        return self.columns * self.per_cell, self.rows * self.per_cell

    def to_json(self) -> str:
        """One line of JSON that `from_json` reads back to an equal contract."""
        return json.dumps(asdict(self))

    @classmethod
    def from_json(cls, text: str) -> "Contract":
        """Reads `to_json`'s text. Raises InputError for text that is no JSON object, unknown keys and bad values."""
        return read_contract(cls, text)
