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
    """Memory of ours on a GPU, filled and read on a stream of its own."""

    def __init__(self, cuda: Cuda, device: int, on_processor: frozenset[str], *, mapped: bool) -> None:
        """on_processor: tensors that ONNX Runtime has in the processor's memory. On the GPU it would copy them by itself,
        and not wait for our stream."""
        self.cuda = cuda
        self._device = device
        self.on_processor = on_processor
        self.use_device()
        self.stream: Stream = cuda.Stream()
        self._memory = CudaMemory(cuda, self.stream, mapped=mapped)
        self._made: dict[int, TensorMemory] = {}
        self._tensors: dict[str, dict[str, TensorMemory]] = {"input": {}, "output": {}}

    def allocate(self, shape: Sequence[int], dtype: str, name: str) -> NDArray[Any]:
        self.use_device()
        memory = self._memory.allocate(shape, dtype, name)
        self._made[id(memory.array)] = memory
        return memory.array

    def place(self, kind: str, name: str, array: NDArray[Any]) -> tuple[str, int, int]:
        memory = self._tensors[kind][name] = self._made.pop(id(array))
        if name in self.on_processor:
            return "cpu", 0, array.ctypes.data
        return "cuda", self._device, memory.address

    def lend(self, name: str, array: NDArray[Any], address: int, owner: object) -> tuple[str, int, int]:
        """As `place`, of an input that lies in another's memory on the GPU. array: of its type and shape."""
        self._tensors["input"][name] = TensorMemory(array, address, owner, lent=True)
        return "cuda", self._device, address

    def input(self, name: str) -> TensorMemory | None:
        """Where an input lies; None before it was placed."""
        return self._tensors["input"].get(name)

    @property
    def mapped(self) -> bool:
        """Whether the GPU uses the processor's memory."""
        return self._memory.mapped

    def address(self, kind: str, name: str) -> int:
        """Where the GPU has an "input" or "output"."""
        return self._tensors[kind][name].address

    def before(self) -> None:
        self.use_device()
        for name, memory in self._tensors["input"].items():
            if name not in self.on_processor:
                self._memory.upload(memory)

    def after(self, outputs: Iterable[str]) -> None:
        self.download(outputs)
        self.stream.synchronize()

    def download(self, outputs: Iterable[str]) -> None:
        """Puts copies of these outputs on the stream."""
        for name in outputs:
            if name not in self.on_processor:
                self._memory.download(self._tensors["output"][name])

    def close(self) -> None:
        """Gives back the memory, but for arrays that were handed out."""
        self._made = {}
        self._tensors = {"input": {}, "output": {}}

    def use_device(self) -> None:
        """Makes the device this thread's."""
        if self.cuda.current_device() != self._device:
            self.cuda.set_device(self._device)
