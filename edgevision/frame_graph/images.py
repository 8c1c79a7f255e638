"""Frames for kernels on a GPU: where each lies there, whoever put it there."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from edgevision.backends.cuda import Cuda
from edgevision.errors import InputError
from edgevision.geometry import Placement

__all__ = ["DeviceImage", "FrameMemory", "Upload", "is_device_image", "needed_rows", "read_device_image"]

_ACCEPTED = "uint8 (H, W, 3), (H, W, 4), (H, W, 1) or (H, W)"


@dataclass(frozen=True, slots=True)
class DeviceImage:
    """A uint8 image on a device.

    pointer: of its first byte.
    size_hw: (H, W), pixels.
    channels: 1, 3 or 4.
    strides: bytes from row to row, from pixel to pixel and from channel to channel.
    owner:   what keeps the memory.
    """

    pointer: int
    size_hw: tuple[int, int]
    channels: int
    strides: tuple[int, int, int]
    owner: Any


def is_device_image(image: object) -> bool:
    """Whether another library says where it lies on a device (CuPy, PyTorch, PyCUDA, Numba, edgevision's own)."""
    return not isinstance(image, np.ndarray) and (
        hasattr(image, "__dlpack__") or hasattr(image, "__cuda_array_interface__")
    )


def read_device_image(cuda: Cuda, image: Any, stream: Any, name: str) -> DeviceImage:
    """Where a frame lies that is on the device already; nothing is copied.

    What its library has put on a stream before is waited for on `stream`, not here: through DLPack, or where
    `__cuda_array_interface__` names the stream; a library that names none must be done with the frame.
    Raises InputError, calling the frame `name`, for another type or shape, or memory of another device.
    """
    if hasattr(image, "__dlpack__"):
        pointer, shape, strides, owner = _read_dlpack(cuda, image, stream, name)
    else:
        pointer, shape, strides, owner = _read_interface(cuda, image, stream, name)
    if len(shape) == 2:
        shape, strides = (*shape, 1), (*strides, 1)
    if len(shape) != 3 or shape[2] not in (1, 3, 4) or 0 in shape:
        raise InputError(f"{name} must be {_ACCEPTED} with at least one row and column, got {tuple(shape)}")
    return DeviceImage(pointer, (shape[0], shape[1]), shape[2], (strides[0], strides[1], strides[2]), owner)


_Place = tuple[int, tuple[int, ...], tuple[int, ...], Any]


def _read_dlpack(cuda: Cuda, image: Any, stream: Any, name: str) -> _Place:
    try:
        capsule = image.__dlpack__(stream=stream.handle)
        pointer, shape, strides, owner = cuda.read_dlpack(capsule)
    except (AssertionError, BufferError, RuntimeError, TypeError, ValueError) as error:
        raise InputError(f"{name} cannot be read on the GPU: {error}; pass {_ACCEPTED} there") from error
    return pointer, shape, strides, owner


def _read_interface(cuda: Cuda, image: Any, stream: Any, name: str) -> _Place:
    interface = image.__cuda_array_interface__
    kind, shape = interface["typestr"], tuple(interface["shape"])
    if kind != "|u1":
        raise InputError(f"{name} must be {_ACCEPTED} on the GPU, got elements of type {kind!r}")
    strides = interface.get("strides")
    if strides is None:
        strides = _contiguous(shape)
    pointer = interface["data"][0]
    device, current = cuda.memory_device(pointer), cuda.current_device()
    if device != current:
        where = "in memory that CUDA does not know" if device < 0 else f"on GPU {device}"
        raise InputError(f"{name} lies {where}, and the model runs on GPU {current}: copy it there first")
    ahead = interface.get("stream")
    if ahead is not None:
        event = cuda.Event()
        event.record(cuda.Stream.wrap(ahead))
        stream.wait(event)
    return pointer, shape, tuple(strides), image


def _contiguous(shape: Sequence[int]) -> tuple[int, ...]:
    strides = [1] * len(shape)
    for axis in range(len(shape) - 1, 0, -1):
        strides[axis - 1] = strides[axis] * shape[axis]
    return tuple(strides)


def needed_rows(placement: Placement, filter: str) -> slice:
    """The rows of an image that a resize reads: 1080p to 640 reads every third only.

    INTER_LINEAR shrinking by an odd whole number takes the middle row, with all its weight; INTER_NEAREST by any whole
    number the first.
    """
    step, rest = divmod(placement.image_hw[0], placement.resized_hw[0])
    if rest or step < 2 or filter not in ("linear", "nearest") or (filter == "linear" and step % 2 == 0):
        return slice(None)
    return slice((step - 1) // 2 if filter == "linear" else 0, None, step)


@dataclass(frozen=True, slots=True)
class Upload:
    """Rows of a frame that go up.

    rows:      how many; 0: the frame is there already.
    row_bytes: of one.
    start:     bytes from the start of the pinned memory to the first.
    stride:    bytes from one to the next.
    """

    rows: int
    row_bytes: int = 0
    start: int = 0
    stride: int = 0


class FrameMemory:
    """Where a frame of the processor's goes up: pinned memory, and the device's, or one that is both."""

    def __init__(self, cuda: Cuda, *, mapped: bool) -> None:
        self._cuda, self._mapped = cuda, mapped
        self._host: Any = None
        self._device: Any = None
        self._view: NDArray[np.uint8] | None = None
        self.nbytes = 0
        """How much fits."""

    def make(self, nbytes: int) -> None:
        """Other memory, of so many bytes."""
        self._host = self._device = self._view = None  # before there is more
        self.nbytes = 0
        self._host = self._cuda.HostBuffer(nbytes, self._mapped)
        self._device = self._host if self._mapped else self._cuda.DeviceBuffer(nbytes)
        self.nbytes = nbytes

    @property
    def address(self) -> int:
        """Where the device sees it."""
        return int(self._host.device_pointer if self._mapped else self._device.pointer)

    def view(self, shape: tuple[int, ...]) -> NDArray[np.uint8]:
        """The processor's side: uint8, C-contiguous."""
        if self._view is None or self._view.shape != shape:
            self._view = self._host.array(shape, "uint8")
        view: NDArray[np.uint8] = self._view
        return view

    def holds(self, image: NDArray[np.uint8]) -> bool:
        """Whether it is here that a frame was written."""
        return image is self._view

    def put(self, upload: Upload, stream: Any) -> None:
        """Puts the copy of these rows to the start of the device's memory on the stream; nothing where both are one."""
        if self._mapped or not upload.rows:
            return
        source = self._host.pointer + upload.start
        if upload.stride == upload.row_bytes:
            self._cuda.copy_async(self.address, source, upload.rows * upload.row_bytes, stream)
        else:
            self._cuda.copy_rows_async(
                self.address, upload.row_bytes, source, upload.stride, upload.row_bytes, upload.rows, stream
            )
