"""Specs for models that Ultralytics exported, from the metadata it writes.

The metadata alone does not settle everything, and what it leaves open changed with its versions (measured on
exports of 8.2 to 8.4): 8.2 and the first of 8.3 do not say whether boxes are selected in the graph or whether
the size is free; the input's element type never follows from it (`half` gives float32 tensors when exported
on a CPU); RT-DETR's rows changed in 8.4.47. So the tensors of the graph, where they are known, come before
the metadata.
"""

from __future__ import annotations

import re
from collections.abc import Mapping, Sequence
from typing import Any

from edgevision.errors import SpecError
from edgevision.spec.checks import show
from edgevision.spec.decoders import Param
from edgevision.spec.image_input import ImageInput
from edgevision.spec.literal import parse_literal
from edgevision.spec.model_spec import Decoder, ModelSpec, Source, Thresholds
from edgevision.spec.tensor_info import TensorInfo

__all__ = ["is_ultralytics", "spec_from_ultralytics"]

_TASKS = {
    "detect": "detect",
    "segment": "instances",
    "pose": "pose",
    "obb": "oriented",
    "classify": "classify",
    "semantic": "semantic",
}
_REQUIRED = ("task", "stride", "imgsz", "names")
_MASKS = 32
"""Mask coefficients of every segmentation head it ships, where the graph does not tell."""
_NMS_CLASS_OFFSET = 7680.0
"""Pixels by which its predictor moves the boxes of one class from those of the next."""
_MAX_CLASSES = 1 << 16
_SELECTED_RTDETR = (8, 4, 47)
"""The first version whose RT-DETR export picks the best boxes in the graph."""


def is_ultralytics(metadata: Mapping[str, Any]) -> bool:
    """Whether the metadata of an ONNX file or engine is of the kind that Ultralytics writes."""
    return all(key in metadata for key in _REQUIRED)


def spec_from_ultralytics(
    metadata: Mapping[str, Any],
    *,
    inputs: Sequence[TensorInfo] = (),
    outputs: Sequence[TensorInfo] = (),
) -> ModelSpec:
    """The spec of a model that Ultralytics exported, with its predictor's preprocessing and thresholds.

    metadata: the ONNX file's (values are strings) or the engine header's (values are JSON).
    inputs, outputs: the graph's tensors where they are known; they settle the input's size and type and the
    form
        of the rows. Without them a float32 input and the metadata's word are taken.
    Raises SpecError when a key is missing or malformed, the task is not one that edgevision runs, or the
    graph's output has a shape that the metadata does not explain.
    """
    for key in _REQUIRED:
        if key not in metadata:
            raise SpecError(
                f"the Ultralytics metadata lacks the key {key!r}, it has {show(sorted(metadata))}; export "
                "the model "
                "again, or give a spec: ev.load(path, spec='spec.json')"
            )
    name = str(metadata["task"])
    if name not in _TASKS:
        raise SpecError(f"the Ultralytics task must be one of {', '.join(_TASKS)}, got {show(name)}")
    labels = _read_names(_value(metadata, "names"))
    description = str(metadata.get("description", ""))
    rtdetr = "RTDETR" in str(metadata.get("head", "")) or bool(
        re.search("rt-?detr", description, re.IGNORECASE)
    )
    task = _TASKS[name]
    return ModelSpec(
        task=task,
        inputs=(_read_input(metadata, task, rtdetr, inputs[0] if inputs else None),),
        decoder=_read_decoder(metadata, task, len(labels), rtdetr, outputs),
        labels=labels,
        thresholds=Thresholds(confidence=0.25, iou=0.7, max_detections=300),
        source=Source(
            framework="ultralytics",
            framework_version=str(metadata.get("version", "")),
            model=description.removeprefix("Ultralytics").strip().removesuffix("model").strip(),
            license=str(metadata.get("license", "")),
            description=description.strip(),
        ),
    )


def _read_input(
    metadata: Mapping[str, Any], task: str, rtdetr: bool, tensor: TensorInfo | None
) -> ImageInput:
    size = _value(metadata, "imgsz")
    if isinstance(size, int):
        size = [size, size]
    if not isinstance(size, list | tuple) or len(size) != 2:
        raise SpecError(f"the Ultralytics imgsz must be [height, width], got {show(size)}")
    dynamic = bool(_args(metadata).get("dynamic"))
    batch = None if dynamic else _integer(metadata, "batch", 1)
    dtype, name = "float32", "images"
    if tensor is not None:
        if len(tensor.shape) != 4:
            raise SpecError(f"the input of an Ultralytics model has 4 dimensions, got {tensor}")
        batch, _, *sides = tensor.shape
        dynamic = None in sides
        size = [given if side is None else side for side, given in zip(sides, size, strict=True)]
        dtype, name = tensor.dtype, tensor.name
    channels = _integer(metadata, "channels", 3)
    if channels not in (1, 3):
        raise SpecError(
            f"the Ultralytics channels must be 1 or 3, got {channels}; edgevision takes gray or colour"
        )
    geometry: dict[str, Any] = {"resize": "letterbox", "filter": "linear"}
    if task == "classify":
        # A square input is cut out of the middle, any other one is filled by stretching; both antialiased.
        square = size[0] == size[1]
        geometry = {"resize": "shortest_side_crop" if square else "stretch", "filter": "bilinear_antialias"}
    elif rtdetr:
        geometry["resize"] = "stretch"
    elif dynamic:
        geometry["multiple"] = _integer(metadata, "stride", 32)
    color = "gray" if channels == 1 else "rgb"
    return ImageInput(
        name=name, size_hw=(size[0], size[1]), batch=batch, color=color, dtype=dtype, **geometry
    )


