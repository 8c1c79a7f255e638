"""nms against torchvision, bit for bit; nms_rotated against a formula of its own; order, cuts, errors."""

from __future__ import annotations

import math
from typing import Any

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from edgevision.errors import InputError
from edgevision.ops._dispatch import native
from edgevision.ops.nms import nms, nms_rotated
from edgevision.ops.reference import nms as reference

torch = pytest.importorskip("torch", reason="torch is not installed")
torchvision = pytest.importorskip("torchvision", reason="torchvision is not installed")

NAN, INF = float("nan"), float("inf")
ALL = 10**6


def floats(rows: Any) -> np.ndarray:
    return np.array(rows, np.float32)


def scene(
    count: int, seed: int = 0, *, levels: int = 50, classes: int = 4
) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """Overlapping boxes with many equal scores: boxes, scores, class ids."""
    rng = np.random.default_rng(seed)
    corner, size = rng.uniform(-20, 200, (count, 2)), rng.uniform(5, 80, (count, 2))
    boxes = np.concatenate([corner, corner + size], axis=1).astype(np.float32)
    scores = (rng.integers(0, levels, count) / levels).astype(np.float32)
    return boxes, scores, rng.integers(0, classes, count)


def torchvision_nms(boxes: np.ndarray, scores: np.ndarray, iou: float) -> np.ndarray:
    return torchvision.ops.nms(torch.from_numpy(boxes), torch.from_numpy(scores), iou).numpy()


# ---- Against torchvision
# ---------------------------------------------------------------------------------------------


@pytest.mark.parametrize("iou", [0.0, 0.1, 0.3, 0.5, 0.7, 1.0])
@pytest.mark.parametrize("count", [0, 1, 2, 15, 16, 17, 33, 700])
def test_without_classes_it_is_torchvisions(kernels: str, count: int, iou: float) -> None:
    boxes, scores, _ = scene(count, seed=count)
    kept = nms(boxes, scores, iou=iou, max_detections=ALL)
    assert kept.dtype == np.int64
    np.testing.assert_array_equal(kept, torchvision_nms(boxes, scores, iou))


@pytest.mark.parametrize("offset", [1.0, 100.0, 7680.0, 7680.1, 1e6])
def test_an_offset_is_the_shift_in_float32_then_torchvision(kernels: str, offset: float) -> None:
    # Classes overlap at the small offsets; at the large ones rounding decides some pairs.
    boxes, scores, class_ids = scene(800, seed=1, classes=30)
    shifted = boxes + (class_ids.astype(np.float32) * np.float32(offset))[:, None]
    for iou in (0.3, 0.5, 0.7):
        kept = nms(boxes, scores, class_ids, iou=iou, max_detections=ALL, class_offset=offset)
        np.testing.assert_array_equal(kept, torchvision_nms(shifted, scores, iou))


def test_with_classes_it_is_torchvisions_batched_nms_class_by_class(kernels: str) -> None:
    boxes, scores, class_ids = scene(600, seed=2, levels=10**6, classes=7)
    kept = nms(boxes, scores, class_ids, iou=0.5, max_detections=ALL)
    each = [np.flatnonzero(class_ids == c) for c in range(7)]
    survivors = np.concatenate([ids[torchvision_nms(boxes[ids], scores[ids], 0.5)] for ids in each])
    np.testing.assert_array_equal(np.sort(kept), np.sort(survivors))
    assert (np.diff(scores[kept]) <= 0).all()
    batched = torchvision.ops.batched_nms(*(torch.from_numpy(a) for a in (boxes, scores, class_ids)), 0.5)
    assert len(set(kept.tolist()) ^ set(batched.tolist())) <= 2  # batched_nms shifts boxes, and that rounds


