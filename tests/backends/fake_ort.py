"""ONNX Runtime with a GPU's providers: the real one computes on the processor, in fake_cuda's memory.

What is bound to "cuda" must lie in the device's memory. A run happens when the provider's stream gets there.
"""

from __future__ import annotations

from types import SimpleNamespace
from typing import Any

import onnxruntime
from fake_cuda import FakeCuda

CUDA, TENSORRT, CPU = "CUDAExecutionProvider", "TensorrtExecutionProvider", "CPUExecutionProvider"


class FakeOnnxRuntime:
    """The module; what it does not say otherwise is the real one's.

    providers: that this build has. started: those that start. on_cpu: operators left to the processor; tells: whether it
    says which (as from 1.24 on). in_processors_memory: tensors that are read and written there, of networks loaded from
    now on; tells_places: whether it says which (as from 1.23 on). opened: the providers of each session, with their
    options. unwaited: runs that return before the GPU is done.
    """

    def __init__(
        self, cuda: FakeCuda | None, *providers: str, tells: bool = True, tells_places: bool = True
    ) -> None:
        self.cuda = cuda
        self.providers = providers or (CUDA,)
        self.started = self.providers
        self.on_cpu: tuple[str, ...] = ()
        self.opened: list[dict[str, dict[str, str]]] = []
        self.entries: list[dict[str, str]] = []
        self.unwaited = 0
        self.severity: int | None = None
        self.in_processors_memory: tuple[str, ...] = ()
        methods: dict[str, Any] = {}
        if tells:
            methods["get_provider_graph_assignment_info"] = _tell_nodes
        if tells_places:
            methods["get_input_memory_infos"] = _tell_inputs
            methods["get_output_memory_infos"] = _tell_outputs
        self.InferenceSession = type("InferenceSession", (Session,), {"library": self, **methods})

    def __getattr__(self, name: str) -> Any:
        if name == "preload_dlls":
            return lambda: print("preload_dlls prints what it does not find")
        return getattr(onnxruntime, name)

    def set_default_logger_severity(self, severity: int) -> None:
        self.severity = severity

    def get_available_providers(self) -> list[str]:
        return [*self.providers, CPU]

    def SessionOptions(self) -> Any:  # noqa: N802
        real = onnxruntime.SessionOptions()
        entries: dict[str, str] = {}
        self.entries.append(entries)
        return Options(real, entries)


class Options:
    def __init__(self, real: Any, entries: dict[str, str]) -> None:
        object.__setattr__(self, "real", real)
        object.__setattr__(self, "entries", entries)

    def __setattr__(self, name: str, value: Any) -> None:
        setattr(self.real, name, value)

    def add_session_config_entry(self, name: str, value: str) -> None:
        self.entries[name] = value
        if name.startswith(("session.intra", "session.inter")):
            self.real.add_session_config_entry(name, value)


class Session:
    library: FakeOnnxRuntime

    def __init__(self, model: Any, options: Options, *, providers: list[Any], enable_fallback: int) -> None:
        assert enable_fallback == 0
        named = dict((one, {}) if isinstance(one, str) else one for one in providers)
        self.library.opened.append(named)
        self._real = onnxruntime.InferenceSession(model, options.real, providers=[CPU], enable_fallback=0)
        if options.entries.get("session.disable_cpu_ep_fallback") == "1":
            assert CPU not in named, "ONNX Runtime refuses both together"
            if self.library.on_cpu or not set(named) <= set(self.library.started):
                raise RuntimeError(
                    "[ONNXRuntimeError] : 1 : FAIL : This session contains graph nodes that are assigned to the default CPU "
                    "EP, but fallback to CPU EP has been explicitly disabled by the user."
                )
        self._providers = [name for name in named if name == CPU or name in self.library.started]
        self._options = named
        self.in_processors_memory = self.library.in_processors_memory

    def get_providers(self) -> list[str]:
        return self._providers

    def get_inputs(self) -> Any:
        return self._real.get_inputs()

    def get_outputs(self) -> Any:
        return self._real.get_outputs()

    def io_binding(self) -> Binding:
        return Binding(self._real.io_binding(), self.library.cuda)

    def run_with_iobinding(self, binding: Binding, run_options: Any = None) -> None:
        def run() -> None:
            self._real.run_with_iobinding(binding.real, None)

        handle = next(iter(self._options.values())).get("user_compute_stream")
        if handle is None:
            return run()
        stream = self.library.cuda.streams[int(handle)]
        for name, kind in binding.kinds.items():
            assert (kind == "cpu") == (name in self.in_processors_memory) or kind == "fetched", name
        stream.put(run)
        if _entry(run_options, "disable_synchronize_execution_providers") == "1":
            self.library.unwaited += 1
        else:
            stream.synchronize()
        return None


def _entry(run_options: Any, name: str) -> str:
    try:
        return run_options.get_run_config_entry(name)
    except (AttributeError, RuntimeError):  # no options, or none of that name
        return ""


def _tell_nodes(session: Session) -> list[Any]:
    nodes = ["Conv", "Conv", "Relu", "Resize", "NonZero"]
    gpu = next(iter(session._options))

    def part(provider: str, kinds: list[str]) -> Any:
        return SimpleNamespace(
            ep_name=provider, get_nodes=lambda: [SimpleNamespace(name="", op_type=one) for one in kinds]
        )

    on_cpu = session.library.on_cpu
    return [
        part(gpu, [one for one in nodes if one not in on_cpu]),
        *(part(CPU, [one]) for one in nodes if one in on_cpu),
    ]


def _tell_inputs(session: Session) -> list[Any]:
    return [_place_of(node.name, session) for node in session._real.get_inputs()]


def _tell_outputs(session: Session) -> list[Any]:
    return [_place_of(node.name, session) for node in session._real.get_outputs()]


def _place_of(name: str, session: Session) -> Any:
    return SimpleNamespace(name="Cpu" if name in session.in_processors_memory else "Cuda")


class Binding:
    def __init__(self, real: Any, cuda: FakeCuda | None) -> None:
        self.real, self._cuda = real, cuda
        self.kinds: dict[str, str] = {}

    def _check(self, kind: str, number: int, dtype: Any, shape: Any, address: int) -> None:
        if kind == "cuda":
            size = dtype().itemsize
            for side in shape:
                size *= side
            self._cuda.check(address, size)
        else:
            assert (kind, number) == ("cpu", 0)

    def bind_input(self, name: str, kind: str, number: int, dtype: Any, shape: Any, address: int) -> None:
        self._check(kind, number, dtype, shape, address)
        self.kinds[name] = kind
        self.real.bind_input(name, "cpu", 0, dtype, shape, address)

    def bind_output(self, name: str, kind: str = "cpu", *rest: Any) -> None:
        self.kinds[name] = kind if rest else "fetched"
        if rest:
            self._check(kind, *rest)
            self.real.bind_output(name, "cpu", 0, *rest[1:])
        else:
            self.real.bind_output(name)

    def get_outputs(self) -> Any:
        return self.real.get_outputs()
