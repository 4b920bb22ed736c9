"""VoxelSamples in a folder, which several processes write and an interrupted writing is taken up again in.

records/NAME.json           what is known of a frame; written last, so that a frame with a record is whole
samples/CAM_FRONT/NAME.jpg  the image, or .png
fruxels/NAME.npz            the voxels with their geometry
depth/NAME.png              uint16; the record tells the unit: mm, or cm where the grid reaches beyond 65 m. 0 is
                            nothing, or further than 16 bits tell
v1.0-all/*.json             the nuScenes tables of it all: `voxel_tables.write_tables`
"""

import errno
import hashlib
import json
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import asdict, dataclass
from functools import cached_property
from pathlib import Path
from typing import Any

import cv2
import numpy as np

from voxbox_core import fruxel_file
from voxbox_core.camera import Camera
from voxbox_core.coarsen import block, coarsened
from voxbox_core.datasets.voxel_sample import Poses, VoxelSample
from voxbox_core.errors import InputError
from voxbox_core.files import whole_file
from voxbox_core.fruxel import Fruxel
from voxbox_core.voxels import Voxels

FORMAT = "voxbox voxels 1"
CHANNEL = "CAM_FRONT"
JPEG_QUALITY = 92
IMAGES = (".jpg", ".png")
SPLITS = {"train": 0.8, "val": 0.1, "test": 0.1}
"""Shares of the scenes, where a data set does not come in parts."""

_MM, _CM = 0.001, 0.01
_FULL = (errno.ENOSPC, errno.EDQUOT)


@dataclass(frozen=True)
class VoxelWriter:
    """Writes samples into a folder.  suffix: of images, one of IMAGES.  Travels to other processes, which write into
    it. Raises InputError for another suffix."""

    folder: Path
    suffix: str = ".jpg"

    def __post_init__(self) -> None:
        object.__setattr__(self, "folder", Path(self.folder))
        if self.suffix not in IMAGES:
            raise InputError("image suffix", self.suffix, f"one of {IMAGES}", "Correct it.")

    def has(self, name: str) -> bool:
        """Whether the frame is there, which it is when it is whole."""
        return self._record(name).is_file()

    def write(self, sample: VoxelSample) -> str:
        """Write a sample, whole or not at all, over a former one of its name; -> the name.

        Raises InputError where nothing can be written or the disk is full; then nothing of the sample stays."""
        name = sample.name
        unit = _MM if sample.voxels.fruxel.far <= 65 else _CM
        image = Path("samples", CHANNEL, f"{name}{self.suffix}")
        fruxel, depth = Path("fruxels", f"{name}.npz"), Path("depth", f"{name}.png")
        record = _described(sample) | {"image": str(image), "voxels": str(fruxel)}
        if sample.depth is not None:
            record |= {"depth": str(depth), "depth_unit": unit}
        with _room(self.folder, [self._record(name), *(self.folder / part for part in (image, fruxel, depth))]):
            self._record(name).unlink(missing_ok=True)
            quality = [cv2.IMWRITE_JPEG_QUALITY, JPEG_QUALITY] if self.suffix == ".jpg" else []
            _write(self.folder / image, _encoded(self.suffix, sample.image[..., ::-1], quality))
            fruxel_file.save(self.folder / fruxel, sample.voxels)
            if sample.depth is not None:
                _write(self.folder / depth, _encoded(".png", _counted(sample.depth, unit), _FAST_PNG))
            _write(self._record(name), json.dumps(record).encode())
        return name

    def _record(self, name: str) -> Path:
        return _record_of(self.folder, name)


class VoxelFolder:
    """The samples of a folder that VoxelWriter wrote, in order of their names: `folder[i]`, `len(folder)`, `names`.

    split: of SPLITS, for the samples of its scenes alone (see `split_of`); None for all.  depth: whether depth images
    are read.  grid: of the samples' voxels, which are gathered into it where it has larger cells (see `coarsened`);
    None for the files' own.  Travels to other processes.
    Raises InputError for a folder or a split without frames, and for a grid that its voxels cannot be given on; reading
    a frame raises InputError, naming its file, when that is damaged, something else's, or of another grid than the
    first.
    """

    def __init__(
        self, folder: Path | str, split: str | None = None, depth: bool = True, grid: Fruxel | None = None
    ) -> None:
        self.folder, self.depth, self._grid = Path(folder), depth, grid
        self.names = tuple(sorted(path.stem for path in (self.folder / "records").glob("[!.]*.json")))
        if split is not None:
            if split not in SPLITS:
                raise InputError("split", repr(split), f"one of {tuple(SPLITS)}", "Correct it.")
            chosen = [split_of(scene) == split for scene in self.scenes]
            self.names = tuple(name for name, mine in zip(self.names, chosen, strict=True) if mine)
            self.__dict__.pop("scenes")
        if not self.names:
            found = f"none{f' of split {split}' if split else ''}" if self.folder.is_dir() else "absent"
            expected = "records as `voxbox street voxels` writes them"
            raise InputError(f"frames in {self.folder}", found, expected, "Check the path.")
        if grid is not None:
            block(self._stored, grid, f"grid of {self.folder}")

    def __len__(self) -> int:
        return len(self.names)

    def __getitem__(self, i: int) -> VoxelSample:
        record = self.record(i)
        with _reading(_record_of(self.folder, self.names[i])):
            unit = record["depth_unit"] if self.depth and "depth" in record else None
            return VoxelSample(
                name=self.names[i],
                image=_read_image(self.folder / record["image"]),
                camera=Camera(np.array(record["intrinsics"]), record["width"], record["height"]),
                voxels=self._voxels(self.folder / record["voxels"]),
                depth=None if unit is None else _read_depth(self.folder / record["depth"], unit),
                poses=None if "poses" not in record else poses_of(record),
                world_from_camera=_matrix(record.get("world_from_camera")),
                scene=record["scene"],
                stamp=record.get("stamp"),
            )

    def record(self, i: int) -> dict[str, Any]:
        """What is written of frame i, files unread."""
        path = _record_of(self.folder, self.names[i])
        with _reading(path):
            record = json.loads(path.read_text())
            if record["format"] != FORMAT:
                raise InputError(f"format of {path}", record["format"], FORMAT, "Render it again.")
        return dict(record)

    @property
    def fruxel(self) -> Fruxel:
        """The grid of all samples."""
        return self._grid or self._stored

    @cached_property
    def _stored(self) -> Fruxel:
        """The grid of the files."""
        return Fruxel(**self.record(0)["fruxel"])

    def _voxels(self, path: Path) -> Voxels:
        voxels = fruxel_file.load(path, self._stored)
        return voxels if self._grid is None or self._grid == self._stored else coarsened(voxels, self._grid)

    @cached_property
    def scenes(self) -> tuple[str, ...]:
        """The scene of every sample."""
        return tuple(str(self.record(i)["scene"]) for i in range(len(self)))


