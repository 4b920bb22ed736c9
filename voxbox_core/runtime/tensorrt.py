"""TensorRT: builds an engine from the ONNX file where none is kept, and opens it.

One file serves `tensorrt` 10.x and 11, and `tensorrt_rtx`, whose interface is nearly the same: `tensorrt` builds on the
GPU that it measures, `tensorrt_rtx` builds for GPUs by their compute capability and needs none to build. Networks are
strongly typed: arithmetic is what the ONNX file says, tensor by tensor. TF32 is off, so that fp32 means fp32.
"""

import importlib.metadata
import importlib.util
import json
import logging
import time
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from voxbox_core.errors import InputError
from voxbox_core.files import require_writable
from voxbox_core.runtime import driver, engine_cache, engine_lock, onnx_file, progress
from voxbox_core.runtime.engine_cache import EngineKey, Found
from voxbox_core.runtime.engine_run import EngineRun, on_device
from voxbox_core.runtime.model import LoadedModel, ModelFile
from voxbox_core.runtime.onnx_file import OnnxFacts
from voxbox_core.runtime.single import single

FULL, RTX = "tensorrt", "tensorrt_rtx"
PORTABLE = "portable"
"""Target of tensorrt_rtx: every GPU from compute capability 8.0 (Ampere) on."""

_CUDA_VERSIONS = range(11, 20)  # that packages of TensorRT may be named after
_AHEAD = "Install it, or choose another backend. For another machine: ros2 run voxbox build_engine MODEL."


@dataclass(frozen=True)
class Extent:
    """How large a free dimension of the inputs may be, and how large it mostly is: what the engine is tuned for."""

    usual: int
    most: int


# By the names that the exporters give. A contract that has a `max_NAME` says the most itself.
_EXTENTS = {"pillars": Extent(8000, 20000), "cameras": Extent(4, 6), "prompts": Extent(1, 64)}


def usable() -> bool:
    """Whether engines can be built and run here."""
    return refusal() is None


def refusal() -> InputError | None:
    """Why engines cannot run here, None where they can.

    The library is not called before a driver is known to be there that is new enough: it has crashed without.
    """
    if not _installed():
        return InputError(
            "TensorRT",
            "not installed",
            f"{FULL} or {RTX}",
            "pip install tensorrt, or tensorrt-rtx on an RTX GPU.",
        )
    if not driver.has_driver():
        return InputError("NVIDIA driver", "absent, or without a GPU", "one with a GPU, for TensorRT", _AHEAD)
    name = _installed()[0]
    try:
        _library(name)
    except (ImportError, OSError) as error:  # its own libraries may lack
        return InputError(name, f"not to be imported ({error})", "a whole installation", f"Install {name} again.")
    needed, (major, minor) = _cuda_wanted(name), driver.driver_version()
    if major < needed:
        return InputError(
            "NVIDIA driver",
            f"one for CUDA {major}.{minor}",
            f"one for CUDA {needed}, as {name} is",
            f"Update the driver, or install {name}_cu{major}.",
        )
    if name == RTX and driver.gpu().target not in targets():
        return InputError(
            "GPU",
            f"{driver.gpu().name} ({driver.gpu().target})",
            f"one of {', '.join(targets())}, for {RTX}",
            "pip install tensorrt, or choose another backend.",
        )
    return None


def targets() -> tuple[str, ...]:
    """Compute capabilities that tensorrt_rtx builds for: sm75, sm86 and so on."""
    names = _library(RTX).ComputeCapability.__members__
    return tuple(name.lower() for name in names if name.startswith("SM"))


def load(model: ModelFile, threads: int) -> LoadedModel:
    """Open the engine that is kept for this model and this GPU, or build it first; `progress` tells of it.

    threads: no matter here.  Raises InputError where TensorRT cannot run, or refuses the model.
    """
    if reason := refusal():
        raise reason
    facts = onnx_file.read(model.onnx)
    keys = _keys(model, facts)
    found = [engine_cache.find(key) for key in keys]
    engine = next((opened for f in found if f.engine and (opened := _deserialize(keys[0].engine, f.engine))), None)
    if engine is None:
        path = _build(model, facts, keys[0], _why(keys[0].engine, found), missing=not found[0].engine)
        engine = _deserialize(keys[0].engine, path.read_bytes())
    if engine is None:
        value = f"refused by {_named(keys[0])} right after it was built ({_log(keys[0].engine).last()})"
        raise InputError(f"engine of {model.onnx}", value, "one that runs here", "Choose another backend.")
    run = EngineRun(_library(keys[0].engine), engine)
    there = on_device(run)
    return LoadedModel(there or run, facts.metadata, "tensorrt", facts.precision, there)


