"""What sessions on a GPU need of CUDA, and memory that both sides see.

The protocols are the part of the extension `edgevision._cuda` that is used here, so that a session can be tested on a
stand-in without a GPU.
"""

from __future__ import annotations

import contextlib
import math
from collections.abc import Callable, Iterable, Mapping, Sequence
from contextlib import AbstractContextManager
from dataclasses import dataclass
from importlib import import_module
from typing import TYPE_CHECKING, Any, Protocol, cast

import numpy as np
from numpy.typing import NDArray

from edgevision.backends.base import Session
from edgevision.errors import BackendError, EdgeVisionError, InputError, OutOfMemoryError

__all__ = [
    "Cuda",
    "CudaMemory",
    "DeviceSession",
    "Graph",
    "RecordedGraph",
    "Stream",
    "StreamErrors",
    "TensorMemory",
    "choose_mapped",
    "load_cuda",
]


class Stream(Protocol):
    """Work in order."""

    @property
    def handle(self) -> int: ...

    def synchronize(self) -> None: ...

    def wait(self, event: Any) -> None: ...

    def begin_capture(self) -> None: ...

    def end_capture(self) -> RecordedGraph: ...


class Graph(Protocol):
    """Recorded work."""

    def launch(self, stream: Any) -> None: ...


class RecordedGraph(Graph, Protocol):
    """What a stream recorded."""

    @property
    def host_work(self) -> int:
        """Of its steps, those that are the processor's, or copies from or to memory of its that is not pinned."""
        ...


class DeviceSession(Session, Protocol):
    """A session whose tensors lie on a GPU, for kernels there before and after the network.

    Everything below but `use_device` and `errors` may raise CudaError.
    """

    @property
    def cuda(self) -> Cuda: ...

    @property
    def stream(self) -> Any:
        """The stream that everything of this session is put on."""
        ...

    @property
    def mapped(self) -> bool:
        """Whether the GPU uses the processor's memory, so that nothing is copied."""
        ...

    @property
    def slots(self) -> int:
        """Frames that may be on their way at once; 0: only the network is wanted on the GPU."""
        ...

    @property
    def recordable(self) -> bool:
        """Whether `record` may be tried."""
        ...

    def use_device(self) -> None:
        """Makes its device this thread's."""
        ...

    def errors(self, action: str) -> AbstractContextManager[None]:
        """Turns a CudaError inside into a BackendError that says that the network could not be <action>; after any error
        the stream is waited for."""
        ...

    def input_address(self, name: str) -> int:
        """Where the GPU reads the input that `input_buffer` was last asked for, until another shape is asked for."""
        ...

    def output_address(self, name: str) -> int:
        """Where the GPU writes the output at the inputs' present shapes; BackendError where data decide its shape."""
        ...

    def has_fixed_outputs(self) -> bool:
        """Whether inputs and outputs have a place on the GPU, and the outputs' shapes follow from the inputs' present ones;
        else a frame cannot be one piece of work."""
        ...

    def output_arrays(self) -> Mapping[str, NDArray[Any]]:
        """What `download` fills, at the inputs' present shapes."""
        ...

    def lend_input(self, name: str, shape: Sequence[int], address: int, owner: object) -> bool:
        """Has the network read an input from memory of the GPU that something else writes, until `input_buffer` is asked
        for it again; nothing is copied there. False, and nothing is changed, where the processor reads that input.

        address: of elements of the input's type, aligned to 256 bytes, C-contiguous. owner: keeps them.
        Raises InputError as `input_buffer` does. The same memory again costs nothing.
        """
        ...

    def upload(self) -> None:
        """Puts copies of the input buffers on the stream; nothing where they are mapped or lent."""
        ...

    def enqueue(self) -> None:
        """Puts the network alone on the stream: no copy of inputs or outputs, no wait. It may be recorded in a graph,
        after a first run at the same shapes."""
        ...

    def download(self, names: Iterable[str]) -> None:
        """Puts copies of outputs into `output_arrays` on the stream; nothing where they are mapped."""
        ...

    def record(self, put: Callable[[], None]) -> Graph | None:
        """What `put` puts on the stream, recorded and not run; None where it cannot be, and `device` says so then."""
        ...


class Cuda(Protocol):
    """The module `edgevision._cuda`. Its calls raise CudaError, a RuntimeError."""

    Stream: Any
    """() -> Stream"""
    DeviceBuffer: Any
    """(nbytes) -> bytes of the device, at .pointer, as long as the object lives."""
    HostBuffer: Any
    """(nbytes, mapped) -> pinned bytes, at .pointer and, mapped, for the device at .device_pointer; .array(shape, dtype)
    keeps them alive."""

    Event: Any
    """() -> a point in a stream's work: .record(stream), .synchronize(), .is_reached(); streams .wait(event)."""
    ImageWriter: Any
    BoxFinder: Any
    InstanceMasks: Any
    LabelWriter: Any

    @property
    def CudaError(self) -> type[RuntimeError]: ...  # noqa: N802

    def why_no_device(self) -> str: ...

    def device_info(self, device: int) -> Any: ...

    def current_device(self) -> int: ...

    def set_device(self, device: int) -> None: ...

    def copy_async(self, destination: int, source: int, nbytes: int, stream: Any) -> None: ...

    def copy_rows_async(
        self,
        destination: int,
        destination_stride: int,
        source: int,
        source_stride: int,
        row_bytes: int,
        rows: int,
        stream: Any,
    ) -> None: ...

    def memory_device(self, pointer: int) -> int: ...

    def view_memory(self, pointer: int, shape: Sequence[int], dtype: str, owner: object) -> Any: ...

    def read_dlpack(self, capsule: object) -> tuple[int, tuple[int, ...], tuple[int, ...], Any]: ...


