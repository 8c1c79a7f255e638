"""COCO average precision: by hand, and against the reference implementation."""

from __future__ import annotations

import contextlib
import io

import numpy as np
import pytest

from edgevision.demo.metrics import (
    IOU_THRESHOLDS,
    BoxDetections,
    BoxTruth,
    MaskDetections,
    MaskTruth,
    box_iou,
    mask_iou,
    mean_average_precision,
)
from edgevision.errors import InputError
from edgevision.results import Masks

CLASSES = 3


def found(boxes: object, scores: object, class_id: object) -> BoxDetections:
    return BoxDetections(
        np.array(boxes, np.float32).reshape(-1, 4), np.array(scores, np.float32), np.array(class_id, np.int64)
    )


def shown(boxes: object, class_id: object, ignored: object = None) -> BoxTruth:
    mask = None if ignored is None else np.array(ignored, bool)
    return BoxTruth(np.array(boxes, np.float32).reshape(-1, 4), np.array(class_id, np.int64), mask)


def random_picture(
    rng: np.random.Generator, ties: bool, with_ignored: bool
) -> tuple[BoxDetections, BoxTruth]:
    """Objects, and detections that are shifted, doubled, misclassified or made up."""
    count = int(rng.integers(0, 9))
    low = rng.uniform(0, 400, (count, 2))
    boxes = np.concatenate([low, low + rng.uniform(8, 150, (count, 2))], axis=1)
    classes = rng.integers(0, CLASSES, count)
    copies = np.repeat(np.arange(count), rng.integers(0, 4, count))
    moved = boxes[copies] + rng.normal(0, 1, (len(copies), 4)) * rng.choice([0, 1, 4, 12], (len(copies), 1))
    moved[:, 2:] = np.maximum(moved[:, 2:], moved[:, :2] + 1)
    made_up = rng.uniform(0, 300, (int(rng.integers(0, 5)), 2))
    extra = np.concatenate([made_up, made_up + 60], axis=1)
    guess = np.where(rng.random(len(copies)) < 0.85, classes[copies], rng.integers(0, CLASSES, len(copies)))
    scores = rng.random(len(copies) + len(extra))
    if ties:
        scores = np.round(scores, 1)
    detections = found(
        np.concatenate([moved, extra]), scores, np.concatenate([guess, rng.integers(0, CLASSES, len(extra))])
    )
    ignored = rng.random(count) < 0.25 if with_ignored else None
    return detections, shown(boxes, classes, ignored)


def reference(pictures: list[tuple[BoxDetections, BoxTruth]]) -> tuple[float, float, float]:
    """AP, AP50 and AP75 by pycocotools. Ignored objects get an area outside every range, which is how it ignores
    without its special rule for crowds."""
    coco_module = pytest.importorskip("pycocotools.coco", reason="pycocotools is not installed")
    from pycocotools.cocoeval import COCOeval

    annotations, results = [], []
    for image, (detections, truth) in enumerate(pictures, start=1):
        skipped = truth.ignored if truth.ignored is not None else np.zeros(len(truth.class_id), bool)
        for box, class_id, ignored in zip(truth.boxes.astype(float), truth.class_id, skipped, strict=True):
            size = box[2:] - box[:2]
            annotations.append({
                "id": len(annotations) + 1, "image_id": image, "category_id": int(class_id) + 1, "iscrowd": 0,
                "bbox": [*box[:2], *size], "area": 1e12 if ignored else float(size.prod()),
            })  # fmt: skip
        for box, score, class_id in zip(
            detections.boxes.astype(float), detections.scores.astype(float), detections.class_id, strict=True
        ):
            bbox = [*box[:2], *(box[2:] - box[:2])]
            results.append({
                "image_id": image, "category_id": int(class_id) + 1, "bbox": bbox, "score": float(score)
            })  # fmt: skip
    with contextlib.redirect_stdout(io.StringIO()):
        truth_set = coco_module.COCO()
        truth_set.dataset = {
            "info": {},
            "images": [{"id": i + 1, "width": 1000, "height": 1000} for i in range(len(pictures))],
            "annotations": annotations,
            "categories": [{"id": c + 1, "name": str(c)} for c in range(CLASSES)],
        }
        truth_set.createIndex()
        evaluation = COCOeval(truth_set, truth_set.loadRes(results), "bbox")
        evaluation.evaluate()
        evaluation.accumulate()
        evaluation.summarize()
    return evaluation.stats[0], evaluation.stats[1], evaluation.stats[2]


