"""The GPU of this machine, asked of the driver's own library: no CUDA toolkit, no torch."""

from __future__ import annotations

import ctypes
import sys
from dataclasses import dataclass

__all__ = ["Gpu", "find_gpu"]

# CUdevice_attribute in cuda.h.
_MULTIPROCESSORS, _MAJOR, _MINOR = 16, 75, 76


@dataclass(frozen=True, slots=True)
class Gpu:
    """A GPU, as far as an engine depends on it.

    compute_capability: "8.7", say.
    """

    name: str
    compute_capability: str
    multiprocessors: int


def find_gpu(driver: ctypes.CDLL | None = None) -> Gpu | None:
    """The first GPU that this process may use (CUDA_VISIBLE_DEVICES chooses); None without one or without a driver.

    driver: the driver's library; None loads it.
    """
    library = driver if driver is not None else _load_driver()
    if library is None or library.cuInit(0) != 0:
        return None
    device = ctypes.c_int()
    if library.cuDeviceGet(ctypes.byref(device), 0) != 0:
        return None
    name = ctypes.create_string_buffer(256)
    library.cuDeviceGetName(name, len(name), device)
    numbers = []
    for attribute in (_MAJOR, _MINOR, _MULTIPROCESSORS):
        value = ctypes.c_int()
        library.cuDeviceGetAttribute(ctypes.byref(value), attribute, device)
        numbers.append(value.value)
    major, minor, multiprocessors = numbers
    return Gpu(name.value.decode("utf-8", "replace"), f"{major}.{minor}", multiprocessors)


def _load_driver() -> ctypes.CDLL | None:
    try:
        return ctypes.CDLL("nvcuda.dll" if sys.platform == "win32" else "libcuda.so.1")
    except OSError:
        return None
