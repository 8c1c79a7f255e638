"""Which runtimes there are, which of them are installed, and how to open a network with one."""

from __future__ import annotations

import importlib.util
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from importlib import metadata
from os import PathLike, fspath
from pathlib import Path
from typing import Any

from edgevision.backends.base import Session
from edgevision.backends.options import (
    OnnxRuntimeOptions,
    OpenVinoOptions,
    TensorRtOptions,
    parse_options,
)
from edgevision.backends.trt_install import mend_tensorrt
from edgevision.errors import EdgeVisionError, InputError, MissingDependencyError, ModelFileError
from edgevision.spec import read_engine_header
from edgevision.spec.files import open_binary
from edgevision.spec.load import ENGINE_SUFFIXES
from edgevision.spec.plan_header import HEADER_BYTES, parse_plan_header

__all__ = [
    "BACKENDS",
    "ENGINE_BACKENDS",
    "Backend",
    "BackendStatus",
    "available_backends",
    "check_backend",
    "engine_backend",
    "installed_backends",
    "networks_run_on_cuda",
    "open_session",
]


@dataclass(frozen=True)
class Backend:
    """A runtime.

    module:        what is imported; it tells whether the runtime is installed.
    distributions: the packages that may bring the module.
    extra:         the extra of edgevision that installs one of them.
    suffixes:      of the files it reads.
    open:          (model, device, options) -> session; imports the module.
    """

    module: str
    distributions: tuple[str, ...]
    extra: str
    suffixes: tuple[str, ...]
    open: Callable[[str | PathLike[str] | bytes, str, Mapping[str, Any]], Session]


@dataclass(frozen=True)
class BackendStatus:
    """Whether a runtime can be used.

    detail: the installed package with its version, or why there is none.
    mend:   the command that installs it; "" when it is available, or not made for this system.
    """

    name: str
    available: bool
    detail: str
    mend: str = ""


def _open_onnxruntime(model: str | PathLike[str] | bytes, device: str, options: Mapping[str, Any]) -> Session:
    from edgevision.backends.onnxruntime import open_onnxruntime

    return open_onnxruntime(model, device, parse_options(OnnxRuntimeOptions, "onnxruntime", options))


def _open_openvino(model: str | PathLike[str] | bytes, device: str, options: Mapping[str, Any]) -> Session:
    from edgevision.backends.openvino import open_openvino

    return open_openvino(model, device, parse_options(OpenVinoOptions, "openvino", options))


def _open_tensorrt(model: str | PathLike[str] | bytes, device: str, options: Mapping[str, Any]) -> Session:
    from edgevision.backends.tensorrt import open_tensorrt

    return open_tensorrt(
        model, device, parse_options(TensorRtOptions, "tensorrt", options), module="tensorrt"
    )


def _open_tensorrt_rtx(
    model: str | PathLike[str] | bytes, device: str, options: Mapping[str, Any]
) -> Session:
    from edgevision.backends.tensorrt import open_tensorrt

    parsed = parse_options(TensorRtOptions, "tensorrt_rtx", options)
    return open_tensorrt(model, device, parsed, module="tensorrt_rtx")


# In order of preference: without a choice, the first installed one that reads the file is used.
BACKENDS: dict[str, Backend] = {
    "onnxruntime": Backend(
        module="onnxruntime",
        distributions=("onnxruntime", "onnxruntime-gpu", "onnxruntime-openvino", "onnxruntime-directml"),
        extra="cpu",
        suffixes=(".onnx", ".ort"),
        open=_open_onnxruntime,
    ),
    "openvino": Backend(
        module="openvino",
        distributions=("openvino",),
        extra="openvino",
        suffixes=(".onnx", ".xml"),
        open=_open_openvino,
    ),
    # Their files are engines; `edgevision.load` makes them out of ONNX files where it is allowed to.
    "tensorrt": Backend(
        module="tensorrt",
        distributions=("tensorrt", "tensorrt-cu13", "tensorrt-cu12"),
        extra="tensorrt",
        suffixes=ENGINE_SUFFIXES,
        open=_open_tensorrt,
    ),
    "tensorrt_rtx": Backend(
        module="tensorrt_rtx",
        distributions=("tensorrt-rtx-cu13", "tensorrt-rtx-cu12"),
        extra="tensorrt-rtx",
        suffixes=ENGINE_SUFFIXES,
        open=_open_tensorrt_rtx,
    ),
}


ENGINE_BACKENDS = tuple(name for name, one in BACKENDS.items() if one.suffixes == ENGINE_SUFFIXES)
"""Those that run engines."""


def available_backends() -> tuple[BackendStatus, ...]:
    """The state of every runtime, in order of preference; imports none of them."""
    return tuple(_look_for(name, backend) for name, backend in BACKENDS.items())


def check_backend(name: str) -> str:
    """The name, "tensorrt-rtx" as "tensorrt_rtx"; InputError, with those there are, when it names no backend."""
    known = name.replace("-", "_") if isinstance(name, str) else name
    if known not in BACKENDS:
        raise InputError(f"there is no backend {name!r}; the backends are {', '.join(BACKENDS)}")
    return known


