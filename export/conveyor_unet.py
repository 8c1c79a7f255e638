"""The conveyor's label map: a U-Net (Ronneberger et al. 2015) over the detector's trunk, and its loss.

The last step to the input's resolution is a rearrangement of channels (Shi et al. 2016, sub-pixel convolution): a
convolution at that resolution would cost as much as the rest of the decoder.
"""

from __future__ import annotations

import numpy as np
import numpy.typing as npt
import torch
from torch import Tensor, nn
from torch.nn import functional as F  # noqa: N812

from edgevision.export.conveyor_batch import Pictures, make_batch
from edgevision.export.conveyor_cache import Samples
from edgevision.export.conveyor_yolo import ConvBlock, PartialStage, PyramidPooling

__all__ = ["UNET_TRUNK", "ConveyorUnet", "make_unet_batch", "unet_loss"]

UNET_TRUNK = ("stem", "stage3", "stage4", "stage5")
"""What it has in common with the detector, by name."""
WHOLE = 0.25
"""Share of the batches that are whole pictures."""
BACKGROUND_WEIGHT = 0.1
"""Of a pixel of the belt, a part's having 1: nine of ten pixels are the belt's, and with equal weights thin parts are
given up before they are learned."""


class Up(nn.Module):
    """One step up: the deeper map at twice its size beside the encoder's of that size, two convolutions."""

    def __init__(self, below: int, skip: int, outputs: int) -> None:
        super().__init__()
        self.shrink = ConvBlock(below, outputs, 1)
        self.grow = nn.Upsample(scale_factor=2, mode="nearest")
        self.join = nn.Sequential(ConvBlock(outputs + skip, outputs), ConvBlock(outputs, outputs))

    def forward(self, below: Tensor, skip: Tensor) -> Tensor:
        return self.join(torch.cat((self.grow(self.shrink(below)), skip), dim=1))


class ConveyorUnet(nn.Module):
    """Class logits of every pixel. Input float32 (B, 3, H, W) RGB 0-1, H and W multiples of 32; output float32
    (B, classes, H, W)."""

    def __init__(self, classes: int) -> None:
        super().__init__()
        self.stem = nn.Sequential(ConvBlock(3, 16, 3, 2), ConvBlock(16, 32, 3, 2), PartialStage(32, 32, 1))
        self.stage3 = nn.Sequential(ConvBlock(32, 64, 3, 2), PartialStage(64, 64, 1))
        self.stage4 = nn.Sequential(ConvBlock(64, 96, 3, 2), PartialStage(96, 96, 2))
        self.stage5 = nn.Sequential(ConvBlock(96, 112, 3, 2), PartialStage(112, 112, 1), PyramidPooling(112))
        self.up4, self.up3 = Up(112, 96, 48), Up(48, 64, 48)
        self.up2, self.up1 = Up(48, 32, 32), Up(32, 16, 24)
        self.head = nn.Sequential(nn.Conv2d(24, classes * 4, 1), nn.PixelShuffle(2))

    def forward(self, images: Tensor) -> Tensor:
        c1 = self.stem[0](images)
        c2 = self.stem[2](self.stem[1](c1))
        c3 = self.stage3(c2)
        c4 = self.stage4(c3)
        x = self.up3(self.up4(self.stage5(c4), c4), c3)
        return self.head(self.up1(self.up2(x, c2), c1))


def make_unet_batch(samples: Samples, rows: npt.NDArray[np.integer], rng: np.random.Generator) -> Pictures:
    """The pictures `rows` of the cache, of most batches a random quarter each: it costs a quarter, and a network learns by
    the number of its steps. The other batches are every third picture, whole."""
    if rng.random() < WHOLE:
        return make_batch(samples, rows[: max(1, len(rows) // 3)], rng)
    pictures = make_batch(samples, rows, rng)
    height, width = (side // 2 for side in pictures.images.shape[2:])
    top, left = int(rng.integers(height + 1)), int(rng.integers(width + 1))
    lines, columns = slice(top, top + height), slice(left, left + width)
    return pictures._replace(
        images=pictures.images[..., lines, columns], owners=pictures.owners[..., lines, columns]
    )


def unet_loss(model: nn.Module, batch: Pictures) -> tuple[Tensor, dict[str, float]]:
    """The batch's loss, a scalar, and its parts for the log: weighted cross-entropy and the parts' mean Dice loss.

    Both are taken at every fourth pixel, one of each square of four, another one a batch: at every pixel they would cost
    as much as the network.
    """
    down, right = torch.randint(2, (2,)).tolist()
    logits = model(batch.images)[:, :, down::2, right::2].float()
    labels = batch.labels[:, down::2, right::2]
    log_shares = logits.log_softmax(1)
    weights = log_shares.new_ones(logits.shape[1])
    weights[0] = BACKGROUND_WEIGHT
    cross = F.nll_loss(log_shares, labels, weights)
    shares = log_shares.exp()
    right_ones = shares.gather(1, labels[:, None]).flatten()
    classes = logits.shape[1]
    common = 2 * right_ones.new_zeros(classes).index_add(0, labels.flatten(), right_ones)
    total = shares.sum((0, 2, 3)) + labels.flatten().bincount(minlength=classes)
    dice = (1 - (common + 1) / (total + 1))[1:].mean()
    return cross + dice, {"cross": cross.item(), "dice": dice.item()}
