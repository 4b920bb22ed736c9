"""A demo's outcome as numbers for machines, a page for people, and a few lines for the terminal."""

from collections.abc import Mapping
from pathlib import Path
from typing import Any

from voxbox.demo import artefacts as made
from voxbox.demo.artefacts import Artefacts
from voxbox.demo.outcome import END_TO_END, PERCENTILES, accuracy_json, machine, stages_of, summary
from voxbox.demo.replay import Replay
from voxbox.report.page import Page, Picture, Section, Table

_SHOWN_METRICS = {"2d": "2D", "bev": "bird's eye", "3d": "3D"}
_IN_WORDS = "image to boxes over DDS"  # END_TO_END, for people
# Of the node's diagnostics: frames that it did not answer, and problems by what they were about.
_COUNTED = ("frames superseded", "frames too_old", "frames refused", "count of: ")
_LISTED = 3  # unreadable frames told one by one
_ENOUGH = 41  # objects
_LEVELS = ("easy", "moderate", "hard")


def metrics_of(setting: Mapping[str, Any], replay: Replay, result: Artefacts) -> dict[str, Any]:
    """The content of metrics.json.  setting: what was asked for: bag, system, rate and such."""
    values = replay.values
    counts = {key: values[key] for key in values if key.startswith(_COUNTED)}
    answered = len(replay.sent.keys() & replay.answered.keys())
    return {
        **setting,
        "node": {key: values[key] for key in ("model", "backend", "precision") if key in values} | counts,
        "frames": {"in": len(replay.sent), "out": answered, "dropped": len(replay.sent) - answered},
        "boxes": result.boxes,
        "unreadable": list(result.unreadable),
        "latency_ms": {stage: summary(times) for stage, times in stages_of(replay).items()},
        "accuracy": accuracy_json(result.accuracy),
        "machine": machine(),
    }


def text_of(metrics: Mapping[str, Any], out: Path) -> str:
    """What is said at the end on the terminal."""
    frames, latency = metrics["frames"], metrics["latency_ms"].get(END_TO_END)
    pace = "up to " if metrics.get("lockstep") else ""
    lines = [
        f"{frames['in']} images in at {pace}{metrics['rate_hz']:.3g} Hz, {frames['out']} answered, "
        f"{frames['dropped']} dropped; {metrics['boxes']} boxes"
    ]
    if frames["dropped"]:
        lines.append(f"of the dropped the node says: {_reasons(metrics['node'])}")
        if not metrics.get("lockstep"):
            lines.append("if this machine is too slow or busy for the rate: --lockstep waits for each answer")
    lines += [f"not in the film: {text}" for text in metrics["unreadable"][:_LISTED]]
    if latency:
        lines.append(f"{_IN_WORDS}: " + ", ".join(f"p{p} {latency[f'p{p}']:.1f} ms" for p in PERCENTILES))
    lines.append(_accuracy_line(metrics["accuracy"]))
    lines += [f"  {path}" for path in sorted(out.iterdir()) if path.is_file() and not path.name.startswith(".")]
    return "\n".join(lines)


def _reasons(node: Mapping[str, str]) -> str:
    """What the node counted of frames without an answer, and of problems."""
    counted = [f"{k.removeprefix('count of: ')} {v}" for k, v in node.items() if k.startswith(_COUNTED) and v != "0"]
    return ", ".join(counted) or "nothing, so they did not reach it"


def _accuracy_line(accuracy: Mapping[str, Any] | None) -> str:
    if accuracy is None:
        return "no ground truth in this bag: accuracy not measured"
    key = "Car/3d/0.5/moderate"
    score = accuracy["scores"].get(key)
    return f"accuracy by {accuracy['rules']}: {key} {'without objects' if score is None else f'{score:.1f}'}"


