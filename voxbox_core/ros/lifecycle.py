"""The lifecycle node that every perception node is: a system adds what it loads, listens to and does with a frame."""

import threading
import time
import traceback
from collections.abc import Callable, Mapping, Sequence
from dataclasses import asdict
from typing import Any, Generic, TypeVar

import numpy as np
from diagnostic_msgs.msg import DiagnosticArray
from rcl_interfaces.msg import SetParametersResult
from rclpy.callback_groups import ReentrantCallbackGroup
from rclpy.clock import Clock
from rclpy.clock_type import ClockType
from rclpy.lifecycle import LifecycleNodeMixin, LifecyclePublisher, LifecycleState, TransitionCallbackReturn
from rclpy.node import Node
from rclpy.parameter import Parameter
from rclpy.qos import QoSProfile
from std_msgs.msg import Header

from voxbox_core.boxes import Boxes3D
from voxbox_core.errors import InputError
from voxbox_core.ros import stamps
from voxbox_core.ros.aside import Aside
from voxbox_core.ros.building import Building
from voxbox_core.ros.counts import Counts, Pace
from voxbox_core.ros.diagnostics import diagnostics, latency
from voxbox_core.ros.inputs import Input, Source, resolved
from voxbox_core.ros.latest import Latest
from voxbox_core.ros.parameters import NodeParameters, changed, declare, verdict
from voxbox_core.ros.problems import Problem, Problems, Severity
from voxbox_core.ros.subscriptions import Subscriptions
from voxbox_core.ros.transforms import Transforms, axes_seen

P = TypeVar("P", bound=NodeParameters)
T = TypeVar("T")

_DIAGNOSTICS_PERIOD = 1.0  # s
_WATCH_PERIOD = 0.2  # s


