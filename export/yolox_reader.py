"""Read the checkpoints of Megvii's YOLOX: nano, tiny, s, m, l, x, and widths and depths between."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from os import PathLike

import torch
from torch import nn

from edgevision.errors import InputError, ModelFileError
from edgevision.export.dynamic_size import size_axes
from edgevision.export.label_check import require_labels
from edgevision.export.network import Network, Part
from edgevision.export.random_convolutions import leaves_images, randomize_convolutions
from edgevision.export.weights import load_weights
from edgevision.export.yolox import STRIDES, Yolox
from edgevision.spec import Decoder, ImageInput, ModelSpec, Source, Thresholds

__all__ = ["YOLOX_NAMES", "is_yolox", "network_of_yolox", "random_yolox", "yolox_of_weights"]

# Depth and width of the paper's models relative to YOLOX-L (3 bottlenecks, 64 channels); nano's 3x3 are depthwise.
_SIZES: dict[str, tuple[int, int, bool]] = {
    "yolox-nano": (1, 16, True),
    "yolox-tiny": (1, 24, False),
    "yolox-s": (1, 32, False),
    "yolox-m": (2, 48, False),
    "yolox-l": (3, 64, False),
    "yolox-x": (4, 80, False),
}
YOLOX_NAMES = tuple(_SIZES)
_SMALL_INPUT = ("yolox-nano", "yolox-tiny")
_RANDOM_PICTURE_HW = (256, 256)
_STEM = "backbone.backbone.stem.conv.conv.weight"
_BLOCK = "backbone.C3_p4.m."
_CLASSES = "head.cls_preds.0.weight"
_DEPTHWISE = "backbone.bu_conv2.dconv.conv.weight"


def is_yolox(weights: Mapping[str, torch.Tensor]) -> bool:
    """Whether a state_dict bears the names of Megvii's YOLOX."""
    return _STEM in weights or f"module.{_STEM}" in weights


def yolox_of_weights(weights: Mapping[str, torch.Tensor], path: str | PathLike[str]) -> tuple[Yolox, str]:
    """The network that a state_dict fits, with its weights, and the name of its size.

    Width, depth and classes follow from the tensors' names and shapes. Raises ModelFileError when they do not fit.
    """
    weights = {name.removeprefix("module."): value for name, value in weights.items()}
    if _CLASSES not in weights or weights[_STEM].ndim != 4:
        raise ModelFileError(
            f"{path} has YOLOX's backbone without its head ({_CLASSES}); export the whole detector"
        )
    width = int(weights[_STEM].shape[0])
    depth = len({name.split(".")[3] for name in weights if name.startswith(_BLOCK)})
    depthwise = _DEPTHWISE in weights
    name = next((n for n, size in _SIZES.items() if size == (depth, width, depthwise)), "yolox")
    network = Yolox(int(weights[_CLASSES].shape[0]), width, depth, depthwise)
    load_weights(network, weights, path, f"YOLOX of depth {depth} and width {width}")
    return network, name


def random_yolox(name: str, labels: Sequence[str], seed: int = 0) -> Yolox:
    """A YOLOX of that size with random weights. Raises InputError for a name that is not in YOLOX_NAMES."""
    if name not in _SIZES:
        raise InputError(f"unknown YOLOX {name!r}; accepted: {', '.join(_SIZES)}")
    depth, width, depthwise = _SIZES[name]
    network = Yolox(len(labels), width, depth, depthwise)
    randomize_convolutions(network, 255 * leaves_images(2, _RANDOM_PICTURE_HW), seed)
    with torch.random.fork_rng(devices=[]), torch.no_grad():
        torch.manual_seed(seed)
        for prediction in network.head.obj_preds:
            # A score is the product with the class's, 0.5 or so: a few cells in a thousand hold an object.
            nn.init.normal_(prediction.bias, -3.0, 0.5)
        for prediction in network.head.reg_preds:
            prediction.weight.mul_(0.2)  # sizes are exponentials of what it says
    return network


def network_of_yolox(
    module: Yolox,
    name: str,
    labels: Sequence[str],
    *,
    source: Source,
    size_hw: tuple[int, int] | None = None,
    dynamic_batch: bool = False,
    dynamic_size: bool = False,
) -> Network:
    """The network and its spec: letterboxed into the top left corner, BGR, 0-255.

    size_hw: None takes what that size was published for, 416 or 640 pixels a side.
    dynamic_size: the input may be smaller, where a letterboxed frame leaves rows or columns unused.
    Raises InputError for a size off the stride, or a number of labels other than that of the classes.
    """
    side = 416 if name in _SMALL_INPUT else 640
    size_hw = size_hw or (side, side)
    if any(edge % STRIDES[-1] for edge in size_hw):
        raise InputError(f"size_hw must be multiples of the network's stride {STRIDES[-1]}, got {size_hw}")
    labels = require_labels(labels, name, module.head.cls_preds[0].out_channels)
    image = ImageInput(
        name="images",
        size_hw=size_hw,
        multiple=STRIDES[-1] if dynamic_size else 0,
        batch=None if dynamic_batch else 1,
        pad_placement="bottom_right",
        color="bgr",
        scale=1.0,
    )
    spec = ModelSpec(
        task="detect",
        inputs=(image,),
        decoder=Decoder(name="yolox", params={"decoded": False, "strides": STRIDES}),
        labels=labels,
        thresholds=Thresholds(iou=0.65),  # of its own evaluation
        source=source,
    )
    part = Part(
        module=module.eval(),
        example=(torch.zeros(1, 3, *size_hw),),
        inputs=("images",),
        outputs=("output",),
        dynamic=size_axes(image),
    )
    note = "YOLOX truncates the resized size to whole pixels, the spec rounds it: one pixel apart on some frames."
    return Network(spec=spec, parts=(part,), notes=(note,))
