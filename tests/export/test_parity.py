"""Tensors beside PyTorch's: the figures, worked out by hand."""

from __future__ import annotations

import numpy as np
import pytest

pytest.importorskip("torch", reason="torch is not installed")
pytest.importorskip("onnx", reason="onnx is not installed")

from edgevision.export.agreement import Agreement
from edgevision.export.errors import ExportError
from edgevision.export.limits import LIMITS, TIES, failures, limits_of
from edgevision.export.network import PRECISIONS
from edgevision.export.parity import TensorParity, channel_noise, compare_outputs

A = np.array([[1.0, 2.0], [3.0, -4.0]], np.float32)


def test_the_figures_of_a_tensor() -> None:
    [row] = compare_outputs(["a"], [{"a": A}, {"a": A}], [{"a": A}, {"a": A + 0.5}], ["one", "two"])
    assert (row.name, row.shape, row.frame) == ("a", (2, 2), "two")
    assert row.max_abs == 0.5
    assert row.mean_abs == 0.25
    assert row.relative == 0.125
    shifted = (A + 0.5).ravel()
    assert row.cosine == pytest.approx(A.ravel() @ shifted / np.linalg.norm(A) / np.linalg.norm(shifted))
    # Channel 0 holds 1 and 3 (variance 1), channel 1 holds 2 and -4 (variance 9); the error is 0.25 in both.
    assert row.noise == pytest.approx((0.25 / 1 + 0.25 / 9) / 2)


def test_equal_infinities_differ_by_nothing_and_nan_by_everything() -> None:
    want = np.array([[np.inf, 1.0]], np.float32)
    [row] = compare_outputs(["a"], [{"a": want}], [{"a": want.copy()}])
    assert row.max_abs == 0.0
    [row] = compare_outputs(["a"], [{"a": A}], [{"a": np.where(A > 2, np.nan, A).astype(np.float32)}], ["f"])
    assert np.isnan(row.max_abs)
    assert failures([row], [], "int8")
    assert failures([row], [], "fp32")


def test_integers_are_compared_by_the_share_that_differs() -> None:
    want = np.zeros((1, 10), np.int64)
    have = want.copy()
    have[0, 3] = 7
    [row] = compare_outputs(["a"], [{"a": want}], [{"a": have}])
    assert row.relative == 0.1
    assert row.noise == 0.0


def test_rows_that_a_graph_selected_are_compared_as_sets() -> None:
    rng = np.random.default_rng(0)
    want = rng.uniform(0, 1, (1, 20, 6)).astype(np.float32)
    have = want[:, rng.permutation(20)]
    assert compare_outputs(["a"], [{"a": want}], [{"a": have}])[0].max_abs > 0.1
    assert compare_outputs(["a"], [{"a": want}], [{"a": have}], selected={"a"})[0].max_abs == 0.0


def test_a_row_that_a_tie_left_unselected_is_no_difference() -> None:
    scores = np.linspace(0.9, 0.5, 20, dtype=np.float32)
    want = np.random.default_rng(0).uniform(0, 640, (1, 20, 6)).astype(np.float32)
    want[0, :, 4] = scores
    have = want.copy()
    have[0, -2] = [1, 2, 3, 4, scores[-2] - 0.01, 5]  # the last but one was lost to a box of nearly its score
    [row] = compare_outputs(["a"], [{"a": want}], [{"a": have}], selected={"a"})
    assert row.max_abs > 1
    [row] = compare_outputs(["a"], [{"a": want}], [{"a": have}], selected={"a"}, tie=0.03)
    assert row.max_abs == 0.0


def test_the_best_of_selected_rows_are_compared_however_close_their_scores() -> None:
    rng = np.random.default_rng(0)
    want = rng.uniform(0, 1, (1, 20, 6)).astype(np.float32)
    want[0, :, 4] = np.linspace(0.53, 0.5, 20)
    have = want.copy()
    have[0, 0, 0] += 0.5
    [row] = compare_outputs(["a"], [{"a": want}], [{"a": have}], selected={"a"}, tie=0.1)
    assert row.max_abs == pytest.approx(0.5)


def test_other_shapes_are_an_error() -> None:
    with pytest.raises(ExportError, match=r"output 'a' is \(2, 1\) in the file and \(2, 2\) in PyTorch"):
        compare_outputs(["a"], [{"a": A}], [{"a": A[:, :1]}])


def test_scores_that_hardly_differ_are_not_noise_when_only_rounded() -> None:
    want = np.array([[1.281, 1.283, 1.279, 1.285]], np.float32)
    for error, kept in ((5e-4, True), (2e-3, False)):
        [row] = compare_outputs(["scores"], [{"scores": want}], [{"scores": want + np.float32(error)}])
        assert row.noise > 0.01
        assert (failures([row], [], "fp16") == []) is kept
    maps = np.repeat(want[..., None], 2, axis=2)
    [row] = compare_outputs(["maps"], [{"maps": maps}], [{"maps": maps + np.float32(5e-4)}])
    assert "noise" in failures([row], [], "fp16")[0]


def test_noise_counts_scores_beside_boxes() -> None:
    rng = np.random.default_rng(0)
    want = np.concatenate([rng.uniform(0, 640, (1, 4, 50)), rng.uniform(0, 1, (1, 8, 50))], axis=1)
    have = want.copy()
    have[:, 4:] = 0.5
    [row] = compare_outputs(["a"], [{"a": want}], [{"a": have}])
    assert row.cosine > 0.999999  # the boxes alone make it
    assert channel_noise(want, have) == pytest.approx(8 / 12, rel=0.1)  # eight of twelve channels are a guess


@pytest.mark.parametrize("precision", PRECISIONS)
def test_every_precision_has_limits_with_reasons_and_a_tie(precision: str) -> None:
    rows = limits_of(precision, random_weights=False)
    assert {one.what for one in rows} >= {
        "tensor_cosine",
        "top1",
        "top5",
        "matched",
        "pixels",
        "cosine",
        "mask_iou",
    }
    assert len({one.what for one in rows}) == len(rows)
    assert all(one.reason for one in LIMITS)
    assert 0 < TIES[precision].score < 1


def test_limits_name_the_worst_and_spare_random_weights() -> None:
    good = TensorParity("logits", (1, 3), 0.01, 0.01, 1e-2, 0.9999, 1e-4, "a.jpg")
    wrong = Agreement("top1", 0.9, "b.jpg", 10)
    assert failures([good], [], "int8") == []
    [said] = failures([good], [wrong], "int8")
    assert said == "top1 at least 0.99 for int8: top1 0.9 (10 compared, worst on b.jpg)"
    assert failures([good], [wrong], "int8", random_weights=True) == []
    [said] = [one for one in failures([good], [], "fp32") if "relative" in one.split(":")[0]]
    assert said.startswith("relative at most 0.0001 for fp32: logits 1x3: max 1.00e-02")
    assert said.endswith("(worst on a.jpg)")
