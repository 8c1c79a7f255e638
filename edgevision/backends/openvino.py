"""OpenVINO: requests that read the session's own memory and write, where the shape is known, to it as well.

Threads: the compiled network is shared by a session and its clones; each has its own request. With one stream (the
default) runs of several clones queue; `streams` lets them run side by side.
"""

from __future__ import annotations

import sys
import warnings
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from io import BytesIO
from os import PathLike
from types import MappingProxyType, ModuleType
from typing import Any

import numpy as np
from numpy.typing import NDArray

from edgevision.backends.base import TensorInfo, require_open
from edgevision.backends.buffers import Dim, InputBuffers, allocate, derive_shape
from edgevision.backends.options import OpenVinoOptions, check_device
from edgevision.backends.source import ModelSource, import_runtime, read_source
from edgevision.errors import BackendError, EdgeVisionWarning

__all__ = ["OpenVinoSession", "open_openvino"]

_DTYPES = {
    "f32": "float32",
    "f16": "float16",
    "f64": "float64",
    "boolean": "bool",
    **{
        f"{sign}{bits}": f"{name}{bits}"
        for sign, name in (("i", "int"), ("u", "uint"))
        for bits in (8, 16, 32, 64)
    },
}
"""OpenVINO's name of an element type -> NumPy's; other types (text, bfloat16, 4 bits) have none."""

_PRECISIONS = {"float32": "f32", "bfloat16": "bf16", "float16": "f16"}

_NO_FEEDS: dict[int, Any] = {}


@dataclass(frozen=True)
class _Network:
    """What a session and its clones share."""

    library: ModuleType
    compiled: Any
    source: ModelSource
    runtime: str
    device: str
    inputs: tuple[TensorInfo, ...]
    outputs: tuple[TensorInfo, ...]
    output_dims: tuple[tuple[Dim, ...], ...]


def open_openvino(
    model: str | PathLike[str] | bytes, device: str = "auto", options: OpenVinoOptions | None = None
) -> OpenVinoSession:
    """A session of the ONNX or OpenVINO (.xml) model at a path, or of the ONNX model in bytes.

    Raises MissingDependencyError without the library, ModelFileError for a path that is no file, InputError for a word
    that names no device, BackendError for an absent device, a network that OpenVINO refuses, or, when
    `options.strict`, a precision that it does not have here.
    """
    options = options or OpenVinoOptions()
    library = _import_openvino()
    runtime = f"openvino {library.__version__.partition('-')[0]}"
    check_device(device, ("cpu",), runtime)
    source = read_source(model)
    core = library.Core()
    try:
        graph = _read_graph(core, source)
        inputs = tuple(_describe(port, "input", source, runtime) for port in graph.inputs)
        outputs = tuple(_describe(port, "output", source, runtime) for port in graph.outputs)
        dims = _trace_dims(library, graph, inputs)
        compiled = core.compile_model(graph, "CPU", _properties(options))
        precision = compiled.get_property("INFERENCE_PRECISION_HINT").get_type_name()
    except BackendError:
        raise
    except Exception as error:  # it raises whatever fits: RuntimeError, TypeError, ...
        raise source.failure("load", runtime, error) from error
    where = _check_precision(options, precision, source, runtime)
    source = source.without_data()
    return OpenVinoSession(_Network(library, compiled, source, runtime, where, inputs, outputs, dims))


