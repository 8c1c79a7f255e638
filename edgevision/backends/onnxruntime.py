"""ONNX Runtime: inputs and outputs bound to the session's own memory, so that a run copies and allocates nothing.

Threads: `InferenceSession` may run in several threads at once when each has its own binding, which is what a clone
is: the network, its weights and its pool of worker threads are shared.
"""

from __future__ import annotations

import os
import warnings
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from functools import partial
from itertools import count
from os import PathLike
from types import MappingProxyType, ModuleType
from typing import Any

import numpy as np
from numpy.typing import NDArray

from edgevision.backends.base import TensorInfo
from edgevision.backends.buffers import Dim, InputBuffers, derive_shape
from edgevision.backends.cuda import Cuda, choose_mapped, load_cuda
from edgevision.backends.options import OnnxRuntimeOptions
from edgevision.backends.ort_providers import (
    CPU_PROVIDER,
    GpuPlace,
    can_tell_nodes,
    choose_place,
    describe_fallback,
    explain_not_started,
    preload_libraries,
)
from edgevision.backends.ort_tensors import CudaTensors, HostTensors, Tensors
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


@dataclass(frozen=True)
class _Network:
    """What a session and its clones share.

    new_tensors: makes a session's memory. new_run: makes the options of a run that is recorded as a CUDA graph of its own;
        None: runs are not. stream: what runs on a GPU are put on; it must live as long as the session.
    """

    session: Any
    source: ModelSource
    runtime: str
    device: str
    inputs: tuple[TensorInfo, ...]
    outputs: tuple[TensorInfo, ...]
    output_dims: tuple[tuple[Dim, ...], ...]
    new_tensors: Callable[[], Tensors]
    new_run: Callable[[bool], Any] | None = None
    stream: Any = None


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
    return OnnxRuntimeSession(_describe_network(session, source, runtime, where, HostTensors))


def _open_gpu(
    library: ModuleType, source: ModelSource, options: OnnxRuntimeOptions, place: GpuPlace, runtime: str
) -> OnnxRuntimeSession | str:
    """The session on a GPU; why a provider did not start."""
    preload_libraries(library)
    cuda, stream = _our_cuda(options, place)
    providers = place.arguments(options, None if stream is None else stream.handle)
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
    new_tensors: Callable[[], Tensors] = HostTensors
    if cuda is not None:
        mapped = choose_mapped(options.memory, cuda.device_info(place.index))
        new_tensors = partial(CudaTensors, cuda, stream, place.index, mapped=mapped)
    new_run = partial(_graph_run, library, count(1)) if options.cuda_graph else None
    runtime = f"{runtime} ({place.providers[0]})"
    return OnnxRuntimeSession(
        _describe_network(session, source, runtime, where, new_tensors, new_run, stream)
    )


def _our_cuda(options: OnnxRuntimeOptions, place: GpuPlace) -> tuple[Cuda | None, Any]:
    """The extension and a stream of its; None, None where it is not built: then ONNX Runtime copies by itself."""
    try:
        cuda = load_cuda()
    except BackendError:
        if options.cuda_graph or options.memory != "auto":
            raise
        return None, None
    cuda.set_device(place.index)
    return cuda, cuda.Stream()


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


def _describe_network(
    session: Any,
    source: ModelSource,
    runtime: str,
    device: str,
    new_tensors: Callable[[], Tensors],
    new_run: Callable[[bool], Any] | None = None,
    stream: Any = None,
) -> _Network:
    inputs = tuple(_describe(node, "input", source, runtime) for node in session.get_inputs())
    outputs = tuple(_describe(node, "output", source, runtime) for node in session.get_outputs())
    source = source.without_data()
    dims = _trace_dims(session)
    return _Network(session, source, runtime, device, inputs, outputs, dims, new_tensors, new_run, stream)


def _graph_run(library: ModuleType, numbers: Iterator[int], settled: bool) -> Any:
    """The options of runs that share a CUDA graph, if they have settled memory; else of one that is not recorded."""
    run = library.RunOptions()
    run.add_run_config_entry("gpu_graph_id", str(next(numbers)) if settled else "-1")
    return run


def load_onnxruntime() -> ModuleType:
    """The library, silenced. Raises MissingDependencyError without it, BackendError where it cannot be loaded."""
    # Official builds (1.32 does, 1.17 does not yet) write a device identifier to the user's cache folder and report
    # to Microsoft from the moment they are imported; this variable is the documented way to stop them, and only works
    # before the import. Who wants the reports sets it to 0.
    os.environ.setdefault("ORT_DISABLE_TELEMETRY", "1")
    return import_runtime("onnxruntime", "cpu")


