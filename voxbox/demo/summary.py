"""A demo's outcome as numbers for machines, a page for people, and a few lines for the terminal."""

from collections.abc import Mapping
from pathlib import Path
from typing import Any

from voxbox.demo.artefacts import Artefacts
from voxbox.demo.outcome import END_TO_END, PERCENTILES, machine, stages_of, summary
from voxbox.demo.replay import Replay
from voxbox.report.page import Page, Section, Table

# Of the node's diagnostics: frames that it did not answer, and problems by what they were about.
_COUNTED = ("frames superseded", "frames too_old", "frames refused", "count of: ")
_TOTAL = {
    "image": "the arrival of an image to its {found} being published",
    "cloud": "the arrival of a cloud until its {found} are published and clicks on it can be answered",
}
_LISTED = 3  # unreadable frames told one by one


def metrics_of(setting: Mapping[str, Any], replay: Replay, result: Artefacts) -> dict[str, Any]:
    """The content of metrics.json.  setting: what was asked for: bag, system, rate and such; unit: of frames;
    found: what is found in them."""
    values = replay.values
    counts = {key: values[key] for key in values if key.startswith(_COUNTED)}
    answered = len(replay.sent.keys() & replay.answered.keys())
    return {
        **setting,
        "node": {key: values[key] for key in ("model", "backend", "precision") if key in values} | counts,
        "frames": {"in": len(replay.sent), "out": answered, "dropped": len(replay.sent) - answered},
        setting["found"]: result.found,
        "unreadable": list(result.unreadable),
        "latency_ms": {stage: summary(times) for stage, times in stages_of(replay).items()},
        "accuracy": result.verdict.scores,
        **result.more,
        "machine": machine(),
    }


def text_of(metrics: Mapping[str, Any], out: Path, result: Artefacts) -> str:
    """What is said at the end on the terminal."""
    frames, latency = metrics["frames"], metrics["latency_ms"].get(END_TO_END)
    pace = "up to " if metrics.get("lockstep") else ""
    units = metrics["unit"] + "s" * (frames["in"] != 1)
    lines = [
        f"{frames['in']} {units} in at {pace}{metrics['rate_hz']:.3g} Hz, {frames['out']} answered, "
        f"{frames['dropped']} dropped; {metrics[metrics['found']]} {metrics['found']}"
    ]
    if frames["dropped"]:
        lines.append(f"of the dropped the node says: {_reasons(metrics['node'])}")
        if not metrics.get("lockstep"):
            lines.append("if this machine is too slow or busy for the rate: --lockstep waits for each answer")
    lines += [f"not in the film: {text}" for text in metrics["unreadable"][:_LISTED]]
    if latency:
        lines.append(f"{_in_words(metrics)}: " + ", ".join(f"p{p} {latency[f'p{p}']:.1f} ms" for p in PERCENTILES))
    lines += [*result.lines, result.verdict.line]
    lines += [f"  {path}" for path in sorted(out.iterdir()) if path.is_file() and not path.name.startswith(".")]
    return "\n".join(lines)


def _in_words(metrics: Mapping[str, Any]) -> str:
    """END_TO_END, for people."""
    return f"{metrics['unit']} to {metrics['found']} over DDS"


def _reasons(node: Mapping[str, str]) -> str:
    """What the node counted of frames without an answer, and of problems."""
    counted = [f"{k.removeprefix('count of: ')} {v}" for k, v in node.items() if k.startswith(_COUNTED) and v != "0"]
    return ", ".join(counted) or "nothing, so they did not reach it"


def page_of(metrics: Mapping[str, Any], topic: str, result: Artefacts) -> Page:
    """The content of report.html.  topic: of the frames."""
    unit, found = metrics["unit"], metrics["found"]
    frames, latency = metrics["frames"], metrics["latency_ms"].get(END_TO_END) or {}
    facts = {
        f"{unit}s in": str(frames["in"]),
        "answered": str(frames["out"]),
        "dropped": str(frames["dropped"]),
        f"{found} found": str(metrics[found]),
        f"{unit} to {found}, p50": f"{latency['p50']:.0f} ms" if latency else "–",
        f"{unit} to {found}, p99": f"{latency['p99']:.0f} ms" if latency else "–",
    }
    node = metrics["node"]
    subtitle = (
        f"{Path(metrics['bag']).name}, topic {topic}, played at {metrics['rate_hz']:.3g} Hz into the "
        f"node {metrics['system']}: model {Path(node.get('model', '?')).name}, "
        f"backend {node.get('backend', '?')} ({node.get('precision', '?')})"
    )
    sections = [*result.shown, _latency_section(metrics), result.verdict.section, _machine_section(metrics["machine"])]
    return Page(f"voxbox demo: {metrics['system']}", subtitle, facts, sections)


def _latency_section(metrics: Mapping[str, Any]) -> Section:
    header = ["stage, ms", *(f"p{p}" for p in PERCENTILES), "mean", "max", "count"]
    whole = _in_words(metrics)
    rows = [
        [
            whole if stage == END_TO_END else stage,
            *(values[f"p{p}"] for p in PERCENTILES),
            values["mean"],
            values["max"],
            values["count"],
        ]
        for stage, values in metrics["latency_ms"].items()
        if values
    ]
    note = (
        f"“total” is what the node itself measures from {_TOTAL[metrics['unit']].format(**metrics)}; "
        f"“{whole}” is measured from outside, transport both ways included."
    )
    return Section("Latency", tables=[Table(header, rows, note)])


def _machine_section(facts: Mapping[str, Any]) -> Section:
    rows = [
        [name.replace("_", " "), value if isinstance(value, str) else f"{value:g}"] for name, value in facts.items()
    ]
    return Section("Machine", tables=[Table(["", ""], rows)])
