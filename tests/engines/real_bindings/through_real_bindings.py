"""The pytest plugin: `tensorrt` is its real bindings, and what they call arrives at fake_runtime's objects."""

from __future__ import annotations

import ctypes
import gc
import os
import sys
import traceback
from collections.abc import Callable, Iterator
from pathlib import Path
from types import ModuleType
from typing import Any

import pytest
from stand_in_library import CALLBACKS

LIBRARY = Path(os.environ["STAND_IN_LIBRARY"])
TESTS = Path(__file__).parents[2]
sys.path.insert(0, str(LIBRARY))
sys.path += [str(TESTS / folder) for folder in (".", "backends", "cuda", "engines")]
sys.modules["tensorrt_libs"] = ModuleType("tensorrt_libs")
library = ctypes.CDLL(str(next(LIBRARY.glob("libnvinfer.so.*"))), mode=ctypes.RTLD_GLOBAL)

import fake_runtime  # noqa: E402
import tensorrt_bindings as real  # noqa: E402
import trt_bench  # noqa: E402


class Dims(ctypes.Structure):
    """nvinfer1::Dims64."""

    _fields_ = [("rank", ctypes.c_int32), ("sides", ctypes.c_int64 * 8)]


_TYPES = {
    "void": None,
    "int": ctypes.c_int,
    "bool": ctypes.c_bool,
    "const char*": ctypes.c_char_p,
    "const void*": ctypes.c_void_p,
    "void*": ctypes.c_void_p,
    "std::size_t": ctypes.c_size_t,
    "std::uintptr_t": ctypes.c_size_t,
    "Dims*": ctypes.POINTER(Dims),
    "const Dims*": ctypes.POINTER(Dims),
}
library.stand_in_reallocate.restype = ctypes.c_size_t
library.stand_in_reallocate.argtypes = [
    ctypes.c_void_p,
    ctypes.c_char_p,
    ctypes.c_size_t,
    ctypes.c_uint64,
    ctypes.c_uint64,
    ctypes.c_size_t,
]
library.stand_in_notify.argtypes = [ctypes.c_void_p, ctypes.c_char_p, ctypes.POINTER(Dims)]


class Logger:
    """What a stand-in logs goes through the real logger's C++."""

    def log(self, severity: int, text: str) -> None:
        library.stand_in_log(int(severity), text.encode())


class Allocator(fake_runtime.IOutputAllocator):
    """A real allocator, at an address."""

    def __init__(self, address: int) -> None:
        super().__init__()
        self._address = address

    def reallocate_output_async(self, name: str, memory: int, size: int, alignment: int, stream: int) -> int:
        return library.stand_in_reallocate(self._address, name.encode(), memory, size, alignment, stream)

    def reallocate_output(self, name: str, memory: int, size: int, alignment: int) -> int:
        return self.reallocate_output_async(name, memory, size, alignment, 0)

    def notify_shape(self, name: str, shape: Any) -> None:
        library.stand_in_notify(self._address, name.encode(), ctypes.pointer(_to_dims(shape)))


