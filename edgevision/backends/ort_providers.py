"""ONNX Runtime on NVIDIA GPUs: which execution providers compute, with which options, and which nodes they leave out."""

from __future__ import annotations

import contextlib
import io
from collections import Counter
from dataclasses import dataclass
from os import fspath
from pathlib import Path
from types import ModuleType
from typing import Any

from edgevision.backends.gpu import explain_no_gpu, find_gpu
from edgevision.backends.options import OnnxRuntimeOptions, check_device
from edgevision.errors import BackendError, InputError, ModelFileError
from edgevision.spec.files import cache_folder

__all__ = [
    "CPU_PROVIDER",
    "GPU_PROVIDERS",
    "GpuPlace",
    "can_tell_nodes",
    "choose_place",
    "describe_fallback",
    "explain_not_started",
    "gpu_providers",
    "preload_libraries",
]

GPU_PROVIDERS = {
    "cuda": "CUDAExecutionProvider",
    "tensorrt": "TensorrtExecutionProvider",
    "tensorrt-rtx": "NvTensorRTRTXExecutionProvider",
}
"""How options call them -> how ONNX Runtime does. "auto" takes the first that is there."""

CPU_PROVIDER = "CPUExecutionProvider"
_INSTALL = (
    "; for a GPU install the other package: pip uninstall -y onnxruntime && pip install 'edgevision[cuda]' (on a Jetson "
    "run an engine: backend='tensorrt')"
)
_MAX_KINDS = 4
"""Operators named in `device`."""


@dataclass(frozen=True, slots=True)
class GpuPlace:
    """A GPU to run on. providers: as options call them, those tried first in front; what they leave out "cuda" gets, where
    this build has it."""

    index: int
    providers: tuple[str, ...]

    @property
    def device(self) -> str:
        return f"cuda:{self.index}"

    def arguments(self, options: OnnxRuntimeOptions, stream: int | None) -> list[tuple[str, dict[str, str]]]:
        """The providers with their options, as InferenceSession takes them. stream: a cudaStream_t of ours."""
        made = [
            (GPU_PROVIDERS[name], _provider_options(name, self.index, options, stream))
            for name in self.providers
        ]
        made[0][1].update({name: _spell(value) for name, value in (options.provider_options or {}).items()})
        return made


def gpu_providers(library: ModuleType) -> tuple[str, ...]:
    """Those that this build of ONNX Runtime has, as options call them; whether a GPU is there they do not tell."""
    there = library.get_available_providers()
    return tuple(name for name, provider in GPU_PROVIDERS.items() if provider in there)


def choose_place(
    library: ModuleType, runtime: str, device: str, options: OnnxRuntimeOptions
) -> GpuPlace | None:
    """The GPU to run on; None: the processor. "auto" is a GPU where this build has providers for it and one is there.

    Raises InputError for a word that names no device, or a provider that this build or device does not have, BackendError
    for a GPU that is not there, saying why.
    """
    there = gpu_providers(library)
    index = _index_of(device)
    if device == "auto" and (not there or find_gpu() is None):
        index = None
    if index is None:
        check_device(device, ("cpu",), runtime)  # the words that name none
        if options.provider != "auto" or options.provider_options:
            where = "there is no GPU for it" if device == "auto" else f"device is {device!r}"
            what = (
                f"provider={options.provider!r} computes"
                if options.provider != "auto"
                else "provider_options are for one that computes"
            )
            raise InputError(f"{what} on a GPU, and {where}; leave it out")
        return None
    if not there:
        check_device(device, ("cpu",), runtime, _INSTALL)
    if options.provider not in ("auto", *there):
        raise InputError(
            f"{runtime} has no provider {options.provider!r}; it has {', '.join(there)}: pass one of these or 'auto'"
        )
    fault = explain_no_gpu(index=index) if find_gpu(index=index) is None else ""
    if fault:
        raise BackendError(f"{runtime} cannot run on device {device!r}: {fault}; device='cpu' it can")
    first = there[0] if options.provider == "auto" else options.provider
    return GpuPlace(index, (first, *(("cuda",) if first != "cuda" and "cuda" in there else ())))


def preload_libraries(library: ModuleType) -> None:
    """Loads CUDA's and cuDNN's libraries out of pip's packages, where they lie there (ONNX Runtime 1.21 and later)."""
    preload = getattr(library, "preload_dlls", None)
    if preload is not None:
        with contextlib.redirect_stdout(io.StringIO()):  # it prints what it does not find
            preload()