def _read_decoder(
    metadata: Mapping[str, Any], task: str, classes: int, rtdetr: bool, outputs: Sequence[TensorInfo]
) -> Decoder:
    if task == "classify":
        return Decoder(name="scores", params={"activation": "none"})
    if task == "semantic":
        # Measured on 8.4.190: uint8 (B, h, w), the argmax taken in the graph.
        return Decoder(name="class_logits" if outputs and len(outputs[0].shape) == 4 else "label_map")
    if rtdetr:
        return Decoder(name="rtdetr", params={"selected": _is_selected_rtdetr(metadata, classes, outputs)})
    params: dict[str, Param] = {}
    extra = 0
    if task == "instances":
        prototypes = outputs[1].shape if len(outputs) > 1 else ()
        extra = (prototypes[1] if len(prototypes) == 4 else None) or _MASKS
        params = {"masks": extra}
    elif task == "pose":
        keypoints, dims = _read_keypoint_shape(metadata)
        extra = keypoints * dims
        params = {"keypoints": keypoints, "keypoint_dims": dims}
    elif task == "oriented":
        extra = 1
        params = {"rotated": True}
    if _is_end2end(metadata, 4 + classes + extra, 6 + extra, outputs):
        return Decoder(name="yolo_end2end", params=params)
    return Decoder(name="yolo", params={**params, "nms_class_offset": _NMS_CLASS_OFFSET})


def _is_end2end(
    metadata: Mapping[str, Any], channels: int, columns: int, outputs: Sequence[TensorInfo]
) -> bool:
    """Whether boxes are selected in the graph: by the first output's shape, else by what the metadata says.

    channels: of (B, channels, anchors) without selection. columns: of (B, rows, columns) with it.
    """
    said = _flag(metadata, "end2end") or bool(_args(metadata).get("nms"))
    # 8.2 and the first of 8.3 wrote neither key; of their models v10 alone selects, and always.
    if "args" not in metadata and "end2end" not in metadata:
        said = "yolov10" in str(metadata.get("description", "")).lower()
    shape = outputs[0].shape if outputs else ()
    if not shape:
        return said
    if len(shape) == 3:
        fits_raw, fits_rows = shape[1] in (channels, None), shape[2] in (columns, None)
        if fits_raw and fits_rows:
            return said
        if fits_raw or fits_rows:
            return fits_rows
    raise SpecError(
        f"the metadata explains an output of shape (B, {channels}, anchors) or (B, rows, {columns}), the "
        "graph has "
        f"{outputs[0]}; give a spec: ev.load(path, spec='spec.json')"
    )


def _is_selected_rtdetr(metadata: Mapping[str, Any], classes: int, outputs: Sequence[TensorInfo]) -> bool:
    width = outputs[0].shape[-1] if outputs and outputs[0].shape else None
    if width is not None and classes != 2:  # with two classes, both forms have six columns
        if width not in (6, 4 + classes):
            raise SpecError(
                f"the rows of an RT-DETR of {classes} classes are {4 + classes} or 6 wide, got {width}"
            )
        return width == 6
    version = tuple(int(part) for part in re.findall(r"\d{1,9}", str(metadata.get("version", "")))[:3])
    return version >= _SELECTED_RTDETR


def _read_names(names: object) -> tuple[str, ...]:
    """Labels by class id, from a list or a dict whose keys are ids or their digits; a gap has its id as
    label."""
    if isinstance(names, list | tuple):
        names = dict(enumerate(names))
    if not isinstance(names, dict) or not names:
        raise SpecError(f"the Ultralytics names must be a list or a dict of class names, got {show(names)}")
    labels: dict[int, str] = {}
    for key, label in names.items():
        digits = str(key)
        if isinstance(key, bool) or not re.fullmatch("[0-9]{1,9}", digits) or int(digits) >= _MAX_CLASSES:
            raise SpecError(
                f"the Ultralytics names must have class ids 0-{_MAX_CLASSES - 1}, got {show(key)}"
            )
        labels[int(digits)] = str(label)
    return tuple(labels.get(index, str(index)) for index in range(max(labels) + 1))


def _read_keypoint_shape(metadata: Mapping[str, Any]) -> tuple[int, int]:
    shape = _value(metadata, "kpt_shape") if "kpt_shape" in metadata else None
    if not isinstance(shape, list | tuple) or [type(entry) for entry in shape] != [int, int]:
        raise SpecError(
            f"the Ultralytics kpt_shape must be [keypoints, 2 or 3] for task pose, got {show(shape)}"
        )
    return shape[0], shape[1]


def _args(metadata: Mapping[str, Any]) -> dict[Any, Any]:
    args = _value(metadata, "args") if "args" in metadata else {}
    if not isinstance(args, dict):
        raise SpecError(f"the Ultralytics args must be a dict, got {show(args)}")
    return args


def _flag(metadata: Mapping[str, Any], key: str) -> bool:
    return bool(_value(metadata, key)) if key in metadata else False


def _integer(metadata: Mapping[str, Any], key: str, default: int) -> int:
    value = _value(metadata, key) if key in metadata else default
    if isinstance(value, bool) or not isinstance(value, int):
        raise SpecError(f"the Ultralytics {key} must be an integer, got {show(value)}")
    return value


def _value(metadata: Mapping[str, Any], key: str) -> Any:
    """The value of a key: ONNX metadata holds the text of a literal, an engine's header the value itself."""
    value = metadata[key]
    return parse_literal(value, f"the Ultralytics {key}") if isinstance(value, str) else value
