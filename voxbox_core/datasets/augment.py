"""Augmentation that knows geometry: what a network sees of a sample, and which camera and boxes are true for it.

Scale, shift and flip are one affine from the camera's image to the network's input, so the image is warped once.
Scale and shift leave the 3D truth alone (the inverse affine takes keypoints back to the camera's pixels, KM3D A6);
a flip mirrors the world about x = 0: cx' = W - 1 - cx, x' = -x, yaw' = pi - yaw, and the mirrored camera sees it.
"""

from dataclasses import dataclass, field, fields, replace

import cv2
import numpy as np

from voxbox_core.boxes import Boxes3D
from voxbox_core.camera import Camera
from voxbox_core.datasets.sample import Sample
from voxbox_core.errors import InputError
from voxbox_core.image import apply, compose, letterbox, warp

VEHICLES = ("Car", "Van", "Truck", "Bus", "Tram", "Misc")
LOW = 0.3  # m above the ground, how high the darkness under a vehicle reaches
_NEAREST_SHADE = 0.5  # m before the camera
_FAR_OUT = 10_000  # px


def _help(default: float, text: str) -> float:
    return field(default=default, metadata={"help": text})


@dataclass(frozen=True)
class Augmentation:
    """How strongly training images are varied; all zero (`Augmentation.none()`) is the plain letterbox.

    Raises InputError on a value outside its range.
    """

    scale_min: float = _help(0.6, "smallest zoom relative to the letterbox; drawn log-uniformly")
    scale_max: float = _help(1.6, "largest zoom relative to the letterbox")
    shift: float = _help(0.1, "random shift beyond what the zoom allows, as a fraction of the input size")
    flip: float = _help(0.5, "probability of a true horizontal flip (camera and boxes mirrored too)")
    brightness: float = _help(0.15, "largest additive change of brightness, fraction of full scale")
    contrast: float = _help(0.4, "largest relative change of contrast")
    gamma: float = _help(0.4, "largest |log gamma| of the tone curve")
    white_balance: float = _help(0.1, "largest relative gain of single colour channels")
    saturation: float = _help(0.6, "largest relative change of colour saturation")
    hue: float = _help(0.15, "largest hue rotation, rad")
    grey: float = _help(0.1, "probability of a grey image")
    blur: float = _help(0.25, "probability of Gaussian blur, sigma up to 1.5 px")
    noise: float = _help(0.3, "probability of sensor noise, sigma up to 12 of 255")
    jpeg: float = _help(0.15, "probability of JPEG artefacts, quality 25 to 90")
    cutout: float = _help(0.2, "probability of one to three small patches of one colour")
    shade: float = _help(0.5, "probability of darkness under the vehicles, up to black")

    def __post_init__(self) -> None:
        if not 0 < self.scale_min <= self.scale_max:
            value = f"{self.scale_min}..{self.scale_max}"
            raise InputError("zoom range", value, "0 < scale_min <= scale_max", "Set scale_min and scale_max.")
        for f in fields(self):
            if not 0 <= getattr(self, f.name) <= (np.inf if f.name.startswith("scale") else 1):
                raise InputError(f.name, getattr(self, f.name), "a number from 0 to 1", f"It is: {f.metadata['help']}.")

    @classmethod
    def none(cls) -> "Augmentation":
        strengths = {f.name: 1.0 if f.name.startswith("scale") else 0.0 for f in fields(cls)}
        return cls(**strengths)


@dataclass(frozen=True)
class View:
    """What a network sees of a sample.

    image: (h, w, 3) uint8, the network's input.  affine: (2, 3) camera pixels -> input pixels.
    camera, boxes, dont_care: the truth of this view; mirrored when the view is, else the sample's own.
    """

    image: np.ndarray
    affine: np.ndarray
    camera: Camera
    boxes: Boxes3D
    dont_care: np.ndarray


def view(sample: Sample, width: int, height: int, strength: Augmentation, rng: np.random.Generator) -> View:
    """One random view of a labelled sample at the network's input size."""
    camera, boxes, dont_care = sample.camera, sample.boxes, sample.dont_care
    if boxes is None:
        raise InputError(f"boxes of {sample.name}", "absent", "a labelled sample", "Add its label file.")
    affine = random_affine(camera, width, height, strength, rng)
    from_stored = affine
    if rng.random() < strength.flip:
        from_stored = compose(affine, mirror(camera.width))
        boxes, dont_care = mirrored_boxes(boxes, camera.width), _mirrored_rectangles(dont_care, camera.width)
        camera = camera.flipped()
    image = warp(sample.image, from_stored, width, height)
    if rng.random() < strength.shade:
        image = shade(image, boxes, camera, affine, rng)
    return View(vary_appearance(image, strength, rng), affine, camera, boxes, dont_care)


