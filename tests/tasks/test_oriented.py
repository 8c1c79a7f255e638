from __future__ import annotations

from typing import Any

import numpy as np
import pytest
from box_outputs import dense_output, finish, selected_output

from edgevision import OrientedDetections
from edgevision.geometry import place_image

PARAMS = {"rotated": True}
# cx, cy, w, h; the angle is the further channel.
FLAT = ([10.0, 12.0, 8.0, 4.0], 0.6, 0, [0.0])
TURNED = ([20.0, 20.0, 12.0, 6.0], 0.9, 1, [2.0])


def dense(objects: list[Any]) -> np.ndarray:
    return dense_output(objects, corners=False)


@pytest.mark.parametrize(
    ("decoder", "make"), [("yolo", dense), ("yolo_end2end", selected_output)], ids=["dense", "selected"]
)
def test_boxes_have_an_angle_below_a_quarter_turn(decoder: str, make: Any) -> None:
    result = finish("oriented", decoder, PARAMS, [make([FLAT, TURNED])])
    assert isinstance(result, OrientedDetections)
    assert result.class_id.tolist() == [1, 0]
    assert result.confidence.tolist() == pytest.approx([0.9, 0.6])
    assert result.xywhr[1].tolist() == [*FLAT[0], 0.0]
    assert result.xywhr[0] == pytest.approx([20, 20, 6, 12, 2.0 - np.pi / 2], abs=1e-6)
    assert result.names == ["nut", "bolt"]


def test_boxes_come_back_through_the_letterbox_unclipped() -> None:
    placement = place_image((64, 128), (32, 32))  # gain 0.25, eight rows of padding above and below
    result = finish("oriented", "yolo", PARAMS, [dense([([2.0, 9.0, 8.0, 4.0], 0.9, 0, [0.5])])], placement)
    assert result.xywhr[0] == pytest.approx([8, 4, 32, 16, 0.5], abs=1e-5)
    assert result.corners.min() < 0


def chain(class_ids: tuple[int, int, int] = (0, 0, 0)) -> list[Any]:
    """Three boxes in a row: the second overlaps both others by more than 0.5, these two each other by less."""
    return [
        ([x, 16.0, 12.0, 6.0], score, class_id, [0.3])
        for x, score, class_id in zip((10.0, 13.0, 16.0), (0.9, 0.8, 0.7), class_ids, strict=True)
    ]


def test_a_suppressed_box_suppresses_others() -> None:
    # As Ultralytics' predictor does; a greedy suppression would keep the third.
    result = finish("oriented", "yolo", PARAMS, [dense(chain())], iou=0.5)
    assert result.confidence.tolist() == pytest.approx([0.9])


@pytest.mark.parametrize("offset", [0.0, 7680.0])
def test_classes_are_suppressed_apart_unless_told_otherwise(offset: float) -> None:
    params = {**PARAMS, "nms_class_offset": offset}
    outputs = [dense(chain((0, 1, 0)))]
    apart = finish("oriented", "yolo", params, outputs, iou=0.5)
    assert apart.confidence.tolist() == pytest.approx([0.9, 0.8, 0.7])
    together = finish("oriented", "yolo", params, outputs, iou=0.5, class_agnostic=True)
    assert together.confidence.tolist() == pytest.approx([0.9])


def test_options_limit_what_is_found() -> None:
    outputs = [dense([FLAT, TURNED])]
    assert len(finish("oriented", "yolo", PARAMS, outputs, max_detections=1)) == 1
    assert finish("oriented", "yolo", PARAMS, outputs, classes=(0,)).names == ["bolt"]
    assert len(finish("oriented", "yolo", PARAMS, outputs, confidence=0.95)) == 0


@pytest.mark.parametrize("decoder", ["yolo", "yolo_end2end"])
def test_channels_that_the_task_does_not_read_come_after_the_angle(decoder: str) -> None:
    objects = [(box, score, class_id, [*extra, 77.0]) for box, score, class_id, extra in (FLAT, TURNED)]
    make = dense if decoder == "yolo" else selected_output
    result = finish("oriented", decoder, {**PARAMS, "num_extra": 1}, [make(objects)])
    assert result.xywhr[:, 4] == pytest.approx([2.0 - np.pi / 2, 0.0], abs=1e-6)