def page_of(metrics: Mapping[str, Any], folder: Path, result: Artefacts) -> Page:
    """The content of report.html."""
    frames, latency = metrics["frames"], metrics["latency_ms"].get(END_TO_END) or {}
    facts = {
        "images in": str(frames["in"]),
        "answered": str(frames["out"]),
        "dropped": str(frames["dropped"]),
        "boxes found": str(metrics["boxes"]),
        "image to boxes, p50": f"{latency['p50']:.0f} ms" if latency else "–",
        "image to boxes, p99": f"{latency['p99']:.0f} ms" if latency else "–",
    }
    node = metrics["node"]
    subtitle = (
        f"{Path(metrics['bag']).name}, topic {metrics['image_topic']}, played at {metrics['rate_hz']:.3g} Hz into the "
        f"node {metrics['system']}: model {Path(node.get('model', '?')).name}, "
        f"backend {node.get('backend', '?')} ({node.get('precision', '?')})"
    )
    sections = [
        Section("The drive", pictures=[Picture(result.film, "Camera with projected boxes, and the view from above.")]),
        Section(
            f"Frame {int(result.still) + 1}",
            pictures=[
                Picture(folder / made.CAMERA, "The image with the node's boxes; the front face is tinted."),
                Picture(
                    folder / made.BIRDS_EYE,
                    "From above: boxes in colour with their heading, truth in white, LiDAR as dots where there is one.",
                ),
            ],
        ),
        _latency_section(metrics["latency_ms"]),
        _accuracy_section(metrics["accuracy"]),
        _machine_section(metrics["machine"]),
    ]
    return Page(f"voxbox demo: {metrics['system']}", subtitle, facts, sections)


def _latency_section(latency: Mapping[str, Mapping[str, float] | None]) -> Section:
    header = ["stage, ms", *(f"p{p}" for p in PERCENTILES), "mean", "max", "frames"]
    rows = [
        [
            _IN_WORDS if stage == END_TO_END else stage,
            *(values[f"p{p}"] for p in PERCENTILES),
            values["mean"],
            values["max"],
            values["count"],
        ]
        for stage, values in latency.items()
        if values
    ]
    note = (
        "“total” is what the node itself measures from the arrival of an image to its boxes being published; "
        f"“{_IN_WORDS}” is measured from outside, transport both ways included."
    )
    return Section("Latency", tables=[Table(header, rows, note)])


def _accuracy_section(accuracy: Mapping[str, Any] | None) -> Section:
    if accuracy is None:
        return Section("Accuracy", ["The bag holds no ground truth, so accuracy was not measured."])
    scores = accuracy["scores"]
    stems = sorted({key.rsplit("/", 1)[0] for key in scores if key.split("/")[1] in _SHOWN_METRICS})
    rows = []
    for stem in stems:
        name, metric, overlap = stem.split("/")
        values = [scores.get(f"{stem}/{level}") for level in _LEVELS]
        rows.append([f"{name}, {_SHOWN_METRICS[metric]}, IoU > {overlap}", *values])
    objects = ", ".join(f"{count} {name.replace('/', ' ')}" for name, count in accuracy["objects"].items() if count)
    note = (
        f"Average precision in percent by the rules {accuracy['rules']}, over {accuracy['frames']} answered frames "
        f"with truth ({objects or 'no objects'}). Only boxes that the node publishes count, so its score threshold "
        "caps recall; voxbox evaluate measures the whole curve."
    )
    if any(0 < count < _ENOUGH for count in accuracy["objects"].values()):
        note += f" Fewer than {_ENOUGH} objects cannot reach 100, since the rules average over 40 recalls."
    return Section("Accuracy", tables=[Table(["average precision", *_LEVELS], rows, note)])


def _machine_section(facts: Mapping[str, Any]) -> Section:
    rows = [
        [name.replace("_", " "), value if isinstance(value, str) else f"{value:g}"] for name, value in facts.items()
    ]
    return Section("Machine", tables=[Table(["", ""], rows)])