class OpenVinoSession:
    """A network that OpenVINO runs; see `edgevision.backends.Session`."""

    def __init__(self, network: _Network) -> None:
        self._network: _Network | None = network
        self.inputs = network.inputs
        self.outputs = network.outputs
        self.device = network.device
        self.runtime = network.runtime
        self._request = network.compiled.create_infer_request()
        self._tensor = network.library.Tensor
        self._positions = {info.name: position for position, info in enumerate(network.inputs)}
        self._buffers = InputBuffers(network.inputs, self._bind_input)
        self._arrays: dict[str, NDArray[Any]] = {}
        self._results: Mapping[str, NDArray[Any]] = MappingProxyType(self._arrays)
        # Outputs that are copied from the request's memory after each run: (position, name).
        self._copied = [
            (position, info.name)
            for position, (info, dims) in enumerate(zip(network.outputs, network.output_dims, strict=True))
            if None in dims
        ]
        self._settled = False  # every input is bound, and every output that is not copied

    def input_buffer(self, name: str, shape: Sequence[int]) -> NDArray[Any]:
        """See `Session.input_buffer`."""
        require_open(self._network)
        return self._buffers.get(name, shape)

    def largest_batch(self, name: str) -> int | None:
        """See `Session.largest_batch`: the network's own, where it has one."""
        return next(info.shape[0] for info in self.inputs if info.name == name)

    def run(self, feeds: Mapping[str, NDArray[Any]] | None = None) -> Mapping[str, NDArray[Any]]:
        """See `Session.run`. Outputs keep their memory from run to run while their shape stays."""
        network = require_open(self._network)
        if feeds is not None:
            self._buffers.load(feeds)
        if not self._settled:
            self._settle(network)
        try:
            self._request.infer(_NO_FEEDS, share_outputs=True)  # not shared: it would copy every output
            if self._copied:
                self._copy_outputs(network)
        except BackendError:
            raise
        except Exception as error:
            raise network.source.failure("run", network.runtime, error) from error
        return self._results

    def clone(self) -> OpenVinoSession:
        """See `Session.clone`."""
        return OpenVinoSession(require_open(self._network))

    def close(self) -> None:
        """See `Session.close`."""
        self._network = self._request = None
        self._buffers.arrays.clear()
        self._arrays = {}
        self._results = MappingProxyType(self._arrays)

    def _bind_input(self, name: str, array: NDArray[Any]) -> None:
        self._request.set_input_tensor(self._positions[name], self._tensor(array, shared_memory=True))
        self._settled = False

    def _settle(self, network: _Network) -> None:
        """Give the request an array of ours for each output whose shape follows from the inputs'.

        This must be exact: an output array that is too small is neither refused nor enlarged, the result is cut.
        """
        self._buffers.check_complete()
        arrays: dict[str, NDArray[Any]] = {}
        for position, (info, dims) in enumerate(zip(network.outputs, network.output_dims, strict=True)):
            array = self._arrays.get(info.name)
            shape = derive_shape(dims, self._buffers.arrays)
            if shape is not None and (array is None or array.shape != shape):
                array = allocate(shape, info.dtype, info.name)
                self._request.set_output_tensor(position, self._tensor(array, shared_memory=True))
            # One that is copied starts empty: its shape is known after the run.
            arrays[info.name] = allocate((0,), info.dtype, info.name) if array is None else array
        self._arrays = arrays
        self._results = MappingProxyType(arrays)
        self._settled = True

    def _copy_outputs(self, network: _Network) -> None:
        """Copy the outputs of unforeseeable shape: the request frees their memory when a later run needs more."""
        for position, name in self._copied:
            value = self._request.get_output_tensor(position).data
            array = self._arrays[name]
            if array.shape != value.shape:
                array = self._arrays[name] = allocate(value.shape, network.outputs[position].dtype, name)
            np.copyto(array, value)


def _import_openvino() -> ModuleType:
    """The library, without the report that importing it sends to Google Analytics.

    `import openvino` imports its model converter, which announces the import through the package openvino_telemetry
    unless the user has opted out. It does without that package where it is not installed, so it is hidden meanwhile.
    """
    hide = "openvino" not in sys.modules and "openvino_telemetry" not in sys.modules
    if hide:
        sys.modules["openvino_telemetry"] = None  # type: ignore[assignment]
    try:
        return import_runtime("openvino", "openvino")
    finally:
        if hide:
            del sys.modules["openvino_telemetry"]


def _read_graph(core: Any, source: ModelSource) -> Any:
    """The uncompiled network.

    ONNX goes straight to its reader: `read_model` shows a file that this one refuses, damaged or hostile, to the
    readers of five other formats, which complain on stderr.
    """
    if source.path is not None and not source.path.lower().endswith(".onnx"):
        return core.read_model(source.path)
    reader = import_runtime("openvino.frontend", "openvino").FrontEndManager().load_by_framework("onnx")
    return reader.convert(reader.load(source.path if source.data is None else BytesIO(source.data)))