@pytest.mark.parametrize(
    ("numerator", "denominator"), [(1, 10), (1, 5), (3, 10), (7, 10), (9, 10), (2, 5), (3, 5), (1, 3), (1, 2)]
)
def test_the_threshold_is_compared_in_double(kernels: str, numerator: int, denominator: int) -> None:
    boxes = floats([[0, 0, denominator, 1], [0, 0, numerator, 1]])
    scores = floats([0.9, 0.8])
    overlap = float(np.float32(numerator) / np.float32(denominator))
    for iou in (numerator / denominator, overlap, math.nextafter(overlap, 0), math.nextafter(overlap, 1)):
        kept = nms(boxes, scores, iou=iou)
        np.testing.assert_array_equal(kept, torchvision_nms(boxes, scores, iou))
        assert len(kept) == (1 if overlap > iou else 2)


DEGENERATE = [
    pytest.param([[0, 0, 0, 0], [0, 0, 0, 0]], id="empty-twins"),
    pytest.param([[0, 0, 10, 10], [5, 5, 5, 5]], id="point-inside"),
    pytest.param([[0, 0, 10, 0], [0, 0, 10, 0], [2, 0, 4, 0]], id="lines"),
    pytest.param([[10, 10, 0, 0], [10, 10, 0, 0], [0, 0, 10, 10]], id="inverted-twice"),
    pytest.param([[10, 0, 0, 10], [0, 0, 10, 10], [10, 0, 0, 10]], id="negative-area"),
    pytest.param([[0, 0, 1e-30, 1e-30], [0, 0, 1e-30, 1e-30]], id="area-underflows"),
    pytest.param([[0, 0, 1e-22, 1e-22], [0, 0, 1e-22, 1e-22], [0, 0, 1e-22, 2e-22]], id="subnormal-areas"),
    pytest.param([[0, 0, 3e38, 3e38], [0, 0, 3e38, 3e38]], id="area-overflows"),
    pytest.param([[-3e38, 0, 3e38, 1], [-3e38, 0, 3e38, 1]], id="width-overflows"),
]


@pytest.mark.parametrize("iou", [0.0, 0.5, 0.99, 1.0])
@pytest.mark.parametrize("boxes", DEGENERATE)
def test_degenerate_boxes_are_as_in_torchvision(kernels: str, boxes: Any, iou: float) -> None:
    boxes, scores = floats(boxes), np.linspace(0.9, 0.1, len(boxes)).astype(np.float32)
    np.testing.assert_array_equal(nms(boxes, scores, iou=iou), torchvision_nms(boxes, scores, iou))


# ---- Order, cuts, what takes part
# ------------------------------------------------------------------------------------


def test_equal_scores_keep_their_order(kernels: str) -> None:
    boxes = floats([[i * 100, 0, i * 100 + 10, 10] for i in range(40)])
    scores = floats([0.5, 0.25] * 20)
    assert nms(boxes, scores, iou=0.5).tolist() == list(range(0, 40, 2)) + list(range(1, 40, 2))
    assert nms(boxes, np.zeros(40, np.float32) * floats([1, -1] * 20), iou=0.5).tolist() == list(range(40))


def test_scores_may_be_any_numbers(kernels: str) -> None:
    boxes = floats([[i * 100, 0, i * 100 + 10, 10] for i in range(7)])
    scores = floats([-1, 1e-45, -1e-45, 3e38, 0.5, -3e38, 1])
    assert nms(boxes, scores, iou=0.5).tolist() == [3, 6, 4, 1, 2, 0, 5]


def test_numbers_that_are_none_take_no_part(kernels: str) -> None:
    boxes = floats([[0, 0, 10, 10]] * 7)
    boxes[1, 2], boxes[2, 0], boxes[3, 3] = NAN, INF, -INF
    scores = floats([NAN, 0.9, 0.9, 0.9, INF, -INF, 0.1])
    assert nms(boxes, scores, iou=0.5).tolist() == [6]
    rotated = np.concatenate([boxes, np.zeros((7, 1), np.float32)], axis=1)
    rotated[6, 4] = NAN
    assert nms_rotated(rotated, floats([0.9] * 7), iou=0.5).tolist() == [0]