def build(model: ModelFile, target: str | None = None, anew: bool = False) -> Path:
    """Build the model's engine where none is kept, or `anew`; -> where it is kept. `progress` tells of it.

    target: for tensorrt_rtx, PORTABLE or one of `targets()`, which needs no GPU; None is the GPU of this machine, or
    PORTABLE where there is none. Raises InputError where nothing can be built, or the model is refused.
    """
    require_buildable(target)
    here = _for_here(target)
    facts = onnx_file.read(model.onnx)
    key = _keys(model, facts)[0] if here else _key(model, facts, RTX, target or PORTABLE)
    found = engine_cache.find(key)
    if anew or not found.engine:
        return _build(model, facts, key, "it was asked for" if anew else found.reason, missing=not found.engine)
    path = engine_cache.path_of(key)
    progress.listener()(f"the {_named(key)} engine of {model.onnx} is there already: {path}", 1.0)
    return path


def require_buildable(target: str | None) -> None:
    """Raises InputError where no engine can be built for a target, as `build` takes it."""
    here = _for_here(target)
    if here and (reason := refusal()):
        raise reason
    if not here and RTX not in _installed():
        raise InputError(
            "TensorRT-RTX, which builds engines without their GPU",
            "not installed",
            RTX,
            "pip install tensorrt-rtx, or build on the machine that will run the engine.",
        )
    if target not in (None, PORTABLE) and target not in targets():
        raise InputError("target", target, f"{PORTABLE}, {', '.join(targets())}", "Choose one of these.")


def _for_here(target: str | None) -> bool:
    """Whether the engine is for this machine's GPU."""
    return target is None and driver.has_driver()


# -- which library, which key ----------------------------------------------------------------------------------------


def _installed() -> list[str]:
    """Those that are, the one that measures on the GPU first."""
    return [name for name in (FULL, RTX) if importlib.util.find_spec(name)]


def _library(name: str) -> Any:
    if name == FULL:
        import tensorrt as library  # each is optional, and a machine has one of them
    else:
        import tensorrt_rtx as library
    return library


def _cuda_wanted(name: str) -> int:
    """The CUDA version that pip's package of the library is made for; 0 for one from elsewhere, as JetPack's."""
    for version in _CUDA_VERSIONS:
        try:
            importlib.metadata.version(f"{name}_cu{version}")
        except importlib.metadata.PackageNotFoundError:
            continue
        return version
    return 0


def _keys(model: ModelFile, facts: OnnxFacts) -> list[EngineKey]:
    """Of the engines that run on this machine's GPU; the first is the one to build."""
    gpu, name = driver.gpu(), _installed()[0]
    if name == FULL:
        return [_key(model, facts, FULL, f"{gpu.name} ({gpu.target})")]
    portable = [PORTABLE] if gpu.major >= 8 else []
    return [_key(model, facts, RTX, target) for target in (gpu.target, *portable)]


def _key(model: ModelFile, facts: OnnxFacts, name: str, device: str) -> EngineKey:
    version = _library(name).__version__
    return EngineKey(model.sha256, name, version, device, facts.precision, _profile(model.onnx, facts))


def _named(key: EngineKey) -> str:
    return f"{key.engine} {key.engine_version}"


def _extents(file: Path, facts: OnnxFacts) -> dict[str, Extent]:
    """Of each free dimension. Raises InputError for one of an unknown name."""
    try:
        contract = json.loads(facts.metadata.get("contract", "{}"))
    except ValueError:
        contract = {}
    extents = {}
    for name in facts.free:
        if name not in _EXTENTS:
            known = ", ".join(_EXTENTS)
            raise InputError(f"free dimension of {file}", repr(name), f"one of {known}", "Choose another backend.")
        usual, most = _EXTENTS[name].usual, int(contract.get(f"max_{name}", _EXTENTS[name].most))
        extents[name] = Extent(min(usual, most), most)
    return extents


def _profile(file: Path, facts: OnnxFacts) -> str:
    """The extents in words."""
    extents = _extents(file, facts)
    return ", ".join(f"{name} 1 to {e.most}, mostly {e.usual}" for name, e in extents.items()) or "static"


def _why(name: str, found: list[Found]) -> str:
    """Why an engine must be built, after those that were found."""
    if any(f.engine for f in found):
        return f"the one that is kept was refused ({_log(name).last()})"
    return found[0].reason


# -- building --------------------------------------------------------------------------------------------------------


def _build(model: ModelFile, facts: OnnxFacts, key: EngineKey, why: str, missing: bool) -> Path:
    """By one process at a time: who comes after another takes what that has built.

    missing: none was there before; should one be there now, another process has just built it.
    Raises InputError when the library refuses the model, or the listener wants no more.
    """
    path, tell = engine_cache.path_of(key), progress.listener()
    require_writable(path)  # now, not after minutes of building
    with engine_lock.alone(path, tell) as waited:
        if not ((waited or missing) and engine_cache.find(key).engine):
            return _build_here(model, facts, key, why)
    tell(f"the {_named(key)} engine of {model.onnx} was built by another process meanwhile: {path}", 1.0)
    return path


