"""Engines out of ONNX files: the plan and its sidecar, written whole or not at all."""

from __future__ import annotations

import dataclasses
import os
import threading
from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass
from pathlib import Path
from time import perf_counter
from types import ModuleType
from typing import TypeVar

from edgevision.backends.engine_fit import name_platform
from edgevision.backends.gpu import Gpu, find_gpu
from edgevision.engines.builders import Builder, choose_builder, load_builder
from edgevision.engines.monitor import BuildMonitor, ProgressFn
from edgevision.engines.options import BuildOptions, check_offered
from edgevision.engines.output import engine_label, engine_path, list_in_manifest, write_engine
from edgevision.engines.plan import PlanRequest, build_plan
from edgevision.engines.profiles import ShapeRange
from edgevision.engines.source import bundle_roles, find_source
from edgevision.engines.targets import capabilities_text, known_targets, resolve_targets
from edgevision.engines.timing_cache import default_cache_path
from edgevision.errors import BackendError, InputError
from edgevision.spec import EngineKey, TensorInfo, read_onnx_io
from edgevision.spec.plan_header import check_plan

__all__ = ["EngineBuild", "build_engine", "build_engines", "key_options"]

_BUILD_LOCK = threading.Lock()
"""A builder has one logger in a process: one build at a time, so that messages do not mix."""
_POLL_S = 0.1
T = TypeVar("T")


@dataclass(frozen=True, slots=True, eq=False)
class EngineBuild:
    """An engine that was built.

    path, sidecar: the two files. onnx: what it was built from.
    seconds:  of the build, without reading the network and writing the plan.
    bytes:    of the plan.
    inputs, outputs: the network's tensors, None for a length known only at run time.
    ranges:   the shapes that such inputs may have.
    warnings: what the builder warned of.
    """

    path: Path
    sidecar: Path
    onnx: Path
    key: EngineKey
    seconds: float
    bytes: int
    inputs: tuple[TensorInfo, ...]
    outputs: tuple[TensorInfo, ...]
    ranges: dict[str, ShapeRange]
    warnings: tuple[str, ...]


def build_engine(
    model: str | os.PathLike[str],
    output: str | os.PathLike[str] | None = None,
    *,
    backend: str | None = None,
    targets: str | Iterable[str] = (),
    form: str | None = None,
    part: str = "model",
    options: BuildOptions | None = None,
    progress: ProgressFn | None = None,
) -> EngineBuild:
    """The engine of an ONNX file, or of one form and part of a bundle, with its sidecar `<engine>.json`.

    output:  the engine's path, ending in .engine, .plan or .trt; None: beside the ONNX file, `model.fp16.onnx` giving
        `model.fp16.rtx-sm86.engine`. There the bundle's manifest lists it. What has that name is replaced.
    backend: "tensorrt" or "tensorrt-rtx"; None: the first installed one (of those that take targets, with targets).
    targets: "sm86", ... that TensorRT-RTX builds for; none: this machine's GPU, without one all from sm80 on. TensorRT
        builds for the GPU that it runs on and takes none.
    form:    of a bundle: "fp32", "fp16" or "int8"; None: fp16 where it has that, else its first.
    progress: see `ProgressFn`.
    An interruption (Ctrl-C) ends the build at its next step. A build that fails, ends so or is killed leaves nothing.
    Raises InputError for what the builder or the model does not have (listing what it has), MissingDependencyError
    when the builder is not installed, ModelFileError for files that cannot be read or written, BackendError when the
    builder refuses the network: its message names the node, the reason and what to do.
    """
    builder = choose_builder(backend, targets=bool(targets))
    options = options or BuildOptions()
    check_offered(options, builder)
    trt = load_builder(builder)
    chosen = _choose_targets(builder, trt, targets)
    source = find_source(model, builder, form=form, part=part)
    gpu = None if builder.ahead else find_gpu()
    path = engine_path(output, source.path, f"{builder.tag}{engine_label(chosen, gpu, options)}")
    request = PlanRequest(
        trt, builder, source.path, source.spec, chosen, options, _cache_path(builder, trt, options, gpu)
    )
    start = perf_counter()
    plan = _run_cancellable(build_plan, request, BuildMonitor(progress))
    seconds = perf_counter() - start
    fault = check_plan(plan.data, builder.module, trt.__version__)
    if fault:
        raise BackendError(
            f"{builder.title} {trt.__version__} gave a plan that is not whole: {fault}; build it again"
        )
    key = EngineKey(
        backend=builder.module,
        backend_version=trt.__version__,
        gpu_name=gpu.name if gpu else "",
        compute_capability=capabilities_text(chosen) if chosen else (gpu.compute_capability if gpu else ""),
        multiprocessors=gpu.multiprocessors if gpu else 0,
        platform=name_platform(),
        precision=source.precision,
        options=key_options(options, plan.ranges),
    )
    sidecar = write_engine(path, plan, key, source)
    if source.bundle is not None and output is None:
        list_in_manifest(source, path, builder)
    return EngineBuild(
        path,
        sidecar,
        source.path,
        key,
        seconds,
        len(plan.data),
        plan.inputs,
        plan.outputs,
        plan.ranges,
        plan.warnings,
    )


