"""Boxes from the outputs of a detector, whatever its decoder: what the tasks that have boxes begin with."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from typing import Any, TypeAlias

import numpy as np
from numpy.typing import NDArray

from edgevision.errors import SpecError
from edgevision.geometry import Placement
from edgevision.ops import boxes as ops
from edgevision.spec import ModelSpec, decoder_params, extra_channels
from edgevision.tasks.options import RunOptions

__all__ = ["Find", "Params", "Rows", "count_classes", "open_finder"]

Rows: TypeAlias = Sequence[NDArray[Any]]
Params: TypeAlias = Mapping[str, Any]

Find: TypeAlias = Callable[[Rows, Placement, RunOptions], ops.Candidates]
"""(one image's rows of the outputs, placement, options) -> what is kept, best first, its boxes in image pixels.

`extra` stays as the network gives it: in model pixels where it holds points. Raises InputError or SpecError when
the outputs do not have the shape that the decoder reads.
"""

_Decode: TypeAlias = Callable[[Rows, Placement, RunOptions], ops.Candidates]
"""The same, but not yet suppressed, in no order that counts, and boxes in model-input pixels."""


def open_finder(spec: ModelSpec) -> Find:
    """What finds upright boxes in the outputs that the spec's decoder names."""
    params = decoder_params(spec.decoder)
    if spec.decoder.name == "yolo":  # the frame loop's own: one fused call from scores to suppressed boxes
        return _make_yolo(params, len(spec.labels))
    make, overlapping = _DECODERS[spec.decoder.name]
    decode = make(params)
    return _suppressing(decode, params) if overlapping else _sorting(decode)


def count_classes(channels: int, known: int, labels: int) -> int:
    """The class scores of a row of so many channels, `known` of which are something else.

    Raises SpecError where there are none, or not as many as the spec names labels (0: it names none): one
    parameter of the decoder that is off would turn classes into coefficients without a word.
    """
    count = channels - known
    if count < 1 or labels not in (0, count):
        named = f"{labels} labels" if labels else "no labels"
        raise SpecError(
            f"the network's rows have {channels} channels, {known} of which the spec's decoder takes for boxes and "
            f"extras; that leaves {count} class scores, and the spec names {named}: correct one of them"
        )
    return count


def _make_yolo(params: Params, labels: int) -> Find:
    known = 4 + extra_channels(params)
    class_offset = float(params["nms_class_offset"])

    def find(rows: Rows, placement: Placement, options: RunOptions) -> ops.Candidates:
        return ops.detect_yolo(
            rows[0],
            placement,
            num_classes=count_classes(rows[0].shape[0], known, labels),
            confidence=options.confidence,
            iou=options.iou,
            max_detections=options.max_detections,
            classes=options.classes,
            class_agnostic=options.class_agnostic,
            class_offset=class_offset,
        )

    return find


def _suppressing(decode: _Decode, params: Params) -> Find:
    class_offset = float(params["nms_class_offset"])

    def find(rows: Rows, placement: Placement, options: RunOptions) -> ops.Candidates:
        found = decode(rows, placement, options)
        order = ops.nms(
            found.boxes,
            found.scores,
            None if options.class_agnostic else found.class_ids,
            iou=options.iou,
            max_detections=options.max_detections,
            class_offset=class_offset,
        )
        return _to_image(found, order, placement)

    return find


def _sorting(decode: _Decode) -> Find:
    def find(rows: Rows, placement: Placement, options: RunOptions) -> ops.Candidates:
        found = decode(rows, placement, options)
        order = np.argsort(-found.scores, kind="stable")[: options.max_detections]
        return _to_image(found, order, placement)

    return find


def _to_image(found: ops.Candidates, order: NDArray[np.int64], placement: Placement) -> ops.Candidates:
    boxes = placement.boxes_to_image(found.boxes[order])
    return ops.Candidates(boxes, found.scores[order], found.class_ids[order], found.extra[order])


def _make_end2end(params: Params) -> _Decode:
    def decode(rows: Rows, placement: Placement, options: RunOptions) -> ops.Candidates:
        return ops.decode_end2end(rows[0], confidence=options.confidence, classes=options.classes)

    return decode


def _make_yolov5(params: Params) -> _Decode:
    def decode(rows: Rows, placement: Placement, options: RunOptions) -> ops.Candidates:
        return ops.decode_yolov5(
            rows[0],
            num_classes=rows[0].shape[-1] - 5,
            confidence=options.confidence,
            classes=options.classes,
        )

    return decode


def _make_yolox(params: Params) -> _Decode:
    decoded, strides = bool(params["decoded"]), params["strides"]

    def decode(rows: Rows, placement: Placement, options: RunOptions) -> ops.Candidates:
        return ops.decode_yolox(
            rows[0],
            num_classes=rows[0].shape[-1] - 5,
            confidence=options.confidence,
            input_hw=placement.canvas_hw,
            strides=strides,
            decoded=decoded,
            classes=options.classes,
        )

    return decode


def _make_rtdetr(params: Params) -> _Decode:
    selected = bool(params["selected"])

    def decode(rows: Rows, placement: Placement, options: RunOptions) -> ops.Candidates:
        height, width = placement.canvas_hw
        if not selected:
            return ops.decode_rtdetr(
                rows[0],
                num_classes=rows[0].shape[-1] - 4,
                confidence=options.confidence,
                input_hw=(height, width),
                classes=options.classes,
            )
        corners = rows[0].astype(np.float32)  # a copy: the session's own array stays as it is
        centre, half = corners[:, :2].copy(), corners[:, 2:4] / np.float32(2)
        corners[:, :2], corners[:, 2:4] = centre - half, centre + half
        corners[:, :4] *= np.array([width, height, width, height], np.float32)
        return ops.decode_end2end(corners, confidence=options.confidence, classes=options.classes)

    return decode


def _make_detr(params: Params) -> _Decode:
    activation, top_k = str(params["activation"]), int(params["top_k"])

    def decode(rows: Rows, placement: Placement, options: RunOptions) -> ops.Candidates:
        return ops.decode_detr(
            rows[0],
            rows[1],
            confidence=options.confidence,
            input_hw=placement.canvas_hw,
            activation=activation,
            top_k=top_k,
            classes=options.classes,
        )

    return decode


# decoder -> (what makes its _Decode from the spec's parameters, whether its candidates overlap and need NMS)
_DECODERS: dict[str, tuple[Callable[[Params], _Decode], bool]] = {
    "yolo_end2end": (_make_end2end, False),
    "yolov5": (_make_yolov5, True),
    "yolox": (_make_yolox, True),
    "rtdetr": (_make_rtdetr, False),
    "detr": (_make_detr, False),
}
