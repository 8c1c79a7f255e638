"""What the segmentation networks of every source have in common: a spec, a part, and the input they were trained on."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray

from edgevision.errors import InputError
from edgevision.export.dynamic_size import size_axes
from edgevision.export.network import Network, Part
from edgevision.spec import Decoder, ImageInput, ModelSpec, Source

__all__ = ["RESIZES", "Normalization", "SemanticModel", "network_of_semantic", "semantic_labels"]

RESIZES = ("stretch", "letterbox")
DEFAULT_SIZE_HW = (512, 512)

Preprocess = Callable[[NDArray[np.uint8]], NDArray[np.float32]]


@dataclass(frozen=True, slots=True)
class Normalization:
    """A pixel p (0-255), in the order of `color`, becomes (p * scale - mean) / std; fields as in ImageInput."""

    mean: tuple[float, float, float] = (0.0, 0.0, 0.0)
    std: tuple[float, float, float] = (1.0, 1.0, 1.0)
    scale: float = 1.0 / 255.0
    color: str = "rgb"


@dataclass(frozen=True, slots=True, eq=False, kw_only=True)
class SemanticModel:
    """A segmentation network, ready to be described by a spec.

    module:     float32, in evaluation mode: images (B, C, H, W) to class logits (B, classes, h, w).
    classes:    channels of the logits; 1: foreground where they are above 0.
    channels:   of the images: 3, or 1 for gray.
    multiple:   a side of the images is a multiple of this.
    normalize:  the source's own normalization of a resized RGB picture, uint8 (H, W, 3) to (H, W, 3); None: it has
        none that is not `normalization` itself.
    notes:      what a report should say of it.
    """

    module: torch.nn.Module
    classes: int
    channels: int
    multiple: int
    normalization: Normalization
    source: Source
    normalize: Callable[[NDArray[np.uint8]], NDArray[Any]] | None = None
    notes: tuple[str, ...] = ()


def semantic_labels(labels: Sequence[str] | None, classes: int, path: object) -> tuple[str, ...]:
    """A name for each value of a label map; a network of one logit has two, of which the first may be left out.

    Raises InputError when names are missing or their number does not fit.
    """
    values = 2 if classes == 1 else classes
    if not labels:
        raise InputError(
            f"{path} holds weights without class names for its {classes} classes; pass them in the order of their ids: "
            f"labels=[...] (--labels FILE, one name a line)"
        )
    if classes == 1 and len(labels) == 1:
        return ("background", labels[0])
    if len(labels) != values:
        what = "one logit, background below 0 and one class above," if classes == 1 else f"{classes} classes"
        raise InputError(f"{path} has {what} and got {len(labels)} labels: {', '.join(labels[:8])}")
    return tuple(labels)


def network_of_semantic(
    model: SemanticModel,
    labels: Sequence[str],
    *,
    size_hw: tuple[int, int] | None = None,
    resize: str = "stretch",
    dynamic_batch: bool = False,
    dynamic_size: bool = False,
) -> Network:
    """The network and its spec.

    size_hw: None takes 512x512. resize: one of RESIZES, how a frame becomes that size.
    dynamic_size: the input may be smaller, where a letterboxed frame leaves rows or columns unused.
    Raises InputError for a size off the network's multiple, or a dynamic size without letterbox.
    """
    size_hw = size_hw or DEFAULT_SIZE_HW
    if resize not in RESIZES:
        raise InputError(f"resize must be one of {', '.join(RESIZES)}, got {resize!r}")
    if any(side % model.multiple for side in size_hw):
        raise InputError(f"size_hw must be multiples of {model.multiple} for this network, got {size_hw}")
    if dynamic_size and resize != "letterbox":
        raise InputError(
            "a dynamic size needs resize='letterbox': only its frames leave a part of the input unused"
        )
    normalization = model.normalization
    image = ImageInput(
        size_hw=size_hw,
        multiple=model.multiple if dynamic_size else 0,
        batch=None if dynamic_batch else 1,
        resize=resize,
        color="gray" if model.channels == 1 else normalization.color,
        scale=normalization.scale,
        mean=normalization.mean,
        std=normalization.std,
    )
    spec = ModelSpec(
        task="semantic",
        inputs=(image,),
        decoder=Decoder(name="class_logits"),
        labels=tuple(labels),
        source=model.source,
    )
    part = Part(
        module=model.module.eval(),
        example=(torch.zeros(1, model.channels, *size_hw),),
        inputs=(image.name,),
        outputs=("logits",),
        dynamic=size_axes(image),
    )
    preprocess = (
        None if model.normalize is None or model.channels == 1 else _preprocess(image, model.normalize)
    )
    return Network(spec=spec, parts=(part,), preprocess=preprocess, notes=model.notes)


def _preprocess(image: ImageInput, normalize: Callable[[NDArray[np.uint8]], NDArray[Any]]) -> Preprocess:
    """OpenCV's resize, which most training pipelines use, and then the source's own normalization."""
    import cv2

    height, width = image.size_hw

    def preprocess(frame: NDArray[np.uint8]) -> NDArray[np.float32]:
        rgb = np.ascontiguousarray(frame[..., ::-1])
        if image.resize == "stretch":
            resized = cv2.resize(rgb, (width, height), interpolation=cv2.INTER_LINEAR)
        else:
            ratio = min(height / rgb.shape[0], width / rgb.shape[1])
            rows, columns = round(rgb.shape[0] * ratio), round(rgb.shape[1] * ratio)
            canvas_hw = image.size_hw
            if image.multiple:
                canvas_hw = (
                    -(-rows // image.multiple) * image.multiple,
                    -(-columns // image.multiple) * image.multiple,
                )
            resized = np.empty((*canvas_hw, 3), np.uint8)
            resized[:] = np.array(image.pad_value, np.uint8)
            top, left = (canvas_hw[0] - rows) // 2, (canvas_hw[1] - columns) // 2
            small = cv2.resize(rgb, (columns, rows), interpolation=cv2.INTER_LINEAR)
            resized[top : top + rows, left : left + columns] = small
        return np.ascontiguousarray(normalize(resized).transpose(2, 0, 1)[None], np.float32)

    return preprocess
