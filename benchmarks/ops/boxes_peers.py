"""How others turn a detector's raw output into boxes: NumPy, cv2.dnn, torch + torchvision.ops, supervision."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import cv2
import numpy as np
import supervision as sv
import torch
import torchvision

from edgevision.geometry import Placement

__all__ = [
    "Found",
    "detr_torch",
    "end2end_numpy",
    "numpy_and_cv2",
    "numpy_and_supervision",
    "rotated_cv2",
    "rotated_torch",
    "sigmoid_queries_torch",
    "torch_and_torchvision",
    "yolov5_numpy",
]

Found = tuple[np.ndarray, ...]
"""(boxes, scores, class ids) or (boxes, scores, class ids, extra), best first."""
Suppress = Callable[[np.ndarray, np.ndarray, np.ndarray, float], np.ndarray]


def _candidates(output: np.ndarray, classes: int, confidence: float, multi_label: bool) -> Found:
    """Corners, scores, class ids and extra channels of what is above the confidence."""
    scores = output[4 : 4 + classes]
    if multi_label:
        ids, anchors = np.nonzero(scores > confidence)
        best = scores[ids, anchors]
    else:
        anchors = np.flatnonzero(scores.max(axis=0) > confidence)
        shown = scores[:, anchors]
        ids, best = shown.argmax(axis=0), shown.max(axis=0)
    centre, half = output[:2, anchors].T, output[2:4, anchors].T / 2
    return np.concatenate([centre - half, centre + half], axis=1), best, ids, output[4 + classes :, anchors].T


def _to_image(boxes: np.ndarray, placement: Placement) -> np.ndarray:
    """Off with the pad, over the gain, clipped to the image: in place."""
    (top, left), (gain_y, gain_x) = placement.offset_yx, placement.gain_yx
    height, width = placement.image_hw
    boxes -= (left, top, left, top)
    boxes /= (gain_x, gain_y, gain_x, gain_y)
    return np.clip(boxes, 0, (width, height, width, height), out=boxes)


def _with_numpy(suppress: Suppress) -> Callable[..., Callable[[], Found]]:
    """A whole postprocessing with NumPy around a suppression."""

    def prepare(
        output: np.ndarray,
        placement: Placement,
        classes: int,
        confidence: float,
        iou: float,
        multi_label: bool = False,
    ) -> Callable[[], Found]:
        def call() -> Found:
            single = output.astype(np.float32, copy=False)
            boxes, scores, ids, extra = _candidates(single, classes, confidence, multi_label)
            kept = suppress(boxes, scores, ids, iou)[:300]
            return _to_image(boxes[kept], placement), scores[kept], ids[kept], extra[kept]

        return call

    return prepare


def _suppress_cv2(boxes: np.ndarray, scores: np.ndarray, ids: np.ndarray, iou: float) -> np.ndarray:
    corner_and_size = boxes.copy()
    corner_and_size[:, 2:] -= boxes[:, :2]
    # Integers of 32 bits, as its class ids are.
    kept = cv2.dnn.NMSBoxesBatched(corner_and_size, scores, ids.astype(np.int32), 0.0, iou)
    return np.asarray(kept, np.int64)


def _suppress_supervision(boxes: np.ndarray, scores: np.ndarray, ids: np.ndarray, iou: float) -> np.ndarray:
    table = np.concatenate([boxes, scores[:, None], ids[:, None]], axis=1)
    kept = np.flatnonzero(sv.box_non_max_suppression(table, iou_threshold=iou))
    return kept[np.argsort(-scores[kept], kind="stable")]


numpy_and_cv2 = _with_numpy(_suppress_cv2)
numpy_and_supervision = _with_numpy(_suppress_supervision)


def torch_and_torchvision(
    output: np.ndarray,
    placement: Placement,
    classes: int,
    confidence: float,
    iou: float,
    multi_label: bool = False,
) -> Callable[[], Found]:
    """Tensors, and torchvision.ops.batched_nms."""
    given = torch.from_numpy(output)
    (top, left), (gain_y, gain_x) = placement.offset_yx, placement.gain_yx
    height, width = placement.image_hw
    shift = torch.tensor([left, top, left, top], dtype=torch.float32)
    gain = torch.tensor([gain_x, gain_y, gain_x, gain_y], dtype=torch.float32)

    def call() -> Found:
        tensor = given.float()
        scores = tensor[4 : 4 + classes]
        if multi_label:
            ids, anchors = torch.nonzero(scores > confidence, as_tuple=True)
            best = scores[ids, anchors]
        else:
            best, ids = scores.max(dim=0)
            anchors = torch.nonzero(best > confidence)[:, 0]
            best, ids = best[anchors], ids[anchors]
        centre, half = tensor[:2, anchors].T, tensor[2:4, anchors].T / 2
        boxes = torch.cat([centre - half, centre + half], dim=1)
        kept = torchvision.ops.batched_nms(boxes, best, ids, iou)[:300]
        boxes = torchvision.ops.clip_boxes_to_image((boxes[kept] - shift) / gain, (height, width))
        extra = tensor[4 + classes :, anchors[kept]].T
        return boxes.numpy(), best[kept].numpy(), ids[kept].numpy(), extra.numpy()

    return call


def yolov5_numpy(output: np.ndarray, classes: int, confidence: float, iou: float) -> Callable[[], Found]:
    """The original YOLOv5's rows: score = objectness * class score; boxes in the model's pixels."""

    def call() -> Found:
        rows = output[output[:, 4] > confidence]
        scores = rows[:, 5 : 5 + classes] * rows[:, 4:5]
        ids, best = scores.argmax(axis=1), scores.max(axis=1)
        above = best > confidence
        rows, ids, best = rows[above], ids[above], best[above]
        boxes = np.concatenate([rows[:, :2] - rows[:, 2:4] / 2, rows[:, :2] + rows[:, 2:4] / 2], axis=1)
        kept = _suppress_cv2(boxes, best, ids, iou)[:300]
        return boxes[kept], best[kept], ids[kept]

    return call


def end2end_numpy(output: np.ndarray, confidence: float) -> Callable[[], Found]:
    """Rows of x1, y1, x2, y2, score, class."""

    def call() -> Found:
        rows = output[output[:, 4] > confidence]
        return rows[:, :4].copy(), rows[:, 4].copy(), rows[:, 5].astype(np.int64)

    return call


def _corners(boxes: torch.Tensor, size_hw: tuple[int, int]) -> torch.Tensor:
    height, width = size_hw
    return torchvision.ops.box_convert(boxes, "cxcywh", "xyxy") * torch.tensor([width, height, width, height])


def detr_torch(
    logits: np.ndarray, boxes: np.ndarray, confidence: float, size_hw: tuple[int, int]
) -> Callable[[], Found]:
    """Softmax, the best class but the last, which is "no object"."""
    logit, box = torch.from_numpy(logits), torch.from_numpy(boxes)

    def call() -> Found:
        scores, ids = logit.softmax(-1)[:, :-1].max(-1)
        above = scores > confidence
        return _corners(box[above], size_hw).numpy(), scores[above].numpy(), ids[above].numpy()

    return call


def sigmoid_queries_torch(
    logits: np.ndarray, boxes: np.ndarray, confidence: float, size_hw: tuple[int, int], top_k: int = 300
) -> Callable[[], Found]:
    """Sigmoid, the best of all queries and classes."""
    logit, box = torch.from_numpy(logits), torch.from_numpy(boxes)

    def call() -> Found:
        scores, index = logit.sigmoid().flatten().topk(top_k)
        above = scores > confidence
        scores, index = scores[above], index[above]
        query, ids = index // logit.shape[1], index % logit.shape[1]
        return _corners(box[query], size_hw).numpy(), scores.numpy(), ids.numpy()

    return call


def _rotated_candidates(output: np.ndarray, classes: int, confidence: float) -> Found:
    scores = output[4 : 4 + classes]
    anchors = np.flatnonzero(scores.max(axis=0) > confidence)
    shown = scores[:, anchors]
    boxes = np.concatenate([output[:4, anchors], output[-1:, anchors]]).T
    return boxes, shown.max(axis=0), shown.argmax(axis=0)


def rotated_cv2(output: np.ndarray, classes: int, confidence: float, iou: float) -> Callable[[], Found]:
    """NumPy and cv2.dnn.NMSBoxesRotated, class by class: the polygons' own overlap."""

    def call() -> Found:
        boxes, scores, ids = _rotated_candidates(output, classes, confidence)
        kept: list[Any] = []
        for class_id in np.unique(ids):
            of_class = np.flatnonzero(ids == class_id)
            rectangles = [((x, y), (w, h), a) for x, y, w, h, a in _degrees(boxes[of_class]).tolist()]
            kept.extend(
                of_class[cv2.dnn.NMSBoxesRotated(rectangles, scores[of_class].tolist(), confidence, iou)]
            )
        order = np.array(kept, np.int64)[np.argsort(-scores[kept], kind="stable")]
        return boxes[order], scores[order], ids[order]

    return call


