"""A stand-in for `edgevision._cuda` in NumPy memory, as strict as a GPU is and as late.

What is put on a stream happens when the stream is waited for, not before. Memory of the device is no memory of the
processor's arrays, addresses are checked against what lives at that moment, and a failing call can be chosen.
"""

from __future__ import annotations

import ctypes
import weakref
from collections.abc import Callable
from types import ModuleType, SimpleNamespace
from typing import Any

import numpy as np

ALIGNMENT = 256


class CudaError(RuntimeError):
    pass


class FakeCuda(ModuleType):
    """The module.

    fail:    which call fails: "device", "pinned", "stream", "copy", "synchronize", "capture", "launch".
    regions: address -> bytes of everything that lives and that the GPU may use.
    counts:  how often each call was made.
    """

    def __init__(self, *, integrated: bool = False, can_map_host: bool = True, devices: int = 1) -> None:
        super().__init__("edgevision._cuda")
        self.CudaError = CudaError
        self.fail = ""
        self.regions: dict[int, int] = {}
        self.pinned: dict[int, int] = {}
        self.counts: dict[str, int] = {}
        self.streams: dict[int, Stream] = {}
        self.devices = devices
        self.host_work = 0  # of graphs
        self.current = 0
        self.info = SimpleNamespace(name="fake GPU", integrated=integrated, can_map_host=can_map_host)
        self.Stream = lambda: Stream(self)
        self.Event = lambda: Event(self)
        self.DeviceBuffer = lambda nbytes: DeviceBuffer(self, nbytes)
        self.HostBuffer = lambda nbytes, mapped=False: HostBuffer(self, nbytes, mapped)

    def why_no_device(self) -> str:
        return "" if self.devices else "no CUDA-capable device is detected"

    def device_info(self, device: int) -> Any:
        assert 0 <= device < self.devices
        return self.info

    def current_device(self) -> int:
        return self.current

    def set_device(self, device: int) -> None:
        assert 0 <= device < self.devices
        self.current = device

    def copy_async(self, destination: int, source: int, nbytes: int, stream: Stream) -> None:
        self._copy(destination, nbytes, source, nbytes, nbytes, 1, stream)

    def copy_rows_async(self, *given: Any) -> None:
        self._copy(*given)

    def _copy(
        self,
        destination: int,
        destination_stride: int,
        source: int,
        source_stride: int,
        row_bytes: int,
        rows: int,
        stream: Stream,
    ) -> None:
        self.count("copy")

        def copy() -> None:
            for row in range(rows):
                there, here = destination + row * destination_stride, source + row * source_stride
                self.check(there, row_bytes, pinned=True)
                self.check(here, row_bytes, pinned=True)
                ctypes.memmove(there, here, row_bytes)

        stream.put(copy)

    def count(self, call: str) -> None:
        self.counts[call] = self.counts.get(call, 0) + 1
        if self.fail == call:
            raise CudaError(f"cuda {call} failed: cudaErrorMemoryAllocation: out of memory")

    def check(self, address: int, nbytes: int, *, pinned: bool = False) -> None:
        """Asserts that so many bytes there live, in memory that the GPU (or, pinned, a copy) may use."""
        spans = {**self.regions, **(self.pinned if pinned else {})}
        assert any(start <= address and address + nbytes <= start + size for start, size in spans.items()), (
            f"{nbytes} bytes at {address:#x} are not the GPU's"
        )


def _aligned(nbytes: int) -> np.ndarray:
    if nbytes < 1:
        raise ValueError(f"nbytes must be 1 or more, got {nbytes}")
    if nbytes >= 1 << 63:
        raise MemoryError(f"a buffer of {nbytes} bytes is more than any memory; at most 2**63 - 1")
    if nbytes > 1 << 40:
        raise CudaError(f"cudaMalloc of {nbytes} bytes: cudaErrorMemoryAllocation: out of memory")
    raw = np.empty(nbytes + ALIGNMENT, np.uint8)
    start = -raw.ctypes.data % ALIGNMENT
    return raw[start : start + nbytes]


class DeviceBuffer:
    def __init__(self, cuda: FakeCuda, nbytes: int) -> None:
        cuda.count("device")
        self._memory = _aligned(nbytes)
        self._memory[:] = 0xCD  # what nobody wrote is seen
        self.pointer = self._memory.ctypes.data
        self.nbytes = nbytes
        cuda.regions[self.pointer] = nbytes
        weakref.finalize(self, cuda.regions.pop, self.pointer)


