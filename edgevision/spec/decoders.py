"""The decoders a spec can name: which tasks each serves, which tensors it reads, which parameters it takes.

The table is data only: the arithmetic lives with the tasks. In the shapes, B is the number of images, A of
anchors, N of rows, nc of classes, E of extra channels (`extra_channels`).
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import TYPE_CHECKING, TypeAlias

from edgevision.errors import SpecError
from edgevision.spec.checks import check_bool, check_choice, check_int, check_number, check_tuple, fail, show

if TYPE_CHECKING:
    from edgevision.spec.model_spec import Decoder

__all__ = [
    "DECODERS",
    "TASKS",
    "DecoderInfo",
    "Param",
    "ParamInfo",
    "TensorRole",
    "decoder_params",
    "extra_channels",
]

TASKS = (
    "classify",
    "detect",
    "instances",
    "semantic",
    "pose",
    "oriented",
    "embed",
    "promptable",
    "depth",
    "flow",
)

Param: TypeAlias = bool | int | float | str | tuple[int, ...]


@dataclass(frozen=True, slots=True)
class ParamInfo:
    """A parameter of a decoder; its type is that of its default.

    low, high: the range of a number, or of each entry of a tuple.
    choices:   the accepted values of a string.
    """

    default: Param
    doc: str
    low: float = 0
    high: float = 0
    choices: tuple[str, ...] = ()


@dataclass(frozen=True, slots=True)
class TensorRole:
    """A tensor that a decoder reads; one with `only_with` is read only when that parameter is not zero."""

    role: str
    shape: str
    only_with: str = ""


@dataclass(frozen=True, slots=True)
class DecoderInfo:
    """What a decoder serves, reads and takes."""

    tasks: tuple[str, ...]
    tensors: tuple[TensorRole, ...]
    params: Mapping[str, ParamInfo]
    doc: str


_NMS_CLASS_OFFSET = ParamInfo(
    0.0,
    "0: each class is suppressed apart, exactly. Above 0: boxes are moved by class id * this many pixels and "
    "suppressed together, with the float32 rounding that some trainers' predictors have (Ultralytics: 7680)",
    0.0,
    1e6,
)
_ROW_EXTRAS = {
    "masks": ParamInfo(0, "mask coefficients a row; task instances needs them (Ultralytics: 32)", 0, 1024),
    "keypoints": ParamInfo(
        0, "keypoints a row; task pose needs them (COCO: 17), task instances may have them", 0, 1024
    ),
    "keypoint_dims": ParamInfo(3, "values a keypoint: 2 is x, y; 3 is x, y, visibility 0-1", 2, 3),
    "rotated": ParamInfo(False, "the row has an angle, in radians; task oriented needs it"),
    "num_extra": ParamInfo(0, "further channels a row, last, that the task does not read", 0, 4096),
}
_MASK_CROP = ParamInfo(
    "image",
    "how masks are made of prototypes. image: interpolated to the image's pixels, then cut by the box there. "
    "prototype: cut by the box among the prototypes' own pixels, then interpolated",
    choices=("image", "prototype"),
)
_YOLO_PARAMS = {**_ROW_EXTRAS, "mask_crop": _MASK_CROP}
_PROTOTYPES = TensorRole("mask prototypes", "(B, masks, h, w)", only_with="masks")

DECODERS: Mapping[str, DecoderInfo] = {
    "yolo": DecoderInfo(
        ("detect", "instances", "pose", "oriented"),
        (TensorRole("predictions", "(B, 4 + nc + E, A)"), _PROTOTYPES),
        {**_YOLO_PARAMS, "nms_class_offset": _NMS_CLASS_OFFSET},
        "Anchor-free YOLO (v5u, v8, 9, 11, 12, and 10, 26 without selection in the graph): cx, cy, w, h in "
        "input pixels, nc scores 0-1, then the extras; needs NMS.",
    ),
    "yolo_end2end": DecoderInfo(
        ("detect", "instances", "pose", "oriented"),
        (TensorRole("rows", "(B, N, 6 + E)"), _PROTOTYPES),
        _YOLO_PARAMS,
        "YOLO with selection in the graph (v10, 26, or exported with NMS): x1, y1, x2, y2 in input pixels "
        "(rotated: cx, cy, w, h), score 0-1, class id, then the extras; unused rows are zero.",
    ),
    "yolov5": DecoderInfo(
        ("detect",),
        (TensorRole("predictions", "(B, A, 5 + nc)"),),
        {"nms_class_offset": _NMS_CLASS_OFFSET},
        "Original YOLOv5 and v7: cx, cy, w, h in input pixels, objectness 0-1, nc scores 0-1; a score is "
        "their "
        "product.",
    ),
    "yolox": DecoderInfo(
        ("detect",),
        (TensorRole("predictions", "(B, A, 5 + nc)"),),
        {
            "decoded": ParamInfo(
                False,
                "true: the boxes are cx, cy, w, h in input pixels. false: they are offsets in cells and "
                "logarithms of sizes in cells, and the decoder applies the grid",
            ),
            "strides": ParamInfo(
                (8, 16, 32), "input pixels a cell, a grid each, in the rows' order", 1, 1024
            ),
            "nms_class_offset": _NMS_CLASS_OFFSET,
        },
        "YOLOX: a box, objectness 0-1, nc scores 0-1; a score is their product.",
    ),
    "rtdetr": DecoderInfo(
        ("detect",),
        (TensorRole("predictions", "(B, N, 4 + nc), or (B, N, 6) when selected"),),
        {
            "selected": ParamInfo(
                False,
                "true: the graph picks the best pairs of query and class; a row is cx, cy, w, h, "
                "score, class id",
            )
        },
        "RT-DETR as Ultralytics exports it: cx, cy, w, h in 0-1 of the input, nc scores 0-1; no NMS.",
    ),
    "detr": DecoderInfo(
        ("detect",),
        (
            TensorRole("logits", "(B, N, nc + 1) with softmax, (B, N, nc) with sigmoid"),
            TensorRole("boxes", "(B, N, 4)"),
        ),
        {
            "activation": ParamInfo(
                "softmax",
                'of the logits; with softmax the last class is "no object"',
                choices=("softmax", "sigmoid"),
            ),
            "top_k": ParamInfo(
                300,
                "sigmoid: how many pairs of query and class are kept, the best; softmax does not use it",
                1,
                100_000,
            ),
        },
        "DETR and its family: class logits, and cx, cy, w, h in 0-1 of the input; no NMS.",
    ),
    "scores": DecoderInfo(
        ("classify",),
        (TensorRole("scores", "(B, nc)"),),
        {
            "activation": ParamInfo(
                "none",
                "applied to the tensor; none: it holds scores 0-1 already",
                choices=("none", "softmax", "sigmoid"),
            )
        },
        "One score a class and image.",
    ),
    "embedding": DecoderInfo(
        ("embed",),
        (TensorRole("embedding", "(B, D)"),),
        {
            "normalize": ParamInfo(False, "true: the result is divided by its Euclidean length"),
            "logit_scale": ParamInfo(
                0.0,
                "what the cosine with a text's embedding is multiplied by to be a logit (CLIP: 100); 0: the model has "
                "no text network",
                0.0,
                1e6,
            ),
            "logit_bias": ParamInfo(0.0, "what is added to that logit (SigLIP: about -17)", -1e6, 1e6),
            "activation": ParamInfo(
                "softmax",
                "of the logits of several texts: softmax (CLIP), or each its own sigmoid (SigLIP)",
                choices=("softmax", "sigmoid"),
            ),
        },
        "One vector an image.",
    ),
    "class_logits": DecoderInfo(
        ("semantic",),
        (TensorRole("logits", "(B, C, h, w)"),),
        {},
        "One logit a class and pixel, at any resolution; C = 1 is foreground (logit > 0) against background.",
    ),
    "label_map": DecoderInfo(
        ("semantic",),
        (TensorRole("labels", "(B, h, w) or (B, 1, h, w), integers"),),
        {},
        "The class id of each pixel, the argmax taken in the graph.",
    ),
    "sam": DecoderInfo(
        ("promptable",),
        (
            TensorRole("low-resolution masks", "(P, M, h, w), logits over the whole input"),
            TensorRole("expected overlaps", "(P, M)"),
        ),
        {
            "mask_threshold": ParamInfo(0.0, "a pixel is in the mask where its logit is above", -1e4, 1e4),
            "single_first": ParamInfo(
                True,
                "true: mask 0 answers a prompt that leaves no doubt, the others are the candidates for one that "
                "does. false: all M are candidates",
            ),
            "stability_delta": ParamInfo(
                0.05,
                "a mask's stability is its area at mask_threshold + this over its area at mask_threshold - this",
                0.0,
                1e4,
            ),
            "stability_threshold": ParamInfo(
                0.0,
                "single_first: the best candidate replaces mask 0 where that is less stable (SAM 2: 0.98)",
                0.0,
                1.0,
            ),
            "pad_boxes": ParamInfo(
                False,
                "true: a padding point follows every prompt (SAM 2). false: it follows points without a box (SAM)",
            ),
            "via_canvas": ParamInfo(
                False,
                "true: logits are interpolated to the input's size first, and the image's part of that to the "
                "image (SAM). false: the image's part of the logits at once (SAM 2)",
            ),
        },
        "Segment Anything and its family: an image encoder, and in the bundle's part `decoder` a network from its "
        "outputs and P prompts to M masks a prompt.",
    ),
}

# In the decoders that have it: parameter -> (the task that cannot do without it, the tasks that may set it).
_TASK_PARAMS = {
    "masks": ("instances", ("instances",)),
    "keypoints": ("pose", ("instances", "pose")),
    "rotated": ("oriented", ("oriented",)),
}


def decoder_params(decoder: Decoder) -> dict[str, Param]:
    """Every parameter of the decoder: the spec's own values, the table's defaults for the rest."""
    table = DECODERS[decoder.name].params
    return {name: decoder.params.get(name, info.default) for name, info in table.items()}


def extra_channels(params: Mapping[str, Param]) -> int:
    """E: the channels a row has beyond its box and scores, from the result of `decoder_params`.

    They come in the order masks, keypoints * keypoint_dims, angle, num_extra.
    """
    counts = dict.fromkeys(_ROW_EXTRAS, 0)
    counts.update(
        {key: int(value) for key, value in params.items() if isinstance(value, int) and key in counts}
    )
    keypoints = counts["keypoints"] * counts["keypoint_dims"]
    return counts["masks"] + keypoints + counts["rotated"] + counts["num_extra"]


def check_params(name: str, params: object) -> dict[str, Param]:
    """The parameters of decoder `name`, checked against the table; SpecError for an unknown or unfit one."""
    table = DECODERS[name].params
    if not isinstance(params, Mapping):
        fail("params", "an object of parameter values", params)
    clean: dict[str, Param] = {}
    for key, value in params.items():
        info = table.get(key) if isinstance(key, str) else None
        if info is None:
            accepted = ", ".join(table) or "no parameters"
            raise SpecError(f"params has an unknown key {show(key)}; decoder {name} accepts {accepted}")
        clean[key] = _check_param(f"params.{key}", info, value)
    return clean


def check_task(task: str, decoder: Decoder) -> None:
    """Raises SpecError when the decoder does not serve the task, or its parameters or outputs do not fit."""
    info = DECODERS[decoder.name]
    if task not in info.tasks:
        able = [name for name, other in DECODERS.items() if task in other.tasks]
        accepted = f"use one of {', '.join(able)}" if able else "no decoder of this version serves that task"
        serves = ", ".join(info.tasks)
        raise SpecError(f"decoder.name {decoder.name!r} serves {serves}, not task {task!r}; {accepted}")
    params = decoder_params(decoder)
    for key, (needed_by, allowed_for) in _TASK_PARAMS.items():
        if key in params and (task == needed_by if not params[key] else task not in allowed_for):
            need = "set" if task == needed_by else f"left at {info.params[key].default!r}"
            raise SpecError(f"decoder.params.{key} must be {need} for task {task!r}, got {params[key]!r}")
    count = sum(1 for tensor in info.tensors if not tensor.only_with or params[tensor.only_with])
    if decoder.outputs and len(decoder.outputs) != count:
        fail(
            "decoder.outputs",
            f"{count} tensor name{'s' * (count > 1)} or empty for decoder {decoder.name}",
            decoder.outputs,
        )


def _check_param(path: str, info: ParamInfo, value: object) -> Param:
    if isinstance(info.default, bool):
        return check_bool(path, value)
    if isinstance(info.default, int):
        return check_int(path, value, int(info.low), int(info.high))
    if isinstance(info.default, float):
        return check_number(path, value, info.low, info.high)
    if isinstance(info.default, str):
        return check_choice(path, value, info.choices)
    low, high = int(info.low), int(info.high)
    entries = check_tuple(path, value, f"1-16 integers {low}-{high}")
    if not 1 <= len(entries) <= 16:
        fail(path, f"1-16 integers {low}-{high}", value)
    return tuple(check_int(f"{path}[{index}]", entry, low, high) for index, entry in enumerate(entries))
