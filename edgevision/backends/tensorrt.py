"""TensorRT and TensorRT-RTX: engines run on a GPU, tensors told by name, memory and stream our own.

Threads: an engine is shared by a session and its clones; each has its own context, stream and memory. Nothing is built
here: an engine that does not fit is refused when it is opened, so that no frame ever waits for a build.
"""

from __future__ import annotations

import contextlib
import weakref
from collections.abc import Callable, Iterable, Mapping, Sequence
from functools import partial
from os import PathLike
from types import MappingProxyType
from typing import Any

import numpy as np
from numpy.typing import NDArray

from edgevision.backends.base import TensorInfo, require_open
from edgevision.backends.buffers import InputBuffers, allocate
from edgevision.backends.cuda import Cuda, CudaMemory, Graph, TensorMemory
from edgevision.backends.options import TensorRtOptions
from edgevision.backends.recorder import Recorder
from edgevision.backends.trt_engine import Engine, open_engine
from edgevision.backends.trt_outputs import OutputAllocator, new_trt_allocator
from edgevision.backends.trt_profiles import check_range, fitting_profiles
from edgevision.errors import BackendError

__all__ = ["TensorRtSession", "open_tensorrt"]


def open_tensorrt(
    model: str | PathLike[str] | bytes,
    device: str = "auto",
    options: TensorRtOptions | None = None,
    *,
    module: str = "tensorrt",
) -> TensorRtSession:
    """A session of the engine at a path, or of the plan in bytes.

    module: "tensorrt" or "tensorrt_rtx". Raises as `open_engine` does.
    """
    return TensorRtSession(open_engine(model, module, device, options or TensorRtOptions()))