@pytest.mark.parametrize("max_detections", [1, 2, 7, 300])
@pytest.mark.parametrize("options", [{}, {"class_offset": 7680.0}, {"class_offset": 3.0}], ids=str)
def test_max_detections_cuts_the_full_result(
    kernels: str, max_detections: int, options: dict[str, float]
) -> None:
    boxes, scores, class_ids = scene(900, seed=3, classes=40)
    for ids in (None, class_ids):
        everything = nms(boxes, scores, ids, iou=0.6, max_detections=ALL, **options)
        kept = nms(boxes, scores, ids, iou=0.6, max_detections=max_detections, **options)
        np.testing.assert_array_equal(kept, everything[:max_detections])


def test_a_crowd_that_suppresses_nearly_everything_still_finds_what_is_far_down() -> None:
    # More candidates than a first look takes in, all of one place but for the worst few.
    count = 9000
    boxes = np.tile(floats([[0, 0, 50, 50]]), (count, 1))
    boxes[-5:] += floats([[100], [200], [300], [400], [500]])
    scores = np.linspace(1, 0.01, count).astype(np.float32)
    for ids in (None, np.zeros(count, np.int64)):
        kept = nms(boxes, scores, ids, iou=0.5, max_detections=10)
        assert kept.tolist() == [0, *range(count - 5, count)]


def test_max_candidates_takes_the_best(kernels: str) -> None:
    boxes, scores, class_ids = scene(500, seed=4)
    best = np.argsort(-scores, kind="stable")[:60]
    kept = nms(boxes, scores, class_ids, iou=0.5, max_candidates=60)
    again = nms(boxes[best], scores[best], class_ids[best], iou=0.5)
    np.testing.assert_array_equal(kept, best[again])


@pytest.mark.parametrize("dtype", [np.int64, np.int32, np.uint8, np.int16])
def test_class_ids_may_be_any_integers(kernels: str, dtype: type) -> None:
    boxes, scores, class_ids = scene(100, seed=5)
    expected = nms(boxes, scores, class_ids, iou=0.4)
    np.testing.assert_array_equal(nms(boxes, scores, class_ids.astype(dtype), iou=0.4), expected)


def test_large_and_sparse_class_ids(kernels: str) -> None:
    boxes, scores, class_ids = scene(300, seed=6)
    expected = nms(boxes, scores, class_ids, iou=0.4)
    spread = np.array([2**31 - 1, 0, 65536, 255])[class_ids]
    np.testing.assert_array_equal(nms(boxes, scores, spread, iou=0.4), expected)


def test_strides_change_nothing(kernels: str) -> None:
    boxes, scores, class_ids = scene(200, seed=7)
    expected = nms(boxes, scores, class_ids, iou=0.4)
    found = nms(np.asfortranarray(boxes), np.repeat(scores, 2)[::2], np.repeat(class_ids, 3)[::3], iou=0.4)
    np.testing.assert_array_equal(found, expected)


# ---- Rotated
# ---------------------------------------------------------------------------------------------------------


def probabilistic_iou(p: np.ndarray, q: np.ndarray) -> float:
    """Llerena et al. 2021 with matrices: 1 - the Hellinger distance of two Gaussians, epsilons of 1e-7."""

    def covariance(box: np.ndarray) -> np.ndarray:
        cosine, sine = math.cos(box[4]), math.sin(box[4])
        rotation = np.array([[cosine, -sine], [sine, cosine]])
        return rotation @ np.diag([box[2] ** 2 / 12, box[3] ** 2 / 12]) @ rotation.T

    p, q = p.astype(np.float64), q.astype(np.float64)
    one, other = covariance(p), covariance(q)
    total, apart = one + other, p[:2] - q[:2]
    joint = np.linalg.det(total)
    adjugate = np.array([[total[1, 1], -total[0, 1]], [-total[1, 0], total[0, 0]]])
    distance = apart @ adjugate @ apart / (joint + 1e-7) / 4
    product = max(np.linalg.det(one), 0) * max(np.linalg.det(other), 0)
    distance += 0.5 * math.log(joint / (4 * math.sqrt(product) + 1e-7) + 1e-7)
    distance = min(max(distance, 1e-7), 100)
    return 1 - math.sqrt(1 - math.exp(-distance) + 1e-7)


