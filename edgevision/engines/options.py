"""How an engine is built."""

from __future__ import annotations

import dataclasses
import os
from collections.abc import Mapping
from dataclasses import dataclass, field

from edgevision.engines.builders import Builder
from edgevision.engines.profiles import ShapeRange
from edgevision.errors import InputError

__all__ = ["HARDWARE", "BuildOptions", "check_offered"]

HARDWARE = ("ampere+", "same-capability")
"""What `hardware_compatible` may be."""
_MIN_WORKSPACE = 1 << 20


@dataclass(frozen=True, slots=True, kw_only=True)
class BuildOptions:
    """How an engine is built; None leaves an option to the builder. Raises InputError for a value out of range.

    profiles: for each input with dimensions that are known only at run time, the shapes that it may have; inputs left
        out get the profile that the spec and the names of their dimensions suggest (`profiles.default_range`).
    workspace: the scratch memory that the engine may use on the GPU, bytes, from 1 MiB.
    optimization_level: 0-5, how long TensorRT searches for fast kernels (its default: 3).
    tf32: whether float32 products may be rounded to TensorFloat-32 (10 bits of mantissa); both builders do so unless
        told otherwise.
    version_compatible: the engine also runs in later versions of the runtime, a little slower.
    hardware_compatible: "ampere+": it also runs on other GPUs, of compute capability 8.0 and higher, slower;
        "same-capability": on GPUs of the same compute capability.
    timing_cache: the file in which TensorRT keeps its measurements of kernels, which make the next build of a similar
        network faster; None: one in the user's cache folder; "": none.
    """

    profiles: Mapping[str, ShapeRange] = field(default_factory=dict)
    workspace: int | None = None
    optimization_level: int | None = None
    tf32: bool | None = None
    version_compatible: bool = False
    hardware_compatible: str | None = None
    timing_cache: str | os.PathLike[str] | None = None

    def __post_init__(self) -> None:
        if not isinstance(self.profiles, Mapping) or not all(
            isinstance(one, ShapeRange) for one in self.profiles.values()
        ):
            raise InputError(f"profiles must map input names to ShapeRange, got {self.profiles!r:.80}")
        _check_int("workspace", self.workspace, _MIN_WORKSPACE, 1 << 48, "bytes, at least 1 MiB (1048576)")
        _check_int("optimization_level", self.optimization_level, 0, 5, "an integer 0-5")
        for name in ("tf32", "version_compatible"):
            value = getattr(self, name)
            if not isinstance(value, bool) and not (name == "tf32" and value is None):
                raise InputError(f"{name} must be True or False, got {value!r}")
        if self.hardware_compatible not in (None, *HARDWARE):
            raise InputError(
                f"hardware_compatible must be one of {', '.join(HARDWARE)} or None, got {self.hardware_compatible!r}"
            )


def check_offered(options: BuildOptions, builder: Builder) -> None:
    """Raises InputError, naming those that the builder has, for an option that does nothing in it."""
    usual = BuildOptions()
    for one in dataclasses.fields(options):
        if getattr(options, one.name) != getattr(usual, one.name) and one.name not in builder.options:
            raise InputError(
                f"{builder.title} has no option {one.name}; its options are {', '.join(builder.options)}"
            )


def _check_int(name: str, value: object, low: int, high: int, accepted: str) -> None:
    if value is not None and (
        isinstance(value, bool) or not isinstance(value, int) or not low <= value <= high
    ):
        raise InputError(f"{name} must be {accepted}, got {value!r}")
