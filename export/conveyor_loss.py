"""Which anchor answers for which object, and what its mistakes cost.

Task-aligned assignment (Feng et al. 2021, TOOD): an object goes to the anchors that already score and localise it
best. Costs: binary cross-entropy towards the alignment, complete-IoU loss (Zheng et al. 2020) and distribution focal
loss (Li et al. 2020).
"""

from __future__ import annotations

import torch
from torch import Tensor
from torch.nn import functional as F  # noqa: N812

from edgevision.export.conveyor_batch import Pictures, Targets
from edgevision.export.conveyor_yolo import BINS, ConveyorYolo

SCORE_POWER, IOU_POWER = 1.0, 6.0  # alpha and beta of TOOD
CANDIDATES = 10  # anchors an object may have
BOX_WEIGHT, SCORE_WEIGHT, SIDE_WEIGHT = 5.0, 1.0, 1.0


def box_iou(a: Tensor, b: Tensor) -> Tensor:
    """Intersection over union of boxes (..., 4) xyxy that broadcast against each other, 0-1."""
    low, high = torch.maximum(a[..., :2], b[..., :2]), torch.minimum(a[..., 2:], b[..., 2:])
    common = (high - low).clamp(min=0).prod(-1)
    area_a, area_b = (a[..., 2:] - a[..., :2]).prod(-1), (b[..., 2:] - b[..., :2]).prod(-1)
    return common / (area_a + area_b - common + 1e-7)


def complete_iou(a: Tensor, b: Tensor) -> Tensor:
    """IoU less the penalties for distant centres and differing shapes (complete IoU), (...); 1 is perfect."""
    iou = box_iou(a, b)
    hull = torch.maximum(a[..., 2:], b[..., 2:]) - torch.minimum(a[..., :2], b[..., :2])
    apart = ((a[..., :2] + a[..., 2:] - b[..., :2] - b[..., 2:]) / 2).square().sum(-1)
    distance = apart / (hull.square().sum(-1) + 1e-7)
    size_a, size_b = (a[..., 2:] - a[..., :2]).clamp(min=1e-3), (b[..., 2:] - b[..., :2]).clamp(min=1e-3)
    angle = torch.atan(size_a[..., 0] / size_a[..., 1]) - torch.atan(size_b[..., 0] / size_b[..., 1])
    shape = 4 / torch.pi**2 * angle.square()
    with torch.no_grad():
        trade = shape / (1 - iou + shape + 1e-7)
    return iou - distance - trade * shape


def points_inside(points: Tensor, boxes: Tensor, reach: Tensor) -> Tensor:
    """Whether each point (2, A) lies inside each box (B, M, 4) grown to at least `reach` (A,) from its centre."""
    centre, half = (boxes[..., :2] + boxes[..., 2:]) / 2, (boxes[..., 2:] - boxes[..., :2]) / 2
    away = (points.T - centre[:, :, None]).abs()
    return (away < torch.maximum(half[:, :, None], reach[:, None])).all(-1)


@torch.no_grad()
def assign(boxes: Tensor, scores: Tensor, anchors: Tensor, targets: Targets) -> tuple[Tensor, Tensor, Tensor]:
    """The object of each anchor, int64 (B, A), -1 for none; its aimed score, (B, A), 0-1; anchors to leave out.

    boxes: (B, A, 4) predicted, xyxy. scores: (B, A, classes), 0-1.
    """
    points, reach = anchors[:2], anchors[2] * 0.75
    of_class = scores.gather(2, targets.classes[:, None].expand(-1, scores.shape[1], -1)).transpose(1, 2)
    inside = points_inside(points, targets.boxes, reach)
    iou = box_iou(targets.boxes[:, :, None], boxes[:, None])
    candidate = inside & targets.counted[..., None]
    alignment = of_class.pow(SCORE_POWER) * iou.pow(IOU_POWER)
    # The small term lets an object without any overlap yet still take its nearest anchors.
    ranked = torch.where(candidate, alignment + 1e-12 * (1 + iou), torch.zeros_like(alignment))
    best = ranked.topk(min(CANDIDATES, ranked.shape[2]), dim=2)
    chosen = torch.zeros_like(candidate).scatter(2, best.indices, best.values > 0)
    # An anchor wanted by several objects goes to the one it overlaps most.
    overlap = torch.where(chosen, iou + 1e-9, torch.zeros_like(iou))
    strongest, owner = overlap.max(dim=1)
    taken = strongest > 0
    owner = torch.where(taken, owner, torch.full_like(owner, -1))
    mine = chosen & (owner[:, None] == torch.arange(iou.shape[1], device=iou.device)[:, None])
    alignment, iou = alignment * mine, iou * mine
    scale = iou.amax(2, keepdim=True) / (alignment.amax(2, keepdim=True) + 1e-12)
    aim = (alignment * scale).amax(1)
    left_out = (inside & targets.ignored[..., None]).any(1) & ~taken
    return owner, aim, left_out


def conveyor_loss(model: ConveyorYolo, images: Tensor, targets: Targets) -> tuple[Tensor, dict[str, float]]:
    """The batch's loss, a scalar, and its parts for the log."""
    side_logits, class_logits, anchors = (part.float() for part in model.predict_raw(images))
    boxes = model.decode_boxes(side_logits, anchors).transpose(1, 2)
    logits = class_logits.transpose(1, 2)
    owner, aim, left_out = assign(boxes.detach(), logits.detach().sigmoid(), anchors, targets)
    taken = owner >= 0
    row = owner.clamp(min=0)
    classes = targets.classes.gather(1, row)
    aims = F.one_hot(classes, logits.shape[2]) * aim[..., None] * taken[..., None]
    total = aims.sum().clamp(min=1)
    per_anchor = F.binary_cross_entropy_with_logits(logits, aims, reduction="none").sum(-1)
    score_loss = (per_anchor * ~left_out).sum() / total
    weight = aim[taken]
    aimed = targets.boxes.gather(1, row[..., None].expand(-1, -1, 4))[taken]
    box_loss = ((1 - complete_iou(boxes[taken], aimed)) * weight).sum() / total
    where = anchors.T.expand(len(images), -1, -1)[taken]
    sides = torch.cat((where[:, :2] - aimed[:, :2], aimed[:, 2:] - where[:, :2]), dim=1) / where[:, 2:]
    side_loss = (distribution_loss(side_logits.permute(0, 3, 1, 2)[taken], sides) * weight).sum() / total
    loss = SCORE_WEIGHT * score_loss + BOX_WEIGHT * box_loss + SIDE_WEIGHT * side_loss
    parts = {"score": score_loss.item(), "box": box_loss.item(), "side": side_loss.item()}
    return loss, parts


def detector_loss(model: ConveyorYolo, batch: Pictures) -> tuple[Tensor, dict[str, float]]:
    """`conveyor_loss` of a batch of pictures."""
    return conveyor_loss(model, batch.images, batch.targets)


def distribution_loss(logits: Tensor, sides: Tensor) -> Tensor:
    """Cross-entropy towards the two bins around each side, (N,), from logits (N, 4, BINS) and sides (N, 4)."""
    aim = sides.clamp(0, BINS - 1.01)
    low = aim.floor().long()
    share = aim - low
    log_p = logits.log_softmax(-1)
    near = log_p.gather(2, low[..., None])[..., 0] * (1 - share)
    far = log_p.gather(2, low[..., None] + 1)[..., 0] * share
    return -(near + far).mean(-1)