class TensorRtSession:
    """A network that TensorRT runs; see `edgevision.backends.Session`.

    Besides it is a `edgevision.backends.cuda.DeviceSession`, for kernels on the GPU before and after it.
    """

    def __init__(self, engine: Engine) -> None:
        self._engine: Engine | None = engine
        self.inputs = engine.inputs
        self.outputs = engine.outputs
        self.runtime = engine.runtime
        self._index, self._wants_graph = engine.device, engine.options.cuda_graph
        self._use_device(engine)
        with engine.cuda_errors("prepare"):
            self._stream = engine.cuda.Stream()
        self._memory = CudaMemory(engine.cuda, self._stream, mapped=engine.mapped)
        self._context, self._config = engine.new_context()
        self._recorder = Recorder(
            engine.name,
            self._stream,
            wanted=engine.options.cuda_graph,
            strict=engine.options.strict,
            explain=partial(_explain_no_capture, weakref.ref(self)),
        )
        self._input_memory: dict[str, TensorMemory] = {}
        self._output_memory: dict[str, TensorMemory] = {}
        self._made: dict[int, TensorMemory] = {}  # an input's memory, by its array, until it is bound
        self._buffers = InputBuffers(engine.inputs, self._bind_input, self._allocate_input)
        self._allocators: dict[str, tuple[OutputAllocator, Any]] = {}
        self._host_outputs: dict[str, NDArray[Any]] = {}
        self._results: Mapping[str, NDArray[Any]] = MappingProxyType({})
        self._settled = False  # shapes and addresses are told, and outputs have memory
        self._ran = False  # since then
        self._unsaved = engine.jit is not None  # what the first run compiles
        self._graph: Graph | None = None
        self._profile = 0

    # The session

    @property
    def device(self) -> str:
        """See `Session.device`."""
        note = " (without a CUDA graph)" if self._wants_graph and not self._recorder.allowed else ""
        return f"cuda:{self._index}{note}"

    def input_buffer(self, name: str, shape: Sequence[int]) -> NDArray[Any]:
        """See `Session.input_buffer`. Raises InputError, too, for a shape that the engine was not built for."""
        self._use_device(self._open())
        return self._buffers.get(name, shape)

    def largest_batch(self, name: str) -> int | None:
        """See `Session.largest_batch`: of the profile that allows most."""
        return max(ranges[name][1][0] for ranges in self._open().profiles)

    def run(self, feeds: Mapping[str, NDArray[Any]] | None = None) -> Mapping[str, NDArray[Any]]:
        """See `Session.run`. Outputs keep their memory from run to run while their shape stays."""
        engine = self._open()
        self._use_device(engine)
        if feeds is not None:
            self._buffers.load(feeds)
        if not self._settled:
            self._settle(engine)
        with engine.cuda_errors("run", self._stream):
            self._launch(engine)
            self._stream.synchronize()
            if self._allocators:
                self._fetch_allocated()
        self._ran = True
        return self._results

    def clone(self) -> TensorRtSession:
        """See `Session.clone`."""
        return TensorRtSession(self._open())

    def close(self) -> None:
        """See `Session.close`."""
        if self._engine is not None:
            self._engine.keep_kernels()
        # The context before its configuration and the engine, and the addresses that it was told after it.
        self._graph = self._context = None
        self._config = self._engine = None
        self._buffers.arrays.clear()
        self._input_memory, self._output_memory, self._made = {}, {}, {}
        self._allocators, self._host_outputs = {}, {}
        self._results = MappingProxyType({})

    # For kernels beside it on the GPU

    @property
    def cuda(self) -> Cuda:
        """See `DeviceSession.cuda`."""
        return self._open().cuda

    @property
    def stream(self) -> Any:
        """See `DeviceSession.stream`."""
        return self._stream

    @property
    def mapped(self) -> bool:
        """See `DeviceSession.mapped`."""
        return self._memory.mapped

    @property
    def slots(self) -> int:
        """See `DeviceSession.slots`."""
        return self._open().options.slots

    @property
    def recordable(self) -> bool:
        """See `DeviceSession.recordable`."""
        return self._recorder.allowed and not self._allocators

    def use_device(self) -> None:
        """See `DeviceSession.use_device`."""
        self._use_device(self._open())

    def errors(self, action: str) -> contextlib.AbstractContextManager[None]:
        """See `DeviceSession.errors`."""
        return self._open().cuda_errors(action, self._stream)

    def input_address(self, name: str) -> int:
        """See `DeviceSession.input_address`."""
        self._open()
        return self._input_memory[name].address

    def output_address(self, name: str) -> int:
        """See `DeviceSession.output_address`."""
        engine = self._open()
        if not self._settled:
            self._settle(engine)
        if name not in self._output_memory:
            raise BackendError(f"output {name!r} has no fixed place: its shape depends on the data")
        return self._output_memory[name].address

    def enqueue(self) -> None:
        """See `DeviceSession.enqueue`."""
        engine = self._open()
        self._use_device(engine)
        if not self._settled:
            self._settle(engine)
        self._execute(engine)

    def lend_input(self, name: str, shape: Sequence[int], address: int, owner: object) -> bool:
        """See `DeviceSession.lend_input`."""
        engine = self._open()
        held = self._input_memory.get(name)
        if held is not None and held.is_lent_from(address, shape):
            return True
        array = self._buffers.stand_in(name, shape)
        check_range(engine.profiles, name, array.shape, engine.name)
        self._buffers.lend(name, array)
        self._input_memory[name] = TensorMemory(array, address, owner, lent=True)
        self._settled = False
        return True

    def upload(self) -> None:
        """See `DeviceSession.upload`."""
        for memory in self._input_memory.values():
            self._memory.upload(memory)

    def download(self, names: Iterable[str]) -> None:
        """See `DeviceSession.download`."""
        for name in names:
            if name in self._output_memory:  # else the network writes it where the processor has it
                self._memory.download(self._output_memory[name])

    def has_fixed_outputs(self) -> bool:
        """See `DeviceSession.has_fixed_outputs`."""
        self.output_arrays()
        return not self._allocators

    def output_arrays(self) -> Mapping[str, NDArray[Any]]:
        """See `DeviceSession.output_arrays`."""
        engine = self._open()
        if not self._settled:
            self._settle(engine)
        return self._results

    def record(self, put: Callable[[], None]) -> Graph | None:
        """See `DeviceSession.record`."""
        return self._recorder.record(put)

    # Binding

    def _allocate_input(self, shape: Sequence[int], dtype: str, name: str) -> NDArray[Any]:
        engine = self._open()
        check_range(engine.profiles, name, tuple(shape), engine.name)
        memory = self._memory.allocate(shape, dtype, name)
        self._made[id(memory.array)] = memory
        return memory.array

    def _bind_input(self, name: str, array: NDArray[Any]) -> None:
        self._input_memory[name] = self._made.pop(id(array))
        self._settled = False

    def _settle(self, engine: Engine) -> None:
        """Tell the context every shape and address, and give the outputs memory."""
        self._buffers.check_complete()
        context = self._context
        self._choose_profile(engine)
        mark = engine.log.mark()
        for name, memory in self._input_memory.items():
            if not context.set_input_shape(name, tuple(memory.array.shape)):
                raise engine.failure("take", mark, f"input {name!r} at shape {memory.array.shape}")
            if not context.set_tensor_address(name, memory.address):
                raise engine.failure("bind", mark, f"input {name!r}")
        # Not infer_shapes(): where it fails, the bindings of 10.3, JetPack 6's, touch Python without its lock and end the
        # process.
        shapes = {info.name: _shape_of(context, info.name) for info in engine.outputs}
        unknown = [name for name, shape in shapes.items() if any(side < 0 for side in shape)]
        if unknown and engine.log.errors_since(mark):  # data decide a shape without a word
            raise engine.failure("infer the shapes of", mark, f"of {', '.join(unknown)}")
        results = {
            info.name: self._settle_output(engine, info, shapes[info.name], mark) for info in engine.outputs
        }
        self._results = MappingProxyType(results)
        self._graph, self._ran = None, False
        self._settled = True

    def _settle_output(
        self, engine: Engine, info: TensorInfo, shape: tuple[int, ...], mark: int
    ) -> NDArray[Any]:
        """The array that the output will be found in; an empty one where data decide its shape."""
        context, name = self._context, info.name
        if any(side < 0 for side in shape):
            if name not in self._allocators:
                allocator = OutputAllocator(self._memory, info)
                mine = new_trt_allocator(engine.trt, allocator)
                if not context.set_output_allocator(name, mine):
                    raise engine.failure("bind", mark, f"output {name!r}")
                self._allocators[name] = (allocator, mine)
            return np.zeros(0, info.dtype)
        if name in engine.host_outputs:
            array = self._host_outputs[name] = allocate(shape, info.dtype, name)
            address = array.ctypes.data
        else:
            memory = self._output_memory.get(name)
            if memory is None or memory.array.shape != shape:
                memory = self._output_memory[name] = self._memory.allocate(shape, info.dtype, name)
            array, address = memory.array, memory.address
        if not context.set_tensor_address(name, address):
            raise engine.failure("bind", mark, f"output {name!r}")
        return array

    def _choose_profile(self, engine: Engine) -> None:
        """Take the first profile that has the inputs' shapes together, the present one if it does."""
        shapes = {name: memory.array.shape for name, memory in self._input_memory.items()}
        fitting = fitting_profiles(engine.profiles, shapes, engine.name)
        if self._profile in fitting:
            return
        mark = engine.log.mark()
        with engine.cuda_errors("run"):
            try:
                self._context.set_optimization_profile_async(fitting[0], self._stream.handle)
            except RuntimeError as error:  # instead of False, which other calls answer
                raise engine.failure("change the profile of", mark, f"to {fitting[0]}") from error
            self._stream.synchronize()
        self._profile = fitting[0]

    # Running

    def _launch(self, engine: Engine) -> None:
        """Put copies and network on the stream, as one recorded graph from the second run at a shape on."""
        # TensorRT needs a plain run after new shapes before it can be recorded.
        if self._graph is None and self._ran and self.recordable:
            self._graph = self._recorder.record(partial(self._put, engine))
        if self._graph is not None:
            self._graph.launch(self._stream)
        else:
            self._put(engine)

    def _put(self, engine: Engine) -> None:
        self.upload()
        self._execute(engine)
        self.download(self._output_memory)

    def _execute(self, engine: Engine) -> None:
        mark = engine.log.mark()
        if not self._context.execute_async_v3(self._stream.handle):
            for allocator, _ in self._allocators.values():
                allocator.raise_error()
            raise engine.failure("run", mark, "it gives no reason")
        if self._unsaved:
            self._unsaved = False
            engine.keep_kernels()

    def _fetch_allocated(self) -> None:
        """The outputs whose shapes are known only now."""
        for allocator, _ in self._allocators.values():
            allocator.download(self._memory)
        self._stream.synchronize()
        collected = {name: allocator.collect() for name, (allocator, _) in self._allocators.items()}
        self._results = MappingProxyType({**self._results, **collected})

    def _open(self) -> Engine:
        return require_open(self._engine)

    @staticmethod
    def _use_device(engine: Engine) -> None:
        """CUDA's current device is each thread's own."""
        if engine.cuda.current_device() != engine.device:
            engine.cuda.set_device(engine.device)


def _shape_of(context: Any, name: str) -> tuple[int, ...]:
    """The output's shape, -1 where data decide; (-1,) where there is none."""
    dims = context.get_tensor_shape(name)
    try:
        len(dims)
    except ValueError:  # its rank is -1
        return (-1,)
    return tuple(int(side) for side in dims)


def _explain_no_capture(session: Callable[[], TensorRtSession | None]) -> str:
    """session: a weak reference: a recorder must not keep a context longer than its configuration and the engine."""
    held = session()
    context = None if held is None else held._context
    capturable = getattr(context, "is_stream_capturable", None)
    return (
        ""
        if held is None or capturable is None or capturable(held._stream.handle)
        else "the engine cannot be recorded"
    )