class Desk:
    """Where calls arrive.

    trt: the present test's stand-in for the module. errors: of calls that failed in Python. left_alone: runtimes that the
    package must not free.
    """

    def __init__(self) -> None:
        self.trt: Any = None
        self.errors: list[str] = []
        self.left_alone = 0
        self._runtime: Any = None
        self._objects: list[Any] = [None]
        self._names: dict[str, Any] = {}

    def _keep(self, made: Any) -> int:
        """Its number; 0 of None."""
        if made is None:
            return 0
        self._objects.append(made)
        return len(self._objects) - 1

    def new_runtime(self) -> int:
        try:
            self._runtime = fake_runtime.Runtime(self.trt, Logger())
        except TypeError:
            return 0
        self.left_alone += self.trt.fail == "runtime, told only"
        return 1

    def deserialize(self, plan: int, size: int) -> int:
        return self._keep(self._runtime.deserialize_cuda_engine(ctypes.string_at(plan, size)))

    def allow_host_code(self, allowed: bool) -> None:
        self._runtime.engine_host_code_allowed = allowed

    def num_profiles(self, number: int) -> int:
        return self._objects[number].num_optimization_profiles

    def num_tensors(self, number: int) -> int:
        return self._objects[number].num_io_tensors

    def tensor_name(self, number: int, index: int) -> int:
        name = self._objects[number].get_tensor_name(index)
        return ctypes.addressof(self._names.setdefault(name, ctypes.create_string_buffer(name.encode())))

    def tensor_mode(self, number: int, name: bytes) -> int:
        return _number(real.TensorIOMode, self._objects[number].get_tensor_mode(name.decode()))

    def tensor_dtype(self, number: int, name: bytes) -> int:
        return _number(real.DataType, self._objects[number].get_tensor_dtype(name.decode()))

    def tensor_format(self, number: int, name: bytes) -> int:
        return _number(real.TensorFormat, self._objects[number].get_tensor_format(name.decode()))

    def tensor_location(self, number: int, name: bytes) -> int:
        return _number(real.TensorLocation, self._objects[number].get_tensor_location(name.decode()))

    def engine_shape(self, number: int, name: bytes, shape: Any) -> None:
        _write(shape, self._objects[number].get_tensor_shape(name.decode()))

    def profile_shape(self, number: int, name: bytes, profile: int, which: int, shape: Any) -> None:
        shapes = self._objects[number].get_tensor_profile_shape(name.decode(), profile)
        _write(shape, shapes[which])

    def new_context(self, number: int) -> int:
        return self._keep(self._objects[number].create_execution_context())

    def set_profile(self, number: int, profile: int, stream: int) -> bool:
        try:
            return self._objects[number].set_optimization_profile_async(profile, stream)
        except RuntimeError:  # which the bindings make of False
            return False

    def set_input_shape(self, number: int, name: bytes, shape: Any) -> bool:
        dims = shape.contents
        return self._objects[number].set_input_shape(name.decode(), tuple(dims.sides[: dims.rank]))

    def set_address(self, number: int, name: bytes, address: int) -> bool:
        return self._objects[number].set_tensor_address(name.decode(), address)

    def set_allocator(self, number: int, name: bytes, allocator: int) -> bool:
        return self._objects[number].set_output_allocator(name.decode(), Allocator(allocator))

    def context_shape(self, number: int, name: bytes, shape: Any) -> None:
        _write(shape, self._objects[number].get_tensor_shape(name.decode()))

    def enqueue(self, number: int, stream: int) -> bool:
        return self._objects[number].execute_async_v3(stream)

    def guarded(self, name: str) -> Callable[..., Any]:
        """The method; an exception does not go through C++, but is kept."""
        method = getattr(self, name)

        def call(*given: Any) -> Any:
            try:
                return method(*given)
            except BaseException:
                self.errors.append(traceback.format_exc())
                return 0

        return call


def _number(kind: Any, member: Any) -> int:
    return int(getattr(kind, member.name))


def _to_dims(shape: Any) -> Dims:
    if isinstance(shape, fake_runtime.NoDims):
        return Dims(-1)
    sides = tuple(shape)
    return Dims(len(sides), (ctypes.c_int64 * 8)(*sides))


def _write(place: Any, shape: Any) -> None:
    ctypes.pointer(place.contents)[0] = _to_dims(shape)


def _function_type(result: str, given: str) -> Any:
    kinds = [_TYPES[one.rpartition(" ")[0].strip()] for one in given.split(",")] if given != "void" else []
    # A text that a callback gives is an address: ctypes frees what it makes of bytes.
    return ctypes.CFUNCTYPE(ctypes.c_void_p if result == "const char*" else _TYPES[result], *kinds)


desk = Desk()
_FUNCTIONS = {name: _function_type(*types)(desk.guarded(name)) for name, types in CALLBACKS.items()}
_TABLE = (ctypes.c_void_p * len(_FUNCTIONS))(
    *(ctypes.cast(function, ctypes.c_void_p).value for function in _FUNCTIONS.values())
)
library.stand_in_use(_TABLE)


class Machine(trt_bench.Machine):
    def __init__(self, monkeypatch: Any, folder: Path, version: str, *, integrated: bool) -> None:
        if version.partition(".")[0] != real.__version__.partition(".")[0]:
            pytest.skip(f"the bindings are {real.__version__}")
        super().__init__(monkeypatch, folder, real.__version__, integrated=integrated)
        desk.trt = self.trt
        monkeypatch.setitem(sys.modules, "tensorrt", real)


trt_bench.Machine = Machine  # type: ignore[misc]


@pytest.fixture(autouse=True)
def no_call_fails_in_python() -> Iterator[None]:
    desk.errors.clear()
    yield
    assert not desk.errors, desk.errors[0]


def pytest_sessionfinish(session: pytest.Session) -> None:
    """Contexts, engines and runtimes are freed, whatever the order in which Python lets go of them."""
    gc.collect()
    left = library.stand_in_alive() - desk.left_alone
    if left:
        print(f"\n{left} objects of TensorRT were freed too rarely")
        session.exitstatus = 1
