"""What to render: which scene and moment every frame shows, and what is measured of it."""

from dataclasses import asdict, dataclass

from voxbox_core.datasets.bag.writer import START
from voxbox_core.datasets.street.lidar import PATTERNS
from voxbox_core.errors import InputError

MOMENT = 1.7
"""s; a moving ego sees another view then, and what was parked beside it is gone."""


@dataclass(frozen=True)
class Plan:
    """seed: frame i shows scene seed + i, or, in a drive, scene seed at time i / rate.
    moments: frames of a scene that is no drive, MOMENT apart: a scene is built once for all of them.
    width, height: px.  beams: LiDAR beams, None for no LiDAR.  columns: LiDAR firings per turn, None for as
    many as the sensor has.
    Raises InputError when a value cannot be rendered.
    """

    frames: int
    seed: int
    drive: bool = False
    moments: int = 1
    rate: float = 10.0
    width: int = 1242
    height: int = 375
    beams: int | None = 64
    columns: int | None = None

    def __post_init__(self) -> None:
        if self.frames < 1:
            raise InputError("number of frames", self.frames, "at least 1", "Give --frames.")
        if self.moments < 1:
            raise InputError("moments per scene", self.moments, "at least 1", "Give --moments.")
        if self.seed < 0:
            raise InputError("seed", self.seed, "0 or more", "Give --seed.")
        if min(self.width, self.height) < 32:
            raise InputError("image size", f"{self.width}x{self.height}", "at least 32x32", "Raise it.")
        if self.rate <= 0:
            raise InputError("frame rate", self.rate, "frames per second > 0", "Give --rate.")
        if self.beams is not None and self.beams not in PATTERNS:
            raise InputError("LiDAR beams", self.beams, f"one of {tuple(PATTERNS)}", "Give --beams.")

    def moment(self, index: int) -> tuple[int, float]:
        """Scene seed and time, s, of a frame."""
        if self.drive:
            return self.seed, index / self.rate
        return self.seed + index // self.moments, index % self.moments * MOMENT

    def stamp(self, index: int) -> float | None:
        """Seconds; only a drive has a clock. It starts where the drives of `write_drive` do."""
        return START + index / self.rate if self.drive else None

    def name(self, index: int) -> str:
        return f"{index:06d}"

    def identity(self) -> dict:
        """What must agree for frames to belong together; their number does not matter."""
        return {key: value for key, value in asdict(self).items() if key != "frames"}
