"""The runtime's half of the stand-in for TensorRT: plans deserialised, contexts that really compute, on fake_cuda's memory.

A plan of the stand-in is a header and the ONNX network; ONNX Runtime computes it when the stream gets there. Calls answer
as the real ones do: False, None or -1 and a message to the logger, an exception only where the real binding raises.
"""

from __future__ import annotations

import ctypes
import enum
import json
import struct
import weakref
from types import SimpleNamespace
from typing import Any

import numpy as np
import onnx
from fake_cuda import ALIGNMENT, FakeCuda
from trt_api import HeldToApi

SEVERITY = SimpleNamespace(ERROR=1, WARNING=2)
MAGIC = b"ftrt"
NUMPY = {
    "FLOAT": np.float32,
    "HALF": np.float16,
    "INT8": np.int8,
    "INT32": np.int32,
    "INT64": np.int64,
    "BOOL": np.bool_,
    "UINT8": np.uint8,
}
ONNX = {np.dtype(kind): name for name, kind in NUMPY.items()}


class TensorIOMode(enum.IntEnum):
    NONE, INPUT, OUTPUT = range(3)


class TensorLocation(enum.IntEnum):
    DEVICE, HOST = range(2)


class TensorFormat(enum.IntEnum):
    LINEAR, CHW4 = range(2)


class Dims(tuple):
    """Iterable and indexable, and equal to no other object, as the real one is."""

    __hash__ = None  # type: ignore[assignment]

    def __eq__(self, other: object) -> bool:
        raise AssertionError("Dims are to be made a tuple first")


class NoDims(Dims):
    """Of rank -1, as the real ones are where there is no shape."""

    def __len__(self) -> int:
        return -1


class IOutputAllocator:
    def __init__(self) -> None:
        self.ready = True


def make_plan(version: str, network: bytes, profiles: list[dict[str, Any]]) -> bytes:
    """profiles: input's name -> its least, best and greatest shape."""
    head = json.dumps({"version": version, "profiles": profiles}).encode()
    return struct.pack("<4sQI", MAGIC, 16 + len(head) + len(network), len(head)) + head + network


class Runtime(HeldToApi):
    """trt.fail: "runtime", "deserialize", "context"; trt.says is logged with it."""

    api = "Runtime"

    def __init__(self, trt: Any, logger: Any) -> None:
        self.trt, self._logger = trt, logger
        self.engine_host_code_allowed = False
        if trt.fail == "runtime":
            trt.complain(logger)
            raise TypeError("pybind11::init(): factory function returned nullptr")
        if trt.fail == "runtime, told only":
            trt.complain(logger)
            weakref.finalize(self, trt.freed.append, "runtime").atexit = False

    def deserialize_cuda_engine(self, plan: Any) -> Engine | None:
        trt, logger = self.trt, self._logger
        assert trt.fail != "runtime, told only", "the real one ends the process"
        trt.calls.append(("deserialize", len(plan)))
        plan = bytes(plan)
        if trt.fail == "deserialize":
            return trt.complain(logger)
        if len(plan) < 16 or plan[:4] != MAGIC:
            return trt.log_error(
                logger, "IRuntime::deserializeCudaEngine: Error Code 1: Serialization (Serialization assertion "
                "header.magicTag == kEXPECTED_MAGIC_TAG failed. In parsePlan at /_src/runtime.cpp:7)"
            )  # fmt: skip
        _, size, head_size = struct.unpack_from("<4sQI", plan)
        if size != len(plan):
            return trt.log_error(
                logger, "IRuntime::deserializeCudaEngine: Error Code 1: Serialization (Serialization assertion "
                "plan.header.size == blobSize failed. In parsePlan at /_src/runtime.cpp:780)"
            )  # fmt: skip
        head = json.loads(plan[16 : 16 + head_size])
        if head["version"] != trt.__version__:
            return trt.log_error(
                logger, "IRuntime::deserializeCudaEngine: Error Code 6: API Usage Error (The engine plan file is not "
                f"compatible with this version of TensorRT, expecting library version {trt.__version__} got "
                f"{head['version']}, please rebuild.)"
            )  # fmt: skip
        if trt.needs_host_code and not self.engine_host_code_allowed:
            return trt.log_error(logger, "Plan contains host code, but engine_host_code_allowed is not set.")
        return Engine(trt, logger, plan[16 + head_size :], head["profiles"])


