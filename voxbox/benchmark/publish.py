"""What a benchmark leaves in a folder: numbers for machines, a page for eyes, a table for a README."""

from collections.abc import Mapping, Sequence
from itertools import cycle
from pathlib import Path
from typing import Any

import numpy as np
from matplotlib.figure import Figure

from voxbox.benchmark import peers, scaling
from voxbox.benchmark.peers import CPU, OURS, WALL, WHOLE
from voxbox.report.page import Page, Picture, Section, Table, write_page
from voxbox_core.files import write_json

RESULT, REPORT, MARKDOWN = "benchmark.json", "report.html", "table.md"

_OWN, _OTHERS = {OURS: "#0a7ea4", WHOLE: "#7fb8cd"}, ("#8d99a6", "#e9a03b", "#c8553d", "#2a9d8f")
_PANELS = {WALL: "on the clock, ms", CPU: "CPU of all threads, ms"}
_EXPLAINED = (
    "Each case takes a frame in memory to its answer in memory. All take turns on it, and ratios are taken round by "
    "round: median, and the low and high tenth. Ours is the detector as its node calls it. Peers are the same trained "
    "network alone, by an engine's default settings, with OpenCV and numpy around it. CPU time counts idle threads "
    "that spin. Memory is what a process of its own takes at most beyond its start."
)


def write(folder: Path, result: Mapping[str, Any]) -> None:
    """The files RESULT, REPORT and MARKDOWN.

    result: `machine`, and under `systems` by name what was measured: `model`, and of the parts `peers` and `scaling`.
    """
    write_json(folder / RESULT, result)
    (folder / MARKDOWN).write_text(markdown(result), encoding="utf-8")
    pictures = folder / "pictures"
    pictures.mkdir()
    sections = [s for name, found in result["systems"].items() for s in _sections(name, found, pictures)]
    facts = {name.replace("_", " "): str(value) for name, value in result["machine"].items()}
    write_page(folder / REPORT, Page("voxbox benchmark", _EXPLAINED, facts, sections))


def _sections(system: str, found: Mapping[str, Any], pictures: Path) -> list[Section]:
    sections = []
    if "peers" in found:
        contest = found["peers"]
        file = pictures / f"{system}-peers.png"
        peers_figure(file, contest)
        skipped = [f"{name} is missing: {why}" for name, why in contest["skipped"].items()]
        note = f"Answers are compared on {contest['frames']} frames."
        table = Table(peers.HEADER, peers.rows(contest), note)
        sections.append(Section(f"{system}: {found['model']}", skipped, [Picture(file, _caption(system))], [table]))
    for axis, swept in found.get("scaling", {}).items():
        file = pictures / f"{system}-{axis}.png"
        sweep_figure(file, swept)
        header, *rows = scaling.rows(swept)
        skipped = [f"{name} is missing: {why}" for name, why in swept["skipped"].items()]
        caption = f"Medians by {axis}; bars reach to the 90th percentile."
        sections.append(Section(f"{system} by {axis}", skipped, [Picture(file, caption)], [Table(header, rows)]))
    return sections


def _caption(system: str) -> str:
    return f"A frame through {system}: medians, and bars to the 90th percentile."


def peers_figure(path: Path, contest: Mapping[str, Any]) -> None:
    """A picture file: a bar per case, wall time at the left, CPU time at the right."""
    cases = contest["cases"]
    names = [f"{name}\n{case['engine']}" for name, case in cases.items()]
    figure = Figure(figsize=(11, 0.7 + 0.55 * len(names)), layout="constrained")
    for axes, (what, title) in zip(figure.subplots(1, 2, sharey=True), _PANELS.items()):
        middle, high = (np.array([case[what][p] for case in cases.values()]) for p in ("p50", "p90"))
        bars = axes.barh(names, middle, color=_colours(list(cases)), xerr=[np.zeros(len(names)), high - middle])
        axes.bar_label(bars, [f"{value:.1f}" for value in middle], padding=4, fontsize=8)
        axes.set_title(title, fontsize=10)
        axes.spines[["top", "right"]].set_visible(False)
        axes.margins(x=0.12)
        axes.tick_params(labelsize=8)
    axes.invert_yaxis()
    figure.savefig(path, dpi=110)


def sweep_figure(path: Path, swept: Mapping[str, Any]) -> None:
    """A picture file: a line per case, wall time at the left, CPU time at the right."""
    cases = swept["cases"]
    labels = list(next(iter(cases.values())))
    figure = Figure(figsize=(11, 3.6), layout="constrained")
    for axes, (what, title) in zip(figure.subplots(1, 2), _PANELS.items()):
        for (name, points), colour in zip(cases.items(), _colours(list(cases))):
            places = [labels.index(label) for label in points]
            middle, high = (np.array([point[what][p] for point in points.values()]) for p in ("p50", "p90"))
            error = [np.zeros(len(middle)), high - middle]
            axes.errorbar(places, middle, error, marker="o", ms=4, lw=1.6, capsize=2, color=colour, label=name)
        axes.set_xticks(range(len(labels)), labels)
        axes.set_ylim(bottom=0)
        axes.set_title(title, fontsize=10)
        axes.set_xlabel(swept["axis"], fontsize=9)
        axes.grid(alpha=0.25)
        axes.spines[["top", "right"]].set_visible(False)
        axes.tick_params(labelsize=8)
    axes.legend(fontsize=8)
    figure.savefig(path, dpi=110)


def _colours(names: Sequence[str]) -> list[str]:
    """Ours stands out."""
    others = cycle(_OTHERS)
    return [_OWN[name] if name in _OWN else next(others) for name in names]


def markdown(result: Mapping[str, Any]) -> str:
    """A table of every system that was held against peers, and what it was measured on."""
    machine = result["machine"]
    parts = [f"{machine['processor']}, {machine['cores']} cores, load {machine['load_1_min']} before.\n"]
    for system, found in result["systems"].items():
        if "peers" in found:
            lines = [(f"{system}", *peers.HEADER[1:]), ("---",) * len(peers.HEADER), *peers.rows(found["peers"])]
            parts.append("\n".join(f"| {' | '.join(line)} |" for line in lines) + "\n")
    return "\n".join(parts)
