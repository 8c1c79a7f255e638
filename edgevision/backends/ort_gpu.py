"""ONNX Runtime on a GPU as a session for kernels there before and after the network."""

from __future__ import annotations

import contextlib
import threading
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any, cast

from numpy.typing import NDArray

from edgevision.backends.base import require_open
from edgevision.backends.cuda import Cuda, Graph, StreamErrors
from edgevision.backends.ort_session import Network, OnnxRuntimeSession
from edgevision.backends.ort_tensors import CudaTensors
from edgevision.backends.recorder import Recorder
from edgevision.errors import BackendError

__all__ = ["GpuNetwork", "NetworkQueue", "OnnxRuntimeGpuSession"]


class NetworkQueue:
    """The runs of one loaded network, in order: the sessions that share it share its memory for what lies between layers.

    ONNX Runtime takes one stream when the network is loaded. Sessions have streams of their own, so that nothing of theirs
    gets into a recording of another's.
    """

    def __init__(self, cuda: Cuda) -> None:
        self.cuda = cuda
        self.stream = cuda.Stream()
        self._lock = threading.RLock()
        self._ready, self._done = cuda.Event(), cuda.Event()

    def run(self, stream: Any, work: Callable[[], None], *, recording: bool = False) -> None:
        """What `work` puts on the network's stream, after what is on `stream` and before what will be.

        recording: `stream` is being recorded.
        """
        with self._lock:
            # A graph keeps the events that it was recorded with.
            ready, done = (self.cuda.Event(), self.cuda.Event()) if recording else (self._ready, self._done)
            ready.record(stream)
            self.stream.wait(ready)
            if not recording:
                self.stream.wait(self._done)  # of a graph, on another stream
            work()
            done.record(self.stream)
            stream.wait(done)

    def launch(self, graph: Graph, stream: Any) -> None:
        """A graph with a run in it."""
        with self._lock:
            stream.wait(self._done)
            graph.launch(stream)
            self._done.record(stream)

    def exclusively(self) -> contextlib.AbstractContextManager[Any]:
        """Nothing runs or is launched meanwhile, but by this thread."""
        return self._lock


@dataclass(frozen=True)
class GpuNetwork:
    """What the sessions of one network on a GPU share beside the network.

    record:   whether graphs are wanted, and the network is one that a graph can hold.
    recorded: the options of runs that are recorded, which cannot wait for the GPU. Other runs wait: of those that do
              not, ONNX Runtime keeps memory until one does, and aborts where the network goes before that.
    slots:    as in OnnxRuntimeOptions.
    strict:   as in SessionOptions.
    """

    queue: NetworkQueue
    record: bool
    recorded: Any
    slots: int
    strict: bool


class _QueuedGraph:
    """A graph that is launched in its turn."""

    def __init__(self, graph: Graph, queue: NetworkQueue) -> None:
        self._graph, self._queue = graph, queue

    def launch(self, stream: Any) -> None:
        self._queue.launch(self._graph, stream)


class OnnxRuntimeGpuSession(OnnxRuntimeSession):
    """A session whose tensors lie in memory of ours on the GPU: a `edgevision.backends.cuda.DeviceSession`."""

    def __init__(self, network: Network) -> None:
        super().__init__(network)
        self._memory = cast(CudaTensors, self._tensors)
        shared: GpuNetwork = network.gpu
        self._shared, self._queue = shared, shared.queue
        self._recorder = Recorder(
            network.source.name, self.stream, wanted=shared.record, strict=shared.strict, trust_host=False
        )
        self._graph: Graph | None = None
        self._ran = False  # at the present shapes

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
        require_open(self._network)
        return self._shared.slots

    @property
    def recordable(self) -> bool:
        """See `DeviceSession.recordable`."""
        return self._recorder.allowed

    def use_device(self) -> None:
        """See `DeviceSession.use_device`."""
        require_open(self._network)
        self._memory.use_device()

    def errors(self, action: str) -> StreamErrors:
        """See `DeviceSession.errors`; the library's own errors are turned, too."""
        network = require_open(self._network)
        return StreamErrors(
            self.stream, RuntimeError, lambda error: network.source.failure(action, network.runtime, error)
        )

    def input_address(self, name: str) -> int:
        """See `DeviceSession.input_address`."""
        require_open(self._network)
        return self._memory.address("input", name)

    def output_address(self, name: str) -> int:
        """See `DeviceSession.output_address`."""
        if name not in self.output_arrays() or name in self._memory.on_processor:
            raise BackendError(f"output {name!r} has no fixed place on the GPU")
        return self._memory.address("output", name)

    def has_fixed_outputs(self) -> bool:
        """See `DeviceSession.has_fixed_outputs`. It takes a run to know."""
        self.output_arrays()
        return self._settled and not self._memory.on_processor

    def output_arrays(self) -> Mapping[str, NDArray[Any]]:
        """See `DeviceSession.output_arrays`."""
        require_open(self._network)
        if not self._settled:
            self.run()
        return self._fixed

    def lend_input(self, name: str, shape: Sequence[int], address: int, owner: object) -> bool:
        """See `DeviceSession.lend_input`."""
        require_open(self._network)
        if name in self._memory.on_processor:
            return False
        held = self._memory.input(name)
        if held is None or not held.is_lent_from(address, shape):
            array = self._buffers.stand_in(name, shape)
            self._bind_input_at(name, array, self._memory.lend(name, array, address, owner))
            self._buffers.lend(name, array)
        return True

    def upload(self) -> None:
        """See `DeviceSession.upload`."""
        self._memory.before()

    def enqueue(self) -> None:
        """See `DeviceSession.enqueue`. It waits for the network, but where it is recorded."""
        require_open(self._network)
        if not self._settled:
            self.run()
        recording = self._recorder.recording
        options = self._shared.recorded if recording else None
        self._queue.run(self.stream, lambda: self._run_bound(self._binding, options), recording=recording)

    def download(self, names: Iterable[str]) -> None:
        """See `DeviceSession.download`."""
        self._memory.download(names)

    def record(self, put: Callable[[], None]) -> Graph | None:
        """See `DeviceSession.record`."""
        with self._queue.exclusively():
            graph = self._recorder.record(put)
        if graph is None:
            self.device = f"{require_open(self._network).device} (without a CUDA graph)"
            return None
        return _QueuedGraph(graph, self._queue)

    def close(self) -> None:
        """See `Session.close`."""
        self._graph = None
        super().close()
        self._memory.close()

    def _put(self) -> None:
        self.upload()
        self.enqueue()
        self.download(self._fixed)

    def _run_settled(self) -> None:
        self.use_device()
        if self._graph is None and self._ran and self.recordable:
            self._graph = self.record(self._put)
        if self._graph is None:
            self._put()
        else:
            self._graph.launch(self.stream)
        self.stream.synchronize()
        self._ran = True

    def _run_alone(self) -> None:
        self._queue.run(self.stream, super()._run_alone)

    def _bind_input_at(self, name: str, array: NDArray[Any], place: tuple[str, int, int]) -> None:
        super()._bind_input_at(name, array, place)
        self._graph, self._ran = None, False

    def _run_unsettled(self, network: Network) -> Mapping[str, NDArray[Any]]:
        self._graph, self._ran = None, False
        return super()._run_unsettled(network)
