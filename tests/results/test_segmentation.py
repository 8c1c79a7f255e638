from __future__ import annotations

import json

import numpy as np
import pytest

from edgevision import InputError, Segmentation

LABELS = np.array([[0, 0, 2], [2, 2, 0]], np.uint8)


def make(labels: np.ndarray = LABELS) -> Segmentation:
    return Segmentation(labels.copy(), (2, 3), ("belt", "nut", "gear"))


def test_regions_are_the_classes_present() -> None:
    result = make()
    assert len(result) == 2
    assert result.names == ["belt", "gear"]
    assert [(region.class_id, region.area) for region in result] == [(0, 3), (2, 3)]
    assert np.array_equal(list(result)[1].mask, LABELS == 2)


def test_mask_of_takes_names_and_ids() -> None:
    assert np.array_equal(make().mask_of("gear"), LABELS == 2)
    assert make().mask_of("gear", 0).all()
    assert not make().mask_of("nut").any()
    with pytest.raises(InputError, match="accepted: belt, nut, gear"):
        make().mask_of("bolt")


@pytest.mark.parametrize("dtype", [np.uint8, np.int32])
def test_json_runs_give_the_map_back(dtype: type) -> None:
    found = json.loads(make(LABELS.astype(dtype)).to_json())
    pairs = np.array(found["runs"]).reshape(-1, 2)
    assert np.array_equal(np.repeat(pairs[:, 0], pairs[:, 1]).reshape(2, 3), LABELS)
    assert found["regions"][1] == {"class_id": 2, "name": "gear", "area": 3}


@pytest.mark.parametrize("labels", [LABELS.astype(np.int64), LABELS[:1]], ids=["dtype", "shape"])
def test_a_map_of_the_wrong_kind_is_an_input_error(labels: np.ndarray) -> None:
    with pytest.raises(InputError, match="labels must be uint8 or int32"):
        make(labels)


def test_to_supervision_gives_one_mask_a_class() -> None:
    pytest.importorskip("supervision", reason="supervision is not installed")
    theirs = make().to_supervision()
    assert theirs.class_id.tolist() == [0, 2]
    assert np.array_equal(theirs.mask[1], LABELS == 2)
    assert theirs.xyxy[1].tolist() == [0, 0, 2, 1]