def installed_backends() -> tuple[str, ...]:
    """Names of the runtimes that can be used, in order of preference."""
    return tuple(one.name for one in available_backends() if one.available)


def networks_run_on_cuda() -> bool:
    """Whether a runtime that takes ONNX files is installed that has a GPU's providers; it is imported to be asked."""
    if not _look_for("onnxruntime", BACKENDS["onnxruntime"]).available:
        return False
    from edgevision.backends.onnxruntime import load_onnxruntime
    from edgevision.backends.ort_providers import gpu_providers

    return bool(gpu_providers(load_onnxruntime()))


def open_session(
    model: str | PathLike[str] | bytes, *, backend: str | None = None, device: str = "auto", **options: Any
) -> Session:
    """The network in a file or in bytes (ONNX; an engine's with backend=), ready to run.

    backend: a name of BACKENDS; None takes the first installed one that reads such a file.
    device:  "auto", "cpu", "cuda" or "cuda:1".
    options: the fields of OnnxRuntimeOptions, OpenVinoOptions or TensorRtOptions.
    Raises InputError for an unknown backend, device or option, ModelFileError for a path that is no file of a network,
    MissingDependencyError when the runtime is not installed, BackendError when it refuses the network or the device,
    EngineMismatchError for an engine that was built for something else.
    """
    chosen = _choose_backend(model) if backend is None else check_backend(backend)
    _check_reads(BACKENDS[chosen], chosen, model)
    return BACKENDS[chosen].open(model, device, options)


def engine_backend(path: str | PathLike[str]) -> str:
    """The backend whose engine the file holds: by its sidecar, else by the plan's first bytes.

    Raises ModelFileError for a path that is no readable file.
    """
    offset = 0
    try:
        header = read_engine_header(path)
        if header.key is not None and header.key.backend in BACKENDS:
            return header.key.backend
        offset = header.plan_offset
    except EdgeVisionError:  # damaged: whoever opens it says how
        pass
    with open_binary(Path(path)) as (file, _):
        file.seek(offset)
        return "tensorrt_rtx" if parse_plan_header(file.read(HEADER_BYTES)) else "tensorrt"


def _is_engine(model: str | PathLike[str] | bytes) -> bool:
    return isinstance(model, (str, PathLike)) and Path(fspath(model)).suffix.lower() in ENGINE_SUFFIXES


def _check_reads(backend: Backend, name: str, model: str | PathLike[str] | bytes) -> None:
    """Raises ModelFileError for an engine and a backend of networks, or the other way about."""
    runs_engines = backend.suffixes == ENGINE_SUFFIXES
    if isinstance(model, bytes):
        return
    if _is_engine(model) and not runs_engines:
        raise ModelFileError(
            f"{fspath(model)} is an engine, which {name} does not run; leave out backend=, or load the .onnx file that "
            "it was built from"
        )
    if runs_engines and not _is_engine(model):
        raise ModelFileError(
            f"{name} runs engines (.engine, .plan, .trt), and {fspath(model)} is none; build one: edgevision build MODEL, "
            "or ev.load(MODEL, 'cuda', build=True)"
        )


def _choose_backend(model: str | PathLike[str] | bytes) -> str:
    if _is_engine(model):
        return engine_backend(model)  # type: ignore[arg-type]  # bytes are none
    suffix = Path(fspath(model)).suffix.lower() if isinstance(model, (str, PathLike)) else ".onnx"
    readers = [name for name, backend in BACKENDS.items() if suffix in backend.suffixes]
    if not readers:
        accepted = sorted({suffix for backend in BACKENDS.values() for suffix in backend.suffixes})
        raise ModelFileError(
            f"no backend is known to read {model!r}; model files end in {', '.join(accepted)}: "
            "if it is one of these under another name, pass backend="
        )
    for name in readers:
        if _look_for(name, BACKENDS[name]).available:
            return name
    first = BACKENDS[readers[0]]
    raise MissingDependencyError(first.module, first.extra, "running a network")


def _look_for(name: str, backend: Backend) -> BackendStatus:
    # A namespace without a file is what a removed package leaves behind when a folder of it was not empty.
    found = importlib.util.find_spec(backend.module)
    if found is None or found.origin is None:
        return BackendStatus(name, False, f"{backend.module} is not installed", _mend(backend))
    packages = [f"{package} {version}" for package in backend.distributions if (version := _version(package))]
    return BackendStatus(name, True, " and ".join(packages) or f"{backend.module}, of unknown version")


def _mend(backend: Backend) -> str:
    if backend.suffixes == ENGINE_SUFFIXES:
        return mend_tensorrt(backend.module)
    return f"pip install 'edgevision[{backend.extra}]'"


def _version(package: str) -> str | None:
    try:
        return metadata.version(package)
    except metadata.PackageNotFoundError:
        return None
