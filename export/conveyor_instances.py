"""The conveyor detector with masks and landmarks: one network, the detector's trunk and heads, three heads more.

Masks are sums of prototypes that the whole picture shares, weighted by coefficients that each box brings (Bolya et al.
2019, YOLACT). The prototypes have half the input's resolution, and take the stem's fine maps for it: the wire of a
spring is three input pixels wide. Landmarks are offsets from the box's anchor point.
"""

from __future__ import annotations

from typing import NamedTuple

import torch
from torch import Tensor, nn

from edgevision.export.conveyor_yolo import ConvBlock, ConveyorYolo

__all__ = ["KEYPOINTS", "MASKS", "TRUNK", "ConveyorInstances", "Raw"]

MASKS = 24  # prototypes
KEYPOINTS = 4  # landmarks a part, see demo/landmarks.py
TRUNK = (
    "stem", "stage3", "stage4", "stage5", "lateral3", "lateral4", "lateral5",
    "down4", "down3", "shrink3", "shrink4", "up4", "up5", "heads",
)  # fmt: skip
"""What it has in common with the detector, by name."""


class Raw(NamedTuple):
    """What the heads say. sides, scores, anchors: see `ConveyorYolo.predict_raw`. coefficients: (B, MASKS, A).
    offsets: (B, KEYPOINTS * 3, A): x and y in strides from the anchor, the logit of showing. prototypes:
    (B, MASKS, H / 2, W / 2)."""

    sides: Tensor
    scores: Tensor
    anchors: Tensor
    coefficients: Tensor
    offsets: Tensor
    prototypes: Tensor


class Prototypes(nn.Module):
    """Prototypes at half the input's resolution, from maps at strides 8, 4 and 2."""

    def __init__(self, inputs: int, middle: int, fine: int) -> None:
        super().__init__()
        self.lift = ConvBlock(inputs, 40)
        self.join_middle = nn.Sequential(ConvBlock(40 + middle, 40), ConvBlock(40, 16, 1))
        self.join_fine = nn.Sequential(ConvBlock(16 + fine, 24), ConvBlock(24, 24), nn.Conv2d(24, MASKS, 1))
        self.grow = nn.Upsample(scale_factor=2, mode="nearest")

    def forward(self, coarse: Tensor, middle: Tensor, fine: Tensor) -> Tensor:
        x = self.join_middle(torch.cat((self.grow(self.lift(coarse)), middle), dim=1))
        return self.join_fine(torch.cat((self.grow(x), fine), dim=1))


class Details(nn.Module):
    """Mask coefficients and landmark offsets of one level."""

    def __init__(self, inputs: int) -> None:
        super().__init__()
        self.coefficients = nn.Sequential(ConvBlock(inputs, 32), ConvBlock(32, 32), nn.Conv2d(32, MASKS, 1))
        self.offsets = nn.Sequential(
            ConvBlock(inputs, 48), ConvBlock(48, 48), nn.Conv2d(48, KEYPOINTS * 3, 1)
        )

    def forward(self, x: Tensor) -> tuple[Tensor, Tensor]:
        return self.coefficients(x), self.offsets(x)


class ConveyorInstances(ConveyorYolo):
    """The network; `forward` is what is deployed, `predict_all` what is trained.

    Input of both: float32 (B, 3, H, W) RGB 0-1, H and W multiples of 32.
    """

    def __init__(self, classes: int, neck: int = 48, head: int = 40) -> None:
        super().__init__(classes, neck, head)
        self.prototypes = Prototypes(neck, 32, 16)
        self.details = nn.ModuleList(Details(neck) for _ in self.heads)

    def predict_all(self, images: Tensor) -> Raw:
        """Everything the heads say, undecoded."""
        fine = self.stem[0](images)
        middle = self.stem[2](self.stem[1](fine))
        levels = self.pyramid(self.stage3(middle))
        coefficients, offsets = zip(
            *(details(level) for details, level in zip(self.details, levels, strict=True)), strict=True
        )
        return Raw(
            *self.predict_levels(levels),
            torch.cat([part.flatten(2) for part in coefficients], dim=2),
            torch.cat([part.flatten(2) for part in offsets], dim=2),
            self.prototypes(levels[0], middle, fine),
        )

    def decode_keypoints(self, offsets: Tensor, anchors: Tensor) -> Tensor:
        """Landmarks (B, KEYPOINTS, 3, A): x, y in input pixels, then the logit of showing."""
        parts = offsets.unflatten(1, (KEYPOINTS, 3))
        places = parts[:, :, :2] * anchors[2] + anchors[:2]
        return torch.cat((places, parts[:, :, 2:]), dim=2)

    def forward(self, images: Tensor) -> tuple[Tensor, Tensor]:
        """Rows, float32 (B, 4 + classes + MASKS + KEYPOINTS * 3, A), and prototypes (B, MASKS, H / 2, W / 2).

        A row: cx, cy, w, h in pixels, scores 0-1, mask coefficients, then x, y in pixels and visibility 0-1 of each
        landmark. A mask is where the sum of prototypes times coefficients is above 0.
        """
        raw = self.predict_all(images)
        low, high = self.decode_boxes(raw.sides, raw.anchors).split(2, dim=1)
        keypoints = self.decode_keypoints(raw.offsets, raw.anchors)
        keypoints = torch.cat((keypoints[:, :, :2], keypoints[:, :, 2:].sigmoid()), dim=2).flatten(1, 2)
        rows = torch.cat(
            ((low + high) / 2, high - low, raw.scores.sigmoid(), raw.coefficients, keypoints), dim=1
        )
        return rows, raw.prototypes
