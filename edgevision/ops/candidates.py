"""What every decoder of boxes returns, and the steps they share."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from types import ModuleType
from typing import Any

import numpy as np
from numpy.typing import NDArray

from edgevision.errors import InputError
from edgevision.ops._checks import allowed_classes, check_count, check_fraction, check_output
from edgevision.ops._dispatch import native
from edgevision.ops.reference import boxes as reference

__all__ = [
    "CLASS_DECIDES",
    "NO_OBJECTNESS",
    "PRODUCT_DECIDES",
    "Candidates",
    "check_dense",
    "check_input_size",
    "decode_dense",
]

_kernels: ModuleType = reference if native is None else native

NO_OBJECTNESS, PRODUCT_DECIDES, CLASS_DECIDES = 0, 1, 2
"""The kernels' codes for who chooses the best class where a score is objectness times class score."""


@dataclass(frozen=True, slots=True, eq=False)
class Candidates:
    """Boxes above a confidence, one entry of each array a candidate.

    boxes:     float32 (N, 4) x1, y1, x2, y2 in model-input pixels; the rotated decoders: float32 (N, 5)
               centre x, y, width, height, angle in radians.
    scores:    float32 (N,), 0-1.
    class_ids: int64 (N,).
    extra:     float32 (N, E), the model's further channels as they are: mask coefficients, keypoints; E may
        be 0.
    The arrays may share one block of memory, which lives as long as any of them.
    """

    boxes: NDArray[np.float32]
    scores: NDArray[np.float32]
    class_ids: NDArray[np.int64]
    extra: NDArray[np.float32]

    def __len__(self) -> int:
        return len(self.scores)


def check_dense(
    output: NDArray[Any], num_classes: int, before: int, layout: str, axis: int = 1
) -> NDArray[Any]:
    """`output`, checked to be a matrix whose `axis` holds `before` channels and the classes."""
    check_count("num_classes", num_classes)
    view = check_output("output", output, 2, layout)
    if view.shape[axis] < before + num_classes:
        raise InputError(
            f"output must be {layout} with num_classes={num_classes}, got {view.dtype} {view.shape}"
        )
    return view


def decode_dense(
    view: NDArray[Any],
    num_classes: int,
    objectness: int,
    confidence: float,
    classes: Iterable[int] | None,
    multi_label: bool,
    *,
    rotated: bool = False,
    size_hw: tuple[int, int] = (1, 1),
) -> Candidates:
    """Candidates of (anchors, channels): a box, perhaps an objectness, class scores, further channels."""
    limit, allowed = check_fraction("confidence", confidence), allowed_classes(classes, num_classes)
    height, width = size_hw
    return Candidates(
        *_kernels.decode_dense(
            view, num_classes, objectness, multi_label, limit, allowed, rotated, width, height
        )
    )


def check_input_size(input_hw: Sequence[int]) -> tuple[int, int]:
    """(H, W) of a model's input as ints, checked to be at least 1."""
    height, width = input_hw
    if min(height, width) < 1:
        raise InputError(f"input_hw must be (H, W) of at least 1x1, got {tuple(input_hw)}")
    return int(height), int(width)
