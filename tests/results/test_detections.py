from __future__ import annotations

import json

import numpy as np
import pytest

from edgevision import Detections, InputError, Masks
from edgevision.results import Detection

LABELS = ("bolt", "nut", "gear")
MASKS = np.random.default_rng(0).random((3, 5, 6)) > 0.5
KEYPOINTS = np.random.default_rng(1).random((3, 4, 3)).astype(np.float32)


def make(**changes: object) -> Detections:
    fields = {
        "xyxy": np.array([[0, 0, 4, 4], [1, 1, 3, 3], [2, 0, 6, 5]], np.float32),
        "confidence": np.array([0.9, 0.8, 0.3], np.float32),
        "class_id": np.array([2, 0, 2], np.int64),
        "image_hw": (5, 6),
        "labels": LABELS,
    }
    return Detections(**{**fields, **changes})


def test_names_follow_class_ids() -> None:
    assert make().names == ["gear", "bolt", "gear"]
    assert make(labels=()).names == ["class 2", "class 0", "class 2"]


def test_iterates_over_objects() -> None:
    first = next(iter(make(tracker_id=np.array([7, 8, 9]))))
    assert isinstance(first, Detection)
    assert (first.name, first.class_id, first.tracker_id) == ("gear", 2, 7)
    assert first.confidence == pytest.approx(0.9)
    assert first.xyxy.tolist() == [0, 0, 4, 4]


@pytest.mark.parametrize(
    ("key", "scores"),
    [
        (np.array([True, False, True]), [0.9, 0.3]),
        (np.array([2, 0]), [0.3, 0.9]),
        ([1], [0.8]),
        ([], []),
        (slice(0, 2), [0.9, 0.8]),
        (-1, [0.3]),
        (np.int64(1), [0.8]),
    ],
    ids=["mask", "indices", "list", "nothing", "slice", "negative", "numpy int"],
)
def test_selects(key: object, scores: list[float]) -> None:
    whole = make(masks=Masks.from_dense(MASKS), keypoints=KEYPOINTS)
    chosen = whole[key]
    assert chosen.confidence.tolist() == pytest.approx(scores)
    assert len(chosen) == len(chosen.xyxy) == len(chosen.class_id) == len(scores)
    # Every array is cut by the same objects.
    rows = [whole.confidence.tolist().index(score) for score in chosen.confidence.tolist()]
    assert np.array_equal(chosen.mask, MASKS[rows])
    assert np.array_equal(chosen.keypoints, KEYPOINTS[rows])


@pytest.mark.parametrize("key", [np.array([True]), np.array([0.5]), np.zeros((2, 2), int), "gear"])
def test_a_selection_of_the_wrong_kind_is_an_input_error(key: object) -> None:
    with pytest.raises(InputError, match="a selection must be bool"):
        make()[key]


def test_an_index_out_of_range_is_an_index_error() -> None:
    with pytest.raises(IndexError, match="3 is out of range for 3"):
        make()[3]


def test_of_class_takes_names_and_ids() -> None:
    assert make().of_class("gear").confidence.tolist() == pytest.approx([0.9, 0.3])
    assert make().of_class(0, "gear").names == ["gear", "bolt", "gear"]
    assert len(make().of_class("nut")) == 0


@pytest.mark.parametrize(
    ("class_", "text"),
    [
        ("cog", "accepted: bolt, nut, gear"),
        (3, "0 to 2"),
        (-1, "at least 0"),
        (1.5, "got 1.5"),
        (True, "got True"),
    ],
)
def test_an_unknown_class_lists_the_known_ones(class_: object, text: str) -> None:
    with pytest.raises(InputError, match=text):
        make().of_class(class_)


def test_arrays_are_frozen() -> None:
    result = make()
    with pytest.raises(ValueError, match="read-only"):
        result.xyxy[0, 0] = 1
    with pytest.raises(AttributeError):
        result.xyxy = np.zeros((0, 4), np.float32)


