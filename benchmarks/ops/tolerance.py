"""How near another library's result must come to ours before its time is compared with ours."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

import numpy as np

__all__ = [
    "AS_FLOAT16",
    "HALF",
    "SAME_INDICES",
    "SAME_PIXELS",
    "SCALED_PIXELS",
    "MismatchError",
    "Tolerance",
    "apart",
    "apart_on_average",
    "differing",
    "unlike",
]


class MismatchError(Exception):
    """A contender computed something else than ours did: its time would mean nothing."""


@dataclass(frozen=True)
class Tolerance:
    """How far a peer's result may be from ours, and why it is not 0.

    measure: the distance of (our result, the peer's), 0 for equal ones. limit: the largest accepted.
    """

    measure: Callable[[Any, Any], float]
    limit: float
    why: str


def apart(limit: float, why: str) -> Tolerance:
    """Accepts arrays whose elements lie up to `limit` apart."""
    return Tolerance(_largest_difference, limit, why)


def apart_on_average(limit: float, why: str) -> Tolerance:
    """Accepts arrays whose elements lie up to `limit` apart on average."""
    return Tolerance(_mean_difference, limit, why)


def differing(limit: float, why: str) -> Tolerance:
    """Accepts arrays of which up to this share of the elements differs."""
    return Tolerance(_share_differing, limit, why)


def unlike(limit: float, why: str) -> Tolerance:
    """Accepts masks whose intersection over union is at least 1 - limit."""
    return Tolerance(_one_minus_iou, limit, why)


def _check_shapes(ours: np.ndarray, theirs: np.ndarray) -> None:
    if ours.shape != theirs.shape:
        raise MismatchError(f"the shapes differ: ours {ours.shape}, the peer's {theirs.shape}")


def _largest_difference(ours: Any, theirs: Any) -> float:
    ours, theirs = np.asarray(ours), np.asarray(theirs)
    _check_shapes(ours, theirs)
    if np.array_equal(ours, theirs):  # of an 8K image the differences are 800 MB
        return 0.0
    return float(np.abs(ours.astype(np.float64) - theirs.astype(np.float64)).max(initial=0.0))


def _mean_difference(ours: Any, theirs: Any) -> float:
    ours, theirs = np.asarray(ours), np.asarray(theirs)
    _check_shapes(ours, theirs)
    return float(np.abs(ours.astype(np.float64) - theirs.astype(np.float64)).mean())


def _share_differing(ours: Any, theirs: Any) -> float:
    ours, theirs = np.asarray(ours), np.asarray(theirs)
    _check_shapes(ours, theirs)
    return float(np.count_nonzero(ours != theirs) / max(1, ours.size))


def _one_minus_iou(ours: Any, theirs: Any) -> float:
    ours, theirs = np.asarray(ours, bool), np.asarray(theirs, bool)
    _check_shapes(ours, theirs)
    union = np.count_nonzero(ours | theirs)
    if not union:
        raise MismatchError("both masks are empty: they prove nothing")
    return 1.0 - float(np.count_nonzero(ours & theirs) / union)


SAME_PIXELS = apart(0.0, "the same pixels")
SCALED_PIXELS = apart(1.2e-7, "the same pixels; p * (1 / 255) and p / 255 differ in float32's last bit")
HALF = apart(4.9e-4, "the same pixels; float32's last bit may round to the next float16")
AS_FLOAT16 = apart(4.9e-4, "one is the other rounded to float16, below 1")
SAME_INDICES = differing(0.0, "the same indices")
