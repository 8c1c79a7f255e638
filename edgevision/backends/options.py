"""How a network is run: one frozen dataclass a runtime, whose fields are the keywords of `open_session`."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, fields
from os import PathLike
from typing import Any, TypeVar

from edgevision.errors import BackendError, InputError

__all__ = [
    "OnnxRuntimeOptions",
    "OpenVinoOptions",
    "SessionOptions",
    "TensorRtOptions",
    "check_device",
    "parse_options",
]

PRECISIONS = ("float32", "bfloat16", "float16", "auto")
PROVIDERS = ("auto", "cuda", "tensorrt", "tensorrt-rtx")
MEMORY = ("auto", "mapped", "staged")
GRAPH_OPTIMIZATIONS = ("none", "basic", "extended", "all")

# Options of ONNX Runtime's providers that edgevision sets or that would undo what it does -> what to say instead.
_STREAM = "the network runs on a stream of its own"
_CACHE = "pass engine_cache"
_GRAPH = "pass cuda_graph"
_OURS = {
    "device_id": "pass device='cuda:<number>'",
    "has_user_compute_stream": _STREAM,
    "user_compute_stream": _STREAM,
    "use_tf32": "pass tf32",
    "enable_cuda_graph": _GRAPH,
    "trt_cuda_graph_enable": _GRAPH,
    "trt_engine_cache_enable": _CACHE,
    "trt_engine_cache_path": _CACHE,
    "trt_timing_cache_enable": _CACHE,
    "trt_timing_cache_path": _CACHE,
    "nv_cuda_graph_enable": _GRAPH,
    "nv_runtime_cache_path": _CACHE,
}


@dataclass(frozen=True, kw_only=True)
class SessionOptions:
    """What every runtime can be told.

    threads: threads that compute one run; None is the runtime's default, one a physical core. They are shared by a
             session and its clones.
    strict:  when the runtime cannot do what was asked and does something else instead: True raises BackendError,
             False warns (EdgeVisionWarning) and says it in `Session.device`.
    """

    threads: int | None = None
    strict: bool = False

    def __post_init__(self) -> None:
        if self.threads is not None:
            _check_count("threads", self.threads, "; None is the runtime's default")
        _check_flag("strict", self.strict)


@dataclass(frozen=True, kw_only=True)
class OnnxRuntimeOptions(SessionOptions):
    """What ONNX Runtime can be told.

    inter_op_threads:   branches of the graph computed at the same time; more than 1 rarely pays for vision networks,
                        whose single operators already fill the cores.
    spin:               idle threads busy-wait a moment for the next operator: the lowest latency, at the price of
                        processor time and heat between frames. False for battery or shared devices.
    graph_optimization: "none", "basic", "extended" or "all": how far the graph is rewritten at load.
    log_severity:       what ONNX Runtime prints on stderr: 0 everything, 1 information, 2 warnings, 3 errors, 4 only
                        fatal ones. 4, because its errors are raised here with the same words.
    provider:           on a GPU, what computes: "cuda"; "tensorrt" or "tensorrt-rtx", which build engines while the
                        network loads, and leave to CUDA what they do not take; "auto": the first of these that this
                        build of ONNX Runtime has.
    memory:             how inputs and outputs reach the GPU, as TensorRtOptions has it.
    cuda_graph:         of provider "cuda" and ONNX Runtime 1.31 or later, where the CUDA extension is built and every node
                        runs on the GPU: from the second run at a shape on, copies and network are launched as one
                        recorded graph.
    tf32:               of provider "cuda": float32 products may be rounded to TensorFloat-32 (10 bits of mantissa), as
                        ONNX Runtime does by itself. On an H200 a YOLO11n then takes 1.3 instead of 1.8 ms, and its boxes
                        are up to a pixel off, its scores up to 0.01. Hence False unless asked for.
    slots:              on a GPU, where the CUDA extension is built, frames (or batches) that may be on their way at once,
                        as TensorRtOptions has it; networks of one model run one after the other.
    engine_cache:       the folder in which "tensorrt" and "tensorrt-rtx" keep what they build; None: one in the user's
                        cache folder; "": nothing is kept.
    provider_options:   on a GPU, further options of the provider by ONNX Runtime's names, {"prefer_nhwc": 1}: texts,
                        numbers, or True and False for 1 and 0. What the fields above say, and what holds memory, stream and
                        graph together, is not for them.
    """

    inter_op_threads: int = 1
    spin: bool = True
    graph_optimization: str = "all"
    log_severity: int = 4
    provider: str = "auto"
    memory: str = "auto"
    cuda_graph: bool = True
    tf32: bool = False
    slots: int = 2
    engine_cache: str | PathLike[str] | None = None
    provider_options: Mapping[str, str | int | float] | None = None

    def __post_init__(self) -> None:
        super().__post_init__()
        _check_count("inter_op_threads", self.inter_op_threads)
        _check_flag("spin", self.spin)
        _check_choice("graph_optimization", self.graph_optimization, GRAPH_OPTIMIZATIONS)
        _check_choice("log_severity", self.log_severity, (0, 1, 2, 3, 4))
        _check_choice("provider", self.provider, PROVIDERS)
        _check_choice("memory", self.memory, MEMORY)
        _check_flag("cuda_graph", self.cuda_graph)
        _check_flag("tf32", self.tf32)
        _check_slots(self.slots)
        if not isinstance(self.engine_cache, (str, PathLike, type(None))):
            raise InputError(f"engine_cache must be a folder's path, '' or None, got {self.engine_cache!r}")
        _check_provider_options(self.provider_options)


@dataclass(frozen=True, kw_only=True)
class OpenVinoOptions(SessionOptions):
    """What OpenVINO can be told.

    precision: the type that layers are computed in: "float32", "bfloat16", "float16", or "auto" for OpenVINO's own
               choice. OpenVINO silently chooses bfloat16 on processors that have it: twice as fast, and 0.4 to 1 %
               off on most vision networks, 8 % on a U-Net, which is far outside what an export is checked against.
               Hence float32 unless asked for otherwise.
    streams:   runs computed at the same time, by clones in several threads, each with its share of the processor.
               1 gives the lowest latency: the clones' runs then queue.
    """

    precision: str = "float32"
    streams: int = 1

    def __post_init__(self) -> None:
        super().__post_init__()
        _check_choice("precision", self.precision, PRECISIONS)
        _check_count("streams", self.streams)


@dataclass(frozen=True, kw_only=True)
class TensorRtOptions(SessionOptions):
    """What TensorRT and TensorRT-RTX can be told.

    memory:     how inputs and outputs reach the GPU: "staged", copied from and to pinned memory; "mapped", used by the
                GPU where the processor has them, without a copy; "auto", mapped where both share one memory (Jetson),
                else staged.
    cuda_graph: from the second run at a shape on, copies and network are launched as one recorded graph. A network that
                cannot be recorded runs without, and `Session.device` says so.
    slots:      frames (or batches) that may be on their way at once, each with a context and memory of its own: the next
                goes up while this one is computed. 0: only the network runs on the GPU, and frames are prepared and
                results decoded on the processor.
    allow_host_code: plans built version-compatible bring the runtime that they need, which is code: True runs it. Only
                for plans that you trust.
    runtime_cache: TensorRT-RTX only: the folder in which the kernels stay that it compiles when an engine first runs;
                None: one in the user's cache folder; "": none, they are compiled anew each time.
    """

    memory: str = "auto"
    cuda_graph: bool = True
    slots: int = 2
    allow_host_code: bool = False
    runtime_cache: str | PathLike[str] | None = None

    def __post_init__(self) -> None:
        super().__post_init__()
        if self.threads is not None:
            raise InputError(
                f"threads is for processors, and engines run on a GPU; leave it out, got {self.threads!r}"
            )
        _check_choice("memory", self.memory, MEMORY)
        _check_flag("cuda_graph", self.cuda_graph)
        _check_slots(self.slots)
        _check_flag("allow_host_code", self.allow_host_code)
        if not isinstance(self.runtime_cache, (str, PathLike, type(None))):
            raise InputError(f"runtime_cache must be a folder's path, '' or None, got {self.runtime_cache!r}")


OptionsT = TypeVar("OptionsT", bound=SessionOptions)


def parse_options(kind: type[OptionsT], backend: str, options: Mapping[str, Any]) -> OptionsT:
    """The options that these keywords spell; raises InputError, listing the valid ones, for any other."""
    valid = [field.name for field in fields(kind)]
    unknown = [name for name in options if name not in valid]
    if unknown:
        raise InputError(
            f"{backend} has no option {', '.join(map(repr, unknown))}; its options are {', '.join(sorted(valid))}"
        )
    return kind(**options)


def check_device(device: str, available: tuple[str, ...], runtime: str, hint: str = "") -> str:
    """`device` as the runtime names it, "auto" being the first available one.

    Raises InputError for a word that names no device, BackendError for a device that is not there.
    """
    if device == "auto":
        return available[0]
    if device in available:
        return device
    kind, _, index = device.partition(":") if isinstance(device, str) else ("", "", "")
    if (
        kind not in ("cpu", "cuda")
        or (index and not (index.isascii() and index.isdigit()))
        or device.endswith(":")
    ):
        raise InputError(f"device must be 'auto', 'cpu', 'cuda' or 'cuda:<number>', got {device!r}")
    raise BackendError(
        f"{runtime} cannot run on device {device!r} here; it can on {', '.join(map(repr, available))}: "
        f"pass device={available[0]!r} or 'auto'{hint}"
    )


def _check_count(name: str, value: Any, hint: str = "") -> None:
    if isinstance(value, bool) or not isinstance(value, int) or value < 1:
        raise InputError(f"{name} must be a whole number from 1, got {value!r}{hint}")


def _check_slots(value: Any) -> None:
    if value != 0 or isinstance(value, (bool, float)):
        _check_count("slots", value, "; 0: only the network runs on the GPU")


def _check_provider_options(options: Any) -> None:
    fits = options is None or (
        isinstance(options, Mapping)
        and all(isinstance(name, str) for name in options)
        and all(isinstance(value, (str, int, float)) for value in options.values())
    )
    if not fits:
        raise InputError(
            f"provider_options must map names to texts, numbers, True or False, got {options!r:.200}"
        )
    for name in options or ():
        if name in _OURS:
            raise InputError(f"provider_options must leave {name!r} to edgevision: {_OURS[name]}")


def _check_flag(name: str, value: Any) -> None:
    if not isinstance(value, bool):
        raise InputError(f"{name} must be True or False, got {value!r}")


def _check_choice(name: str, value: Any, choices: tuple[Any, ...]) -> None:
    if isinstance(value, bool) or value not in choices:
        raise InputError(f"{name} must be one of {', '.join(map(repr, choices))}, got {value!r}")
