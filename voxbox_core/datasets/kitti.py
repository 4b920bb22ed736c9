"""KITTI object detection: label, result and calibration files, folders of frames. Its conventions end here.

KITTI gives the bottom centre of a box in the rectified frame of camera 0, its extents as height, width, length,
and a yaw `rotation_y` about the downward y axis. Everything else in voxbox has Boxes3D in the frame of the
camera that took the image, camera 2. The two frames are parallel: P2 = K [I | t], so t = K^-1 P2[:, 3] leads
from one to the other.
Source: readme of the KITTI object development kit (Geiger, Lenz, Urtasun, CVPR 2012).
"""

import math
import re
from collections.abc import Callable, Sequence
from dataclasses import dataclass, fields, replace
from pathlib import Path

import cv2
import numpy as np

from voxbox_core.boxes import Axes, Boxes3D
from voxbox_core.camera import Camera
from voxbox_core.datasets.sample import Sample
from voxbox_core.errors import InputError
from voxbox_core.files import whole_file

# The types of KITTI's labels, and Bus, which the street world adds. DontCare is an image region, not a box.
TYPES = ("Car", "Van", "Truck", "Pedestrian", "Person_sitting", "Cyclist", "Tram", "Misc", "Bus")
DONT_CARE = "DontCare"
NO_ANGLE = -10.0
_DONT_CARE_ROW = (-1, -1, NO_ANGLE, 0, 0, 0, 0, -1, -1, -1, -1000.0, -1000.0, -1000.0, NO_ANGLE, math.nan)
# fmt: off
COLUMNS = (
    "truncated", "occluded", "alpha", "left", "top", "right", "bottom",
    "height", "width", "length", "x", "y", "z", "rotation_y", "score",
)
# fmt: on
IMAGE_SUFFIXES = (".png", ".jpg", ".jpeg")


@dataclass(frozen=True)
class Labels:
    """The N rows of a label or result file, in KITTI's own conventions.

    type: (N,) str.  truncation: (N,) in [0, 1], -1 unknown.  occlusion: (N,) int 0..3, -1 unknown.
    alpha: (N,) observation angle, rad, -10 unknown.  box2d: (N, 4) left top right bottom, px.
    dimensions: (N, 3) height, width, length, m, -1 unknown.
    location: (N, 3) bottom centre in the rectified frame of camera 0, m.  rotation_y: (N,) rad.
    score: (N,), NaN in label files.
    """

    type: np.ndarray
    truncation: np.ndarray
    occlusion: np.ndarray
    alpha: np.ndarray
    box2d: np.ndarray
    dimensions: np.ndarray
    location: np.ndarray
    rotation_y: np.ndarray
    score: np.ndarray

    @classmethod
    def from_rows(cls, types: Sequence[str], values: np.ndarray) -> "Labels":
        """Types (N,) and values (N, 15) in the order of COLUMNS."""
        v = np.asarray(values, dtype=np.float64).reshape(len(types), len(COLUMNS))
        return cls(
            type=np.array(types, dtype=np.str_),
            truncation=v[:, 0],
            occlusion=v[:, 1].astype(np.int64),
            alpha=v[:, 2],
            box2d=v[:, 3:7],
            dimensions=v[:, 7:10],
            location=v[:, 10:13],
            rotation_y=v[:, 13],
            score=v[:, 14],
        )

    @classmethod
    def empty(cls) -> "Labels":
        return cls.from_rows([], np.zeros((0, len(COLUMNS))))

    def __len__(self) -> int:
        return len(self.type)

    def __getitem__(self, index: np.ndarray | slice) -> "Labels":
        """The rows at a mask, an index array or a slice."""
        return replace(self, **{f.name: getattr(self, f.name)[index] for f in fields(self)})