class HostBuffer:
    def __init__(self, cuda: FakeCuda, nbytes: int, mapped: bool) -> None:
        cuda.count("pinned")
        self._memory = _aligned(nbytes)
        self._memory[:] = 0xCD
        self.pointer = self._memory.ctypes.data
        self.nbytes = nbytes
        self._mapped = mapped
        spans = cuda.regions if mapped else cuda.pinned
        spans[self.pointer] = nbytes
        # The memory lives as long as any array in it.
        weakref.finalize(self._memory.base, spans.pop, self.pointer)

    @property
    def device_pointer(self) -> int:
        assert self._mapped
        return self.pointer

    def array(self, shape: tuple[int, ...], dtype: str = "float32", offset: int = 0) -> np.ndarray:
        nbytes = int(np.prod(shape, dtype=int)) * np.dtype(dtype).itemsize
        assert offset + nbytes <= self.nbytes
        return self._memory[offset : offset + nbytes].view(dtype).reshape(shape)


class Graph:
    def __init__(self, cuda: FakeCuda, work: list[Callable[[], None]]) -> None:
        self._cuda, self._work = cuda, work
        self.host_work = cuda.host_work

    def launch(self, stream: Stream) -> None:
        self._cuda.count("launch")
        for one in self._work:
            stream.put(one)


class Stream:
    def __init__(self, cuda: FakeCuda) -> None:
        cuda.count("stream")
        self._cuda = cuda
        self.handle = 0x1000 + len(cuda.streams)
        cuda.streams[self.handle] = self
        self._queue: list[Callable[[], None]] = []
        self._recorded: list[Callable[[], None]] | None = None
        self.broken = False  # the recording was made invalid

    @property
    def capturing(self) -> bool:
        return self._recorded is not None

    def put(self, work: Callable[[], None]) -> None:
        (self._queue if self._recorded is None else self._recorded).append(work)

    def synchronize(self) -> None:
        assert not self.capturing, "a stream that is captured cannot be waited for"
        while self._queue:  # which other streams that are waited for shorten meanwhile
            self._queue.pop(0)()
        self._cuda.count("synchronize")

    def begin_capture(self) -> None:
        self._cuda.count("capture")
        assert not self.capturing
        self._recorded, self.broken = [], False

    def end_capture(self) -> Graph:
        work, self._recorded = self._recorded, None
        assert work is not None
        joined = [stream for stream in self._cuda.streams.values() if stream._recorded is work]
        for stream in joined:
            stream._recorded = None
        if self.broken:
            raise CudaError("cudaStreamEndCapture: cudaErrorStreamCaptureInvalidated")
        if joined:
            raise CudaError("cudaStreamEndCapture: cudaErrorStreamCaptureUnjoined")
        return Graph(self._cuda, work)

    def wait(self, event: Event) -> None:
        """A stream that waits for an event of a recording is recorded, too, until the one that records waits for it."""
        recorded = event.recorded
        if recorded is None:
            assert not self.capturing, (
                "what is recorded cannot wait for what is not (cudaErrorStreamCaptureIsolation)"
            )
            self.put(event.reaching())
        elif self._recorded is None:
            self._recorded = recorded
        else:
            assert self._recorded is recorded
            event.leave()


class Event:
    """Reached when its stream gets there."""

    def __init__(self, cuda: FakeCuda) -> None:
        cuda.count("event")
        self._cuda = cuda
        self._stream: Stream | None = None
        self._marks: list[int] = []  # of recordings: the first is not reached yet
        self._number = 0
        self.recorded: list[Callable[[], None]] | None = None  # by a stream that was being recorded

    def record(self, stream: Stream) -> None:
        self._stream, self._number = stream, self._number + 1
        self.recorded = stream._recorded
        if self.recorded is None:
            mark = self._number
            self._marks.append(mark)
            stream.put(lambda: self._marks.remove(mark))

    def leave(self) -> None:
        """Its stream is recorded no longer."""
        self._stream._recorded = None

    def is_reached(self) -> bool:
        return not self._marks

    def synchronize(self) -> None:
        self._cuda.count("synchronize")
        self.reaching()()

    def reaching(self) -> Callable[[], None]:
        """Does what is before it, as it was last recorded, on its stream."""
        stream, number = self._stream, self._number

        def reach() -> None:
            while self._marks and self._marks[0] <= number:
                stream._queue.pop(0)()

        return reach