class OnnxRuntimeSession:
    """A network that ONNX Runtime runs; see `edgevision.backends.Session`."""

    def __init__(self, network: _Network) -> None:
        self._network: _Network | None = network
        self.inputs = network.inputs
        self.outputs = network.outputs
        self.device = network.device
        self.runtime = network.runtime
        self._tensors = network.new_tensors()
        self._run_bound = network.session.run_with_iobinding
        self._binding = network.session.io_binding()
        self._buffers = InputBuffers(network.inputs, self._bind_input, self._tensors.allocate)
        self._run_options: Any = None
        # Outputs bound to an array of ours. The rest are bound anew for each run, which allocates them.
        self._fixed: dict[str, NDArray[Any]] = {}
        self._results: Mapping[str, NDArray[Any]] = MappingProxyType({})
        self._settled = False  # every input is bound and every output fixed
        self._trusted = True  # the shapes that the graph declares for its outputs have not been caught lying

    def input_buffer(self, name: str, shape: Sequence[int]) -> NDArray[Any]:
        """See `Session.input_buffer`."""
        if self._network is None:
            raise _closed()
        return self._buffers.get(name, shape)

    def largest_batch(self, name: str) -> int | None:
        """See `Session.largest_batch`: the network's own, where it has one."""
        return next(info.shape[0] for info in self.inputs if info.name == name)

    def run(self, feeds: Mapping[str, NDArray[Any]] | None = None) -> Mapping[str, NDArray[Any]]:
        """See `Session.run`. Outputs whose shape follows from the inputs' keep their memory from run to run."""
        if self._network is None:
            raise _closed()
        if feeds is not None:
            self._buffers.load(feeds)
        if not self._settled:
            return self._run_unsettled(self._network)
        try:
            self._tensors.before()
            self._run_bound(self._binding, self._run_options)
            self._tensors.after(self._fixed)
        except Exception as error:
            return self._run_again(self._network, error)
        return self._results

    def clone(self) -> OnnxRuntimeSession:
        """See `Session.clone`."""
        if self._network is None:
            raise _closed()
        return OnnxRuntimeSession(self._network)

    def close(self) -> None:
        """See `Session.close`."""
        self._network = self._run_bound = self._binding = None
        self._buffers.arrays.clear()
        self._fixed = {}
        self._results = MappingProxyType({})

    def _bind_input(self, name: str, array: NDArray[Any]) -> None:
        kind, number, address = self._tensors.place("input", name, array)
        self._binding.bind_input(name, kind, number, array.dtype.type, array.shape, address)
        self._fixed = {}
        self._settled = False

    def _run_unsettled(self, network: _Network) -> Mapping[str, NDArray[Any]]:
        """The outputs, after learning which of them can be fixed at the inputs' present shapes."""
        self._buffers.check_complete()
        for info in network.outputs:
            if info.name not in self._fixed:
                # Bound anew each time: ONNX Runtime would keep the last run's memory and refuse another shape.
                self._binding.bind_output(info.name)
        new_run = network.new_run
        try:
            self._tensors.before()
            self._run_bound(self._binding, new_run and new_run(False))
            self._tensors.after(self._fixed)
        except Exception as error:
            return self._run_again(network, error)
        results: dict[str, NDArray[Any]] = {}
        for info, dims, value in zip(
            network.outputs, network.output_dims, self._binding.get_outputs(), strict=True
        ):
            array = self._fixed.get(info.name)
            if array is None:
                array = value.numpy()
                # An output that is an input is not written: ONNX Runtime hands the feed through.
                is_input = info.name in self._buffers.arrays
                if self._trusted and not is_input and derive_shape(dims, self._buffers.arrays) == array.shape:
                    array = self._fix_output(info, array)
            results[info.name] = array
        self._results = MappingProxyType(results)
        self._settled = len(self._fixed) == len(network.outputs)
        if self._settled and new_run is not None:
            self._run_options = new_run(True)
        return self._results

    def _fix_output(self, info: TensorInfo, value: NDArray[Any]) -> NDArray[Any]:
        """A copy of `value` in memory of ours, that the next runs write to."""
        array = self._tensors.allocate(value.shape, info.dtype, info.name)
        np.copyto(array, value)
        kind, number, address = self._tensors.place("output", info.name, array)
        self._binding.bind_output(info.name, kind, number, array.dtype.type, array.shape, address)
        self._fixed[info.name] = array
        return array

    def _run_again(self, network: _Network, error: Exception) -> Mapping[str, NDArray[Any]]:
        """The outputs without fixed ones, when those may be why the run failed; else raises BackendError.

        A graph may declare a constant shape for an output that really depends on the data: then the array that fitted
        one run is refused in a later one.
        """
        if not self._fixed:
            raise network.source.failure("run", network.runtime, error) from error
        self._fixed = {}
        self._settled = self._trusted = False
        return self._run_unsettled(network)


def _closed() -> BackendError:
    return BackendError("the session is closed; open the model again")


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
