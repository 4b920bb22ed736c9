"""Samples that tell how their process ended. In a module of its own: a process of a loader must find it by name."""

import atexit
from pathlib import Path

from torch.utils.data import Dataset


class Farewell(Dataset):
    """Draw n is n. Leaves a file in the folder when the interpreter that drew it is taken down."""

    def __init__(self, folder):
        self._folder = folder

    def __getitem__(self, draw):
        atexit.register(Path.touch, self._folder / "taken down")
        return draw