def _properties(options: OpenVinoOptions) -> dict[str, Any]:
    properties: dict[str, Any] = {"PERFORMANCE_HINT": "LATENCY", "NUM_STREAMS": options.streams}
    if options.threads is not None:
        properties["INFERENCE_NUM_THREADS"] = options.threads
    if options.precision != "auto":
        properties["INFERENCE_PRECISION_HINT"] = _PRECISIONS[options.precision]
    return properties


def _check_precision(options: OpenVinoOptions, compiled: str, source: ModelSource, runtime: str) -> str:
    """The session's `device`; warns or raises when the network was compiled at another precision than asked for."""
    if options.precision == "auto" or compiled == _PRECISIONS[options.precision]:
        return "cpu"
    real = {short: name for name, short in _PRECISIONS.items()}.get(compiled, compiled)
    message = f"{runtime} computes {source.name} in {real}: this processor has no {options.precision}"
    if options.strict:
        raise BackendError(
            f"{message}; ask for precision={real!r} or 'auto', or let it fall back with strict=False"
        )
    warnings.warn(f"{message}; ask for precision={real!r} to silence this", EdgeVisionWarning, stacklevel=5)
    return f"cpu ({real} instead of {options.precision})"


def _describe(port: Any, kind: str, source: ModelSource, runtime: str) -> TensorInfo:
    name, shape = _name(port), port.get_partial_shape()
    element = port.get_element_type().get_type_name()
    dtype = _DTYPES.get(element)
    if dtype is None:
        raise BackendError(
            f"{kind} {name!r} of {source.name} is {element} for {runtime}; accepted are tensors of "
            f"{', '.join(sorted(_DTYPES.values()))}: export the network without it, or with a cast"
        )
    if shape.rank.is_dynamic:
        return TensorInfo(name, (), dtype)
    return TensorInfo(name, tuple(None if dim.is_dynamic else dim.get_length() for dim in shape), dtype)


def _name(port: Any) -> str:
    """The tensor's name in the graph.

    A port carries the names of every tensor around removed Identity and Dropout nodes, or only another one's. Reliable
    are, in networks that come from ONNX, the names of the nodes: an input's is its own, an output's ends in
    "/sink_port_0".
    """
    names = port.get_names()
    own, sink, _ = port.get_node().get_friendly_name().partition("/sink_port_")
    return str(own if sink or own in names or not names else port.get_any_name())


def _trace_dims(library: ModuleType, graph: Any, inputs: Sequence[TensorInfo]) -> tuple[tuple[Dim, ...], ...]:
    """Where each dimension of each output comes from.

    Each dynamic dimension of the inputs gets a symbol; OpenVINO hands it on to what it knows to be equal.
    """
    shapes, symbols = {}, []
    for port, info in zip(graph.inputs, inputs, strict=True):
        shape = port.get_partial_shape()
        if shape.rank.is_dynamic:
            continue
        for axis, dim in enumerate(shape):
            if dim.is_dynamic:
                symbol = library.Symbol()
                dim.set_symbol(symbol)
                shape[axis] = dim
                symbols.append((symbol, (info.name, axis)))
        shapes[port] = shape
    if symbols:
        graph.reshape(shapes)

    def trace(dim: Any) -> Dim:
        if not dim.is_dynamic:
            return int(dim.get_length())
        return next((origin for symbol, origin in symbols if dim.get_symbol() == symbol), None)

    def trace_port(port: Any) -> tuple[Dim, ...]:
        shape = port.get_partial_shape()
        # An output that is an input unchanged is the same port: an array given to the one would replace the other's.
        unchanged = port.get_node().input_value(0).get_node().get_type_name() == "Parameter"
        return (None,) if unchanged or shape.rank.is_dynamic else tuple(map(trace, shape))

    return tuple(map(trace_port, graph.outputs))