class PerceptionNode(LifecycleNodeMixin, Node, Generic[P]):
    """One worker thread handles the newest frame, and one makes the transitions, in turn; parameters, diagnostics and
    the state answer meanwhile.

    A system's node implements `load`, `unload`, `inputs` and `process`.
    """

    def __init__(
        self, name: str, kind: type[P], subscriptions: Subscriptions | None = None, **node_options: Any
    ) -> None:
        """subscriptions: shared with other nodes of the process; by default its own.

        Raises InputError for parameters that are unknown or out of their limits.
        """
        self._lifecycle = ReentrantCallbackGroup()  # the state answers during a transition
        self._changing = threading.RLock()  # state or parameters: these are adopted in the state that accepted them
        Node.__init__(self, name, automatically_declare_parameters_from_overrides=True, **node_options)
        LifecycleNodeMixin.__init__(self, callback_group=self._lifecycle)
        self._aside = Aside(self, "transitions", self._lifecycle)
        self._aside.answer(self._service_change_state)
        self._listening = subscriptions or Subscriptions(self)
        self.problems = Problems(self.get_logger())
        self.counts, self._pace = Counts(), Pace()
        self._doing = "unconfigured"
        self._finished = False
        self._failure: InputError | None = None
        self.building = Building(self.get_logger())
        self._outputs: list[LifecyclePublisher] = []
        self._inputs: list[Input] = []
        self._worker: Latest[tuple[Any, float]] | None = None
        self._transforms: Transforms | None = None
        self._declare(kind)
        self._steady = Clock(clock_type=ClockType.STEADY_TIME)  # simulated time may stand still
        self._diagnostics = self.create_publisher(DiagnosticArray, "/diagnostics", 10)
        self.create_timer(_DIAGNOSTICS_PERIOD, self._publish_diagnostics, clock=self._steady)
        self.create_timer(_WATCH_PERIOD, self._watch, clock=self._steady)
        if self.parameters.autostart or self.parameters.build_only:
            self._aside.soon(self._start)

    # -- what a system's node implements -----------------------------------------------------------------------------

    def load(self) -> None:
        """Configure: load the model and make the outputs. Raises InputError."""
        raise NotImplementedError

    def unload(self) -> None:
        """Clean up: let go of what `load` made, outputs aside."""
        raise NotImplementedError

    def inputs(self) -> list[Input]:
        """Activate: the topics to listen to; the one of the frames calls `take`."""
        raise NotImplementedError

    def rest(self) -> None:
        """Deactivate: stop what `inputs` started beside the inputs. Nothing may have been started."""

    def process(self, message: Any) -> Mapping[str, float]:
        """Handle one frame in the worker thread and publish; seconds by stage. Raises InputError to refuse it."""
        raise NotImplementedError

    def on_parameters(self) -> None:
        """Parameters have changed while the node is configured."""

    @property
    def needs_transforms(self) -> bool:
        """Whether to listen to tf."""
        return bool(self.parameters.target_frame)

    # -- what it may use ---------------------------------------------------------------------------------------------

    @property
    def name(self) -> str:
        """The node's full name."""
        return self.get_fully_qualified_name()

    def output(self, message: type, topic: str, qos: QoSProfile | int = 1) -> LifecyclePublisher:
        """A publisher that speaks while the node is active and goes when it is cleaned up."""
        publisher = self.create_lifecycle_publisher(message, topic, qos)
        self._outputs.append(publisher)
        return publisher

    def listen(
        self,
        name: str,
        sources: Sequence[tuple[str, type]],
        callback: Callable[[Any], None],
        once: bool = False,
        optional: bool = False,
    ) -> Input:
        """A subscription to the first of some (topic, message class) that somebody publishes.

        once: one message is enough, so that later silence is not complained about.  optional: no silence is.
        """
        known = [Source(resolved(self, topic), message) for topic, message in sources]
        p, where = self.parameters, self._listening
        return Input(self, name, known, callback, p.reliability, p.queue_depth, once, self.problems, optional, where)

    def once(self, message: Any, compute: Callable[[Any], T]) -> T:
        """What a function makes of a message, computed once for all nodes of the process that were given it."""
        return self._listening.once(message, compute)

    def take(self, message: Any) -> None:
        """A frame has arrived."""
        worker = self._worker
        if worker is None:
            return
        self.counts.received += 1
        self.counts.superseded += worker.put((message, time.perf_counter()))

    def in_target_frame(self, boxes: Boxes3D, header: Any) -> tuple[Boxes3D, Any]:
        """Boxes and header in the frame that the parameter asks for. Raises InputError when tf does not know it."""
        target = self.parameters.target_frame
        if not target or target == header.frame_id or self._transforms is None:
            return boxes, header
        rotation, translation = self.transform(target, header.frame_id, header.stamp, ", or leave target_frame empty")
        moved = boxes.transformed(rotation, translation, axes_seen(rotation, boxes.axes))
        return moved, Header(stamp=header.stamp, frame_id=target)

    def transform(
        self, target: str, source: str, stamp: Any, otherwise: str = "", timeout: float | None = None
    ) -> tuple[np.ndarray, np.ndarray]:
        """Rotation (3, 3) and translation (3,), m, from `source` to `target` at a stamp, as `Transforms.lookup`.

        timeout: s, by default the parameter's. Raises InputError when tf does not know it, or is not listened to.
        """
        if target == source:
            return np.eye(3), np.zeros(3)
        if self._transforms is None:
            raise InputError(f"transform from {source!r} to {target!r}", "not looked up", "an active node", "Activate.")
        patience = self.parameters.transform_timeout if timeout is None else timeout
        return self._transforms.lookup(target, source, stamp, patience, otherwise)

    # -- parameters --------------------------------------------------------------------------------------------------

    def _declare(self, kind: type[P]) -> None:
        self.parameters: P = declare(self, kind)
        self.add_on_set_parameters_callback(lambda wanted: verdict(self.parameters, wanted, self._configured))
        self.add_post_set_parameters_callback(self._adopt)

    def set_parameters(self, parameter_list: list[Parameter]) -> list[SetParametersResult]:
        """As rclpy's. The state stays what it is until they are adopted."""
        with self._changing:
            return super().set_parameters(parameter_list)

    def set_parameters_atomically(self, parameter_list: list[Parameter]) -> SetParametersResult:
        """As rclpy's, which its services call, and likewise."""
        with self._changing:
            return super().set_parameters_atomically(parameter_list)

    @property
    def _configured(self) -> bool:
        return self._doing != "unconfigured"

    def _adopt(self, accepted: list[Parameter]) -> None:
        self.parameters = changed(self.parameters, {p.name: p.value for p in accepted}, self._configured)
        if self._doing in ("inactive", "activating", "running"):  # what `load` makes is there, and whole
            self.on_parameters()
        if self._worker is not None:
            self._listen_to_tf()

    # -- lifecycle ---------------------------------------------------------------------------------------------------

    def finish(self) -> None:
        """Shut down, after the transition that may be under way; `finished` tells when."""
        self._aside.soon(self._finish)

    @property
    def finished(self) -> bool:
        """Whether the node is finalized, and nothing of it runs any more."""
        return self._finished

    def destroy_node(self) -> None:
        """Let go of the node, its thread for transitions included."""
        self._aside.close()
        super().destroy_node()
        # rclpy's state machine shares the node: with it the DDS participant would stay, and what the participant has in
        # shared memory (33 MiB with the shipped profile) would outlive the process.
        self._state_machine = None

    @property
    def failed_to_build(self) -> bool | None:
        """Of a node that was to build engines only, when it has ended: whether it could not. None for any other."""
        return self._failure is not None if self.parameters.build_only and self.finished else None

    def _finish(self) -> None:
        if self._doing != "finalized":
            self.trigger_shutdown()
        self._finished = True

    def _start(self) -> None:
        configured = self.trigger_configure() is TransitionCallbackReturn.SUCCESS
        if self.parameters.build_only:
            self._finish()
        elif configured:
            self.trigger_activate()

    def on_configure(self, state: LifecycleState) -> TransitionCallbackReturn:
        """Load the model. A failure is told once, and the node stays unconfigured."""
        return self._transition("loading", self._configure, "inactive", self._release)

    def on_activate(self, state: LifecycleState) -> TransitionCallbackReturn:
        """Listen and publish."""
        super().on_activate(state)
        return self._transition("activating", self._activate, "running", self._deactivate)

    def on_deactivate(self, state: LifecycleState) -> TransitionCallbackReturn:
        """Finish the frame at hand, then listen to nothing."""
        self._deactivate()
        return super().on_deactivate(state)

    def on_cleanup(self, state: LifecycleState) -> TransitionCallbackReturn:
        """Let go of the model."""
        self._release()
        return TransitionCallbackReturn.SUCCESS

    def on_shutdown(self, state: LifecycleState) -> TransitionCallbackReturn:
        """Let go of everything, from any state."""
        self._release()
        self._enter("finalized")
        return TransitionCallbackReturn.SUCCESS

    def on_error(self, state: LifecycleState) -> TransitionCallbackReturn:
        """Back to unconfigured."""
        self._release()
        return TransitionCallbackReturn.SUCCESS

    def _transition(
        self, doing: str, step: Callable[[], None], done: str, undo: Callable[[], None]
    ) -> TransitionCallbackReturn:
        """Run a step; when it fails, say why and undo it. rclpy by itself would swallow the reason."""
        self._failure = None
        self._enter(doing)
        try:
            step()
        except Exception as error:
            undo()
            self._failure = self._as_input_error(doing, error)
            self.get_logger().error(str(self._failure))
            return TransitionCallbackReturn.FAILURE
        self._enter(done)
        return TransitionCallbackReturn.SUCCESS

    def _enter(self, doing: str) -> None:
        with self._changing:
            self._doing = doing

    def _configure(self) -> None:
        self._latency = self.output(DiagnosticArray, "latency", 10)
        with self.building.heard():
            self.load()
        if self.parameters.build_only:
            self.building.sum_up(self.facts())

    def _activate(self) -> None:
        self.counts, self._pace = Counts(), Pace()
        with self._changing:
            self.on_parameters()  # they may have changed while the model was loading
            self._worker = Latest(self._handle, "frames")
            self._listen_to_tf()
        self._inputs = self.inputs()
        self.get_logger().info("running; listening to " + ", ".join(each.describe() for each in self._inputs))

    def _listen_to_tf(self) -> None:
        """While `_changing` is held."""
        if self.needs_transforms and self._transforms is None:
            self._transforms = Transforms(self)

    def _deactivate(self) -> None:
        self._silence()
        self._enter("inactive")

    def _silence(self) -> None:
        """Undo `_activate`."""
        inputs, self._inputs = self._inputs, []
        for each in inputs:
            each.destroy()
        self.rest()
        with self._changing:  # parameters that are set from now on find nobody who needs tf
            worker, self._worker = self._worker, None
        if worker is not None:
            worker.stop()
        transforms, self._transforms = self._transforms, None
        if transforms is not None:
            transforms.destroy()

    def _release(self) -> None:
        """Undo everything."""
        self._enter("cleaning up")
        self._silence()
        for publisher in self._outputs:
            self.destroy_lifecycle_publisher(publisher)
        self._outputs = []
        self.unload()
        self._enter("unconfigured")

    # -- frames ------------------------------------------------------------------------------------------------------

    def _handle(self, arrival: tuple[Any, float]) -> None:
        """Worker thread: nothing that a frame holds may end it."""
        message, arrived = arrival
        try:
            if self._outdated(message):
                return
            queued = time.perf_counter() - arrived
            stages = self.process(message)
        except InputError as error:
            self.counts.refused += 1
            self.problems.report(error)
        except Exception as error:
            self.counts.refused += 1
            self.problems.report(self._as_input_error("processing a frame", error), Severity.ERROR)
        else:
            self.counts.processed += 1
            self._measure(message, {"queue": queued, **stages, "total": time.perf_counter() - arrived})

    def _outdated(self, message: Any) -> bool:
        """Whether the frame comes too late; a stamp that cannot be judged is complained about, and kept."""
        stamp, now = stamps.of(message.header.stamp), self._now()
        if doubt := stamps.doubt(stamp, now):
            self.problems.report(doubt)
        late = stamps.too_old(stamp, now, self.parameters.max_age)
        if late is not None:
            self.counts.too_old += 1
            self.problems.report(late)
        return late is not None

    def _measure(self, message: Any, stages: dict[str, float]) -> None:
        self._pace.took(stages["total"])
        if self._latency.get_subscription_count():
            age = self._now() - stamps.of(message.header.stamp)
            self._latency.publish(latency(self.name, message.header.stamp, {**stages, "age": age}))

    def _now(self) -> float:
        return self.get_clock().now().nanoseconds * 1e-9

    def _as_input_error(self, doing: str, error: Exception) -> InputError:
        """Errors from outside pass; anything else is a fault of the program, whose place goes to the log."""
        if isinstance(error, InputError):
            return error
        self.get_logger().error("".join(traceback.format_exception(error)), throttle_duration_sec=5.0)
        return InputError(
            doing, f"failing ({type(error).__name__}: {error})", "success", "See the traceback in the log."
        )

    # -- reports -----------------------------------------------------------------------------------------------------

    def _watch(self) -> None:
        for each in self._inputs:
            each.watch()

    def _waiting(self) -> list[str]:
        waits = [each.silence() for each in self._inputs]
        if self.get_parameter("use_sim_time").value and self._now() == 0:
            publishers = self.count_publishers("/clock")
            waits.insert(
                0, f"waiting for time on /clock, because it has {publishers} publishers and use_sim_time is set"
            )
        return [wait for wait in waits if wait]

    def _publish_diagnostics(self) -> None:
        problems = self.problems.current()
        if self._failure is not None:
            problems.insert(0, Problem(str(self._failure), Severity.ERROR, 0.0))
        stamp = self.get_clock().now().to_msg()
        doing = self.building.doing or self._doing
        self._diagnostics.publish(diagnostics(self.name, stamp, doing, self._waiting(), problems, self._values()))

    def _values(self) -> dict[str, object]:
        values: dict[str, object] = {
            f"frames {key.replace('_', ' ')}": count for key, count in asdict(self.counts).items()
        }
        values |= self._pace.values(self.counts.processed)
        values.update({each.name: each.describe() for each in self._inputs})
        values.update(self.facts())
        values.update({f"count of: {key}": count for key, count in self.problems.counts().items()})
        return values

    def facts(self) -> Mapping[str, object]:
        """More to say in the diagnostics: the model, its backend and precision."""
        return {}