def random_affine(
    camera: Camera, width: int, height: int, strength: Augmentation, rng: np.random.Generator
) -> np.ndarray:
    """A letterbox, zoomed about the input's centre and shifted: affine (2, 3) camera pixels -> input pixels.

    A zoomed-in view may look anywhere in the image, a zoomed-out image may lie anywhere in the input.
    """
    zoom = np.exp(rng.uniform(np.log(strength.scale_min), np.log(strength.scale_max)))
    base = letterbox(camera.width, camera.height, width, height)
    affine = base * zoom
    for axis, (extent, size) in enumerate(((camera.width, width), (camera.height, height))):
        slack = abs(affine[axis, axis] * extent - size) / 2 if zoom != 1 else 0.0
        reach = slack + strength.shift * size
        centre = (size - 1) / 2
        affine[axis, 2] = centre - affine[axis, axis] * (extent - 1) / 2 + rng.uniform(-reach, reach)
    return affine


def mirror(width: int) -> np.ndarray:
    """The affine (2, 3) of a horizontal flip: x -> W - 1 - x."""
    return np.array([[-1.0, 0.0, width - 1.0], [0.0, 1.0, 0.0]])


def mirrored_boxes(boxes: Boxes3D, width: int) -> Boxes3D:
    """Boxes (optical frame) of the mirrored world, 2D boxes in the mirrored image."""
    center = boxes.center * (-1.0, 1.0, 1.0)
    yaw = np.pi - boxes.yaw
    yaw = np.arctan2(np.sin(yaw), np.cos(yaw))
    return replace(boxes, center=center, yaw=yaw, box2d=_mirrored_rectangles(boxes.box2d, width))


def _mirrored_rectangles(rectangles: np.ndarray, width: int) -> np.ndarray:
    x1, y1, x2, y2 = rectangles.T
    return np.stack([width - 1 - x2, y1, width - 1 - x1, y2], -1)


def shade(
    image: np.ndarray, boxes: Boxes3D, camera: Camera, affine: np.ndarray, rng: np.random.Generator
) -> np.ndarray:
    """The image (h, w, 3) uint8 with the ground under its vehicles dark, and what stands low on it: wheels, sills.

    In photographs the wheels melt into the shadow between them. A renderer's shadows are lighter, and a network that
    knows no others takes the edge of the paint for the ground. boxes, camera: of the image before the affine (2, 3)
    to `image`'s pixels. What is dark reaches to LOW above footprints a little larger, smaller or beside the true ones:
    its edges must not tell what only the vehicle may.
    """
    mask = np.zeros(image.shape[:2], np.uint8)
    names = boxes.names()
    jittered = _jittered_boxes(boxes, rng)
    feet = jittered.corners()[:, :4]
    for i in np.argsort(-boxes.center[:, 2]):
        covered = apply(affine, boxes.box2d[i].reshape(2, 2))
        if np.isfinite(covered).all():  # farther shadows end where this object begins
            x1, y1, x2, y2 = np.clip(np.rint(covered.ravel()), 0, _FAR_OUT).astype(int)
            mask[y1:y2, x1:x2] = 0
        if names[i] in VEHICLES and feet[i, :, 2].min() > _NEAREST_SHADE:
            _darken(mask, feet[i], camera, affine)
    if not mask.any():
        return image
    dark = cv2.GaussianBlur(mask, (0, 0), rng.uniform(1.0, 3.0)) * np.float32(rng.uniform(0.3, 1.0))
    return cv2.multiply(image, cv2.merge([255 - dark] * 3), scale=1 / 255, dtype=cv2.CV_8U)


def _jittered_boxes(boxes: Boxes3D, rng: np.random.Generator) -> Boxes3D:
    size = boxes.size * rng.uniform(0.85, 1.15, (len(boxes), 3)) ** [1, 0.6, 0]
    return replace(boxes, size=size, center=boxes.center + rng.normal(0.0, 0.1, (len(boxes), 3)) * [1, 0, 1])