def _build_here(model: ModelFile, facts: OnnxFacts, key: EngineKey, why: str) -> Path:
    """Raises as `_build`."""
    trt, log, tell = _library(key.engine), _log(key.engine), progress.listener()
    what = f"building the {_named(key)} engine of {model.onnx} for {key.device}"
    begun = time.monotonic()
    tell(f"{what}, because {why}", 0.0)
    builder = trt.Builder(log)
    network = builder.create_network(_strongly_typed(trt))
    parser = trt.OnnxParser(network, log)
    if not parser.parse(model.onnx.read_bytes()):
        reason = _parser_errors(parser) or log.last()
        raise _refused(model, key, reason)
    config = builder.create_builder_config()
    config.clear_flag(trt.BuilderFlag.TF32)
    extents = _extents(model.onnx, facts)
    if extents:
        config.add_optimization_profile(_optimization_profile(builder, network, extents))
    if key.engine == RTX and key.device != PORTABLE:
        config.num_compute_capabilities = 1
        config.set_compute_capability(getattr(trt.ComputeCapability, key.device.upper()), 0)
    phases = progress.Phases(lambda done: tell(what, done))
    config.progress_monitor = monitor = _monitor(trt, phases)
    engine = _interruptible(lambda: builder.build_serialized_network(network, config), phases)
    del monitor  # not before: the library calls it without keeping it
    if not phases.wanted:
        raise InputError(f"engine of {model.onnx}", "given up half-built", "a whole one", "Begin again.")
    if engine is None:
        raise _refused(model, key, log.last())
    path = engine_cache.store(key, bytes(engine))
    tell(f"built the {_named(key)} engine of {model.onnx} in {time.monotonic() - begun:.0f} s: {path}", 1.0)
    return path


def _interruptible(build: Callable[[], Any], phases: progress.Phases) -> Any:
    """What `build` makes, in a thread of its own: Ctrl-C would end in one of the library's callbacks, and vanish."""
    with ThreadPoolExecutor(1, "build") as pool:
        try:
            return pool.submit(build).result()
        except KeyboardInterrupt:
            phases.give_up()
            raise


def _strongly_typed(trt: Any) -> int:
    """The flag of networks, which TensorRT 11 has no need of."""
    flag = getattr(trt.NetworkDefinitionCreationFlag, "STRONGLY_TYPED", None)
    return 0 if flag is None else 1 << int(flag)


def _optimization_profile(builder: Any, network: Any, extents: dict[str, Extent]) -> Any:
    """The shapes of all inputs with a free dimension: least, usual and most."""
    profile = builder.create_optimization_profile()
    for i in range(network.num_inputs):
        tensor = network.get_input(i)
        shape = tuple(tensor.shape)
        free = {axis: extents[tensor.get_dimension_name(axis)] for axis, size in enumerate(shape) if size < 0}
        if free:
            shapes: list[Callable[[Extent], int]] = [lambda e: 1, lambda e: e.usual, lambda e: e.most]
            profile.set_shape(
                tensor.name,
                *(tuple(of(free[axis]) if axis in free else n for axis, n in enumerate(shape)) for of in shapes),
            )
    return profile


def _monitor(trt: Any, phases: progress.Phases) -> Any:
    """`phases` in the library's clothes, which are there only where the library is."""

    class Monitor(trt.IProgressMonitor):
        def __init__(self) -> None:
            super().__init__()

        def phase_start(self, phase_name: str, parent_phase: str | None, num_steps: int) -> None:
            phases.start(phase_name, parent_phase, num_steps)

        def step_complete(self, phase_name: str, step: int) -> bool:
            return phases.step(phase_name, step)

        def phase_finish(self, phase_name: str) -> None:
            phases.finish(phase_name)

    return Monitor()


def _parser_errors(parser: Any) -> str:
    errors = [parser.get_error(i) for i in range(parser.num_errors)]
    return "; ".join(f"node {e.node_name()} ({e.node_operator()}): {e.desc()}" for e in errors[:3])


def _refused(model: ModelFile, key: EngineKey, reason: str) -> InputError:
    return InputError(
        f"model {model.onnx}",
        f"refused by {_named(key)} ({reason})",
        "an ONNX file of operators that it has",
        "Export it again, or choose another backend.",
    )


# -- opening ---------------------------------------------------------------------------------------------------------


def _deserialize(name: str, engine: bytes) -> Any:
    """The engine, or None where the library refuses it."""
    return _runtime(name).deserialize_cuda_engine(engine)


@single
def _runtime(name: str) -> Any:
    """One for the process: engines need it as long as they live."""
    return _library(name).Runtime(_log(name))


@single
def _log(name: str) -> Any:
    """One for the process, as the library wants it."""
    return _new_log(_library(name), logging.getLogger(f"voxbox.{name}"))


def _new_log(trt: Any, logger: logging.Logger) -> Any:
    """The library's words go to Python's log, and its last complaint is kept."""
    severity = trt.ILogger.Severity
    levels = {severity.INTERNAL_ERROR: logging.ERROR, severity.ERROR: logging.ERROR, severity.WARNING: logging.INFO}

    class Log(trt.ILogger):
        def __init__(self) -> None:
            super().__init__()
            self._last = ""

        def log(self, level: Any, message: str) -> None:
            logger.log(levels.get(level, logging.DEBUG), message)
            if levels.get(level) == logging.ERROR:
                self._last = message.strip().partition("\n")[0]

        def last(self) -> str:
            return self._last or "no reason given"

    return Log()