def split_of(scene: str) -> str:
    """Which of SPLITS a scene belongs to, by a hash of its name: the same on all machines, whatever else there is."""
    place = int(token("scene", scene)[:8], 16) / 2**32
    for name, share in SPLITS.items():
        if place < share:
            return name
        place -= share
    return name


def token(*parts: object) -> str:
    """32 hexadecimal digits, as nuScenes' tokens are, of what they name."""
    return hashlib.md5("/".join(map(str, parts)).encode(), usedforsecurity=False).hexdigest()


def poses_of(record: dict[str, Any]) -> Poses:
    """Of a frame's record."""
    columns = record["poses"]
    wide = {"translation": 3, "rotation": 4, "size": 3}
    return Poses(np.array(columns["label"]), **{k: np.array(columns[k]).reshape(-1, n) for k, n in wide.items()})


def _described(sample: VoxelSample) -> dict[str, Any]:
    camera = sample.camera
    record: dict[str, Any] = {"format": FORMAT, "scene": sample.scene, "fruxel": asdict(sample.voxels.fruxel)}
    record |= {"width": camera.width, "height": camera.height, "intrinsics": camera.intrinsics.tolist()}
    if sample.stamp is not None:
        record["stamp"] = sample.stamp
    if sample.world_from_camera is not None:
        record["world_from_camera"] = sample.world_from_camera.tolist()
    if sample.poses is not None:
        record["poses"] = {name: column.tolist() for name, column in vars(sample.poses).items()}
    return record


@contextmanager
def _room(folder: Path, files: list[Path]) -> Iterator[None]:
    """Clears away a frame's files if the block fails; a full disk is an InputError."""
    try:
        yield
    except BaseException as error:
        for path in files:
            path.unlink(missing_ok=True)
        if isinstance(error, OSError) and error.errno in _FULL:
            remedy = "Make room; what is there is whole, so that the same command goes on."
            raise InputError(f"disk of {folder}", "full", "room for another frame", remedy) from error
        raise


def _record_of(folder: Path, name: str) -> Path:
    return folder / "records" / f"{name}.json"


_FAST_PNG = [cv2.IMWRITE_PNG_COMPRESSION, 1]


def _encoded(suffix: str, image: np.ndarray, options: list[int]) -> bytes:
    _, data = cv2.imencode(suffix, np.ascontiguousarray(image), options)
    return data.tobytes()


def _write(path: Path, data: bytes) -> None:
    with whole_file(path) as temporary:
        temporary.write_bytes(data)


def _counted(depth: np.ndarray, unit: float) -> np.ndarray:
    """(H, W) m -> uint16 in `unit`, m; 0 for what is further than that tells."""
    counts = np.round(depth / unit)
    return np.where(counts < 2**16, counts, 0).astype(np.uint16)


def _read_depth(path: Path, unit: float) -> np.ndarray:
    counts = cv2.imread(str(path), cv2.IMREAD_UNCHANGED)
    if counts is None or counts.dtype != np.uint16:
        raise ValueError(f"{path} is no 16-bit png")
    return np.where(counts > 0, counts * np.float32(unit), np.float32(np.inf)).astype(np.float32)


def _read_image(path: Path) -> np.ndarray:
    image = cv2.imread(str(path), cv2.IMREAD_COLOR)
    if image is None:
        raise ValueError(f"{path} is no image")
    return np.ascontiguousarray(image[..., ::-1])


def _matrix(rows: list[list[float]] | None) -> np.ndarray | None:
    return None if rows is None else np.array(rows)


@contextmanager
def _reading(record: Path) -> Iterator[None]:
    """What is wrong with a frame's files is an InputError that names its record."""
    try:
        yield
    except InputError:
        raise
    except Exception as error:  # damaged files make json, numpy, zipfile and cv2 raise whatever they stumble over
        words = " ".join(str(error).split()) or type(error).__name__
        expected = "a frame as `voxbox street voxels` writes it"
        raise InputError(f"frame {record}", f"unreadable ({words})", expected, "Delete it and render again.") from error
