"""Read a segmentation network: of segmentation-models-pytorch, the classic U-Net of 2015, or a module of the user's."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import replace
from os import PathLike
from pathlib import Path
from typing import Any

import numpy as np
import torch

from edgevision.errors import InputError, ModelFileError
from edgevision.export.checkpoint import load_checkpoint
from edgevision.export.classic_unet import ClassicUnet, classic_unet_of_weights, is_classic_unet
from edgevision.export.network import Network
from edgevision.export.random_convolutions import leaves_images, randomize_convolutions
from edgevision.export.semantic_network import (
    Normalization,
    SemanticModel,
    network_of_semantic,
    semantic_labels,
)
from edgevision.export.smp_models import build_smp, describe_smp, fetch_smp, read_smp_config
from edgevision.export.user_module import TensorOutput, build_user_module
from edgevision.export.weights import find_weights, load_weights
from edgevision.spec import Source
from edgevision.spec.files import file_sha256

__all__ = ["CLASSIC_NAME", "read_unet"]

CLASSIC_NAME = "classic"
"""The architecture's name of the U-Net of 2015."""
_DEFAULT_ENCODER = "resnet34"  # of segmentation-models-pytorch's constructors
_SMP_HEAD = "segmentation_head.0.weight"
_RANDOM_PICTURE_HW = (128, 128)
_USER_MULTIPLE = 32


def read_unet(
    source: str | PathLike[str],
    *,
    architecture: str | None = None,
    encoder: str | None = None,
    module: str | None = None,
    build: Mapping[str, Any] | None = None,
    labels: Sequence[str] | None = None,
    classes: int | None = None,
    mean: Sequence[float] | None = None,
    std: Sequence[float] | None = None,
    size_hw: tuple[int, int] | None = None,
    resize: str = "stretch",
    dynamic_batch: bool = False,
    dynamic_size: bool = False,
    random: bool = False,
    seed: int = 0,
    trust: bool = False,
) -> Network:
    """A segmentation network and its spec, ready to export.

    source: a folder of segmentation-models-pytorch's save_pretrained, or its name on the model hub; a state_dict of one
        of its networks (with `architecture` and `encoder`), of the classic U-Net, or of a module of yours (with
        `module`); a pickled network of that library. With `random`, an architecture of the library, or CLASSIC_NAME.
    architecture: "Unet", "UnetPlusPlus", "FPN", ... encoder: "resnet18", "tu-convnext_tiny", ...
    module:  package.module:factory, a function of yours that builds the network. It is imported and run.
    build:   keyword arguments of the architecture's constructor, or of the factory.
    labels:  a name for each class. A network of one logit has two, background first, or the name of its class alone.
    classes: how many, of random weights that nobody named.
    mean, std: of pixels 0-1 in RGB. None takes the encoder's own, 0 and 1 where there is none.
    size_hw, resize, dynamic_size: see semantic_network.network_of_semantic. None of these libraries resizes; training
        pipelines mostly stretch, so that is the default.
    trust:   see checkpoint.load_checkpoint.
    Raises InputError, ModelFileError or MissingDependencyError.
    """
    given = _normalization(mean, std)
    if random:
        if not labels and classes is None:
            raise InputError(
                "random weights know no classes; pass labels (--labels FILE) or classes (--classes N)"
            )
        count = len(labels or ()) if classes is None else classes
        name = str(source)
        model = _random_model(name, encoder, module, build or {}, count, seed, given)
        labels = labels or [f"class {index}" for index in range(2 if model.classes == 1 else model.classes)]
    else:
        path = Path(source)
        if not path.exists() and path.suffix == "" and len(path.parts) == 2:
            path = fetch_smp(str(source))
        name = str(path)
        model = _trained_model(path, architecture, encoder, module, build or {}, given, trust)
    return network_of_semantic(
        model,
        semantic_labels(labels, model.classes, name),
        size_hw=size_hw,
        resize=resize,
        dynamic_batch=dynamic_batch,
        dynamic_size=dynamic_size,
    )


