"""Classify: one score a class for the whole image."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from typing import Any

import numpy as np
from numpy.typing import NDArray

from edgevision.errors import SpecError
from edgevision.geometry import Placement
from edgevision.ops.scores import sigmoid, softmax
from edgevision.results import Classification, Result
from edgevision.spec import ModelSpec, decoder_params
from edgevision.tasks.options import RunOptions
from edgevision.tasks.outputs import select_outputs
from edgevision.tasks.preparation import ImagePreparation

__all__ = ["ClassifyTask"]


def _as_they_are(scores: NDArray[np.float32]) -> NDArray[np.float32]:
    return scores


_ACTIVATIONS: dict[str, Callable[[NDArray[np.float32]], NDArray[np.float32]]] = {
    "none": _as_they_are,
    "softmax": softmax,
    "sigmoid": sigmoid,
}


class ClassifyTask:
    """Scores (B, nc) to `Classification`, best first."""

    name = "classify"
    options = frozenset({"confidence", "classes"})

    def __init__(self, spec: ModelSpec, outputs: Sequence[str], frame_format: str) -> None:
        self._labels = spec.labels
        self.reads = select_outputs(spec, outputs, 1)
        self._activate = _ACTIVATIONS[str(decoder_params(spec.decoder)["activation"])]
        self.preparation = ImagePreparation(spec.inputs[0], frame_format)

    def finish(
        self, outputs: Mapping[str, NDArray[Any]], placements: Sequence[Placement], options: RunOptions
    ) -> list[Result]:
        """See Task."""
        scores = outputs[self.reads[0]].astype(np.float32, copy=False)
        scores = scores.reshape(len(scores), -1)
        if self._labels and scores.shape[1] != len(self._labels):
            raise SpecError(
                f"the network gives {scores.shape[1]} class scores and the spec names {len(self._labels)} labels; "
                f"correct the labels of the spec"
            )
        return [
            self._finish_one(self._activate(row), placement.image_hw, options)
            for row, placement in zip(scores, placements, strict=False)
        ]

    def _finish_one(
        self, scores: NDArray[np.float32], image_hw: tuple[int, int], options: RunOptions
    ) -> Classification:
        # Stable on the negated scores: equal ones stay in ascending class order, NaN goes last.
        order = np.argsort(-scores, kind="stable")
        best = scores[order]
        keep = best > options.confidence if options.confidence > 0 else np.isfinite(best)
        if options.classes is not None:
            keep &= np.isin(order, options.classes)
        if not keep.all():
            order, best = order[keep], best[keep]
        return Classification(order.astype(np.int64, copy=False), best, image_hw, self._labels)
