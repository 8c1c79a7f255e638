from __future__ import annotations

from typing import Any

import numpy as np
import pytest
from box_outputs import dense_output, finish, selected_output

from edgevision import Detections
from edgevision.geometry import place_image

POINTS = [5.0, 7.0, 0.75, 40.0, -3.0, 0.25]
OBJECTS = [([4.0, 6.0, 20.0, 18.0], 0.6, 0, POINTS), ([16.0, 10.0, 31.0, 30.0], 0.9, 1, [8.0, 8.0, 0.5] * 2)]
PARAMS = {"keypoints": 2}


@pytest.mark.parametrize(
    ("decoder", "make"),
    [("yolo", dense_output), ("yolo_end2end", selected_output)],
    ids=["dense", "selected"],
)
def test_each_object_has_its_keypoints(decoder: str, make: Any) -> None:
    result = finish("pose", decoder, PARAMS, [make(OBJECTS)])
    assert isinstance(result, Detections)
    assert result.task == "pose"
    assert result.xyxy.tolist() == [OBJECTS[1][0], OBJECTS[0][0]]
    assert result.keypoints.dtype == np.float32
    assert result.keypoints[0].tolist() == [[8, 8, 0.5], [8, 8, 0.5]]
    # Points are clipped to the image, the visibility is the network's.
    assert result.keypoints[1].tolist() == [[5, 7, 0.75], [32, 0, 0.25]]
    assert result.masks is None


def test_points_of_two_values_are_visible() -> None:
    objects = [(box, score, class_id, extra[:4]) for box, score, class_id, extra in OBJECTS]
    result = finish("pose", "yolo", {"keypoints": 2, "keypoint_dims": 2}, [dense_output(objects)])
    assert result.keypoints[1].tolist() == [[5, 7, 1], [0.75, 32, 1]]


def test_keypoints_come_back_through_the_letterbox() -> None:
    placement = place_image((64, 128), (32, 32))  # gain 0.25, eight rows of padding above and below
    result = finish("pose", "yolo", PARAMS, [dense_output(OBJECTS)], placement)
    assert result.keypoints[0].tolist() == [[32, 0, 0.5], [32, 0, 0.5]]
    assert result.keypoints[1].tolist() == [[20, 0, 0.75], [128, 0, 0.25]]


def test_channels_that_the_task_does_not_read_come_last() -> None:
    objects = [(box, score, class_id, [*extra, 7.0]) for box, score, class_id, extra in OBJECTS]
    result = finish("pose", "yolo", {**PARAMS, "num_extra": 1}, [dense_output(objects)])
    assert result.keypoints[1].tolist() == [[5, 7, 0.75], [32, 0, 0.25]]


def test_nothing_found_has_keypoints_of_no_objects() -> None:
    result = finish("pose", "yolo", PARAMS, [dense_output(OBJECTS)], confidence=0.95)
    assert (len(result), result.keypoints.shape, result.task) == (0, (0, 2, 3), "pose")
