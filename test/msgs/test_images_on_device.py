"""Every encoding becomes the same colours where the engine is as in host memory, from one upload of its bytes."""

from types import SimpleNamespace

import cv2
import numpy as np
import pytest
import torch
from devices import on_each_device

from msgs.images import ENCODINGS, read_image
from voxbox_core.runtime.staging import Staging

BYTES = {"rgb8": 3, "bgr8": 3, "rgba8": 4, "bgra8": 4, "mono16": 2}
BYTES |= dict.fromkeys(("yuv422", "uyvy", "yuv422_yuy2", "yuyv"), 2)


class Uploads:
    """The uploads of an engine, remembered."""

    def __init__(self, device: torch.device) -> None:
        self._staging = Staging(device)
        self.seen: list[np.ndarray] = []

    def upload(self, name: str, data: np.ndarray) -> torch.Tensor:
        self.seen.append(data)
        return self._staging.upload({name: data})[name]


def message(encoding: str, width: int, height: int, padding: int, big_endian: bool = False) -> SimpleNamespace:
    """An image of noise: of all values, those out of video range among them."""
    step = BYTES.get(encoding, 1) * width + padding
    lines = height * 3 // 2 if encoding.startswith("nv") else height
    data = np.random.default_rng(len(encoding)).integers(0, 256, step * lines, np.uint8).tobytes()
    fields = {"encoding": encoding, "width": width, "height": height, "step": step, "is_bigendian": int(big_endian)}
    return SimpleNamespace(**fields, data=data)


@on_each_device
@pytest.mark.parametrize("size", [(64, 48), (1242, 374)], ids=str)
@pytest.mark.parametrize("encoding", ENCODINGS)
def test_the_same_colours_to_the_last_bit(device, encoding, size) -> None:
    for padding in (0, 16):
        taken, uploads = message(encoding, *size, padding), Uploads(device)
        found = read_image(taken, uploads)
        assert found.device.type == device.type
        np.testing.assert_array_equal(found.cpu().numpy(), read_image(taken))
        assert [data.nbytes for data in uploads.seen] == [len(taken.data) - padding * (len(taken.data) // taken.step)]


@on_each_device
def test_either_order_of_bytes(device) -> None:
    for big_endian in (False, True):
        taken = message("mono16", 256, 256, 0, big_endian)
        np.testing.assert_array_equal(read_image(taken, Uploads(device)).cpu().numpy(), read_image(taken))


@on_each_device
@pytest.mark.parametrize("said", ["jpeg", "bgr8; jpeg compressed bgr8", "rgb8; png compressed rgb8"])
def test_compressed_images(device, said) -> None:
    picture = np.random.default_rng(0).integers(0, 256, (48, 64, 3), np.uint8)
    data = cv2.imencode(".png" if "png" in said else ".jpg", picture)[1].tobytes()
    taken, uploads = SimpleNamespace(format=said, data=data), Uploads(device)
    np.testing.assert_array_equal(read_image(taken, uploads).cpu().numpy(), read_image(taken))
    assert len(uploads.seen) == 1


@on_each_device
@pytest.mark.parametrize("encoding", ["bayer_grbg8", "mono8"])
def test_odd_sizes(device, encoding) -> None:
    taken = message(encoding, 61, 47, 3)
    np.testing.assert_array_equal(read_image(taken, Uploads(device)).cpu().numpy(), read_image(taken))


@on_each_device
def test_nodes_that_share_a_message_decompress_it_once(device, monkeypatch) -> None:
    decompressed: list[bytes] = []
    decode = cv2.imdecode
    monkeypatch.setattr(cv2, "imdecode", lambda *args: decompressed.append(b"") or decode(*args))
    results: dict = {}

    def once(taken, compute):
        if compute not in results:
            results[compute] = compute(taken)
        return results[compute]

    data = cv2.imencode(".png", np.random.default_rng(0).integers(0, 256, (48, 64, 3), np.uint8))[1].tobytes()
    taken = SimpleNamespace(format="rgb8; png compressed rgb8", data=data)
    first, second = (read_image(taken, Uploads(device), once) for _ in range(2))
    assert len(decompressed) == 1
    np.testing.assert_array_equal(first.cpu().numpy(), second.cpu().numpy())
    for _ in range(2):
        np.testing.assert_array_equal(read_image(taken, once=once), first.cpu().numpy())
    assert len(decompressed) == 2  # on the CPU the colours are shared, too