@dataclass(frozen=True)
class Calibration:
    """What voxbox needs of a calibration file.

    P2: (3, 4) projection of the rectified frame of camera 0 into image_2, px.
    R0_rect: (3, 3) rotation of camera 0 into its rectified frame.
    Tr_velo_to_cam: (3, 4) LiDAR to camera 0, m, or None where there is no LiDAR.
    """

    P2: np.ndarray
    R0_rect: np.ndarray
    Tr_velo_to_cam: np.ndarray | None = None

    @classmethod
    def of_camera(cls, intrinsics: np.ndarray, lidar_to_camera: np.ndarray | None = None) -> "Calibration":
        """The calibration of a single camera with K (3, 3), which then is both camera 0 and camera 2."""
        p2 = np.hstack([intrinsics, np.zeros((3, 1))])
        return cls(p2, np.eye(3), None if lidar_to_camera is None else np.asarray(lidar_to_camera)[:3])

    @property
    def intrinsics(self) -> np.ndarray:
        """(3, 3): K of image_2."""
        return self.P2[:, :3]

    @property
    def to_camera_2(self) -> np.ndarray:
        """(3,) m: add it to a point in the rectified frame of camera 0 to have it in that of camera 2."""
        return np.linalg.solve(self.intrinsics, self.P2[:, 3])

    @property
    def lidar_to_camera(self) -> np.ndarray | None:
        """(4, 4): LiDAR frame to the frame of camera 2."""
        if self.Tr_velo_to_cam is None:
            return None
        transform = np.vstack([self.R0_rect @ self.Tr_velo_to_cam, [0.0, 0.0, 0.0, 1.0]])
        transform[:3, 3] += self.to_camera_2
        return transform


# What a row of a label or result file must satisfy: column at fault, test on its values, expectation.
_Row = dict[str, float]
_ROW_RULES: tuple[tuple[str, Callable[[_Row], bool], str], ...] = (
    ("truncated", lambda r: r["truncated"] == -1 or 0 <= r["truncated"] <= 1, "0..1, or -1 where unknown"),
    ("occluded", lambda r: r["occluded"] in (-1, 0, 1, 2, 3), "0, 1, 2 or 3, or -1 where unknown"),
    ("alpha", lambda r: _is_angle(r["alpha"]), "radians within -2 pi..2 pi, or -10 where unknown"),
    ("rotation_y", lambda r: _is_angle(r["rotation_y"]), "radians within -2 pi..2 pi, or -10 where unknown"),
    ("right", lambda r: r["right"] >= r["left"], "at least the left edge"),
    ("bottom", lambda r: r["bottom"] >= r["top"], "at least the top edge"),
    ("height", lambda r: _is_extent(r), "metres > 0, as width and length, or -1 in all three"),
)


def _is_angle(value: float) -> bool:
    return value == NO_ANGLE or abs(value) <= 2 * math.pi


def _is_extent(row: _Row) -> bool:
    extents = (row["height"], row["width"], row["length"])
    return min(extents) > 0 or max(extents) == min(extents) == -1


def read_labels(path: Path | str) -> Labels:
    """Read a label file (15 columns) or a result file (16, with score). An empty file holds no objects.

    Raises InputError naming file, line and column of the first value that cannot be.
    """
    return parse_labels(_read_text(Path(path), "label"), str(path))


def parse_labels(text: str, source: str) -> Labels:
    """The rows of a label or result file's text; `source` names it in errors, as in `read_labels`."""
    rows = [_parse_row(f"{source}, line {number}", line) for number, line in _lines(text)]
    return Labels.from_rows([t for t, _ in rows], np.array([v for _, v in rows]))


def _parse_row(where: str, line: str) -> tuple[str, list[float]]:
    words = line.split()
    if len(words) not in (len(COLUMNS), len(COLUMNS) + 1):
        raise InputError(
            f"{where}: number of columns",
            len(words),
            "15 (type and 14 numbers), or 16 with a score",
            "Write it as KITTI's development kit says.",
        )
    if not re.fullmatch(r"[A-Za-z][\w-]*", words[0]):
        raise InputError(f"{where}: type", repr(words[0]), "a word such as Car", "Put the object's type first.")
    values = [_number(f"{where}: {name}", word) for name, word in zip(COLUMNS, words[1:], strict=False)]
    row = dict(zip(COLUMNS, values, strict=False))
    for column, holds, expected in _ROW_RULES:
        if not holds(row):
            raise InputError(f"{where}: {column}", f"{row[column]:g}", expected, "Correct this row or remove it.")
    if len(values) < len(COLUMNS):
        values.append(math.nan)
    return words[0], values


