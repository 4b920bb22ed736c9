"""Voxels drawn for eyes: slices from near to far, and as solid cells from above, from the side and obliquely.

Pictures are (H, W, 3) uint8 RGB. The colours are `voxels.COLOURS`. Cells that nobody knows are hatched in the slices
and a veil in the renderings, but for rays that nobody looked along, which are empty there.
"""

from itertools import pairwise

import cv2
import numpy as np

from voxbox_core.errors import InputError
from voxbox_core.fruxel import Fruxel
from voxbox_core.voxel_raster import View, corners, paint
from voxbox_core.voxels import AIR, COLOURS, UNKNOWN, Voxels

VIEWS = ("above", "side", "oblique", "camera")

_GROUND = (24, 27, 33)  # of every picture
_INK = (205, 211, 220)
_FAINT = (70, 77, 89)
_OTHER = (200, 200, 200)  # of classes without a colour
_VEIL = (120, 134, 170)  # over what is not known
_DENSITY = 0.35  # of the veil
_SLICE = 192  # px: the least width of a slice
_FINE = 2  # pixels drawn along each side of a pixel
_FONT = cv2.FONT_HERSHEY_SIMPLEX
_BAR = 30  # px: the legend below
_GAP = 6
_MARK = 10.0  # m between marks of distance


def palette(classes: tuple[str, ...]) -> np.ndarray:
    """(256, 3) uint8 RGB by label; the veil's colour for UNKNOWN."""
    inks = np.full((256, 3), _OTHER, np.uint8)
    for label, name in enumerate(classes):
        inks[label] = COLOURS.get(name, _OTHER)
    inks[UNKNOWN] = _VEIL
    return inks


