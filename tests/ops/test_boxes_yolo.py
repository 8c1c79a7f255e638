"""YOLO's (4 + nc + E, A) outputs: hand-written anchors, PyTorch, what is left out, strides, dtypes."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest
from candidate_checks import assert_candidates, floats

from edgevision.ops.boxes import decode_rtdetr, decode_yolo, decode_yolo_rotated

torch = pytest.importorskip("torch", reason="torch is not installed")
pytestmark = pytest.mark.usefixtures("kernels")

NAN, INF = float("nan"), float("inf")


# -------------------------------------------------------------------------------------------


def test_yolo_gives_corners_scores_classes_and_extra_rows_in_anchor_order() -> None:
    anchors = [
        # cx, cy, w, h, two classes, two extra
        [50, 40, 20, 10, 0.1, 0.9, 7, 8],
        [10, 10, 4, 4, 0.2, 0.1, 1, 2],
        [30, 20, 10, 6, 0.5, 0.3, 3, 4],
    ]
    found = decode_yolo(floats(anchors).T, num_classes=2, confidence=0.25)
    assert_candidates(found, [[40, 35, 60, 45], [25, 17, 35, 23]], [0.9, 0.5], [1, 0], [[7, 8], [3, 4]])


@pytest.mark.parametrize("anchors", [0, 1, 7, 511, 512, 513, 1100])
@pytest.mark.parametrize(("classes", "extra"), [(1, 0), (3, 32), (80, 0)])
@pytest.mark.parametrize("multi_label", [False, True])
def test_yolo_is_what_torch_computes(anchors: int, classes: int, extra: int, multi_label: bool) -> None:
    rng = np.random.default_rng(anchors + classes)
    output = rng.random((4 + classes + extra, anchors), np.float32)
    output[:4] *= 640
    # Few distinct scores make ties between classes, many candidates a block, and scores equal to the
    # confidence.
    output[4 : 4 + classes] = np.floor(output[4 : 4 + classes] ** 4 * 8) / 8
    rows = torch.from_numpy(output).T
    scores = rows[:, 4 : 4 + classes]
    if multi_label:
        anchor, ids = torch.where(scores > 0.25)
        best = scores[anchor, ids]
    else:
        best, ids = scores.max(1)
        anchor = torch.where(best > 0.25)[0]
        best, ids = best[anchor], ids[anchor]
    xy, half = rows[anchor, :2], rows[anchor, 2:4] / 2
    found = decode_yolo(output, num_classes=classes, confidence=0.25, multi_label=multi_label)
    np.testing.assert_array_equal(found.boxes, torch.cat([xy - half, xy + half], 1).numpy())
    np.testing.assert_array_equal(found.scores, best.numpy())
    np.testing.assert_array_equal(found.class_ids, ids.numpy())
    np.testing.assert_array_equal(found.extra, rows[anchor, 4 + classes :].numpy())


def test_the_first_of_equal_classes_wins() -> None:
    output = floats([[5, 5, 2, 2, 0.1, 0.7, 0.7, 0.7]]).T
    assert decode_yolo(output, num_classes=4, confidence=0.5).class_ids.tolist() == [1]


@pytest.mark.parametrize("dtype", [np.float32, np.float16])
def test_the_first_of_equal_classes_wins_among_many_candidates(dtype: type) -> None:
    output = np.full((4 + 6, 700), 0.5, dtype)
    output[4:6] = 0.25
    found = decode_yolo(output, num_classes=6, confidence=0.3)
    assert found.class_ids.tolist() == [2] * 700


@pytest.mark.parametrize(
    ("score", "confidence", "kept"),
    [
        pytest.param(0.25, 0.25, False, id="equal"),
        pytest.param(np.nextafter(np.float32(0.25), np.float32(1)), 0.25, True, id="one-ulp-above"),
        # 0.3 as float32 is above 0.3 as double; the confidence is rounded as the scores are
        pytest.param(0.3, 0.3, False, id="equal-after-rounding"),
        pytest.param(0.0, 0.0, False, id="zero-at-zero"),
        pytest.param(1e-45, 0.0, True, id="subnormal-at-zero"),
        pytest.param(1.0, 1.0, False, id="one-at-one"),
    ],
)
def test_a_score_must_be_strictly_greater(score: float, confidence: float, kept: bool) -> None:
    output = floats([[5, 5, 2, 2, score]]).T
    assert len(decode_yolo(output, num_classes=1, confidence=confidence)) == kept


BAD_ROWS = [
    pytest.param([5, 5, 2, 2, NAN, NAN], [], id="all-scores-nan"),
    pytest.param([5, 5, 2, 2, NAN, 0.5], [1], id="nan-loses-to-a-score"),
    pytest.param([5, 5, 2, 2, 0.5, NAN], [0], id="nan-loses-from-behind"),
    pytest.param([5, 5, 2, 2, 0.5, -INF], [0], id="minus-infinity-loses"),
    pytest.param([5, 5, 2, 2, 0.5, INF], [], id="infinity-wins-and-drops"),
    pytest.param([NAN, 5, 2, 2, 0.5, 0], [], id="centre-nan"),
    pytest.param([5, 5, INF, 2, 0.5, 0], [], id="width-infinite"),
    pytest.param([5, 5, 2, -2, 0.5, 0], [0], id="negative-height-stays"),
]


@pytest.mark.parametrize("dtype", [np.float32, np.float16])
@pytest.mark.parametrize("anchors", [1, 600])
@pytest.mark.parametrize(("row", "class_ids"), BAD_ROWS)
def test_nan_and_infinity_never_come_out(
    row: list[float], class_ids: list[int], anchors: int, dtype: type
) -> None:
    output = np.array([row] * anchors, dtype).T
    assert decode_yolo(output, num_classes=2, confidence=0.25).class_ids.tolist() == class_ids * anchors
    rows = np.ascontiguousarray(output.T)
    assert decode_rtdetr(rows, num_classes=2, confidence=0.25, input_hw=(8, 8)).class_ids.tolist() == (
        class_ids * anchors
    )


def test_multi_label_drops_only_the_classes_that_are_not_finite() -> None:
    output = floats([[5, 5, 2, 2, 0.5, NAN, INF, 0.75]]).T
    found = decode_yolo(output, num_classes=4, confidence=0.25, multi_label=True)
    assert found.class_ids.tolist() == [0, 3]


@pytest.mark.parametrize("multi_label", [False, True])
@pytest.mark.parametrize("classes", [[], [1], (3, 0), range(4), np.array([2, 3])], ids=str)
def test_classes_are_filtered_after_the_best_was_chosen(classes: Any, multi_label: bool) -> None:
    rng = np.random.default_rng(3)
    output = rng.random((8, 900), np.float32)
    everything = decode_yolo(output, num_classes=4, confidence=0.6, multi_label=multi_label)
    found = decode_yolo(output, num_classes=4, confidence=0.6, multi_label=multi_label, classes=classes)
    keep = np.isin(everything.class_ids, np.array(list(classes), np.int64))
    np.testing.assert_array_equal(found.boxes, everything.boxes[keep])
    np.testing.assert_array_equal(found.class_ids, everything.class_ids[keep])


def test_float16_outputs_give_the_candidates_of_the_same_float32_values() -> None:
    rng = np.random.default_rng(4)
    output = rng.random((4 + 5 + 3, 1300), np.float32)
    output[4:9] = output[4:9] ** 6 - 0.1
    output[:4] *= 640
    half = output.astype(np.float16)
    expected = decode_yolo(half.astype(np.float32), num_classes=5, confidence=0.3)
    assert len(expected) > 100
    found = decode_yolo(half, num_classes=5, confidence=0.3)
    assert_candidates(found, expected.boxes, expected.scores, expected.class_ids, expected.extra.tolist())


STRIDES = [
    pytest.param(np.asfortranarray, id="fortran"),
    pytest.param(lambda a: np.repeat(a, 2, axis=1)[:, ::2], id="every-other-anchor"),
    pytest.param(lambda a: np.ascontiguousarray(a[:, ::-1])[:, ::-1], id="backwards"),
    pytest.param(lambda a: np.ascontiguousarray(a[::-1])[::-1], id="rows-backwards"),
    pytest.param(
        lambda a: np.frombuffer(b"x" + a.tobytes(), np.uint8)[1:].view(a.dtype).reshape(a.shape),
        id="unaligned",
    ),
    pytest.param(lambda a: np.frombuffer(a.tobytes(), a.dtype).reshape(a.shape), id="read-only"),
]


@pytest.mark.parametrize("multi_label", [False, True])
@pytest.mark.parametrize("dtype", [np.float32, np.float16])
@pytest.mark.parametrize("arrange", STRIDES)
def test_strides_and_alignment_change_nothing(arrange: Any, dtype: type, multi_label: bool) -> None:
    output = np.random.default_rng(5).random((4 + 20, 300), np.float32).astype(dtype)
    arranged = arrange(output)
    np.testing.assert_array_equal(arranged, output)
    options: dict[str, Any] = {"num_classes": 20, "confidence": 0.9, "multi_label": multi_label}
    expected, found = decode_yolo(output, **options), decode_yolo(arranged, **options)
    assert len(expected) > 50
    assert_candidates(found, expected.boxes, expected.scores, expected.class_ids)


def test_rotated_boxes_keep_centre_size_and_the_last_row_as_angle() -> None:
    anchors = [
        [50, 40, 20, 10, 0.1, 0.9, 3, 0.7],
        [1, 1, 1, 1, 0.0, 0.1, 0, 0.0],
        [5, 6, 7, 8, 0.5, 0.4, 4, NAN],
    ]
    found = decode_yolo_rotated(floats(anchors).T, num_classes=2, confidence=0.25)
    assert_candidates(found, [[50, 40, 20, 10, 0.7]], [0.9], [1], [[3]])


def test_results_outlive_each_other() -> None:
    output = floats([[50, 40, 20, 10, 0.9]]).T
    boxes = decode_yolo(output, num_classes=1, confidence=0.25).boxes
    for _ in range(100):
        decode_yolo(np.zeros((5, 64), np.float32), num_classes=1, confidence=0.25)
    assert boxes.tolist() == [[40, 35, 60, 45]]
    boxes[0, 0] = 1  # results are the caller's own