def _number(what: str, word: str) -> float:
    try:
        value = float(word)
    except ValueError:
        value = math.nan
    if not math.isfinite(value):
        raise InputError(what, repr(word), "a finite number", "Correct this row or remove it.")
    return value


def _lines(text: str) -> list[tuple[int, str]]:
    """The lines that hold something, numbered from 1."""
    return [(number, line) for number, line in enumerate(text.splitlines(), 1) if line.strip()]


def _read_text(path: Path, kind: str) -> str:
    try:
        return path.read_text(encoding="utf-8")
    except FileNotFoundError:
        raise InputError(f"{kind} file {path}", "absent", "a text file", "Check the path.") from None
    except UnicodeDecodeError:
        raise InputError(f"{kind} file {path}", "not text", "a text file", "Restore it from its source.") from None


def write_labels(path: Path | str, labels: Labels) -> None:
    """Write the rows, whole or not at all."""
    with whole_file(Path(path)) as temporary:
        temporary.write_text(format_labels(labels))


def format_labels(labels: Labels) -> str:
    """The text of a label or result file; rows with a score have 16 columns, the others 15."""
    lines = []
    for i in range(len(labels)):
        measures = (*labels.box2d[i], *labels.dimensions[i], *labels.location[i], labels.rotation_y[i])
        words = [str(labels.type[i]), f"{labels.truncation[i]:.2f}", str(int(labels.occlusion[i]))]
        words += [f"{v:.4f}" for v in (labels.alpha[i], *measures)]
        words += [] if math.isnan(labels.score[i]) else [f"{labels.score[i]:.6f}"]
        lines.append(" ".join(words) + "\n")
    return "".join(lines)


_CALIBRATION_SHAPES = {"P2": (3, 4), "R0_rect": (3, 3), "Tr_velo_to_cam": (3, 4)}


def read_calib(path: Path | str) -> Calibration:
    """Read a calibration file. P2 must be there; without Tr_velo_to_cam there is no LiDAR.

    Raises InputError naming file, line and entry of what is missing or cannot be.
    """
    entries: dict[str, np.ndarray] = {}
    for number, line in _lines(_read_text(Path(path), "calibration")):
        key, colon, rest = line.partition(":")
        key = key.strip()
        if not colon:
            raise InputError(
                f"{path}, line {number}",
                repr(line[:40]),
                "KEY: numbers, such as P2: 721.5 0 609.6 …",
                "Restore the file.",
            )
        if key not in _CALIBRATION_SHAPES:
            continue
        values = [_number(f"{path}, line {number}: value of {key}", word) for word in rest.split()]
        shape = _CALIBRATION_SHAPES[key]
        if len(values) != math.prod(shape):
            raise InputError(
                f"{path}, line {number}: count of numbers in {key}",
                len(values),
                str(math.prod(shape)),
                "Restore the file.",
            )
        entries[key] = np.array(values).reshape(shape)
    if "P2" not in entries:
        raise InputError(f"{path}: entry P2", "absent", "P2: and 12 numbers", "Use the calibration file of image_2.")
    _check_projection(path, entries["P2"])
    if "Tr_velo_to_cam" in entries and "R0_rect" not in entries:
        raise InputError(f"{path}: entry R0_rect", "absent", "R0_rect: and 9 numbers", "Restore the file.")
    return Calibration(entries["P2"], entries.get("R0_rect", np.eye(3)), entries.get("Tr_velo_to_cam"))


