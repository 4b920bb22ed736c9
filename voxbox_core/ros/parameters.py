"""A frozen dataclass as a node's parameters: one place for each default, its meaning and its limits.

    @dataclass(frozen=True)
    class Parameters(NodeParameters):
        score_threshold: float = parameter(0.3, "least score of a published box", low=0.0, high=1.0, live=True)

ROS descriptors, validation at start and at run time, and the table of the documentation all come from it.
"""

import difflib
import math
from collections.abc import Mapping
from dataclasses import Field, dataclass, field, fields, replace
from typing import Any, TypeVar

from rcl_interfaces.msg import FloatingPointRange, IntegerRange, ParameterDescriptor, SetParametersResult
from rclpy.node import Node
from rclpy.parameter import Parameter

from voxbox_core.errors import InputError
from voxbox_core.runtime import BACKENDS, PRECISIONS

# Parameters that rclpy itself declares or reads.
_OF_RCLPY = ("use_sim_time", "start_type_description_service", "qos_overrides.")


@dataclass(frozen=True)
class Spec:
    """What a parameter means, which values it takes, and whether it changes while the node is configured (`live`)."""

    description: str
    low: float | None
    high: float | None
    choices: tuple[str, ...]
    live: bool

    def limits(self) -> str:
        """The allowed values in words; empty where anything of the type goes."""
        if self.choices:
            return ", ".join(self.choices)
        return "" if self.low is None else f"{self.low:g} to {self.high:g}"

    def allows(self, value: object) -> bool:
        """Whether a value of the right type is within the limits."""
        if self.choices:
            return value in self.choices
        if self.low is None or self.high is None:
            return True
        return math.isfinite(value) and self.low <= value <= self.high  # type: ignore[arg-type,operator]


def parameter(
    default: Any,
    description: str,
    *,
    low: float | None = None,
    high: float | None = None,
    choices: tuple[str, ...] = (),
    live: bool = False,
) -> Any:
    """A field of a parameter dataclass, of type bool, int, float or str."""
    return field(default=default, metadata={"spec": Spec(description, low, high, choices, live)})


@dataclass(frozen=True)
class NodeParameters:
    """The parameters of every perception node. Raises InputError for values outside of their limits."""

    autostart: bool = parameter(True, "configure and activate by itself; false leaves that to a lifecycle manager")
    build_only: bool = parameter(False, "build the engines that the model needs on this machine, and end")
    backend: str = parameter("auto", "inference engine; auto takes the fastest here", choices=("auto", *BACKENDS))
    precision: str = parameter(
        "auto",
        "which of a release's ONNX files to run; auto takes the engine's quickest",
        choices=("auto", *PRECISIONS),
    )
    threads: int = parameter(0, "CPU threads of the engine; 0 leaves it the choice", low=0, high=256)
    reliability: str = parameter(
        "auto",
        "QoS of the subscriptions; auto asks for reliable delivery where every publisher offers it",
        choices=("auto", "best_effort", "reliable"),
    )
    # Only the newest message is worked on; those that wait are counted as superseded. With a queue of one, what a busy
    # machine cannot take at once would vanish uncounted in the middleware.
    queue_depth: int = parameter(5, "messages that may wait in each subscription", low=1, high=100)
    max_age: float = parameter(
        1.0, "frames older than this on arrival are dropped, s; 0 keeps all", low=0.0, high=60.0, live=True
    )
    target_frame: str = parameter(
        "", "tf frame of everything published in 3D; empty for the frame of the sensor", live=True
    )
    transform_timeout: float = parameter(
        0.1,
        "how long to wait for the transform to target_frame at the stamp of a frame, s",
        low=0.0,
        high=5.0,
        live=True,
    )

    def __post_init__(self) -> None:
        for f in fields(self):
            value, spec = getattr(self, f.name), spec_of(f)
            if type(value) is not type(f.default) or not spec.allows(value):
                raise InputError(
                    f"parameter {f.name}",
                    repr(value),
                    " of ".join(filter(None, (type(f.default).__name__, spec.limits()))),
                    f"Correct it: {spec.description}.",
                )


