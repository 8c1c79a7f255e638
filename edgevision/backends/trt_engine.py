"""From an engine's file to an engine that can run: checked first, then given to the runtime.

One path for TensorRT 10 and 11 and for TensorRT-RTX: tensors are told by name only.
"""

from __future__ import annotations

import threading
from dataclasses import dataclass, field
from os import PathLike
from types import ModuleType
from typing import Any

from edgevision.backends.base import TensorInfo
from edgevision.backends.cuda import Cuda, StreamErrors, choose_mapped, load_cuda
from edgevision.backends.engine_fit import TITLES, Target, check_fit
from edgevision.backends.gpu import driver_cuda_version, explain_no_gpu, find_gpu
from edgevision.backends.options import TensorRtOptions
from edgevision.backends.source import import_runtime, read_source
from edgevision.backends.trt_install import mend_tensorrt
from edgevision.backends.trt_jit_cache import JitCache, open_jit_cache
from edgevision.backends.trt_log import TrtLog, leave_alone, logger_for
from edgevision.backends.trt_profiles import Profile, read_profiles
from edgevision.backends.trt_words import describe_runtime_failure
from edgevision.errors import BackendError, InputError, MissingDependencyError, ModelFileError
from edgevision.spec import read_engine_header
from edgevision.spec.plan_header import HEADER_BYTES, parse_plan_header

__all__ = ["Engine", "gpu_index", "import_tensorrt", "open_engine"]

_DTYPES = {
    "FLOAT": "float32",
    "HALF": "float16",
    "INT8": "int8",
    "INT32": "int32",
    "INT64": "int64",
    "BOOL": "bool",
    "UINT8": "uint8",
}
"""TensorRT's types that NumPy has -> NumPy's name."""

_DIAGNOSTICS = {
    "VERSION_MISMATCH": "it was built by another version",
    "UNSUPPORTED_CC": "it was built for GPUs of another compute capability",
    "OLD_CUDA_DRIVER": "it needs a newer driver than the one here",
    "OLD_CUDA_RUNTIME": "it needs a newer CUDA runtime than the one here",
    "INSUFFICIENT_GPU_MEMORY": "it needs more memory than the GPU has",
    "MALFORMED_ENGINE": "it is damaged, or no plan of this runtime",
}
"""EngineInvalidityDiagnostics, a member a bit -> what it means. CUDA_ERROR is left to deserialising, which has words."""


@dataclass(slots=True)
class Engine:
    """An engine that sessions make contexts of.

    jit:  the kernels compiled for it, where the runtime keeps them (TensorRT-RTX).
    lock: held while a context is made: TensorRT allows one at a time.
    """

    trt: ModuleType
    cuda: Cuda
    log: TrtLog
    name: str
    runtime: str
    device: int
    loaded: Any
    inputs: tuple[TensorInfo, ...]
    outputs: tuple[TensorInfo, ...]
    host_outputs: frozenset[str]
    profiles: tuple[Profile, ...]
    options: TensorRtOptions
    mapped: bool
    owner: Any
    jit: JitCache | None = None
    lock: threading.Lock = field(default_factory=threading.Lock)

    def keep_kernels(self) -> None:
        """Saves the kernels that were compiled for it since the last time; nothing where the runtime keeps none."""
        if self.jit is not None:
            self.jit.save()

    def failure(self, action: str, mark: int, otherwise: str) -> BackendError:
        """The error that says what TensorRT said since the mark."""
        said = describe_runtime_failure(self.log.errors_since(mark), otherwise)
        return BackendError(f"{self.runtime} could not {action} {self.name}: {said}")

    def new_context(self) -> tuple[Any, Any]:
        """A context, and the configuration that it was made with, which has to outlive it; None where there is none."""
        mark = self.log.mark()
        with self.lock:
            config = None if self.jit is None else self.jit.new_config()
            make = self.loaded.create_execution_context
            context = make() if config is None else make(runtime_config=config)
        if context is None:
            raise self.failure(
                "make a context of", mark, "it gives no reason; likely the GPU is out of memory"
            )
        return context, config

    def cuda_errors(self, action: str, stream: Any = None) -> StreamErrors:
        """Turns CudaError into a BackendError that names the engine."""
        mark = self.log.mark()
        return StreamErrors(stream, self.cuda.CudaError, lambda error: self.failure(action, mark, str(error)))


def import_tensorrt(module: str) -> ModuleType:
    """The module "tensorrt" or "tensorrt_rtx". Raises MissingDependencyError, with what mends it, without it."""
    try:
        return import_runtime(module, module.replace("_", "-"))
    except MissingDependencyError as error:
        purpose = f"running {TITLES[module]} engines"
        raise MissingDependencyError(module, error.extra, purpose, mend=mend_tensorrt(module)) from error


def gpu_index(device: str) -> int:
    """The number in "cuda:1"; 0 of "auto" and "cuda". InputError for another word, BackendError for "cpu"."""
    kind, colon, number = device.partition(":") if isinstance(device, str) else ("", "", "")
    if device == "auto" or (kind == "cuda" and not colon):
        return 0
    if kind == "cuda" and number.isascii() and number.isdigit():
        return int(number)
    if device == "cpu":
        raise BackendError("engines run on a GPU; for the processor load the .onnx file or the bundle")
    raise InputError(f"device must be 'auto', 'cpu', 'cuda' or 'cuda:<number>', got {device!r}")


