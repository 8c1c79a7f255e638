"""Prompts to train the promptable network on, and what its mistakes cost."""

from __future__ import annotations

from typing import NamedTuple

import numpy as np
import numpy.typing as npt
import torch
from torch import Tensor
from torch.nn import functional as F  # noqa: N812

from edgevision.demo.clicks import middle_point
from edgevision.export.conveyor_batch import make_batch
from edgevision.export.conveyor_cache import Samples
from edgevision.export.conveyor_instances_loss import dice_loss, sample_points
from edgevision.export.conveyor_promptable import ConveyorPromptable

__all__ = ["POINTS", "PROMPTS", "PromptBatch", "make_prompt_batch", "promptable_loss"]

PROMPTS = 6  # a picture
POINTS = 3  # a prompt at most; fewer are filled up with padding
JUDGED = 1024  # points of the picture at which a mask is compared
CROSS_WEIGHT = 4.0
WHOLE = 0.5  # share of the batches that are whole pictures
LEAST_PIXELS = 8  # of an object asked for
REFINED = 0.2  # share of the batches that are asked a second time, with the first answer as a mask


class PromptBatch(NamedTuple):
    """B pictures, or equal windows of them, with PROMPTS prompts each.

    images: float32 (B, 3, h, w) RGB 0-1. corner: int64 (2,), x, y of the window in the picture, input pixels. coords:
    float32 (B, PROMPTS, POINTS, 2), of the whole picture. labels: float32 (B, PROMPTS, POINTS). masks: bool
    (B, PROMPTS, h, w), the object meant. again: bool (1,), whether to ask twice.
    """

    images: Tensor
    corner: Tensor
    coords: Tensor
    labels: Tensor
    masks: Tensor
    again: Tensor


