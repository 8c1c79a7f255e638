"""Optimisation profiles: the shapes that an engine was built for."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any, TypeAlias

from edgevision.backends.base import TensorInfo
from edgevision.errors import InputError

__all__ = ["Profile", "check_range", "fitting_profiles", "read_profiles"]

Shape: TypeAlias = "tuple[int, ...]"
Profile: TypeAlias = "dict[str, tuple[Shape, Shape]]"
"""Each input's name -> its least and its greatest shape."""


def read_profiles(loaded: Any, inputs: Sequence[TensorInfo]) -> tuple[Profile, ...]:
    """Those of an engine that TensorRT has loaded, one at least."""
    profiles = []
    for index in range(max(1, loaded.num_optimization_profiles)):
        ranges = {}
        for info in inputs:
            fixed = tuple(side for side in info.shape if side is not None)
            least, most = fixed, fixed
            if len(fixed) < len(info.shape):
                low, _, high = loaded.get_tensor_profile_shape(info.name, index)
                least, most = tuple(low), tuple(high)
            ranges[info.name] = (least, most)
        profiles.append(ranges)
    return tuple(profiles)


def check_range(profiles: Sequence[Profile], name: str, shape: Shape, engine: str) -> None:
    """Raises InputError, naming the engine, for a shape of an input that no profile has."""
    ranges = [one[name] for one in profiles]
    if any(_lies_in(shape, one) for one in ranges):
        return
    accepted = " or ".join(
        "x".join(str(a) if a == b else f"{a}-{b}" for a, b in zip(*one, strict=True)) for one in ranges
    )
    raise InputError(
        f"{engine} was built for input {name!r} of {accepted}, got {'x'.join(map(str, shape))}; build it with a "
        f"--profile {name}=LEAST:BEST:GREATEST that has this shape"
    )


def fitting_profiles(profiles: Sequence[Profile], shapes: Mapping[str, Shape], engine: str) -> list[int]:
    """The numbers of those that have these shapes together; raises InputError, naming the engine, where none has."""
    fitting = [
        index
        for index, ranges in enumerate(profiles)
        if all(_lies_in(shape, ranges[name]) for name, shape in shapes.items())
    ]
    if not fitting:
        listed = ", ".join(f"{name} {'x'.join(map(str, shape))}" for name, shape in shapes.items())
        raise InputError(f"no profile of {engine} has these shapes together: {listed}")
    return fitting


def _lies_in(shape: Shape, range_: tuple[Shape, Shape]) -> bool:
    return all(low <= side <= high for side, low, high in zip(shape, *range_, strict=True))
