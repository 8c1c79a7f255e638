"""Where a session of ONNX Runtime has its tensors: the processor's memory, or a GPU's."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from typing import Any, Protocol

from numpy.typing import NDArray

from edgevision.backends.buffers import allocate
from edgevision.backends.cuda import Cuda, CudaMemory, Stream, TensorMemory

__all__ = ["CudaTensors", "HostTensors", "Tensors"]


class Tensors(Protocol):
    """Arrays for the processor, and where ONNX Runtime reads and writes them."""

    def allocate(self, shape: Sequence[int], dtype: str, name: str) -> NDArray[Any]: ...

    def place(self, kind: str, name: str, array: NDArray[Any]) -> tuple[str, int, int]:
        """The kind of device, its number, the address there, of an array just allocated here: the "input" or "output" of
        that name from now on."""
        ...

    def before(self) -> None:
        """The inputs are about to be read."""
        ...

    def after(self, outputs: Iterable[str]) -> None:
        """These outputs were written; returns when the arrays hold them."""
        ...


class HostTensors:
    """The processor's memory; ONNX Runtime copies to a GPU by itself."""

    def allocate(self, shape: Sequence[int], dtype: str, name: str) -> NDArray[Any]:
        return allocate(shape, dtype, name)

    def place(self, kind: str, name: str, array: NDArray[Any]) -> tuple[str, int, int]:
        return "cpu", 0, array.ctypes.data

    def before(self) -> None:
        pass

    def after(self, outputs: Iterable[str]) -> None:
        pass


class CudaTensors:
    """Memory of ours on a GPU, filled and read on the stream that the network runs on."""

    def __init__(self, cuda: Cuda, stream: Stream, device: int, *, mapped: bool) -> None:
        self._cuda = cuda
        self._stream = stream
        self._device = device
        self._memory = CudaMemory(cuda, stream, mapped=mapped)
        self._made: dict[int, TensorMemory] = {}
        self._tensors: dict[str, dict[str, TensorMemory]] = {"input": {}, "output": {}}

    def allocate(self, shape: Sequence[int], dtype: str, name: str) -> NDArray[Any]:
        self._use_device()
        memory = self._memory.allocate(shape, dtype, name)
        self._made[id(memory.array)] = memory
        return memory.array

    def place(self, kind: str, name: str, array: NDArray[Any]) -> tuple[str, int, int]:
        memory = self._tensors[kind][name] = self._made.pop(id(array))
        return "cuda", self._device, memory.address

    def before(self) -> None:
        self._use_device()
        for memory in self._tensors["input"].values():
            self._memory.upload(memory)

    def after(self, outputs: Iterable[str]) -> None:
        for name in outputs:
            self._memory.download(self._tensors["output"][name])
        self._stream.synchronize()

    def _use_device(self) -> None:
        if self._cuda.current_device() != self._device:
            self._cuda.set_device(self._device)
