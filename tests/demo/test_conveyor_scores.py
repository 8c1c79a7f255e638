"""Overlaps, distances, crops and clicks, by hand."""

from __future__ import annotations

import numpy as np
import pytest

from edgevision.demo.crops import crop_part
from edgevision.demo.scores import class_overlaps, landmark_similarity, mask_overlap, tally_labels
from edgevision.errors import InputError


def test_label_maps_are_tallied_by_true_and_said_class() -> None:
    truth, said = np.array([[0, 0, 1], [2, 2, 2]]), np.array([[0, 1, 1], [2, 0, 2]])
    tally = tally_labels(said, truth, 4)
    assert tally.tolist() == [[1, 1, 0, 0], [0, 1, 0, 0], [1, 0, 2, 0], [0, 0, 0, 0]]
    overlaps = class_overlaps(tally)
    assert overlaps[:3].tolist() == [1 / 3, 1 / 2, 2 / 3]
    assert np.isnan(overlaps[3])


@pytest.mark.parametrize(
    ("said", "truth", "message"),
    [
        (np.zeros((2, 3), int), np.zeros((3, 2), int), "one shape"),
        (np.full((2, 2), 3), np.zeros((2, 2), int), "0 to 2, got 3 to 3"),
        (np.zeros((2, 2), int), np.full((2, 2), -1), "0 to 2, got -1 to -1"),
    ],
    ids=["shapes", "said too large", "truth negative"],
)
def test_label_maps_that_do_not_fit_are_refused(said: np.ndarray, truth: np.ndarray, message: str) -> None:
    with pytest.raises(InputError, match=message):
        tally_labels(said, truth, 3)


def test_masks_overlap_by_intersection_over_union() -> None:
    a, b = np.zeros((4, 4), bool), np.zeros((4, 4), bool)
    assert mask_overlap(a, b) == 1.0
    a[0, :3], b[0, 1:] = True, True
    assert mask_overlap(a, b) == 0.5
    assert mask_overlap(a, ~a) == 0.0


def test_landmarks_are_alike_as_coco_measures_it() -> None:
    truth = np.array([[[10, 10, 1], [50, 50, 1], [0, 0, 0]], [[0, 0, 0]] * 3], np.float32)
    said = truth[..., :2].copy()
    said[0, 1] += (3, 4)  # 5 px away; area 2500, k = 0.1: the square root of area times k is 5
    said[0, 2] += 1000  # does not show, does not count
    alike = landmark_similarity(said, truth, np.array([2500, 100]))
    assert alike[0] == pytest.approx((1 + np.exp(-0.5)) / 2, abs=1e-12)
    assert np.isnan(alike[1])


@pytest.mark.parametrize(
    ("box", "shape"),
    [
        ([40, 30, 60, 40], (24, 24)),
        ([40, 30, 50, 50], (24, 24)),
        ([0, 0, 20, 20], (22, 22)),
        ([90, 70, 100, 80], (11, 11)),
    ],
    ids=["wide", "tall", "top left corner", "bottom right corner"],
)
def test_crops_are_square_with_a_margin_and_end_at_the_border(
    box: list[float], shape: tuple[int, int]
) -> None:
    image = np.arange(80 * 100 * 3, dtype=np.uint8).reshape(80, 100, 3)
    crop = crop_part(image, np.array(box, np.float32))
    assert crop.shape[:2] == shape
    assert np.shares_memory(crop, image)


def test_a_click_goes_where_most_of_the_mask_lies_around_it() -> None:
    pytest.importorskip("cv2", reason="OpenCV is not installed (the video extra)")
    from edgevision.demo.clicks import middle_point

    mask = np.zeros((40, 60), bool)
    mask[5:8, 2:50] = True  # a thin bar
    mask[20:31, 30:41] = True  # and a square of 11
    assert middle_point(mask).tolist() == [35, 25]
    assert middle_point(np.ones((9, 9), bool)).tolist() == [4, 4]  # the picture's border is outside too
