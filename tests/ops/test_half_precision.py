"""Every function that reads a network's outputs takes float16 and gives the float32 result of the same values."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import numpy as np
import pytest

from edgevision.geometry import place_image
from edgevision.ops import boxes, instance_masks, masks, scores

SIZE = {"input_hw": (64, 64)}
PLACEMENT = place_image((50, 80), (64, 64))
CORNERS = np.array([[3, 4, 60, 45.5], [10, 2, 30, 30]], np.float32)


def outputs(*shape: int, seed: int = 0) -> np.ndarray:
    """Values from 0 to 1, which are good scores, and small boxes where they are scaled."""
    return np.random.default_rng(seed).random(shape, np.float32)


def yolo_rows(channels: int, anchors: int = 84) -> np.ndarray:
    """(anchors, channels) of a detector: boxes in pixels, then scores."""
    rows = outputs(anchors, channels)
    rows[:, :4] *= 60
    return rows


def end2end_rows(channels: int) -> np.ndarray:
    rows = yolo_rows(channels)
    rows[:, 5] = np.floor(rows[:, 5] * 9)
    return rows


YOLO = {"num_classes": 3, "confidence": 0.4}
CASES: list[Any] = [
    # function of the outputs, the outputs
    pytest.param(lambda a: boxes.decode_yolo(a, **YOLO), [yolo_rows(12).T], id="decode_yolo"),
    pytest.param(lambda a: boxes.decode_yolo_rotated(a, **YOLO), [yolo_rows(8).T], id="decode_yolo_rotated"),
    pytest.param(lambda a: boxes.detect_yolo(a, PLACEMENT, iou=0.5, **YOLO), [yolo_rows(39).T], id="detect_yolo"),
    pytest.param(lambda a: boxes.decode_yolov5(a, num_classes=3, confidence=0.2), [yolo_rows(8)], id="decode_yolov5"),
    pytest.param(
        lambda a: boxes.decode_yolox(a, num_classes=3, confidence=0.2, **SIZE), [outputs(84, 8)], id="decode_yolox"
    ),
    pytest.param(
        lambda a: boxes.decode_end2end(a, confidence=0.4), [end2end_rows(38)], id="decode_end2end"
    ),
    pytest.param(
        lambda a: boxes.decode_end2end_rotated(a, confidence=0.4), [end2end_rows(7)], id="decode_end2end_rotated"
    ),
    pytest.param(
        lambda a: boxes.decode_rtdetr(a, num_classes=5, confidence=0.6, **SIZE), [outputs(40, 9)], id="decode_rtdetr"
    ),
    pytest.param(
        lambda a, b: boxes.decode_detr(a, b, confidence=0.2, **SIZE), [outputs(40, 6), outputs(40, 4)], id="decode_detr"
    ),
    pytest.param(lambda a: [scores.softmax(a)], [outputs(7, 9)], id="softmax"),
    pytest.param(lambda a: [scores.sigmoid(a)], [outputs(7, 9)], id="sigmoid"),
    pytest.param(lambda a: scores.top_k(a, 9), [outputs(90)], id="top_k"),
    pytest.param(lambda a: [masks.upsample_argmax(a, (31, 40))], [outputs(5, 9, 11)], id="upsample_argmax"),
    pytest.param(
        lambda a: [masks.upsample_masks(a, (31, 40), threshold=0.5)], [outputs(5, 9, 11)], id="upsample_masks"
    ),
    pytest.param(
        lambda a, b: instance_masks.assemble_masks(a, b, CORNERS, PLACEMENT),
        [outputs(2, 8) - 0.5, outputs(8, 16, 16, seed=1) - 0.5],
        id="assemble_masks",
    ),
]  # fmt: skip


def arrays_of(result: Any) -> list[np.ndarray]:
    if isinstance(result, boxes.Candidates):
        return [result.boxes, result.scores, result.class_ids, result.extra]
    return list(result)


@pytest.mark.parametrize(("function", "floats"), CASES)
def test_halves_give_the_result_of_their_floats(
    kernels: str, function: Callable[..., Any], floats: list[np.ndarray]
) -> None:
    halves = [array.astype(np.float16) for array in floats]
    found = arrays_of(function(*halves))
    expected = arrays_of(function(*(half.astype(np.float32) for half in halves)))
    assert all(array.size for array in expected if array.shape[-1:] != (0,))
    for got, want in zip(found, expected, strict=True):
        assert got.dtype == want.dtype != np.float16
        np.testing.assert_array_equal(got, want)
