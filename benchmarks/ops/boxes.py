"""Raw detector output to boxes, beside NumPy + cv2.dnn, torch + torchvision.ops and supervision.

    python benchmarks/ops/boxes.py [--only NAME ...] [--seconds S] [--threads N ...] [--isa NAME ...] [--json FILE]

Every row is checked before it is timed. run_all.py measures all families and writes a page and a chart.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import cv2
import numpy as np
import supervision as sv
import torch
import torchvision
from boxes_peers import (
    Found,
    detr_torch,
    end2end_numpy,
    numpy_and_cv2,
    numpy_and_supervision,
    rotated_cv2,
    rotated_torch,
    sigmoid_queries_torch,
    torch_and_torchvision,
    yolov5_numpy,
)
from case import Case, Contender, Row
from command import main
from inputs import yolo_output
from tolerance import SAME_INDICES, MismatchError, Tolerance

from edgevision.geometry import place_image
from edgevision.ops.boxes import (
    Candidates,
    decode_detr,
    decode_end2end,
    decode_yolo_rotated,
    decode_yolov5,
    detect_yolo,
    nms,
    nms_rotated,
)

__all__ = ["ROWS"]

IMAGE = (1080, 1920)


def _detections_apart(ours: Candidates, theirs: Found) -> float:
    """The largest difference of any coordinate, score or extra value. Raises MismatchError for other classes."""
    mine = (ours.boxes, ours.scores, ours.class_ids, ours.extra)[: len(theirs)]
    if len(ours) == 0:
        raise MismatchError("nothing was detected: that proves nothing")
    if any(a.shape != b.shape for a, b in zip(mine, theirs, strict=True)):
        raise MismatchError(f"ours kept {len(ours)} boxes, the peer {len(theirs[0])}")
    if not np.array_equal(ours.class_ids, theirs[2]):
        raise MismatchError("the classes differ")
    return max(float(np.abs(a - b).max(initial=0.0)) for a, b in zip(mine, theirs, strict=True))


def _share_missing(ours: Candidates, theirs: Found) -> float:
    """Share of our boxes, by their exact scores, that the peer did not keep."""
    mine, other = set(ours.scores.tolist()), set(theirs[1].tolist())
    if not mine:
        raise MismatchError("nothing was detected: that proves nothing")
    return len(mine - other) / len(mine)


SAME_BOXES = Tolerance(
    _detections_apart, 1e-3, "the same boxes; pixels of the image, rounded in another order"
)
SAME_QUERIES = Tolerance(_detections_apart, 1e-3, "the same boxes; exp differs by a few ulp")
OTHER_OVERLAP = Tolerance(
    _share_missing, 0.1, "the polygons' own overlap, which suppresses less than the probabilistic"
)


def _bytes(*arrays: np.ndarray) -> int:
    return sum(array.nbytes for array in arrays)


def yolo(
    classes: int, extra: int, confidence: float, iou: float, *, multi_label: bool = False, half: bool = False
) -> Callable[[bool], Case]:
    """A YOLO head's output to boxes in a 1080p image, at most 300."""

    def make(small: bool) -> Case:
        side = 160 if small else 640
        output = yolo_output(side, classes, extra, objects=8 if small else 60)
        placement = place_image(IMAGE, (side, side))
        tensor = output.astype(np.float16) if half else output
        values = tensor.astype(np.float32)
        options: dict[str, Any] = {"num_classes": classes, "confidence": confidence, "iou": iou}
        # The others get the float16 output as it is: they convert it, or what they read of it.
        arguments = (tensor, placement, classes, confidence, iou, multi_label)

        def ours() -> Candidates:
            return detect_yolo(tensor, placement, multi_label=multi_label, **options)

        def single() -> Found:
            found = detect_yolo(values, placement, multi_label=multi_label, **options)
            return found.boxes, found.scores, found.class_ids, found.extra

        others = [
            Contender("NumPy + NMSBoxesBatched", numpy_and_cv2(*arguments), SAME_BOXES),
            Contender("torch + torchvision.ops", torch_and_torchvision(*arguments), SAME_BOXES),
        ]
        if half:
            others.append(Contender("edgevision, float32", single, SAME_BOXES, "own"))
        elif not multi_label:
            # Its table of all pairs would take seconds for an evaluation's thousands.
            others.append(Contender("NumPy + supervision", numpy_and_supervision(*arguments), SAME_BOXES))
        # Every score is read, and of the other channels next to nothing.
        return Case(ours, tuple(others), _bytes(tensor[4 : 4 + classes]))

    return make


