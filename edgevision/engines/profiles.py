"""The shapes that an engine accepts: given as text, or suggested by the spec and the graph."""

from __future__ import annotations

import re
from collections.abc import Sequence
from dataclasses import dataclass

from edgevision.errors import InputError
from edgevision.spec import ImageInput, ModelSpec

__all__ = ["MAX_BATCH", "MAX_PROMPTS", "Dimension", "ShapeRange", "default_range", "parse_profile"]

MAX_BATCH = 8
"""Largest batch of an engine whose network takes any: its scratch memory grows with it."""
MAX_PROMPTS = 16
"""Most points, boxes or texts of one run."""
_PROMPTS = re.compile(r"(num_?)?(points?|prompts?|boxes|texts?|queries|objects?|labels?)(_.*|batch)?")

Dimension = tuple[int, str]
"""A dimension of a network's input: its length or -1, and its name in the graph, "" without one."""


@dataclass(frozen=True, slots=True)
class ShapeRange:
    """The shapes of one input that an engine runs: from `low` to `high` in each dimension, fastest at `best`.

    Raises InputError unless the three are of one length and low <= best <= high, each at least 1.
    """

    low: tuple[int, ...]
    best: tuple[int, ...]
    high: tuple[int, ...]

    def __post_init__(self) -> None:
        ranks = {len(self.low), len(self.best), len(self.high)}
        ordered = all(1 <= a <= b <= c for a, b, c in zip(self.low, self.best, self.high, strict=False))
        if len(ranks) != 1 or not ordered:
            raise InputError(
                f"a profile's three shapes must have as many dimensions, each at least 1 and none smaller than in the "
                f"shape before, got {self}"
            )

    def __str__(self) -> str:
        return ":".join("x".join(map(str, shape)) for shape in (self.low, self.best, self.high))


def parse_profile(text: str) -> tuple[str, ShapeRange]:
    """The input's name and its range from "images=1x3x640x640:4x3x640x640:8x3x640x640"; one shape stands for three.

    Raises InputError for anything else.
    """
    name, _, rest = text.rpartition("=")
    shapes = rest.split(":")
    if not name or len(shapes) not in (1, 3) or not all(re.fullmatch(r"\d+(x\d+)*", one) for one in shapes):
        raise InputError(
            f"a profile must be INPUT=LEAST:BEST:GREATEST, e.g. images=1x3x640x640:4x3x640x640:8x3x640x640, "
            f"got {text!r}"
        )
    low, best, high = (tuple(int(side) for side in one.split("x")) for one in (shapes * 3)[:3])
    return name, ShapeRange(low, best, high)


def default_range(name: str, dimensions: Sequence[Dimension], spec: ModelSpec | None) -> ShapeRange:
    """The range of an input that the spec and its dimensions' names suggest.

    Batch: 1 to MAX_BATCH, fastest at 1, what a camera gives; height and width: the spec's own size, from one multiple
    up where the spec lets the tensor be smaller; points, boxes and other prompts: 1 to MAX_PROMPTS.
    Raises InputError, with an example to complete, when a dimension's name tells nothing.
    """
    image = next((one for one in spec.inputs if one.name == name), None) if spec else None
    ranges = [_dimension_range(index, one, image) for index, one in enumerate(dimensions)]
    unknown = [
        symbol or f"the {index + 1}th" for index, (_, symbol) in enumerate(dimensions) if not ranges[index]
    ]
    if unknown:
        shape = "x".join(str(length) if length >= 0 else symbol or "?" for length, symbol in dimensions)
        raise InputError(
            f"input {name!r} is {shape}, and the length of {', '.join(unknown)} is known at run time only; say the "
            f"least, best and greatest shape: --profile {name}=SHAPE:SHAPE:SHAPE"
        )
    low, best, high = zip(*[one for one in ranges if one], strict=True)
    return ShapeRange(tuple(low), tuple(best), tuple(high))


def _dimension_range(
    index: int, dimension: Dimension, image: ImageInput | None
) -> tuple[int, int, int] | None:
    length, symbol = dimension
    if length >= 0:
        return length, length, length
    if image is not None:
        if index == 0:
            batch = image.batch
            return (1, 1, MAX_BATCH) if batch is None else (batch, batch, batch)
        sides = {2: 0, 3: 1} if image.layout == "nchw" else {1: 0, 2: 1}
        if index in sides:
            side = image.size_hw[sides[index]]
            return image.multiple or side, side, side
    symbol = symbol.lower()
    if symbol in ("batch", "batch_size", "n", "b"):
        return 1, 1, MAX_BATCH
    if _PROMPTS.fullmatch(symbol):
        return 1, 1, MAX_PROMPTS
    return None
