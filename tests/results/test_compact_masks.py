from __future__ import annotations

import json
import re
from dataclasses import replace

import numpy as np
import pytest

from edgevision import InputError, Masks

SIZE = (9, 13)


def dense() -> np.ndarray:
    """Five masks: random, one pixel in a corner, none at all, everything, a ring."""
    masks = np.zeros((5, *SIZE), bool)
    masks[0, 2:7, 3:11] = np.random.default_rng(0).random((5, 8)) > 0.4
    masks[1, 8, 12] = True
    masks[3] = True
    masks[4, 1:8, 1:8] = True
    masks[4, 3:5, 3:5] = False
    return masks


def test_dense_masks_come_back_from_their_windows() -> None:
    masks = Masks.from_dense(dense())
    assert len(masks) == 5
    assert np.array_equal(masks.dense(), dense())
    assert masks.dense().dtype == bool
    assert masks.windows[1:].tolist() == [[12, 8, 13, 9], [0, 0, 0, 0], [0, 0, 13, 9], [1, 1, 8, 8]]
    assert masks.area.tolist() == dense().sum(axis=(1, 2)).tolist()


def test_a_crop_is_the_mask_inside_its_window() -> None:
    masks = Masks.from_dense(dense())
    for index, whole in enumerate(dense()):
        left, top, right, bottom = masks.windows[index]
        assert np.array_equal(masks.crop(index), whole[top:bottom, left:right])
    assert masks.crop(2).shape == (0, 0)
    assert np.shares_memory(masks.crop(0), masks.data)


def test_a_window_need_not_be_tight() -> None:
    data = np.array([0, 0, 1, 0, 0, 1], np.uint8)
    masks = Masks((4, 5), np.array([[1, 2, 4, 4]], np.int32), np.array([0, 6]), data)
    assert np.argwhere(masks[0]).tolist() == [[2, 3], [3, 3]]


def test_integers_count_as_set_where_they_are_not_zero() -> None:
    assert np.array_equal(Masks.from_dense(dense() * np.int32(256)).dense(), dense())


@pytest.mark.parametrize(
    "key",
    [
        np.array([True, False, True, False, True]),
        np.array([4, 0]),
        [-1, 2, 2],
        [],
        slice(None, None, -2),
        slice(0, 0),
    ],
    ids=["mask", "indices", "repeated", "nothing", "slice", "empty slice"],
)
def test_selects_as_the_dense_array_does(key: object) -> None:
    expected = dense()[np.array([], int) if isinstance(key, list) and not key else key]
    chosen = Masks.from_dense(dense())[key]
    assert isinstance(chosen, Masks)
    assert np.array_equal(chosen.dense(), expected)


@pytest.mark.parametrize("index", [0, -1, np.int64(3)])
def test_one_index_gives_the_whole_mask(index: int) -> None:
    assert np.array_equal(Masks.from_dense(dense())[index], dense()[index])


def test_iterates_over_whole_masks() -> None:
    assert np.array_equal(np.stack(list(Masks.from_dense(dense()))), dense())


def test_no_masks_have_the_size_of_their_image() -> None:
    for masks in (Masks.empty(SIZE), Masks.from_dense(dense())[[]], Masks.from_dense(dense()[:0])):
        assert len(masks) == 0
        assert masks.dense().shape == (0, *SIZE)
        assert masks.area.dtype == np.int64


def test_arrays_are_frozen() -> None:
    masks = Masks.from_dense(dense())
    for array in (masks.data, masks.windows, masks.offsets, masks.crop(0)):
        with pytest.raises(ValueError, match="read-only"):
            array[0] = 0