def yolov5(small: bool) -> Case:
    """The original YOLOv5's 25200 rows, boxes in the model's pixels."""
    side, classes = (160, 80) if small else (640, 80)
    heads = [yolo_output(side, classes, objects=8 if small else 60, seed=seed).T for seed in range(3)]
    rows = np.concatenate(heads)
    objectness = rows[:, 4:].max(axis=1, keepdims=True)
    output = np.concatenate([rows[:, :4], objectness, rows[:, 4:] / objectness], axis=1)

    def ours() -> Candidates:
        found = decode_yolov5(output, num_classes=classes, confidence=0.25)
        kept = nms(found.boxes, found.scores, found.class_ids, iou=0.45)
        return Candidates(
            *(array[kept] for array in (found.boxes, found.scores, found.class_ids, found.extra))
        )

    peer = Contender("NumPy + NMSBoxesBatched", yolov5_numpy(output, classes, 0.25, 0.45), SAME_BOXES)
    # Only an anchor whose objectness is above the confidence has its scores read; a cache line each otherwise.
    above = np.count_nonzero(objectness > 0.25)
    return Case(ours, (peer,), 64 * len(output) + int(above) * output[0].nbytes)


def rotated(small: bool) -> Case:
    """DOTA's 15 classes at 1024: 21504 anchors; the overlap and the suppression that Ultralytics uses."""
    side, classes, confidence, iou = (256, 15, 0.25, 0.7) if small else (1024, 15, 0.25, 0.7)
    output = yolo_output(side, classes, 1, objects=8 if small else 60)

    def ours() -> Candidates:
        found = decode_yolo_rotated(output, num_classes=classes, confidence=confidence)
        kept = nms_rotated(
            found.boxes, found.scores, found.class_ids, iou=iou, max_detections=1000, greedy=False
        )
        return Candidates(
            *(array[kept] for array in (found.boxes, found.scores, found.class_ids, found.extra))
        )

    others = (
        Contender("NumPy + torch, all pairs", rotated_torch(output, classes, confidence, iou), SAME_BOXES),
        Contender(
            "NumPy + NMSBoxesRotated", rotated_cv2(output, classes, confidence, iou), OTHER_OVERLAP, "variant"
        ),
    )
    return Case(ours, others, _bytes(output[4 : 4 + classes]))