def _darken(mask: np.ndarray, feet: np.ndarray, camera: Camera, affine: np.ndarray) -> None:
    """Sets those sides of a footprint (4, 3) that face the camera, up to LOW, to 255."""
    following = np.roll(feet, -1, axis=0)
    outward = (feet + following) / 2 - feet.mean(0)
    for k in np.flatnonzero((outward * (feet + following)).sum(1) < 0):
        low = np.array([feet[k], following[k]])
        corners = apply(affine, camera.project(np.concatenate([low, low[::-1] - [0.0, LOW, 0.0]]))[0])
        cv2.fillConvexPoly(mask, np.clip(np.rint(corners), -_FAR_OUT, _FAR_OUT).astype(np.int32), 255)


# RGB -> luma and two chroma axes (YIQ): hue is a rotation of the chroma plane, saturation its scale.
_TO_YIQ = np.array([[0.299, 0.587, 0.114], [0.596, -0.274, -0.322], [0.211, -0.523, 0.312]])
_FROM_YIQ = np.linalg.inv(_TO_YIQ)


def vary_appearance(image: np.ndarray, strength: Augmentation, rng: np.random.Generator) -> np.ndarray:
    """Colour, tone and sensor faults of an image (h, w, 3) uint8; a changed copy or the image itself."""
    if rng.random() < strength.cutout:
        image = _cutout(image, rng)
    image = _vary_colour(image, strength, rng)
    image = _vary_tone(image, strength, rng)
    if rng.random() < strength.blur:
        image = cv2.GaussianBlur(image, (5, 5), rng.uniform(0.3, 1.5))
    if rng.random() < strength.noise:
        # The noise is drawn on a tile and repeated: drawing a whole image of it would cost more than all the rest.
        tile = rng.normal(0.0, rng.uniform(1.0, 12.0), (64, image.shape[1], 3)).astype(np.int16)
        repeats = -(-image.shape[0] // 64)
        noise = np.concatenate([np.roll(tile, int(rng.integers(image.shape[1])), 1) for _ in range(repeats)])
        image = cv2.add(image, noise[: image.shape[0]], dtype=cv2.CV_8U)
    if rng.random() < strength.jpeg:
        quality = int(rng.integers(25, 91))
        _, code = cv2.imencode(".jpg", image, [cv2.IMWRITE_JPEG_QUALITY, quality])
        image = np.asarray(cv2.imdecode(code, cv2.IMREAD_COLOR))
    return image


def _vary_colour(image: np.ndarray, strength: Augmentation, rng: np.random.Generator) -> np.ndarray:
    saturation = 1 + rng.uniform(-strength.saturation, strength.saturation)
    hue = rng.uniform(-strength.hue, strength.hue)
    if rng.random() < strength.grey:
        saturation = 0.0
    if saturation == 1 and hue == 0:
        return image
    cos, sin = saturation * np.cos(hue), saturation * np.sin(hue)
    chroma = np.array([[1.0, 0.0, 0.0], [0.0, cos, -sin], [0.0, sin, cos]])
    return cv2.transform(image, _FROM_YIQ @ chroma @ _TO_YIQ)


def _vary_tone(image: np.ndarray, strength: Augmentation, rng: np.random.Generator) -> np.ndarray:
    """Brightness, contrast, gamma and channel gains, as one table of 256 values per channel."""
    exponent = np.exp(rng.uniform(-strength.gamma, strength.gamma))
    contrast = 1 + rng.uniform(-strength.contrast, strength.contrast)
    brightness = rng.uniform(-strength.brightness, strength.brightness)
    gains = 1 + rng.uniform(-strength.white_balance, strength.white_balance, 3)
    if exponent == contrast == 1 and brightness == 0 and (gains == 1).all():
        return image
    curve = (np.linspace(0, 1, 256) ** exponent - 0.5) * contrast + 0.5 + brightness
    table = np.clip(np.rint(curve[None, :, None] * gains * 255), 0, 255).astype(np.uint8)
    return cv2.LUT(image, table)


def _cutout(image: np.ndarray, rng: np.random.Generator) -> np.ndarray:
    image = image.copy()
    height, width = image.shape[:2]
    for _ in range(rng.integers(1, 4)):
        h, w = int(rng.uniform(0.04, 0.2) * height), int(rng.uniform(0.02, 0.06) * width)
        y, x = int(rng.integers(height - h + 1)), int(rng.integers(width - w + 1))
        image[y : y + h, x : x + w] = rng.integers(0, 256, 3)
    return image
