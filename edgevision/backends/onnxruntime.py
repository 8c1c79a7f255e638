"""ONNX Runtime: inputs and outputs bound to the session's own memory, so that a run copies and allocates nothing.

Threads: `InferenceSession` may run in several threads at once when each has its own binding, which is what a clone
is: the network, its weights and its pool of worker threads are shared.
"""

from __future__ import annotations

import os
import warnings
from dataclasses import replace
from functools import cache, partial
from os import PathLike
from types import ModuleType
from typing import Any

from edgevision.backends.base import TensorInfo
from edgevision.backends.buffers import Dim
from edgevision.backends.cuda import choose_mapped, load_cuda
from edgevision.backends.options import OnnxRuntimeOptions
from edgevision.backends.ort_gpu import GpuNetwork, NetworkQueue, OnnxRuntimeGpuSession
from edgevision.backends.ort_providers import (
    CPU_PROVIDER,
    GpuPlace,
    can_be_recorded,
    can_tell_nodes,
    can_tell_places,
    choose_place,
    describe_fallback,
    explain_not_started,
    preload_libraries,
    tensors_of_the_processor,
)
from edgevision.backends.ort_session import Network, OnnxRuntimeSession
from edgevision.backends.ort_tensors import CudaTensors
from edgevision.backends.source import ModelSource, import_runtime, read_source
from edgevision.errors import BackendError, EdgeVisionWarning

__all__ = ["OnnxRuntimeSession", "load_onnxruntime", "open_onnxruntime"]

_DTYPES = {
    "tensor(float)": "float32",
    "tensor(float16)": "float16",
    "tensor(double)": "float64",
    "tensor(bool)": "bool",
    **{f"tensor({sign}int{bits})": f"{sign}int{bits}" for sign in ("", "u") for bits in (8, 16, 32, 64)},
}
"""ONNX Runtime's name of a tensor type -> NumPy's; other types (text, sequences, bfloat16) have none."""


def open_onnxruntime(
    model: str | PathLike[str] | bytes, device: str = "auto", options: OnnxRuntimeOptions | None = None
) -> OnnxRuntimeSession:
    """A session of the ONNX model at a path or in bytes.

    Raises MissingDependencyError without the library, ModelFileError for a path that is no file, InputError for a word
    that names no device, BackendError for an absent device, a network that ONNX Runtime refuses, or, when
    `options.strict`, nodes that the processor computes for the GPU.
    """
    options = options or OnnxRuntimeOptions()
    library = load_onnxruntime()
    runtime = f"onnxruntime {library.__version__}"
    place = choose_place(library, runtime, device, options)
    source = read_source(model)
    where = "cpu"
    if place is not None:
        opened = _open_gpu(library, source, options, place, runtime)
        if not isinstance(opened, str):
            return opened
        if device != "auto" or options.strict:
            raise BackendError(f"{runtime} could not start on {place.device}: {opened}")
        where = "cpu (the GPU's provider did not start)"
        warnings.warn(f"{source.name} runs on the processor: {opened}", EdgeVisionWarning, stacklevel=2)
    session = _new_session(library, source, _session_options(library, options), [CPU_PROVIDER], runtime)
    return OnnxRuntimeSession(_describe_network(session, source, runtime, where))


def _open_gpu(
    library: ModuleType, source: ModelSource, options: OnnxRuntimeOptions, place: GpuPlace, runtime: str
) -> OnnxRuntimeSession | str:
    """The session on a GPU; why a provider did not start."""
    preload_libraries(library)
    queue = _open_queue(library, options, place)
    providers = place.arguments(options, None if queue is None else queue.stream.handle)
    settings = _session_options(library, options)
    if can_tell_nodes(library):
        settings.add_session_config_entry("session.record_ep_graph_assignment_info", "1")
        session = _new_session(library, source, settings, [*providers, CPU_PROVIDER], runtime)
        fault = explain_not_started(session, place)
        fallback = "" if fault else describe_fallback(session)
    else:
        session, fallback = _new_untold_session(library, source, options, providers, runtime)
        fault = explain_not_started(session, place)
    if fault:
        return fault
    where = place.device
    if fallback:
        where += f" ({fallback})"
        message = f"{runtime} cannot run all of {source.name} on the GPU: {fallback}"
        if options.strict:
            raise BackendError(f"{message}; pass strict=False to run it so")
        warnings.warn(message, EdgeVisionWarning, stacklevel=3)
    runtime = f"{runtime} ({place.providers[0]})"
    network = _describe_network(session, source, runtime, where)
    if queue is None:
        return OnnxRuntimeSession(network)
    mapped = choose_mapped(options.memory, queue.cuda.device_info(place.index))
    on_processor = tensors_of_the_processor(session)
    whole = place.providers == ("cuda",) and not fallback and not on_processor
    record = options.cuda_graph and whole and can_be_recorded(library)
    recorded = library.RunOptions()
    recorded.add_run_config_entry("disable_synchronize_execution_providers", "1")
    gpu = GpuNetwork(queue, record, recorded, options.slots, options.strict)
    new_tensors = partial(CudaTensors, queue.cuda, place.index, on_processor, mapped=mapped)
    return OnnxRuntimeGpuSession(replace(network, new_tensors=new_tensors, gpu=gpu))


