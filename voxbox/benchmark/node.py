"""The node as a vehicle runs it: image message in, detections message out, in its own process, over DDS."""

import tempfile
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

from voxbox.bag.pace import recorded_rate
from voxbox.demo import km3d
from voxbox.demo.live import replay_into_node
from voxbox.demo.outcome import END_TO_END, stages_of, summary
from voxbox_core.datasets.bag import Bag, find_topics

ENGINE = "inference"


@dataclass(frozen=True)
class Case:
    """One way to run the node.  rate: images/s.  profile: whether the shipped DDS profile is used."""

    backend: str
    rate: float
    profile: bool = True


def measure(case: Case, bag_path: Path, model: str, frames: int) -> dict[str, Any]:
    """Play `frames` images into a fresh node.

    Returns the case, frames in and out, percentiles of every stage (ms), and `overhead`: what the node adds to the
    engine between having an image message and having published its boxes.
    """
    label = f"{case.backend} {case.rate:g} Hz{'' if case.profile else ', no profile'}"
    with Bag(bag_path) as bag, tempfile.TemporaryDirectory(prefix="voxbox-benchmark-") as folder:
        feed = km3d.feed(find_topics(bag))
        parameters = {"model": model, "backend": case.backend}
        speed = case.rate / recorded_rate(bag, feed.frames.name)
        log = Path(folder) / "node.log"
        replay = replay_into_node(feed, parameters, bag, log, speed, frames, profile=case.profile, label=label)
    stages = stages_of(replay)
    total = [sum(parts) for parts in zip(*(v for k, v in stages.items() if k in _INSIDE))]
    overhead = [t - e for t, e in zip(total, stages.get(ENGINE, []))]
    answered = len(replay.sent.keys() & replay.answered.keys())
    return {
        **asdict(case),
        "frames_in": len(replay.sent),
        "frames_out": answered,
        "backend": replay.values.get("backend", case.backend),
        "stages_ms": {name: summary(values) for name, values in stages.items()},
        "overhead_ms": summary(overhead),
    }


# The node's own stages; the others span several of them.
_INSIDE = ("decode", "preprocess", "inference", "postprocess", "publish")


def table(results: list[dict[str, Any]]) -> str:
    """A line per case: medians."""
    head = f"{'backend':12}{'Hz':>5}{'profile':>9}{'delivered':>12}{'inference':>11}{'overhead':>10}{'over DDS':>10}"
    lines = [head + "   p50, ms"]
    for r in results:
        inference, overhead, whole = (
            r["stages_ms"].get(ENGINE),
            r["overhead_ms"],
            r["stages_ms"].get(END_TO_END),
        )
        cells = "".join(
            f"{s['p50']:{w}.2f}" if s else " " * w for s, w in ((inference, 11), (overhead, 10), (whole, 10))
        )
        delivered = f"{r['frames_out']}/{r['frames_in']}"
        lines.append(f"{r['backend']:12}{r['rate']:5g}{'yes' if r['profile'] else 'no':>9}{delivered:>12}{cells}")
    return "\n".join(lines)
