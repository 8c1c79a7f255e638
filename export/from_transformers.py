"""Classifiers and embedders of transformers."""

from __future__ import annotations

from typing import Any

import torch

from edgevision.errors import InputError
from edgevision.export.architecture import ImageModel, find_head
from edgevision.export.labels import choose_labels
from edgevision.export.random_weights import randomize
from edgevision.export.transformers_checkpoint import Checkpoint, import_transformers, load_network

__all__ = ["read_transformers"]


def read_transformers(
    checkpoint: Checkpoint,
    *,
    labels: tuple[str, ...] | None = None,
    embed: bool | None = None,
    random: bool = False,
    seed: int = 0,
) -> ImageModel:
    """The classifier or the embedder in a checkpoint; embed None: what its configuration names.

    labels: None takes those of its configuration. Raises as `open_checkpoint` does.
    """
    transformers = import_transformers()
    config = checkpoint.config
    embeds = _is_embedder(config) if embed is None else embed
    kind = transformers.AutoModel if embeds else transformers.AutoModelForImageClassification
    if embeds and not random and not _is_embedder(config):
        raise InputError(
            f"{checkpoint.name} is a {', '.join(config.architectures)}, whose pooled features its weights do not hold; "
            f"export it to classify, or a checkpoint of the base model to embed"
        )
    network = load_network(checkpoint, kind, random=random)
    module = _Pooled(network) if embeds else _Logits(network)
    if random:
        head = [] if embeds else find_head(module, int(config.num_labels))[-1:]
        randomize(module, checkpoint.image.size_hw, seed=seed, head=head)
    _freeze_positions(module, checkpoint.image.size_hw)
    notes, names = (), ()
    if not embeds:
        known = _config_labels(config)
        names = choose_labels(labels, known, int(config.num_labels), f"{checkpoint.name}'s configuration")
        if names and not random and all(name == f"LABEL_{index}" for index, name in enumerate(names)):
            notes = (
                "Its configuration names the classes LABEL_0, LABEL_1, ...: pass --labels for better names.",
            )
    multi = getattr(config, "problem_type", None) == "multi_label_classification"
    return ImageModel(
        module=module,
        embeds=embeds,
        image=checkpoint.image,
        preprocess=checkpoint.preprocess,
        source=checkpoint.source,
        labels=names,
        activation="sigmoid" if multi else "softmax",
        notes=notes,
    )


class _Logits(torch.nn.Module):
    """Images to logits (B, classes)."""

    def __init__(self, network: torch.nn.Module) -> None:
        super().__init__()
        self.network = network

    def forward(self, images: torch.Tensor) -> torch.Tensor:
        return self.network(pixel_values=images).logits


class _Pooled(torch.nn.Module):
    """Images to the pooled output (B, D)."""

    def __init__(self, network: torch.nn.Module) -> None:
        super().__init__()
        self.network = network

    def forward(self, images: torch.Tensor) -> torch.Tensor:
        return self.network(pixel_values=images).pooler_output.flatten(1)


def _freeze_positions(module: torch.nn.Module, size_hw: tuple[int, int]) -> None:
    """Position embeddings at the size of the input, once and for all, where the network interpolates them to it.

    DINOv2 does, from 518 pixels to usually 224: the graph would carry the large ones, and a bicubic Resize.
    """
    for layer in module.modules():
        own = getattr(layer, "position_embeddings", None)
        if not isinstance(own, torch.nn.Parameter) or not type(layer).__name__.startswith("Dinov2"):
            continue
        patch = layer.patch_embeddings.patch_size
        count = (size_hw[0] // patch[0]) * (size_hw[1] // patch[1])
        # Only square ones are taken as they are; the others it would interpolate once more.
        if size_hw[0] == size_hw[1] and own.shape[1] != count + 1:
            with torch.no_grad():
                tokens = torch.zeros(1, count + 1, own.shape[2])
                fitted = layer.interpolate_pos_encoding(tokens, *size_hw)
            layer.position_embeddings = torch.nn.Parameter(fitted.contiguous(), requires_grad=False)


def _is_embedder(config: Any) -> bool:
    """Whether the checkpoint is of a base model, which gives pooled features; without weights, of a type made so."""
    names = getattr(config, "architectures", None) or []
    if names:
        return not any(
            name.endswith(("ForImageClassification", "ForImageClassificationWithTeacher")) for name in names
        )
    return str(config.model_type).startswith("dino")


def _config_labels(config: Any) -> tuple[str, ...]:
    by_id = {int(key): str(name) for key, name in (config.id2label or {}).items()}
    return tuple(by_id[index] for index in sorted(by_id))
