"""What went into a node and what it answered."""

from dataclasses import dataclass, field

from voxbox_core.datasets.bag import Message
from voxbox_core.datasets.bag.types import DETECTIONS

DIAGNOSTICS, MARKERS = "diagnostic_msgs/msg/DiagnosticArray", "visualization_msgs/msg/MarkerArray"
OUTPUTS = {"/detections": DETECTIONS, "/markers": MARKERS, "/latency": DIAGNOSTICS}


@dataclass
class Replay:
    """What went in and what came out.

    sent: wall time, s, of each image by its stamp, ns.  answered: wall time of its detections.
    outputs: the node's messages, at the recording's time.  values: what the node last said in its diagnostics.
    """

    sent: dict[int, float] = field(default_factory=dict)
    answered: dict[int, float] = field(default_factory=dict)
    outputs: list[Message] = field(default_factory=list)
    values: dict[str, str] = field(default_factory=dict)

    @property
    def detections(self) -> dict[int, Message]:
        """The detections of each answered frame by its stamp, ns."""
        return {m.stamp: m for m in self.outputs if m.msgtype == DETECTIONS}

    def end_to_end(self) -> list[float]:
        """Seconds from publishing an image to receiving its detections, of each answered frame."""
        return [self.answered[stamp] - sent for stamp, sent in self.sent.items() if stamp in self.answered]