if TYPE_CHECKING:
    from edgevision import _cuda

    _extension: Cuda = _cuda  # that it has what is used here is checked where it is not built, too


def load_cuda() -> Cuda:
    """The extension. Raises BackendError when it was not built, or finds no device."""
    try:
        cuda = cast(Cuda, import_module("edgevision._cuda"))
    except ImportError as error:
        raise BackendError(
            "running engines needs edgevision's CUDA extension, which this installation was built without; with CUDA's "
            "nvcc installed: EDGEVISION_CUDA=ON pip install --force-reinstall --no-deps --no-binary edgevision edgevision"
        ) from error
    fault = cuda.why_no_device()
    if fault:
        raise BackendError(f"CUDA finds no device: {fault}")
    return cuda


def choose_mapped(wanted: str, info: Any) -> bool:
    """Whether a session's memory is mapped: as the option `memory` says, "auto" by what the device says of itself.

    Raises BackendError for mapped memory on a device that cannot use it.
    """
    if wanted == "mapped" and not info.can_map_host:
        raise BackendError(f"{info.name} cannot use mapped memory; pass memory='staged' or 'auto'")
    return wanted == "mapped" or (wanted == "auto" and bool(info.integrated and info.can_map_host))


class StreamErrors:
    """A context in which errors of some types become others. After any error what is on the stream is waited for: it may
    still write to memory that the caller gives back."""

    __slots__ = ("_stream", "_turn", "_types")

    def __init__(
        self, stream: Stream | None, types: type[Exception], turn: Callable[[Exception], Exception]
    ) -> None:
        """turn: the error to raise instead of one of these types; errors of edgevision's own stay as they are."""
        self._stream, self._types, self._turn = stream, types, turn

    def __enter__(self) -> None:
        pass

    def __exit__(self, kind: object, error: BaseException | None, traceback: object) -> None:
        if error is None:
            return
        if self._stream is not None:
            with contextlib.suppress(RuntimeError):
                self._stream.synchronize()
        if isinstance(error, self._types) and not isinstance(error, EdgeVisionError):
            raise self._turn(error) from error


@dataclass(slots=True)
class TensorMemory:
    """A tensor in memory that both sides see.

    array:   the processor's side.
    address: the GPU's side.
    owner:   what the GPU's side lives in.
    lent:    it is another's, and has no processor's side: nothing is copied.
    """

    array: NDArray[Any]
    address: int
    owner: Any
    lent: bool = False

    def is_lent_from(self, address: int, shape: Sequence[int]) -> bool:
        """Whether it is another's memory, there and of that shape."""
        return self.lent and (self.address, self.array.shape) == (address, tuple(shape))


class CudaMemory:
    """Memory of one device for one session's tensors.

    mapped: the GPU uses the processor's memory, and nothing is copied; else each tensor has pinned memory on the
        processor's side and its own on the GPU's.
    """

    def __init__(self, cuda: Cuda, stream: Stream, *, mapped: bool) -> None:
        self.mapped = mapped
        self._cuda = cuda
        self._stream = stream

    def allocate(self, shape: Sequence[int], dtype: str, name: str) -> TensorMemory:
        """Zeros on the processor's side; what the GPU's side holds is not said.

        name: the tensor, for the message.
        Raises OutOfMemoryError when there is not as much, InputError for a negative length.
        """
        kind = np.dtype(dtype)
        if any(length < 0 for length in shape):
            raise InputError(f"the shape of {name!r} must have no negative length, got {tuple(shape)}")
        nbytes = math.prod(shape) * kind.itemsize  # Python's integers: no length overflows
        try:
            host = self._cuda.HostBuffer(max(1, nbytes), self.mapped)
            device = host if self.mapped else self._cuda.DeviceBuffer(max(1, nbytes))
            address = host.device_pointer if self.mapped else device.pointer
        except (RuntimeError, MemoryError) as error:
            raise OutOfMemoryError(
                f"not enough memory for {name!r} at shape {tuple(shape)} ({nbytes / 2**30:.3g} GiB of {dtype}, "
                f"{'mapped' if self.mapped else 'pinned and on the GPU'}): {error}; use a smaller input or batch"
            ) from error
        raw = host.array((max(1, nbytes),), "uint8")[:nbytes]
        raw[:] = 0
        return TensorMemory(raw.view(kind).reshape(tuple(shape)), address, device)

    def upload(self, memory: TensorMemory) -> None:
        """Puts the copy to the GPU's side on the stream; nothing where both are one, or the memory is lent."""
        if not self.mapped and memory.array.nbytes and not memory.lent:
            array = memory.array
            self._cuda.copy_async(memory.address, array.ctypes.data, array.nbytes, self._stream)

    def download(self, memory: TensorMemory) -> None:
        """Puts the copy to the processor's side on the stream; nothing where both are one."""
        if not self.mapped and memory.array.nbytes:
            array = memory.array
            self._cuda.copy_async(array.ctypes.data, memory.address, array.nbytes, self._stream)
