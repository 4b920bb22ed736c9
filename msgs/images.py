"""Image and CompressedImage messages -> RGB arrays, and back.

Reading is duck-typed: rclpy messages and those that `rosbags` reads from a file are alike. Nothing is copied that
need not be: an rgb8 image is a view of the message's bytes. Where an engine has memory of its own, the bytes are copied
there as they are, and become colours there.
"""

import array
from collections.abc import Callable
from typing import Any

import cv2
import numpy as np

from voxbox_core.errors import InputError
from voxbox_core.image import Picture
from voxbox_core.runtime import OnDevice

# Encodings made of whole pixels: name -> (bytes per pixel, OpenCV's conversion to RGB, None where it is RGB already).
# Bayer names tell the first two pixels of the first two rows, as in ROS (OpenCV's older names tell another place).
_PACKED: dict[str, tuple[int, int | None]] = {
    "rgb8": (3, None),
    "bgr8": (3, cv2.COLOR_BGR2RGB),
    "rgba8": (4, cv2.COLOR_RGBA2RGB),
    "bgra8": (4, cv2.COLOR_BGRA2RGB),
    "mono8": (1, cv2.COLOR_GRAY2RGB),
    "8UC1": (1, cv2.COLOR_GRAY2RGB),
    "bayer_rggb8": (1, cv2.COLOR_BayerRGGB2RGB),
    "bayer_bggr8": (1, cv2.COLOR_BayerBGGR2RGB),
    "bayer_gbrg8": (1, cv2.COLOR_BayerGBRG2RGB),
    "bayer_grbg8": (1, cv2.COLOR_BayerGRBG2RGB),
    "yuv422": (2, cv2.COLOR_YUV2RGB_UYVY),
    "uyvy": (2, cv2.COLOR_YUV2RGB_UYVY),
    "yuv422_yuy2": (2, cv2.COLOR_YUV2RGB_YUY2),
    "yuyv": (2, cv2.COLOR_YUV2RGB_YUY2),
}
# A full plane of brightness above a half-size plane of interleaved colour.
_TWO_PLANES = {"nv12": cv2.COLOR_YUV2RGB_NV12, "nv21": cv2.COLOR_YUV2RGB_NV21}
_PAIRED_COLUMNS = ("yuv422", "uyvy", "yuv422_yuy2", "yuyv", *_TWO_PLANES)

ENCODINGS = (*_PACKED, *_TWO_PLANES, "mono16")

# How each compressed format ends: a file cut short would decode to a picture that is partly grey.
_ENDINGS = {"jpeg": b"\xff\xd9", "jpg": b"\xff\xd9", "png": b"IEND"}
_TAIL = 1024  # bytes at the end in which to look for it: some cameras pad


def _alone(message: Any, compute: Callable[[Any], Any]) -> Any:
    return compute(message)


def read_image(
    message: Any, device: OnDevice | None = None, once: Callable[[Any, Callable[[Any], Any]], Any] = _alone
) -> Picture:
    """An Image or CompressedImage -> (H, W, 3) uint8 RGB, read-only where it is a view of the message.

    device: of the engine that the image is for; the picture is then a tensor there. Compressed ones are decoded here.
    once: computes what a function makes of a message; several nodes that are given one message share the results.
    Raises InputError for encodings and formats it does not know, and data that do not fit their description.
    """
    if device is None:
        return once(message, _decoded)
    from voxbox_core import device_image  # PyTorch: a node that runs another engine is lighter without

    pixels, encoding, big_endian = once(message, _pixels)
    return device_image.rgb(device.upload("image", pixels), encoding, big_endian)


def _decoded(message: Any) -> np.ndarray:
    return _rgb(*_pixels(message))


def _pixels(message: Any) -> tuple[np.ndarray, str, bool]:
    """Pixels as they are, their encoding, and whether their numbers are big-endian."""
    if hasattr(message, "format"):
        pixels, encoding = _decompress(message)
    else:
        pixels, encoding = _unpack(message), str(message.encoding)
    return pixels, encoding, bool(getattr(message, "is_bigendian", False))


def _rgb(pixels: np.ndarray, encoding: str, big_endian: bool) -> np.ndarray:
    """Pixels as they are, in one of ENCODINGS, -> (H, W, 3) uint8 RGB. Its twin is `device_image.rgb`."""
    if encoding in _TWO_PLANES:
        return cv2.cvtColor(pixels, _TWO_PLANES[encoding])
    if encoding == "mono16":
        return cv2.cvtColor(_high_byte(pixels, big_endian), cv2.COLOR_GRAY2RGB)
    conversion = _PACKED[encoding][1]
    return pixels if conversion is None else cv2.cvtColor(pixels, conversion)