def _open_queue(library: ModuleType, options: OnnxRuntimeOptions, place: GpuPlace) -> NetworkQueue | None:
    """With a stream of the extension's; None where that is not built, or the library too old for it: then ONNX Runtime
    copies by itself."""
    if not can_tell_places(library):
        if options.memory == "auto":
            return None
        raise BackendError(f"memory={options.memory!r} needs onnxruntime 1.23, this is {library.__version__}")
    try:
        cuda = load_cuda()
    except BackendError:
        if options.memory == "auto":
            return None
        raise
    cuda.set_device(place.index)
    return NetworkQueue(cuda)


def _new_session(
    library: ModuleType, source: ModelSource, settings: Any, providers: list[Any], runtime: str
) -> Any:
    try:
        return library.InferenceSession(
            source.path if source.data is None else source.data,
            settings,
            providers=providers,
            # Its fallback prints on stdout and tries again elsewhere.
            enable_fallback=0,
        )
    except Exception as error:  # its errors have no base class of their own
        raise source.failure("load", runtime, error) from error


def _new_untold_session(
    library: ModuleType,
    source: ModelSource,
    options: OnnxRuntimeOptions,
    providers: list[Any],
    runtime: str,
) -> tuple[Any, str]:
    """The session, and whether the processor computes nodes of it, of a library that does not tell which."""
    strictly = _session_options(library, options)
    strictly.add_session_config_entry("session.disable_cpu_ep_fallback", "1")
    try:
        return _new_session(library, source, strictly, providers, runtime), ""
    except BackendError as error:
        if "fallback to CPU EP" not in str(error.__cause__):
            raise
    settings = _session_options(library, options)
    session = _new_session(library, source, settings, [*providers, CPU_PROVIDER], runtime)
    return session, "some nodes on cpu"


def _describe_network(session: Any, source: ModelSource, runtime: str, device: str) -> Network:
    inputs = tuple(_describe(node, "input", source, runtime) for node in session.get_inputs())
    outputs = tuple(_describe(node, "output", source, runtime) for node in session.get_outputs())
    source = source.without_data()
    dims = _trace_dims(session)
    return Network(session, source, runtime, device, inputs, outputs, dims)


def load_onnxruntime() -> ModuleType:
    """The library, silenced. Raises MissingDependencyError without it, BackendError where it cannot be loaded."""
    # Official builds (1.32 does, 1.17 does not yet) write a device identifier to the user's cache folder and report
    # to Microsoft from the moment they are imported; this variable is the documented way to stop them, and only works
    # before the import. Who wants the reports sets it to 0.
    os.environ.setdefault("ORT_DISABLE_TELEMETRY", "1")
    library = import_runtime("onnxruntime", "cpu")
    _silence(library)
    return library


@cache
def _silence(library: ModuleType) -> None:
    """Once, so that who sets it afterwards keeps it: builds for GPUs warn, whenever a network is loaded, of plugins that
    nobody asked for, and of every convolution that cuDNN does not fuse; not in a session's name, so that none can be told
    to be quiet."""
    library.set_default_logger_severity(4)


def _session_options(library: ModuleType, options: OnnxRuntimeOptions) -> Any:
    made = library.SessionOptions()
    made.intra_op_num_threads = options.threads or 0  # 0: its default
    made.inter_op_num_threads = options.inter_op_threads
    if options.inter_op_threads > 1:
        made.execution_mode = library.ExecutionMode.ORT_PARALLEL
    spin = "1" if options.spin else "0"
    made.add_session_config_entry("session.intra_op.allow_spinning", spin)
    made.add_session_config_entry("session.inter_op.allow_spinning", spin)
    level = library.GraphOptimizationLevel
    made.graph_optimization_level = {
        "none": level.ORT_DISABLE_ALL,
        "basic": level.ORT_ENABLE_BASIC,
        "extended": level.ORT_ENABLE_EXTENDED,
        "all": level.ORT_ENABLE_ALL,
    }[options.graph_optimization]
    made.log_severity_level = options.log_severity
    return made


def _describe(node: Any, kind: str, source: ModelSource, runtime: str) -> TensorInfo:
    dtype = _DTYPES.get(node.type)
    if dtype is None:
        raise BackendError(
            f"{kind} {node.name!r} of {source.name} is a {node.type} for {runtime}; accepted are tensors of "
            f"{', '.join(sorted(_DTYPES.values()))}: export the network without it, or with a cast"
        )
    # An integer is a fixed length; a text (a symbol) or None is one only known at run time.
    return TensorInfo(node.name, tuple(dim if isinstance(dim, int) else None for dim in node.shape), dtype)


def _trace_dims(session: Any) -> tuple[tuple[Dim, ...], ...]:
    """Where each dimension of each output comes from: dimensions of the same symbol are equal in ONNX."""
    symbols = {
        dim: (node.name, axis)
        for node in session.get_inputs()
        for axis, dim in enumerate(node.shape)
        if isinstance(dim, str)
    }
    return tuple(
        tuple(dim if isinstance(dim, int) else symbols.get(dim) for dim in node.shape)
        for node in session.get_outputs()
    )
