"""YOLOX (Ge et al. 2021): the network of Megvii's checkpoints.

The parameters bear the names that those checkpoints use, so that they load as they are. The architecture is that of the
paper: a CSPDarknet backbone with a focus stem (Wang et al. 2020, CSPNet; Bochkovskiy et al. 2020, YOLOv4), a
path-aggregation neck (Liu et al. 2018, PANet), and a decoupled anchor-free head.
"""

from __future__ import annotations

import torch
from torch import Tensor, nn

__all__ = ["STRIDES", "Yolox"]

STRIDES = (8, 16, 32)


class BaseConv(nn.Module):
    """Convolution, batch norm, SiLU."""

    def __init__(self, inputs: int, outputs: int, kernel: int, stride: int = 1, groups: int = 1) -> None:
        super().__init__()
        self.conv = nn.Conv2d(inputs, outputs, kernel, stride, (kernel - 1) // 2, groups=groups, bias=False)
        self.bn = nn.BatchNorm2d(outputs, eps=1e-3, momentum=0.03)
        self.act = nn.SiLU()

    def forward(self, x: Tensor) -> Tensor:
        return self.act(self.bn(self.conv(x)))


class DepthwiseConv(nn.Module):
    """A convolution of each channel apart, then one of 1x1 across them."""

    def __init__(self, inputs: int, outputs: int, kernel: int, stride: int = 1) -> None:
        super().__init__()
        self.dconv = BaseConv(inputs, inputs, kernel, stride, groups=inputs)
        self.pconv = BaseConv(inputs, outputs, 1)

    def forward(self, x: Tensor) -> Tensor:
        return self.pconv(self.dconv(x))


def _conv3(inputs: int, outputs: int, stride: int, depthwise: bool) -> nn.Module:
    return (DepthwiseConv if depthwise else BaseConv)(inputs, outputs, 3, stride)


class Focus(nn.Module):
    """Each 2x2 block of pixels becomes one cell of four times the channels, then a convolution."""

    def __init__(self, inputs: int, outputs: int) -> None:
        super().__init__()
        self.conv = BaseConv(4 * inputs, outputs, 3)

    def forward(self, x: Tensor) -> Tensor:
        # The order of the checkpoints' channels: down the first column, then down the second.
        corners = [x[..., top::2, left::2] for left in (0, 1) for top in (0, 1)]
        return self.conv(torch.cat(corners, dim=1))


class Bottleneck(nn.Module):
    """1x1 and 3x3 convolutions, with a shortcut around both where asked."""

    def __init__(self, width: int, shortcut: bool, depthwise: bool) -> None:
        super().__init__()
        self.conv1 = BaseConv(width, width, 1)
        self.conv2 = _conv3(width, width, 1, depthwise)
        self.shortcut = shortcut

    def forward(self, x: Tensor) -> Tensor:
        found = self.conv2(self.conv1(x))
        return found + x if self.shortcut else found


class CSPLayer(nn.Module):
    """Cross-stage partial block: half of the channels go through bottlenecks, half around them."""

    def __init__(self, inputs: int, outputs: int, depth: int, shortcut: bool, depthwise: bool) -> None:
        super().__init__()
        half = outputs // 2
        self.conv1 = BaseConv(inputs, half, 1)
        self.conv2 = BaseConv(inputs, half, 1)
        self.conv3 = BaseConv(2 * half, outputs, 1)
        self.m = nn.Sequential(*(Bottleneck(half, shortcut, depthwise) for _ in range(depth)))

    def forward(self, x: Tensor) -> Tensor:
        return self.conv3(torch.cat((self.m(self.conv1(x)), self.conv2(x)), dim=1))


class SPPBottleneck(nn.Module):
    """Spatial pyramid pooling (He et al. 2015): maxima over 5, 9 and 13 cells beside the cell itself."""

    def __init__(self, width: int) -> None:
        super().__init__()
        self.conv1 = BaseConv(width, width // 2, 1)
        self.m = nn.ModuleList(nn.MaxPool2d(size, 1, size // 2) for size in (5, 9, 13))
        self.conv2 = BaseConv(2 * width, width, 1)

    def forward(self, x: Tensor) -> Tensor:
        x = self.conv1(x)
        return self.conv2(torch.cat((x, *(pool(x) for pool in self.m)), dim=1))


class CSPDarknet(nn.Module):
    """The backbone: feature maps at strides 8, 16 and 32."""

    def __init__(self, width: int, depth: int, depthwise: bool) -> None:
        super().__init__()

        def stage(inputs: int, blocks: int, *, last: bool = False) -> nn.Sequential:
            outputs = 2 * inputs
            down = _conv3(inputs, outputs, 2, depthwise)
            block = CSPLayer(outputs, outputs, blocks, not last, depthwise)
            return nn.Sequential(down, *([SPPBottleneck(outputs)] if last else []), block)

        self.stem = Focus(3, width)
        self.dark2 = stage(width, depth)
        self.dark3 = stage(2 * width, 3 * depth)
        self.dark4 = stage(4 * width, 3 * depth)
        self.dark5 = stage(8 * width, depth, last=True)

    def forward(self, x: Tensor) -> tuple[Tensor, Tensor, Tensor]:
        c3 = self.dark3(self.dark2(self.stem(x)))
        c4 = self.dark4(c3)
        return c3, c4, self.dark5(c4)


class Pafpn(nn.Module):
    """Backbone and neck: from the deepest level up to stride 8, and down again."""

    def __init__(self, width: int, depth: int, depthwise: bool) -> None:
        super().__init__()
        w3, w4, w5 = 4 * width, 8 * width, 16 * width
        self.backbone = CSPDarknet(width, depth, depthwise)
        self.upsample = nn.Upsample(scale_factor=2, mode="nearest")
        self.lateral_conv0 = BaseConv(w5, w4, 1)
        self.C3_p4 = CSPLayer(2 * w4, w4, depth, False, depthwise)
        self.reduce_conv1 = BaseConv(w4, w3, 1)
        self.C3_p3 = CSPLayer(2 * w3, w3, depth, False, depthwise)
        self.bu_conv2 = _conv3(w3, w3, 2, depthwise)
        self.C3_n3 = CSPLayer(2 * w3, w4, depth, False, depthwise)
        self.bu_conv1 = _conv3(w4, w4, 2, depthwise)
        self.C3_n4 = CSPLayer(2 * w4, w5, depth, False, depthwise)

    def forward(self, x: Tensor) -> tuple[Tensor, Tensor, Tensor]:
        c3, c4, c5 = self.backbone(x)
        top = self.lateral_conv0(c5)
        middle = self.reduce_conv1(self.C3_p4(torch.cat((self.upsample(top), c4), dim=1)))
        p3 = self.C3_p3(torch.cat((self.upsample(middle), c3), dim=1))
        p4 = self.C3_n3(torch.cat((self.bu_conv2(p3), middle), dim=1))
        return p3, p4, self.C3_n4(torch.cat((self.bu_conv1(p4), top), dim=1))


class DecoupledHead(nn.Module):
    """Class scores on one branch; box and objectness on another. One of each for every level."""

    def __init__(self, width: int, classes: int, depthwise: bool) -> None:
        super().__init__()
        hidden = 4 * width

        def branch() -> nn.Sequential:
            return nn.Sequential(*(_conv3(hidden, hidden, 1, depthwise) for _ in range(2)))

        self.cls_convs = nn.ModuleList(branch() for _ in STRIDES)
        self.reg_convs = nn.ModuleList(branch() for _ in STRIDES)
        self.cls_preds = nn.ModuleList(nn.Conv2d(hidden, classes, 1) for _ in STRIDES)
        self.reg_preds = nn.ModuleList(nn.Conv2d(hidden, 4, 1) for _ in STRIDES)
        self.obj_preds = nn.ModuleList(nn.Conv2d(hidden, 1, 1) for _ in STRIDES)
        self.stems = nn.ModuleList(BaseConv(level, hidden, 1) for level in (hidden, 2 * hidden, 4 * hidden))

    def forward(self, levels: tuple[Tensor, Tensor, Tensor]) -> Tensor:
        rows = []
        for i, level in enumerate(levels):
            x = self.stems[i](level)
            scores = self.cls_preds[i](self.cls_convs[i](x)).sigmoid()
            box_features = self.reg_convs[i](x)
            objectness = self.obj_preds[i](box_features).sigmoid()
            rows.append(torch.cat((self.reg_preds[i](box_features), objectness, scores), dim=1).flatten(2))
        return torch.cat(rows, dim=2).transpose(1, 2)


class Yolox(nn.Module):
    """The detector.

    Input: float32 (B, 3, H, W) BGR 0-255, H and W multiples of 32. Output: float32 (B, A, 5 + classes), a row a cell of
    strides 8, 16 and 32: box offsets and log sizes in cells, objectness and class scores 0-1 (decoder `yolox`).
    """

    def __init__(self, classes: int, width: int, depth: int, depthwise: bool = False) -> None:
        """width: channels of the stem (64 in YOLOX-L). depth: bottlenecks of a neck's block (3 in YOLOX-L)."""
        super().__init__()
        self.backbone = Pafpn(width, depth, depthwise)
        self.head = DecoupledHead(width, classes, depthwise)

    def forward(self, images: Tensor) -> Tensor:
        return self.head(self.backbone(images))
