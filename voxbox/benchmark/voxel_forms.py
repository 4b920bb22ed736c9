"""What rewriting SSZ's graph for deployment is worth: the graph as it is trained against the one that is exported.

As trained it ends in the float32 probabilities of all classes, among which labels are found outside of it, its skips
are copied along the depth axis and put beside the volume, and batch norms are folded by nobody but the exporter and the
engine. The weights are untrained, since speed does not hang on them.
"""

import tempfile
from collections.abc import Mapping, Sequence
from copy import deepcopy
from dataclasses import dataclass
from pathlib import Path
from time import perf_counter, process_time
from typing import Any

import numpy as np
import torch
from torch import Tensor, nn
from torch.nn import functional as F
from torch.utils.flop_counter import FlopCounterMode

from ssz_ros.blocks import JoinedPointwise, join
from ssz_ros.contract import Contract
from ssz_ros.network import Deployed, build, normalise
from voxbox.benchmark.memory import resident
from voxbox.benchmark.processes import in_own_process
from voxbox.benchmark.turns import Case, in_turn, ratio, spread
from voxbox.export.onnx_graph import write_onnx
from voxbox_core.runtime import DeployedModule, Run, open_model
from voxbox_core.runtime.torch import Runner

DEPLOYED, TRAINED = "deployed", "as trained"
WALL, CPU = "wall", "cpu"
_SETTLED = 10  # frames until an engine has taken the memory it wants

Arrays = Mapping[str, np.ndarray]


class AsTrained(nn.Module):
    """The graph before it was rewritten.  image: as `Deployed`'s -> probability (1, classes, slices, rows, columns)
    float32."""

    OUTPUTS = ("probability",)

    def __init__(self, network: nn.Module) -> None:
        super().__init__()
        self.network = deepcopy(network).eval()
        for part in list(self.network.modules()):
            for name, child in part.named_children():
                if isinstance(child, JoinedPointwise):
                    setattr(part, name, Concatenated(child))

    def forward(self, image: Tensor) -> Tensor:
        return torch.softmax(self.network(normalise(image)), 1)


class Concatenated(nn.Module):
    """`JoinedPointwise` in its plain form: the skip is copied along the depth axis beside the volume."""

    def __init__(self, joined: JoinedPointwise) -> None:
        super().__init__()
        parts = [joined.weight.detach()]
        parts += [] if joined.of_skip is None else [joined.of_skip.detach().unsqueeze(2)]
        self.weight, self.bias = nn.Parameter(torch.cat(parts, 1)), joined.bias

    def forward(self, volume: Tensor, skip: Tensor | None) -> Tensor:
        return F.conv3d(join(volume, skip), self.weight, self.bias)


@dataclass(frozen=True)
class Form:
    """module: of the graph.  outputs: their names."""

    module: nn.Module
    outputs: tuple[str, ...]

    def write(self, contract: Contract, path: Path) -> None:
        """The ONNX file."""
        write_onnx(self.module, (grey(contract),), ["image"], self.outputs, {}, path)

    def run(self, path: Path, backend: str, threads: int) -> Run:
        """By an engine, or by PyTorch, which reads no ONNX."""
        if backend != "torch":
            return open_model(path, backend, threads).run
        if threads:
            torch.set_num_threads(threads)
        return Runner(DeployedModule(self.module, self.outputs, {}))


def forms(contract: Contract) -> dict[str, Form]:
    """By name, of one untrained network."""
    torch.manual_seed(0)
    network = build(contract).eval()
    deployed = Deployed(network, probability=True).eval()
    return {
        DEPLOYED: Form(deployed, deployed.outputs),
        TRAINED: Form(AsTrained(network), AsTrained.OUTPUTS),
    }


def grey(contract: Contract) -> Tensor:
    """An image of the network's size."""
    width, height = contract.input_size
    return torch.full((1, height, width, 3), 128, dtype=torch.uint8)


def labelled(outputs: Arrays) -> tuple[np.ndarray, np.ndarray]:
    """What a node needs: labels and their probability (1, slices, rows, columns) uint8, of either form."""
    if "labels" in outputs:
        return outputs["labels"], outputs["probability"]
    probability = outputs["probability"]
    labels = probability.argmax(1)
    certain = np.take_along_axis(probability, labels[:, None], 1)[:, 0]
    return labels.astype(np.uint8), (255 * certain + 0.5).astype(np.uint8)


