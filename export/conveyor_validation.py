"""Figures to watch while training: of the network alone, in its input's own pixels, on a few frames.

What a user of the exported file gets is measured by conveyor_eval.py.
"""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
import torch
from torch import nn

from edgevision.demo.clicks import middle_point
from edgevision.demo.scene import CLASS_NAMES, Frame
from edgevision.export.conveyor_batch import to_input
from edgevision.export.conveyor_data import Sample, crop_samples, to_sample
from edgevision.export.conveyor_instances import KEYPOINTS, MASKS, ConveyorInstances
from edgevision.export.conveyor_loss import box_iou
from edgevision.export.conveyor_promptable import ConveyorPromptable

__all__ = ["validate_classifier", "validate_instances", "validate_promptable", "validate_unet"]


@torch.inference_mode()
def validate_classifier(model: nn.Module, frames: Sequence[Frame]) -> dict[str, float]:
    """The share of the frames' parts whose crop is named rightly."""
    right = total = 0
    for frame in frames:
        crops, classes = crop_samples(frame)
        if len(crops):
            said = model(torch.from_numpy(to_input(crops))).argmax(1).numpy()
            right, total = right + int((said == classes).sum()), total + len(classes)
    return {"top1": right / max(total, 1)}


@torch.inference_mode()
def validate_unet(model: nn.Module, frames: Sequence[Frame]) -> dict[str, float]:
    """The mean over the classes, background included, of their overlap in all frames together."""
    count = len(CLASS_NAMES) + 1
    table = np.zeros((count, count), np.int64)
    for sample in map(to_sample, frames):
        said = model(_input_of(sample))[0].argmax(0).numpy()
        classes = np.concatenate([[0], sample.boxes[:, 4].astype(np.int64) + 1])
        truth = classes[sample.owners]
        table += np.bincount((truth * count + said).ravel(), minlength=count**2).reshape(count, count)
    hits = np.diag(table)
    return {"miou": float((hits / np.maximum(table.sum(0) + table.sum(1) - hits, 1)).mean())}


@torch.inference_mode()
def validate_instances(model: ConveyorInstances, frames: Sequence[Frame]) -> dict[str, float]:
    """Of the best box of each counted object: its mask's mean overlap, and the landmarks' mean distance, in shares of the
    box's size."""
    overlaps, distances = [], []
    for sample in map(to_sample, frames):
        rows, prototypes = (part[0] for part in model(_input_of(sample)))
        rows = rows.T
        boxes = torch.cat((rows[:, :2] - rows[:, 2:4] / 2, rows[:, :2] + rows[:, 2:4] / 2), dim=1)
        first = 4 + len(CLASS_NAMES)
        for index, (*box, class_id, ignored) in enumerate(sample.boxes.tolist()):
            fits = box_iou(torch.tensor(box), boxes) > 0.5
            if ignored or not fits.any():
                continue
            best = int(torch.where(fits, rows[:, 4 + int(class_id)], torch.zeros(())).argmax())
            logits = torch.einsum("c,chw->hw", rows[best, first : first + MASKS], prototypes)
            logits = nn.functional.interpolate(logits[None, None], size=sample.owners.shape, mode="bilinear")[
                0, 0
            ]
            left, top, right, bottom = (round(value) for value in boxes[best].tolist())
            said = np.zeros(sample.owners.shape, bool)
            inside = slice(max(top, 0), max(bottom, 0)), slice(max(left, 0), max(right, 0))
            said[inside] = logits.numpy()[inside] > 0
            truth = sample.owners == index + 1
            overlaps.append((said & truth).sum() / max((said | truth).sum(), 1))
            points = rows[best, first + MASKS :].view(KEYPOINTS, 3).numpy()
            shown = sample.keypoints[index, :, 2] > 0
            size = np.sqrt((box[2] - box[0]) * (box[3] - box[1]))
            apart = np.hypot(*(points[:, :2] - sample.keypoints[index, :, :2]).T) / size
            distances.extend(apart[shown])
    return {"mask_iou": float(np.mean(overlaps)), "landmark_error": float(np.mean(distances))}


@torch.inference_mode()
def validate_promptable(model: ConveyorPromptable, frames: Sequence[Frame]) -> dict[str, float]:
    """The mean overlap of the masks that a click into the middle of each counted object gives."""
    overlaps = []
    for sample in map(to_sample, frames):
        embedding = model.encoder(_input_of(sample))
        for index in np.flatnonzero(sample.boxes[:, 5] == 0):
            truth = sample.owners == index + 1
            if not truth.any():
                continue
            point = torch.from_numpy(middle_point(truth))[None, None]
            no_mask = torch.zeros(1, 1, *model.decoder.mask_hw)
            logits, _ = model.decoder(embedding, point, torch.ones(1, 1), no_mask, torch.zeros(1))
            logits = nn.functional.interpolate(logits[:, :1], size=truth.shape, mode="bilinear")[0, 0]
            said = logits.numpy() > 0
            overlaps.append((said & truth).sum() / (said | truth).sum())
    return {"point_iou": float(np.mean(overlaps))}


def _input_of(sample: Sample) -> torch.Tensor:
    return torch.from_numpy(to_input(sample.image[None]))
