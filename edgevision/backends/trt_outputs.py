"""Outputs whose shape depends on the data: TensorRT asks for their memory while it runs, and tells the shape then."""

from __future__ import annotations

import math
from functools import cache
from types import ModuleType
from typing import Any

import numpy as np
from numpy.typing import NDArray

from edgevision.backends.base import TensorInfo
from edgevision.backends.buffers import allocate
from edgevision.backends.cuda import CudaMemory, TensorMemory
from edgevision.errors import EdgeVisionError

__all__ = ["OutputAllocator", "new_trt_allocator"]


class OutputAllocator:
    """The memory of one such output: it grows and never shrinks; the shape of its last run."""

    def __init__(self, memory: CudaMemory, info: TensorInfo) -> None:
        self._memory = memory
        self._info = info
        self._held: TensorMemory | None = None
        self._shape: tuple[int, ...] = ()
        self._result: NDArray[Any] | None = None
        self._error: BaseException | None = None

    def reallocate(self, size: int) -> int:
        """The address of at least so many bytes; 0 when there is no memory, which ends the run."""
        if self._held is None or self._held.array.nbytes < max(1, size):
            try:
                # What was held goes, as TensorRT allows ("can be freed as well", IOutputAllocator): a run is waited
                # for, its copies too, before the next one asks.
                self._held = self._memory.allocate((max(1, size),), "uint8", self._info.name)
            except EdgeVisionError as error:  # TensorRT's own code lies between here and the caller
                self._error = error
                return 0
        return self._held.address

    def notify(self, shape: tuple[int, ...]) -> None:
        """The output's shape in this run."""
        self._shape = shape

    def raise_error(self) -> None:
        """Raises what `reallocate` met since the last time."""
        error, self._error = self._error, None
        if error is not None:
            raise error

    def download(self, memory: CudaMemory) -> None:
        """Puts the copy of the last run's output on the stream, where there is one to make."""
        if self._held is not None:
            memory.download(self._filled(self._held))

    def collect(self) -> NDArray[Any]:
        """The output of the run that is done, in an array that later runs of another shape leave alone."""
        kind = np.dtype(self._info.dtype)
        if self._result is None or self._result.shape != self._shape:
            self._result = allocate(self._shape, self._info.dtype, self._info.name)
        if self._held is not None:
            np.copyto(self._result, self._filled(self._held).array.view(kind).reshape(self._shape))
        return self._result

    def _filled(self, held: TensorMemory) -> TensorMemory:
        nbytes = math.prod(self._shape) * np.dtype(self._info.dtype).itemsize
        return TensorMemory(held.array[:nbytes], held.address, held.owner)


def new_trt_allocator(trt: ModuleType, allocator: OutputAllocator) -> Any:
    """TensorRT's own allocator object, which passes everything on. The context does not keep it alive."""
    return _allocator_class(trt)(allocator)


@cache
def _allocator_class(trt: ModuleType) -> Any:
    class Allocator(trt.IOutputAllocator):  # type: ignore[name-defined, misc]
        def __init__(self, to: OutputAllocator) -> None:
            super().__init__()
            self._to = to

        def reallocate_output(self, tensor_name: str, memory: int, size: int, alignment: int) -> int:
            return self._to.reallocate(int(size))

        def reallocate_output_async(
            self, tensor_name: str, memory: int, size: int, alignment: int, stream: int
        ) -> int:
            return self._to.reallocate(int(size))

        def notify_shape(self, tensor_name: str, shape: Any) -> None:
            self._to.notify(tuple(int(side) for side in shape))

    return Allocator
