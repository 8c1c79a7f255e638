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
from edgevision.backends.options import OnnxRuntimeOptions, OpenVinoOptions, parse_options
from edgevision.errors import InputError, MissingDependencyError, ModelFileError
from edgevision.spec.load import ENGINE_SUFFIXES

__all__ = [
    "BACKENDS",
    "Backend",
    "BackendStatus",
    "available_backends",
    "check_backend",
    "installed_backends",
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
    mend:   the command that installs it; "" when it is available.
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
}


def available_backends() -> tuple[BackendStatus, ...]:
    """The state of every runtime, in order of preference; imports none of them."""
    return tuple(_look_for(name, backend) for name, backend in BACKENDS.items())


def check_backend(name: str) -> str:
    """The name; InputError, with those there are, when it names no backend."""
    if name not in BACKENDS:
        raise InputError(f"there is no backend {name!r}; the backends are {', '.join(BACKENDS)}")
    return name


def installed_backends() -> tuple[str, ...]:
    """Names of the runtimes that can be used, in order of preference."""
    return tuple(one.name for one in available_backends() if one.available)


def open_session(
    model: str | PathLike[str] | bytes, *, backend: str | None = None, device: str = "auto", **options: Any
) -> Session:
    """The network in a file or in bytes (ONNX), ready to run.

    backend: a name of BACKENDS; None takes the first installed one that reads such a file.
    device:  "auto" or "cpu".
    options: the fields of OnnxRuntimeOptions or OpenVinoOptions.
    Raises InputError for an unknown backend, device or option, ModelFileError for a path that is no file of a network,
    MissingDependencyError when the runtime is not installed, BackendError when it refuses the network or the device.
    """
    if backend is not None:
        check_backend(backend)
    _refuse_engine(model)
    return BACKENDS[backend or _choose_backend(model)].open(model, device, options)


def _refuse_engine(model: str | PathLike[str] | bytes) -> None:
    if isinstance(model, (str, PathLike)) and Path(fspath(model)).suffix.lower() in ENGINE_SUFFIXES:
        raise ModelFileError(
            f"{fspath(model)} is an engine, and no backend here runs engines; load the .onnx file that it was built "
            "from, or the bundle's folder, or run the engine with TensorRT's own tools"
        )


def _choose_backend(model: str | PathLike[str] | bytes) -> str:
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
        return BackendStatus(
            name, False, f"{backend.module} is not installed", f"pip install 'edgevision[{backend.extra}]'"
        )
    packages = [f"{package} {version}" for package in backend.distributions if (version := _version(package))]
    return BackendStatus(name, True, " and ".join(packages) or f"{backend.module}, of unknown version")


def _version(package: str) -> str | None:
    try:
        return metadata.version(package)
    except metadata.PackageNotFoundError:
        return None