def _trained_model(
    path: Path,
    architecture: str | None,
    encoder: str | None,
    module: str | None,
    options: Mapping[str, Any],
    given: Normalization | None,
    trust: bool,
) -> SemanticModel:
    saved: dict[str, Any] = {}
    weights_path = path
    if path.is_dir():
        architecture, saved, weights_path = read_smp_config(path)
        encoder = str(saved.get("encoder_name", _DEFAULT_ENCODER))
    content = load_checkpoint(weights_path, trust=trust)
    source = Source(model=path.stem, weights_sha256=file_sha256(weights_path))
    if isinstance(content, torch.nn.Module):
        if not type(content).__module__.startswith("segmentation_models_pytorch."):
            raise ModelFileError(
                f"{path} holds a {type(content).__name__}, no network of segmentation-models-pytorch; save its "
                f"state_dict and pass the function that builds it: module='package.module:factory'"
            )
        return describe_smp(content.float().eval(), source, encoder, given)
    if isinstance(content, dict):
        content = {
            key: value for key, value in content.items() if key != "mask_values"
        }  # beside a classic U-Net's
    weights = find_weights(content, path)
    if module is not None:
        built = build_user_module(module, options)
        load_weights(built, weights, path, module)
        return _user_model(built, replace(source, framework="torch", model=module), given)
    if architecture is None or architecture.lower() == CLASSIC_NAME:
        if not is_classic_unet(weights):
            first = ", ".join(list(weights)[:3])
            raise InputError(
                f"{path} holds a state_dict ({first}, ...) that is none of a classic U-Net; say what it is of: "
                f"architecture='Unet', encoder='resnet18' (--architecture Unet --encoder resnet18), or "
                f"module='package.module:factory' (--module)"
            )
        return _classic_model(classic_unet_of_weights(weights, path), source, given)
    options = {**saved, **_shape_options(weights), **options, "encoder_name": encoder or _DEFAULT_ENCODER}
    network = build_smp(architecture, options)
    load_weights(network, weights, path, f"{architecture} {options['encoder_name']}")
    return describe_smp(network.eval(), source, encoder, given)


def _random_model(
    name: str,
    encoder: str | None,
    module: str | None,
    options: Mapping[str, Any],
    classes: int,
    seed: int,
    given: Normalization | None,
) -> SemanticModel:
    source = Source(model=name, random_weights=True)
    pictures = leaves_images(2, _RANDOM_PICTURE_HW, seed)
    if module is not None:
        built = build_user_module(module, options).eval()
        channels = next((p.shape[1] for p in built.parameters() if p.ndim == 4), 3)
        randomize_convolutions(built, 2 * pictures[:, :channels] - 1, seed)
        return _user_model(built, replace(source, framework="torch", model=module), given)
    if name.lower() == CLASSIC_NAME:
        network = ClassicUnet(3, classes, **options)
        randomize_convolutions(network, pictures, seed)
        return _classic_model(network, source, given)
    encoder = encoder or _DEFAULT_ENCODER
    network = build_smp(name, {**options, "encoder_name": encoder, "classes": classes})
    described = describe_smp(network, source, encoder, given)
    randomize_convolutions(described.module, 2 * pictures[:, : described.channels] - 1, seed)
    return described


def _classic_model(network: ClassicUnet, source: Source, given: Normalization | None) -> SemanticModel:
    normalization = given or Normalization()
    return SemanticModel(
        module=network,
        classes=network.classes,
        channels=network.channels,
        multiple=2**network.depth,
        normalization=normalization,
        source=replace(source, framework="torch", description="U-Net (2015)"),
        notes=() if given else ("The classic U-Net brings no normalization: pixels are divided by 255.",),
    )


def _user_model(module: torch.nn.Module, source: Source, given: Normalization | None) -> SemanticModel:
    network = TensorOutput(module).eval()
    channels = int(next((p.shape[1] for p in module.parameters() if p.ndim == 4), 3))
    with torch.no_grad():
        logits = network(torch.zeros(1, channels, *_RANDOM_PICTURE_HW))
    if logits.ndim != 4:
        raise InputError(
            f"{source.model} must return class logits (B, classes, h, w), got {tuple(logits.shape)}"
        )
    return SemanticModel(
        module=network,
        classes=int(logits.shape[1]),
        channels=channels,
        multiple=_USER_MULTIPLE,
        normalization=given or Normalization(),
        source=source,
        notes=() if given else ("No mean and std were given: pixels are divided by 255.",),
    )


def _shape_options(weights: Mapping[str, torch.Tensor]) -> dict[str, int]:
    """What the tensors' shapes tell of the constructor's arguments."""
    found = {}
    head = next((value for name, value in weights.items() if name.endswith(_SMP_HEAD)), None)
    if head is not None:
        found["classes"] = int(head.shape[0])
    first = next((v for name, v in weights.items() if "encoder." in name and v.ndim == 4), None)
    if first is not None:
        found["in_channels"] = int(first.shape[1])
    return found


def _normalization(mean: Sequence[float] | None, std: Sequence[float] | None) -> Normalization | None:
    if mean is None and std is None:
        return None
    values = [np.asarray(one, np.float64) for one in (mean or (0, 0, 0), std or (1, 1, 1))]
    if any(one.shape != (3,) or not np.isfinite(one).all() for one in values) or not values[1].all():
        raise InputError(
            f"mean and std must be three finite numbers each, of pixels 0-1, got {mean} and {std}"
        )
    return Normalization(mean=tuple(values[0].tolist()), std=tuple(values[1].tolist()))
