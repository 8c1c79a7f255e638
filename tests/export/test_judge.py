"""What a promptable network's decoder is judged by beside its tensors."""

from __future__ import annotations

from types import SimpleNamespace

import numpy as np
import pytest

pytest.importorskip("torch", reason="torch is not installed")

from edgevision.export.judge import compare_masks

NAMES = ("low_res_masks", "iou_predictions")
LOGITS = np.array([[[1, 1], [-1, -1]], [[1, 1], [1, -1]]], np.float32)[None]  # (1, 2 masks, 2, 2)


def figures(logits: np.ndarray, scores: list[float]) -> dict[str, tuple[float, str, int]]:
    want = dict(zip(NAMES, (LOGITS, np.array([[0.9, 0.6]], np.float32)), strict=True))
    have = dict(zip(NAMES, (logits, np.array([scores], np.float32)), strict=True))
    reference = SimpleNamespace(
        part=SimpleNamespace(outputs=NAMES), outputs=[want, want], names=["even", "odd"]
    )
    rows = compare_masks(reference, [want, have], tie=0.05)
    return {row.name: (row.value, row.frame, row.count) for row in rows}


def test_a_mask_is_compared_where_its_logits_are_above_0() -> None:
    other = LOGITS.copy()
    other[0, 1, 1, 0] = -0.5  # one of three pixels
    assert figures(other, [0.9, 0.6])["mask_iou"] == (2 / 3, "odd", 4)


@pytest.mark.parametrize(
    ("scores", "share"),
    [([0.7, 0.5], 1.0), ([0.5, 0.7], 0.5)],
    ids=["the same mask first, rated otherwise", "another mask first"],
)
def test_the_mask_put_first_is_the_one_that_pytorch_puts_first(scores: list[float], share: float) -> None:
    assert figures(LOGITS, scores)["top1"][0] == share
