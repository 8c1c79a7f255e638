"""Logits to scores, beside NumPy, SciPy and torch.

    python benchmarks/ops/scores.py [--only NAME ...] [--seconds S] [--threads N ...] [--isa NAME ...] [--json FILE]

Every row is checked before it is timed. run_all.py measures all families and writes a page and a chart.
"""

from __future__ import annotations

from collections.abc import Callable

import numpy as np
import scipy.special
import torch
from case import Case, Contender, Row
from command import main
from tolerance import SAME_INDICES, Tolerance, apart

from edgevision.ops.scores import sigmoid, softmax, top_k

__all__ = ["ROWS"]

FEW_ULP = apart(1e-6, "exp of other libraries differs by a few ulp")


def _logits(*shape: int) -> np.ndarray:
    return np.random.default_rng(0).normal(0, 3, shape).astype(np.float32)


def _softmax_numpy(logits: np.ndarray, axis: int) -> np.ndarray:
    powers = np.exp(logits - logits.max(axis=axis, keepdims=True))
    powers /= powers.sum(axis=axis, keepdims=True)
    return powers


def soft_maximum(*shape: int, axis: int = -1) -> Callable[[bool], Case]:
    """Softmax along one axis."""

    def make(small: bool) -> Case:
        logits = _logits(*(max(1, side // 8) if small else side for side in shape))
        tensor, out = torch.from_numpy(logits), np.empty_like(logits)
        others = (
            Contender("NumPy", lambda: _softmax_numpy(logits, axis), FEW_ULP),
            Contender("scipy.special.softmax", lambda: scipy.special.softmax(logits, axis=axis), FEW_ULP),
            Contender("torch.softmax", lambda: torch.softmax(tensor, axis).numpy(), FEW_ULP),
        )
        return Case(lambda: softmax(logits, axis, out), others, logits.nbytes + out.nbytes)

    return make


def logistic(*shape: int) -> Callable[[bool], Case]:
    """Sigmoid of every element."""

    def make(small: bool) -> Case:
        logits = _logits(*(max(1, side // 8) if small else side for side in shape))
        tensor, out = torch.from_numpy(logits), np.empty_like(logits)
        others = (
            Contender("NumPy", lambda: 1 / (1 + np.exp(-logits)), FEW_ULP),
            Contender("scipy.special.expit", lambda: scipy.special.expit(logits), FEW_ULP),
            Contender("torch.sigmoid", lambda: torch.sigmoid(tensor).numpy(), FEW_ULP),
        )
        return Case(lambda: sigmoid(logits, out), others, logits.nbytes + out.nbytes)

    return make


def best(count: int, k: int) -> Callable[[bool], Case]:
    """Softmax and the best k, what a classifier's postprocessing is."""

    def make(small: bool) -> Case:
        logits = _logits(count // 8 if small else count)
        tensor = torch.from_numpy(logits)

        def ours() -> np.ndarray:
            return top_k(softmax(logits), k)[1]

        def with_numpy() -> np.ndarray:
            scores = _softmax_numpy(logits, 0)
            chosen = np.argpartition(-scores, k)[:k]
            return chosen[np.argsort(-scores[chosen])]

        def with_torch() -> np.ndarray:
            return torch.softmax(tensor, 0).topk(k)[1].numpy()

        same: Tolerance = SAME_INDICES
        others = (Contender("NumPy", with_numpy, same), Contender("torch", with_torch, same))
        return Case(ours, others, logits.nbytes)

    return make


ROWS = (
    # So small that the call itself counts.
    Row("softmax_1000", "softmax of 1000 classes", None, soft_maximum(1000)),
    Row("softmax_top5_1000", "softmax and the best 5 of 1000 classes", None, best(1000, 5)),
    Row("softmax_top5_21841", "softmax and the best 5 of 21841 classes", None, best(21841, 5)),
    Row("softmax_batch", "softmax of 32 x 1000", None, soft_maximum(32, 1000)),
    # Along the outermost axis: strided.
    Row("softmax_planes", "softmax over the classes of 21x512x512", None, soft_maximum(21, 512, 512, axis=0)),
    Row("sigmoid_queries", "sigmoid of 300 x 80", None, logistic(300, 80)),
    Row("sigmoid_anchors", "sigmoid of 8400 x 80", None, logistic(8400, 80)),
)


if __name__ == "__main__":
    main("scores", __doc__, ROWS)