class Engine(HeldToApi):
    api = "ICudaEngine"

    def __init__(self, trt: Any, logger: Any, network: bytes, profiles: list[dict[str, Any]]) -> None:
        import onnxruntime

        self.trt, self.logger = trt, logger
        self.model = onnx.load_from_string(network)
        settings = onnxruntime.SessionOptions()
        settings.log_severity_level = 4
        settings.intra_op_num_threads = 1
        self.session = onnxruntime.InferenceSession(network, settings, providers=["CPUExecutionProvider"])
        self.profiles = profiles
        self.inputs = [value.name for value in self.model.graph.input]
        self.outputs = [value.name for value in self.model.graph.output]
        self.values = {value.name: value for value in (*self.model.graph.input, *self.model.graph.output)}
        self.num_io_tensors = len(self.inputs) + len(self.outputs)
        self.num_optimization_profiles = len(profiles)

    def get_tensor_name(self, index: int) -> str:
        return (*self.inputs, *self.outputs)[index]

    def get_tensor_mode(self, name: str) -> TensorIOMode:
        if name in self.inputs:
            return TensorIOMode.INPUT
        return TensorIOMode.OUTPUT if name in self.outputs else TensorIOMode.NONE

    def get_tensor_dtype(self, name: str) -> Any:
        override = self.trt.odd_types.get(name)
        if override:
            return SimpleNamespace(name=override)
        kind = onnx.helper.tensor_dtype_to_np_dtype(self.values[name].type.tensor_type.elem_type)
        return SimpleNamespace(name=ONNX[np.dtype(kind)])

    def get_tensor_format(self, name: str) -> TensorFormat:
        return self.trt.formats.get(name, TensorFormat.LINEAR)

    def get_tensor_location(self, name: str) -> TensorLocation:
        return TensorLocation.HOST if name in self.trt.on_host else TensorLocation.DEVICE

    def get_tensor_shape(self, name: str) -> Dims:
        return _shape_of(self.values[name])

    def get_tensor_profile_shape(self, name: str, profile: int) -> list[Dims]:
        assert name in self.inputs, "profiles are of inputs"
        return [Dims(shape) for shape in self.profiles[profile][name]]

    def create_execution_context(self) -> Context | None:
        if self.trt.fail == "context":
            return self.trt.complain(self.logger)
        return Context(self)


def _shape_of(value: Any) -> Dims:
    return Dims(
        dim.dim_value if dim.HasField("dim_value") else -1 for dim in value.type.tensor_type.shape.dim
    )


