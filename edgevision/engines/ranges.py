"""The shapes that a parsed network's inputs may have: those given, checked against it, and the suggested ones."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from edgevision.engines.profiles import Dimension, ShapeRange, default_range
from edgevision.errors import BackendError, InputError
from edgevision.spec import ModelSpec

__all__ = ["choose_ranges"]


def choose_ranges(
    network: Any, given: Mapping[str, ShapeRange], spec: ModelSpec | None
) -> dict[str, ShapeRange]:
    """A range for every input of the network with a dimension that is known only at run time, in their order.

    Raises InputError for a profile of no such input, one that contradicts the input's fixed dimensions, and where
    one is needed; BackendError for an input whose values are sizes.
    """
    inputs = {tensor.name: tensor for tensor in (network.get_input(i) for i in range(network.num_inputs))}
    unknown = [name for name in given if name not in inputs]
    if unknown:
        raise InputError(f"the network has no input {unknown[0]!r}; its inputs are {', '.join(inputs)}")
    ranges = {}
    for name, tensor in inputs.items():
        if tensor.is_shape_tensor:
            raise BackendError(
                f"the values of input {name!r} are sizes of other tensors, which engines of edgevision do not take; "
                "export the network with those sizes fixed"
            )
        dimensions = _dimensions(tensor)
        if name in given:
            _check_fit(name, dimensions, given[name])
        if any(length < 0 for length, _ in dimensions):
            ranges[name] = given.get(name) or default_range(name, dimensions, spec)
    return ranges


def _dimensions(tensor: Any) -> list[Dimension]:
    return [(int(length), tensor.get_dimension_name(at) or "") for at, length in enumerate(tensor.shape)]


def _check_fit(name: str, dimensions: list[Dimension], given: ShapeRange) -> None:
    fits = len(given.low) == len(dimensions) and all(
        length < 0 or low == high == length
        for (length, _), low, high in zip(dimensions, given.low, given.high, strict=True)
    )
    if not fits:
        shape = "x".join(str(length) if length >= 0 else symbol or "?" for length, symbol in dimensions)
        raise InputError(f"the profile of {name!r} must have shapes of {shape}, got {given}")
