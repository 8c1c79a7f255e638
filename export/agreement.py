"""How far results agree: what a form's outputs mean, beside what PyTorch's outputs mean."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from edgevision.results import Classification, Detections, Embedding, OrientedDetections, Segmentation

__all__ = ["Agreement", "Tie", "compare_results"]

_MATCH_IOU = 0.5
"""Two boxes are of the same object when they overlap by this: the usual least, of PASCAL VOC and COCO's mAP50."""

_MIN_AREA = 1e-3
"""Share of an image below which a class's region counts for no IoU: at its border every pixel is a tie."""


@dataclass(frozen=True, slots=True)
class Agreement:
    """One figure of how results agree.

    name:  "top1", "matched", ...: a row of limits.RESULT_LIMITS.
    value: over every frame: a share, or the worst of any frame for distances and IoUs.
    frame: the one that agrees least.
    count: of what was compared (frames, objects, pixels).
    """

    name: str
    value: float
    frame: str
    count: int

    def __str__(self) -> str:
        where = f", worst on {self.frame}" if self.frame else ""
        return f"{self.name} {self.value:.6g} ({self.count} compared{where})"


@dataclass(frozen=True, slots=True)
class Tie:
    """score: two scores closer than this may change places. confidence: the least that an object is reported with."""

    score: float
    confidence: float = 0.25


def compare_results(
    wants: Sequence[Any], haves: Sequence[Any], frames: Sequence[str], tie: Tie
) -> list[Agreement]:
    """The figures of the task that these are results of, PyTorch's first; none for results of no known kind.

    Scores that lie closer together than `tie.score`, and objects whose confidence lies that close to the least that
    is reported, are left out: which side of a line they fall on is chance.
    """
    if not wants:
        return []
    kinds: tuple[tuple[type, Any], ...] = (
        (Classification, _classify),
        (Detections, _detect),
        (OrientedDetections, _orient),
        (Segmentation, _segment),
        (Embedding, _embed),
    )
    for kind, compare in kinds:
        if isinstance(wants[0], kind):
            rows: list[list[tuple[str, float, int]]] = [
                compare(want, have, tie) for want, have in zip(wants, haves, strict=True)
            ]
            return _summarise(rows, frames)
    return []


_SHARES = ("top1", "top5", "matched", "pixels")
"""Figures that are means over everything compared; of the others the worst counts."""
_HIGHER = (*_SHARES, "mask_iou", "class_iou", "cosine")


def _summarise(rows: list[list[tuple[str, float, int]]], frames: Sequence[str]) -> list[Agreement]:
    found = []
    for name in dict.fromkeys(name for row in rows for name, _, _ in row):
        entries = [
            (value, count, frame)
            for row, frame in zip(rows, frames, strict=True)
            for one, value, count in row
            if one == name and count
        ]
        if not entries:
            continue
        count = sum(n for _, n, _ in entries)
        worst, _, frame = (min if name in _HIGHER else max)(entries, key=lambda one: one[0])
        value = sum(v * n for v, n, _ in entries) / count if name in _SHARES else worst
        found.append(Agreement(name, value, frame, count))
    return found


def _classify(want: Classification, have: Classification, tie: Tie) -> list[tuple[str, float, int]]:
    by_class = dict(zip(want.class_id.tolist(), want.confidence.tolist(), strict=True))
    other = dict(zip(have.class_id.tolist(), have.confidence.tolist(), strict=True))
    gap = max(
        (abs(score - other.get(key, 0.0)) for key, score in by_class.items()), default=float(len(other) > 0)
    )
    rows = [("score", gap, 1)]
    for name, count in (("top1", 1), ("top5", 5)):
        if len(want) < count:
            continue
        # The form's choice is as good as PyTorch's when PyTorch scores it as high, but for a tie.
        least = float(want.confidence[count - 1]) - tie.score
        chosen = have.class_id[:count].tolist()
        rows.append((name, sum(by_class.get(key, -1.0) >= least for key in chosen) / count, 1))
    return rows


def _detect(want: Detections, have: Detections, tie: Tie) -> list[tuple[str, float, int]]:
    rows, left, right = _pair(want, have, want.xyxy, have.xyxy, tie)
    count = len(left)
    if not count:
        return rows
    rows.append(("box_px", float(np.abs(want.xyxy[left] - have.xyxy[right]).max()), count))
    if want.masks is not None and have.masks is not None:
        ious = [mask_iou(want.masks[i], have.masks[j]) for i, j in zip(left, right, strict=True)]
        rows.append(("mask_iou", float(np.mean(ious)), count))
    if want.keypoints is not None and have.keypoints is not None:
        gap = np.abs(want.keypoints[left, :, :2] - have.keypoints[right, :, :2])
        seen = want.keypoints[left, :, 2] > 0.5
        if seen.any():
            rows.append(("keypoint_px", float(gap[seen].max()), int(seen.sum())))
    return rows


