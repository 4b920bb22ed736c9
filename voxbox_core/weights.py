"""The weights file: a state dict and the contract it was trained under, in one place, so that neither travels alone."""

from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path

import torch
from torch import Tensor, nn

from voxbox_core.errors import InputError
from voxbox_core.files import whole_file

FORMAT = "voxbox-weights-1"


@dataclass(frozen=True)
class Weights:
    """contract: the JSON text of the system's contract.  state: name -> tensor, float32 where it is floating."""

    contract: str
    state: dict[str, Tensor]
    source: str


def save(path: str | Path, state: Mapping[str, Tensor], contract: str, half: bool = False) -> None:
    """Write weights atomically.

    half: store matrices and convolutions as float16, read back as float32. Vectors (biases, statistics of batch norms,
    whose variances can be too small for float16) keep their type.
    """
    stored = {name: _stored(tensor, half) for name, tensor in state.items()}
    with whole_file(Path(path)) as partial:
        torch.save({"format": FORMAT, "contract": contract, "state": stored}, partial)


def load(path: str | Path) -> Weights:
    """Read what `save` wrote. Nothing in the file is executed (weights_only).

    Raises InputError when the file is absent, truncated, foreign, or holds values that are not finite.
    """
    content = read_archive(path, "Train one with `voxbox train`, or copy the released file again.")
    if not isinstance(content, dict) or content.get("format") != FORMAT:
        found = content.get("format", "a dict without format") if isinstance(content, dict) else type(content).__name__
        raise InputError(f"content of {path}", found, FORMAT, "Give a weights file written by voxbox.")
    state = {name: t.float() if t.is_floating_point() else t for name, t in content["state"].items()}
    broken = [name for name, t in state.items() if t.is_floating_point() and not t.isfinite().all()]
    if broken:
        raise InputError(f"tensor {broken[0]} of {path}", "not finite", "finite weights", "Take an earlier checkpoint.")
    return Weights(content["contract"], state, str(path))


def read_archive(path: str | Path, remedy: str) -> object:
    """What torch.save wrote to `path`, tensors on the CPU. Raises InputError when it is absent or not readable."""
    if not Path(path).is_file():
        raise InputError("weights file", path, "an existing file", remedy)
    try:
        return torch.load(path, map_location="cpu", weights_only=True)
    except Exception as error:  # torch.load raises half a dozen types, by what the bytes happen to look like
        reason = str(error).strip().splitlines()[0][:120] if str(error).strip() else type(error).__name__
        raise InputError(f"content of {path}", f"unreadable ({reason})", "a PyTorch weights file", remedy) from None


def load_into(module: nn.Module, weights: Weights) -> None:
    """Copy the weights into a module built from their contract.

    Raises InputError on the first name or shape that differs.
    """
    own = module.state_dict()
    remedy = "Build the network from the contract inside the file, or give the file of this contract."
    missing, extra = sorted(own.keys() - weights.state.keys()), sorted(weights.state.keys() - own.keys())
    if missing or extra:
        value = f"without {_few(missing)}" if missing else f"with unknown {_few(extra)}"
        raise InputError(f"{weights.source}", value, f"the {len(own)} tensors of {type(module).__name__}", remedy)
    for name, tensor in weights.state.items():
        if tensor.shape != own[name].shape:
            raise InputError(
                f"shape of {name} in {weights.source}", tuple(tensor.shape), str(tuple(own[name].shape)), remedy
            )
    module.load_state_dict(weights.state)


def load_known(module: nn.Module, weights: Weights) -> None:
    """Copy what the module has under the same name and in the same shape; the rest of the module stays as it is.

    Raises InputError when that is less than half of the module's tensors: such a file is of another network.
    """
    own = module.state_dict()
    known = {name: t for name, t in weights.state.items() if name in own and t.shape == own[name].shape}
    if len(known) < len(own) / 2:
        value, expected = f"{len(known)} of {len(own)} tensors fit", "a file of nearly the same network"
        raise InputError(weights.source, value, expected, "Give weights of the same backbone, width and neck.")
    module.load_state_dict(known, strict=False)


def _stored(tensor: Tensor, half: bool) -> Tensor:
    tensor = tensor.detach().cpu().contiguous()
    return tensor.half() if half and tensor.is_floating_point() and tensor.ndim > 1 else tensor


def _few(names: list[str]) -> str:
    return ", ".join(names[:3]) + (f" and {len(names) - 3} more" if len(names) > 3 else "")
