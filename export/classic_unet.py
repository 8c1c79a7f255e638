"""The U-Net of 2015 (Ronneberger, Fischer and Brox), with batch norms and padded convolutions as it is trained today.

The parameters bear the names that its most used PyTorch versions gave them (inc, down1 ... up4, outc, each of
double_conv), so that users' weights load as they are. Widths, depth, and how it grows (a transposed convolution, or
bilinear) follow from the tensors.
"""

from __future__ import annotations

from collections.abc import Mapping
from os import PathLike

import torch
from torch import Tensor, nn

from edgevision.errors import ModelFileError
from edgevision.export.weights import load_weights

__all__ = ["ClassicUnet", "classic_unet_of_weights", "is_classic_unet"]

_FIRST = "inc.double_conv.0.weight"
_LAST = "outc.conv.weight"


class DoubleConv(nn.Module):
    """Twice: a 3x3 convolution, batch norm, ReLU."""

    def __init__(self, inputs: int, middle: int, outputs: int, bias: bool) -> None:
        super().__init__()
        self.double_conv = nn.Sequential(
            nn.Conv2d(inputs, middle, 3, padding=1, bias=bias),
            nn.BatchNorm2d(middle),
            nn.ReLU(inplace=True),
            nn.Conv2d(middle, outputs, 3, padding=1, bias=bias),
            nn.BatchNorm2d(outputs),
            nn.ReLU(inplace=True),
        )

    def forward(self, x: Tensor) -> Tensor:
        return self.double_conv(x)


class Down(nn.Module):
    """Half the size by maxima, then a double convolution."""

    def __init__(self, inputs: int, middle: int, outputs: int, bias: bool) -> None:
        super().__init__()
        self.maxpool_conv = nn.Sequential(nn.MaxPool2d(2), DoubleConv(inputs, middle, outputs, bias))

    def forward(self, x: Tensor) -> Tensor:
        return self.maxpool_conv(x)


class Up(nn.Module):
    """Twice the size, beside the map of that size from the way down, then a double convolution."""

    def __init__(self, below: int, skip: int, middle: int, outputs: int, bias: bool, bilinear: bool) -> None:
        super().__init__()
        grown = below if bilinear else below // 2
        self.up = (
            nn.Upsample(scale_factor=2, mode="bilinear", align_corners=True)
            if bilinear
            else nn.ConvTranspose2d(below, grown, 2, stride=2)
        )
        self.conv = DoubleConv(skip + grown, middle, outputs, bias)

    def forward(self, x: Tensor, skip: Tensor) -> Tensor:
        return self.conv(torch.cat((skip, self.up(x)), dim=1))


class OutConv(nn.Module):
    """Logits of the classes."""

    def __init__(self, inputs: int, classes: int) -> None:
        super().__init__()
        self.conv = nn.Conv2d(inputs, classes, 1)

    def forward(self, x: Tensor) -> Tensor:
        return self.conv(x)


class ClassicUnet(nn.Module):
    """Images float32 (B, channels, H, W), sides multiples of 2 ** depth, to logits (B, classes, H, W).

    widths: channels at each level, the finest first: (64, 128, 256, 512, 1024) in the paper. With `bilinear` the deepest
        level has half of that, and each way up ends at half of the level's.
    bias: of the 3x3 convolutions.
    """

    def __init__(
        self,
        channels: int,
        classes: int,
        widths: tuple[int, ...] = (64, 128, 256, 512, 1024),
        *,
        bilinear: bool = False,
        bias: bool = False,
    ) -> None:
        super().__init__()
        self.channels, self.classes = channels, classes
        self.depth = len(widths) - 1
        if bilinear:
            widths = (*widths[:-1], widths[-1] // 2)
        self.inc = DoubleConv(channels, widths[0], widths[0], bias)
        for level in range(1, len(widths)):
            self.add_module(f"down{level}", Down(widths[level - 1], widths[level], widths[level], bias))
        below = widths[-1]
        for step in range(1, len(widths)):
            skip = widths[-1 - step]
            grown = below if bilinear else below // 2
            # Bilinear growing keeps the channels, so there the double convolution sheds them in two steps.
            finest = step == self.depth
            outputs = skip // 2 if bilinear and not finest else skip
            middle = (skip + grown) // 2 if bilinear else outputs
            self.add_module(f"up{step}", Up(below, skip, middle, outputs, bias, bilinear))
            below = outputs
        self.outc = OutConv(below, classes)

    def forward(self, images: Tensor) -> Tensor:
        maps = [self.inc(images)]
        for level in range(1, self.depth + 1):
            maps.append(self.get_submodule(f"down{level}")(maps[-1]))
        x = maps.pop()
        for step in range(1, self.depth + 1):
            x = self.get_submodule(f"up{step}")(x, maps.pop())
        return self.outc(x)


def is_classic_unet(weights: Mapping[str, Tensor]) -> bool:
    """Whether a state_dict bears the names of the classic U-Net, a wrapper's prefix before them or not."""
    return any(name == _FIRST or name.endswith(f".{_FIRST}") for name in weights)


def classic_unet_of_weights(weights: Mapping[str, Tensor], path: str | PathLike[str]) -> ClassicUnet:
    """The network that a state_dict fits, with its weights. Raises ModelFileError when they do not fit."""
    prefix = next(name for name in weights if name.endswith(_FIRST)).removesuffix(_FIRST)
    weights = {name.removeprefix(prefix): value for name, value in weights.items() if name.startswith(prefix)}
    if _LAST not in weights:
        raise ModelFileError(f"{path} has the names of a U-Net but no {_LAST}; export the whole network")
    widths = [int(weights[_FIRST].shape[0])]
    while (name := f"down{len(widths)}.maxpool_conv.1.double_conv.3.weight") in weights:
        widths.append(int(weights[name].shape[0]))
    bilinear = "up1.up.weight" not in weights
    if bilinear:
        widths[-1] *= 2
    network = ClassicUnet(
        int(weights[_FIRST].shape[1]),
        int(weights[_LAST].shape[0]),
        tuple(widths),
        bilinear=bilinear,
        bias="inc.double_conv.0.bias" in weights,
    )
    grows = "bilinear" if bilinear else "transposed convolutions"
    load_weights(network, weights, path, f"the U-Net of {network.depth} levels that grows by {grows}")
    return network.eval()
