"""Many labelled frames in one picture: the quickest way to see that images and labels agree."""

from collections.abc import Iterable, Iterator
from pathlib import Path

import cv2
import numpy as np

from voxbox.street.plan import Plan
from voxbox.street.workers import film, sample_of
from voxbox_core.datasets.kitti import KittiFolder
from voxbox_core.datasets.sample import Sample
from voxbox_core.draw import draw_boxes
from voxbox_core.errors import InputError
from voxbox_core.files import whole_file

TILE_WIDTH = 1000  # px
_DONT_CARE = (150, 150, 150)


def contact_sheet(path: Path, samples: Iterable[Sample], across: int) -> None:
    """Write the samples, boxes drawn, `across` per row. Raises InputError for a format without writer."""
    if path.suffix not in (".png", ".jpg"):
        raise InputError("picture to write", path.name, "a name ending in .png or .jpg", "Rename it.")
    tiles = [_tile(sample) for sample in samples]
    height = max(tile.shape[0] for tile in tiles)
    rows = -(-len(tiles) // across)
    picture = np.zeros((rows * height, across * TILE_WIDTH, 3), np.uint8)
    for i, tile in enumerate(tiles):
        y, x = i // across * height, i % across * TILE_WIDTH
        picture[y : y + tile.shape[0], x : x + TILE_WIDTH] = tile
    with whole_file(path) as temporary:
        cv2.imwrite(str(temporary), picture[..., ::-1])


def rendered(plan: Plan, jobs: int) -> Iterator[Sample]:
    return film(plan, range(plan.frames), sample_of, min(jobs, plan.frames))


def stored(folder: Path, frames: int) -> Iterator[Sample]:
    data = KittiFolder(folder, points=False)
    return (data[i] for i in range(min(frames, len(data))))


def _tile(sample: Sample) -> np.ndarray:
    """(h, TILE_WIDTH, 3): the image with 3D boxes, 2D boxes of small things nobody labels, and its name."""
    picture = sample.image
    if sample.boxes is not None:
        marks = [f"{o}" for o in sample.occlusion]
        picture = draw_boxes(picture, sample.boxes, sample.camera, marks)
    else:
        picture = picture.copy()
    for x1, y1, x2, y2 in np.round(sample.dont_care).astype(int):
        cv2.rectangle(picture, (int(x1), int(y1)), (int(x2), int(y2)), _DONT_CARE, 1)
    size = (TILE_WIDTH, round(picture.shape[0] * TILE_WIDTH / picture.shape[1]))
    picture = cv2.resize(picture, size, interpolation=cv2.INTER_AREA)
    cv2.putText(picture, sample.name, (8, 20), cv2.FONT_HERSHEY_SIMPLEX, 0.5, (255, 255, 255), 1, cv2.LINE_AA)
    return picture
