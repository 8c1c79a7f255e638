"""Read a YOLO: an Ultralytics checkpoint (v5u to 26, every task), a YOLOX, or the demo's own small one."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from os import PathLike
from pathlib import Path
from typing import Any

import torch

from edgevision.errors import InputError, ModelFileError
from edgevision.export.checkpoint import load_checkpoint
from edgevision.export.conveyor_yolo import ARCHITECTURE, STRIDES, conveyor_spec, module_from_checkpoint
from edgevision.export.dynamic_size import size_axes
from edgevision.export.label_check import require_labels
from edgevision.export.network import Network, Part
from edgevision.export.ultralytics_models import build_model, build_random_model, download_checkpoint
from edgevision.export.ultralytics_yolo import network_of_ultralytics
from edgevision.export.weights import find_weights, load_weights
from edgevision.export.yolox_reader import (
    YOLOX_NAMES,
    is_yolox,
    network_of_yolox,
    random_yolox,
    yolox_of_weights,
)
from edgevision.spec import Source
from edgevision.spec.files import file_sha256

__all__ = ["read_yolo"]


@dataclass(frozen=True, slots=True, kw_only=True)
class _Wishes:
    """What the caller of read_yolo asks for, beside the weights; its fields are explained there."""

    model: str | None
    labels: Sequence[str] | None
    keypoints: tuple[int, int] | None
    size_hw: tuple[int, int] | None
    end2end: bool
    dynamic_batch: bool
    dynamic_size: bool


def read_yolo(
    source: str | PathLike[str],
    *,
    model: str | None = None,
    labels: Sequence[str] | None = None,
    keypoints: tuple[int, int] | None = None,
    size_hw: tuple[int, int] | None = None,
    end2end: bool = True,
    dynamic_batch: bool = False,
    dynamic_size: bool = False,
    random: bool = False,
    seed: int = 0,
    trust: bool = False,
) -> Network:
    """A YOLO and its spec, ready to export.

    source:    an Ultralytics .pt, a state_dict of one (with `model` and `labels`), a checkpoint of Megvii's YOLOX
        (with `labels`), or one of train_conveyor.py. A published .pt that is not there is downloaded by Ultralytics'
        library. With `random`, the name of a network: Ultralytics' or one of YOLOX_NAMES.
    model:     what Ultralytics calls the network whose state_dict this is: "yolo11n-seg", or the path of a .yaml.
    labels:    class names by id, for weights that come without. A checkpoint's own go before them.
    keypoints: (number, 2 or 3 values each) of a -pose network built by name; None takes the definition's.
    size_hw:   the network's input; None takes the size it was trained at. Multiples of its stride.
    end2end:   False takes the one-to-many head of models that have both (YOLOv10, YOLO26).
    dynamic_batch: a run takes any number of images, not one.
    dynamic_size: size_hw is the largest input; a frame of another shape takes a smaller one, instead of padding.
    random, seed: random weights, and which ones.
    trust:     see checkpoint.load_checkpoint.
    Raises InputError, ModelFileError or MissingDependencyError.
    """
    wishes = _Wishes(
        model=model,
        labels=labels,
        keypoints=keypoints,
        size_hw=size_hw,
        end2end=end2end,
        dynamic_batch=dynamic_batch,
        dynamic_size=dynamic_size,
    )
    if random:
        return _read_random(str(source), seed, wishes)
    path = Path(source)
    if not path.exists() and path.suffix == ".pt":
        download_checkpoint(path)
    content = load_checkpoint(path, trust=trust)
    origin = Source(model=path.stem, weights_sha256=file_sha256(path))
    if isinstance(content, dict) and content.get("architecture") == ARCHITECTURE:
        return _read_conveyor(content, origin, wishes)
    trained = (content.get("ema") or content.get("model")) if isinstance(content, dict) else content
    if isinstance(trained, torch.nn.Module):
        if not type(trained).__module__.startswith("ultralytics."):
            raise ModelFileError(
                f"{path} holds a {type(trained).__name__}, which is no network of Ultralytics'"
            )
        arguments = content.get("train_args") if isinstance(content, dict) else None
        return _network(trained, origin, wishes, arguments)
    weights = find_weights(content, path)
    if is_yolox(weights):
        network, name = yolox_of_weights(weights, path)
        names = require_labels(labels, path, network.head.cls_preds[0].out_channels)
        origin = replace(origin, framework="yolox", description=name)
        return network_of_yolox(
            network,
            name,
            names,
            source=origin,
            size_hw=size_hw,
            dynamic_batch=dynamic_batch,
            dynamic_size=dynamic_size,
        )
    return _read_weights(weights, path, origin, wishes)


def _read_random(name: str, seed: int, wishes: _Wishes) -> Network:
    stem = Path(name).stem
    origin = Source(model=stem, random_weights=True)
    if stem.replace("_", "-") in YOLOX_NAMES:
        stem = stem.replace("_", "-")
        labels = wishes.labels or [f"class {index}" for index in range(80)]
        return network_of_yolox(
            random_yolox(stem, labels, seed),
            stem,
            labels,
            source=replace(origin, framework="yolox"),
            size_hw=wishes.size_hw,
            dynamic_batch=wishes.dynamic_batch,
            dynamic_size=wishes.dynamic_size,
        )
    module = build_random_model(name, labels=wishes.labels, keypoints=wishes.keypoints, seed=seed)
    return _network(module, origin, wishes)


def _read_weights(weights: dict[str, torch.Tensor], path: Path, origin: Source, wishes: _Wishes) -> Network:
    if wishes.model is None:
        first = ", ".join(list(weights)[:3])
        raise InputError(
            f"{path} holds a state_dict ({first}, ...), which does not say which network it belongs to; pass "
            f"Ultralytics' name of it: model='yolo11n-seg' (--model yolo11n-seg)"
        )
    labels = require_labels(wishes.labels, path)
    stem = next((value for name, value in weights.items() if name.endswith("model.0.conv.weight")), None)
    channels = int(stem.shape[1]) if stem is not None and stem.ndim == 4 else 3
    module: Any = build_model(
        wishes.model, classes=len(labels), channels=channels, keypoints=wishes.keypoints
    )
    load_weights(module, weights, path, f"{wishes.model} of {len(labels)} classes")
    module.names = dict(enumerate(labels))
    return _network(module, origin, wishes)


def _network(
    module: torch.nn.Module, origin: Source, wishes: _Wishes, arguments: Mapping[str, Any] | None = None
) -> Network:
    return network_of_ultralytics(
        module,
        source=origin,
        arguments=arguments,
        size_hw=wishes.size_hw,
        end2end=wishes.end2end,
        dynamic_batch=wishes.dynamic_batch,
        dynamic_size=wishes.dynamic_size,
    )


def _read_conveyor(content: dict[str, Any], origin: Source, wishes: _Wishes) -> Network:
    module = module_from_checkpoint(content)
    spec = conveyor_spec(content["labels"], wishes.size_hw)
    image = replace(
        spec.inputs[0],
        batch=None if wishes.dynamic_batch else 1,
        multiple=STRIDES[-1] if wishes.dynamic_size else 0,
    )
    spec = spec.replace(inputs=(image,), source={"weights_sha256": origin.weights_sha256})
    part = Part(
        module=module,
        example=(torch.zeros(1, 3, *image.size_hw),),
        inputs=(image.name,),
        outputs=("output0",),
        dynamic=size_axes(image),
    )
    return Network(spec=spec, parts=(part,))
