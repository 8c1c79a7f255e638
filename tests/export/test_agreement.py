"""Results beside PyTorch's: the figures of each task."""

from __future__ import annotations

import numpy as np
import pytest

pytest.importorskip("torch", reason="torch is not installed")

from edgevision.export.agreement import Agreement, Tie, box_iou, compare_results
from edgevision.results import Classification, Detections, Embedding, Masks, OrientedDetections, Segmentation

TIE = Tie(0.01, 0.25)
BOXES = np.array([[0, 0, 10, 10], [20, 20, 40, 40], [50, 50, 60, 70]], np.float32)


def figures(want: object, have: object, tie: Tie = TIE) -> dict[str, float]:
    return {one.name: one.value for one in compare_results([want], [have], ["f"], tie)}


def classes(*scores: float) -> Classification:
    values = np.array(scores, np.float32)
    order = np.argsort(-values, kind="stable")
    return Classification(order, values[order], (10, 10))


def objects(
    boxes: np.ndarray = BOXES,
    scores: tuple[float, ...] = (0.9, 0.8, 0.7),
    ids: tuple[int, ...] = (0, 1, 2),
    **more: object,
) -> Detections:
    return Detections(
        np.asarray(boxes, np.float32),
        np.array(scores, np.float32),
        np.array(ids, np.int64),
        (100, 100),
        **more,
    )


@pytest.mark.parametrize(
    ("want", "have", "top1", "top5"),
    [
        (classes(0.5, 0.3, 0.1, 0.05, 0.03, 0.02), classes(0.5, 0.3, 0.1, 0.05, 0.03, 0.02), 1, 1),
        (classes(0.5, 0.3, 0.1, 0.05, 0.03, 0.02), classes(0.3, 0.5, 0.1, 0.05, 0.03, 0.02), 0, 1),
        # PyTorch's first two are a tie.
        (classes(0.405, 0.4, 0.1, 0.05, 0.03, 0.015), classes(0.4, 0.405, 0.1, 0.05, 0.03, 0.015), 1, 1),
        # The sixth class, well behind, came among the best five.
        (classes(0.3, 0.25, 0.2, 0.15, 0.09, 0.01), classes(0.3, 0.25, 0.2, 0.15, 0.01, 0.09), 1, 0.8),
    ],
    ids=["equal", "another first", "a tie", "another fifth"],
)
def test_classes(want: Classification, have: Classification, top1: float, top5: float) -> None:
    found = figures(want, have)
    assert (found["top1"], found["top5"]) == (top1, top5)


def test_class_scores_are_compared_class_by_class() -> None:
    assert figures(classes(0.5, 0.5), classes(0.25, 0.75))["score"] == 0.25


def test_equal_objects_in_another_order_agree() -> None:
    found = figures(objects(), objects()[[2, 0, 1]])
    assert found == {"matched": 1.0, "box_px": 0.0, "score": 0.0}


@pytest.mark.parametrize(
    ("have", "matched"),
    [
        (objects()[:2], 2 / 3),
        (objects(ids=(0, 1, 0)), 2 / 4),  # one missed, one invented
        (objects(BOXES + np.array([[0, 0, 0, 0], [0, 0, 0, 0], [30, 0, 30, 0]])), 2 / 4),
        (Detections.empty((100, 100)), 0.0),
    ],
    ids=["one missing", "another class", "elsewhere", "nothing"],
)
def test_objects_that_differ_are_counted(have: Detections, matched: float) -> None:
    assert figures(objects(), have)["matched"] == pytest.approx(matched)


def test_distances_of_matched_objects() -> None:
    found = figures(objects(), objects(BOXES + 0.5, (0.9, 0.7, 0.7)))
    assert found["box_px"] == 0.5
    assert found["score"] == pytest.approx(0.1)


def test_objects_on_the_line_do_not_count() -> None:
    want = objects(scores=(0.9, 0.8, 0.255))
    assert figures(want, want[:2])["matched"] == 1.0
    assert figures(want, want[:2], Tie(0.001, 0.25))["matched"] == pytest.approx(2 / 3)
    # A hundred and more were perhaps cut off at the most that are reported: the last ones are ties.
    many = objects(
        np.repeat(BOXES[:1], 120, 0) + np.arange(120)[:, None] * 40, (0.9,) * 119 + (0.5,), (0,) * 120
    )
    assert figures(many, many[:119])["matched"] == 1.0


def test_masks_and_keypoints() -> None:
    dense = np.zeros((3, 100, 100), bool)
    dense[0, :10, :10] = dense[1, 20:40, 20:40] = dense[2, 50:70, 50:60] = True
    half = dense.copy()
    half[0, 5:] = False
    points = np.zeros((3, 2, 3), np.float32)
    points[:, 0, 2] = 1.0  # the second keypoint is not seen
    moved = points.copy()
    moved[1, 0, 0] += 3
    moved[1, 1, 0] += 50
    found = figures(
        objects(masks=Masks.from_dense(dense), keypoints=points),
        objects(masks=Masks.from_dense(half), keypoints=moved),
    )
    assert found["mask_iou"] == pytest.approx((0.5 + 1 + 1) / 3)
    assert found["keypoint_px"] == 3.0


def test_rotated_boxes_are_the_same_from_any_corner_on() -> None:
    def turned(*rows: tuple[float, ...]) -> OrientedDetections:
        scores = np.linspace(0.9, 0.6, len(rows)).astype(np.float32)
        return OrientedDetections(
            np.array(rows, np.float32), scores, np.zeros(len(rows), np.int64), (100, 100)
        )

    want = turned((50, 50, 40, 20, 0.3), (20, 70, 10, 10, 0.0))
    have = turned((50, 50, 20, 40, 0.3 + np.pi / 2), (20, 70, 10, 10, np.pi))
    found = figures(want, have)
    assert found["matched"] == 1.0
    assert found["box_px"] < 1e-4
    assert figures(want, turned((50, 50, 40, 20, 0.3), (21, 70, 10, 10, 0.0)))["box_px"] == pytest.approx(1.0)
    assert figures(want, want[:1])["matched"] == 0.5


def test_pixels_and_regions() -> None:
    want = np.zeros((10, 10), np.uint8)
    want[:5] = 1
    have = want.copy()
    have[4] = 0
    found = figures(Segmentation(want, (10, 10)), Segmentation(have, (10, 10)))
    assert found["pixels"] == 0.9
    assert found["class_iou"] == pytest.approx((40 / 50 + 50 / 60) / 2)


def test_embeddings() -> None:
    one, other = np.array([1, 0], np.float32), np.array([1, 1], np.float32)
    found = figures(Embedding(one, (4, 4)), Embedding(other, (4, 4)))
    assert found["cosine"] == pytest.approx(np.sqrt(0.5))


def test_shares_are_means_and_the_worst_frame_is_named() -> None:
    want = [classes(0.6, 0.4), classes(0.9, 0.1)]
    have = [classes(0.6, 0.4), classes(0.1, 0.9)]
    rows = compare_results(want, have, ["a", "b"], TIE)
    assert next(one for one in rows if one.name == "top1") == Agreement("top1", 0.5, "b", 2)
    assert compare_results([], [], [], TIE) == []
    assert compare_results(["unknown"], ["unknown"], ["a"], TIE) == []


def test_box_iou_of_every_pair() -> None:
    one = np.array([[0, 0, 2, 2]], np.float32)
    other = np.array([[0, 0, 2, 2], [1, 0, 3, 2], [5, 5, 6, 6], [0, 0, 0, 0]], np.float32)
    np.testing.assert_allclose(box_iou(one, other), [[1, 1 / 3, 0, 0]])
