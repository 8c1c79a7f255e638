"""How the GPU's BoxFinder is told what a spec's decoder says, so that it finds what edgevision.tasks.boxes finds."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from typing import Any

import numpy as np
from numpy.typing import NDArray

from edgevision.ops._checks import allowed_classes
from edgevision.spec import ModelSpec, decoder_params, extra_channels
from edgevision.tasks.boxes import count_classes
from edgevision.tasks.options import RunOptions

__all__ = ["MAX_CANDIDATES", "box_arguments"]

MAX_CANDIDATES = 8192
"""Boxes that take part in suppression on the GPU, at most; the processor takes more."""

_Tensors = Sequence[NDArray[Any]]
_Arguments = dict[str, Any]


def box_arguments(
    spec: ModelSpec, tensors: _Tensors, input_hw: tuple[int, int], options: RunOptions
) -> _Arguments | None:
    """BoxFinder's arguments for outputs of these shapes and types; None where only the processor finds boxes in them.

    tensors:  the outputs that the decoder reads, of a whole batch; what they hold is not looked at.
    input_hw: (H, W) of the network's input.
    """
    make = _DECODERS.get(spec.decoder.name)
    first = tensors[0]
    boxed = tensors[:2] if spec.decoder.name == "detr" else tensors[:1]
    if make is None or any(
        tensor.ndim != 3 or tensor.dtype != first.dtype or tensor.dtype.name not in ("float32", "float16")
        for tensor in boxed
    ):
        return None
    made = make(spec, tensors, input_hw)
    if made is None:
        return None
    rows_first = made["rows_first"]
    batch, rows, channels = first.shape if rows_first else (first.shape[0], first.shape[2], first.shape[1])
    made |= {
        "batch": batch,
        "rows": rows,
        "channels": channels,
        "half": first.dtype == np.float16,
        "confidence": options.confidence,
        "iou": options.iou,
        "max_detections": options.max_detections,
        "class_agnostic": options.class_agnostic,
        "max_candidates": MAX_CANDIDATES,
    }
    if options.classes is not None:
        made["allowed"] = allowed_classes(options.classes, _known_classes(made))
    return made


def _known_classes(made: _Arguments) -> int | None:
    """How many classes there are; None where the network names the class itself."""
    scan: str = made["scan"]
    if scan in ("softmax", "sigmoid"):
        return int(made["channels"]) - int(scan == "softmax")
    return int(made["num_classes"]) if scan == "dense" else None


def _overlapping(params: Mapping[str, Any]) -> _Arguments:
    return {"suppress": True, "class_offset": float(params["nms_class_offset"])}


def _yolo(spec: ModelSpec, tensors: _Tensors, input_hw: tuple[int, int]) -> _Arguments | None:
    params = decoder_params(spec.decoder)
    rotated = spec.task == "oriented"
    if rotated and params["num_extra"]:
        return None  # the angle is not the last channel then
    known = 4 + extra_channels(params)
    return {
        "rows_first": False,
        "scan": "dense",
        "coding": "rotated" if rotated else "center",
        "num_classes": count_classes(tensors[0].shape[1], known, len(spec.labels)),
        "greedy": not rotated,
        **_overlapping(params),
    }


def _yolo_end2end(spec: ModelSpec, tensors: _Tensors, input_hw: tuple[int, int]) -> _Arguments | None:
    coding = "rotated" if spec.task == "oriented" else "corners"
    return {"rows_first": True, "scan": "rows", "coding": coding, "suppress": False}


def _yolov5(spec: ModelSpec, tensors: _Tensors, input_hw: tuple[int, int]) -> _Arguments | None:
    return {
        "rows_first": True,
        "scan": "dense",
        "coding": "center",
        "num_classes": tensors[0].shape[2] - 5,
        "objectness": 1,
        **_overlapping(decoder_params(spec.decoder)),
    }


def _yolox(spec: ModelSpec, tensors: _Tensors, input_hw: tuple[int, int]) -> _Arguments | None:
    params: Mapping[str, Any] = decoder_params(spec.decoder)
    made = {
        "rows_first": True,
        "scan": "dense",
        "coding": "center",
        "num_classes": tensors[0].shape[2] - 5,
        "objectness": 2,
        **_overlapping(params),
    }
    if not params["decoded"]:
        height, width = input_hw
        made |= {"coding": "grid", "strides": list(params["strides"]), "height": height, "width": width}
    return made


def _rtdetr(spec: ModelSpec, tensors: _Tensors, input_hw: tuple[int, int]) -> _Arguments | None:
    made: _Arguments = {"rows_first": True, "coding": "center", "suppress": False, **_scale(input_hw)}
    if decoder_params(spec.decoder)["selected"]:
        return made | {"scan": "rows"}
    return made | {"scan": "dense", "num_classes": tensors[0].shape[2] - 4}


def _detr(spec: ModelSpec, tensors: _Tensors, input_hw: tuple[int, int]) -> _Arguments | None:
    params: Mapping[str, Any] = decoder_params(spec.decoder)
    return {
        "rows_first": True,
        "scan": str(params["activation"]),
        "coding": "center",
        "top_k": int(params["top_k"]),
        "suppress": False,
        **_scale(input_hw),
    }


def _scale(input_hw: tuple[int, int]) -> _Arguments:
    """Boxes are fractions of the input."""
    return {"scale_x": float(input_hw[1]), "scale_y": float(input_hw[0])}


_DECODERS: dict[str, Callable[[ModelSpec, _Tensors, tuple[int, int]], _Arguments | None]] = {
    "yolo": _yolo,
    "yolo_end2end": _yolo_end2end,
    "yolov5": _yolov5,
    "yolox": _yolox,
    "rtdetr": _rtdetr,
    "detr": _detr,
}
