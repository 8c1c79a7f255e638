"""Architectures of timm: their weights, their own preprocessing, their class names."""

from __future__ import annotations

import difflib
import fnmatch
import json
import math
from collections.abc import Mapping, Sequence
from functools import partial
from pathlib import Path
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray

from edgevision.errors import InputError, MissingDependencyError, ModelFileError
from edgevision.export.architecture import Architecture, build_module
from edgevision.export.preprocess import Preprocess, pillow_filter
from edgevision.spec import ImageInput
from edgevision.spec.files import read_small

__all__ = ["is_timm_name", "open_timm", "read_timm_config"]

_MAX_BYTES = 16 << 20  # of a config.json: it may name 21,000 classes and describe them

# Names of tensors -> the architectures that have them, the usual ones.
_LOOKALIKES: tuple[tuple[str, tuple[str, ...]], ...] = (
    (
        "layer1.0.conv1.weight",
        ("resnet18", "resnet34", "resnet50", "resnet101", "resnet152", "resnext50_32x4d"),
    ),
    (
        "blocks.0.attn.qkv.weight",
        ("vit_tiny_patch16_224", "vit_small_patch16_224", "vit_base_patch16_224", "vit_base_patch32_224")
        + ("vit_large_patch16_224", "deit_tiny_distilled_patch16_224", "deit_base_distilled_patch16_224")
        + ("vit_small_patch14_dinov2", "vit_base_patch14_dinov2", "test_vit"),
    ),
    (
        "stages.0.blocks.0.conv_dw.weight",
        ("convnext_tiny", "convnext_small", "convnext_base", "convnext_large"),
    ),
    ("blocks.0.0.conv_dw.weight", ("efficientnet_b[0-7]", "mobilenetv3_*_100", "mobilenetv2_100")),
)


def is_timm_name(name: str) -> bool:
    """Whether timm has an architecture of that name, with a tag of weights behind a dot or without."""
    return bool(_import().is_model(_plain(name)))


def open_timm(
    name: str, size_hw: tuple[int, int] | None = None, published: Mapping[str, Any] | None = None
) -> Architecture:
    """The architecture of that name ("resnet50", "resnet50.a1_in1k"), with its weights' preprocessing and class names.

    size_hw: None takes that of its weights. published: what is known of other weights (`read_timm_config`).
    Raises InputError for an unknown name, a size that does not fit, or preprocessing that a spec cannot express.
    """
    timm = _import()
    if not is_timm_name(name):
        near = difflib.get_close_matches(_plain(name), timm.list_models(), n=5)
        hint = f"; near: {', '.join(near)}" if near else ""
        raise InputError(f"timm has no architecture {name!r}{hint}")
    name = name.removeprefix("hf-hub:").removeprefix("timm/")
    published = _published(name) if published is None else published
    # Width, image size and the like, where a folder's weights are of a changed architecture.
    options = {
        k: v for k, v in published.get("model_args", {}).items() if k not in ("num_classes", "in_chans")
    }
    data = dict(timm.data.resolve_data_config({}, pretrained_cfg=published))
    if size_hw is not None:
        if published.get("fixed_input_size") and tuple(published["input_size"][1:]) != size_hw:
            options["img_size"] = size_hw
        data["input_size"] = (3, *size_hw)
    _check_data(name, data)
    return Architecture(
        library="timm",
        version=str(timm.__version__),
        name=name,
        classes=int(published.get("num_classes", 0)),
        build=partial(_build, name, options, int(published.get("num_classes", 0))),
        download=lambda: timm.create_model(name, pretrained=True, **options).eval(),
        image=_image_of(name, data),
        preprocess=_preprocess_of(data),
        labels=_labels_of(published),
        license=str(published.get("license") or ""),
        lookalikes=_lookalikes,
        build_other=lambda other: _build(other, {}, 1000, None),
    )


def read_timm_config(path: Path) -> tuple[str, dict[str, Any]]:
    """The architecture that a folder's config.json, as timm writes it, names, and what it says of its weights.

    Raises ModelFileError when the file is not timm's.
    """
    try:
        config = json.loads(read_small(path, _MAX_BYTES))
        architecture, known = str(config["architecture"]), dict(config["pretrained_cfg"])
    except (ValueError, KeyError, TypeError) as error:
        raise ModelFileError(f"{path} is not a configuration that timm wrote: {error!r}") from None
    for key in ("num_classes", "label_names", "label_descriptions"):
        if key in config:
            known[key] = config[key]
    return architecture, {
        **_published(architecture),
        **known,
        "model_args": dict(config.get("model_args") or {}),
    }