class Context(HeldToApi):
    api = "IExecutionContext"

    def __init__(self, engine: Engine) -> None:
        self.engine, self.trt = engine, engine.trt
        self.profile = 0
        self.shapes: dict[str, tuple[int, ...]] = {}
        self.addresses: dict[str, int] = {}
        self.allocators: dict[str, Any] = {}
        self.fresh = True  # shapes changed since the last run
        for name in engine.inputs:
            if -1 not in tuple(engine.get_tensor_shape(name)):
                self.shapes[name] = tuple(engine.get_tensor_shape(name))

    def _error(self, text: str) -> bool:
        self.trt.log_error(self.engine.logger, f"IExecutionContext::{text}")
        return False

    def set_optimization_profile_async(self, profile: int, stream: int) -> bool:
        self.trt.calls.append(("profile", profile))
        if self.trt.fail == "profile_async" or not 0 <= profile < len(self.engine.profiles):
            self._error(f"setOptimizationProfileAsync: Error Code 3: profile {profile} refused")
            raise RuntimeError("Error in set optimization profile async.")
        self.profile = profile
        self.shapes = {name: s for name, s in self.shapes.items() if name not in self.engine.profiles[0]}
        self.fresh = True
        return True

    def set_input_shape(self, name: str, shape: tuple[int, ...]) -> bool:
        assert isinstance(shape, (tuple, list))
        assert all(type(side) is int for side in shape), "the binding takes plain integers"
        self.trt.calls.append(("set_input_shape", (name, shape)))
        if self.trt.fail == "set_input_shape" or name not in self.engine.inputs:
            return self._error(
                f"setInputShape: Error Code 3: API Usage Error (given invalid tensor name: {name})"
            )
        declared = tuple(self.engine.get_tensor_shape(name))
        least, _, most = self.engine.profiles[self.profile].get(name, (declared,) * 3)
        if len(shape) != len(declared) or any(
            not low <= side <= high for side, low, high in zip(shape, least, most, strict=True)
        ):
            return self._error(
                "setInputShape: Error Code 3: API Usage Error (Parameter check failed, condition: engineDims.d[i] == "
                f"dims.d[i]. Static dimension mismatch while setting input shape for {name}.)"
            )
        self.fresh = self.fresh or self.shapes.get(name) != tuple(shape)
        self.shapes[name] = tuple(shape)
        return True

    def set_tensor_address(self, name: str, address: int) -> bool:
        assert type(address) is int
        if self.trt.fail == f"address {name}" or name not in self.engine.values:
            return self._error(
                f"setTensorAddress: Error Code 3: API Usage Error (invalid tensor name: {name})"
            )
        on_host = self.engine.get_tensor_location(name) == TensorLocation.HOST
        if address == 0 or (address % ALIGNMENT and not on_host):
            return self._error(
                "setTensorAddress: Error Code 3: API Usage Error (address is not aligned to 256)"
            )
        self.addresses[name] = address
        return True

    def set_output_allocator(self, name: str, allocator: Any) -> bool:
        assert isinstance(allocator, IOutputAllocator)
        assert allocator.ready, "the base class was not initialised"
        if self.trt.fail == "allocator" or name not in self.engine.outputs:
            return self._error(f"setOutputAllocator: Error Code 3: invalid tensor name: {name}")
        self.allocators[name] = allocator
        return True

    def get_tensor_shape(self, name: str) -> Dims:
        if name in self.engine.inputs:
            return Dims(self.shapes.get(name, self.engine.get_tensor_shape(name)))
        if any(one not in self.shapes for one in self.engine.inputs):
            return self.engine.get_tensor_shape(name)
        if self.trt.fail == "infer":
            self._error("inferShapes: Error Code 7: Internal Error (reshape changes volume)")
            return Dims([-1])
        if self.trt.fail == "infer, no rank":
            self._error("inferShapes: Error Code 7: Internal Error (reshape changes volume)")
            return NoDims()
        model = onnx.ModelProto()
        model.CopyFrom(self.engine.model)
        for value in model.graph.input:
            for dim, side in zip(value.type.tensor_type.shape.dim, self.shapes[value.name], strict=True):
                dim.dim_value = side
        for value in model.graph.output:
            for dim in value.type.tensor_type.shape.dim:
                if dim.HasField("dim_param"):
                    dim.Clear()
        inferred = onnx.shape_inference.infer_shapes(model, data_prop=True)
        return next(_shape_of(value) for value in inferred.graph.output if value.name == name)

    def execute_async_v3(self, handle: int) -> bool:
        cuda: FakeCuda = self.trt.cuda
        stream = cuda.streams[handle]
        self.trt.calls.append(("execute", handle))
        if self.trt.fail == "execute":
            self.trt.complain(self.engine.logger)
            return False
        for name in self.engine.inputs:
            if name not in self.shapes or name not in self.addresses:
                return self._error(
                    f"enqueueV3: Error Code 3: API Usage Error (Input {name} has no shape or address)"
                )
        shapes = {name: tuple(self.get_tensor_shape(name)) for name in self.engine.outputs}
        for name, shape in shapes.items():
            if name not in self.allocators and (-1 in shape or name not in self.addresses):
                return self._error(f"enqueueV3: Error Code 3: API Usage Error (No address for output {name})")
        if stream.capturing and (self.fresh or self.allocators or self.trt.fail == "record"):
            stream.broken = True
            return self._error(
                "enqueueV3: Error Code 1: Cuda Runtime (operation not permitted when stream is capturing)"
            )
        self.fresh = False
        # The present addresses, as a recorded graph keeps them.
        addresses, inputs = dict(self.addresses), dict(self.shapes)
        if self.allocators:
            stream.synchronize()  # the real one waits for the sizes
            return self._run(cuda, inputs, addresses)
        stream.put(lambda: self._run(cuda, inputs, addresses))
        return True

    def _run(self, cuda: FakeCuda, shapes: dict[str, tuple[int, ...]], addresses: dict[str, int]) -> bool:
        feeds = {}
        for name in self.engine.inputs:
            kind = np.dtype(NUMPY[self.engine.get_tensor_dtype(name).name])
            size = int(np.prod(shapes[name], dtype=int)) * kind.itemsize
            cuda.check(addresses[name], size)
            feeds[name] = np.frombuffer(ctypes.string_at(addresses[name], size), kind).reshape(shapes[name])
        results = self.engine.session.run(None, feeds)
        for name, value in zip(self.engine.outputs, results, strict=True):
            value = np.ascontiguousarray(value)
            address = addresses.get(name, 0)
            if name in self.allocators:
                address = self._ask(name, value)
                if not address:
                    return self._error(f"enqueueV3: Error Code 2: OutOfMemory (no memory for output {name})")
            if value.nbytes:
                if self.engine.get_tensor_location(name) == TensorLocation.DEVICE:
                    cuda.check(address, value.nbytes)
                ctypes.memmove(address, value.ctypes.data, value.nbytes)
        return True

    def _ask(self, name: str, value: np.ndarray) -> int:
        """As each version asks: the later ones with the stream."""
        allocator = self.allocators[name]
        present = self.addresses.get(name, 0)
        if self.trt.__version__.startswith("10.3"):
            address = allocator.reallocate_output(name, present, value.nbytes, ALIGNMENT)
        else:
            address = allocator.reallocate_output_async(name, present, value.nbytes, ALIGNMENT, 0)
        if address:
            assert address % ALIGNMENT == 0
            self.addresses[name] = address
            allocator.notify_shape(name, Dims(value.shape))
        return address or 0
