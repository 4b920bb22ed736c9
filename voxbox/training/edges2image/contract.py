"""What a painter of edges and everyone who runs it must agree on."""

import json
from dataclasses import asdict, dataclass

from voxbox.training.options import option
from voxbox_core.contract import read_contract
from voxbox_core.datasets.edges import Canny
from voxbox_core.errors import InputError


@dataclass(frozen=True)
class PainterContract:
    """width: channels of the first level; each further one has twice as many, up to 8 times.  levels: halvings.
    sigma, low, high: of the edges it learned from, see Canny.  Raises InputError for values that make no network."""

    width: int = option(32, "channels of the first level of the painter")
    levels: int = option(6, "how often the painter halves the image")
    sigma: float = option(Canny.sigma, "Gaussian before the edges, px")
    low: float = option(Canny.low, "threshold that edges go on above")
    high: float = option(Canny.high, "threshold that edges begin above")

    def __post_init__(self) -> None:
        for name, most in (("width", 512), ("levels", 8)):
            if not 1 <= getattr(self, name) <= most:
                raise InputError(f"contract value {name}", getattr(self, name), f"1 to {most}", "Correct it.")
        _ = self.canny

    @property
    def canny(self) -> Canny:
        return Canny(self.sigma, self.low, self.high)

    def to_json(self) -> str:
        return json.dumps(asdict(self))

    @classmethod
    def from_json(cls, text: str) -> "PainterContract":
        """Reads `to_json`'s text. Raises InputError for anything else."""
        return read_contract(cls, text)
