"""A stand-in for `edgevision._cuda` whose kernels are the real ones, emulated, and run as late as a GPU may run them.

fake_cuda does what is on a stream when it is waited for. Here the kernels join in: each call is put on the stream, and
reads what pinned memory holds by then. Whoever places a frame too early, or reads a result too soon, gets wrong pixels.
"""

from __future__ import annotations

from types import ModuleType
from typing import Any

from fake_cuda import DeviceBuffer, FakeCuda

# Class -> its methods that put work on a stream, the last argument.
KERNELS = {
    "ImageWriter": ("write",),
    "BoxFinder": ("find",),
    "InstanceMasks": ("assemble",),
    "LabelWriter": ("write",),
}


class LateCuda(FakeCuda):
    """The module. counts["kernels"]: objects that hold a workspace, which were made."""

    def __init__(self, emulated: ModuleType, *, integrated: bool = False) -> None:
        super().__init__(integrated=integrated)
        self.emulated_module = emulated
        self.view_memory = emulated.view_memory
        self.read_dlpack = emulated.read_dlpack
        self.elsewhere: dict[int, int] = {}
        self.DeviceBuffer = lambda nbytes: LateBuffer(self, nbytes)
        self.Stream.wrap = lambda handle: self.streams[handle]
        for name, puts in KERNELS.items():
            setattr(self, name, self._late(getattr(emulated, name), puts))

    def memory_device(self, pointer: int) -> int:
        """The only device's, but for what stands in `elsewhere`."""
        return self.elsewhere.get(pointer, 0)

    def _late(self, kind: type, puts: tuple[str, ...]) -> Any:
        def make(*args: Any, **options: Any) -> Late:
            self.count("kernels")
            return Late(self.emulated_module, kind(*args, **options), puts)

        return make


class Late:
    """A kernel's object."""

    def __init__(self, emulated: ModuleType, real: Any, puts: tuple[str, ...]) -> None:
        self._real, self._puts = real, puts
        self._at_once = emulated.Stream()

    def __getattr__(self, name: str) -> Any:
        method = getattr(self._real, name)
        if name not in self._puts:
            return method

        def put(*args: Any) -> None:
            *arguments, stream = args
            stream.put(lambda: method(*arguments, self._at_once))

        return put


class LateBuffer(DeviceBuffer):
    def array(self, shape: Any, dtype: str = "float32", offset: int = 0) -> Any:
        return self._cuda_view(self.pointer + offset, shape, dtype, self)

    def __init__(self, cuda: LateCuda, nbytes: int) -> None:
        super().__init__(cuda, nbytes)
        self._cuda_view = cuda.view_memory
