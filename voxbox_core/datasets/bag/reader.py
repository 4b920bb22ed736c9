"""Open a ROS 2 bag, mcap or sqlite3, folder or file, and read its serialized messages."""

import struct
from collections.abc import Collection, Iterator
from dataclasses import dataclass, replace
from pathlib import Path
from types import TracebackType
from typing import Any

from rosbags.highlevel import AnyReader, AnyReaderError
from rosbags.interfaces import ConnectionExtRosbag2, QosDurability

from voxbox_core.datasets.bag.types import typestore
from voxbox_core.errors import InputError

_EXPECTED = "a ROS 2 bag: a folder with metadata.yaml, or a file .mcap or .db3"
_AFTER_ENCAPSULATION = 4  # bytes: where a serialized message's first field begins


@dataclass(frozen=True)
class Topic:
    """name, msgtype such as "sensor_msgs/msg/Image", count of messages; latched: offered as transient local."""

    name: str
    msgtype: str
    count: int
    latched: bool


@dataclass(frozen=True)
class Message:
    """A serialized message.  time: ns, when it was recorded.  raw: CDR bytes."""

    topic: str
    msgtype: str
    time: int
    raw: bytes

    @property
    def stamp(self) -> int:
        """ns, the header's stamp; the time of recording when that is zero. Only for types that begin with a Header."""
        order = "<" if self.raw[1] & 1 else ">"
        seconds, nanoseconds = struct.unpack_from(f"{order}iI", self.raw, _AFTER_ENCAPSULATION)
        return seconds * 10**9 + nanoseconds or self.time

    @property
    def stamped(self) -> "Message":
        """The message with its `stamp` in the header: another one only where that was zero."""
        order = "<" if self.raw[1] & 1 else ">"
        stamp = struct.pack(f"{order}iI", *divmod(self.stamp, 10**9))
        begin, end = _AFTER_ENCAPSULATION, _AFTER_ENCAPSULATION + len(stamp)
        return replace(self, raw=self.raw[:begin] + stamp + self.raw[end:])


class Bag:
    """A bag open for reading: `with Bag(path) as bag: …`. Raises InputError for what is not a whole ROS 2 bag."""

    def __init__(self, path: Path | str) -> None:
        self.path = Path(path)
        if not self.path.exists():
            raise InputError(f"bag {self.path}", "absent", _EXPECTED, "Check the path.")
        if self.path.suffix == ".bag":
            raise InputError(
                f"bag {self.path}", "a ROS 1 bag", _EXPECTED, "Convert it: rosbags-convert --src IN.bag --dst OUT"
            )
        if self.path.is_file() and self.path.suffix not in (".mcap", ".db3"):
            raise InputError(f"bag {self.path}", f"a {self.path.suffix or 'nameless'} file", _EXPECTED, "Check it.")

    def __enter__(self) -> "Bag":
        try:
            self._reader = AnyReader([self.path], default_typestore=typestore())
            self._reader.open()
        except Exception as error:  # a damaged file makes rosbags raise whatever its parser stumbles over
            raise self._broken(error) from error
        if not self._reader.message_count:
            self._reader.close()
            raise InputError(f"bag {self.path}", "without messages", "a recording", "Record it again.")
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self._reader.close()

    def _broken(self, error: Exception) -> InputError:
        words = " ".join(str(error).split()) or type(error).__name__
        return InputError(
            f"bag {self.path}",
            f"unreadable ({words})",
            "a whole ROS 2 recording",
            "If it was cut short, repair it (mcap recover, ros2 bag reindex) or copy it again.",
        )

    @property
    def topics(self) -> tuple[Topic, ...]:
        """All topics with messages, by name."""
        counts: dict[tuple[str, str], tuple[int, bool]] = {}
        for c in self._reader.connections:
            assert isinstance(c.ext, ConnectionExtRosbag2)
            latched = any(q.durability is QosDurability.TRANSIENT_LOCAL for q in c.ext.offered_qos_profiles)
            count, before = counts.get((c.topic, c.msgtype), (0, False))
            counts[c.topic, c.msgtype] = (count + c.msgcount, before or latched)
        return tuple(Topic(*key, *counts[key]) for key in sorted(counts) if counts[key][0])

    @property
    def start(self) -> int:
        """ns, the first message's time."""
        return self._reader.start_time

    @property
    def duration(self) -> float:
        """Seconds from the first to the last message."""
        return max(self._reader.duration - 1, 0) / 1e9  # rosbags counts to the nanosecond after the last

    def messages(self, topics: Collection[str] | None = None) -> Iterator[Message]:
        """Messages in order of recording, of all topics or of the named ones. Raises InputError at damage."""
        connections = [c for c in self._reader.connections if topics is None or c.topic in topics]
        if not connections:
            return
        source = self._reader.messages(connections=connections)
        while True:
            try:
                connection, time, raw = next(source)
            except StopIteration:
                return
            except Exception as error:  # as in __enter__
                raise self._broken(error) from error
            yield Message(connection.topic, connection.msgtype, time, bytes(raw))

    def decode(self, message: Message) -> Any:
        """The message's fields, as rosbags' classes: the same names as in rclpy. Raises InputError when it is cut."""
        try:
            return self._reader.deserialize(message.raw, message.msgtype)
        except (AnyReaderError, KeyError, ValueError, IndexError) as error:
            raise InputError(
                f"message of {message.topic} in {self.path}",
                f"undecodable as {message.msgtype} ({error})",
                "its type's bytes",
                "Record it again.",
            ) from error
