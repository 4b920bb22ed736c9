"""What belongs inside the exported graph: one network cut in four ways, each timed from camera image to boxes.

CPU time of all threads is taken, in which other programs' share of the machine does not count. The weights are
untrained, since speed does not hang on them. docs/deploy.md tells what followed from the numbers.
"""

import tempfile
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from time import process_time
from typing import Any

import numpy as np
import torch
from torch import Tensor, nn
from torch.nn import functional as F
from tqdm import tqdm

from km3d_ros.codec import decode
from km3d_ros.contract import INPUT_TO_GRID, Contract
from km3d_ros.detector import KM3D
from km3d_ros.network import Deployed, KM3DNet, normalise
from voxbox.export.onnx_graph import write_onnx
from voxbox.training.recipe import PRESETS
from voxbox_core.camera import Camera
from voxbox_core.image import compose, invert, letterbox
from voxbox_core.runtime import Run, open_model

CAMERA = Camera(np.array([[721.5, 0, 609.6], [0, 721.5, 172.9], [0, 0, 1]]), 1242, 375)  # KITTI's
RELEASED = "whole"
WARM_UP = 3

Arrays = dict[str, np.ndarray]


@dataclass(frozen=True)
class Cut:
    """One way to divide a frame's work between the graph and the code around it.

    module, outputs: what is exported.  before: image and camera -> the graph's inputs, and those that `after` needs.
    after: the graph's outputs and these -> boxes, as `codec.decode` describes them.
    """

    module: nn.Module
    outputs: tuple[str, ...]
    before: Callable[[np.ndarray, Camera], tuple[Arrays, Arrays]]
    after: Callable[[Arrays, Arrays], Arrays]


class Heads(nn.Module):
    """The network up to its head maps.  image: (1, H, W, 3) uint8, or (1, 3, H, W) from `normalise`."""

    def __init__(self, network: KM3DNet, names: tuple[str, ...]) -> None:
        super().__init__()
        self.network, self.names = network, names

    def forward(self, image: Tensor) -> tuple[Tensor, ...]:
        maps = self.network(normalise(image) if image.dtype == torch.uint8 else image, self.names)
        return tuple(maps[name] for name in self.names)


class WarpInside(nn.Module):
    """`Deployed` that takes the camera's own image (1, H, W, 3) uint8, and warps it with GridSample."""

    def __init__(self, deployed: Deployed) -> None:
        super().__init__()
        self.deployed = deployed

    def forward(self, image: Tensor, intrinsics: Tensor, grid_to_image: Tensor) -> tuple[Tensor, ...]:
        contract = self.deployed.contract
        warped = warp(image, grid_to_image, contract.input_width, contract.input_height)
        return self.deployed(warped, intrinsics, grid_to_image)


def warp(image: Tensor, grid_to_image: Tensor, width: int, height: int) -> Tensor:
    """`voxbox_core.image.warp` in ONNX operations: (1, H, W, 3) uint8 -> (1, height, width, 3) float32, unrounded."""
    row, column = torch.meshgrid(torch.arange(height), torch.arange(width), indexing="ij")
    corner = torch.tensor([0.0, 0.0, 1.0], device=image.device)
    to_grid = torch.cat([torch.from_numpy(INPUT_TO_GRID).float(), corner[None]])
    pixels = torch.stack([column, row, torch.ones_like(row)], -1).float() @ (grid_to_image[0] @ to_grid).T
    size = torch.tensor([image.shape[2], image.shape[1]], device=image.device)
    sampled = F.grid_sample(image.float().permute(0, 3, 1, 2), ((2 * pixels + 1) / size - 1)[None], align_corners=False)
    return sampled.permute(0, 2, 3, 1)