def make_prompt_batch(
    samples: Samples, rows: npt.NDArray[np.integer], rng: np.random.Generator
) -> PromptBatch:
    """The pictures `rows` of the cache with random prompts for random counted objects.

    Most batches are windows of a quarter of the picture, which cost a quarter; the others are every third picture, whole.
    """
    whole = rng.random() < WHOLE
    pictures = make_batch(samples, rows[: max(1, len(rows) // 3)] if whole else rows, rng)
    count, _, height, width = pictures.images.shape
    left = top = 0
    if not whole:
        left, top = (16 * int(rng.integers(side // 32 + 1)) for side in (width, height))
        height, width = height // 2, width // 2
    images = pictures.images[:, :, top : top + height, left : left + width]
    coords = np.zeros((count, PROMPTS, POINTS, 2), np.float32)
    labels = np.full((count, PROMPTS, POINTS), -1, np.float32)
    masks = np.zeros((count, PROMPTS, height, width), bool)
    for i in range(count):
        owner = pictures.owners[i, top : top + height, left : left + width].numpy()
        counted = pictures.counted[i].numpy()
        able = np.flatnonzero(
            counted & (np.bincount(owner.ravel(), minlength=len(counted) + 1)[1:] >= LEAST_PIXELS)
        )
        # A window without a part asks about the empty belt: no mask is right.
        for j, row in enumerate(rng.choice(able, PROMPTS, replace=len(able) < PROMPTS) if len(able) else []):
            masks[i, j] = owner == row + 1
            points, kinds = _draw_prompt(masks[i, j], rng)
            coords[i, j, : len(points)], labels[i, j, : len(kinds)] = points + (left, top), kinds
    again = torch.tensor([rng.random() < REFINED])
    return PromptBatch(
        images,
        torch.tensor([left, top]),
        *(torch.from_numpy(part) for part in (coords, labels, masks)),
        again,
    )


def _draw_prompt(
    mask: npt.NDArray[np.bool_], rng: np.random.Generator
) -> tuple[npt.NDArray[np.float32], list[int]]:
    kind = rng.random()
    lines, columns = mask.nonzero()
    box = np.array([columns.min(), lines.min(), columns.max() + 1, lines.max() + 1], np.float64)
    if kind < 0.25:
        shift = rng.uniform(-0.05, 0.05, 4) * np.tile(box[2:] - box[:2], 2)
        corners = np.clip(box + shift, 0, [mask.shape[1], mask.shape[0]] * 2)
        return corners.reshape(2, 2).astype(np.float32), [2, 3]
    if kind < 0.5:
        return middle_point(mask)[None], [1]
    count = 1 if kind < 0.8 else 2
    chosen = rng.integers(len(lines), size=count)
    points = np.stack([columns[chosen], lines[chosen]], axis=1).astype(np.float32)
    if count == 2 and rng.random() < 0.5:
        # The second is not of the object: a point of the box's surroundings.
        around = np.clip(rng.uniform(box[:2] - 8, box[2:] + 8), 0, [mask.shape[1] - 1, mask.shape[0] - 1])
        if not mask[int(around[1]), int(around[0])]:
            points[1] = np.floor(around)
            return points, [1, 0]
    return points, [1] * count


def promptable_loss(model: ConveyorPromptable, batch: PromptBatch) -> tuple[Tensor, dict[str, float]]:
    """The batch's loss, a scalar, and its parts for the log.

    Mask 0 answers for itself; of the other three only the best learns, so that they may differ. Asked a second time,
    with the first answer as the mask, both answers count.
    """
    decoder = model.decoder
    left, top = batch.corner.tolist()
    embedding = model.encoder(batch.images, (left, top)).repeat_interleave(PROMPTS, dim=0)
    prompts = len(embedding)
    coords, labels, truth = (part.flatten(0, 1) for part in (batch.coords, batch.labels, batch.masks))
    earlier = embedding.new_zeros(prompts, 1, *(4 * side for side in embedding.shape[2:]))
    loss, parts = embedding.sum() * 0, {}
    for turn in range(1 + int(batch.again.item())):
        given = torch.full((1,), float(turn), device=embedding.device)
        logits, overlaps = decoder(embedding, coords, labels, earlier, given, (left, top))
        step, parts = _mask_loss(logits.float(), overlaps.float(), truth)
        loss = loss + step
        earlier = logits[:, :1].detach().clamp(-16, 16)
    return loss, parts


def _mask_loss(logits: Tensor, overlaps: Tensor, truth: Tensor) -> tuple[Tensor, dict[str, float]]:
    prompts, candidates = logits.shape[:2]
    points = _judged_points(truth)
    column, line = points.long().unbind(-1)
    aim = truth.flatten(1).gather(1, line * truth.shape[2] + column).float()
    grid = points / points.new_tensor([truth.shape[2], truth.shape[1]]) * 2 - 1
    seen = F.grid_sample(logits, grid[:, None], padding_mode="border", align_corners=False)[:, :, 0].flatten(
        0, 1
    )
    each = aim.repeat_interleave(candidates, dim=0)
    cross = F.binary_cross_entropy_with_logits(seen, each, reduction="none").mean(1).view(prompts, candidates)
    cost = CROSS_WEIGHT * cross + dice_loss(seen, each).view(prompts, candidates)
    with torch.no_grad():
        said, right = logits > 0, truth[:, None, 1::2, 1::2]
        iou = (said & right).sum((2, 3)) / (said | right).sum((2, 3)).clamp(min=1)
    loss = (cost[:, 0] + cost[:, 1:].amin(1)).mean() + F.mse_loss(overlaps, iou)
    parts = {
        "cross": cross[:, 0].mean().item(),
        "cost": cost[:, 0].mean().item(),
        "iou": iou[:, 0].mean().item(),
    }
    return loss, parts


def _judged_points(truth: Tensor) -> Tensor:
    """Centres of the pixels at which masks are compared, float32 (P, JUDGED, 2): half of them in and around the object,
    which covers a hundredth of the picture, half anywhere."""
    prompts, height, width = truth.shape
    lines, columns = truth.any(2).float(), truth.any(1).float()
    low = torch.stack((columns.argmax(1), lines.argmax(1)), dim=1)
    high = torch.stack((width - columns.flip(1).argmax(1), height - lines.flip(1).argmax(1)), dim=1)
    near = sample_points(torch.cat((low, high), dim=1).float(), JUDGED // 2, (height, width))
    everywhere = torch.tensor([[0.0, 0.0, width, height]], device=truth.device).expand(prompts, -1)
    return torch.cat((near, sample_points(everywhere, JUDGED // 2, (height, width))), dim=1)
