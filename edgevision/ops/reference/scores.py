"""softmax, sigmoid and top_k in NumPy: the oracle of the native kernels, and the fallback without one."""

from __future__ import annotations

from typing import Any

import numpy as np
from numpy.typing import NDArray

from edgevision.ops.reference.arith import descending_order, exp_f32, sigmoid_f32, sum_in_order

__all__ = ["sigmoid", "softmax", "top_k"]


def softmax(logits: NDArray[Any], outer: int, size: int, inner: int, out: NDArray[np.float32]) -> None:
    """Writes the softmax over the middle axis of (outer, size, inner) to `out`."""
    values = logits.reshape(outer, size, inner).astype(np.float32)
    if values.size == 0:
        return
    highest = np.fmax.reduce(values, axis=1, keepdims=True, initial=np.float32(-np.inf))
    with np.errstate(all="ignore"):
        exponentials = exp_f32(values - highest)
        total = sum_in_order(exponentials.astype(np.float64))
        out.reshape(outer, size, inner)[...] = exponentials * (1.0 / total).astype(np.float32)


def sigmoid(logits: NDArray[Any], out: NDArray[np.float32]) -> None:
    """Writes 1 / (1 + exp(-logits)) to `out`."""
    out[...] = sigmoid_f32(logits.astype(np.float32))


def top_k(
    scores: NDArray[np.float32], k: int, values: NDArray[np.float32], indices: NDArray[np.int64]
) -> None:
    """Writes the k best scores and their indices, best first."""
    indices[...] = descending_order(scores)[:k]
    values[...] = scores[indices]