def rotated_scene(count: int, seed: int = 0) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    rng = np.random.default_rng(seed)
    parts = [rng.uniform(0, 150, (count, 2)), rng.uniform(3, 60, (count, 2)), rng.uniform(-4, 4, (count, 1))]
    scores = (rng.integers(0, 30, count) / 30).astype(np.float32)
    return np.concatenate(parts, axis=1).astype(np.float32), scores, rng.integers(0, 3, count)


@pytest.mark.parametrize("iou", [0.0, 0.1, 0.3, 0.5, 0.7, 0.95])
@pytest.mark.parametrize("greedy", [True, False])
def test_rotated_boxes_against_the_formula(kernels: str, greedy: bool, iou: float) -> None:
    boxes, scores, class_ids = rotated_scene(90, seed=int(iou * 100))
    order = np.argsort(-scores, kind="stable")
    kept: list[int] = []
    for position, index in enumerate(order):
        rivals = kept if greedy else order[:position]
        rivals = [other for other in rivals if class_ids[other] == class_ids[index]]
        if not any(probabilistic_iou(boxes[other], boxes[index]) > iou for other in rivals):
            kept.append(index)
    assert nms_rotated(boxes, scores, class_ids, iou=iou, greedy=greedy).tolist() == kept


def test_only_greedy_suppression_lets_a_suppressed_box_be(kernels: str) -> None:
    # Each overlaps the next by 0.76, the first and the last by 0.54.
    boxes = floats([[50, 50, 40, 20, 0], [58, 50, 40, 20, 0], [66, 50, 40, 20, 0]])
    scores = floats([0.9, 0.8, 0.7])
    assert nms_rotated(boxes, scores, iou=0.65).tolist() == [0, 2]
    assert nms_rotated(boxes, scores, iou=0.65, greedy=False).tolist() == [0]


def test_a_quarter_turn_swaps_width_and_height(kernels: str) -> None:
    boxes = floats([[50, 50, 40, 10, 0.3], [50, 50, 10, 40, 0.3 + math.pi / 2]])
    assert nms_rotated(boxes, floats([0.9, 0.8]), iou=0.999).tolist() == [0]
    boxes[1, 4] = 0.3
    assert nms_rotated(boxes, floats([0.9, 0.8]), iou=0.6).tolist() == [0, 1]


def test_rotated_offsets_shift_the_centres_in_float32(kernels: str) -> None:
    boxes, scores, class_ids = rotated_scene(150, seed=9)
    shifted = boxes.copy()
    shifted[:, :2] += (class_ids.astype(np.float32) * np.float32(20.0))[:, None]
    expected = nms_rotated(shifted, scores, iou=0.3)
    np.testing.assert_array_equal(nms_rotated(boxes, scores, class_ids, iou=0.3, class_offset=20.0), expected)


@pytest.mark.parametrize("greedy", [True, False])
def test_rotated_cuts(kernels: str, greedy: bool) -> None:
    boxes, scores, class_ids = rotated_scene(400, seed=10)
    everything = nms_rotated(boxes, scores, class_ids, iou=0.5, max_detections=ALL, greedy=greedy)
    kept = nms_rotated(boxes, scores, class_ids, iou=0.5, max_detections=9, greedy=greedy)
    np.testing.assert_array_equal(kept, everything[:9])


# ---- Native and reference
# --------------------------------------------------------------------------------------------