def explain_not_started(session: Any, place: GpuPlace) -> str:
    """Why ONNX Runtime went on without a provider, as it does when a library of it is missing; "" where it has them."""
    missing = [name for name in place.providers if GPU_PROVIDERS[name] not in session.get_providers()]
    if not missing:
        return ""
    return (
        f"its provider {missing[0]!r} did not start: CUDA's, cuDNN's or TensorRT's libraries are missing or of another "
        "version; pip install 'onnxruntime-gpu[cuda,cudnn]' brings those of CUDA"
    )


def describe_fallback(session: Any) -> str:
    """Which nodes the processor computes: "3 of 40 nodes on cpu: 2 Resize, NonZero"; "" where there are none.

    session: of a library that records it (see `can_tell_nodes`).
    """
    kinds: Counter[str] = Counter()
    total = 0
    for part in session.get_provider_graph_assignment_info():
        nodes = part.get_nodes()
        total += len(nodes)
        if part.ep_name == CPU_PROVIDER:
            kinds.update(node.op_type for node in nodes)
    if not kinds:
        return ""
    named = [f"{count} {kind}" if count > 1 else kind for kind, count in kinds.most_common(_MAX_KINDS)]
    more = ", ..." if len(kinds) > _MAX_KINDS else ""
    return f"{kinds.total()} of {total} nodes on cpu: {', '.join(named)}{more}"


def can_tell_nodes(library: ModuleType) -> bool:
    """Whether this ONNX Runtime tells which provider has which node (from 1.24 on)."""
    return hasattr(library.InferenceSession, "get_provider_graph_assignment_info")


def can_be_recorded(library: ModuleType) -> bool:
    """Whether a graph of ours may hold this ONNX Runtime's runs: from 1.31 on it keeps the memory that a recorded run
    copied from (which tensors a Concat joins, say), and was tested."""
    major, minor = library.__version__.split(".")[:2]
    return (int(major), int(minor)) >= (1, 31)


def can_tell_places(library: ModuleType) -> bool:
    """Whether this ONNX Runtime tells on which side it has a network's inputs and outputs (from 1.23 on)."""
    return hasattr(library.InferenceSession, "get_input_memory_infos")


def tensors_of_the_processor(session: Any) -> frozenset[str]:
    """Inputs that ONNX Runtime reads, and outputs that it writes, in the processor's memory: shapes, mostly.

    session: of a library that tells (see `can_tell_places`).
    """
    told = (
        (session.get_inputs(), session.get_input_memory_infos()),
        (session.get_outputs(), session.get_output_memory_infos()),
    )
    return frozenset(
        node.name
        for nodes, infos in told
        for node, info in zip(nodes, infos, strict=True)
        if info.name.lower().startswith("cpu")
    )


def _index_of(device: str) -> int | None:
    """The GPU's number; None for another word than "auto", "cuda" or "cuda:1"."""
    if device in ("auto", "cuda"):
        return 0
    kind, _, number = device.partition(":") if isinstance(device, str) else ("", "", "")
    return int(number) if kind == "cuda" and number.isascii() and number.isdigit() else None


def _provider_options(
    name: str, index: int, options: OnnxRuntimeOptions, stream: int | None
) -> dict[str, str]:
    made = {"device_id": str(index)}
    if stream is not None:
        made |= {"has_user_compute_stream": "1", "user_compute_stream": str(stream)}
    if name == "cuda":
        return made | {"use_tf32": "1" if options.tf32 else "0"}
    folder = _engine_folder(options, name)
    if folder and name == "tensorrt":
        made |= {
            "trt_engine_cache_enable": "1",
            "trt_engine_cache_path": folder,
            "trt_timing_cache_enable": "1",
            "trt_timing_cache_path": folder,
        }
    elif folder:
        made["nv_runtime_cache_path"] = folder
    return made


def _spell(value: str | int | float) -> str:
    """As ONNX Runtime reads it."""
    return str(int(value)) if isinstance(value, bool) else str(value)


def _engine_folder(options: OnnxRuntimeOptions, name: str) -> str:
    """The folder, made; "" where nothing is to be kept."""
    if options.engine_cache == "":
        return ""
    folder = (
        cache_folder(f"onnxruntime-{name}") if options.engine_cache is None else Path(options.engine_cache)
    )
    try:
        folder.mkdir(parents=True, exist_ok=True)
    except OSError as error:
        raise ModelFileError(f"cannot make the engine cache {folder}: {error.strerror or error}") from error
    return fspath(folder)
