"""ONNX Runtime on a GPU as a session for kernels there before and after the network."""

from __future__ import annotations

import contextlib
from collections.abc import Callable, Iterable, Iterator, Mapping
from typing import Any, cast

from numpy.typing import NDArray

from edgevision.backends.base import require_open
from edgevision.backends.cuda import Cuda, Graph
from edgevision.backends.ort_session import Network, OnnxRuntimeSession
from edgevision.backends.ort_tensors import CudaTensors
from edgevision.errors import BackendError, EdgeVisionError

__all__ = ["OnnxRuntimeGpuSession"]


class OnnxRuntimeGpuSession(OnnxRuntimeSession):
    """A session whose tensors lie in memory of ours on the GPU: a `edgevision.backends.cuda.DeviceSession`.

    A session and its clones share one stream, which ONNX Runtime takes when the network is loaded. Its runs cannot be part
    of another's graph.
    """

    recordable = False

    def __init__(self, network: Network) -> None:
        super().__init__(network)
        self._async_options: Any = None

    @property
    def cuda(self) -> Cuda:
        """See `DeviceSession.cuda`."""
        return self._memory.cuda

    @property
    def stream(self) -> Any:
        """See `DeviceSession.stream`."""
        return self._memory.stream

    @property
    def mapped(self) -> bool:
        """See `DeviceSession.mapped`."""
        return self._memory.mapped

    @property
    def slots(self) -> int:
        """See `DeviceSession.slots`."""
        return require_open(self._network).slots

    @property
    def _memory(self) -> CudaTensors:
        return cast(CudaTensors, self._tensors)

    def use_device(self) -> None:
        """See `DeviceSession.use_device`."""
        require_open(self._network)
        self._memory.use_device()

    @contextlib.contextmanager
    def errors(self, action: str) -> Iterator[None]:
        """See `DeviceSession.errors`; the library's own errors are turned, too."""
        network = require_open(self._network)
        try:
            yield
        except BaseException as error:
            with contextlib.suppress(RuntimeError):
                self.stream.synchronize()
            if isinstance(error, RuntimeError) and not isinstance(error, EdgeVisionError):
                raise network.source.failure(action, network.runtime, error) from error
            raise

    def input_address(self, name: str) -> int:
        """See `DeviceSession.input_address`."""
        return self._memory.address("input", name)

    def output_address(self, name: str) -> int:
        """See `DeviceSession.output_address`."""
        if name not in self.output_arrays():
            raise BackendError(f"output {name!r} has no fixed place: its shape depends on the data")
        return self._memory.address("output", name)

    def has_fixed_outputs(self) -> bool:
        """See `DeviceSession.has_fixed_outputs`. It takes a run to know."""
        self.output_arrays()
        return self._settled

    def output_arrays(self) -> Mapping[str, NDArray[Any]]:
        """See `DeviceSession.output_arrays`."""
        require_open(self._network)
        if not self._settled:
            self.run()
        return self._fixed

    def upload(self) -> None:
        """See `DeviceSession.upload`."""
        self._memory.before()

    def enqueue(self) -> None:
        """See `DeviceSession.enqueue`. Nodes that the processor computes make it wait."""
        network = require_open(self._network)
        if not self._settled:
            self.run()
        if self._async_options is None:
            assert network.new_options is not None, "given with the memory on the GPU"
            made = network.new_options() if network.new_run is None else network.new_run(True)
            made.add_run_config_entry("disable_synchronize_execution_providers", "1")
            self._async_options = made
        self._run_bound(self._binding, self._async_options)

    def download(self, names: Iterable[str]) -> None:
        """See `DeviceSession.download`."""
        self._memory.download(names)

    def record(self, put: Callable[[], None]) -> Graph | None:
        """See `DeviceSession.record`: it never can."""
        return None

    def _bind_input(self, name: str, array: NDArray[Any]) -> None:
        super()._bind_input(name, array)
        self._async_options = None  # a graph of its own is of the memory that was bound
