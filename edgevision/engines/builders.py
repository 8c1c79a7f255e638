"""The builders of engines: which there are, which of them are installed, what each can be told."""

from __future__ import annotations

import importlib.util
from dataclasses import dataclass
from importlib import metadata
from types import ModuleType

from edgevision.backends.source import import_runtime
from edgevision.backends.trt_install import mend_tensorrt
from edgevision.errors import InputError, MissingDependencyError

__all__ = ["BUILDERS", "Builder", "BuilderStatus", "available_builders", "choose_builder", "load_builder"]


@dataclass(frozen=True, slots=True)
class Builder:
    """A builder of engines.

    name:          "tensorrt" or "tensorrt-rtx".
    module:        what is imported; also how `EngineKey.backend` calls it.
    title:         its name in prose.
    tag:           its name in file names.
    distributions: the packages that may bring the module.
    options:       the fields of BuildOptions that it obeys. The others do nothing there or are refused by it.
    ahead:         whether it builds for named targets, without a GPU; else for the GPU that it runs on.
    """

    name: str
    module: str
    title: str
    tag: str
    distributions: tuple[str, ...]
    options: tuple[str, ...]
    ahead: bool


# In order of preference: without a choice, the first installed one is used.
BUILDERS: dict[str, Builder] = {
    "tensorrt": Builder(
        name="tensorrt",
        module="tensorrt",
        title="TensorRT",
        tag="trt",
        distributions=("tensorrt", "tensorrt-cu13", "tensorrt-cu12"),
        options=(
            "profiles",
            "workspace",
            "optimization_level",
            "tf32",
            "version_compatible",
            "hardware_compatible",
            "timing_cache",
        ),
        ahead=False,
    ),
    "tensorrt-rtx": Builder(
        name="tensorrt-rtx",
        module="tensorrt_rtx",
        title="TensorRT-RTX",
        tag="rtx",
        distributions=("tensorrt-rtx-cu13", "tensorrt-rtx-cu12"),
        options=("profiles", "workspace", "tf32", "version_compatible"),
        ahead=True,
    ),
}


@dataclass(frozen=True, slots=True)
class BuilderStatus:
    """Whether a builder can be imported.

    detail: the installed package with its version, or why there is none.
    mend:   the command that installs it; "" when it is available or cannot be installed here.
    """

    name: str
    available: bool
    detail: str
    mend: str = ""


def available_builders() -> tuple[BuilderStatus, ...]:
    """The state of every builder, in order of preference; imports none of them."""
    return tuple(_look_for(builder) for builder in BUILDERS.values())


def choose_builder(backend: str | None, *, targets: bool = False) -> Builder:
    """The builder of that name; None: the first installed one, of those that take targets where some are given.

    Raises InputError for an unknown name, MissingDependencyError when none is installed.
    """
    if backend is not None:
        name = backend.replace("_", "-")
        if name not in BUILDERS:
            raise InputError(
                f"there is no engine builder {backend!r}; the builders are {', '.join(BUILDERS)}"
            )
        return BUILDERS[name]
    fit = [builder for builder in BUILDERS.values() if builder.ahead or not targets]
    for builder in fit:
        if _look_for(builder).available:
            return builder
    raise _missing(fit[-1])


def load_builder(builder: Builder) -> ModuleType:
    """The builder's module. Raises MissingDependencyError when it is not installed, BackendError when it does not load."""
    try:
        return import_runtime(builder.module, builder.name)
    except MissingDependencyError:
        raise _missing(builder) from None


def _missing(builder: Builder) -> MissingDependencyError:
    return MissingDependencyError(
        builder.module, builder.name, f"building {builder.title} engines", mend=mend_tensorrt(builder.module)
    )


def _look_for(builder: Builder) -> BuilderStatus:
    found = importlib.util.find_spec(builder.module)
    if found is None or found.origin is None:
        return BuilderStatus(
            builder.name, False, f"{builder.module} is not installed", mend_tensorrt(builder.module)
        )
    versions = [(name, _version(name)) for name in builder.distributions]
    packages = [f"{name} {version}" for name, version in versions if version]
    return BuilderStatus(builder.name, True, " and ".join(packages) or f"{builder.module}, not from pip")


def _version(package: str) -> str | None:
    try:
        return metadata.version(package)
    except metadata.PackageNotFoundError:
        return None
