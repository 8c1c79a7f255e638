"""Networks of segmentation-models-pytorch: built by name, from a saved folder, or pickled whole."""

from __future__ import annotations

import json
from collections.abc import Callable, Mapping
from pathlib import Path
from types import ModuleType
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray

from edgevision.errors import InputError, MissingDependencyError, ModelFileError
from edgevision.export.semantic_network import Normalization, SemanticModel
from edgevision.spec import Source
from edgevision.spec.files import read_small

__all__ = ["build_smp", "describe_smp", "fetch_smp", "import_smp", "read_smp_config"]

_MAX_CONFIG_BYTES = 1 << 20
_FILES = ("model.safetensors", "pytorch_model.bin")
"""Under which a saved folder keeps its weights."""


def import_smp(purpose: str) -> ModuleType:
    """The library. Raises MissingDependencyError, which says `purpose`, when it is not installed."""
    try:
        import segmentation_models_pytorch
    except ImportError as error:
        if not error.name:
            raise
        name = "segmentation-models-pytorch" if error.name.startswith("segmentation_") else error.name
        raise MissingDependencyError(name, "export", purpose) from None
    return segmentation_models_pytorch


def build_smp(architecture: str, options: Mapping[str, Any]) -> torch.nn.Module:
    """The network that the library calls `architecture`, as it is before training.

    architecture: "Unet", "UnetPlusPlus", "FPN", ... in any case. options: of its constructor, such as encoder_name,
        classes, in_channels, decoder_attention_type.
    Raises InputError for a name or an option that the library does not know.
    """
    smp = import_smp(f"building {architecture}")
    known = smp.MODEL_ARCHITECTURES_MAPPING
    if architecture.lower() not in known:
        accepted = ", ".join(one.__name__ for one in known.values())
        raise InputError(f"unknown architecture {architecture!r}; segmentation-models-pytorch has {accepted}")
    try:
        # No weights: those it would download are about to be replaced.
        return known[architecture.lower()](**{**options, "encoder_weights": None})
    except (KeyError, RuntimeError, TypeError, ValueError) as error:
        said = str(error.args[0] if error.args else error).splitlines()[0][:300]
        raise InputError(f"{architecture} cannot be built with {dict(options)}: {said}") from None


def fetch_smp(name: str) -> Path:
    """The folder that a name on the model hub stands for, downloaded by the hub's own library.

    Raises ModelFileError without a network, or when there is no such model.
    """
    import_smp(f"downloading {name}")
    from huggingface_hub import snapshot_download

    try:
        return Path(snapshot_download(name, allow_patterns=["config.json", *_FILES]))
    except Exception as error:  # its kinds of error changed from version to version
        lines = str(error).strip().splitlines() or [type(error).__name__]
        raise ModelFileError(
            f"{name} is no file or folder here and cannot be downloaded ({lines[0]}); copy the folder here from a machine "
            f"that has a network, or pass --random for a network without training"
        ) from None


def read_smp_config(folder: Path) -> tuple[str, dict[str, Any], Path]:
    """(architecture, options of its constructor, file of the weights) of a folder that `save_pretrained` wrote."""
    path = folder / "config.json"
    try:
        config = json.loads(read_small(path, _MAX_CONFIG_BYTES).decode("utf-8"))
    except ValueError as error:
        raise ModelFileError(f"{path} is not JSON: {error}") from None
    architecture = config.pop("_model_class", None) if isinstance(config, dict) else None
    if not isinstance(architecture, str):
        raise ModelFileError(
            f"{path} names no _model_class: it was not written by save_pretrained of segmentation-models-pytorch"
        )
    weights = next((folder / name for name in _FILES if (folder / name).is_file()), None)
    if weights is None:
        raise ModelFileError(f"{folder} holds no weights; expected one of {', '.join(_FILES)}")
    return architecture, {k: v for k, v in config.items() if not k.startswith("_")}, weights


def describe_smp(
    module: Any, source: Source, encoder: str | None = None, normalization: Normalization | None = None
) -> SemanticModel:
    """What a network of the library computes, as logits, and what its encoder's weights were trained on.

    module:        is changed: its last activation and its classification head go.
    encoder:       None takes the name that the network bears.
    normalization: None asks the library for the encoder's.
    """
    smp = import_smp("describing the network")
    encoder = encoder or str(module.name).partition("-")[2]
    head = module.segmentation_head
    notes = []
    if module.classification_head is not None:
        module.classification_head = None
        notes.append("The network's classification head was left out: a segmentation has no use for it.")
    # The decoder takes logits; a sigmoid or softmax would only move the threshold.
    head[-1] = torch.nn.Identity()
    channels = next(p for p in module.encoder.parameters() if p.ndim == 4).shape[1]
    if normalization is not None:
        parameters = _parameters_of(normalization)
    elif channels == 3:
        parameters, note = _encoder_parameters(smp, encoder)
        notes += [note] if note else []
    else:
        parameters = _parameters_of(Normalization())
        notes.append(
            f"The library normalizes no pictures of {channels} channel(s); pixels are divided by 255."
        )
    return SemanticModel(
        module=module,
        classes=int(next(layer for layer in head if isinstance(layer, torch.nn.Conv2d)).out_channels),
        channels=int(channels),
        multiple=int(module.encoder.output_stride),
        normalization=normalization or _normalization_of(parameters),
        source=Source(
            framework="segmentation-models-pytorch",
            framework_version=str(smp.__version__),
            model=f"{type(module).__name__} {encoder}",
            weights_sha256=source.weights_sha256,
            random_weights=source.random_weights,
        ),
        normalize=_normalizer(smp, parameters),
        notes=tuple(notes),
    )


def _encoder_parameters(smp: Any, encoder: str) -> tuple[dict[str, Any], str]:
    """The library's preprocessing parameters of an encoder, and a note where they are not quite its own."""
    try:
        return smp.encoders.get_preprocessing_params(encoder), ""
    except Exception as error:  # of the hub it asks, or of an encoder without published weights
        reason = type(error).__name__
    import timm

    name = encoder.removeprefix("tu-").replace("-", "_")
    config = timm.models.get_pretrained_cfg(name)
    if config is None:
        raise InputError(
            f"segmentation-models-pytorch cannot say how pictures for the encoder {encoder} are normalized ({reason}); "
            f"pass mean and std (--mean R G B --std R G B, of pixels 0-1)"
        )
    parameters = {
        "mean": list(config.mean),
        "std": list(config.std),
        "input_space": "RGB",
        "input_range": [0, 1],
    }
    return (
        parameters,
        f"The library could not be asked for the normalization of {encoder} ({reason}); timm's was taken.",
    )


def _parameters_of(normalization: Normalization) -> dict[str, Any]:
    return {
        "mean": list(normalization.mean),
        "std": list(normalization.std),
        "input_space": normalization.color.upper(),
        "input_range": [0, 1] if normalization.scale < 1 else [0, 255],
    }


def _normalization_of(parameters: Mapping[str, Any]) -> Normalization:
    return Normalization(
        mean=tuple(parameters["mean"]),
        std=tuple(parameters["std"]),
        scale=1.0 / 255.0 if parameters["input_range"][1] == 1 else 1.0,
        color=parameters["input_space"].lower(),
    )


def _normalizer(smp: Any, parameters: Mapping[str, Any]) -> Callable[[NDArray[np.uint8]], NDArray[Any]]:
    return lambda rgb: smp.encoders.preprocess_input(rgb, **parameters)