def build_engines(
    model: str | os.PathLike[str],
    *,
    backend: str | None = None,
    targets: str | Iterable[str] = (),
    form: str | None = None,
    options: BuildOptions | None = None,
    progress: Callable[[str], ProgressFn] | None = None,
) -> tuple[EngineBuild, ...]:
    """An engine for every part of a model ("model", then "decoder", ...), beside their ONNX files.

    options:  a profile goes to the parts that have its input.
    progress: gives the ProgressFn of the part that it is told.
    Raises as `build_engine` does.
    """
    options = options or BuildOptions()
    builder = choose_builder(backend, targets=bool(targets))
    roles = bundle_roles(model)
    names = {
        role: [one.name for one in read_onnx_io(find_source(model, builder, form=form, part=role).path)[0]]
        for role in roles
    }
    for name in options.profiles:
        if not any(name in inputs for inputs in names.values()):
            listed = "; ".join(f"{role}: {', '.join(inputs)}" for role, inputs in names.items())
            raise InputError(f"no network of {model} has an input {name!r}; the inputs are {listed}")
    built = []
    for role in roles:
        profiles = {name: one for name, one in options.profiles.items() if name in names[role]}
        built.append(
            build_engine(
                model,
                backend=builder.name,
                targets=targets,
                form=form,
                part=role,
                options=dataclasses.replace(options, profiles=profiles),
                progress=progress(role) if progress else None,
            )
        )
    return tuple(built)


def _choose_targets(builder: Builder, trt: ModuleType, targets: str | Iterable[str]) -> tuple[str, ...]:
    if builder.ahead:
        return resolve_targets(targets, known_targets(trt))
    if targets:
        raise InputError(
            f"{builder.title} builds for the GPU that it runs on and takes no targets, got {targets!r}; "
            "TensorRT-RTX takes them: --backend tensorrt-rtx"
        )
    return ()


def _cache_path(builder: Builder, trt: ModuleType, options: BuildOptions, gpu: Gpu | None) -> Path | None:
    if "timing_cache" not in builder.options or options.timing_cache == "":
        return None
    if options.timing_cache is not None:
        return Path(options.timing_cache)
    return default_cache_path(trt.__version__, gpu)


def _run_cancellable(
    build: Callable[[PlanRequest, BuildMonitor], T], request: PlanRequest, monitor: BuildMonitor
) -> T:
    """The build's result, made in a thread of its own: this one stays free to be interrupted, which ends the build."""
    results: list[T] = []
    errors: list[BaseException] = []
    done = threading.Event()

    def work() -> None:
        try:
            with _BUILD_LOCK:
                if not monitor.cancelled:
                    results.append(build(request, monitor))
        except BaseException as error:  # raised again below, in the caller's thread
            errors.append(error)
        finally:
            done.set()

    thread = threading.Thread(target=work, name="edgevision-build", daemon=True)
    # Not Thread.join: an interrupted join believes the thread to be over before it is (Python 3.9 to 3.12), and a
    # builder that still runs when the interpreter ends crashes it.
    try:
        thread.start()
        while not done.wait(_POLL_S):  # without a timeout, Windows lets no Ctrl-C through
            pass
    except BaseException:
        monitor.cancel()
        # Interrupted within `start`, the thread may come to life late or never: then it finds the build cancelled.
        while not done.wait(_POLL_S) and thread.is_alive():
            pass
        raise
    if monitor.error is not None:
        raise monitor.error
    if errors:
        raise errors[0]
    return results[0]


def key_options(
    options: BuildOptions, ranges: Mapping[str, ShapeRange]
) -> dict[str, bool | int | float | str]:
    """The options that change the plan, as the sidecar has them."""
    chosen: dict[str, bool | int | float | str] = {
        "tf32": options.tf32 is not False,
        "version_compatible": options.version_compatible,
    }
    for name in ("workspace", "optimization_level", "hardware_compatible"):
        value = getattr(options, name)
        if value is not None:
            chosen[name] = value
    return chosen | {f"profile.{name}": str(one) for name, one in ranges.items()}
