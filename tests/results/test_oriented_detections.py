from __future__ import annotations

import json

import numpy as np
import pytest

from edgevision import InputError, OrientedDetections
from edgevision.results import OrientedDetection

LABELS = ("plane", "ship")
BOXES = [[50, 40, 20, 10, 0], [50, 40, 20, 10, np.pi / 2], [10, 20, 8, 6, np.pi / 6]]


def make(**changes: object) -> OrientedDetections:
    fields = {
        "xywhr": np.array(BOXES, np.float32),
        "confidence": np.array([0.9, 0.8, 0.3], np.float32),
        "class_id": np.array([1, 0, 1], np.int64),
        "image_hw": (60, 80),
        "labels": LABELS,
    }
    return OrientedDetections(**{**fields, **changes})


def test_corners_go_round_the_box() -> None:
    corners = make().corners
    assert corners.dtype == np.float32
    assert corners[0].tolist() == [[60, 45], [60, 35], [40, 35], [40, 45]]
    # A quarter turn clockwise takes the right side to the bottom.
    assert np.abs(corners[1] - [[45, 50], [55, 50], [55, 30], [45, 30]]).max() < 1e-5


def test_corners_are_those_of_opencv() -> None:
    cv2 = pytest.importorskip("cv2", reason="OpenCV (extra video) is not installed")
    rng = np.random.default_rng(0)
    boxes = rng.uniform([0, 0, 1, 1, 0], [80, 60, 30, 30, np.pi / 2], (50, 5)).astype(np.float32)
    corners = make(xywhr=boxes, confidence=np.ones(50, np.float32), class_id=np.zeros(50, np.int64)).corners
    for (x, y, width, height, angle), ours in zip(boxes.tolist(), corners, strict=True):
        theirs = cv2.boxPoints(((x, y), (width, height), np.degrees(angle)))
        gap = np.abs(ours[:, None] - theirs[None]).max(axis=2)
        assert gap.min(axis=1).max() < 1e-4
        assert sorted(gap.argmin(axis=1)) == [0, 1, 2, 3]


def test_the_upright_box_holds_every_corner() -> None:
    result = make()
    assert result.xyxy[0].tolist() == [40, 35, 60, 45]
    assert np.array_equal(result.xyxy[:, :2], result.corners.min(axis=1))
    assert np.array_equal(result.xyxy[:, 2:], result.corners.max(axis=1))


def test_iterates_over_objects() -> None:
    first = next(iter(make()))
    assert isinstance(first, OrientedDetection)
    assert (first.name, first.class_id) == ("ship", 1)
    assert first.confidence == pytest.approx(0.9)
    assert first.xywhr.tolist() == BOXES[0]
    assert first.corners.shape == (4, 2)


@pytest.mark.parametrize(
    ("key", "scores"),
    [
        (np.array([True, False, True]), [0.9, 0.3]),
        ([2, 0], [0.3, 0.9]),
        ([], []),
        (slice(1, None), [0.8, 0.3]),
        (-1, [0.3]),
    ],
    ids=["mask", "indices", "nothing", "slice", "negative"],
)
def test_selects(key: object, scores: list[float]) -> None:
    chosen = make()[key]
    assert chosen.confidence.tolist() == pytest.approx(scores)
    assert len(chosen) == len(chosen.xywhr) == len(chosen.class_id) == len(scores)


def test_of_class_takes_names_and_ids() -> None:
    assert make().of_class("ship").confidence.tolist() == pytest.approx([0.9, 0.3])
    assert make().of_class(0).names == ["plane"]
    with pytest.raises(InputError, match="accepted: plane, ship"):
        make().of_class("boat")


@pytest.mark.parametrize(
    "changes",
    [
        {"xywhr": np.zeros((3, 4), np.float32)},
        {"confidence": np.zeros(2, np.float32)},
        {"class_id": np.zeros((3, 1), np.int64)},
    ],
    ids=["boxes", "confidence", "class_id"],
)
def test_arrays_that_disagree_are_an_input_error(changes: dict[str, object]) -> None:
    with pytest.raises(InputError, match=next(iter(changes))):
        make(**changes)


def test_arrays_are_frozen() -> None:
    with pytest.raises(ValueError, match="read-only"):
        make().xywhr[0, 0] = 1


def test_nothing_found_has_empty_arrays() -> None:
    empty = OrientedDetections.empty((2, 2), LABELS)
    assert (len(empty), empty.corners.shape, empty.xyxy.shape) == (0, (0, 4, 2), (0, 4))


def test_json_holds_every_object() -> None:
    found = json.loads(make().to_json())
    assert (found["task"], found["image_hw"]) == ("oriented", [60, 80])
    row = found["detections"][0]
    assert (row["name"], row["class_id"], row["xywhr"]) == ("ship", 1, BOXES[0])
    assert np.array_equal([row["corners"] for row in found["detections"]], make().corners)
    assert json.loads(OrientedDetections.empty((2, 2)).to_json())["detections"] == []


def test_to_supervision_keeps_the_corners() -> None:
    supervision = pytest.importorskip("supervision", reason="supervision is not installed")
    theirs = make().to_supervision()
    assert np.array_equal(theirs.xyxy, make().xyxy)
    assert np.array_equal(theirs.data[supervision.config.ORIENTED_BOX_COORDINATES], make().corners)
    assert theirs["class_name"].tolist() == ["ship", "plane", "ship"]
    assert theirs.class_id.tolist() == [1, 0, 1]
    assert len(theirs[theirs.confidence > 0.5]) == 2
    # Its own drawing of oriented boxes finds the corners.
    drawn = supervision.OrientedBoxAnnotator().annotate(np.zeros((60, 80, 3), np.uint8), theirs)
    assert drawn.any()
    assert len(OrientedDetections.empty((2, 2)).to_supervision()) == 0
