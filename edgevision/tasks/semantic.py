"""Semantic segmentation: a class for every pixel of the image."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np
from numpy.typing import NDArray

from edgevision.errors import SpecError
from edgevision.geometry import Placement
from edgevision.ops.masks import label_map_to_image, upsample_argmax
from edgevision.results import Result, Segmentation
from edgevision.spec import ModelSpec
from edgevision.tasks.options import RunOptions
from edgevision.tasks.outputs import select_outputs
from edgevision.tasks.preparation import ImagePreparation

__all__ = ["SemanticTask"]


class SemanticTask:
    """Class logits (B, C, h, w), or an in-graph label map (B, h, w), to `Segmentation`."""

    name = "semantic"
    options: frozenset[str] = frozenset()

    def __init__(self, spec: ModelSpec, outputs: Sequence[str], frame_format: str) -> None:
        self._labels = spec.labels
        self.reads = select_outputs(spec, outputs, 1)
        self._has_logits = spec.decoder.name == "class_logits"
        self.preparation = ImagePreparation(spec.inputs[0], frame_format)

    def finish(
        self, outputs: Mapping[str, NDArray[Any]], placements: Sequence[Placement], options: RunOptions
    ) -> list[Result]:
        """See Task."""
        del options  # a label map has nothing to drop
        maps = outputs[self.reads[0]]
        rank = 4 if self._has_logits else 3
        if not self._has_logits and maps.ndim == 4 and maps.shape[1] == 1:
            maps = maps[:, 0]
        if maps.ndim != rank:
            wanted = "(B, C, h, w) class logits" if self._has_logits else "a (B, h, w) label map"
            raise SpecError(
                f"output {self.reads[0]!r} must be {wanted}, got {maps.shape}; correct the spec's decoder"
            )
        return [
            Segmentation(self._label_map(row, placement), placement.image_hw, self._labels)
            for row, placement in zip(maps, placements, strict=False)
        ]

    def _label_map(self, row: NDArray[Any], placement: Placement) -> NDArray[Any]:
        roi = placement.roi_in(row.shape[-2:])
        if self._has_logits:
            return upsample_argmax(row, placement.image_hw, roi_yxhw=roi)
        if row.dtype not in (np.uint8, np.int32):
            row = row.astype(np.int32)  # results hold uint8 or int32
        return label_map_to_image(row, placement.image_hw, roi_yxhw=roi)