@settings(max_examples=120, deadline=None)
@given(st.data())
def test_native_is_reference(data: st.DataObject) -> None:
    if native is None:
        pytest.skip("the native extension is not built")
    rng = np.random.default_rng(data.draw(st.integers(0, 2**32 - 1)))
    count, rotated = data.draw(st.integers(0, 120)), data.draw(st.booleans())
    spread = data.draw(st.sampled_from([3.0, 60.0, 1000.0]))
    boxes = rng.uniform(0, spread, (count, 5 if rotated else 4))
    if not rotated:
        boxes[:, 2:] = boxes[:, :2] + rng.uniform(-2, 60, (count, 2))
    if data.draw(st.booleans()):
        boxes = np.round(boxes)
    boxes = boxes.astype(np.float32)
    bad = rng.random(boxes.shape) < data.draw(st.sampled_from([0.0, 0.02]))
    boxes[bad] = rng.choice(floats([NAN, INF, -INF, 3e38, 1e-40]), int(bad.sum()))
    scores = np.round(rng.random(count) * 20).astype(np.float32) / np.float32(20)
    class_ids = data.draw(st.sampled_from([None, 1, 3, 70000]))
    if class_ids is not None:
        class_ids = rng.integers(0, class_ids, count)
    iou = data.draw(st.sampled_from([0.0, 0.2, 0.45, 0.5, 0.7, 1.0]))
    cuts = (data.draw(st.sampled_from([1, 5, 300])), data.draw(st.sampled_from([0.0, 4.0, 7680.0])))
    arguments = (boxes, scores, class_ids, iou, *cuts, data.draw(st.sampled_from([10, 30000])), rotated)
    greedy = data.draw(st.booleans())
    found, expected = native.nms(*arguments, greedy), reference.nms(*arguments, greedy)
    assert found.dtype == expected.dtype
    np.testing.assert_array_equal(found, expected)


# ---- Errors
# ----------------------------------------------------------------------------------------------------------

BOXES, SCORES, IDS = scene(5)
ERRORS = [
    pytest.param(
        {"boxes_xyxy": BOXES.astype(np.float64)},
        r"boxes_xyxy must be float32 \(N, 4\), got float64 \(5, 4\)",
        id="double",
    ),
    pytest.param({"boxes_xyxy": BOXES[0]}, r"got float32 \(4,\); pass boxes_xyxy\[None\]", id="one-box"),
    pytest.param({"boxes_xyxy": BOXES[:, :3]}, r"\(5, 3\)", id="three-columns"),
    pytest.param({"boxes_xyxy": None}, "got a NoneType", id="none"),
    pytest.param({"scores": SCORES[:4]}, r"scores must be float32 \(5,\)", id="too-few-scores"),
    pytest.param({"scores": SCORES[:, None]}, r"got float32 \(5, 1\)", id="scores-column"),
    pytest.param(
        {"class_ids": IDS.astype(np.float32)}, "class_ids must be integers .* got float32", id="float-ids"
    ),
    pytest.param({"class_ids": IDS[:2]}, r"class_ids must be integers \(5,\)", id="too-few-ids"),
    pytest.param({"class_ids": IDS - 7}, "class_ids must be 0 to 2147483647", id="negative-id"),
    pytest.param({"class_ids": IDS + 2**31}, "class_ids must be 0 to 2147483647", id="huge-id"),
    pytest.param({"iou": 1.01}, "iou must be a number from 0 to 1", id="iou"),
    pytest.param({"iou": NAN}, "iou must be", id="iou-nan"),
    pytest.param({"max_detections": 0}, "max_detections must be", id="max-detections"),
    pytest.param({"max_candidates": 0.5}, "max_candidates must be", id="max-candidates"),
    pytest.param({"class_offset": -1.0}, "class_offset must be", id="negative-offset"),
    pytest.param({"class_offset": INF}, "class_offset must be", id="infinite-offset"),
]


@pytest.mark.parametrize(("change", "message"), ERRORS)
def test_wrong_arguments_are_named(kernels: str, change: dict[str, Any], message: str) -> None:
    arguments = {"boxes_xyxy": BOXES, "scores": SCORES, "class_ids": IDS, "iou": 0.5} | change
    with pytest.raises(InputError, match=message):
        nms(**arguments)


def test_rotated_boxes_have_five_columns(kernels: str) -> None:
    with pytest.raises(InputError, match=r"boxes_xywhr must be float32 \(N, 5\), got float32 \(5, 4\)"):
        nms_rotated(BOXES, SCORES, iou=0.5)
