"""Which layers int8 hurts most: measured, so that as few as possible stay in float."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from contextlib import closing
from dataclasses import dataclass
from itertools import pairwise
from typing import Any

import numpy as np
import onnx
from numpy.typing import NDArray

from edgevision.backends.registry import open_session
from edgevision.export.int8 import Calibrated, quantise
from edgevision.export.int8_graph import layer_groups, quantised_types
from edgevision.export.network import Feeds
from edgevision.export.options import Progress, quiet
from edgevision.export.parity import channel_noise, run_session

__all__ = ["Damage", "fewest_left_out", "measure_damage", "output_error"]

_MAX_TRIALS = 32
"""Groups measured in the first round: a quantised copy of the model is made and run for each."""

_REFINED = 4
"""Groups of the first round, the costliest, that are then measured layer by layer."""

_MAX_SHARE = 0.5
"""Share of the layers that may stay in float: beyond it the model is no int8 model any more."""


@dataclass(frozen=True, slots=True)
class Damage:
    """layers: names of nodes that stay float together. error: of the outputs when they alone are quantised."""

    layers: tuple[str, ...]
    error: float


def measure_damage(
    calibrated: Calibrated,
    feeds: Sequence[Feeds],
    wants: Sequence[Mapping[str, NDArray[Any]]],
    form: str = "int8",
    progress: Progress = quiet,
) -> list[Damage]:
    """The damage that each layer does when it alone is quantised, the worst first.

    feeds: a few frames. wants: the float outputs of each. A big graph is measured in groups of neighbours first, and
    the worst of them layer by layer.
    """
    layers = layer_groups(calibrated.model, quantised_types(calibrated.model, form), calibrated.tail)
    bins = _bin(layers, _MAX_TRIALS)
    coarse = [len(one) > 1 for one in bins]
    total = len(bins) + (_REFINED * max(map(len, bins), default=0) if any(coarse) else 0)
    done = 0

    def measure(group: Sequence[Sequence[str]]) -> Damage:
        nonlocal done
        names = tuple(name for layer in group for name in layer)
        progress("measuring the damage of each layer", done, total)
        done += 1
        model = quantise(calibrated, form, only=names)
        return Damage(names, _error_of(model, feeds, wants))

    found = [(measure(one), one) for one in bins]
    found.sort(key=lambda item: -item[0].error)
    damages: list[Damage] = []
    for rank, (damage, group) in enumerate(found):
        if rank < _REFINED and len(group) > 1:
            damages += [measure([layer]) for layer in group]
        else:
            damages.append(damage)
    progress("measuring the damage of each layer", total, total)
    return sorted(damages, key=lambda one: -one.error)


def fewest_left_out(
    damages: Sequence[Damage], passes: Callable[[tuple[str, ...]], bool]
) -> tuple[Damage, ...] | None:
    """The shortest run of the costliest layers that, left in float, makes the form pass; None when half do not.

    passes: told the names of the nodes to leave out, whether the form then keeps its limits. That it fails with none
    left out is known.
    """

    def names(count: int) -> tuple[str, ...]:
        return tuple(name for one in damages[:count] for name in one.layers)

    limit = int(len(damages) * _MAX_SHARE)
    low, high = 0, 1  # fails with `low` left out; `high` is tried next
    while high <= limit and not passes(names(high)):
        low, high = high, high * 2
    if high > limit:
        if low >= limit or not passes(names(limit)):
            return None
        high = limit
    while high - low > 1:
        middle = (low + high) // 2
        if passes(names(middle)):
            high = middle
        else:
            low = middle
    return tuple(damages[:high])


def output_error(
    wants: Sequence[Mapping[str, NDArray[Any]]], haves: Sequence[Mapping[str, NDArray[Any]]]
) -> float:
    """How wrong outputs are: the mean of their channel_noise over runs and outputs."""
    errors = [
        channel_noise(one, have[name])
        for want, have in zip(wants, haves, strict=True)
        for name, one in want.items()
    ]
    return float(np.mean(errors)) if errors else 0.0


def _error_of(
    model: onnx.ModelProto, feeds: Sequence[Feeds], wants: Sequence[Mapping[str, NDArray[Any]]]
) -> float:
    with closing(open_session(model.SerializeToString(), backend="onnxruntime")) as session:
        return output_error(wants, run_session(session, feeds))


def _bin(layers: list[list[str]], count: int) -> list[list[list[str]]]:
    """The layers in at most `count` runs of neighbours, as even as can be."""
    if len(layers) <= count:
        return [[layer] for layer in layers]
    edges = np.linspace(0, len(layers), count + 1).round().astype(int)
    return [layers[start:end] for start, end in pairwise(edges)]
