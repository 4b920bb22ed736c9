"""Diagnostic and latency messages."""

from collections.abc import Mapping, Sequence
from typing import Any

from diagnostic_msgs.msg import DiagnosticArray, DiagnosticStatus, KeyValue

from voxbox_core.ros.problems import Problem

_LEVELS = (DiagnosticStatus.OK, DiagnosticStatus.WARN, DiagnosticStatus.ERROR)


def diagnostics(
    name: str,
    stamp: Any,
    doing: str,
    waiting: Sequence[str],
    problems: Sequence[Problem],
    values: Mapping[str, object],
) -> DiagnosticArray:
    """One status: its message is the worst problem, or what is waited for, or what the node is doing."""
    texts = [problem.text for problem in problems]
    level = max([problem.severity for problem in problems] + [1] * bool(waiting), default=0)
    message = "; ".join([*waiting, *texts] if level < 2 else [*texts, *waiting]) or doing
    status = DiagnosticStatus(level=_LEVELS[level], name=name, hardware_id=name, message=message)
    status.values = _pairs({"doing": doing, **values})
    return _array(stamp, status)


def latency(name: str, stamp: Any, stages: Mapping[str, float]) -> DiagnosticArray:
    """Milliseconds by stage of the frame with this stamp: a message that recorders and plotters understand."""
    status = DiagnosticStatus(level=DiagnosticStatus.OK, name=name, hardware_id=name, message="ms")
    status.values = _pairs({stage: f"{1e3 * seconds:.3f}" for stage, seconds in stages.items()})
    return _array(stamp, status)


def _pairs(values: Mapping[str, object]) -> list[KeyValue]:
    return [KeyValue(key=key, value=str(value)) for key, value in values.items()]


def _array(stamp: Any, status: DiagnosticStatus) -> DiagnosticArray:
    message = DiagnosticArray(status=[status])
    message.header.stamp = stamp
    return message
