"""Random weights that behave like trained ones: no layer vanishes, explodes or stays at zero."""

from __future__ import annotations

import math
from collections.abc import Sequence

import torch

from edgevision.export.random_convolutions import leaves_images, measure_scale

__all__ = ["randomize"]

_FRAMES = 4
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
    agree with anything. Such parameters are drawn anew, batch norms divide by the scale that pictures bring them, and
    the layers named in `head` are scaled so that the logits spread by 2. size_hw: of the images it takes; example: what
    it takes instead of images.
    """
    generator = torch.Generator().manual_seed(seed)
    with torch.no_grad():
        for layer in module.modules():
            for name, parameter in layer.named_parameters(recurse=False):
                _draw(layer, name, parameter, generator)
        frames = example
        if frames is None:
            frames = (leaves_images(_FRAMES, (size_hw[0], size_hw[1]), seed) - 0.5) / 0.25
        module.eval()
        _settle_batch_norms(module, frames)
        for name in head:
            _scale_head(module, module.get_submodule(name), frames)
    return module


def _draw(layer: torch.nn.Module, name: str, parameter: torch.Tensor, generator: torch.Generator) -> None:
    """Draws every parameter but scalars, those that the library drew already too, so that they follow the seed."""
    shape = parameter.shape
    if parameter.ndim == 0:
        return
    if parameter.ndim == 1:
        # Weights of norms and layer scales, which multiply, lie around 1 whatever they start at; biases around 0.
        scales = name == "weight" or bool((parameter == parameter[0]).all() and parameter[0] != 0)
        noise = torch.rand(shape, generator=generator)
        parameter.copy_(0.8 + 0.4 * noise if scales else 0.4 * noise - 0.2)
    elif isinstance(layer, torch.nn.Embedding) or (parameter.ndim > 2 and shape[0] == 1):
        # Tokens, positions, tables: as large as what they are added to.
        parameter.copy_(0.5 * torch.randn(shape, generator=generator))
    else:
        # The variance of a signal survives the layer (He et al. 2015, for linear ones).
        fan_in = parameter[0].numel()
        parameter.copy_(torch.randn(shape, generator=generator) * math.sqrt(1.0 / fan_in))


def _settle_batch_norms(module: torch.nn.Module, frames: torch.Tensor) -> None:
    kinds = torch.nn.modules.batchnorm._BatchNorm
    norms = [layer for layer in module.modules() if isinstance(layer, kinds) and layer.track_running_stats]
    if not norms:
        return  # a module without them may take something other than images
    hooks = [layer.register_forward_pre_hook(measure_scale) for layer in norms]
    try:
        module(frames)
    finally:
        for hook in hooks:
            hook.remove()


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
