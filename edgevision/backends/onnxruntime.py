"""ONNX Runtime: inputs and outputs bound to the session's own memory, so that a run copies and allocates nothing.

Threads: `InferenceSession` may run in several threads at once when each has its own binding, which is what a clone
is: the network, its weights and its pool of worker threads are shared.
"""

from __future__ import annotations

import os
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from os import PathLike
from types import MappingProxyType, ModuleType
from typing import Any

import numpy as np
from numpy.typing import NDArray

from edgevision.backends.base import TensorInfo
from edgevision.backends.buffers import Dim, InputBuffers, allocate, derive_shape
from edgevision.backends.options import OnnxRuntimeOptions, check_device
from edgevision.backends.source import ModelSource, import_runtime, read_source
from edgevision.errors import BackendError

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
    """What a session and its clones share."""

    session: Any
    source: ModelSource
    runtime: str
    inputs: tuple[TensorInfo, ...]
    outputs: tuple[TensorInfo, ...]
    output_dims: tuple[tuple[Dim, ...], ...]


def open_onnxruntime(
    model: str | PathLike[str] | bytes, device: str = "auto", options: OnnxRuntimeOptions | None = None
) -> OnnxRuntimeSession:
    """A session of the ONNX model at a path or in bytes.

    Raises MissingDependencyError without the library, ModelFileError for a path that is no file, InputError for a word
    that names no device, BackendError for an absent device or a network that ONNX Runtime refuses.
    """
    library = load_onnxruntime()
    runtime = f"onnxruntime {library.__version__}"
    check_device(device, ("cpu",), runtime)
    source = read_source(model)
    try:
        session = library.InferenceSession(
            source.path if source.data is None else source.data,
            _session_options(library, options or OnnxRuntimeOptions()),
            providers=["CPUExecutionProvider"],
            # Its fallback prints on stdout and tries again elsewhere.
            enable_fallback=0,
        )
    except Exception as error:  # its errors have no base class of their own
        raise source.failure("load", runtime, error) from error
    inputs = tuple(_describe(node, "input", source, runtime) for node in session.get_inputs())
    outputs = tuple(_describe(node, "output", source, runtime) for node in session.get_outputs())
    source = source.without_data()
    return OnnxRuntimeSession(_Network(session, source, runtime, inputs, outputs, _trace_dims(session)))


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
        self.device = "cpu"
        self.runtime = network.runtime
        self._run_bound = network.session.run_with_iobinding
        self._binding = network.session.io_binding()
        self._buffers = InputBuffers(network.inputs, self._bind_input)
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
            self._run_bound(self._binding)
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
        self._binding.bind_input(name, "cpu", 0, array.dtype.type, array.shape, array.ctypes.data)
        self._fixed = {}
        self._settled = False

    def _run_unsettled(self, network: _Network) -> Mapping[str, NDArray[Any]]:
        """The outputs, after learning which of them can be fixed at the inputs' present shapes."""
        self._buffers.check_complete()
        for info in network.outputs:
            if info.name not in self._fixed:
                # Bound anew each time: ONNX Runtime would keep the last run's memory and refuse another shape.
                self._binding.bind_output(info.name)
        try:
            self._run_bound(self._binding)
        except Exception as error:
            return self._run_again(network, error)
        results: dict[str, NDArray[Any]] = {}
        for info, dims, value in zip(
            network.outputs, network.output_dims, self._binding.get_outputs(), strict=True
        ):
            array = self._fixed.get(info.name)
            if array is None:
                array = value.numpy()
                if self._trusted and derive_shape(dims, self._buffers.arrays) == array.shape:
                    array = self._fix_output(info, array)
            results[info.name] = array
        self._results = MappingProxyType(results)
        self._settled = len(self._fixed) == len(network.outputs)
        return self._results

    def _fix_output(self, info: TensorInfo, value: NDArray[Any]) -> NDArray[Any]:
        """A copy of `value` in memory of ours, that the next runs write to."""
        array = allocate(value.shape, info.dtype, info.name)
        np.copyto(array, value)
        self._binding.bind_output(info.name, "cpu", 0, array.dtype.type, array.shape, array.ctypes.data)
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