@pytest.mark.parametrize("with_ignored", [False, True], ids=["all-count", "some-ignored"])
@pytest.mark.parametrize("ties", [False, True], ids=["distinct-scores", "tied-scores"])
@pytest.mark.parametrize("seed", range(4))
def test_agrees_with_pycocotools(seed: int, ties: bool, with_ignored: bool) -> None:
    rng = np.random.default_rng([seed, ties, with_ignored])
    pictures = [random_picture(rng, ties, with_ignored) for _ in range(12)]
    result = mean_average_precision([d for d, _ in pictures], [t for _, t in pictures], CLASSES)
    # Both are float64 sums of the same terms; 1e-9 allows for their order.
    np.testing.assert_allclose(
        [result.map50_95, result.map50, result.map75], reference(pictures), rtol=0, atol=1e-9
    )
    assert 0.05 < result.map50_95 < 0.95, "the random cases should be neither hopeless nor perfect"


def test_more_than_a_hundred_detections_are_cut_as_pycocotools_cuts_them() -> None:
    rng = np.random.default_rng(5)
    low = rng.uniform(0, 900, (150, 2))
    boxes = np.concatenate([low, low + 40], axis=1)
    picture = (found(boxes, rng.random(150), np.zeros(150)), shown(boxes, np.zeros(150)))
    result = mean_average_precision([picture[0]], [picture[1]], CLASSES)
    assert result.map50 == pytest.approx(reference([picture])[1], abs=1e-9)
    assert result.map50 < 0.7  # 100 of 150 objects can be found at most


def test_perfect_detections_score_one() -> None:
    boxes, classes = [[0, 0, 10, 10], [20, 20, 50, 40]], [0, 2]
    result = mean_average_precision([found(boxes, [0.9, 0.8], classes)], [shown(boxes, classes)], CLASSES)
    assert (result.map50_95, result.map50, result.map75, result.objects) == (1.0, 1.0, 1.0, 2)
    assert result.per_class[0] == result.per_class[2] == 1.0
    assert np.isnan(result.per_class[1])


def test_a_box_of_known_overlap_counts_up_to_its_iou() -> None:
    # 10 x 10 against 10 x 7 inside it: IoU 0.7, so the thresholds 0.50 to 0.70 accept it.
    result = mean_average_precision([found([0, 0, 10, 7], [0.5], [0])], [shown([0, 0, 10, 10], [0])], 1)
    assert result.map50_95 == pytest.approx(np.mean(IOU_THRESHOLDS <= 0.7 + 1e-9), abs=1e-12)
    assert (result.map50, result.map75) == (1.0, 0.0)


def test_precision_is_read_at_101_recalls() -> None:
    # Right, wrong, right of two objects: precision 1 up to recall 0.5 (51 of 101 points), then 2/3.
    boxes = [[0, 0, 10, 10], [100, 100, 110, 110], [50, 50, 60, 60]]
    result = mean_average_precision(
        [found(boxes, [0.9, 0.8, 0.7], [0, 0, 0])], [shown([boxes[0], boxes[2]], [0, 0])], 1
    )
    assert result.map50 == pytest.approx((51 + 50 * 2 / 3) / 101, abs=1e-12)


def test_ignored_objects_cost_nothing_either_way() -> None:
    counted, sliver = [0, 0, 10, 10], [50, 50, 52, 60]
    truth = shown([counted, sliver], [0, 0], [False, True])
    both = found([sliver, counted], [0.99, 0.9], [0, 0])
    for detections in (both, found([counted], [0.9], [0])):
        assert mean_average_precision([detections], [truth], 1).map50_95 == 1.0
    strict = shown([counted, sliver], [0, 0], [False, False])
    assert mean_average_precision([found([counted], [0.9], [0])], [strict], 1).map50_95 < 1.0


