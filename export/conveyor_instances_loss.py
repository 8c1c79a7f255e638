"""What the mistakes of masks and landmarks cost; boxes and scores cost what they cost the detector.

Masks are judged at points drawn from around their box (Kirillov et al. 2020, PointRend), by binary cross-entropy and
the Dice coefficient: the truth at a point is exact, and no mask is ever upsampled.
"""

from __future__ import annotations

import torch
from torch import Tensor
from torch.nn import functional as F  # noqa: N812

from edgevision.export.conveyor_batch import Pictures
from edgevision.export.conveyor_instances import ConveyorInstances, Raw
from edgevision.export.conveyor_loss import assign

__all__ = ["dice_loss", "instances_loss", "sample_points"]

POINTS = 224  # a mask
ANCHORS = 48  # a picture: as many of those that answer for an object learn its mask
REACH = 1.15  # points come from the box, grown so much
HIDDEN = 0.2  # what a landmark that does not show counts
PLACE_WEIGHT = 10.0


def instances_loss(model: ConveyorInstances, batch: Pictures) -> tuple[Tensor, dict[str, float]]:
    """The batch's loss of masks and landmarks, a scalar, and its parts for the log. The trunk is left as it is."""
    raw = Raw(*(part.float() for part in model.predict_all(batch.images)))
    boxes = model.decode_boxes(raw.sides, raw.anchors).transpose(1, 2)
    owner, aim, _ = assign(
        boxes.detach(), raw.scores.detach().sigmoid().transpose(1, 2), raw.anchors, batch.targets
    )
    masks = _mask_losses(raw, owner, aim, batch)
    place, shown = _landmark_losses(model, raw, owner, aim, batch)
    loss = masks[0] + masks[1] + PLACE_WEIGHT * place + shown
    names = ("mask", "dice", "place", "shown")
    return loss, {name: value.item() for name, value in zip(names, (*masks, place, shown), strict=True)}


def sample_points(boxes: Tensor, count: int, input_hw: tuple[int, int]) -> Tensor:
    """Centres of random pixels in and around each box (N, 4), float32 (N, count, 2): x, y."""
    centre, half = (boxes[:, :2] + boxes[:, 2:]) / 2, (boxes[:, 2:] - boxes[:, :2]) / 2 * REACH
    places = centre[:, None] + half[:, None] * (torch.rand(len(boxes), count, 2, device=boxes.device) * 2 - 1)
    limit = boxes.new_tensor([input_hw[1] - 1.0, input_hw[0] - 1.0])
    return torch.minimum(places.floor().clamp(min=0), limit) + 0.5


def dice_loss(logits: Tensor, truth: Tensor) -> Tensor:
    """1 less the Dice coefficient of each row, (N,), from logits and truth 0-1, both (N, P)."""
    share = logits.sigmoid()
    common = 2 * (share * truth).sum(1)
    return 1 - (common + 1) / (share.sum(1) + truth.sum(1) + 1)


def _mask_losses(raw: Raw, owner: Tensor, aim: Tensor, batch: Pictures) -> tuple[Tensor, Tensor]:
    height, width = batch.images.shape[2:]
    cross = dice = raw.prototypes.sum() * 0
    total = 0
    # Unbound once: a slice of the whole a picture would give each its own gradient of the whole.
    pictures = zip(raw.prototypes.unbind(), raw.coefficients.unbind(), strict=True)
    for picture, (prototypes, coefficients) in enumerate(pictures):
        taken = (owner[picture] >= 0).nonzero()[:, 0]
        # Anchors that answer well for their object are those whose masks will be shown.
        taken = (
            taken[torch.multinomial(aim[picture, taken] + 1e-3, min(ANCHORS, len(taken)))]
            if len(taken)
            else taken
        )
        if not len(taken):
            continue
        rows = owner[picture, taken]
        points = sample_points(batch.boxes[picture, rows], POINTS, (height, width))
        column, line = points.long().unbind(-1)
        truth = (batch.owners[picture, line, column] == rows[:, None] + 1).float()
        grid = points / points.new_tensor([width, height]) * 2 - 1
        seen = F.grid_sample(prototypes[None], grid[None], padding_mode="border", align_corners=False)
        logits = torch.einsum("cn,cnp->np", coefficients[:, taken], seen[0])
        cross = cross + F.binary_cross_entropy_with_logits(logits, truth, reduction="sum") / POINTS
        dice = dice + dice_loss(logits, truth).sum()
        total += len(taken)
    return cross / max(total, 1), dice / max(total, 1)


def _landmark_losses(
    model: ConveyorInstances, raw: Raw, owner: Tensor, aim: Tensor, batch: Pictures
) -> tuple[Tensor, Tensor]:
    taken = owner >= 0
    if not taken.any():
        return raw.offsets.sum() * 0, raw.offsets.sum() * 0
    found = model.decode_keypoints(raw.offsets, raw.anchors).permute(0, 3, 1, 2)[taken]
    picture = taken.nonzero()[:, 0]
    rows = owner[taken]
    truth, boxes = batch.keypoints[picture, rows], batch.boxes[picture, rows]
    size = (boxes[:, 2:] - boxes[:, :2]).prod(1).sqrt()[:, None]
    weight = aim[taken][:, None] * (HIDDEN + (1 - HIDDEN) * truth[..., 2])
    apart = F.smooth_l1_loss(found[..., :2], truth[..., :2], reduction="none", beta=0.5).sum(-1) / size
    place = (apart * weight).sum() / weight.sum().clamp(min=1e-6)
    shown = F.binary_cross_entropy_with_logits(found[..., 2], truth[..., 2])
    return place, shown
