"""Whether PyTorch can work on the GPU. PyTorch itself is imported where it may: a node is lighter without."""

import importlib.metadata
import logging
from functools import lru_cache

from voxbox_core.runtime import driver


@lru_cache(maxsize=1)
def usable() -> bool:
    """Tried once: PyTorch may be made for other GPUs, which shows when it first computes."""
    if not (_for_cuda() and driver.has_driver()):
        return False
    import torch

    if not torch.cuda.is_available():
        return False
    try:
        torch.ones(1, device="cuda")
    except RuntimeError as error:
        logging.getLogger("voxbox").warning("PyTorch cannot use the GPU: %s", error)
        return False
    return True


def _for_cuda() -> bool:
    """Whether PyTorch is here, and not the one for the CPU alone: to import that would cost 1 s and 180 MB."""
    try:
        return "+cpu" not in importlib.metadata.version("torch")
    except importlib.metadata.PackageNotFoundError:
        return False
