"""Arrays to the device and back, the short way that tests can afford."""

from __future__ import annotations

from types import ModuleType
from typing import Any

import numpy as np
from numpy.typing import NDArray


def upload(cuda: ModuleType, array: NDArray[Any]) -> Any:
    """A DeviceBuffer with the array's elements, in C order."""
    stream, staging = cuda.Stream(), cuda.HostBuffer(array.nbytes)
    staging.array([array.nbytes], "uint8")[:] = np.ascontiguousarray(array).reshape(-1).view(np.uint8)
    buffer = cuda.DeviceBuffer(array.nbytes)
    cuda.copy_async(buffer.pointer, staging.pointer, array.nbytes, stream)
    stream.synchronize()
    return buffer


def download(
    cuda: ModuleType, pointer: int, shape: tuple[int, ...], dtype: str, stream: Any = None
) -> NDArray[Any]:
    """A copy of the elements at a device pointer, once the stream is done with them."""
    stream = stream or cuda.Stream()
    nbytes = int(np.prod(shape)) * np.dtype(dtype).itemsize
    staging = cuda.HostBuffer(nbytes)
    cuda.copy_async(staging.pointer, pointer, nbytes, stream)
    stream.synchronize()
    return staging.array(shape, dtype).copy()