def _unpack(message: Any) -> np.ndarray:
    """A message's pixels as they are, without row padding: a view."""
    encoding = str(message.encoding)
    if encoding in _PACKED:
        return _rows(message, _PACKED[encoding][0], lines=message.height)
    if encoding in _TWO_PLANES:
        return _rows(message, 1, lines=message.height * 3 // 2)
    if encoding == "mono16":
        return _rows(message, 2, lines=message.height)
    raise InputError("image encoding", repr(encoding), f"one of {', '.join(ENCODINGS)}", "Convert the image to one.")


def _rows(message: Any, pixel: int, lines: int) -> np.ndarray:
    """The message's bytes as (lines, W, pixel) without row padding, or (lines, W) for one-byte pixels: a view."""
    width, height, step = int(message.width), int(message.height), int(message.step)
    encoding = message.encoding
    if width <= 0 or height <= 0:
        raise InputError("image size", f"{width}x{height}", "a positive width and height", "Check the camera driver.")
    if encoding in _PAIRED_COLUMNS and (width % 2 or (encoding in _TWO_PLANES and height % 2)):
        raise InputError(f"size of an {encoding} image", f"{width}x{height}", "even", "Check the camera driver.")
    if step < width * pixel:
        raise InputError(
            "image step", step, f"{width * pixel} or more for {width} {encoding} pixels", "Check the camera driver."
        )
    data = np.frombuffer(message.data, np.uint8)
    if data.size != step * lines:
        raise InputError(
            f"length of the data of an {encoding} image",
            f"{data.size} bytes",
            f"{step * lines} (step {step} times {lines} lines)",
            "The message is cut short or misdescribed: check the camera driver.",
        )
    packed = data.reshape(lines, step)[:, : width * pixel]
    return packed if pixel == 1 else packed.reshape(lines, width, pixel)


def _high_byte(pairs: np.ndarray, big_endian: bool) -> np.ndarray:
    """mono16 (H, W, 2) -> uint8 (H, W), full scale to full scale."""
    order = ">u2" if big_endian else "<u2"
    wide = np.ascontiguousarray(pairs).view(order)[..., 0].astype(np.uint16, copy=False)
    return cv2.convertScaleAbs(wide, alpha=255 / 65535)


def _decompress(message: Any) -> tuple[np.ndarray, str]:
    """A compressed image's pixels, and their encoding: rgb8 or bgr8."""
    name = str(message.format)
    codec = _codec(name)
    data = np.frombuffer(message.data, np.uint8)
    whole = _ENDINGS[codec] in data[-_TAIL:].tobytes()
    # The camera's calibration is of the pixels as they were read out: no turning by EXIF tags.
    image = cv2.imdecode(data, cv2.IMREAD_COLOR | cv2.IMREAD_IGNORE_ORIENTATION) if whole else None
    if image is None:
        raise InputError(
            f"compressed image ({name}, {data.size} bytes)",
            "cut short" if data.size and not whole else "undecodable",
            f"a whole {codec} file",
            "Check the camera driver and the network.",
        )
    # image_transport compresses colours as bgr8 and says so when it did otherwise ("bgr8; jpeg compressed rgb8").
    return image, "rgb8" if name.rstrip().endswith("compressed rgb8") else "bgr8"


def _codec(name: str) -> str:
    """The codec in a CompressedImage's format: "jpeg", or "bgr8; jpeg compressed bgr8" from image_transport."""
    words = name.lower().replace(";", " ").split()
    codec = next((word for word in words if word in _ENDINGS), None)
    if codec is None:
        raise InputError("compressed image format", repr(name), "jpeg or png", "Compress the image with one of these.")
    return codec


def image_message(rgb: np.ndarray, header: Any) -> Any:
    """(H, W, 3) uint8 RGB -> sensor_msgs/Image, rgb8, with the given std_msgs/Header."""
    from sensor_msgs.msg import Image

    height, width = rgb.shape[:2]
    # An array.array passes into the message as it is; any other sequence is checked byte by byte.
    data = array.array("B", rgb.tobytes())
    return Image(header=header, height=height, width=width, encoding="rgb8", step=3 * width, data=data)