def _check_projection(path: Path | str, p2: np.ndarray) -> None:
    if p2[0, 0] > 0 and p2[1, 1] > 0 and np.array_equal(p2[2, :3], [0.0, 0.0, 1.0]):
        return
    raise InputError(
        f"{path}: P2",
        p2.tolist(),
        "[fx 0 cx .; 0 fy cy .; 0 0 1 .] with fx, fy > 0",
        "Use a rectified camera's projection.",
    )


def write_calib(path: Path | str, calibration: Calibration) -> None:
    """Write P0..P3, R0_rect and, where there is a LiDAR, Tr_velo_to_cam, whole or not at all.

    Only P2 is known: P0, P1 and P3 repeat it, because readers of the format count lines.
    """
    entries = {f"P{i}": calibration.P2 for i in range(4)} | {"R0_rect": calibration.R0_rect}
    if calibration.Tr_velo_to_cam is not None:
        entries["Tr_velo_to_cam"] = calibration.Tr_velo_to_cam
    lines = [f"{key}: {' '.join(f'{v:.12e}' for v in matrix.ravel())}\n" for key, matrix in entries.items()]
    with whole_file(Path(path)) as temporary:
        temporary.write_text("".join(lines))


def has_box(labels: Labels) -> np.ndarray:
    """(N,) bool: the rows with a 3D box. DontCare regions and detections in 2D have none."""
    return (labels.type != DONT_CARE) & (labels.dimensions > 0).all(-1)


def to_boxes(labels: Labels, calibration: Calibration) -> Boxes3D:
    """The rows of `has_box` as Boxes3D in the optical frame of camera 2; score 1 where the file has none.

    Classes are TYPES, followed by the types of the file that KITTI does not know.
    """
    rows = labels[has_box(labels)]
    classes = TYPES + tuple(sorted(set(rows.type.tolist()) - set(TYPES)))
    center = rows.location + calibration.to_camera_2
    center[:, 1] -= rows.dimensions[:, 0] / 2
    return Boxes3D(
        center=center,
        size=rows.dimensions[:, ::-1],
        yaw=rows.rotation_y,
        label=np.array([classes.index(t) for t in rows.type], dtype=np.int64),
        score=np.where(np.isnan(rows.score), 1.0, rows.score),
        box2d=rows.box2d,
        classes=classes,
        axes=Axes.OPTICAL,
    )


def from_boxes(
    boxes: Boxes3D,
    calibration: Calibration,
    truncation: np.ndarray | None = None,
    occlusion: np.ndarray | None = None,
) -> Labels:
    """Boxes3D in the optical frame of camera 2 -> rows.

    With truncation (N,) and occlusion (N,) they are truth and have no score; without, they are detections.
    """
    if boxes.axes is not Axes.OPTICAL:
        raise InputError("axes of the boxes", boxes.axes.name, "OPTICAL", "Transform them into the camera's frame.")
    unknown = np.full(len(boxes), -1.0)
    alpha = boxes.yaw - np.arctan2(boxes.center[:, 0], boxes.center[:, 2])
    return Labels(
        type=np.array(boxes.names(), dtype=np.str_),
        truncation=unknown if truncation is None else np.asarray(truncation, np.float64),
        occlusion=(unknown if occlusion is None else np.asarray(occlusion)).astype(np.int64),
        alpha=wrap_angle(alpha),
        box2d=boxes.box2d,
        dimensions=boxes.size[:, ::-1],
        location=boxes.bottom_center() - calibration.to_camera_2,
        rotation_y=wrap_angle(boxes.yaw),
        score=boxes.score if truncation is None else np.full(len(boxes), np.nan),
    )


def label_rows(sample: Sample, calibration: Calibration) -> Labels:
    """The sample's truth as rows of a label file, DontCare regions last. Raises InputError when it has no boxes."""
    if sample.boxes is None:
        raise InputError(f"boxes of {sample.name}", "absent", "a labelled sample", "Label it or write no labels.")
    objects = from_boxes(sample.boxes, calibration, sample.truncation, sample.occlusion)
    values = np.tile(_DONT_CARE_ROW, (len(sample.dont_care), 1))
    values[:, 3:7] = sample.dont_care
    regions = Labels.from_rows([DONT_CARE] * len(values), values)
    return Labels(
        **{f.name: np.concatenate([getattr(part, f.name) for part in (objects, regions)]) for f in fields(Labels)}
    )