def _degrees(boxes: np.ndarray) -> np.ndarray:
    return np.concatenate([boxes[:, :4], np.degrees(boxes[:, 4:])], axis=1)


def rotated_torch(output: np.ndarray, classes: int, confidence: float, iou: float) -> Callable[[], Found]:
    """The probabilistic IoU of all pairs with torch; whatever a better box overlaps is dropped.

    Llerena et al., "Gaussian Bounding Boxes and Probabilistic Intersection-over-Union", 2021.
    """

    def call() -> Found:
        found = _rotated_candidates(output, classes, confidence)
        boxes, scores, ids = (torch.from_numpy(array) for array in found)
        order = scores.argsort(descending=True, stable=True)
        boxes, scores, ids = boxes[order], scores[order], ids[order]
        overlap = _probiou(boxes) * (ids[:, None] == ids)
        keep = overlap.triu(diagonal=1).amax(dim=0) < iou
        return boxes[keep].numpy(), scores[keep].numpy(), ids[keep].numpy()

    return call


def _probiou(boxes: torch.Tensor) -> torch.Tensor:
    x, y, width, height, angle = boxes.T
    cos, sin = angle.cos(), angle.sin()
    across, along = width**2 / 12, height**2 / 12
    a, b = across * cos**2 + along * sin**2, across * sin**2 + along * cos**2
    c = (across - along) * cos * sin
    sum_a, sum_b, sum_c = a[:, None] + a, b[:, None] + b, c[:, None] + c
    dx, dy, tiny = x[:, None] - x, y[:, None] - y, 1e-7
    determinant = sum_a * sum_b - sum_c**2
    apart = (0.25 * (sum_a * dy**2 + sum_b * dx**2) - 0.5 * sum_c * dx * dy) / (determinant + tiny)
    areas = (a * b - c**2).clamp(min=0).sqrt()
    shapes = 0.5 * (determinant / (4 * areas[:, None] * areas + tiny) + tiny).log()
    return 1 - (1 - (-(apart + shapes).clamp(tiny, 100.0)).exp() + tiny).sqrt()
