"""Which part a crop shows: a small residual network and a small vision transformer, and their loss."""

from __future__ import annotations

from typing import NamedTuple

import numpy as np
import numpy.typing as npt
import torch
from torch import Tensor, nn
from torch.nn import functional as F  # noqa: N812

from edgevision.export.conveyor_batch import to_input, vary_colour
from edgevision.export.conveyor_cache import Crops
from edgevision.export.conveyor_data import CROP_HW
from edgevision.export.conveyor_yolo import ConvBlock

__all__ = [
    "ConveyorResnet",
    "ConveyorVit",
    "CropBatch",
    "EncoderBlock",
    "VitWithFeatures",
    "attend",
    "classifier_loss",
    "make_crop_batch",
]

SMOOTHING = 0.05  # of the labels (Szegedy et al. 2016)


class CropBatch(NamedTuple):
    """images: float32 (B, 3, h, w) RGB 0-1. classes: int64 (B,)."""

    images: Tensor
    classes: Tensor


class BasicBlock(nn.Module):
    """Two 3x3 convolutions about a shortcut (He et al. 2016), projected where the shape changes."""

    def __init__(self, inputs: int, outputs: int, stride: int) -> None:
        super().__init__()
        self.first = ConvBlock(inputs, outputs, 3, stride)
        self.second = nn.Sequential(
            nn.Conv2d(outputs, outputs, 3, padding=1, bias=False), nn.BatchNorm2d(outputs)
        )
        self.shortcut = (
            nn.Identity()
            if inputs == outputs and stride == 1
            else nn.Sequential(nn.Conv2d(inputs, outputs, 1, stride, bias=False), nn.BatchNorm2d(outputs))
        )

    def forward(self, x: Tensor) -> Tensor:
        return F.relu(self.second(self.first(x)) + self.shortcut(x))


class ConveyorResnet(nn.Module):
    """Class logits, float32 (B, classes), from float32 (B, 3, 64, 64) RGB 0-1: three stages of two basic blocks."""

    def __init__(self, classes: int, widths: tuple[int, int, int] = (16, 32, 64)) -> None:
        super().__init__()
        self.stem = ConvBlock(3, widths[0], 3, 2)
        blocks: list[nn.Module] = []
        inputs = widths[0]
        for width in widths:
            blocks += [BasicBlock(inputs, width, 1 if width == inputs else 2), BasicBlock(width, width, 1)]
            inputs = width
        self.stages = nn.Sequential(*blocks)
        self.head = nn.Linear(inputs, classes)

    def forward(self, images: Tensor) -> Tensor:
        return self.head(self.stages(self.stem(images)).mean((2, 3)))


def attend(q: Tensor, k: Tensor, v: Tensor) -> Tensor:
    """Attention of queries to keys and values, (..., tokens, width), written out.

    PyTorch's own kernel takes several times as long on the CPU for the few tokens and narrow heads of these networks.
    """
    return ((q * q.shape[-1] ** -0.5) @ k.transpose(-2, -1)).softmax(-1) @ v


class EncoderBlock(nn.Module):
    """Self-attention and a two-layer perceptron, each after a norm and about a shortcut (Xiong et al. 2020)."""

    def __init__(self, width: int, heads: int, ratio: int = 4) -> None:
        super().__init__()
        self.heads = heads
        self.norm1, self.norm2 = nn.LayerNorm(width), nn.LayerNorm(width)
        self.qkv, self.merge = nn.Linear(width, 3 * width), nn.Linear(width, width)
        self.mlp = nn.Sequential(nn.Linear(width, ratio * width), nn.GELU(), nn.Linear(ratio * width, width))

    def forward(self, x: Tensor) -> Tensor:
        batch, tokens, width = x.shape
        qkv = self.qkv(self.norm1(x)).view(batch, tokens, 3, self.heads, width // self.heads)
        q, k, v = qkv.permute(2, 0, 3, 1, 4).unbind(0)
        mixed = attend(q, k, v).transpose(1, 2).reshape(batch, tokens, width)
        x = x + self.merge(mixed)
        return x + self.mlp(self.norm2(x))


class ConveyorVit(nn.Module):
    """Class logits, float32 (B, classes), from float32 (B, 3, 64, 64) RGB 0-1.

    A vision transformer (Dosovitskiy et al. 2021) of 8x8 patches, which three convolutions make into tokens instead of
    one: it learns in a tenth of the time (Xiao et al. 2021). The class comes from the mean of the tokens.
    """

    def __init__(self, classes: int, width: int = 80, depth: int = 4, heads: int = 4) -> None:
        super().__init__()
        self.patches = nn.Sequential(
            ConvBlock(3, width // 4, 3, 2),
            ConvBlock(width // 4, width // 2, 3, 2),
            nn.Conv2d(width // 2, width, 3, 2, 1),
        )
        self.places = nn.Parameter(torch.empty(1, (CROP_HW[0] // 8) * (CROP_HW[1] // 8), width))
        nn.init.trunc_normal_(self.places, std=0.02)
        self.blocks = nn.Sequential(*(EncoderBlock(width, heads) for _ in range(depth)))
        self.norm = nn.LayerNorm(width)
        self.head = nn.Linear(width, classes)

    def features(self, images: Tensor) -> Tensor:
        """What the class is read from, float32 (B, width)."""
        tokens = self.patches(images).flatten(2).transpose(1, 2) + self.places
        return self.norm(self.blocks(tokens)).mean(1)

    def forward(self, images: Tensor) -> Tensor:
        return self.head(self.features(images))


class VitWithFeatures(nn.Module):
    """The vision transformer as it is deployed: logits (B, classes), and the features (B, width) to compare parts by."""

    def __init__(self, vit: ConveyorVit) -> None:
        super().__init__()
        self.vit = vit

    def forward(self, images: Tensor) -> tuple[Tensor, Tensor]:
        features = self.vit.features(images)
        return self.vit.head(features), features


def make_crop_batch(crops: Crops, rows: npt.NDArray[np.integer], rng: np.random.Generator) -> CropBatch:
    """The crops `rows` of the cache, each in one of the square's eight positions and in slightly other colours."""
    images = np.empty((len(rows), 3, *crops.images.shape[1:3]), np.float32)
    for out, picture in zip(images, to_input(crops.images[rows]), strict=True):
        turned = np.rot90(picture, rng.integers(4), axes=(1, 2))
        if rng.random() < 0.5:
            turned = turned[:, :, ::-1]
        np.multiply(turned, vary_colour(rng)[::-1, None, None], out=out)
    return CropBatch(torch.from_numpy(images).clamp_(0, 1), torch.from_numpy(crops.classes[rows]))


def classifier_loss(model: nn.Module, batch: CropBatch) -> tuple[Tensor, dict[str, float]]:
    """The batch's loss, a scalar, and its parts for the log."""
    logits = model(batch.images).float()
    loss = F.cross_entropy(logits, batch.classes, label_smoothing=SMOOTHING)
    right = (logits.argmax(1) == batch.classes).float().mean()
    return loss, {"cross": loss.item(), "right": right.item()}
