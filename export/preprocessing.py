"""The spec's preprocessing beside the source's own, on the golden frames."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np

from edgevision.export.errors import ExportError
from edgevision.export.golden import Frame, prepare_frame
from edgevision.export.network import Network

__all__ = ["PreprocessingParity", "compare_preprocessing"]

_MEAN_LEVELS = 1.0
"""Mean difference that is allowed, in grey levels of 255. Two implementations of one filter differ by a level here and
there, 0.02 to 0.3 in the mean; another filter, crop or colour order differs by several everywhere."""


@dataclass(frozen=True, slots=True)
class PreprocessingParity:
    """How far the tensors of the two lie apart, in grey levels (0-255): the most, the mean, and the worst frame."""

    max_levels: float
    mean_levels: float
    frame: str


def compare_preprocessing(network: Network, frames: Sequence[Frame]) -> PreprocessingParity | None:
    """The difference over every frame; None where the source has no preprocessing of its own.

    Raises ExportError when the shapes differ or the mean difference says that it is another preprocessing.
    """
    if network.preprocess is None:
        return None
    item = network.spec.inputs[0]
    # A tensor's unit is std / scale grey levels.
    level = np.abs(np.array(item.std, np.float64)) / item.scale
    level = level[:1] if item.color == "gray" else level
    level = level.reshape(1, -1, 1, 1) if item.layout == "nchw" else level
    rows = []
    for frame in frames:
        ours = prepare_frame(network.spec, frame.image)[0][item.name][:1]
        theirs = np.asarray(network.preprocess(frame.image))
        if ours.shape != theirs.shape:
            raise ExportError(
                f"the spec makes {frame.name} a tensor {ours.shape}, the source's own preprocessing {theirs.shape}"
            )
        gap = np.abs(ours.astype(np.float64) - theirs) * level
        rows.append((float(gap.max()), float(gap.mean()), frame.name))
    worst = max(rows)
    mean = max(row[1] for row in rows)
    if not mean <= _MEAN_LEVELS:
        raise ExportError(
            f"the spec's preprocessing is not the source's: {mean:.2f} grey levels apart in the mean (at most "
            f"{_MEAN_LEVELS:g}), {worst[0]:.1f} at most on {worst[2]}"
        )
    return PreprocessingParity(worst[0], mean, worst[2])