def test_a_second_box_on_the_same_object_is_wrong() -> None:
    boxes = [[0, 0, 10, 10], [0, 0, 10, 10], [50, 0, 60, 10]]
    result = mean_average_precision(
        [found(boxes, [0.9, 0.8, 0.7], [0, 0, 0])], [shown([boxes[0], boxes[2]], [0, 0])], 1
    )
    assert result.map50 == pytest.approx((51 + 50 * 2 / 3) / 101, abs=1e-12)


def test_nothing_to_find_is_nan_rather_than_a_score() -> None:
    result = mean_average_precision([found([], [], [])], [shown([], [])], 2)
    assert np.isnan(result.map50_95)
    assert result.objects == 0


def test_boxes_without_area_overlap_nothing() -> None:
    assert box_iou(np.zeros((1, 4)), np.zeros((2, 4))).tolist() == [[0.0, 0.0]]


@pytest.mark.parametrize(
    ("detections", "truths", "message"),
    [
        pytest.param([], [shown([], [])], "one set of detections a picture", id="lengths-differ"),
        pytest.param(
            [found([0, 0, 1, 1], [1], [3])], [shown([], [])], "class ids must be 0 to 2", id="class-high"
        ),
        pytest.param(
            [found([], [], [])], [shown([0, 0, 1, 1], [-1])], "class ids must be 0 to 2", id="class-low"
        ),
    ],
)
def test_bad_input_is_refused(detections: list[BoxDetections], truths: list[BoxTruth], message: str) -> None:
    with pytest.raises(InputError, match=message):
        mean_average_precision(detections, truths, CLASSES)


def filled(boxes: np.ndarray) -> Masks:
    """The masks that whole-pixel boxes cover, in a picture of 600 x 600."""
    masks = np.zeros((len(boxes), 600, 600), bool)
    for mask, (x0, y0, x1, y1) in zip(masks, boxes.astype(int), strict=True):
        mask[y0:y1, x0:x1] = True
    return Masks.from_dense(masks)


@pytest.mark.parametrize("seed", range(4))
def test_masks_that_fill_their_boxes_score_as_the_boxes_do(seed: int) -> None:
    rng = np.random.default_rng(seed)
    boxes = [random_picture(rng, ties=False, with_ignored=True) for _ in range(3)]
    whole = [
        (
            found(np.clip(np.round(d.boxes), 0, 600), d.scores, d.class_id),
            shown(np.round(t.boxes), t.class_id, t.ignored),
        )
        for d, t in boxes
    ]
    masks = [
        (
            MaskDetections(filled(d.boxes), d.scores, d.class_id),
            MaskTruth(filled(t.boxes), t.class_id, t.ignored),
        )
        for d, t in whole
    ]
    by_box = mean_average_precision([d for d, _ in whole], [t for _, t in whole], CLASSES)
    by_mask = mean_average_precision([d for d, _ in masks], [t for _, t in masks], CLASSES)
    assert by_mask == by_box


def test_masks_overlap_where_their_pixels_do_not_their_windows() -> None:
    ring, disc = np.zeros((40, 40), bool), np.zeros((40, 40), bool)
    ring[5:35, 5:35] = True
    ring[10:30, 10:30] = False
    disc[10:30, 10:30] = True
    half = ring & (np.arange(40) < 20)
    overlaps = mask_iou(Masks.from_dense(np.stack([ring, half])), Masks.from_dense(np.stack([disc, ring])))
    assert overlaps.tolist() == [[0.0, 1.0], [0.0, 0.5]]


def test_boxes_are_not_compared_with_masks() -> None:
    boxes, masks = np.array([[0, 0, 4, 4]]), filled(np.array([[0, 0, 4, 4]]))
    with pytest.raises(InputError, match="got BoxDetections and MaskTruth"):
        mean_average_precision([found(boxes, [1], [0])], [MaskTruth(masks, np.array([0]))], CLASSES)