@pytest.mark.parametrize(
    ("changes", "text"),
    [
        ({"windows": np.zeros((1, 3), np.int32)}, r"windows must be int32 \(1, 4\)"),
        ({"windows": np.array([[1, 2, 4, 4]])}, r"windows must be int32 .* got int64"),
        ({"offsets": np.array([0, 6, 6])}, r"offsets must be int64 \(2,\)"),
        ({"offsets": np.array([0, 5])}, "offsets must be the running sum"),
        ({"offsets": np.array([1, 6])}, "offsets must be the running sum"),
        ({"data": np.ones(7, np.uint8)}, "data 6 long"),
        ({"data": np.full(6, 255, np.uint8)}, "data must be 0 or 1, got 255"),
        ({"data": np.ones((2, 3), np.uint8)}, r"data must be uint8 \(6,\)"),
        ({"image_hw": (3, 5)}, r"inside the image of 3x5, got \[1, 2, 4, 4\] .* mask 0"),
        ({"image_hw": (4, 3)}, "inside the image of 4x3"),
        ({"windows": np.array([[-1, 2, 2, 4]], np.int32)}, "inside the image"),
        ({"windows": np.array([[4, 4, 1, 2]], np.int32)}, "inside the image"),
    ],
    ids=lambda value: next(iter(value)) if isinstance(value, dict) else "",
)
def test_arrays_that_do_not_fit_are_an_input_error(changes: dict[str, object], text: str) -> None:
    good = Masks((4, 5), np.array([[1, 2, 4, 4]], np.int32), np.array([0, 6]), np.ones(6, np.uint8))
    with pytest.raises(InputError, match=text):
        replace(good, **changes)


@pytest.mark.parametrize("masks", [np.ones((2, 3), bool), np.ones((1, 2, 3), np.float32)])
def test_dense_masks_of_the_wrong_kind_are_an_input_error(masks: np.ndarray) -> None:
    with pytest.raises(InputError, match=r"must be bool or integers \(N, H, W\)"):
        Masks.from_dense(masks)


@pytest.mark.parametrize("key", [True, "mask", 1.0, np.zeros(3, bool)])
def test_a_selection_of_the_wrong_kind_is_an_input_error(key: object) -> None:
    with pytest.raises(InputError, match=r"a selection must be bool \(5,\)"):
        Masks.from_dense(dense())[key]


def test_an_index_out_of_range_is_an_index_error() -> None:
    for key in (5, -6, [0, 7]):
        with pytest.raises(IndexError, match="is out of range for 5 masks"):
            Masks.from_dense(dense())[key]


def test_run_lengths_are_cocos() -> None:
    pycocotools = pytest.importorskip("pycocotools.mask", reason="pycocotools is not installed")
    masks = Masks.from_dense(dense())
    theirs = pycocotools.encode(np.asfortranarray(dense().transpose(1, 2, 0).astype(np.uint8)))
    assert masks.to_rle() == [{**one, "counts": one["counts"].decode()} for one in theirs]
    assert masks.rle(3) == masks.to_rle()[3]
    assert json.loads(json.dumps(masks.to_rle())) == masks.to_rle()


def test_run_lengths_give_the_masks_back() -> None:
    masks = Masks.from_dense(dense())
    again = Masks.from_rle(masks.to_rle(), SIZE)
    assert np.array_equal(again.dense(), dense())
    assert np.array_equal(again.windows, masks.windows)
    assert len(Masks.from_rle([], SIZE)) == 0
    plain = {"size": [2, 2], "counts": [1, 2, 1]}
    assert Masks.from_rle([plain], (2, 2)).dense().tolist() == [[[False, True], [True, False]]]


@pytest.mark.parametrize(
    ("runs", "text"),
    [
        ({"size": [9, 12], "counts": ""}, "mask 0 is of an image of [9, 12], not of [9, 13]"),
        ({"size": [9, 13], "counts": "1"}, "must sum to the 117 pixels"),
        ({"size": [9, 13]}, "mask 0 must be a dict with size and counts, got {'size'"),
        ([9, 13], "mask 0 must be a dict"),
    ],
    ids=["another image", "too few pixels", "no counts", "no dict"],
)
def test_malformed_run_lengths_are_an_input_error(runs: object, text: str) -> None:
    with pytest.raises(InputError, match=re.escape(text)):
        Masks.from_rle([runs], SIZE)


def test_polygons_outline_a_mask_in_the_image() -> None:
    pytest.importorskip("cv2", reason="OpenCV (extra video) is not installed")
    masks = Masks.from_dense(dense())
    (ring,) = masks.polygons(4)
    assert sorted(map(tuple, ring.tolist())) == [(1.5, 1.5), (1.5, 7.5), (7.5, 1.5), (7.5, 7.5)]
    assert masks.polygons(1)[0].tolist() == [[12.5, 8.5]]
    assert masks.polygons(2) == []
