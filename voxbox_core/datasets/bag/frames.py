"""What belongs to one image of a bag: its camera_info, LiDAR sweep and truth, by stamp, in one pass over the file."""

from collections import deque
from collections.abc import Iterator
from dataclasses import dataclass

from voxbox_core.datasets.bag.reader import Bag, Message
from voxbox_core.datasets.bag.topics import DriveTopics

TOLERANCE = 50_000_000  # ns between stamps that still belong together: half a turn of a 10 Hz LiDAR
WAIT = 200_000_000  # ns of recording that an image waits for companions which were recorded after it


@dataclass(frozen=True)
class Frame:
    """One image and its companions, serialized; None where there is none."""

    index: int
    image: Message
    camera_info: Message | None
    points: Message | None
    truth: Message | None
    labels: Message | None


def frames(bag: Bag, topics: DriveTopics, limit: int | None = None) -> Iterator[Frame]:
    """Frames in order of recording, at most `limit`; only a fraction of a second of the bag is in memory.

    A camera_info serves until the next one, and the first one also the images before it; everything else must be
    within TOLERANCE of the image's stamp.
    """
    companions = _Companions(bag, topics)
    waiting: deque[Message] = deque()
    count = 0
    for message in bag.messages(topics.names):
        if message.topic == topics.image.name:
            waiting.append(message)
        else:
            companions.add(message)
        while waiting and message.time > waiting[0].time + WAIT and count != limit:
            yield companions.frame(count, waiting.popleft())
            count += 1
        if count == limit:
            return
    while waiting and count != limit:
        yield companions.frame(count, waiting.popleft())
        count += 1


class _Companions:
    """The last messages of each topic but the image's."""

    def __init__(self, bag: Bag, topics: DriveTopics) -> None:
        self._topics = topics
        self._recent = Recent()
        self._info: Message | None = None
        if topics.camera_info is not None:
            self._info = next(bag.messages([topics.camera_info]), None)

    def add(self, message: Message) -> None:
        self._recent.add(message)

    def frame(self, index: int, image: Message) -> Frame:
        topics, nearest = self._topics, self._recent.nearest
        self._info = nearest(topics.camera_info, image) or self._info
        return Frame(
            index,
            image,
            self._info,
            nearest(topics.points, image),
            nearest(topics.truth, image),
            nearest(topics.labels, image, stamped=False),
        )


class Recent:
    """The messages of each topic of the last fraction of a second."""

    def __init__(self) -> None:
        self._recent: dict[str, deque[Message]] = {}

    def add(self, message: Message) -> None:
        recent = self._recent.setdefault(message.topic, deque())
        recent.append(message)
        while message.time - recent[0].time > 3 * WAIT:
            recent.popleft()

    def nearest(self, topic: str | None, to: Message, stamped: bool = True) -> Message | None:
        """The topic's message nearest to another in stamp, or in time of recording where the type has no header; None
        when none is within TOLERANCE."""
        recent = self._recent.get(topic or "", ())

        def distance(message: Message) -> int:
            return abs(message.stamp - to.stamp) if stamped else abs(message.time - to.time)

        best = min(recent, key=distance, default=None)
        return best if best is not None and distance(best) <= TOLERANCE else None
