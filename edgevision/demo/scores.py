"""How well results agree with a frame's truth: overlaps of label maps and masks, distances of landmarks, in NumPy.

Average precision is in `metrics`.
"""

from __future__ import annotations

import numpy as np
import numpy.typing as npt

from edgevision.errors import InputError

__all__ = ["LANDMARK_TOLERANCE", "class_overlaps", "landmark_similarity", "mask_overlap", "tally_labels"]

LANDMARK_TOLERANCE = 0.1
"""COCO's keypoint constant k for every landmark: at a distance of k times the square root of the object's area the
similarity is exp(-1/2)."""


def tally_labels(
    said: npt.NDArray[np.integer], truth: npt.NDArray[np.integer], class_count: int
) -> npt.NDArray[np.int64]:
    """How many pixels of each true class (rows) are said to be of each class (columns), int64 (C, C).

    said, truth: label maps of equal shape, ids 0 to class_count - 1. Raises InputError for others.
    """
    if said.shape != truth.shape:
        raise InputError(f"label maps must be of one shape, got {said.shape} and {truth.shape}")
    for ids in (said, truth):
        if ids.size and not 0 <= int(ids.min()) <= int(ids.max()) < class_count:
            raise InputError(f"class ids must be 0 to {class_count - 1}, got {ids.min()} to {ids.max()}")
    pairs = truth.astype(np.int64) * class_count + said
    return np.bincount(pairs.ravel(), minlength=class_count**2).reshape(class_count, class_count)


def class_overlaps(tally: npt.NDArray[np.int64]) -> npt.NDArray[np.float64]:
    """Intersection over union of each class, float64 (C,), from a tally; NaN for a class neither there nor said."""
    hits = np.diag(tally)
    total = tally.sum(axis=0) + tally.sum(axis=1) - hits
    return np.asarray(np.where(total > 0, hits / np.maximum(total, 1), np.nan))


def mask_overlap(said: npt.NDArray[np.bool_], truth: npt.NDArray[np.bool_]) -> float:
    """Intersection over union of two masks, bool (H, W); 1 where both are empty."""
    either = np.count_nonzero(said | truth)
    return float(np.count_nonzero(said & truth) / either) if either else 1.0


def landmark_similarity(
    said: npt.NDArray[np.floating], truth: npt.NDArray[np.floating], area: npt.NDArray[np.floating]
) -> npt.NDArray[np.float64]:
    """COCO's object keypoint similarity of N objects, float64 (N,): 1 is perfect, NaN where no landmark shows.

    said: (N, K, 2 or 3). truth: (N, K, 3), its last column 1 where the landmark shows: only those count. area: (N,),
    pixels. The mean of exp(-d^2 / (2 area k^2)) over the landmarks that show, k = `LANDMARK_TOLERANCE`.
    """
    squared = np.square(said[..., :2].astype(np.float64) - truth[..., :2]).sum(-1)
    alike = np.exp(-squared / (2 * np.asarray(area, np.float64)[:, None] * LANDMARK_TOLERANCE**2))
    shown = truth[..., 2] > 0
    count = shown.sum(-1)
    total = np.where(shown, alike, 0).sum(-1)
    return np.asarray(np.where(count > 0, total / np.maximum(count, 1), np.nan))
