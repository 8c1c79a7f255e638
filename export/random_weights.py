"""Random weights that behave like trained ones: no layer vanishes, explodes or stays at zero."""

from __future__ import annotations

import math
from collections.abc import Sequence

import torch

from edgevision.export.reference_frames import reference_frames

__all__ = ["randomize"]

_LOGIT_SPREAD = 2.0
"""Standard deviation over the classes: the scores that trained classifiers give an unsure picture."""


def randomize(
    module: torch.nn.Module,
    size_hw: Sequence[int],
    *,
    seed: int = 0,
    head: Sequence[str] = (),
    example: torch.Tensor | None = None,
) -> torch.nn.Module:
    """`module`, its weights random by `seed` and its outputs of the size that trained ones have.

    Libraries start layers as identities (layer scales of 1e-6, batch norms of 0, heads of 0): exports of those would
    agree with anything. Such parameters are drawn anew, batch norms take their statistics from a forward pass, and
    the layers named in `head` are scaled so that the logits spread by 2. size_hw: of the images it takes; example: what
    it takes instead of images.
    """
    generator = torch.Generator().manual_seed(seed)
    with torch.no_grad():
        for layer in module.modules():
            for parameter in layer.parameters(recurse=False):
                _draw(layer, parameter, generator)
        frames = example
        if frames is None:
            frames = (torch.from_numpy(reference_frames(4, (size_hw[0], size_hw[1]), seed)) - 0.5) / 0.25
        module.eval()
        _settle_batch_norms(module, frames)
        for name in head:
            _scale_head(module, module.get_submodule(name), frames)
    return module


def _draw(layer: torch.nn.Module, parameter: torch.Tensor, generator: torch.Generator) -> None:
    """Draws a parameter whose library left it at one value; weights drawn already by the library are drawn too, so
    that they follow the seed."""
    shape = parameter.shape
    if parameter.ndim == 0:
        return
    if parameter.ndim == 1:
        # Norms' weights lie around 1, layer scales below; biases around 0.
        constant = bool((parameter == parameter[0]).all())
        if parameter is getattr(layer, "bias", None):
            parameter.copy_(0.1 * torch.randn(shape, generator=generator))
        elif constant:
            parameter.copy_(0.5 + torch.rand(shape, generator=generator))
        return
    fan_in = parameter[0].numel()
    if not isinstance(layer, (torch.nn.Linear, torch.nn.modules.conv._ConvNd)):
        # Tokens, positions, tables: as large as what they are added to.
        parameter.copy_(0.5 * torch.randn(shape, generator=generator))
        return
    parameter.copy_(torch.randn(shape, generator=generator) * math.sqrt(1.5 / fan_in))


def _settle_batch_norms(module: torch.nn.Module, frames: torch.Tensor) -> None:
    """Running statistics of the frames themselves, as training would have left them."""
    norms = [layer for layer in module.modules() if isinstance(layer, torch.nn.modules.batchnorm._BatchNorm)]
    if not norms:
        return
    momenta = [layer.momentum for layer in norms]
    for layer in norms:
        layer.momentum = 1.0
        layer.train()
    module(frames)
    for layer, momentum in zip(norms, momenta, strict=True):
        layer.momentum = momentum
        layer.eval()


def _scale_head(module: torch.nn.Module, head: torch.nn.Module, frames: torch.Tensor) -> None:
    seen: list[torch.Tensor] = []
    hook = head.register_forward_hook(lambda _layer, _inputs, output: seen.append(output))
    try:
        module(frames)
    finally:
        hook.remove()
    if not seen or not isinstance(head, (torch.nn.Linear, torch.nn.Conv2d)):
        return
    spread = float(seen[0].flatten(1).std())
    if spread > 0 and math.isfinite(spread):
        head.weight.mul_(_LOGIT_SPREAD / spread)
        if head.bias is not None:
            head.bias.mul_(_LOGIT_SPREAD / spread)
