"""detections.mcap: the drive and the node's answers on one timeline, for Foxglove and RViz."""

import heapq
from collections.abc import Collection, Iterable, Iterator, Sequence
from contextlib import suppress
from pathlib import Path

from msgs.images import read_image
from voxbox_core.datasets.bag import Bag, Message, messages, new_bag
from voxbox_core.datasets.bag.types import COMPRESSED_IMAGE, IMAGE, typestore
from voxbox_core.errors import InputError


def write_recording(path: Path, bag: Bag, names: Collection[str], outputs: Sequence[Message]) -> int:
    """Write what the drive holds of the named topics until the last output, and the node's outputs; -> count.

    Raw images become JPEG on TOPIC/compressed: a tenth of the size.
    """
    latched = {t.name for t in bag.topics if t.latched}
    until = max((m.time for m in outputs), default=None)
    drive = (m for m in bag.messages(names) if until is None or m.time <= until)
    count = 0
    with new_bag(path) as recording:
        for message in heapq.merge(_lighter(bag, drive), sorted(outputs, key=lambda m: m.time), key=lambda m: m.time):
            recording.write(message.topic, message.msgtype, message.time, message.raw, message.topic in latched)
            count += 1
    return count


def _lighter(bag: Bag, drive: Iterable[Message]) -> Iterator[Message]:
    """The messages, raw images compressed where they can be read."""
    for message in drive:
        if message.msgtype == IMAGE:
            with suppress(InputError):
                message = _compressed(bag, message)
        yield message


def _compressed(bag: Bag, message: Message) -> Message:
    image = bag.decode(message)
    light = messages.compressed_image(message.stamp, image.header.frame_id, read_image(image))
    raw = bytes(typestore().serialize_cdr(light, COMPRESSED_IMAGE))
    return Message(f"{message.topic}/compressed", COMPRESSED_IMAGE, message.time, raw)
