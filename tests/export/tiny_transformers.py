"""Tiny checkpoints of transformers, written as `save_pretrained` writes them, with weights that give real outputs."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest

torch = pytest.importorskip("torch", reason="torch is not installed")
transformers = pytest.importorskip("transformers", "5", reason="transformers 5 is not installed")

from edgevision.export.random_weights import randomize  # noqa: E402

ID2LABEL = {0: "ant", 1: "bee", 2: "cat"}
SIDE = 32
_VIT = {
    "hidden_size": 32,
    "num_hidden_layers": 2,
    "num_attention_heads": 2,
    "intermediate_size": 64,
    "image_size": SIDE,
    "patch_size": 8,
}
_SQUARE = {"height": SIDE, "width": SIDE}


def _processor(name: str, **settings: Any) -> Any:
    return getattr(transformers, f"{name}ImageProcessor")(**settings)


def build(kind: str) -> tuple[Any, Any]:
    """(model, image processor) of a kind below."""
    t = transformers
    if kind == "vit":
        config = t.ViTConfig(**_VIT, id2label=ID2LABEL)
        return t.ViTForImageClassification(config), _processor("ViT", size=_SQUARE)
    if kind == "deit":
        config = t.DeiTConfig(**_VIT, id2label=ID2LABEL)
        return t.DeiTForImageClassificationWithTeacher(config), _processor(
            "DeiT", size={"height": 37, "width": 37}, crop_size={"height": 32, "width": 32}
        )
    if kind == "dinov2":
        config = t.Dinov2Config(
            hidden_size=32, num_hidden_layers=2, num_attention_heads=2, image_size=56, patch_size=8
        )
        return t.Dinov2Model(config), _processor("Bit", size={"shortest_edge": 37}, crop_size=_SQUARE)
    if kind == "swin":
        config = t.SwinConfig(
            embed_dim=16, depths=[1, 1], num_heads=[1, 2], image_size=SIDE, patch_size=2, window_size=4,
            id2label=ID2LABEL,
        )  # fmt: skip
        return t.SwinForImageClassification(config), _processor("ViT", size=_SQUARE, resample=3)
    if kind == "resnet":
        config = t.ResNetConfig(embedding_size=8, hidden_sizes=[8, 16], depths=[1, 1], id2label=ID2LABEL)
        return t.ResNetForImageClassification(config), _processor("ConvNext", size={"shortest_edge": SIDE})
    if kind == "convnext at 384":
        config = t.ConvNextConfig(hidden_sizes=[8, 8], depths=[1, 1], num_stages=2, id2label=ID2LABEL)
        return t.ConvNextForImageClassification(config), _processor("ConvNext", size={"shortest_edge": 384})
    if kind == "efficientnet":
        config = t.EfficientNetConfig(
            width_coefficient=0.25, depth_coefficient=0.25, image_size=96, hidden_dim=320, id2label=ID2LABEL
        )
        return t.EfficientNetForImageClassification(config), _processor(
            "EfficientNet", size={"height": 96, "width": 96}, rescale_offset=True, rescale_factor=1 / 127.5
        )
    if kind == "mobilevit":
        config = t.MobileViTConfig(
            hidden_sizes=[16, 16, 24],
            neck_hidden_sizes=[8, 8, 8, 8, 8, 8, 16],
            image_size=64,
            id2label=ID2LABEL,
        )
        return t.MobileViTForImageClassification(config), _processor(
            "MobileViT", size={"shortest_edge": 72}, crop_size={"height": 64, "width": 64}
        )
    if kind == "levit":
        config = t.LevitConfig(
            hidden_sizes=[16, 16, 16], num_attention_heads=[1, 1, 1], depths=[1, 1, 1], key_dim=[8, 8, 8],
            image_size=64, id2label=ID2LABEL,
        )  # fmt: skip
        return t.LevitForImageClassification(config), _processor(
            "Levit", size={"shortest_edge": 63}, crop_size={"height": 64, "width": 64}
        )
    raise KeyError(kind)


KINDS = ("vit", "deit", "dinov2", "swin", "resnet", "convnext at 384", "efficientnet", "mobilevit", "levit")


def save(kind: str, folder: Path, seed: int = 0) -> Any:
    """The model in `folder`; the model itself, in evaluation mode."""
    transformers.logging.disable_progress_bar()
    torch.manual_seed(seed)
    model, processor = build(kind)
    side = model.config.image_size if kind in ("efficientnet", "mobilevit", "levit") else SIDE
    randomize(_Pixels(model), (side, side), seed=seed)
    model.save_pretrained(folder)
    processor.save_pretrained(folder)
    return model


class _Pixels(torch.nn.Module):
    def __init__(self, model: Any) -> None:
        super().__init__()
        self.model = model

    def forward(self, images: Any) -> Any:
        return self.model(pixel_values=images)
