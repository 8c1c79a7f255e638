"""The conveyor detector: a small anchor-free YOLO of our own, and the spec that goes with it.

Assembled from published parts: cross-stage partial blocks (Wang et al. 2020, CSPNet), spatial pyramid pooling (He et
al. 2015), a path-aggregation neck (Liu et al. 2018, PANet), a decoupled anchor-free head (Tian et al. 2019, FCOS; Ge
et al. 2021, YOLOX) that gives each box side as a distribution (Li et al. 2020, generalized focal loss).
"""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from typing import Any

import torch
from torch import Tensor, nn

from edgevision.errors import ModelFileError
from edgevision.export.conveyor_data import INPUT_HW
from edgevision.spec import Decoder, ImageInput, ModelSpec, Source, Thresholds

ARCHITECTURE = "conveyor_yolo"  # how export/yolo.py knows its checkpoints
STRIDES = (8, 16, 32)
BINS = 8  # a box side is 0 to BINS - 1 strides away from its anchor point
PRIOR = 0.01  # score of every class before training (Lin et al. 2017, focal loss, section 4.1)


class ConvBlock(nn.Sequential):
    """Convolution, batch norm, ReLU. ReLU because every runtime fuses it into the convolution."""

    def __init__(self, inputs: int, outputs: int, kernel: int = 3, stride: int = 1) -> None:
        super().__init__(
            nn.Conv2d(inputs, outputs, kernel, stride, kernel // 2, bias=False),
            nn.BatchNorm2d(outputs, eps=1e-3, momentum=0.03),
            nn.ReLU(inplace=True),
        )


class Residual(nn.Module):
    """Two 3x3 convolutions with a shortcut."""

    def __init__(self, width: int) -> None:
        super().__init__()
        self.body = nn.Sequential(ConvBlock(width, width), ConvBlock(width, width))

    def forward(self, x: Tensor) -> Tensor:
        return x + self.body(x)


class PartialStage(nn.Module):
    """Cross-stage partial block: half of the channels go through residual blocks, half around them."""

    def __init__(self, inputs: int, outputs: int, depth: int) -> None:
        super().__init__()
        half = outputs // 2
        self.around = ConvBlock(inputs, half, 1)
        self.through = nn.Sequential(ConvBlock(inputs, half, 1), *(Residual(half) for _ in range(depth)))
        self.merge = ConvBlock(2 * half, outputs, 1)

    def forward(self, x: Tensor) -> Tensor:
        return self.merge(torch.cat((self.through(x), self.around(x)), dim=1))


class PyramidPooling(nn.Module):
    """Maxima over 5, 9 and 13 cells beside the cell itself: three 5x5 poolings in a row see that far."""

    def __init__(self, width: int) -> None:
        super().__init__()
        self.squeeze = ConvBlock(width, width // 2, 1)
        self.pool = nn.MaxPool2d(5, stride=1, padding=2)
        self.merge = ConvBlock(2 * width, width, 1)

    def forward(self, x: Tensor) -> Tensor:
        levels = [self.squeeze(x)]
        for _ in range(3):
            levels.append(self.pool(levels[-1]))
        return self.merge(torch.cat(levels, dim=1))


class Head(nn.Module):
    """Box-side distributions (B, 4 * BINS, h, w) and class logits (B, classes, h, w) of one level."""

    def __init__(self, inputs: int, width: int, classes: int) -> None:
        super().__init__()
        self.box = nn.Sequential(
            ConvBlock(inputs, width), ConvBlock(width, width), nn.Conv2d(width, 4 * BINS, 1)
        )
        self.score = nn.Sequential(
            ConvBlock(inputs, width), ConvBlock(width, width, 1), nn.Conv2d(width, classes, 1)
        )
        nn.init.constant_(self.score[-1].bias, -math.log((1 - PRIOR) / PRIOR))
        nn.init.zeros_(self.box[-1].bias)

    def forward(self, x: Tensor) -> tuple[Tensor, Tensor]:
        return self.box(x), self.score(x)


class ConveyorYolo(nn.Module):
    """The detector; `forward` is what is deployed, `predict_raw` what is trained.

    Input of both: float32 (B, 3, H, W) RGB 0-1, H and W multiples of 32.
    """

    def __init__(self, classes: int, neck: int = 48, head: int = 40) -> None:
        super().__init__()
        self.classes = classes
        self.stem = nn.Sequential(ConvBlock(3, 16, 3, 2), ConvBlock(16, 32, 3, 2), PartialStage(32, 32, 1))
        self.stage3 = nn.Sequential(ConvBlock(32, 64, 3, 2), PartialStage(64, 64, 1))
        self.stage4 = nn.Sequential(ConvBlock(64, 96, 3, 2), PartialStage(96, 96, 2))
        self.stage5 = nn.Sequential(ConvBlock(96, 112, 3, 2), PartialStage(112, 112, 1), PyramidPooling(112))
        self.lateral3, self.lateral4, self.lateral5 = (ConvBlock(w, neck, 1) for w in (64, 96, 112))
        self.down4, self.down3 = PartialStage(2 * neck, neck, 1), PartialStage(2 * neck, neck, 1)
        self.shrink3, self.shrink4 = ConvBlock(neck, neck, 3, 2), ConvBlock(neck, neck, 3, 2)
        self.up4, self.up5 = PartialStage(2 * neck, neck, 1), PartialStage(2 * neck, neck, 1)
        self.grow = nn.Upsample(scale_factor=2, mode="nearest")
        self.heads = nn.ModuleList(Head(neck, head, classes) for _ in STRIDES)
        self.register_buffer("bins", torch.arange(BINS, dtype=torch.float32), persistent=False)

    def features(self, images: Tensor) -> tuple[Tensor, Tensor, Tensor]:
        """Feature maps at strides 8, 16 and 32."""
        return self.pyramid(self.stage3(self.stem(images)))

    def pyramid(self, c3: Tensor) -> tuple[Tensor, Tensor, Tensor]:
        """Feature maps at strides 8, 16 and 32 from what `stage3` gives."""
        c4 = self.stage4(c3)
        p5 = self.lateral5(self.stage5(c4))
        p4 = self.down4(torch.cat((self.grow(p5), self.lateral4(c4)), dim=1))
        p3 = self.down3(torch.cat((self.grow(p4), self.lateral3(c3)), dim=1))
        n4 = self.up4(torch.cat((self.shrink3(p3), p4), dim=1))
        n5 = self.up5(torch.cat((self.shrink4(n4), p5), dim=1))
        return p3, n4, n5

    def predict_raw(self, images: Tensor) -> tuple[Tensor, Tensor, Tensor]:
        """Box-side logits (B, 4, BINS, A), class logits (B, classes, A), anchors (3, A): x, y, stride in pixels."""
        return self.predict_levels(self.features(images))

    def predict_levels(self, levels: tuple[Tensor, Tensor, Tensor]) -> tuple[Tensor, Tensor, Tensor]:
        """As `predict_raw`, from the feature maps."""
        sides, scores, anchors = [], [], []
        for level, head, stride in zip(levels, self.heads, STRIDES, strict=True):
            box, score = head(level)
            sides.append(box.flatten(2))
            scores.append(score.flatten(2))
            anchors.append(anchor_points(level.shape[2], level.shape[3], stride, level.device))
        box_logits = torch.cat(sides, dim=2)
        return (
            box_logits.unflatten(1, (4, BINS)),
            torch.cat(scores, dim=2),
            torch.cat(anchors, dim=1),
        )

    def decode_boxes(self, side_logits: Tensor, anchors: Tensor) -> Tensor:
        """Boxes (B, 4, A) xyxy in input pixels: each side lies at the mean of its distribution."""
        sides = (side_logits.softmax(dim=2) * self.bins[:, None]).sum(dim=2) * anchors[2]
        points = anchors[:2]
        return torch.cat((points - sides[:, :2], points + sides[:, 2:]), dim=1)

    def forward(self, images: Tensor) -> Tensor:
        """Detections before suppression, float32 (B, 4 + classes, A): cx, cy, w, h in pixels, then scores 0-1."""
        side_logits, class_logits, anchors = self.predict_raw(images)
        low, high = self.decode_boxes(side_logits, anchors).split(2, dim=1)
        return torch.cat(((low + high) / 2, high - low, class_logits.sigmoid()), dim=1)


def anchor_points(height: int, width: int, stride: int, device: torch.device) -> Tensor:
    """Centres of a level's cells, float32 (3, height * width): x, y, stride, input pixels, row by row."""
    y, x = torch.meshgrid(
        torch.arange(height, device=device), torch.arange(width, device=device), indexing="ij"
    )
    centres = (torch.stack((x.flatten(), y.flatten())).float() + 0.5) * stride
    return torch.cat((centres, torch.full_like(centres[:1], float(stride))))


def checkpoint_of(model: ConveyorYolo, labels: Sequence[str]) -> dict[str, Any]:
    """What `torch.save` keeps of a trained detector: plain data, readable with weights_only=True."""
    return {
        "architecture": ARCHITECTURE,
        "labels": list(labels),
        "state_dict": {name: value.cpu() for name, value in model.state_dict().items()},
    }


def module_from_checkpoint(checkpoint: Mapping[str, Any]) -> ConveyorYolo:
    """The detector that `checkpoint_of` described, in evaluation mode.

    Raises ModelFileError when its weights are not this network's.
    """
    model = ConveyorYolo(len(checkpoint["labels"]))
    try:
        model.load_state_dict(checkpoint["state_dict"])
    except (KeyError, RuntimeError) as error:
        raise ModelFileError(f"the weights are not those of {ARCHITECTURE}: {error}") from None
    return model.eval()


def conveyor_spec(labels: Sequence[str], size_hw: tuple[int, int] | None = None) -> ModelSpec:
    """The spec of the detector: letterboxed RGB, 0-1, at INPUT_HW unless another size is given."""
    return ModelSpec(
        task="detect",
        inputs=(ImageInput(name="images", size_hw=size_hw or INPUT_HW),),
        decoder=Decoder(name="yolo"),
        labels=tuple(labels),
        # On scenes of neither training nor evaluation: 0.5 drops second boxes and loses no part, 0.7 keeps some.
        thresholds=Thresholds(iou=0.5),
        source=Source(
            framework="torch",
            framework_version=torch.__version__.split("+")[0],
            model=ARCHITECTURE,
            license="Apache-2.0",
            description="Parts on the synthetic conveyor of edgevision.demo",
        ),
    )
