"""How fast: one door to every inference engine.

A backend is a function `load(model: ModelFile, threads: int) -> LoadedModel`; choosing one is a dict lookup.
Each engine's library is imported in its own file, when it is asked for.
"""

from voxbox_core.runtime.door import BACKENDS, PRECISIONS, available, in_precision, open_model, usable
from voxbox_core.runtime.model import Build, DeployedModule, LoadedModel, ModelFile, OnDevice, Run

__all__ = [
    "BACKENDS",
    "PRECISIONS",
    "Build",
    "DeployedModule",
    "LoadedModel",
    "ModelFile",
    "OnDevice",
    "Run",
    "available",
    "in_precision",
    "open_model",
    "usable",
]
