"""How well each of the demo's exported files does on held-out frames, as edgevision itself runs it: what its user gets."""

from __future__ import annotations

from collections.abc import Callable, Iterable
from typing import Any

import numpy as np
import numpy.typing as npt

from edgevision.demo.clicks import middle_point
from edgevision.demo.crops import crop_part
from edgevision.demo.landmarks import settle_landmarks
from edgevision.demo.metrics import (
    BoxDetections,
    BoxTruth,
    MaskDetections,
    MaskTruth,
    box_iou,
)
from edgevision.demo.scene import CLASS_NAMES, Frame
from edgevision.demo.scores import class_overlaps, landmark_similarity, mask_overlap, tally_labels
from edgevision.export.conveyor_eval import CONFIDENCE, MAX_DETECTIONS, NMS_IOU, summarise
from edgevision.results import Masks

__all__ = [
    "HEADLINES",
    "JUDGES",
    "headline",
    "judge_classifier",
    "judge_detector",
    "judge_instances",
    "judge_promptable",
    "judge_unet",
]

_MATCH_IOU = 0.5  # of a box whose landmarks are judged
_PROMPT_SEED = 5


def judge_detector(model: Any, frames: Iterable[Frame]) -> dict[str, Any]:
    """Average precision of the boxes. model: an open detector."""
    found, truths = [], []
    for frame in frames:
        result = model(frame.image, confidence=CONFIDENCE, iou=NMS_IOU, max_detections=MAX_DETECTIONS)
        found.append(BoxDetections(result.xyxy, result.confidence, result.class_id))
        truths.append(BoxTruth(frame.truth.boxes, frame.truth.class_id, frame.truth.ignored))
    return summarise(found, truths)


def judge_instances(model: Any, frames: Iterable[Frame]) -> dict[str, Any]:
    """Average precision of masks and of boxes, and how far the landmarks of the boxes found lie from the truth.

    Landmarks are judged where they show, of every counted object that a box of its class covers with IoU >= 0.5.
    """
    boxes, masks, box_truths, mask_truths = [], [], [], []
    similar, apart = [], []
    for frame in frames:
        truth = frame.truth
        result = model(frame.image, confidence=CONFIDENCE, iou=NMS_IOU, max_detections=MAX_DETECTIONS)
        boxes.append(BoxDetections(result.xyxy, result.confidence, result.class_id))
        masks.append(MaskDetections(result.masks, result.confidence, result.class_id))
        box_truths.append(BoxTruth(truth.boxes, truth.class_id, truth.ignored))
        mask_truths.append(MaskTruth(Masks.from_dense(truth.masks), truth.class_id, truth.ignored))
        landmarks = settle_landmarks(truth)
        for row in np.flatnonzero(~truth.ignored):
            fits = box_iou(truth.boxes[row : row + 1], result.xyxy)[0] >= _MATCH_IOU
            fits &= result.class_id == truth.class_id[row]
            if fits.any() and landmarks[row, :, 2].any():
                best = int(np.argmax(np.where(fits, result.confidence, -1.0)))
                area = np.array([np.count_nonzero(truth.masks[row])])
                said, aim = result.keypoints[best], landmarks[row]
                similar.append(float(landmark_similarity(said[None], aim[None], area)[0]))
                distance = np.hypot(*(said[:, :2] - aim[:, :2]).T)
                apart.extend(distance[aim[:, 2] > 0].tolist())
    return {
        "masks": summarise(masks, mask_truths),
        "boxes": summarise(boxes, box_truths),
        "landmarks": {
            "objects": len(similar),
            "similarity": round(float(np.mean(similar)), 4),
            "similar_at_0.5": round(float(np.mean(np.array(similar) >= 0.5)), 4),
            "median_error_px": round(float(np.median(apart)), 2),
            "mean_error_px": round(float(np.mean(apart)), 2),
        },
    }


