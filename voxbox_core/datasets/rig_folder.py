"""RigSamples in a folder: an uncompressed .npz per frame, of which only what is asked for is read.

NAME.npz holds: format; points (P, 5) float32; height; where known stamp and world_from_lidar; where labelled
center, size, yaw, label, hits and classes; where clicked prompt_points, prompt_label and prompt_classes; views, the
cameras' names, and for camera k view_k_jpeg (bytes), view_k_intrinsics and view_k_camera_from_lidar. No pickles.
"""

import zipfile
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import cv2
import numpy as np

from voxbox_core.boxes import Axes, Boxes3D
from voxbox_core.camera import Camera
from voxbox_core.datasets.rig import Prompts, RigSample, View
from voxbox_core.errors import InputError
from voxbox_core.files import whole_file

FORMAT = "voxbox rig 1"
JPEG_QUALITY = 92
_SUFFIX = ".npz"
_BOXES = ("center", "size", "yaw", "label")


@dataclass(frozen=True)
class RigWriter:
    """Writes samples into a folder, a file each. Travels to other processes, which write into it."""

    folder: Path

    def __post_init__(self) -> None:
        object.__setattr__(self, "folder", Path(self.folder))

    def has(self, name: str) -> bool:
        """Whether the frame is there, which it is when it is whole."""
        return self._path(name).is_file()

    def write(self, sample: RigSample) -> str:
        """Write a sample, whole or not at all, over a former one of its name; -> the name."""
        arrays = _header_arrays(sample) | {"points": np.asarray(sample.points, np.float32)}
        for k, view in enumerate(sample.views):
            arrays |= {
                f"view_{k}_jpeg": _encoded(view),
                f"view_{k}_intrinsics": view.camera.intrinsics,
                f"view_{k}_camera_from_lidar": np.asarray(view.camera_from_lidar, np.float64),
            }
        with whole_file(self._path(sample.name)) as temporary, temporary.open("wb") as file:
            np.savez(file, **arrays)
        return sample.name

    def _path(self, name: str) -> Path:
        return self.folder / f"{name}{_SUFFIX}"


class RigFolder:
    """The samples of a folder that RigWriter wrote, in order of their names: `folder[i]`, `len(folder)`, `names`.

    Travels to other processes. Raises InputError for a folder without frames; reading a frame raises InputError,
    naming its file, when that is damaged or something else's.
    """

    def __init__(self, folder: Path | str) -> None:
        self.folder = Path(folder)
        self.names = tuple(sorted(path.stem for path in self.folder.glob(f"[!.]*{_SUFFIX}")))
        if not self.names:
            raise InputError(
                f"frames in {self.folder}",
                "none" if self.folder.is_dir() else "absent",
                f"{_SUFFIX} files as `voxbox street rig` writes them",
                "Check the path.",
            )

    def __len__(self) -> int:
        return len(self.names)

    def __getitem__(self, i: int, views: bool = True) -> RigSample:
        """Frame i; without its cameras, which are left unread, when views is False."""
        return self.read(i, points=True, views=views)

    def header(self, i: int) -> RigSample:
        """Frame i without points and cameras, which are left unread: its truth, prompts and poses."""
        return self.read(i, points=False, views=False)

    def read(self, i: int, points: bool, views: bool) -> RigSample:
        """Frame i with what is asked for; without points there are none of them."""
        name = self.names[i]
        with _opened(self.folder / f"{name}{_SUFFIX}") as arrays:
            return RigSample(
                name=name,
                points=np.asarray(arrays["points"], np.float32) if points else np.zeros((0, 5), np.float32),
                height=float(arrays["height"]),
                views=tuple(_views(arrays)) if views else (),
                boxes=_boxes(arrays),
                hits=arrays["hits"] if "hits" in arrays else np.zeros(0, np.int64),
                prompts=_prompts(arrays),
                stamp=float(arrays["stamp"]) if "stamp" in arrays else None,
                world_from_lidar=arrays.get("world_from_lidar"),
            )


def _header_arrays(sample: RigSample) -> dict[str, Any]:
    arrays: dict[str, Any] = {"format": np.array(FORMAT), "height": np.float64(sample.height)}
    arrays["views"] = np.array([view.name for view in sample.views], np.str_)
    if sample.boxes is not None:
        arrays |= {name: getattr(sample.boxes, name) for name in _BOXES}
        arrays |= {"hits": np.asarray(sample.hits, np.int64), "classes": np.array(sample.boxes.classes, np.str_)}
    if sample.prompts is not None:
        arrays |= {"prompt_points": sample.prompts.points, "prompt_label": sample.prompts.label}
        arrays["prompt_classes"] = np.array(sample.prompts.classes, np.str_)
    if sample.stamp is not None:
        arrays["stamp"] = np.float64(sample.stamp)
    if sample.world_from_lidar is not None:
        arrays["world_from_lidar"] = np.asarray(sample.world_from_lidar, np.float64)
    return arrays


def _encoded(view: View) -> np.ndarray:
    """(n,) uint8: the image as jpeg."""
    picture = np.ascontiguousarray(view.image[..., ::-1])
    _, data = cv2.imencode(".jpg", picture, [cv2.IMWRITE_JPEG_QUALITY, JPEG_QUALITY])
    return data.reshape(-1)


@contextmanager
def _opened(path: Path) -> Iterator[Mapping[str, Any]]:
    """The arrays of a frame's file, each read when it is asked for. What is wrong with them is an InputError."""
    expected = "a frame as `voxbox street rig` writes it"
    try:
        if not zipfile.is_zipfile(path):  # numpy would take it for a pickle
            raise ValueError("no npz")
        with np.load(path, allow_pickle=False) as arrays:
            if str(arrays["format"]) != FORMAT:
                raise InputError(f"format of {path}", str(arrays["format"]), FORMAT, "Render it again.")
            yield arrays
    except Exception as error:  # a damaged file makes numpy and zipfile raise whatever they stumble over
        words = " ".join(str(error).split()) or type(error).__name__
        raise InputError(f"frame {path}", f"unreadable ({words})", expected, "Delete it and render again.") from error


def _boxes(arrays: Mapping[str, Any]) -> Boxes3D | None:
    """Truth, which has no 2D boxes and no doubt."""
    if "classes" not in arrays:
        return None
    count = len(arrays["yaw"])
    columns = {name: arrays[name] for name in _BOXES}
    classes = tuple(str(name) for name in arrays["classes"])
    return Boxes3D(**columns, score=np.ones(count), box2d=np.full((count, 4), np.nan), classes=classes, axes=Axes.BODY)


def _prompts(arrays: Mapping[str, Any]) -> Prompts | None:
    if "prompt_classes" not in arrays:
        return None
    classes = tuple(str(name) for name in arrays["prompt_classes"])
    return Prompts(arrays["prompt_points"], arrays["prompt_label"], classes)


def _views(arrays: Mapping[str, Any]) -> Iterator[View]:
    for k, name in enumerate(arrays["views"]):
        picture = cv2.imdecode(arrays[f"view_{k}_jpeg"], cv2.IMREAD_COLOR)
        if picture is None:
            raise ValueError(f"the image of {name} is no jpeg")
        height, width = picture.shape[:2]
        camera = Camera(arrays[f"view_{k}_intrinsics"], width, height)
        image = np.ascontiguousarray(picture[..., ::-1])
        yield View(str(name), image, camera, arrays[f"view_{k}_camera_from_lidar"])
