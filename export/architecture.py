"""What the classifiers' libraries have in common: an architecture that can be built, and a model that was."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import torch

from edgevision.errors import InputError
from edgevision.export.preprocess import Preprocess
from edgevision.spec import ImageInput, Source

__all__ = ["Architecture", "ImageModel", "build_module", "find_head", "remove_head"]


@dataclass(frozen=True, slots=True, eq=False, kw_only=True)
class ImageModel:
    """A model of one image, ready to be described by a spec.

    module:     float32, in evaluation mode: images (B, 3, H, W) to logits (B, classes) or embeddings (B, D).
    embeds:     it gives embeddings.
    image:      its preprocessing; preprocess: the same as its library does it.
    labels:     class names by class id; empty where none are known.
    activation: of the logits: "softmax", or "sigmoid" where each class is its own question.
    notes:      what a report should say of it.
    """

    module: torch.nn.Module
    embeds: bool
    image: ImageInput
    preprocess: Preprocess
    source: Source
    labels: tuple[str, ...] = ()
    activation: str = "softmax"
    notes: tuple[str, ...] = ()


@dataclass(frozen=True, slots=True, eq=False, kw_only=True)
class Architecture:
    """A network of torchvision or timm by name, and what its library says of it.

    library, version, name: where it comes from.
    classes:    of its published weights; 0: it has no classifier.
    build:      (classes or None for its own number) to an untrained module.
    download:   the module with its published weights; raises whatever the library raises without a network.
    image, preprocess: of its published weights.
    labels:     class names of its published weights.
    license:    of its published weights; empty: not said.
    lookalikes: (state_dict's names) to the architectures that a state_dict with them may be of, likely ones first;
        build_other: (name) to such a module, its head aside.
    """

    library: str
    version: str
    name: str
    classes: int
    build: Callable[[int | None], torch.nn.Module]
    download: Callable[[], torch.nn.Module]
    image: ImageInput
    preprocess: Preprocess
    labels: tuple[str, ...]
    license: str
    lookalikes: Callable[[Sequence[str]], list[str]]
    build_other: Callable[[str], torch.nn.Module]


def build_module(
    build: Callable[..., torch.nn.Module], name: str, options: Mapping[str, Any]
) -> torch.nn.Module:
    """What a library's function builds of a name and options; InputError when they do not go together."""
    try:
        return build(name, **options).eval()
    except (
        AssertionError,
        RuntimeError,
        TypeError,
        ValueError,
    ) as error:  # as its layers' constructors raise
        given = ", ".join(f"{key}={value}" for key, value in options.items()) or "its defaults"
        first = (str(error).strip().splitlines() or [type(error).__name__])[0]
        raise InputError(f"{name} cannot be built with {given}: {first}") from None


def find_head(module: torch.nn.Module, classes: int) -> list[str]:
    """The names of the layers that give one value a class: linear ones, or a 1x1 convolution (SqueezeNet)."""
    names = []
    for name, layer in module.named_modules():
        width = getattr(layer, "out_features", getattr(layer, "out_channels", None))
        if isinstance(layer, (torch.nn.Linear, torch.nn.Conv2d)) and width == classes:
            names.append(name)
    return names


def remove_head(module: torch.nn.Module, classes: int) -> torch.nn.Module:
    """`module` giving what its last layer was given: its embedding of the image."""
    for name in find_head(module, classes):
        parent, _, leaf = name.rpartition(".")
        setattr(module.get_submodule(parent), leaf, torch.nn.Identity())
    return module