def facts(contract: Contract) -> dict[str, Any]:
    """`parameters`; `macs`, multiplications and additions of an image, without those of norms and activations; and the
    `bytes` that leave each form."""
    found, image = forms(contract), grey(contract)
    counter = FlopCounterMode(display=False)
    with counter, torch.inference_mode():
        probability = found[TRAINED].module(image)
    with torch.inference_mode():
        outputs = found[DEPLOYED].module(image)
    return {
        "parameters": sum(p.numel() for p in found[TRAINED].module.parameters()),
        "macs": counter.get_total_flops() // 2,
        "bytes": {DEPLOYED: sum(o.nbytes for o in outputs), TRAINED: probability.nbytes},
    }


def measure(contract: Contract, backends: Sequence[str], rounds: int, threads: int) -> dict[str, Any]:
    """One image through both forms by every backend, `rounds` times in turn.

    Returns `facts`; by backend and form under `engines` the `mb` of the file, `wall` and `cpu`, ms, spreads; `outside`,
    CPU ms after the graph, median; `ratio` of its CPU time to the deployed form's, round by round; and `peak`, MiB of a
    process of its own, and how much of that came with the model, `more`.
    """
    made = forms(contract)
    width, height = contract.input_size
    image = np.random.default_rng(0).integers(0, 256, (1, height, width, 3), np.uint8)
    with tempfile.TemporaryDirectory(prefix="voxbox-benchmark-") as folder:
        files = {name: Path(folder) / f"{i}.onnx" for i, name in enumerate(made)}
        for name, form in made.items():
            form.write(contract, files[name])
        keys = [(backend, name) for backend in backends for name in made]
        cases = {" ".join(key): _case(made[key[1]].run(files[key[1]], key[0], threads), image) for key in keys}
        times = in_turn(cases, rounds, "forms")
        peaks = {key: in_own_process(_memory, contract, key[1], files[key[1]], key[0], threads) for key in keys}
        sizes = {name: round(path.stat().st_size / 1e6, 2) for name, path in files.items()}
    engines: dict[str, Any] = {}
    for backend, name in keys:
        found, reference = times[f"{backend} {name}"], times[f"{backend} {DEPLOYED}"]
        engines.setdefault(backend, {})[name] = {
            "mb": sizes[name],
            WALL: spread(found[WALL]),
            CPU: spread(found[CPU]),
            "outside": float(np.median(found["outside"])),
            "ratio": ratio(found[CPU], reference[CPU]),
            **peaks[backend, name],
        }
    return {**facts(contract), "engines": engines}


def _case(run: Run, image: np.ndarray) -> Case:
    def once() -> dict[str, float]:
        wall, cpu = perf_counter(), process_time()
        outputs = run({"image": image})
        inside = process_time()
        labelled(outputs)
        return {WALL: perf_counter() - wall, CPU: process_time() - cpu, "outside": process_time() - inside}

    return once


def _memory(contract: Contract, form: str, path: Path, backend: str, threads: int) -> dict[str, Any]:
    """MiB resident at most, and how much more than before the model was opened. PyTorch is there before."""
    before = resident()
    made = forms(contract)[form] if backend == "torch" else None
    run = made.run(path, backend, threads) if made else open_model(path, backend, threads).run
    image = grey(contract).numpy()
    for _ in range(_SETTLED):
        labelled(run({"image": image}))
    return {"peak": round(resident("VmHWM"), 1), "more": round(resident("VmHWM") - before, 1)}


def table(name: str, result: Mapping[str, Any]) -> str:
    """A line per backend and form."""
    size = result["bytes"]
    lines = [
        f"{name}: {result['parameters'] / 1e6:.2f} M parameters, {result['macs'] / 1e9:.2f} GMAC, "
        f"{size[DEPLOYED] / 1e6:.2f} MB out of the graph instead of {size[TRAINED] / 1e6:.2f}",
        f"{'backend':14}{'form':12}{'file':>9}{'wall p50':>12}{'(p90)':>9}{'CPU p50':>11}{'of it outside':>15}"
        f"{'CPU / deployed':>24}{'memory':>12}",
    ]
    for backend, both in result["engines"].items():
        for form, f in both.items():
            r = f["ratio"]
            turned = f"{r['median']:.2f} ({r['low']:.2f} to {r['high']:.2f})"
            lines.append(
                f"{backend:14}{form:12}{f['mb']:6.2f} MB{f[WALL]['p50']:9.1f} ms{f[WALL]['p90']:9.1f}"
                f"{f[CPU]['p50']:8.1f} ms{f['outside']:12.1f} ms{turned:>24}{f['more']:8.0f} MiB"
            )
    return "\n".join(lines)
