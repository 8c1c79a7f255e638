"""A network that ONNX Runtime runs, on inputs and outputs bound to the session's own memory: a run copies and allocates
nothing."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from types import MappingProxyType
from typing import Any

import numpy as np
from numpy.typing import NDArray

from edgevision.backends.base import TensorInfo, require_open
from edgevision.backends.buffers import Dim, InputBuffers, derive_shape
from edgevision.backends.ort_tensors import HostTensors, Tensors
from edgevision.backends.source import ModelSource
from edgevision.errors import EdgeVisionError

__all__ = ["Network", "OnnxRuntimeSession"]


@dataclass(frozen=True)
class Network:
    """What a session and its clones share.

    new_tensors: makes a session's memory.
    gpu:         what the sessions on a GPU share besides; None for those whose tensors are the processor's.
    """

    session: Any
    source: ModelSource
    runtime: str
    device: str
    inputs: tuple[TensorInfo, ...]
    outputs: tuple[TensorInfo, ...]
    output_dims: tuple[tuple[Dim, ...], ...]
    new_tensors: Callable[[], Tensors] = HostTensors
    gpu: Any = None


class OnnxRuntimeSession:
    """A network that ONNX Runtime runs; see `edgevision.backends.Session`."""

    def __init__(self, network: Network) -> None:
        self._network: Network | None = network
        self.inputs = network.inputs
        self.outputs = network.outputs
        self.device = network.device
        self.runtime = network.runtime
        self._tensors = network.new_tensors()
        self._run_bound = network.session.run_with_iobinding
        self._binding = network.session.io_binding()
        self._buffers = InputBuffers(network.inputs, self._bind_input, self._tensors.allocate)
        # Outputs bound to an array of ours. The rest are bound anew for each run, which allocates them.
        self._fixed: dict[str, NDArray[Any]] = {}
        self._results: Mapping[str, NDArray[Any]] = MappingProxyType({})
        self._settled = False  # every input is bound and every output fixed
        self._trusted = True  # the shapes that the graph declares for its outputs have not been caught lying

    def input_buffer(self, name: str, shape: Sequence[int]) -> NDArray[Any]:
        """See `Session.input_buffer`."""
        require_open(self._network)
        return self._buffers.get(name, shape)

    def largest_batch(self, name: str) -> int | None:
        """See `Session.largest_batch`: the network's own, where it has one."""
        return next(info.shape[0] for info in self.inputs if info.name == name)

    def run(self, feeds: Mapping[str, NDArray[Any]] | None = None) -> Mapping[str, NDArray[Any]]:
        """See `Session.run`. Outputs whose shape follows from the inputs' keep their memory from run to run."""
        network = require_open(self._network)
        if feeds is not None:
            self._buffers.load(feeds)
        if not self._settled:
            return self._run_unsettled(network)
        try:
            self._run_settled()
        except (EdgeVisionError, Warning):  # a warning where Python makes errors of them
            raise
        except Exception as error:
            return self._run_again(network, error)
        return self._results

    def clone(self) -> OnnxRuntimeSession:
        """See `Session.clone`."""
        return type(self)(require_open(self._network))

    def close(self) -> None:
        """See `Session.close`."""
        self._network = self._run_bound = self._binding = None
        self._buffers.arrays.clear()
        self._fixed = {}
        self._results = MappingProxyType({})

    def _run_settled(self) -> None:
        """A run whose inputs and outputs all have their memory."""
        self._tensors.before()
        self._run_alone()
        self._tensors.after(self._fixed)

    def _run_alone(self) -> None:
        """ONNX Runtime's part of a run, and a wait for it."""
        self._run_bound(self._binding, None)

    def _bind_input(self, name: str, array: NDArray[Any]) -> None:
        self._bind_input_at(name, array, self._tensors.place("input", name, array))

    def _bind_input_at(self, name: str, array: NDArray[Any], place: tuple[str, int, int]) -> None:
        """place: the kind of device, its number, the address there. array: has the type and shape."""
        kind, number, address = place
        self._binding.bind_input(name, kind, number, array.dtype.type, array.shape, address)
        self._fixed = {}
        self._settled = False

    def _run_unsettled(self, network: Network) -> Mapping[str, NDArray[Any]]:
        """The outputs, after learning which of them can be fixed at the inputs' present shapes."""
        self._buffers.check_complete()
        for info in network.outputs:
            if info.name not in self._fixed:
                # Bound anew each time: ONNX Runtime would keep the last run's memory and refuse another shape.
                self._binding.bind_output(info.name)
        try:
            self._tensors.before()
            self._run_alone()
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
        return self._results

    def _fix_output(self, info: TensorInfo, value: NDArray[Any]) -> NDArray[Any]:
        """A copy of `value` in memory of ours, that the next runs write to."""
        array = self._tensors.allocate(value.shape, info.dtype, info.name)
        np.copyto(array, value)
        kind, number, address = self._tensors.place("output", info.name, array)
        self._binding.bind_output(info.name, kind, number, array.dtype.type, array.shape, address)
        self._fixed[info.name] = array
        return array

    def _run_again(self, network: Network, error: Exception) -> Mapping[str, NDArray[Any]]:
        """The outputs without fixed ones, when those may be why the run failed; else raises BackendError.

        A graph may declare a constant shape for an output that really depends on the data: then the array that fitted
        one run is refused in a later one.
        """
        if not self._fixed:
            raise network.source.failure("run", network.runtime, error) from error
        self._fixed = {}
        self._settled = self._trusted = False
        return self._run_unsettled(network)