def cuts(contract: Contract) -> dict[str, Cut]:
    """By name: what is inside the graph."""
    torch.manual_seed(0)
    deployed = Deployed(KM3DNet(contract)).eval()
    prepare = KM3D(contract, run=lambda inputs: {}).preprocess
    size = contract.input_width, contract.input_height
    names = tuple(name for name in contract.heads if name not in Deployed.TRAINING_ONLY)

    def whole(image: np.ndarray, camera: Camera) -> tuple[Arrays, Arrays]:
        return prepare(image, camera), {}

    def raw(image: np.ndarray, camera: Camera) -> tuple[Arrays, Arrays]:
        grid_to_image = invert(compose(INPUT_TO_GRID, letterbox(camera.width, camera.height, *size)))
        geometry = {"intrinsics": camera.intrinsics, "grid_to_image": grid_to_image}
        return {"image": image[None]} | {name: value[None].astype(np.float32) for name, value in geometry.items()}, {}

    def image_alone(image: np.ndarray, camera: Camera) -> tuple[Arrays, Arrays]:
        inputs = prepare(image, camera)
        return {"image": inputs.pop("image")}, inputs

    def normalised(image: np.ndarray, camera: Camera) -> tuple[Arrays, Arrays]:
        inputs = prepare(image, camera)
        return {"image": normalise(torch.from_numpy(inputs.pop("image"))).contiguous().numpy()}, inputs

    def decoded(outputs: Arrays, geometry: Arrays) -> Arrays:
        maps = {name: torch.from_numpy(value) for name, value in outputs.items()}
        with torch.inference_mode():
            found = decode(contract, maps, **{name: torch.from_numpy(value) for name, value in geometry.items()})
        return {name: value.numpy() for name, value in found.items()}

    def as_they_are(outputs: Arrays, geometry: Arrays) -> Arrays:
        return outputs

    heads = Heads(deployed.network, names)
    return {
        RELEASED: Cut(deployed, Deployed.OUTPUTS, whole, as_they_are),
        "no decoding": Cut(heads, names, image_alone, decoded),
        "network alone": Cut(heads, names, normalised, decoded),
        "warp too": Cut(WarpInside(deployed), Deployed.OUTPUTS, raw, as_they_are),
    }


def street_contract() -> Contract:
    """The released model's."""
    return Contract(**PRESETS["street"]["contract"])


def measure(contract: Contract, backends: Sequence[str], rounds: int, threads: int) -> dict[str, Any]:
    """One image of 1242x375 through every cut and backend, `rounds` times in turn.

    Returns by backend and cut: `outside` and `inside`, CPU ms of the code around the graph and of it, medians; and
    `ratio` of their sum to that of the released cut, round by round: median, and the low and high tenth.
    """
    if threads:
        torch.set_num_threads(threads)
    image = np.random.default_rng(0).integers(0, 256, (CAMERA.height, CAMERA.width, 3), np.uint8)
    divided = cuts(contract)
    with tempfile.TemporaryDirectory(prefix="voxbox-benchmark-") as folder:
        files = {name: export(cut, image, Path(folder) / f"{i}.onnx") for i, (name, cut) in enumerate(divided.items())}
        runs = {(b, name): open_model(files[name], b, threads).run for b in backends for name in divided}
        times: dict[tuple[str, str], list[tuple[float, float]]] = {key: [] for key in runs}
        for turn in tqdm(range(WARM_UP + rounds), desc="graph", unit="round"):
            for key, run in runs.items():
                seconds = frame(divided[key[1]], run, image)
                if turn >= WARM_UP:
                    times[key].append(seconds)
    arrays = {key: 1e3 * np.array(rows) for key, rows in times.items()}
    return {b: {name: _summary(arrays[b, name], arrays[b, RELEASED]) for name in divided} for b in backends}


def export(cut: Cut, image: np.ndarray, path: Path) -> Path:
    """Write what is inside the graph to `path`."""
    inputs = {name: torch.from_numpy(value) for name, value in cut.before(image, CAMERA)[0].items()}
    write_onnx(cut.module, tuple(inputs.values()), list(inputs), cut.outputs, {}, path)
    return path


def frame(cut: Cut, run: Run, image: np.ndarray) -> tuple[float, float]:
    """CPU seconds outside and inside of the graph that an image takes to become boxes."""
    start = process_time()
    inputs, geometry = cut.before(image, CAMERA)
    before = process_time()
    outputs = run(inputs)
    after = process_time()
    cut.after(outputs, geometry)
    return before - start + process_time() - after, after - before


def _summary(times: np.ndarray, reference: np.ndarray) -> dict[str, Any]:
    """times, reference: (rounds, 2) CPU ms outside and inside."""
    outside, inside = np.median(times, 0)
    low, median, high = np.percentile(times.sum(1) / reference.sum(1), (10, 50, 90))
    ratio = {"median": float(median), "low": float(low), "high": float(high)}
    return {"outside": float(outside), "inside": float(inside), "ratio": ratio}


def table(result: Mapping[str, Any]) -> str:
    """A line per backend and cut."""
    lines = [f"{'backend':14}{'inside the graph':20}{'outside, CPU':>14}{'inside, CPU':>14}{'frame / whole':>24}"]
    for backend, found in result.items():
        for name, f in found.items():
            r = f["ratio"]
            ratio = f"{r['median']:.2f} ({r['low']:.2f} to {r['high']:.2f})"
            lines.append(f"{backend:14}{name:20}{f['outside']:11.2f} ms{f['inside']:11.2f} ms{ratio:>24}")
    return "\n".join(lines)