def slices(voxels: Voxels, count: int = 8) -> np.ndarray:
    """`count` parts of the depth side by side, near ones left, each with what a ray meets first in it, as the camera
    sees it; below them from where to where they go.

    Raises InputError where there are no parts, or more than slices.
    """
    depth = voxels.fruxel.slices
    if not 1 <= count <= depth:
        raise InputError("number of slices to draw", count, f"1 to {depth}", "Give another.")
    scale = -(-_SLICE // voxels.fruxel.columns)
    ends = np.linspace(0, depth, count + 1).round().astype(int)
    inks = palette(voxels.classes)
    tiles = []
    for begin, end in pairwise(ends):
        met = first_met(voxels.labels[begin:end])
        tile = np.kron(inks[met], np.ones((scale, scale, 1), np.uint8))
        _hatch(tile, np.kron(met == UNKNOWN, np.ones((scale, scale), bool)))
        tiles.append(_below(tile, f"{voxels.fruxel.edges[begin]:.1f} to {voxels.fruxel.edges[end]:.1f} m"))
    return beside(tiles)


def first_met(labels: np.ndarray) -> np.ndarray:
    """(slices, rows, columns) -> (rows, columns): the first label of each ray that is not air; air where all is."""
    solid = labels != AIR
    return np.asarray(np.take_along_axis(labels, solid.argmax(0)[None], 0)[0])


def rendered(voxels: Voxels, view: str = "oblique", size: tuple[int, int] = (960, 600)) -> np.ndarray:
    """The occupied cells as solid bodies of their true shape, in metres, above a legend of the classes that are there.

    view: "above", forward up and without perspective; "side", from the left and a little
    above; "oblique", from behind and above; "camera", as the camera sees them.  size: width and height, px.
    Raises InputError for another view and for a picture without room.
    """
    width, height = size
    if width < 64 or height < 64 + _BAR:
        raise InputError("size of the picture of voxels", f"{width}x{height}", f"64x{64 + _BAR} or more", "Enlarge it.")
    fine = _FINE * width, _FINE * (height - _BAR)
    seen = _view(view, voxels.fruxel, fine)
    canvas = _stage(view, voxels.fruxel, seen, fine)
    places = seen.project(corners(voxels.fruxel))
    ink = palette(voxels.classes)[voxels.labels]
    solid, near = paint(voxels.occupied, ink, places, fine, _FINE / 2)
    there = np.isfinite(near)
    canvas[there] = solid[there]
    unknown = voxels.labels == UNKNOWN
    veil, veil_near = paint(unknown & ~unknown.all(0), ink, places, fine, _FINE / 2)
    before = veil_near > near
    canvas[before] = (1 - _DENSITY) * canvas[before] + _DENSITY * veil[before]
    picture = cv2.resize(canvas, (width, height - _BAR), interpolation=cv2.INTER_AREA)
    return np.concatenate([picture, _legend(voxels, width)])


def comparison(image: np.ndarray, truth: Voxels | None, prediction: Voxels) -> np.ndarray:
    """A sheet: the image, what is seen from the camera, obliquely and in slices, of the truth beside the prediction's.

    image: (H, W, 3) uint8 RGB, aligned with the grid (`Fruxel.camera`).  truth: None where nobody knows it.
    """
    known = [("truth", truth), ("prediction", prediction)]
    shown = [(name, voxels) for name, voxels in known if voxels is not None]
    rows = [(f"{name}, from near to far", slices(voxels)) for name, voxels in shown]
    width = rows[0][1].shape[1]
    part = (width - _GAP * len(shown)) // (len(shown) + 1)
    height = round(part * prediction.fruxel.rows / prediction.fruxel.columns) + _BAR
    first = [("image", _framed(image, (part, height)))]
    first += [(f"{name}, as the camera sees it", rendered(voxels, "camera", (part, height))) for name, voxels in shown]
    half = (width - _GAP) // 2
    large = [
        (f"{name}, {view}", rendered(voxels, view, (half, round(0.62 * half)))) for name, voxels, view in _panels(shown)
    ]
    parts = [beside([_above(picture, text) for text, picture in row]) for row in (first, large)]
    parts += [_above(picture, text) for text, picture in rows]
    return np.concatenate([_wide(picture, width) for picture in parts])


def _panels(shown: list[tuple[str, Voxels]]) -> list[tuple[str, Voxels, str]]:
    """The two large renderings of a sheet."""
    if len(shown) == 2:
        return [(name, voxels, "oblique") for name, voxels in shown]
    return [(name, voxels, view) for name, voxels in shown for view in ("oblique", "above")]


def _framed(image: np.ndarray, size: tuple[int, int]) -> np.ndarray:
    """The image as large as it fits into a picture, above room for the legend."""
    width, height = size
    scale = min(width / image.shape[1], (height - _BAR) / image.shape[0])
    small = cv2.resize(image, None, fx=scale, fy=scale, interpolation=cv2.INTER_AREA)
    canvas = np.full((height, width, 3), _GROUND, np.uint8)
    top, left = (height - _BAR - len(small)) // 2, (width - small.shape[1]) // 2
    canvas[top : top + len(small), left : left + small.shape[1]] = small
    return canvas


def _view(name: str, fruxel: Fruxel, size: tuple[int, int]) -> View:
    """The view that holds the whole grid, in the middle of the picture."""
    if name not in VIEWS:
        raise InputError("view of voxels", repr(name), f"one of {VIEWS}", "Give another.")
    ends = _section(fruxel, fruxel.far)
    if name == "camera":
        return _fitted(View(np.eye(3), np.zeros(3), 1.0, (0.0, 0.0)), ends, size, part=1.0)
    ends = np.concatenate([ends, np.zeros((1, 3))])
    if name == "above":
        down = np.array([[1.0, 0, 0], [0, 0, -1], [0, 1, 0]])
        return _fitted(View(down, np.zeros(3), 1.0, (0.0, 0.0), parallel=True), ends, size)
    yaw, pitch = np.radians((72, 36) if name == "side" else (24, 34))
    away = np.array([np.sin(yaw) * np.cos(pitch), np.sin(pitch), np.cos(yaw) * np.cos(pitch)])
    right = np.cross([0.0, 1.0, 0.0], away)
    right /= np.linalg.norm(right)
    middle = (ends.min(0) + ends.max(0)) / 2
    eye = middle - 1.6 * np.linalg.norm(ends.max(0) - ends.min(0)) * away
    return _fitted(View(np.stack([right, np.cross(away, right), away]), eye, 1.0, (0.0, 0.0)), ends, size)


def _fitted(view: View, points: np.ndarray, size: tuple[int, int], part: float = 0.94) -> View:
    """The view with the focal length and the middle that let points just fill that part of a picture."""
    places = view.project(points)[:, :2]
    low, high = places.min(0), places.max(0)
    focal = float((part * np.array(size) / (high - low)).min())
    x, y = np.array(size) / 2 - focal * (low + high) / 2
    return View(view.rotation, view.eye, focal, (x, y), view.parallel)


def _stage(name: str, fruxel: Fruxel, view: View, size: tuple[int, int]) -> np.ndarray:
    """The picture before anything stands in it: the frustum's edges and sections, with their distances."""
    canvas = np.full((size[1], size[0], 3), _GROUND, np.uint8)
    if name == "camera":
        return canvas
    first = np.ceil(fruxel.near / _MARK) * _MARK
    marks = np.arange(first, fruxel.far, _MARK)
    for depth in (fruxel.near, *marks, fruxel.far):
        _line(canvas, view.project(_section(fruxel, depth)), closed=True)
    for end in _section(fruxel, fruxel.far):
        _line(canvas, view.project(np.stack([np.zeros(3), end])))
    for depth in marks:
        x, y = view.project(_section(fruxel, depth)[2])[:2]
        _write(canvas, f"{depth:.0f} m", (int(x) + 4 * _FINE, int(y) + 4 * _FINE), 0.42 * _FINE, _INK, _FINE)
    return canvas


def _section(fruxel: Fruxel, depth: float) -> np.ndarray:
    """(4, 3) corners of the frustum at a depth, m: left top, right top, right bottom, left bottom."""
    across = np.array([0, fruxel.columns, fruxel.columns, 0]) - fruxel.principal[0]
    down = np.array([0, 0, fruxel.rows, fruxel.rows]) - fruxel.principal[1]
    return np.stack([across, down, np.full(4, fruxel.focal)], -1) * depth / fruxel.focal


def _line(canvas: np.ndarray, places: np.ndarray, closed: bool = False) -> None:
    points = np.round(places[:, :2] * 16).astype(np.int32)
    cv2.polylines(canvas, [points], closed, _FAINT, _FINE, cv2.LINE_AA, 4)


def _write(
    canvas: np.ndarray, text: str, place: tuple[int, int], scale: float, ink: tuple[int, int, int], thick: int = 1
) -> int:
    """Write text in place; -> x of its end."""
    cv2.putText(canvas, text, place, _FONT, scale, ink, thick, cv2.LINE_AA)
    return place[0] + int(cv2.getTextSize(text, _FONT, scale, thick)[0][0])


def _legend(voxels: Voxels, width: int) -> np.ndarray:
    """(_BAR, width, 3): the classes that are there, each beside its colour."""
    bar = np.full((_BAR, width, 3), _GROUND, np.uint8)
    there = np.bincount(voxels.labels.ravel(), minlength=256) > 0
    inks, x = palette(voxels.classes), 12
    names = [*enumerate(voxels.classes), (UNKNOWN, "unknown")]
    for label, name in names:
        if label == AIR or not there[label]:
            continue
        cv2.rectangle(bar, (x, 9), (x + 12, 21), [int(v) for v in inks[label]], cv2.FILLED)
        x = _write(bar, name, (x + 18, 20), 0.42, _INK) + 18
    return bar


def _hatch(tile: np.ndarray, where: np.ndarray) -> None:
    """Dark strokes, in place, over what is not known."""
    row, column = np.indices(where.shape)
    tile[where & ((row + column) % 6 < 3)] = _FAINT


def _below(tile: np.ndarray, text: str) -> np.ndarray:
    bar = np.full((22, tile.shape[1], 3), _GROUND, np.uint8)
    _write(bar, text, (4, 15), 0.42, _INK)
    return np.concatenate([tile, bar])


def _above(tile: np.ndarray, text: str) -> np.ndarray:
    bar = np.full((_BAR, tile.shape[1], 3), _GROUND, np.uint8)
    _write(bar, text, (12, 20), 0.46, _INK)
    return np.concatenate([bar, tile])


def _wide(picture: np.ndarray, width: int) -> np.ndarray:
    """The picture with room on its right until it is so wide."""
    room = np.full((len(picture), width - picture.shape[1], 3), _GROUND, np.uint8)
    return np.concatenate([picture, room], axis=1)


def beside(pictures: list[np.ndarray]) -> np.ndarray:
    """Pictures of one height in a row, with gaps."""
    gap = np.full((len(pictures[0]), _GAP, 3), _GROUND, np.uint8)
    parts = [part for picture in pictures for part in (picture, gap)]
    return np.concatenate(parts[:-1], axis=1)