def open_engine(
    model: str | PathLike[str] | bytes, module: str, device: str, options: TensorRtOptions
) -> Engine:
    """The engine, deserialised on the device.

    Before it is: a file that is no whole engine raises ModelFileError, one of another runtime, version or GPU
    EngineMismatchError. Raises BackendError without a GPU, and when the runtime refuses the plan.
    """
    index = gpu_index(device)
    if options.runtime_cache and module != "tensorrt_rtx":
        raise InputError(
            f"runtime_cache is for TensorRT-RTX, which compiles kernels when an engine runs; those of {TITLES[module]} are "
            f"in its engines: leave it out, got {options.runtime_cache!r}"
        )
    plan, key, name = _read_plan(model)
    trt = import_tensorrt(module)
    gpu = find_gpu(index=index)
    if gpu is None:
        raise BackendError(f"{name} cannot run here: {explain_no_gpu(index=index)}")
    target = Target(module, trt.__version__, gpu)
    if key is not None:
        check_fit(name, key, target)
    cuda = load_cuda()
    cuda.set_device(index)
    info = cuda.device_info(index)
    mapped = choose_mapped(options.memory, info)
    logger, log = logger_for(trt)
    runtime_name = f"{TITLES[module]} {trt.__version__}"
    mark = log.mark()

    def fail(otherwise: str) -> BackendError:
        said = describe_runtime_failure(log.errors_since(mark), otherwise)
        return BackendError(f"{runtime_name} could not load {name}: {said}{_driver_note(said)}")

    try:
        runtime = trt.Runtime(logger)
    except (TypeError, RuntimeError) as error:  # pybind11's "factory function returned nullptr"
        raise fail(str(error)) from error
    if log.failed_since(mark, "createInferRuntime"):
        leave_alone(runtime)
        raise fail("it does not start")
    if options.allow_host_code:
        runtime.engine_host_code_allowed = True
    _ask_validity(trt, runtime, plan, name)
    mark = log.mark()
    loaded = runtime.deserialize_cuda_engine(plan)
    if loaded is None:
        raise fail("it gives no reason")
    inputs, outputs, host_outputs = _describe_tensors(trt, loaded, name)
    return Engine(
        trt,
        cuda,
        log,
        name,
        runtime_name,
        index,
        loaded,
        inputs,
        outputs,
        host_outputs,
        read_profiles(loaded, inputs),
        options,
        mapped,
        runtime,  # an engine may not outlive it
        open_jit_cache(trt, loaded, plan, name, target, options.runtime_cache, specialise=options.cuda_graph),
    )


def _read_plan(model: str | PathLike[str] | bytes) -> tuple[bytes, Any, str]:
    """The plan, its key if it has a sidecar, and what to call it in messages."""
    source = read_source(model)
    key = None
    if source.path is None:
        data = source.data or b""
    else:
        header = read_engine_header(source.path)
        key = header.key
        try:
            with open(source.path, "rb") as file:
                file.seek(header.plan_offset)
                data = file.read()
        except OSError as error:
            raise ModelFileError(
                f"cannot read the engine {source.path}: {error.strerror or error}"
            ) from error
    head = parse_plan_header(data[:HEADER_BYTES])
    if head is not None and head.size != len(data):
        raise ModelFileError(
            f"{source.name} is cut off or damaged: its plan says that it has {head.size} bytes, and there are "
            f"{len(data)}; copy or build it again"
        )
    return data, key, source.name


def _ask_validity(trt: ModuleType, runtime: Any, plan: bytes, name: str) -> None:
    """Asks the runtime whether the plan fits, by its head alone, where it can be asked (TensorRT-RTX)."""
    if not hasattr(runtime, "get_engine_validity"):
        return
    _, bits = runtime.get_engine_validity(plan[: runtime.engine_header_size])
    members = trt.EngineInvalidityDiagnostics.__members__
    said = [
        words for member, words in _DIAGNOSTICS.items() if member in members and bits & int(members[member])
    ]
    if said:
        raise BackendError(
            f"{TITLES[trt.__name__]} {trt.__version__} refuses {name}: {' and '.join(said)}; build it again here"
        )


def _describe_tensors(
    trt: ModuleType, loaded: Any, name: str
) -> tuple[tuple[TensorInfo, ...], tuple[TensorInfo, ...], frozenset[str]]:
    inputs: list[TensorInfo] = []
    outputs: list[TensorInfo] = []
    host: list[str] = []
    for index in range(loaded.num_io_tensors):
        tensor = loaded.get_tensor_name(index)
        is_input = loaded.get_tensor_mode(tensor) == trt.TensorIOMode.INPUT
        kind = loaded.get_tensor_dtype(tensor).name
        if kind not in _DTYPES:
            raise BackendError(
                f"{name}: tensor {tensor!r} is of type {kind}, which NumPy does not have; accepted are "
                f"{', '.join(sorted(_DTYPES.values()))}: export the network with a cast"
            )
        if loaded.get_tensor_format(tensor) != trt.TensorFormat.LINEAR:
            raise BackendError(
                f"{name}: tensor {tensor!r} is not laid out in rows ({loaded.get_tensor_format(tensor).name}); build "
                "the engine without --inputIOFormats and --outputIOFormats"
            )
        if loaded.get_tensor_location(tensor) == trt.TensorLocation.HOST:
            if is_input:
                raise BackendError(
                    f"{name}: the values of input {tensor!r} are sizes of other tensors; export the network with those "
                    "sizes fixed"
                )
            host.append(tensor)
        shape = tuple(None if side < 0 else int(side) for side in loaded.get_tensor_shape(tensor))
        (inputs if is_input else outputs).append(TensorInfo(tensor, shape, _DTYPES[kind]))
    return tuple(inputs), tuple(outputs), frozenset(host)


def _driver_note(said: str) -> str:
    version = driver_cuda_version()
    return f" (the driver here serves CUDA {version})" if "driver" in said and version else ""