def wrap_angle(angle: np.ndarray) -> np.ndarray:
    """Radians into [-pi, pi)."""
    return (np.asarray(angle) + np.pi) % (2 * np.pi) - np.pi


class KittiFolder:
    """Frames read as Samples: image_2/NAME.png or .jpg, calib/NAME.txt and, where labelled, label_2/NAME.txt.

    root: the folder.  names: the frames, all of image_2 when None.
    points: read velodyne/NAME.bin where it is.
    Raises InputError when the folder or a frame lacks what it needs.
    """

    def __init__(self, root: Path | str, names: Sequence[str] | None = None, points: bool = True) -> None:
        self.root = Path(root)
        self.points = points
        for folder in (self.root / "image_2", self.root / "calib"):
            if not folder.is_dir():
                raise InputError(
                    f"folder {folder}",
                    "absent",
                    "a KITTI layout: image_2, calib[, label_2]",
                    "Check the path.",
                )
        self._images = {p.stem: p for p in sorted((self.root / "image_2").iterdir()) if p.suffix in IMAGE_SUFFIXES}
        self.names = tuple(self._images if names is None else names)
        if not self.names:
            raise InputError(f"folder {self.root / 'image_2'}", "without images", "png or jpg files", "Check the path.")
        for name in self.names:
            if name not in self._images:
                raise InputError(f"image {name} of {self.root}", "absent", "a png or jpg file", "Check the frame list.")

    def __len__(self) -> int:
        return len(self.names)

    def __getitem__(self, index: int) -> Sample:
        name = self.names[index]
        calibration = self.calibration(index)
        image = read_image(self._images[name])
        sample = Sample(
            name=name,
            image=image,
            camera=Camera(calibration.intrinsics, image.shape[1], image.shape[0]),
            points=self._read_points(name),
            lidar_to_camera=calibration.lidar_to_camera,
        )
        labels = self.labels(index)
        if labels is None:
            return sample
        rows = labels[has_box(labels)]
        return replace(
            sample,
            boxes=to_boxes(labels, calibration),
            truncation=rows.truncation,
            occlusion=rows.occlusion,
            dont_care=labels.box2d[labels.type == DONT_CARE],
        )

    def calibration(self, index: int) -> Calibration:
        return read_calib(self.root / "calib" / f"{self.names[index]}.txt")

    def labels(self, index: int) -> Labels | None:
        """The label rows of a frame, or None where the folder has no label_2."""
        if not (self.root / "label_2").is_dir():
            return None
        return read_labels(self.root / "label_2" / f"{self.names[index]}.txt")

    def _read_points(self, name: str) -> np.ndarray | None:
        path = self.root / "velodyne" / f"{name}.bin"
        return read_points(path) if self.points and path.is_file() else None


def read_points(path: Path) -> np.ndarray:
    """(P, 4) float32 x y z, m, and intensity, 0..1, in the LiDAR frame (x forward, y left, z up). Raises InputError
    for a file of another size."""
    size = path.stat().st_size
    if size % 16:
        raise InputError(f"size of {path}", f"{size} bytes", "a multiple of 16 (x y z intensity)", "Restore it.")
    return np.fromfile(path, dtype=np.float32).reshape(-1, 4)


def read_image(path: Path) -> np.ndarray:
    """(H, W, 3) uint8 RGB. Raises InputError for what is no image."""
    image = cv2.imread(str(path), cv2.IMREAD_COLOR)
    if image is None:
        raise InputError(f"image {path}", "unreadable", "a whole png or jpg file", "Restore it from its source.")
    return cv2.cvtColor(image, cv2.COLOR_BGR2RGB)
