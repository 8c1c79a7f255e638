"""Weights for networks that nobody trained: random, and yet with outputs that depend on the picture.

Layers as they are initialised to be trained often give outputs near zero, or the same whatever they see: an agreement
of two runtimes on such outputs proves nothing, and the time of a detector that detects nothing misleads.
"""

from __future__ import annotations

from typing import Any

import numpy as np
import torch
from torch import nn

__all__ = ["leaves_images", "measure_scale", "randomize_convolutions"]

_LAYERS = (nn.Conv2d, nn.ConvTranspose2d, nn.Linear)
_LEAVES = 120


def randomize_convolutions(module: nn.Module, images: torch.Tensor, seed: int = 0) -> None:
    """Give `module` random weights, reproducibly, under which the scale of a signal survives every layer.

    Convolutions and linear layers that can be trained keep the variance of what they are given (He et al. 2015), those
    that start at zero (residual branches, heads) included. Batch norms divide by the root mean square that the images
    bring them. They do not subtract the mean: in a deep random network that would magnify each rounding a little more
    with every layer (Yang et al. 2019, A mean field theory of batch normalization), until float16 agreed with nothing.
    The module is in evaluation mode afterwards.
    images: what the module takes, scaled as in use, such as `leaves_images`; small ones are quick.
    """
    hooks = []
    with torch.random.fork_rng(devices=[]), torch.no_grad():
        torch.manual_seed(seed)
        for layer in module.eval().modules():
            if isinstance(layer, _LAYERS) and layer.weight.requires_grad:
                nn.init.kaiming_normal_(layer.weight, nonlinearity="linear")
                if layer.bias is not None:
                    nn.init.normal_(layer.bias, 0.0, 0.1)
            elif isinstance(layer, nn.BatchNorm2d) and layer.track_running_stats:
                if layer.affine:
                    nn.init.uniform_(layer.weight, 0.8, 1.2)
                    nn.init.normal_(layer.bias, 0.0, 0.3)
                hooks.append(layer.register_forward_pre_hook(measure_scale))
        try:
            module(images)
        finally:
            for hook in hooks:
                hook.remove()


def leaves_images(count: int, size_hw: tuple[int, int], seed: int = 0) -> torch.Tensor:
    """Pictures float32 (count, 3, H, W), 0-1: rectangles of every size and colour, each over the ones before.

    Such "dead leaves" have the edges and the scales of photographs (Lee, Mumford and Huang 2001).
    """
    rng = np.random.default_rng(seed)
    pictures = rng.uniform(0.0, 1.0, (count, 3, 1, 1)) * np.ones((1, 1, *size_hw))
    for picture in pictures:
        for _ in range(_LEAVES):
            # Sides between a 64th of the picture and half of it, small ones as frequent as large ones on a log scale.
            height, width = (np.array(size_hw) * 2.0 ** rng.uniform(-6.0, -1.0, 2)).astype(int) + 1
            top, left = (rng.uniform(0.0, 1.0, 2) * size_hw).astype(int)
            picture[:, top : top + height, left : left + width] = rng.uniform(0.0, 1.0, (3, 1, 1))
    return torch.from_numpy(pictures.astype(np.float32))


def measure_scale(norm: Any, inputs: tuple[torch.Tensor, ...]) -> None:
    """A forward hook, before it: gives a batch norm the root mean square of its input to divide by, and no mean."""
    norm.running_mean.zero_()
    norm.running_var.fill_(float(inputs[0].square().mean()))
