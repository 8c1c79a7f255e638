"""The arithmetic of cpp_ext/include/ev/arith.h in NumPy: the same float32 operations in the same order."""

from __future__ import annotations

from typing import Any

import numpy as np
from numpy.typing import NDArray

__all__ = ["descending_order", "exp_f32", "sigmoid_f32", "sum_in_order"]

_LN2_HIGH = np.float32(0.693145751953125)
_LN2_LOW = np.float32(1.42860682030941723212e-6)
_LOG2_E = np.float32(1.44269504088896340736)
_TO_NEAREST = np.float32(12582912.0)
_ONE = np.float32(1.0)
# The Taylor series of exp, highest power first: 1/7! to 1/0!.
_TAYLOR = [_ONE / np.float32(factorial) for factorial in (5040, 720, 120, 24, 6, 2, 1, 1)]


def exp_f32(x: NDArray[np.float32]) -> NDArray[np.float32]:
    """exp(x), float32 of x's shape, within 2 ulp of the true value; arith.h says why each step is there."""
    with np.errstate(all="ignore"):
        bounded = np.minimum(np.maximum(x, np.float32(-104.0)), np.float32(89.0))
        shifted = bounded * _LOG2_E + _TO_NEAREST
        n = shifted - _TO_NEAREST
        r = (bounded - n * _LN2_HIGH) - n * _LN2_LOW
        p = np.full_like(r, _TAYLOR[0])
        for coefficient in _TAYLOR[1:]:
            p = p * r + coefficient
        whole = shifted.view(np.int32) - _TO_NEAREST.view(np.int32)
        half = whole >> 1
        first = ((half + 127) << 23).view(np.float32)
        second = ((whole - half + 127) << 23).view(np.float32)
        return np.where(np.isnan(x), x, (p * first) * second)


def sigmoid_f32(x: NDArray[np.float32]) -> NDArray[np.float32]:
    """1 / (1 + exp(-x)), float32 of x's shape; NaN stays NaN."""
    z = exp_f32(-np.abs(x))
    return np.asarray(np.where(x < 0, z, _ONE) / (_ONE + z), np.float32)


def descending_order(scores: NDArray[Any]) -> NDArray[np.intp]:
    """The indices that sort `scores` (N,) best first: the lower index first among equals, NaN last."""
    return np.argsort(-scores, kind="stable")


def sum_in_order(values: NDArray[np.float64]) -> NDArray[np.float64]:
    """The sums over the middle axis of (outer, size, inner), (outer, 1, inner), in the order of ev/scores.h.

    Eight sums of every eighth value, one by one, then those as a tree; np.sum would add in another order.
    """
    outer, size, inner = values.shape
    padded = np.zeros((outer, max(1, -(-size // 8)), 8, inner))
    padded.reshape(outer, padded.shape[1] * 8, inner)[:, :size] = values
    sums = np.cumsum(padded, axis=1)[:, -1]
    for half in (4, 2, 1):
        sums = sums[:, :half] + sums[:, half:]
    return sums