def _import() -> Any:
    try:
        import timm
    except ImportError:
        raise MissingDependencyError("timm", "export", "exporting a model of timm") from None
    return timm


def _plain(name: str) -> str:
    """The architecture's name alone: "timm/resnet50.a1_in1k" is "resnet50"."""
    return name.removeprefix("hf-hub:").removeprefix("timm/").partition(".")[0]


def _published(name: str) -> dict[str, Any]:
    """What timm knows of the weights that it publishes for an architecture."""
    timm = _import()
    try:
        found = timm.get_pretrained_cfg(name, allow_unregistered=False)
    except RuntimeError:
        found = None
    if found is None:
        tags = timm.list_pretrained(f"{_plain(name)}.*")
        raise InputError(
            f"timm publishes no weights {name!r}, so it does not say how they want their pictures; accepted: "
            f"{', '.join(tags) or 'other architectures'}"
        )
    return dict(found.to_dict())


def _build(name: str, options: dict[str, Any], own: int, classes: int | None) -> torch.nn.Module:
    count = own if classes is None else classes
    return build_module(_import().create_model, name, {"num_classes": count, **options})


def _lookalikes(names: Sequence[str]) -> list[str]:
    known = _import().list_models()
    for part, patterns in _LOOKALIKES:
        if any(name.endswith(part) for name in names):
            found = [name for pattern in patterns for name in fnmatch.filter(known, pattern)]
            return list(dict.fromkeys(found))
    return []


def _check_data(name: str, data: Mapping[str, Any]) -> None:
    height, width = data["input_size"][1:]
    if data["input_size"][0] != 3:
        raise InputError(f"{name} takes {data['input_size'][0]} channels; a spec has colour pictures of 3")
    whole = data["crop_pct"] == 1.0
    if data["crop_mode"] == "border" and not whole:
        raise InputError(
            f"{name} pads a picture to {1 / data['crop_pct']:.3f} of its input and crops it: no spec can"
        )
    if height != width and data["crop_mode"] == "center":
        raise InputError(
            f"{name}'s preprocessing crops a square, got the size {(height, width)}; give one side"
        )
    if height != width and data["crop_mode"] == "squash" and not whole:
        raise InputError(
            f"{name}'s preprocessing crops a square of a square, got the size {(height, width)}; give one side"
        )


def _image_of(name: str, data: Mapping[str, Any]) -> ImageInput:
    """The spec of timm's evaluation transform (timm.data.create_transform) for a data configuration."""
    height, width = data["input_size"][1:]
    scaled = math.floor(height / data["crop_pct"])
    mode, pad = "shortest_side_crop", (0.0, 0.0, 0.0)
    if data["crop_mode"] == "squash":
        mode = "stretch_crop" if scaled != height else "stretch"
    elif data["crop_mode"] == "border":
        mode = "letterbox"
        pad = tuple(float(round(255 * one)) for one in data["mean"])
    return ImageInput(
        size_hw=(height, width),
        resize=mode,
        resize_size=scaled if mode.endswith("crop") else None,
        filter=pillow_filter(data["interpolation"], f"timm's {name}"),
        pad_value=pad,
        mean=tuple(data["mean"]),
        std=tuple(data["std"]),
    )


def _preprocess_of(data: Mapping[str, Any]) -> Preprocess:
    from PIL import Image

    transform = _import().data.create_transform(**data, is_training=False)

    def preprocess(frame: NDArray[np.uint8]) -> NDArray[np.float32]:
        picture = Image.fromarray(np.ascontiguousarray(frame[:, :, ::-1]))
        return transform(picture)[None].numpy()

    return preprocess


def _labels_of(published: Mapping[str, Any]) -> tuple[str, ...]:
    """The class names in the configuration, described where it can, else those of the ImageNet set of that size."""
    names = published.get("label_names")
    if names:
        described = published.get("label_descriptions")
        if isinstance(described, Mapping):
            return tuple(str(described.get(name, name)) for name in names)
        return tuple(str(name) for name in described or names)
    data = _import().data
    subset = data.infer_imagenet_subset(dict(published))
    if subset is None:
        return ()
    return tuple(data.ImageNetInfo(subset).label_descriptions())