def judge_unet(model: Any, frames: Iterable[Frame]) -> dict[str, Any]:
    """The overlap of each class, over the pixels of all frames together, and their mean, background included."""
    names = ("background", *CLASS_NAMES)
    tally = np.zeros((len(names), len(names)), np.int64)
    count = 0
    for frame in frames:
        tally += tally_labels(model(frame.image).labels, frame.truth.labels, len(names))
        count += 1
    overlaps = class_overlaps(tally)
    return {
        "frames": count,
        "miou": round(float(np.nanmean(overlaps)), 4),
        "pixel_accuracy": round(float(np.diag(tally).sum() / tally.sum()), 4),
        "iou": {name: round(float(value), 4) for name, value in zip(names, overlaps, strict=True)},
    }


def judge_classifier(model: Any, frames: Iterable[Frame]) -> dict[str, Any]:
    """The share of the counted parts that are named rightly, cut out of the frame by their true box."""
    right, total = np.zeros(len(CLASS_NAMES), np.int64), np.zeros(len(CLASS_NAMES), np.int64)
    count = 0
    for frame in frames:
        truth = frame.truth.counted()
        for box, class_id in zip(truth.boxes, truth.class_id, strict=True):
            total[class_id] += 1
            right[class_id] += int(model(crop_part(frame.image, box)).class_id[0] == class_id)
        count += 1
    return {
        "frames": count,
        "crops": int(total.sum()),
        "top1": round(float(right.sum() / total.sum()), 4),
        "right": {
            name: round(float(r / max(t, 1)), 4) for name, r, t in zip(CLASS_NAMES, right, total, strict=True)
        },
    }


def judge_promptable(model: Any, frames: Iterable[Frame]) -> dict[str, Any]:
    """The mean overlap of the masks of counted parts: after a click into the part's middle, at any pixel of it, and
    within its box."""
    rng = np.random.default_rng(_PROMPT_SEED)
    overlaps: dict[str, list[float]] = {"point": [], "any_point": [], "box": []}
    by_class: dict[int, list[float]] = {}
    count = 0
    for frame in frames:
        truth = frame.truth.counted()
        model.set_image(frame.image)
        for mask, box, class_id in zip(truth.masks, truth.boxes, truth.class_id, strict=True):
            lines, columns = mask.nonzero()
            chosen = int(rng.integers(len(lines)))
            prompts = {
                "point": {"points": middle_point(mask)[None]},
                "any_point": {"points": np.array([[columns[chosen], lines[chosen]]], np.float32)},
                "box": {"box": box},
            }
            for name, prompt in prompts.items():
                said: npt.NDArray[np.bool_] = model.predict(**prompt, multimask=False).masks[0]
                overlaps[name].append(mask_overlap(said, mask))
            by_class.setdefault(int(class_id), []).append(overlaps["point"][-1])
        count += 1
    return {
        "frames": count,
        "prompts": len(overlaps["point"]),
        **{f"{name}_miou": round(float(np.mean(values)), 4) for name, values in overlaps.items()},
        "point_iou": {CLASS_NAMES[key]: round(float(np.mean(by_class[key])), 4) for key in sorted(by_class)},
    }


JUDGES: dict[str, Callable[[Any, Iterable[Frame]], dict[str, Any]]] = {
    "yolo": judge_detector,
    "instances": judge_instances,
    "unet": judge_unet,
    "resnet": judge_classifier,
    "vit": judge_classifier,
    "promptable": judge_promptable,
}
"""By the name of the recipe."""

HEADLINES: dict[str, tuple[str, ...]] = {
    "yolo": ("map50_95",),
    "instances": ("masks", "map50_95"),
    "unet": ("miou",),
    "resnet": ("top1",),
    "vit": ("top1",),
    "promptable": ("point_miou",),
}
"""Where among a judge's figures the one stands that counts, by the name of the recipe."""


def headline(name: str, figures: dict[str, Any]) -> float:
    """The figure of a model that counts, 0-1."""
    value: Any = figures
    for key in HEADLINES[name]:
        value = value[key]
    return float(value)
