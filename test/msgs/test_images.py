"""Every encoding against the picture it was made from; every malformed message against its text."""

import array
from types import SimpleNamespace

import cv2
import numpy as np
import pytest

from msgs.images import ENCODINGS, image_message, read_image
from voxbox_core.errors import InputError

WIDTH, HEIGHT = 64, 48


@pytest.fixture
def picture() -> np.ndarray:
    """(H, W, 3) RGB, smooth, so that subsampled colour and mosaics lose little; red, green and blue all differ."""
    x, y = np.meshgrid(np.linspace(0, 1, WIDTH), np.linspace(0, 1, HEIGHT))
    return np.stack([40 + 150 * x, 60 + 100 * y, 200 - 120 * x], -1).round().astype(np.uint8)


def message(rows: np.ndarray, padding: int = 0, **changes: object) -> SimpleNamespace:
    """An Image of the given rows of bytes, each followed by `padding` bytes."""
    rows = np.pad(rows.reshape(len(rows), -1), ((0, 0), (0, padding)), constant_values=255)
    fields = {"encoding": "rgb8", "width": WIDTH, "height": HEIGHT, "step": rows.shape[1], "is_bigendian": 0}
    return SimpleNamespace(**(fields | {"data": rows.tobytes()} | changes))


def mosaic(picture: np.ndarray, pattern: str) -> np.ndarray:
    """What a sensor with that colour filter sees: pattern names the filters of the first 2x2 pixels, row by row."""
    seen = np.empty(picture.shape[:2], np.uint8)
    for i, colour in enumerate(pattern):
        seen[i // 2 :: 2, i % 2 :: 2] = picture[i // 2 :: 2, i % 2 :: 2, "rgb".index(colour)]
    return seen


def yuv(picture: np.ndarray) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """ITU-R BT.601 in video range, from its definition; colour at half the width."""
    r, g, b = np.moveaxis(picture.astype(np.float64), -1, 0)
    luma = 16 + (65.738 * r + 129.057 * g + 25.064 * b) / 256
    u = 128 + (-37.945 * r - 74.494 * g + 112.439 * b) / 256
    v = 128 + (112.439 * r - 94.154 * g - 18.285 * b) / 256
    halves = [(plane[:, ::2] + plane[:, 1::2]) / 2 for plane in (u, v)]
    return tuple(np.round(plane).astype(np.uint8) for plane in (luma, *halves))


def encoded(picture: np.ndarray, encoding: str) -> np.ndarray:
    """The rows of bytes that a camera would send."""
    luma, u, v = yuv(picture)
    if encoding.startswith("bayer"):
        return mosaic(picture, encoding.split("_")[1][:4])
    if encoding in ("yuv422", "uyvy"):
        return np.stack([u, luma[:, ::2], v, luma[:, 1::2]], -1)
    if encoding in ("yuv422_yuy2", "yuyv"):
        return np.stack([luma[:, ::2], u, luma[:, 1::2], v], -1)
    if encoding in ("nv12", "nv21"):
        first, second = (u, v) if encoding == "nv12" else (v, u)
        return np.vstack([luma, np.stack([first[::2], second[::2]], -1).reshape(HEIGHT // 2, WIDTH)])
    alpha = np.full((HEIGHT, WIDTH, 1), 7, np.uint8)
    return {
        "rgb8": picture,
        "bgr8": picture[..., ::-1],
        "rgba8": np.concatenate([picture, alpha], -1),
        "bgra8": np.concatenate([picture[..., ::-1], alpha], -1),
        "mono8": picture[..., 0],
        "8UC1": picture[..., 0],
        "mono16": (picture[..., 0].astype("<u2") * 257)[..., None].view(np.uint8),
    }[encoding]


@pytest.mark.parametrize("padding", [0, 16])
@pytest.mark.parametrize("encoding", ENCODINGS)
def test_every_encoding_gives_the_picture(picture: np.ndarray, encoding: str, padding: int) -> None:
    expected = np.repeat(picture[..., :1], 3, -1) if encoding in ("mono8", "8UC1", "mono16") else picture
    rgb = read_image(message(encoded(picture, encoding), padding, encoding=encoding))
    assert rgb.shape == (HEIGHT, WIDTH, 3)
    assert rgb.dtype == np.uint8
    lossless = encoding in ("rgb8", "bgr8", "rgba8", "bgra8", "mono8", "8UC1", "mono16")
    # Subsampled colour is off by the picture's slope over a pixel or two, swapped channels by tens of levels.
    error = np.abs(rgb.astype(int) - expected)[2:-2, 2:-2].max()
    assert error <= (0 if lossless else 6)


def test_rgb_is_a_view_of_the_message(picture: np.ndarray) -> None:
    data = np.frombuffer(bytearray(picture.tobytes()), np.uint8)
    rgb = read_image(message(picture, data=data))
    assert np.shares_memory(rgb, data)


def test_mono16_obeys_its_byte_order(picture: np.ndarray) -> None:
    wide = picture[..., 0].astype(np.uint16) * 257 - 100
    big = read_image(message(wide.astype(">u2")[..., None].view(np.uint8), encoding="mono16", is_bigendian=1))
    little = read_image(message(wide.astype("<u2")[..., None].view(np.uint8), encoding="mono16"))
    assert np.array_equal(big, little)


@pytest.mark.parametrize(
    ("changes", "text"),
    [
        ({"encoding": "bayer_rggb12"}, "image encoding is 'bayer_rggb12'; expected one of rgb8, bgr8"),
        ({"encoding": "8UC3"}, "image encoding is '8UC3'"),
        ({"encoding": ""}, "image encoding is ''"),
        ({"data": bytes(100)}, r"length of the data of an rgb8 image is 100 bytes; expected 9216 \(step 192 times 48"),
        ({"data": b""}, "0 bytes; expected 9216"),
        ({"step": 100}, "image step is 100; expected 192 or more for 64 rgb8 pixels"),
        ({"width": 0}, "image size is 0x48; expected a positive width and height"),
        ({"height": 0}, "image size is 64x0"),
        ({"encoding": "yuv422", "width": 63}, "size of an yuv422 image is 63x48; expected even"),
        ({"encoding": "nv12", "height": 47}, "size of an nv12 image is 64x47; expected even"),
    ],
)
def test_malformed_images_are_named(picture: np.ndarray, changes: dict, text: str) -> None:
    with pytest.raises(InputError, match=text):
        read_image(message(picture, **changes))


def compressed(name: str, data: bytes) -> SimpleNamespace:
    return SimpleNamespace(format=name, data=array.array("B", data))


def jpeg(rgb: np.ndarray) -> bytes:
    return cv2.imencode(".jpg", rgb[..., ::-1], [cv2.IMWRITE_JPEG_QUALITY, 95])[1].tobytes()


@pytest.mark.parametrize("name", ["jpeg", "jpg", "JPEG", "bgr8; jpeg compressed bgr8", "rgb8; jpeg compressed bgr8"])
def test_jpeg(picture: np.ndarray, name: str) -> None:
    assert np.abs(read_image(compressed(name, jpeg(picture))).astype(int) - picture).max() <= 6


def test_jpeg_with_its_colours_compressed_in_the_other_order(picture: np.ndarray) -> None:
    rgb = read_image(compressed("rgb8; jpeg compressed rgb8", jpeg(picture[..., ::-1])))
    assert np.abs(rgb.astype(int) - picture).max() <= 6


@pytest.mark.parametrize("name", ["png", "bgr8; png compressed bgr8"])
def test_png_is_lossless(picture: np.ndarray, name: str) -> None:
    data = cv2.imencode(".png", picture[..., ::-1])[1].tobytes()
    assert np.array_equal(read_image(compressed(name, data)), picture)


def test_grey_png_becomes_rgb(picture: np.ndarray) -> None:
    data = cv2.imencode(".png", picture[..., 0])[1].tobytes()
    assert np.array_equal(read_image(compressed("mono8; png compressed mono8", data))[..., 2], picture[..., 0])


def test_a_padded_jpeg_is_whole(picture: np.ndarray) -> None:
    assert read_image(compressed("jpeg", jpeg(picture) + bytes(300))).shape == picture.shape


@pytest.mark.parametrize(
    ("name", "cut", "text"),
    [
        ("jpeg", lambda d: d[: len(d) // 2], r"\(jpeg, \d+ bytes\) is cut short; expected a whole jpeg file"),
        ("png", lambda d: d, "is cut short; expected a whole png file"),
        ("jpeg", lambda d: b"", r"\(jpeg, 0 bytes\) is undecodable"),
        ("jpeg", lambda d: b"nothing like it\xff\xd9", "is undecodable"),
        ("h264", lambda d: d, "compressed image format is 'h264'; expected jpeg or png"),
        ("16UC1; compressedDepth png", lambda d: d, "cut short|format"),
        ("", lambda d: d, "compressed image format is ''"),
    ],
)
def test_bad_compressed_images_are_named(picture: np.ndarray, name: str, cut, text: str) -> None:
    with pytest.raises(InputError, match=text):
        read_image(compressed(name, cut(jpeg(picture))))


def test_message_and_back(picture: np.ndarray) -> None:
    std_msgs = pytest.importorskip("std_msgs.msg")
    sent = image_message(picture, std_msgs.Header(frame_id="camera"))
    assert (sent.width, sent.height, sent.step, sent.encoding) == (WIDTH, HEIGHT, 3 * WIDTH, "rgb8")
    assert sent.header.frame_id == "camera"
    assert np.array_equal(read_image(sent), picture)


@pytest.mark.parametrize("encoding", ["rgb8", "bgr8", "mono8", "bayer_rggb8", "yuv422", "yuv422_yuy2"])
def test_agrees_with_cv_bridge(picture: np.ndarray, encoding: str) -> None:
    cv_bridge = pytest.importorskip("cv_bridge", reason="cv_bridge is not installed here")
    image = pytest.importorskip("sensor_msgs.msg").Image
    rows = encoded(picture, encoding)
    sent = image(
        width=WIDTH, height=HEIGHT, encoding=encoding, step=rows[0].size, data=array.array("B", rows.tobytes())
    )
    theirs = cv_bridge.CvBridge().imgmsg_to_cv2(sent, "rgb8")
    assert np.abs(read_image(sent).astype(int) - theirs).max() <= 1
