"""A stand-in for the module `tensorrt`, which is only installable beside a GPU: the calls that a build makes; those of
the runtime are in fake_runtime.

The package sees no name but those of the real bindings of the version (trt_api.py). Each fake records what it was told,
and fails where a test says so.
"""

from __future__ import annotations

import enum
import weakref
from importlib.machinery import ModuleSpec
from pathlib import Path
from types import ModuleType, SimpleNamespace
from typing import Any

import fake_runtime
from trt_api import HeldToApi, names_of

from edgevision.spec import read_onnx_io

DTYPES = {
    "float32": "FLOAT",
    "float16": "HALF",
    "int64": "INT64",
    "int8": "INT8",
    "bool": "BOOL",
    "uint8": "UINT8",
}
GPU_ERROR = "CUDA initialization failure with error: 35. Please check your CUDA installation"
CACHE_HEADER = b"cache of "


class FakeTensorRT(ModuleType):
    """The module.

    fail:   which call fails: "builder", "parse", "profile", "build", and those that fake_runtime names.
    plan:   what was built, which fake_runtime runs; what is put here is built from then on.
    cuda:   where the runtime runs.
    says:   the messages that go with it, to the logger.
    calls:  (name, value) of every setting, in order.
    """

    def __init__(self, version: str, name: str = "tensorrt") -> None:
        super().__init__(name)
        self.__spec__ = ModuleSpec(name, None, origin="fake")
        self.__version__ = version
        self.listed_as = f"{'rtx ' if name == 'tensorrt_rtx' else ''}{version}"
        self.fail = ""
        self.says: list[str] = []
        self.parser_errors: list[SimpleNamespace] = []
        self.steps = 10
        self._forced: bytes | None = None
        self._built: bytes | None = None
        self.cuda: Any = None
        self.odd_types: dict[str, str] = {}
        self.formats: dict[str, Any] = {}
        self.on_host: set[str] = set()
        self.needs_host_code = False
        self.capturable = True
        self.new_entries = b"<new>"
        self.calls: list[tuple[str, Any]] = []
        self.freed: list[str] = []  # of what must not be
        old = version.startswith("10.")
        flags = {"EXPLICIT_BATCH": 0, "STRONGLY_TYPED": 1} if old else {"STRONGLY_TYPED": 0}
        self.NetworkDefinitionCreationFlag = enum.IntEnum("NetworkDefinitionCreationFlag", flags)
        self.BuilderFlag = enum.IntEnum("BuilderFlag", ["TF32", "VERSION_COMPATIBLE", "EXCLUDE_LEAN_RUNTIME"])
        self.MemoryPoolType = enum.IntEnum("MemoryPoolType", ["WORKSPACE"])
        levels = ["NONE", "AMPERE_PLUS"] + ([] if old else ["SAME_COMPUTE_CAPABILITY"])
        self.HardwareCompatibilityLevel = enum.IntEnum("HardwareCompatibilityLevel", levels)
        self.DataType = enum.IntEnum("DataType", list(DTYPES.values()))
        self.ILogger = ILogger
        self.IProgressMonitor = IProgressMonitor
        self.Builder = lambda logger: Builder(self, logger)
        self.OnnxParser = lambda network, logger: OnnxParser(self, network, logger)
        self.Runtime = lambda logger: fake_runtime.Runtime(self, logger)
        self.IOutputAllocator = fake_runtime.IOutputAllocator
        self.TensorIOMode = fake_runtime.TensorIOMode
        self.TensorLocation = fake_runtime.TensorLocation
        self.TensorFormat = fake_runtime.TensorFormat

    @property
    def plan(self) -> bytes | None:
        return self._built if self._forced is None else self._forced

    @plan.setter
    def plan(self, data: bytes) -> None:
        self._forced = data

    def log_error(self, logger: Any, text: str) -> None:
        """What the real one answers None or False after."""
        logger.log(ILogger.ERROR, text)

    def complain(self, logger: Any) -> None:
        """Log what the test says."""
        for text in self.says:
            self.log_error(logger, text)

    def told(self, name: str) -> list[Any]:
        """The values of the calls of that name."""
        return [value for called, value in self.calls if called == name]


class ILogger:
    class Severity(enum.IntEnum):
        INTERNAL_ERROR = 0
        ERROR = 1
        WARNING = 2
        INFO = 3

    INTERNAL_ERROR, ERROR, WARNING, INFO = Severity


class IProgressMonitor:
    pass


class Builder(HeldToApi):
    api = "Builder"

    def __init__(self, trt: FakeTensorRT, logger: Any) -> None:
        self.trt, self.logger = trt, logger
        if trt.fail == "builder":
            logger.log(ILogger.ERROR, GPU_ERROR)
            raise TypeError("pybind11::init(): factory function returned nullptr")
        if trt.fail == "builder, told only":
            logger.log(ILogger.ERROR, f"createInferBuilder: Error Code 6: API Usage Error ({GPU_ERROR})")
            weakref.finalize(self, trt.freed.append, "builder").atexit = False

    def create_network(self, flags: int) -> Network:
        assert self.trt.fail != "builder, told only", "the real one ends the process"
        self.trt.calls.append(("create_network", flags))
        return Network(self.trt)

    def create_builder_config(self) -> Config:
        return Config(self.trt)

    def create_optimization_profile(self) -> Profile:
        return Profile(self.trt)

    def build_serialized_network(self, network: Network, config: Config) -> bytes | None:
        monitor = config.progress_monitor
        monitor.phase_start("Building engine", None, self.trt.steps)
        going = True
        for step in range(self.trt.steps):
            going = going and monitor.step_complete("Building engine", step)
        monitor.phase_finish("Building engine")
        self.logger.log(ILogger.INFO, "informs")
        self.logger.log(ILogger.WARNING, "warns")
        if not going:
            self.logger.log(ILogger.ERROR, "Build canceled by user")
            return None
        if self.trt.fail == "build":
            for text in self.trt.says:
                self.logger.log(ILogger.ERROR, text)
            return None
        if config.cache is not None:
            config.cache.data += self.trt.new_entries
        profile = {one.name: (one.shape,) * 3 for one in network.inputs} | config.profile
        self.trt._built = fake_runtime.make_plan(self.trt.__version__, network.onnx, [profile])
        return self.trt.plan


