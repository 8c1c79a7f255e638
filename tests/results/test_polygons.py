"""Outlines of masks: by hand, windows, and back to the mask."""

from __future__ import annotations

import sys

import numpy as np
import pytest

from edgevision.errors import InputError, MissingDependencyError
from edgevision.results.polygons import mask_to_polygons


def test_one_rectangle_one_line_one_pixel_largest_first() -> None:
    pytest.importorskip("cv2", reason="opencv is not installed")
    mask = np.zeros((30, 40), np.bool_)
    mask[20, 30] = True
    mask[15, 2:4] = True
    mask[3:10, 5:20] = True
    found = mask_to_polygons(mask)
    assert all(outline.dtype == np.float32 and outline.shape[1:] == (2,) for outline in found)
    assert [sorted(map(tuple, outline.tolist())) for outline in found[:1]] == [
        [(5.5, 3.5), (5.5, 9.5), (19.5, 3.5), (19.5, 9.5)]
    ]
    assert sorted(len(outline) for outline in found[1:]) == [1, 2]


def test_a_window_is_its_place_in_the_image() -> None:
    pytest.importorskip("cv2", reason="opencv is not installed")
    mask = np.zeros((30, 40), np.uint8)
    mask[3:10, 5:20] = 7
    expected = mask_to_polygons(mask)
    found = mask_to_polygons(mask[2:12, 4:33], np.array([4, 2, 33, 12], np.int32))
    assert [outline.tolist() for outline in found] == [outline.tolist() for outline in expected]


@pytest.mark.parametrize("seed", range(5))
def test_filled_outlines_are_the_mask_without_its_holes(seed: int) -> None:
    cv2 = pytest.importorskip("cv2", reason="opencv is not installed")
    coarse = np.random.default_rng(seed).random((8, 9)) < 0.5
    mask = coarse.repeat(7, axis=0).repeat(5, axis=1)
    mask = np.pad(mask, 1)
    outside = np.zeros((mask.shape[0] + 2, mask.shape[1] + 2), np.uint8)
    outside[1:-1, 1:-1] = mask
    cv2.floodFill(background := mask.astype(np.uint8), outside, (0, 0), 1)
    holes = (background == 0) & ~mask
    filled = np.zeros(mask.shape, np.uint8)
    cv2.fillPoly(filled, [np.floor(outline).astype(np.int32) for outline in mask_to_polygons(mask)], 1)
    np.testing.assert_array_equal(filled.astype(bool), mask | holes)


@pytest.mark.parametrize("shape", [(0, 0), (0, 4), (5, 6)], ids=str)
def test_an_empty_mask_has_no_outline(shape: tuple[int, int]) -> None:
    pytest.importorskip("cv2", reason="opencv is not installed")
    assert mask_to_polygons(np.zeros(shape, np.bool_)) == []


@pytest.mark.parametrize(
    ("mask", "window", "message"),
    [
        pytest.param(np.zeros((2, 2)), None, r"bool or uint8 \(H, W\), got float64 \(2, 2\)", id="float"),
        pytest.param([[1]], None, "got a list", id="list"),
        pytest.param(np.zeros((2, 3), bool), (0, 0, 2, 3), r"window \(0, 0, 2, 3\) must have .* \(2, 3\)", id="window"),
    ],
)  # fmt: skip
def test_wrong_arguments_are_named(mask: object, window: object, message: str) -> None:
    with pytest.raises(InputError, match=message):
        mask_to_polygons(mask, window)


def test_without_opencv_the_extra_is_named(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(sys.modules, "cv2", None)
    with pytest.raises(MissingDependencyError, match=r"edgevision\[video\]"):
        mask_to_polygons(np.ones((2, 2), np.bool_))
