"""Play a bag into a running node over DDS, and keep what the node answers."""

import time
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from itertools import groupby
from typing import Any

from diagnostic_msgs.msg import DiagnosticArray
from rclpy.node import Node
from rclpy.qos import QoSProfile, ReliabilityPolicy

from voxbox.bag.pace import paced
from voxbox.bag.player import Player, message_class
from voxbox.demo.annotator import Annotator, Found
from voxbox.demo.clicks import Script
from voxbox.demo.replay import Feed, Replay
from voxbox.demo.spun import spun_node
from voxbox_core.boxes import Boxes3D
from voxbox_core.datasets.bag import Bag, Message
from voxbox_core.errors import InputError

START_LIMIT = 180.0  # s until the node must run: loading a model for the first time may take long
MATCH_LIMIT = 60.0  # s until publishers and subscribers must have found one another
_SETTLED = 1.0  # s that they must have stayed together: the node's inputs follow the publishers they see
_ANSWER_LIMIT = 5.0  # s without any answer after which the frames still open count as dropped
_DIAGNOSTICS_LIMIT = 3.0  # s, a few of their periods
_POLL = 0.05
_SHORT = 0.002

Say = Callable[[str], None]
Progress = Callable[[int, int], None]  # frames sent, frames answered


class Session:
    """One ROS node that plays the bag and listens to the node under demonstration."""

    def __init__(self, node: Node, bag: Bag, feed: Feed) -> None:
        self._node, self._bag, self._feed = node, bag, feed
        self._player = Player(node, [t for t in bag.topics if t.name in feed.names], clock=True)
        self._annotator: Annotator | None = None
        self._found: Found = lambda stamp: None
        self._now = bag.start
        self._status: Any = None
        self.replay = Replay()
        for topic, msgtype in feed.outputs.items():
            self._listen(topic, msgtype)
        node.create_subscription(DiagnosticArray, "/diagnostics", self._on_diagnostics, 10)

    def _listen(self, topic: str, msgtype: str) -> None:
        kind = message_class(msgtype)
        if kind is None:
            raise InputError(
                f"message package of {msgtype}", "absent", "vision_msgs and common_interfaces", "Install it."
            )
        qos = QoSProfile(depth=100, reliability=ReliabilityPolicy.RELIABLE)

        def keep(raw: bytes) -> None:
            message = self._keep(topic, msgtype, raw)
            if topic == self._feed.answers:
                self.replay.answered.setdefault(message.stamp, time.monotonic())

        self._node.create_subscription(kind, topic, keep, qos, raw=True)

    def _keep(self, topic: str, msgtype: str, raw: bytes) -> Message:
        message = Message(topic, msgtype, self._now, raw)
        self.replay.outputs.append(message)
        return message

    def annotated(self, script: Script, classes: Sequence[str], found: Callable[[Message], Boxes3D | None]) -> None:
        """Have somebody click by the script, while the replay waits.

        classes: that clicks may name.  found: the node's detections -> boxes as in the script, None where they are in
        another frame.
        """

        def of(stamp: int) -> Boxes3D | None:
            message = self.replay.detections.get(stamp)
            return None if message is None else found(message)

        self._annotator, self._found = Annotator(self._node, script, classes, self._keep), of

    def _on_diagnostics(self, message: DiagnosticArray) -> None:
        for status in message.status:
            if status.name.strip("/") == self._feed.system:
                self._status = status
                self.replay.values = {pair.key: pair.value for pair in status.values}

    def wait_until_running(self, check: Callable[[], None], say: Say) -> None:
        """Until the node is active. `check` raises when its process has ended; `say` tells what is waited for."""
        system, deadline, told = self._feed.system, time.monotonic() + START_LIMIT, ""
        while True:
            check()
            self._player.tick(self._bag.start)
            status = self._status
            doing = self.replay.values.get("doing", "starting")
            if doing == "running":
                return
            if status is not None and status.level == status.ERROR:
                raise InputError(f"node {system}", f"not running ({status.message})", "active", "Mend the above.")
            if time.monotonic() > deadline:
                raise InputError(f"node {system}", f"{doing} after {START_LIMIT:g} s", "active", "See its log.")
            if doing != told:
                say(f"node {system}: {doing}")
                told = doing
            time.sleep(_POLL)

    def wait_until_matched(self, check: Callable[[], None], say: Say) -> None:
        """Until the node's inputs and outputs have found ours, so that not even the first frame is lost."""
        deadline, since, told = time.monotonic() + MATCH_LIMIT, None, False
        while since is None or time.monotonic() - since < _SETTLED:
            check()
            missing = [name for name in self._feed.inputs if not self._player.subscribers(name)]
            answers = self._feed.answers
            missing += [] if self._node.count_publishers(answers) else [answers]
            missing += [] if self._annotator is None else self._annotator.missing()
            since = None if missing else since or time.monotonic()
            if missing and not told:
                say(f"waiting for the node's connection to {', '.join(missing)}")
                told = True
            if time.monotonic() > deadline:
                raise InputError(
                    f"connection to {', '.join(missing)}", "absent", "matched by DDS", "Check the remapping."
                )
            self._player.tick(self._bag.start)
            time.sleep(_POLL)

    def play(
        self, speed: float, limit: int | None, check: Callable[[], None], progress: Progress, lockstep: bool = False
    ) -> None:
        """Play the first `limit` frames at `speed` recorded seconds per second, and wait for the last answers.

        lockstep: hold each frame back until the one before is answered, so that a slow machine drops nothing.
        """
        self._announce()
        for _, stretch in groupby(self._messages(limit), key=self._stretches()):
            for message in paced(stretch, speed, self._tick):
                if message.topic == self._feed.frames.name:
                    message = message.stamped  # the answer has it: of frames stamped zero, whose would it be?
                    if lockstep:
                        self._await_answers(check)
                    self.replay.sent[message.stamp] = time.monotonic()
                self._player.publish(message)
                check()
                progress(len(self.replay.sent), len(self.replay.answered))
            self._annotate(check)
        self._await_answers(check)
        progress(len(self.replay.sent), len(self.replay.answered))
        if self._open():
            self._hear(check)  # it counts what it did with the frames it did not answer
        time.sleep(_POLL)  # the latency message follows the detections

    def _stretches(self) -> Callable[[Message], int]:
        """Numbers messages so that a frame which is clicked on begins one stretch, and the next frame another."""
        number, clicked = 0, False

        def stretch(message: Message) -> int:
            nonlocal number, clicked
            if self._annotator is not None and message.topic == self._feed.frames.name:
                before, clicked = clicked, self._annotator.clicks_on(message.stamp)
                number += before or clicked
            return number

        return stretch

    def _annotate(self, check: Callable[[], None]) -> None:
        """At the end of a stretch: clicks on its frame; else the node becomes free for the next one, which is."""
        last = next(reversed(self.replay.sent), None)
        if self._annotator is None or last is None:
            return
        if not self._annotator.clicks_on(last):
            self._await_answers(check, last)
            return
        for asked in self._annotator.annotate(last, self._found, lambda: self._hear(check), check):
            self.replay.asked.append(asked)

    def _await_answers(self, check: Callable[[], None], of: int | None = None) -> None:
        """Until no frame is open, or not the one `of` a stamp, or nothing has come for too long."""
        while waiting := self._open():
            given_up = time.monotonic() - self._last_event() > _ANSWER_LIMIT
            if given_up or (of is not None and of not in waiting):
                return
            check()
            time.sleep(_SHORT)

    def _hear(self, check: Callable[[], None]) -> dict[str, str]:
        """What the node says in its next diagnostics."""
        self._status, deadline = None, time.monotonic() + _DIAGNOSTICS_LIMIT
        while self._status is None and time.monotonic() < deadline:
            check()
            time.sleep(_POLL)
        return self.replay.values

    def _announce(self) -> None:
        """Calibration and static transforms ahead of the first frame: on a vehicle they have long been there."""
        static = [name for name in self._feed.transforms if name.endswith("tf_static")]
        for name in (*static, *self._feed.infos):
            first = next(self._bag.messages([name]), None)
            if first is not None:
                self._player.publish(first)
        time.sleep(4 * _POLL)

    def _messages(self, limit: int | None) -> Iterator[Message]:
        """What the node is given, up to the frame number `limit` and what was recorded at its time."""
        frames, end = 0, None
        for message in self._bag.messages(self._feed.names):
            if end is not None and message.time > end:
                return
            yield message
            frames += message.topic == self._feed.frames.name
            if frames == limit and end is None:
                end = message.time

    def _tick(self, nanoseconds: int) -> None:
        self._now = nanoseconds
        self._player.tick(nanoseconds)

    def _open(self) -> set[int]:
        return self.replay.sent.keys() - self.replay.answered.keys()

    def _last_event(self) -> float:
        return max([*self.replay.answered.values(), *self.replay.sent.values()])


@contextmanager
def session(bag: Bag, feed: Feed, domain: int) -> Iterator[Session]:
    """A Session whose callbacks run in a thread until the block ends."""
    with spun_node("voxbox_demo", domain) as node:
        yield Session(node, bag, feed)
