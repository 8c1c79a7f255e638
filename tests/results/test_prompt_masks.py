from __future__ import annotations

import json

import numpy as np
import pytest

from edgevision import InputError, Masks, PromptMasks

MASKS = np.zeros((3, 4, 5), bool)
MASKS[0, 1:3, 1:4] = True
MASKS[1] = True
IOU = np.array([0.5, 0.9, 0.9], np.float32)
LOGITS = np.arange(12, dtype=np.float32).reshape(3, 2, 2)


def make() -> PromptMasks:
    return PromptMasks(MASKS.copy(), IOU.copy(), LOGITS.copy(), (4, 5))


def test_the_best_is_the_first_of_the_greatest_overlap() -> None:
    best = make().best()
    assert np.array_equal(best.mask, MASKS[1])
    assert best.iou == pytest.approx(0.9)
    assert np.array_equal(best.low_res_logits, LOGITS[1])
    assert best.area == 20


def test_no_masks_have_no_best() -> None:
    with pytest.raises(InputError, match="no best"):
        make()[[]].best()


def test_it_is_a_sequence_of_masks_in_the_networks_order() -> None:
    result = make()
    assert len(result) == 3
    assert [item.area for item in result] == result.area.tolist() == [6, 20, 0]
    assert np.array_equal(result[[2, 0]].low_res_logits, LOGITS[[2, 0]])
    assert np.array_equal(result[-1].masks, MASKS[2:])
    assert result[result.iou > 0.6].area.tolist() == [20, 0]
    with pytest.raises(IndexError, match="out of range for 3 masks"):
        result[3]


def test_json_holds_boxes_and_masks() -> None:
    found = json.loads(make().to_json())
    assert found["task"] == "promptable"
    assert found["image_hw"] == [4, 5]
    assert [row["area"] for row in found["masks"]] == [6, 20, 0]
    assert [row["xyxy"] for row in found["masks"]] == [[1, 1, 4, 3], [0, 0, 5, 4], None]
    assert [row["iou"] for row in found["masks"]] == pytest.approx([0.5, 0.9, 0.9])
    masks = Masks.from_rle([row["mask"] for row in found["masks"]], (4, 5))
    assert np.array_equal(masks.dense(), MASKS)


def test_arrays_cannot_be_written() -> None:
    with pytest.raises(ValueError, match="read-only"):
        make().masks[0, 0, 0] = True


@pytest.mark.parametrize(
    ("changes", "text"),
    [
        ({"masks": MASKS.astype(np.uint8)}, r"masks must be bool \(3, 4, 5\), got uint8"),
        ({"image_hw": (5, 4)}, r"masks must be bool \(3, 5, 4\)"),
        ({"iou": IOU[:2]}, r"one entry for each of the 3 masks, got \(2,\)"),
        ({"low_res_logits": LOGITS[0]}, r"float32 \(3, h, w\), got \(2, 2\)"),
    ],
    ids=["dtype", "size", "iou", "logits"],
)
def test_arrays_that_do_not_fit_are_an_input_error(changes: dict[str, object], text: str) -> None:
    fields = {"masks": MASKS, "iou": IOU, "low_res_logits": LOGITS, "image_hw": (4, 5)} | changes
    with pytest.raises(InputError, match=text):
        PromptMasks(**fields)


def test_to_supervision_gives_a_detection_each() -> None:
    pytest.importorskip("supervision", reason="supervision is not installed")
    theirs = make()[:2].to_supervision()
    assert theirs.xyxy.tolist() == [[1, 1, 4, 3], [0, 0, 5, 4]]
    assert np.array_equal(theirs.mask, MASKS[:2])
    assert theirs.confidence.tolist() == IOU[:2].tolist()
