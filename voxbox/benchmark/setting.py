"""How nodes are run to be measured, and what became of the frames that they were sent."""

from collections.abc import Mapping
from dataclasses import dataclass, field

SYSTEMS = ("km3d", "point_detr3d", "ssz")


@dataclass(frozen=True)
class Setting:
    """How nodes are run.

    systems: of SYSTEMS.  together: in one process.  backend, threads: their parameters.  models: by system, where not
    the released.  profile: with the shipped DDS profile.
    """

    systems: tuple[str, ...]
    together: bool = False
    backend: str = "auto"
    threads: int = 0
    models: Mapping[str, str] | None = None
    profile: bool = True


@dataclass
class Exchange:
    """What was sent to a node and what it answered.  sent, answered: s, monotonic, by stamp, ns."""

    sent: dict[int, float] = field(default_factory=dict)
    answered: dict[int, float] = field(default_factory=dict)

    @property
    def latencies(self) -> list[float]:
        """ms from sending a frame to having its answer."""
        return [1e3 * (self.answered[stamp] - begun) for stamp, begun in self.sent.items() if stamp in self.answered]

    @property
    def dropped(self) -> float:
        """The share of frames without an answer, 0 to 1."""
        return 1 - len(self.latencies) / max(len(self.sent), 1)
