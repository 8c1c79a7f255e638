"""The other layouts (YOLOv5, YOLOX, end-to-end, the DETRs): hand-written rows and PyTorch."""

from __future__ import annotations

import numpy as np
import pytest
from candidate_checks import assert_candidates, floats

from edgevision.ops.boxes import (
    decode_detr,
    decode_end2end,
    decode_end2end_rotated,
    decode_rtdetr,
    decode_yolov5,
    decode_yolox,
)

torch = pytest.importorskip("torch", reason="torch is not installed")
pytestmark = pytest.mark.usefixtures("kernels")

NAN, INF = float("nan"), float("inf")


# -----------------------------------------------------------------------------------------------


def test_yolov5_multiplies_objectness_before_it_compares() -> None:
    rows = [
        # cx, cy, w, h, objectness, two classes, one extra
        [50, 40, 20, 10, 0.5, 0.25, 0.75, 9],  # 0.375
        [50, 40, 20, 10, 0.25, 1.0, 1.0, 9],  # objectness not above the confidence
        [50, 40, 20, 10, 0.5, 0.5, 0.5, 9],  # 0.25: product not above
        [50, 40, 20, 10, NAN, 1.0, 1.0, 9],
        [10, 10, 4, 4, 1.0, NAN, 0.5, 8],
    ]
    found = decode_yolov5(floats(rows), num_classes=2, confidence=0.25)
    assert_candidates(found, [[40, 35, 60, 45], [8, 8, 12, 12]], [0.375, 0.5], [1, 1], [[9], [8]])


def test_yolov5_lets_the_rounded_product_choose_the_class_and_yolox_the_class_score() -> None:
    # Two neighbouring floats whose products with 0.7 are the same float32.
    low = np.float32(0.9)
    while np.float32(0.7) * low != np.float32(0.7) * np.nextafter(low, np.float32(1)):
        low = np.nextafter(low, np.float32(1))
    rows = floats([[5, 5, 2, 2, 0.7, low, np.nextafter(low, np.float32(1))]])
    assert decode_yolov5(rows, num_classes=2, confidence=0.25).class_ids.tolist() == [0]
    found = decode_yolox(rows, num_classes=2, confidence=0.25, input_hw=(8, 8), decoded=True)
    assert found.class_ids.tolist() == [1]


@pytest.mark.parametrize("multi_label", [False, True])
@pytest.mark.parametrize("dtype", [np.float32, np.float16])
def test_yolov5_is_what_torch_computes(multi_label: bool, dtype: type) -> None:
    output = np.random.default_rng(6).random((700, 5 + 30), np.float32).astype(dtype)
    output[:, 4] **= 4
    rows = torch.from_numpy(output.astype(np.float32))
    rows = rows[rows[:, 4] > 0.3]
    scores = rows[:, 5:] * rows[:, 4:5]
    if multi_label:
        anchor, ids = torch.where(scores > 0.3)
        best = scores[anchor, ids]
    else:
        best, ids = scores.max(1)
        anchor = torch.where(best > 0.3)[0]
        best, ids = best[anchor], ids[anchor]
    xy, half = rows[anchor, :2], rows[anchor, 2:4] / 2
    assert len(ids) > 50
    found = decode_yolov5(output, num_classes=30, confidence=0.3, multi_label=multi_label)
    assert_candidates(found, torch.cat([xy - half, xy + half], 1).numpy(), best.numpy(), ids.numpy())