@pytest.mark.parametrize(
    "changes",
    [
        {"xyxy": np.zeros((3, 5), np.float32)},
        {"confidence": np.zeros(2, np.float32)},
        {"tracker_id": np.zeros((3, 1), np.int64)},
        {"masks": Masks.empty((5, 6))},
        {"masks": Masks.from_dense(np.zeros((3, 4, 6), bool))},
        {"keypoints": np.zeros((3, 4, 2), np.float32)},
        {"keypoints": np.zeros((2, 4, 3), np.float32)},
    ],
    ids=[
        "boxes",
        "confidence",
        "tracker_id",
        "masks",
        "masks of another image",
        "keypoint dims",
        "keypoints",
    ],
)
def test_arrays_that_disagree_are_an_input_error(changes: dict[str, object]) -> None:
    with pytest.raises(InputError, match=next(iter(changes))):
        make(**changes)


def test_an_object_has_its_mask_and_keypoints() -> None:
    objects = list(make(masks=Masks.from_dense(MASKS), keypoints=KEYPOINTS))
    assert np.array_equal(objects[1].mask, MASKS[1])
    assert np.array_equal(objects[1].keypoints, KEYPOINTS[1])
    bare = next(iter(make()))
    assert bare.mask is bare.keypoints is None
    assert make().mask is None


@pytest.mark.parametrize(
    ("changes", "task"),
    [
        ({}, "detect"),
        ({"keypoints": KEYPOINTS}, "pose"),
        ({"masks": Masks.from_dense(MASKS)}, "instances"),
        ({"masks": Masks.from_dense(MASKS), "keypoints": KEYPOINTS}, "instances"),
    ],
    ids=["boxes", "keypoints", "masks", "both"],
)
def test_the_task_follows_from_what_there_is(changes: dict[str, object], task: str) -> None:
    assert make(**changes).task == make(**changes)[[]].task == task
    assert make(**changes).to_dict()["task"] == task


def test_json_holds_every_object() -> None:
    found = json.loads(make(tracker_id=np.array([7, 8, 9])).to_json())
    assert found["image_hw"] == [5, 6]
    assert [row["name"] for row in found["detections"]] == ["gear", "bolt", "gear"]
    assert found["detections"][1]["xyxy"] == [1, 1, 3, 3]
    assert found["detections"][1]["tracker_id"] == 8
    assert "mask" not in found["detections"][1]
    assert "keypoints" not in found["detections"][1]
    posed = json.loads(make(keypoints=KEYPOINTS).to_json())
    assert np.array_equal([row["keypoints"] for row in posed["detections"]], KEYPOINTS)
    masked = json.loads(make(masks=Masks.from_dense(MASKS)).to_json())
    runs = [row["mask"] for row in masked["detections"]]
    assert np.array_equal(Masks.from_rle(runs, (5, 6)).dense(), MASKS)
    assert json.loads(Detections.empty((2, 2)).to_json())["detections"] == []


def test_to_supervision_gives_the_same_values() -> None:
    supervision = pytest.importorskip("supervision", reason="supervision is not installed")
    masks = Masks.from_dense(MASKS)
    result = make(masks=masks, keypoints=KEYPOINTS, tracker_id=np.array([7, 8, 9]))
    theirs = result.to_supervision()
    assert isinstance(theirs, supervision.Detections)
    assert np.array_equal(theirs.xyxy, result.xyxy)
    assert np.array_equal(theirs.mask, MASKS)
    assert np.array_equal(theirs.data["keypoints"], KEYPOINTS)
    assert theirs.class_id.tolist() == [2, 0, 2]
    assert theirs.tracker_id.tolist() == [7, 8, 9]
    assert theirs["class_name"].tolist() == ["gear", "bolt", "gear"]
    assert len(theirs[theirs.confidence > 0.5]) == 2
    assert len(Detections.empty((2, 2)).to_supervision()) == 0
