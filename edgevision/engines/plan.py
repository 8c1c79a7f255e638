"""From an ONNX file to a serialized plan: one path for TensorRT 10 and 11 and for TensorRT-RTX.

Precision lies in the ONNX file (float16 weights, Q/DQ nodes): networks are strongly typed, as TensorRT 11 knows no
others. Tensors are told by name only.
"""

from __future__ import annotations

import os
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from types import ModuleType
from typing import Any

from edgevision.backends.trt_log import leave_alone, logger_for
from edgevision.engines.builders import Builder
from edgevision.engines.failures import describe_build_failure, describe_parse_failure
from edgevision.engines.monitor import BuildMonitor, new_trt_monitor
from edgevision.engines.options import BuildOptions
from edgevision.engines.profiles import ShapeRange
from edgevision.engines.ranges import choose_ranges
from edgevision.engines.timing_cache import read_cache, write_cache
from edgevision.errors import BackendError, InputError
from edgevision.spec import ModelSpec, TensorInfo

__all__ = ["Plan", "PlanRequest", "build_plan"]

_DTYPES = {
    "FLOAT": "float32",
    "HALF": "float16",
    "BF16": "bfloat16",
    "FP8": "float8e4m3fn",
    "FP4": "float4e2m1",
    "E8M0": "float8e8m0",
}
"""TensorInfo's name of a TensorRT type where it is not the lower-case one."""


@dataclass(frozen=True, slots=True)
class PlanRequest:
    """What to build.

    targets: those of a builder that builds ahead of time; () for the GPU here.
    cache:   the timing cache's file; None: no cache.
    """

    trt: ModuleType
    builder: Builder
    onnx_path: Path
    spec: ModelSpec | None
    targets: tuple[str, ...]
    options: BuildOptions
    cache: Path | None


@dataclass(frozen=True, slots=True)
class Plan:
    """A serialized engine, and what the builder knew of its network.

    data:     the plan; a buffer of the builder's.
    ranges:   of the inputs with dimensions known only at run time.
    warnings: what the builder warned of.
    """

    data: memoryview
    inputs: tuple[TensorInfo, ...]
    outputs: tuple[TensorInfo, ...]
    ranges: dict[str, ShapeRange]
    warnings: tuple[str, ...]


def build_plan(request: PlanRequest, monitor: BuildMonitor) -> Plan:
    """The plan; only one may be built at a time in a process.

    Raises BackendError when the builder does not start, or refuses the network: then the message names the node, the
    reason and what to do. InputError for a profile that does not fit the network, ModelFileError when the timing
    cache cannot be read or written. After `monitor.cancel` it raises BackendError soon.
    """
    trt = request.trt
    logger, log = logger_for(trt)
    log.clear()
    what = f"{request.builder.title} {trt.__version__}"
    try:
        builder = trt.Builder(logger)
    except (TypeError, RuntimeError) as error:  # nanobind's or pybind11's "factory function returned nullptr"
        raise BackendError(_no_builder(what, log.errors or (str(error),))) from error
    if log.failed_since(0, "createInferBuilder"):
        leave_alone(builder)
        raise BackendError(_no_builder(what, log.errors))
    network = builder.create_network(_network_flags(trt))
    parser = trt.OnnxParser(network, logger)
    if not parser.parse_from_file(os.fspath(request.onnx_path)) or parser.num_errors:
        said = describe_parse_failure(parser, log.errors)
        raise BackendError(f"{what} cannot take {request.onnx_path}: {said}")
    ranges = choose_ranges(network, request.options.profiles, request.spec)
    config = builder.create_builder_config()
    cache = _configure(request, builder, config, ranges)
    trt_monitor = new_trt_monitor(trt, monitor)
    config.progress_monitor = trt_monitor
    plan = builder.build_serialized_network(network, config)
    if plan is None:
        said = describe_build_failure(network, log.errors)
        raise BackendError(f"{what} cannot build {request.onnx_path}: {said}")
    if cache is not None and request.cache is not None:
        write_cache(request.cache, config, cache)
    return Plan(
        memoryview(plan), _tensors(network, "input"), _tensors(network, "output"), ranges, log.warnings
    )


def _network_flags(trt: ModuleType) -> int:
    """Strong typing, which has to be asked for in TensorRT 10, and may be in 11, where all networks are so."""
    flags = getattr(trt, "NetworkDefinitionCreationFlag", None)
    strong = getattr(flags, "STRONGLY_TYPED", None)
    return 0 if strong is None else 1 << int(strong)


def _configure(request: PlanRequest, builder: Any, config: Any, ranges: dict[str, ShapeRange]) -> Any:
    """Tells the config the options, the targets and the profile; gives the timing cache, None without one."""
    trt, options = request.trt, request.options
    if request.targets:
        config.num_compute_capabilities = len(request.targets)
        for index, name in enumerate(request.targets):
            config.set_compute_capability(getattr(trt.ComputeCapability, name.upper()), index)
    if options.workspace is not None:
        config.set_memory_pool_limit(trt.MemoryPoolType.WORKSPACE, options.workspace)
    if options.optimization_level is not None:
        config.builder_optimization_level = options.optimization_level
    if options.tf32 is not None:
        (config.set_flag if options.tf32 else config.clear_flag)(trt.BuilderFlag.TF32)
    if options.version_compatible:
        config.set_flag(trt.BuilderFlag.VERSION_COMPATIBLE)
        if request.builder.ahead:  # TensorRT-RTX has no lean runtime to put into the plan
            config.set_flag(trt.BuilderFlag.EXCLUDE_LEAN_RUNTIME)
    if options.hardware_compatible is not None:
        config.hardware_compatibility_level = _hardware_level(trt, options.hardware_compatible)
    if ranges:
        _add_profile(builder, config, ranges)
    return None if request.cache is None else read_cache(request.cache, config)


def _add_profile(builder: Any, config: Any, ranges: dict[str, ShapeRange]) -> None:
    profile = builder.create_optimization_profile()
    try:
        for name, one in ranges.items():
            profile.set_shape(name, one.low, one.best, one.high)
        added = config.add_optimization_profile(profile)
    except RuntimeError:  # of shapes that do not fit each other
        added = -1
    if added < 0:
        shapes = ", ".join(f"{name}={one}" for name, one in ranges.items())
        raise InputError(f"the network cannot have the shapes {shapes}; give others with --profile")


def _hardware_level(trt: ModuleType, name: str) -> Any:
    member = {"ampere+": "AMPERE_PLUS", "same-capability": "SAME_COMPUTE_CAPABILITY"}[name]
    level = getattr(trt.HardwareCompatibilityLevel, member, None)
    if level is None:
        raise InputError(f"TensorRT {trt.__version__} has no hardware_compatible {name!r}; ampere+ it has")
    return level


def _no_builder(what: str, errors: Sequence[str]) -> str:
    return (
        f"{what} gives no builder: {errors[0].strip()}; it builds only on a machine with an NVIDIA GPU and its driver "
        "(nvidia-smi shows them). Without one, TensorRT-RTX builds ahead of time: --backend tensorrt-rtx"
    )


def _tensors(network: Any, kind: str) -> tuple[TensorInfo, ...]:
    count = getattr(network, f"num_{kind}s")
    return tuple(_tensor_info(getattr(network, f"get_{kind}")(index)) for index in range(count))


def _tensor_info(tensor: Any) -> TensorInfo:
    shape = tuple(None if side < 0 else int(side) for side in tensor.shape)
    return TensorInfo(tensor.name, shape, _DTYPES.get(tensor.dtype.name, tensor.dtype.name.lower()))
