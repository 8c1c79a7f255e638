"""The trained detector's weights, read from its ONNX file, to start other networks of the demo from."""

from __future__ import annotations

from pathlib import Path

import onnx
import torch
from onnx import numpy_helper
from torch import nn

from edgevision.demo.shipped import demo_model_path
from edgevision.errors import ModelFileError
from edgevision.export.conveyor_yolo import ConvBlock

__all__ = ["start_from_detector"]


@torch.no_grad()
def start_from_detector(model: nn.Module, names: tuple[str, ...], path: Path | None = None) -> None:
    """Copies the detector's weights into the children `names` of `model`, which are built and named as the detector's.

    names: dotted where a child lies deeper; its last part is the name of the detector's child.
    path: the detector's ONNX file; None for the shipped one. Its batch norms are folded into the convolutions, so the
    copied blocks get the bias as the shift of a norm that changes nothing else: keep those in evaluation mode.
    Raises ModelFileError when the file lacks a weight or holds one of another shape.
    """
    source = path or demo_model_path()
    weights = {item.name: item for item in onnx.load(source).graph.initializer}

    def copy(name: str, into: torch.Tensor) -> None:
        if name not in weights or tuple(weights[name].dims) != tuple(into.shape):
            got = tuple(weights[name].dims) if name in weights else "nothing"
            raise ModelFileError(
                f"{source}: {name} must be {tuple(into.shape)}, got {got}; pass the detector's file"
            )
        into.copy_(torch.from_numpy(numpy_helper.to_array(weights[name]).copy()))

    for child in names:
        folded = set()
        for name, module in model.get_submodule(child).named_modules(prefix=child.rpartition(".")[2]):
            if isinstance(module, ConvBlock):
                convolution, norm = module[0], module[1]
                copy(f"{name}.0.weight", convolution.weight)
                copy(f"{name}.0.weight_bias", norm.bias)
                norm.weight.fill_(1)
                norm.running_mean.zero_()
                norm.running_var.fill_(1 - norm.eps)
                folded.add(convolution)
            elif isinstance(module, nn.Conv2d) and module not in folded:
                copy(f"{name}.weight", module.weight)
                assert module.bias is not None  # only blocks with a norm have none
                copy(f"{name}.bias", module.bias)
