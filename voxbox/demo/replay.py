"""What goes into a node and what it answers."""

from collections.abc import Mapping
from dataclasses import dataclass, field

from voxbox.demo.clicks import Asked
from voxbox_core.datasets.bag import Message, Topic
from voxbox_core.datasets.bag.types import DETECTIONS

DIAGNOSTICS, MARKERS = "diagnostic_msgs/msg/DiagnosticArray", "visualization_msgs/msg/MarkerArray"
ANSWERS = "/detections"
OUTPUTS = {ANSWERS: DETECTIONS, "/markers": MARKERS, "/latency": DIAGNOSTICS}


@dataclass(frozen=True)
class Feed:
    """What a node is given of a bag, and what is heard of it.

    system: the name of the node and of its launch file.  unit: what its frames are called.  frames: the topic whose
    every message the node answers.  images, infos: topics of further images, and of camera_info.  transforms: of tf.
    arguments: of the launch file, so that it finds the topics.  outputs: topic -> type.  answers: the one among them
    that has an answer to each frame.  found: what its messages hold.
    """

    system: str
    unit: str
    frames: Topic
    images: tuple[str, ...]
    infos: tuple[str, ...]
    transforms: tuple[str, ...]
    arguments: Mapping[str, str]
    outputs: Mapping[str, str] = field(default_factory=lambda: OUTPUTS)
    answers: str = ANSWERS
    found: str = "boxes"

    @property
    def inputs(self) -> tuple[str, ...]:
        """What the node itself listens to."""
        return (self.frames.name, *self.images, *self.infos)

    @property
    def names(self) -> tuple[str, ...]:
        """All topics to play."""
        return (*self.inputs, *self.transforms)


@dataclass
class Replay:
    """What went in and what came out.

    sent: wall time, s, of each frame by its stamp, ns.  answered: wall time of its answer.
    outputs: the node's messages, at the recording's time.  values: what the node last said in its diagnostics.
    asked: clicks and what became of them.
    """

    sent: dict[int, float] = field(default_factory=dict)
    answered: dict[int, float] = field(default_factory=dict)
    outputs: list[Message] = field(default_factory=list)
    values: dict[str, str] = field(default_factory=dict)
    asked: list[Asked] = field(default_factory=list)

    @property
    def detections(self) -> dict[int, Message]:
        """The detections of each answered frame by its stamp, ns."""
        return {m.stamp: m for m in self.outputs if m.topic == ANSWERS}

    def end_to_end(self) -> list[float]:
        """Seconds from publishing a frame to receiving its answer, of each answered frame."""
        return [self.answered[stamp] - sent for stamp, sent in self.sent.items() if stamp in self.answered]

    def told(self, stamp: int, unit: str, found: str = "boxes") -> str:
        """How long the answer to a frame took, in words."""
        sent, answered = self.sent.get(stamp), self.answered.get(stamp)
        if sent is None or answered is None:
            return "dropped"
        return f"{unit} to {found} {1e3 * (answered - sent):.0f} ms"