def test_yolox_decodes_its_grid() -> None:
    height, width, strides = 64, 96, (8, 16, 32)
    rng = np.random.default_rng(7)
    anchors = sum((height // s) * (width // s) for s in strides)
    output = rng.random((anchors, 5 + 4), np.float32)
    output[:, 2:4] = rng.normal(0, 1, (anchors, 2))
    boxes, first = [], 0
    for stride in strides:
        for row in range(height // stride):
            for column in range(width // stride):
                x, y, w, h = (float(v) for v in output[first, :4])
                cx, cy, w, h = (
                    (x + column) * stride,
                    (y + row) * stride,
                    np.exp(w) * stride,
                    np.exp(h) * stride,
                )
                boxes.append([cx - w / 2, cy - h / 2, cx + w / 2, cy + h / 2])
                first += 1
    scores = output[:, 4:5] * output[:, 5:]
    keep = scores.max(1) > 0.3
    found = decode_yolox(output, num_classes=4, confidence=0.3, input_hw=(height, width))
    assert 20 < keep.sum() < anchors
    # The expected boxes are in double: float32 rounds a few times in 300 pixels, and exp is within 2 ulp.
    np.testing.assert_allclose(found.boxes, np.array(boxes)[keep], rtol=0, atol=2e-4)
    np.testing.assert_array_equal(found.scores, scores.max(1)[keep])
    np.testing.assert_array_equal(found.class_ids, scores.argmax(1)[keep])
    decoded = np.concatenate([output[:, :4], output[:, 4:]], axis=1)
    plain = decode_yolox(decoded, num_classes=4, confidence=0.3, input_hw=(height, width), decoded=True)
    half = output[keep, 2:4] / 2
    np.testing.assert_array_equal(
        plain.boxes, np.concatenate([output[keep, :2] - half, output[keep, :2] + half], 1)
    )


def test_yolox_drops_sizes_that_overflow() -> None:
    output = np.zeros((1, 6), np.float32)
    output[0, 2:] = [89.0, 0, 1, 1]
    assert len(decode_yolox(output, num_classes=1, confidence=0.3, input_hw=(8, 8), strides=(8,))) == 0


def test_rtdetr_scales_by_the_input_size() -> None:
    rows = [[0.5, 0.5, 0.5, 0.25, 0.3, 0.6, 5], [0.5, 0.5, 0.5, 0.25, 0.1, 0.2, 5]]
    found = decode_rtdetr(floats(rows), num_classes=2, confidence=0.25, input_hw=(320, 640))
    assert_candidates(found, [[160, 120, 480, 200]], [0.6], [1], [[5]])


@pytest.mark.parametrize("classes", [3, 15, 16, 17, 80])
def test_rtdetr_is_what_torch_computes(classes: int) -> None:
    output = np.random.default_rng(classes).random((300, 4 + classes), np.float32)
    output[:, 4:] = np.floor(output[:, 4:] ** 8 * 16) / 16
    rows = torch.from_numpy(output)
    best, ids = rows[:, 4:].max(1)
    keep = best > 0.5
    xy, half = rows[keep, :2], rows[keep, 2:4] / 2
    boxes = torch.cat([xy - half, xy + half], 1) * torch.tensor([640.0, 480, 640, 480])
    found = decode_rtdetr(output, num_classes=classes, confidence=0.5, input_hw=(480, 640))
    assert_candidates(found, boxes.numpy(), best[keep].numpy(), ids[keep].numpy())


def test_end2end_takes_rows_as_they_are() -> None:
    rows = [
        [1, 2, 3, 4, 0.9, 2, 7],
        [1, 2, 3, 4, 0.8, 0, 6],
        [5, 6, 7, 8, 0.25, 1, 5],  # not above
        [1, 2, 3, 4, 0.9, NAN, 7],
        [1, 2, 3, 4, 0.9, -1, 7],
        [1, 2, 3, 4, 0.9, 3e9, 7],
        [NAN, 2, 3, 4, 0.9, 1, 7],
        [0, 0, 0, 0, 0, 0, 0],  # padding
    ]
    found = decode_end2end(floats(rows), confidence=0.25)
    assert_candidates(found, [[1, 2, 3, 4], [1, 2, 3, 4]], [0.9, 0.8], [2, 0], [[7], [6]])
    assert_candidates(
        decode_end2end(floats(rows), confidence=0.25, classes=[0]), [[1, 2, 3, 4]], [0.8], [0], [[6]]
    )
    assert len(decode_end2end(floats(rows), confidence=0.25, classes=[1])) == 0


def test_rotated_end2end_has_its_angle_last() -> None:
    rows = [[10, 20, 4, 2, 0.9, 3, 0.5, 1], [10, 20, 4, 2, 0.9, 3, INF, 1], [0] * 8]
    found = decode_end2end_rotated(floats(rows), confidence=0.25)
    assert_candidates(found, [[10, 20, 4, 2, 0.5]], [0.9], [3], [[1]])


@pytest.mark.parametrize("dtype", [np.float32, np.float16])
def test_detr_takes_the_best_class_but_no_object(dtype: type) -> None:
    rng = np.random.default_rng(8)
    logits = rng.normal(0, 3, (100, 12)).astype(dtype)
    boxes = rng.random((100, 4), np.float32)
    scores, ids = torch.from_numpy(logits.astype(np.float32)).softmax(-1)[:, :-1].max(-1)
    keep = scores > 0.4
    found = decode_detr(logits, boxes, confidence=0.4, input_hw=(480, 640))
    assert 20 < keep.sum() < 80
    # torch's exp and ours are both within 2 ulp, and so are the sums.
    np.testing.assert_allclose(found.scores, scores[keep].numpy(), rtol=5e-7)
    np.testing.assert_array_equal(found.class_ids, ids[keep].numpy())
    xy, half = torch.from_numpy(boxes)[keep, :2], torch.from_numpy(boxes)[keep, 2:] / 2
    expected = torch.cat([xy - half, xy + half], 1) * torch.tensor([640.0, 480, 640, 480])
    np.testing.assert_array_equal(found.boxes, expected.numpy())


@pytest.mark.parametrize("top_k", [1, 50, 300, 10**6])
def test_detr_with_sigmoids_takes_the_best_of_queries_times_classes(top_k: int) -> None:
    rng = np.random.default_rng(9)
    logits, boxes = rng.normal(0, 2, (60, 7)).astype(np.float32), rng.random((60, 4), np.float32)
    scores = torch.from_numpy(logits).sigmoid().flatten()
    best, flat = (result.numpy() for result in scores.topk(min(top_k, 420)))
    keep = best > 0.3
    found = decode_detr(logits, boxes, confidence=0.3, input_hw=(1, 1), activation="sigmoid", top_k=top_k)
    np.testing.assert_allclose(found.scores, best[keep], rtol=5e-7)  # both within 2 ulp
    np.testing.assert_array_equal(found.class_ids, (flat % 7)[keep])
    xy, half = boxes[flat[keep] // 7, :2], boxes[flat[keep] // 7, 2:] / 2
    np.testing.assert_array_equal(found.boxes, np.concatenate([xy - half, xy + half], 1))
    one = decode_detr(
        logits, boxes, confidence=0.3, input_hw=(1, 1), activation="sigmoid", top_k=top_k, classes=[2]
    )
    np.testing.assert_array_equal(one.scores, found.scores[found.class_ids == 2])


def test_detr_orders_equal_logits_by_query_then_class() -> None:
    found = decode_detr(
        np.ones((3, 2), np.float32),
        np.ones((3, 4), np.float32),
        confidence=0.5,
        input_hw=(1, 1),
        activation="sigmoid",
        top_k=3,
    )
    assert found.class_ids.tolist() == [0, 1, 0]


DETR_LOGITS = [
    pytest.param([NAN, 5, 0], "softmax", [], id="softmax-nan"),
    pytest.param([INF, 5, 0], "softmax", [], id="softmax-infinity"),
    pytest.param([-INF, 5, 0], "softmax", [1], id="softmax-minus-infinity"),
    pytest.param([-INF, -INF, -INF], "softmax", [], id="softmax-nothing"),
    pytest.param([0, 1, 50], "softmax", [], id="softmax-no-object"),
    pytest.param([NAN, 5, -INF], "sigmoid", [1], id="sigmoid-nan"),
    pytest.param([5, INF, 0], "sigmoid", [1, 0], id="sigmoid-of-infinity-is-one"),
]


@pytest.mark.parametrize(("row", "activation", "class_ids"), DETR_LOGITS)
def test_detr_without_numbers(row: list[float], activation: str, class_ids: list[int]) -> None:
    boxes = np.full((1, 4), 0.5, np.float32)
    found = decode_detr(floats([row]), boxes, confidence=0.5, input_hw=(1, 1), activation=activation)
    assert found.class_ids.tolist() == class_ids
