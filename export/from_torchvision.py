"""Architectures of torchvision: their weights, their own preprocessing, their class names."""

from __future__ import annotations

import difflib
import fnmatch
import re
from collections.abc import Sequence
from functools import partial
from pathlib import Path
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray

from edgevision.errors import InputError, MissingDependencyError
from edgevision.export.architecture import Architecture, build_module
from edgevision.export.preprocess import Preprocess, pillow_filter
from edgevision.spec import ImageInput
from edgevision.spec.files import file_sha256

__all__ = ["find_release", "is_torchvision_name", "open_torchvision"]

# Names of tensors -> the architectures that have them, smallest first.
_LOOKALIKES: tuple[tuple[str, tuple[str, ...]], ...] = (
    ("layer1.0.conv1.weight", ("resnet18", "resnet34", "resnet50", "resnet*", "resnext*", "wide_resnet*")),
    ("class_token", ("vit_*",)),
    ("features.0.0.weight", ("mobilenet*", "efficientnet*", "convnext*")),
    ("features.denseblock1.denselayer1.conv1.weight", ("densenet*",)),
    ("features.0.weight", ("vgg*", "alexnet", "squeezenet*")),
)


def is_torchvision_name(name: str) -> bool:
    """Whether torchvision has a classifier of that name."""
    return name.lower() in _list_names()


def open_torchvision(
    name: str, size_hw: tuple[int, int] | None = None, release: str | None = None
) -> Architecture:
    """The classifier of that name, with the preprocessing and class names of its default weights.

    size_hw: None takes that of its weights; another scales the resize before the crop alike. Square.
    release: the name of other published weights, e.g. "IMAGENET1K_V1".
    Raises InputError for an unknown name or release, or a size that is not square.
    """
    torchvision = _import()
    if not is_torchvision_name(name):
        near = difflib.get_close_matches(name, _list_names(), n=5)
        hint = f"; near: {', '.join(near)}" if near else ""
        raise InputError(f"torchvision has no classifier {name!r}{hint}")
    name = name.lower()
    releases = torchvision.models.get_model_weights(name)
    if release is not None and release not in releases.__members__:
        raise InputError(f"{name} has no weights {release!r}; accepted: {', '.join(releases.__members__)}")
    weights = releases[release] if release is not None else releases.DEFAULT
    preset = weights.transforms()
    if size_hw is not None:
        if size_hw[0] != size_hw[1]:
            raise InputError(f"{name}'s preprocessing crops a square, got the size {size_hw}; give one side")
        side = preset.crop_size[0]
        preset.resize_size = [round(preset.resize_size[0] * size_hw[0] / side)]
        preset.crop_size = [size_hw[0]]
    options: dict[str, Any] = {}
    if name.startswith("vit_"):
        options["image_size"] = preset.crop_size[0]
    if name in ("googlenet", "inception_v3"):
        options["init_weights"] = False  # slow, and to be overwritten
    if name in ("googlenet", "inception_v3") and release is not None:
        options["transform_input"] = True  # as torchvision does for its own weights
    return Architecture(
        library="torchvision",
        version=str(torchvision.__version__),
        name=name,
        classes=len(weights.meta["categories"]),
        build=partial(_build, name, options),
        download=partial(_download, name, weights, options.get("image_size")),
        image=_image_of(preset),
        preprocess=_preprocess_of(preset),
        labels=tuple(weights.meta["categories"]),
        license=str(weights.meta.get("license", "")),
        lookalikes=_lookalikes,
        build_other=_build_other,
    )


def find_release(path: Path) -> tuple[str, str] | None:
    """(architecture, release) when the file is one that torchvision publishes, by the hash in its name there."""
    named = re.search(r"-([0-9a-f]{8})\.pth$", path.name)
    models = _import().models
    for name in _list_names() if named else ():
        for weights in models.get_model_weights(name):
            if weights.url.endswith(f"-{named[1]}.pth") and file_sha256(path).startswith(named[1]):
                return name, weights.name
    return None


def _import() -> Any:
    try:
        import torchvision
    except ImportError:
        raise MissingDependencyError(
            "torchvision", "export", "exporting a classifier of torchvision"
        ) from None
    return torchvision


def _list_names() -> list[str]:
    models = _import().models
    return list(models.list_models(module=models))


def _build(name: str, options: dict[str, Any], classes: int | None) -> torch.nn.Module:
    count = {} if classes is None else {"num_classes": classes}
    return build_module(_import().models.get_model, name, {"weights": None, **count, **options})


def _download(name: str, weights: Any, image_size: int | None) -> torch.nn.Module:
    own = weights.transforms().crop_size[0]
    if image_size not in (None, own):
        raise InputError(
            f"{name}'s weights {weights.name} take {own}x{own} and no other size, got {image_size}"
        )
    return _import().models.get_model(name, weights=weights).eval()


def _build_other(name: str) -> torch.nn.Module:
    return _build(name, {}, None)


def _lookalikes(names: Sequence[str]) -> list[str]:
    for part, patterns in _LOOKALIKES:
        if any(name.endswith(part) for name in names):
            known = _list_names()
            found = [name for pattern in patterns for name in fnmatch.filter(known, pattern)]
            return list(dict.fromkeys(found))
    return []


def _image_of(preset: Any) -> ImageInput:
    """The spec of torchvision's ImageClassification preset: shortest side resized, centre crop, normalised."""
    crop = preset.crop_size[0]
    return ImageInput(
        size_hw=(crop, crop),
        resize="shortest_side_crop",
        resize_size=preset.resize_size[0],
        filter=pillow_filter(preset.interpolation.value, "torchvision's preset"),
        pad_value=(0.0, 0.0, 0.0),
        mean=tuple(preset.mean),
        std=tuple(preset.std),
    )


def _preprocess_of(preset: Any) -> Preprocess:
    from PIL import Image

    def preprocess(frame: NDArray[np.uint8]) -> NDArray[np.float32]:
        picture = Image.fromarray(np.ascontiguousarray(frame[:, :, ::-1]))
        return preset(picture)[None].numpy()

    return preprocess
