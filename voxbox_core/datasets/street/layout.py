"""Scenes from seeds: which street, what grows and stands along it, the light, and the car that looks."""

from dataclasses import dataclass

import numpy as np

from voxbox_core.datasets.street.character import draw_street
from voxbox_core.datasets.street.roadside import roadside
from voxbox_core.datasets.street.scene import Scene
from voxbox_core.datasets.street.traffic import USUAL, Crowd, traffic
from voxbox_core.datasets.street.viewer import draw_light, draw_look, draw_rig
from voxbox_core.errors import InputError


@dataclass(frozen=True)
class StreetSettings:
    """width, height: of the image, px.  Raises InputError when they are not positive."""

    width: int = 1242
    height: int = 375

    def __post_init__(self) -> None:
        if min(self.width, self.height) < 1:
            raise InputError("image size", f"{self.width}x{self.height}", "positive numbers", "Correct it.")


DEFAULT = StreetSettings()
"""KITTI's size."""


def build_scene(seed: int, settings: StreetSettings = DEFAULT, crowd: Crowd = USUAL, start: float = 0.0) -> Scene:
    """The street of a seed, seen in the settings' size by who starts at s = start, m, of it, with a crowd on it. The
    same arguments give the same scene."""
    rng = np.random.default_rng(seed)
    street = draw_street(rng)
    rig, footprint = draw_rig(rng, street, settings.width, settings.height, start)
    return Scene(
        seed=seed,
        instances=traffic(rng, street, footprint, crowd),
        parts=roadside(rng, street),
        light=draw_light(rng),
        look=draw_look(rng),
        rig=rig,
    )
