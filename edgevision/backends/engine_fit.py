"""Whether an engine fits the machine, by its key: asked before it is given to a runtime, in words that say what differs.

A runtime tells it too late and badly: TensorRT deserialises a plan of another GPU of the same compute capability with a
warning on stderr, and answers one of another version with a number of its magic tag.
"""

from __future__ import annotations

import platform
import sys
from collections.abc import Mapping
from dataclasses import dataclass, field
from os import PathLike, fspath
from typing import Any

from edgevision.backends.gpu import Gpu
from edgevision.errors import EngineMismatchError
from edgevision.spec import EngineKey

__all__ = ["TITLES", "Target", "check_fit", "describe_gpu", "find_differences", "name_platform"]

TITLES = {"tensorrt": "TensorRT", "tensorrt_rtx": "TensorRT-RTX"}
"""`EngineKey.backend` -> the name in prose."""

_JETSONS = ("7.2", "8.7", "10.1", "11.0")
"""Xavier, Orin and Thor. TensorRT's developer guide excepts JetPack from hardware compatibility."""

_PROCESSORS = {"amd64": "x86_64", "arm64": "aarch64"}
"""What Windows and macOS call them -> what Linux does."""


def name_platform() -> str:
    """System and processor as `EngineKey.platform` has them: "linux-x86_64", "linux-aarch64", "windows-x86_64"."""
    machine = platform.machine().lower()
    system = "windows" if sys.platform == "win32" else sys.platform
    return f"{system}-{_PROCESSORS.get(machine, machine)}"


@dataclass(frozen=True, slots=True)
class Target:
    """What an engine is to run on: the runtime's module ("tensorrt", "tensorrt_rtx"), its version, GPU and platform."""

    module: str
    version: str
    gpu: Gpu
    platform: str = field(default_factory=name_platform)

    def __str__(self) -> str:
        return f"{TITLES[self.module]} {self.version} on {describe_gpu(self.gpu)}"


def check_fit(
    path: str | PathLike[str], key: EngineKey, target: Target, options: Mapping[str, Any] | None = None
) -> None:
    """Raises EngineMismatchError, with every difference, unless the engine with this key runs on the target.

    options: build options that the engine must have been built with; None: any.
    """
    differences = find_differences(key, target, options)
    if differences:
        raise EngineMismatchError(fspath(path), differences)


def find_differences(
    key: EngineKey, target: Target, options: Mapping[str, Any] | None = None
) -> tuple[str, ...]:
    """Why the engine does not fit, a clause a reason: "it was built by TensorRT 10.3.0, here is 10.16.1"; () if it does."""
    if key.backend != target.module:
        built = f"{TITLES.get(key.backend, key.backend)} {key.backend_version}"
        return (f"it was built by {built}, here is {TITLES[target.module]} {target.version}",)
    return (
        *_version_differences(key, target),
        *_platform_differences(key, target),
        *_gpu_differences(key, target.gpu),
        *_option_differences(key, options or {}),
    )


def describe_gpu(gpu: Gpu) -> str:
    """ "Orin (compute capability 8.7, 8 multiprocessors)", say."""
    return f"{gpu.name} (compute capability {gpu.compute_capability}, {gpu.multiprocessors} multiprocessors)"


def _version_differences(key: EngineKey, target: Target) -> tuple[str, ...]:
    """A plan runs in the very version that built it; a version-compatible one in later ones of the same major number
    too (TensorRT's developer guide, "Version Compatibility")."""
    built, here = _parts(key.backend_version), _parts(target.version)
    if built == here[: len(built)] or here == built[: len(here)]:  # one may lack the build's number
        return ()
    if key.options.get("version_compatible") is True and built[0] == here[0] and built <= here:
        return ()
    what = "it is version-compatible, but" if key.options.get("version_compatible") is True else "it"
    return (f"{what} was built by {TITLES[key.backend]} {key.backend_version}, here is {target.version}",)


def _platform_differences(key: EngineKey, target: Target) -> tuple[str, ...]:
    """TensorRT's plans are of one platform, whatever else they are compatible with (developer guide); those of
    TensorRT-RTX run on Linux and Windows alike (its product page)."""
    if key.backend == "tensorrt_rtx" or key.platform in ("", target.platform):
        return ()
    return (f"it was built on {key.platform}, here is {target.platform}",)


def _gpu_differences(key: EngineKey, gpu: Gpu) -> tuple[str, ...]:
    level = key.options.get("hardware_compatible")
    if level == "ampere+":
        if gpu.compute_capability in _JETSONS:
            return (f"hardware-compatible engines do not run on Jetsons, here is {describe_gpu(gpu)}",)
        if _parts(gpu.compute_capability) >= (8, 0):
            return ()
        return (f"it is for GPUs of compute capability 8.0 and higher, here is {describe_gpu(gpu)}",)
    capabilities = key.compute_capability.split()
    if capabilities and gpu.compute_capability not in capabilities:
        return (
            f"it was built for {_name_and(key, 'compute capability ' + ', '.join(capabilities))}, "
            f"here is {describe_gpu(gpu)}",
        )
    if (
        level == "same-capability" or not key.gpu_name
    ):  # built ahead of time, for every GPU of these capabilities
        return ()
    if key.gpu_name != gpu.name:
        return (f"it was built for the GPU {key.gpu_name!r}, here is {gpu.name!r}",)
    if key.multiprocessors and key.multiprocessors != gpu.multiprocessors:
        return (
            f"it was built for {key.multiprocessors} multiprocessors of {gpu.name}, here are {gpu.multiprocessors} "
            "(another module of the same name, or a power mode that switches some off)",
        )
    return ()


def _option_differences(key: EngineKey, options: Mapping[str, Any]) -> tuple[str, ...]:
    return tuple(
        f"it was built with {name} {key.options.get(name, 'left to the builder')!s}, asked for is {value!s}"
        for name, value in options.items()
        if key.options.get(name) != value
    )


def _name_and(key: EngineKey, capabilities: str) -> str:
    return f"{key.gpu_name} ({capabilities})" if key.gpu_name else capabilities


def _parts(version: str) -> tuple[int, ...]:
    return tuple(int(part) if part.isdecimal() else -1 for part in version.split("."))
