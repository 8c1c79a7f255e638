"""The GPUs of this machine, asked of the driver's own library: no CUDA toolkit, no torch."""

from __future__ import annotations

import ctypes
import sys
from dataclasses import dataclass

__all__ = ["Gpu", "driver_cuda_version", "explain_no_gpu", "find_gpu"]

# CUdevice_attribute in cuda.h.
_MULTIPROCESSORS, _MAJOR, _MINOR = 16, 75, 76

# CUresult in cuda.h -> what it means for a user, and what to do.
_FAULTS: dict[int, str] = {
    34: "the CUDA library found is the toolkit's stub, not a driver's; take its folder (lib/stubs) out of "
    "LD_LIBRARY_PATH",
    100: "the driver sees no GPU: nvidia-smi lists them; in a container start it with --gpus all (on Jetson: "
    "--runtime nvidia), and let CUDA_VISIBLE_DEVICES name one",
    802: "the driver is not ready yet; wait for nvidia-persistenced and nvidia-fabricmanager, then try again",
    803: "the driver's library and its kernel module are of different versions, as after an upgrade; reboot",
    804: "the CUDA compatibility package does not fit this GPU; uninstall cuda-compat or upgrade the driver",
}
_OTHER_FAULT = (
    "the driver does not start (CUDA error {}); after suspend this mends it: sudo rmmod nvidia_uvm && "
    "sudo modprobe nvidia_uvm; else reboot"
)


@dataclass(frozen=True, slots=True)
class Gpu:
    """A GPU, as far as an engine depends on it.

    compute_capability: "8.7", say.
    """

    name: str
    compute_capability: str
    multiprocessors: int


def find_gpu(driver: ctypes.CDLL | None = None, index: int = 0) -> Gpu | None:
    """A GPU that this process may use (CUDA_VISIBLE_DEVICES chooses); None without it or without a driver.

    driver: the driver's library; None loads it. index: which of them, the first is 0.
    """
    library = driver if driver is not None else _load_driver()
    if library is None or library.cuInit(0) != 0:
        return None
    device = ctypes.c_int()
    if library.cuDeviceGet(ctypes.byref(device), index) != 0:
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


def explain_no_gpu(driver: ctypes.CDLL | None = None, index: int = 0) -> str:
    """Why `find_gpu` finds none, and what to do; "" when it finds one."""
    library = driver if driver is not None else _load_driver()
    if library is None:
        return (
            "there is no NVIDIA driver (libcuda.so.1 is not found); install one: sudo apt-get install nvidia-driver-580"
            ", on Jetson: sudo apt-get install nvidia-jetpack, in a container start it with --gpus all"
        )
    status = library.cuInit(0)
    if status:
        return _FAULTS.get(status) or _OTHER_FAULT.format(status)
    device = ctypes.c_int()
    if library.cuDeviceGet(ctypes.byref(device), index) == 0:
        return ""
    count = ctypes.c_int()
    library.cuDeviceGetCount(ctypes.byref(count))
    if count.value == 0:
        return _FAULTS[100]
    return f"there is no GPU {index}; there are {count.value}, counted from 0 (CUDA_VISIBLE_DEVICES hides others)"


def driver_cuda_version(driver: ctypes.CDLL | None = None) -> str:
    """The newest CUDA that the driver runs, "12.6", say; "" without a driver."""
    library = driver if driver is not None else _load_driver()
    number = ctypes.c_int()
    if library is None or library.cuDriverGetVersion(ctypes.byref(number)) != 0 or number.value <= 0:
        return ""
    return f"{number.value // 1000}.{number.value % 1000 // 10}"


def _load_driver() -> ctypes.CDLL | None:
    try:
        return ctypes.CDLL("nvcuda.dll" if sys.platform == "win32" else "libcuda.so.1")
    except OSError:
        return None