class OnnxParser(HeldToApi):
    api = "OnnxParser"

    def __init__(self, trt: FakeTensorRT, network: Network, logger: Any) -> None:
        self.trt, self.network, self.logger = trt, network, logger
        self.num_errors = 0

    def parse_from_file(self, path: str) -> bool:
        assert isinstance(path, str)
        if self.trt.fail == "parse":
            for text in self.trt.says:
                self.logger.log(ILogger.ERROR, text)
            self.num_errors = len(self.trt.parser_errors)
            return False
        self.network.onnx = Path(path).read_bytes()
        inputs, outputs = read_onnx_io(Path(path))
        self.network.inputs = [Tensor(self.trt, one) for one in inputs]
        self.network.outputs = [Tensor(self.trt, one) for one in outputs]
        return True

    def get_error(self, index: int) -> SimpleNamespace:
        return self.trt.parser_errors[index]


class Tensor(HeldToApi):
    api = "ITensor"
    is_shape_tensor = False

    def __init__(self, trt: FakeTensorRT, info: Any) -> None:
        self.trt = trt
        self.name = info.name
        self.shape = tuple(-1 if side is None else side for side in info.shape)
        self.dtype = trt.DataType[DTYPES[info.dtype]]

    def get_dimension_name(self, index: int) -> str | None:
        return "batch" if self.shape[index] < 0 else None


class Network(HeldToApi):
    api = "INetworkDefinition"

    def __init__(self, trt: FakeTensorRT) -> None:
        self.trt = trt
        self.onnx = b""
        self.inputs: list[Tensor] = []
        self.outputs: list[Tensor] = []
        self.layers = [Layer(trt)]

    num_inputs = property(lambda self: len(self.inputs))
    num_outputs = property(lambda self: len(self.outputs))
    num_layers = property(lambda self: len(self.layers))

    def get_input(self, index: int) -> Tensor:
        return self.inputs[index]

    def get_output(self, index: int) -> Tensor:
        return self.outputs[index]

    def get_layer(self, index: int) -> Layer:
        return self.layers[index]


class Layer(HeldToApi):
    api = "ILayer"
    name, metadata = "conv_1", "[ONNX Layer: /stem/conv]"

    def __init__(self, trt: FakeTensorRT) -> None:
        self.trt = trt


class Profile(HeldToApi):
    api = "IOptimizationProfile"

    def __init__(self, trt: FakeTensorRT) -> None:
        self.trt = trt
        self.shapes: dict[str, Any] = {}

    def set_shape(self, name: str, low: Any, best: Any, high: Any) -> None:
        if self.trt.fail == "shape":
            raise RuntimeError("Shape provided for max is inconsistent with other shapes.")
        self.shapes[name] = (low, best, high)
        self.trt.calls.append(("set_shape", (name, low, best, high)))


class Cache(HeldToApi):
    api = "ITimingCache"

    def __init__(self, trt: FakeTensorRT, data: bytes) -> None:
        self.trt = trt
        self.data = data or CACHE_HEADER + trt.__version__.encode()

    @property
    def fits(self) -> bool:
        """A cache of another version does not."""
        return self.data.startswith(CACHE_HEADER + self.trt.__version__.encode())

    def serialize(self) -> bytes:
        return self.data

    def combine(self, other: Cache, ignore_mismatch: bool) -> bool:
        assert ignore_mismatch is False
        if other.fits:
            extra = other.data.removeprefix(CACHE_HEADER + self.trt.__version__.encode())
            self.data += extra if extra not in self.data else b""
        return other.fits


class Config(HeldToApi):
    """Takes the attributes that the real one has, and no other."""

    api = "IBuilderConfig"
    ATTRIBUTES = frozenset({"builder_optimization_level", "hardware_compatibility_level", "progress_monitor"})

    def __init__(self, trt: FakeTensorRT) -> None:
        object.__setattr__(self, "trt", trt)
        object.__setattr__(self, "cache", None)
        object.__setattr__(self, "profile", {})

    def __setattr__(self, name: str, value: Any) -> None:
        assert name in self.ATTRIBUTES & names_of(self.trt.listed_as, self.api), name
        self.trt.calls.append((name, value))
        object.__setattr__(self, name, value)

    def set_memory_pool_limit(self, pool: Any, size: int) -> None:
        self.trt.calls.append((f"set_memory_pool_limit {pool.name}", size))

    def set_flag(self, flag: Any) -> None:
        self.trt.calls.append(("set_flag", flag.name))

    def clear_flag(self, flag: Any) -> None:
        self.trt.calls.append(("clear_flag", flag.name))

    def add_optimization_profile(self, profile: Profile) -> int:
        self.profile.update(profile.shapes)
        return -1 if self.trt.fail == "profile" else 0

    def create_timing_cache(self, data: bytes) -> Cache:
        self.trt.calls.append(("create_timing_cache", bytes(data)))
        return Cache(self.trt, bytes(data))

    def set_timing_cache(self, cache: Cache, ignore_mismatch: bool) -> bool:
        assert ignore_mismatch is False
        object.__setattr__(self, "cache", cache if cache.fits else None)
        return cache.fits