P = TypeVar("P", bound=NodeParameters)


def spec_of(f: "Field[Any]") -> Spec:
    """The Spec of a dataclass field made with `parameter`."""
    return f.metadata["spec"]


def declare(node: Node, kind: type[P]) -> P:
    """Declare every field on the node and return the values in force.

    The node must have been made with automatically_declare_parameters_from_overrides, so that what was given to it can
    be seen here. Raises InputError for unknown names, wrong types and values outside of their limits.
    """
    given: dict[str, Any] = {name: node.get_parameter(name).value for name in node.get_parameters_by_prefix("")}
    known = {f.name: f for f in fields(kind)}
    for name in given:
        if name not in known and not name.startswith(_OF_RCLPY):
            near = difflib.get_close_matches(name, known, n=1)
            remedy = f"Did you mean {near[0]}?" if near else "Remove it."
            raise InputError(f"parameter {name}", "unknown", f"one of {', '.join(sorted(known))}", remedy)
    own: dict[str, Any] = {name: _as_declared(given[name], f) for name, f in known.items() if name in given}
    values = kind(**own)
    for name, f in known.items():
        if name in given:
            node.undeclare_parameter(name)  # it was declared by rclpy, without description and limits
        node.declare_parameter(name, getattr(values, name), _descriptor(f), ignore_override=True)
    return values


def _as_declared(value: object, f: "Field[Any]") -> object:
    """`score_threshold:=1` on a command line is an integer; where a float is wanted it means 1.0."""
    return float(value) if type(f.default) is float and type(value) is int else value


def _descriptor(f: "Field[Any]") -> ParameterDescriptor:
    spec = spec_of(f)
    descriptor = ParameterDescriptor(description=spec.description, additional_constraints=spec.limits())
    if spec.low is not None and spec.high is not None:
        if isinstance(f.default, float):
            descriptor.floating_point_range = [
                FloatingPointRange(from_value=float(spec.low), to_value=float(spec.high))
            ]
        else:
            descriptor.integer_range = [IntegerRange(from_value=int(spec.low), to_value=int(spec.high), step=1)]
    return descriptor


def changed(values: P, changes: Mapping[str, Any], configured: bool) -> P:
    """The values after a change at run time.

    Raises InputError for what is outside of its limits and, while the node is configured, for what is not `live`.
    """
    known = {f.name: spec_of(f) for f in fields(values)}
    own = {name: value for name, value in changes.items() if name in known}
    fixed = sorted(name for name in own if configured and not known[name].live)
    if fixed:
        raise InputError(
            f"parameter {fixed[0]}",
            "fixed while the node is configured",
            "a change in the state unconfigured",
            "Deactivate and clean up the node first (ros2 lifecycle set).",
        )
    return replace(values, **own)


def verdict(values: P, wanted: list[Parameter], configured: bool) -> SetParametersResult:
    """The answer to a request to set parameters."""
    try:
        changed(values, {p.name: p.value for p in wanted}, configured)
    except InputError as error:
        return SetParametersResult(successful=False, reason=str(error))
    return SetParametersResult(successful=True)


def table(kind: type[NodeParameters]) -> str:
    """The parameters as a Markdown table, for the documentation."""
    lines = ["| parameter | default | values | live | meaning |", "|---|---|---|---|---|"]
    for f in fields(kind):
        spec = spec_of(f)
        default = str(f.default).lower() if isinstance(f.default, bool) else f.default
        values = spec.limits() or type(f.default).__name__
        live = "yes" if spec.live else ""
        lines.append(
            f"| `{f.name}` | `{default!s}` | {values} | {live} | {spec.description} |".replace("``", "(empty)")
        )
    return "\n".join(lines) + "\n"