def end2end(small: bool) -> Case:
    """YOLOv10's and YOLO26's 300 rows, of which 60 are objects."""
    rng, count = np.random.default_rng(0), 30 if small else 300
    corners = np.sort(rng.uniform(0, 640, (count, 2, 2)), axis=1).reshape(count, 4)
    scores = np.sort(np.where(np.arange(count) < count // 5, rng.uniform(0.3, 0.9, count), 0.01))[::-1]
    output = np.concatenate([corners, scores[:, None], rng.integers(0, 80, (count, 1))], axis=1)
    output = output.astype(np.float32)
    peer = Contender("NumPy", end2end_numpy(output, 0.25), SAME_BOXES)
    return Case(lambda: decode_end2end(output, confidence=0.25), (peer,), _bytes(output))


def queries(classes: int, activation: str) -> Callable[[bool], Case]:
    """300 queries of a DETR, 60 of which see an object."""

    def make(small: bool) -> Case:
        rng, count = np.random.default_rng(0), 30 if small else 300
        logits = rng.normal(-6, 1.5, (count, classes)).astype(np.float32)
        logits[np.arange(count // 5), rng.integers(0, classes - 1, count // 5)] = rng.uniform(
            2, 5, count // 5
        )
        if activation == "softmax":
            logits[count // 5 :, -1] = 5
        boxes = rng.uniform(0.2, 0.8, (count, 4)).astype(np.float32)
        options = {"confidence": 0.3, "input_hw": (640, 640), "activation": activation}
        way = detr_torch if activation == "softmax" else sigmoid_queries_torch
        peer = Contender("torch", way(logits, boxes, 0.3, (640, 640)), SAME_QUERIES)
        return Case(lambda: decode_detr(logits, boxes, **options), (peer,), _bytes(logits, boxes))

    return make


def suppress(count: int) -> Callable[[bool], Case]:
    """nms alone on the best candidates of a detector, all of one class."""

    def make(small: bool) -> Case:
        output = yolo_output(160 if small else 640, 80, objects=8 if small else 60)
        scores = output[4:].max(axis=0)
        best = np.argsort(-scores, kind="stable")[: count // 16 if small else count]
        centre, half = output[:2, best].T, output[2:4, best].T / 2
        boxes, scores = np.concatenate([centre - half, centre + half], axis=1), scores[best]
        size = np.concatenate([boxes[:, :2], 2 * half], axis=1)
        table = np.concatenate([boxes, scores[:, None]], axis=1)
        tensors = torch.from_numpy(boxes), torch.from_numpy(scores)
        others = [
            Contender(
                "torchvision.ops.nms", lambda: torchvision.ops.nms(*tensors, 0.7).numpy(), SAME_INDICES
            ),
            Contender("cv2.dnn.NMSBoxes", lambda: cv2.dnn.NMSBoxes(size, scores, 0.0, 0.7), SAME_INDICES),
        ]
        if count <= 1000:
            # Beyond that its table of all pairs takes seconds. The boxes come sorted, so its flags are in order.
            masked = lambda: np.flatnonzero(sv.box_non_max_suppression(table, 0.7))  # noqa: E731
            others.append(Contender("supervision", masked, SAME_INDICES))
        return Case(
            lambda: nms(boxes, scores, iou=0.7, max_detections=count), tuple(others), _bytes(boxes, scores)
        )

    return make


ROWS = (
    # The usual detector: 8400 anchors, 80 classes, 60 objects.
    Row("yolo_60_objects", "(84, 8400) -> boxes, confidence 0.25", 5, yolo(80, 0, 0.25, 0.7)),
    # As evaluation asks: thousands of candidates, an anchor may have several classes.
    Row("yolo_evaluation", "(84, 8400) at 0.001, multi-label", 5, yolo(80, 0, 0.001, 0.7, multi_label=True)),
    # A network with float16 outputs: half the bytes, each to be converted.
    Row("yolo_60_float16", "(84, 8400) float16", None, yolo(80, 0, 0.25, 0.7, half=True)),
    # 32 coefficients come along with every box that is kept.
    Row("yolo_segment", "(116, 8400), 32 mask coefficients", None, yolo(80, 32, 0.25, 0.7)),
    # One class: the suppression compares everything with everything.
    Row("yolo_pose", "(56, 8400), 17 keypoints", None, yolo(1, 51, 0.25, 0.7)),
    # Rows, not columns: anchors side by side in memory.
    Row("yolov5", "(25200, 85) -> boxes", None, yolov5),
    Row("yolo_rotated", "(20, 21504) -> rotated boxes", None, rotated),
    # So little work that the call is what is timed.
    Row("end2end", "(300, 6) -> boxes", None, end2end),
    Row("detr_softmax", "300 queries, 92 classes, softmax", None, queries(92, "softmax")),
    Row("detr_sigmoid", "300 queries, 80 classes, sigmoid, best 300", None, queries(80, "sigmoid")),
    Row("nms_1000", "1000 boxes of one class", None, suppress(1000)),
    Row("nms_8000", "8000 boxes of one class", None, suppress(8000)),
)


if __name__ == "__main__":
    main("boxes", __doc__, ROWS)
