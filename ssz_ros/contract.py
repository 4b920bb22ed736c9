"""What a trained SSZ and everyone who runs it must agree on. Saved inside checkpoints and ONNX metadata."""

import json
from dataclasses import asdict, dataclass, replace
from math import isfinite
from typing import Any

from voxbox_core.contract import read_contract
from voxbox_core.errors import InputError
from voxbox_core.fruxel import PAPER, STREET, Fruxel
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
    encoder: channels by level, of the stem first; each level halves the image.  decoder: channels from the deepest
    level up, a number for each doubling: as many as bring the last level to the grid's size. Rows and columns (and
    slices, where depth is doubled too, from slices / 2^doublings) must be multiples of 2^doublings.
    expansion: t of the inverted residuals.  inverted_2d, inverted_3d: whether encoder and decoder are made of them; the
    ablation of section 4.5 leaves them out.
    order: of a volumetric block, "depthwise_first" is the paper's; the other computes a quarter.
    class_bias: added to each class's logits where labels are chosen; the highest logit alone is best for the loss that
    was trained, not for IoU. Empty: none.
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
    encoder: tuple[int, ...] = (32, 64, 128, 256, 320)
    decoder: tuple[int, ...] = (192, 128, 128, 128)
    expansion: int = 3
    inverted_2d: bool = True
    inverted_3d: bool = True
    order: str = "pointwise_first"
    class_bias: tuple[float, ...] = ()

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
        self._require(self.expansion > 0, "expansion", "a positive number")
        bias = tuple(float(v) for v in self.class_bias) or (0.0,) * len(self.classes)
        object.__setattr__(self, "class_bias", bias)
        sound = len(bias) == len(self.classes) and all(isfinite(v) for v in bias)
        self._require(sound, "class_bias", f"{len(self.classes)} finite numbers")
        power = self.per_cell > 0 and self.per_cell.bit_count() == 1
        self._require(power and self.per_cell < self._halvings, "per_cell", f"1, 2, 4 ... below {self._halvings}")
        self._check_levels()

    def _check_levels(self) -> None:
        doublings = (self._halvings // self.per_cell).bit_length() - 1
        expected = f"{doublings} channels, as {len(self.encoder)} levels of the encoder at {self.per_cell} per cell ask"
        self._require(len(self.decoder) == doublings, "decoder", expected)
        flat = self.architecture == "c2d"
        for name in ("rows", "columns") if flat else ("rows", "columns", "slices"):
            expected = f"a multiple of {2**doublings}, for {doublings} doublings"
            self._require(getattr(self, name) % 2**doublings == 0, name, expected)
        self._require(not flat or self.bottleneck[1:] != (1, 1), "encoder", "a deepest level of more than one pixel")

    @property
    def _halvings(self) -> int:
        """The factor between the input and the encoder's last level."""
        return int(2 ** len(self.encoder))

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

    @property
    def bottleneck(self) -> tuple[int, int, int]:
        """Slices (of no use where there are no volumes), rows and columns where the decoder begins."""
        factor = 2 ** len(self.decoder)
        return self.slices // factor, self.rows // factor, self.columns // factor

    @property
    def skips(self) -> tuple[int, ...]:
        """Channels of the encoder's map of the size that each doubling comes to; 0 where there is none."""
        shallower = self.encoder[-2::-1][: len(self.decoder)]
        return shallower + (0,) * (len(self.decoder) - len(shallower))

    def to_json(self) -> str:
        """One line of JSON that `from_json` reads back to an equal contract."""
        return json.dumps(asdict(self))

    @classmethod
    def from_json(cls, text: str) -> "Contract":
        """Reads `to_json`'s text. Raises InputError for text that is no JSON object, unknown keys and bad values."""
        return read_contract(cls, text)


def _on(grid: Fruxel, **others: Any) -> Contract:
    """A contract of a grid whose principal point is the middle."""
    values = asdict(grid)
    del values["principal"]
    return Contract(**values, **others)


_SMALL = replace(PAPER, slices=32, rows=32, columns=32, principal=())
_PAPER_ENCODER = (32, 64, 128, 256, 256, 256, 256, 256)

PRESETS = {
    "street": Contract(),
    "ssz-street": Contract(architecture="ssz", decoder=(128, 64, 32, 16)),
    "ssz128": _on(
        PAPER,
        architecture="ssz",
        encoder=_PAPER_ENCODER,
        decoder=(256, 256, 256, 128, 64, 32, 16),
        expansion=4,
        order="depthwise_first",
    ),
    "c2d128": _on(PAPER, encoder=(32, 64, 128, 256, 256)),
    "zgan128": _on(PAPER, architecture="zgan", encoder=_PAPER_ENCODER, decoder=(256, 256, 256, 256, 128, 64, 32)),
    "compact32": _on(
        _SMALL,
        per_cell=4,
        architecture="ssz",
        encoder=(16, 32, 64, 96, 128, 128, 128),
        decoder=(128, 96, 64, 32, 16),
    ),
    "toy32": _on(_SMALL, encoder=(16, 32, 64, 96, 128), decoder=(96, 64, 48, 48), expansion=4),
    "ssz-toy32": _on(
        _SMALL, architecture="ssz", encoder=(16, 32, 64, 96, 128, 128), decoder=(128, 96, 64, 32, 16), expansion=4
    ),
}
"""Contracts that recipes begin with. "street" is the released one; those of 128 cells have the paper's grid, those of
32 its frustum."""