def _orient(want: OrientedDetections, have: OrientedDetections, tie: Tie) -> list[tuple[str, float, int]]:
    one, other = want.corners, have.corners
    hulls = [np.concatenate((each.min(axis=1), each.max(axis=1)), axis=1) for each in (one, other)]
    rows, left, right = _pair(want, have, hulls[0], hulls[1], tie)
    if len(left):
        # A turn by a quarter, or by a half, gives the same box from another corner on.
        turns = [
            np.abs(one[left] - np.roll(other[right], turn, axis=1)).max(axis=(1, 2)) for turn in range(4)
        ]
        rows.append(("box_px", float(np.min(turns, axis=0).max()), len(left)))
    return rows


def _pair(
    want: Detections | OrientedDetections,
    have: Detections | OrientedDetections,
    want_xyxy: NDArray[np.float32],
    have_xyxy: NDArray[np.float32],
    tie: Tie,
) -> tuple[list[tuple[str, float, int]], NDArray[np.int64], NDArray[np.int64]]:
    """The figures "matched" and "score", and the indices of the objects that are matched, ties apart."""
    iou = box_iou(want_xyxy, have_xyxy)
    iou[want.class_id[:, None] != have.class_id[None]] = 0.0
    pairs = _match(iou)
    decided_want, decided_have = _decided(want, tie), _decided(have, tie)
    missed = decided_want - set(pairs[:, 0].tolist())
    invented = decided_have - set(pairs[:, 1].tolist())
    counted = [i in decided_want or j in decided_have for i, j in pairs.tolist()]
    left, right = pairs[np.array(counted, bool)].T
    total = len(left) + len(missed) + len(invented)
    rows = [("matched", len(left) / total if total else 1.0, total)]
    if len(left):
        gap = np.abs(want.confidence[left] - have.confidence[right])
        rows.append(("score", float(gap.max()), len(left)))
    return rows, left, right


def _decided(found: Detections | OrientedDetections, tie: Tie) -> set[int]:
    """Indices of the objects that no tie decides: above the least confidence, and above the last one kept."""
    least = tie.confidence + tie.score
    if len(found) >= 100:  # perhaps cut off at the most that are reported
        least = max(least, float(found.confidence.min()) + tie.score)
    return set(np.flatnonzero(found.confidence > least).tolist())


def _match(iou: NDArray[np.float64]) -> NDArray[np.int64]:
    """Pairs (row, column), int64 (M, 2), each index once: the best overlaps first, down to _MATCH_IOU."""
    taken_row, taken_column = set(), set()
    pairs = []
    rows, columns = np.nonzero(iou >= _MATCH_IOU)
    for at in np.argsort(-iou[rows, columns], kind="stable"):
        row, column = int(rows[at]), int(columns[at])
        if row not in taken_row and column not in taken_column:
            taken_row.add(row)
            taken_column.add(column)
            pairs.append((row, column))
    return np.array(pairs, np.int64).reshape(-1, 2)


def _segment(want: Segmentation, have: Segmentation, tie: Tie) -> list[tuple[str, float, int]]:
    same = want.labels == have.labels
    ious = []
    for class_id in np.union1d(want.class_id, have.class_id):
        one, other = want.labels == class_id, have.labels == class_id
        if max(one.mean(), other.mean()) >= _MIN_AREA:
            ious.append(mask_iou(one, other))
    return [("pixels", float(same.mean()), same.size), ("class_iou", float(np.mean(ious)), len(ious))]


def _embed(want: Embedding, have: Embedding, tie: Tie) -> list[tuple[str, float, int]]:
    return [("cosine", want.similarity(have), 1)]


def mask_iou(one: NDArray[np.bool_], other: NDArray[np.bool_]) -> float:
    """Overlap of two masks, 0-1; 1 when both are empty."""
    union = np.count_nonzero(one | other)
    return np.count_nonzero(one & other) / union if union else 1.0


def box_iou(one: NDArray[np.float32], other: NDArray[np.float32]) -> NDArray[np.float64]:
    """Overlap of every box of `one` with every box of `other`, xyxy: float64 (N, M), 0-1."""
    a, b = one[:, None].astype(np.float64), other[None].astype(np.float64)
    sides = np.minimum(a[..., 2:], b[..., 2:]) - np.maximum(a[..., :2], b[..., :2])
    inner = np.prod(np.clip(sides, 0.0, None), axis=-1)
    areas = np.prod(a[..., 2:] - a[..., :2], axis=-1) + np.prod(b[..., 2:] - b[..., :2], axis=-1)
    return np.divide(inner, areas - inner, out=np.zeros_like(inner), where=areas > inner)
