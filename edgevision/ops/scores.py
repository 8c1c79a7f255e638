"""Scores of logits: softmax, sigmoid, and the best k.

exp is computed by float32 operations of our own (cpp_ext/include/ev/arith.h), within 2 ulp of the true value
and the same bits on every platform and in both implementations. Sigmoids are within 4 ulp of exact
arithmetic, softmaxes within 4 + d ulp, d being how far a logit lies below the greatest: that difference is
rounded to float32.
"""

from __future__ import annotations

from types import ModuleType
from typing import Any

import numpy as np
from numpy.typing import NDArray

from edgevision.errors import InputError
from edgevision.ops._checks import as_contiguous, check_apart, check_count, describe
from edgevision.ops._dispatch import native
from edgevision.ops.reference import scores as reference

__all__ = ["sigmoid", "softmax", "top_k"]

_kernels: ModuleType = reference if native is None else native
_FLOATS = (np.dtype(np.float32), np.dtype(np.float16))


def softmax(
    logits: NDArray[Any], axis: int = -1, out: NDArray[np.float32] | None = None
) -> NDArray[np.float32]:
    """exp(logits) / sum(exp(logits)) along `axis`: float32 of logits' shape, 0-1.

    logits: float32 or float16 of any shape; copied first when not C-contiguous. A slice with a NaN or a
        +infinity, or of -infinity alone, becomes NaN. The sum is kept in double.
    out: C-contiguous float32 of logits' shape to write to and return; it may be `logits` itself, or a view of all
        of it, but must not overlap it otherwise.
    Raises InputError for another dtype, axis or out.
    """
    values = _check_logits(logits)
    if not -values.ndim <= axis < values.ndim:
        raise InputError(
            f"axis must be {-values.ndim} to {values.ndim - 1} for logits of {values.shape}, got {axis}"
        )
    shape = values.shape
    axis %= len(shape)
    outer, inner = 1, 1
    for extent in shape[:axis]:
        outer *= extent
    for extent in shape[axis + 1 :]:
        inner *= extent
    result = _check_out(out, logits)
    _kernels.softmax(values, outer, shape[axis], inner, result)
    return result


def sigmoid(logits: NDArray[Any], out: NDArray[np.float32] | None = None) -> NDArray[np.float32]:
    """1 / (1 + exp(-logits)): float32 of logits' shape, 0-1, exact at the infinities, NaN for NaN.

    `logits` and `out` as for softmax.
    """
    values = _check_logits(logits)
    result = _check_out(out, logits)
    _kernels.sigmoid(values, result)
    return result


def top_k(scores: NDArray[Any], k: int) -> tuple[NDArray[np.float32], NDArray[np.int64]]:
    """The k best scores, float32 (K,), and their indices, int64 (K,), best first; K = min(k, N).

    scores: float32 or float16 (N,). The lower index comes first among equals (-0 equals 0), NaN last.
    """
    if not isinstance(scores, np.ndarray) or scores.dtype not in _FLOATS or scores.ndim != 1:
        raise InputError(f"scores must be float32 or float16 (N,), got {describe(scores)}")
    count = min(check_count("k", k), len(scores))
    values, indices = np.empty(count, np.float32), np.empty(count, np.int64)
    _kernels.top_k(as_contiguous(scores.astype(np.float32, copy=False)), count, values, indices)
    return values, indices


def _check_logits(logits: NDArray[Any]) -> NDArray[Any]:
    if not isinstance(logits, np.ndarray) or logits.dtype not in _FLOATS or logits.ndim == 0:
        raise InputError(f"logits must be float32 or float16 with at least one axis, got {describe(logits)}")
    return as_contiguous(logits)


def _check_out(out: NDArray[np.float32] | None, logits: NDArray[Any]) -> NDArray[np.float32]:
    shape = logits.shape
    if out is None:
        return np.empty(shape, np.float32)
    if (
        not isinstance(out, np.ndarray)
        or out.dtype != np.float32
        or out.shape != shape
        or not (out.flags.c_contiguous and out.flags.writeable and out.flags.aligned)
    ):
        raise InputError(f"out must be writeable C-contiguous float32 {shape}, got {describe(out)}")
    if out is not logits:
        check_apart("logits", logits, out, but_for_same=True)
    return out
