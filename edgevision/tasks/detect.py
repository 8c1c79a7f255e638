"""Detect: boxes with a class and a score."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from typing import Any, TypeAlias

import numpy as np
from numpy.typing import NDArray

from edgevision.geometry import Placement
from edgevision.ops import boxes as ops
from edgevision.results import Detections, Result
from edgevision.spec import ModelSpec, decoder_params, extra_channels
from edgevision.tasks.base import Buffers
from edgevision.tasks.options import RunOptions
from edgevision.tasks.outputs import select_outputs
from edgevision.tasks.preparation import ImagePreparation

__all__ = ["DetectTask"]

Decode: TypeAlias = Callable[[Sequence[NDArray[Any]], Placement, RunOptions], ops.Candidates]
"""(one image's rows of the outputs, placement, options) -> candidates in model-input pixels, not yet suppressed."""


def _yolov5(rows: Sequence[NDArray[Any]], placement: Placement, options: RunOptions) -> ops.Candidates:
    return ops.decode_yolov5(
        rows[0],
        num_classes=rows[0].shape[-1] - 5,
        confidence=options.confidence,
        classes=options.classes,
    )


def _end2end(rows: Sequence[NDArray[Any]], placement: Placement, options: RunOptions) -> ops.Candidates:
    return ops.decode_end2end(rows[0], confidence=options.confidence, classes=options.classes)


def _make_yolox(params: Mapping[str, Any]) -> Decode:
    decoded, strides = bool(params["decoded"]), params["strides"]

    def decode(rows: Sequence[NDArray[Any]], placement: Placement, options: RunOptions) -> ops.Candidates:
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


def _make_rtdetr(params: Mapping[str, Any]) -> Decode:
    selected = bool(params["selected"])

    def decode(rows: Sequence[NDArray[Any]], placement: Placement, options: RunOptions) -> ops.Candidates:
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


def _make_detr(params: Mapping[str, Any]) -> Decode:
    activation, top_k = str(params["activation"]), int(params["top_k"])

    def decode(rows: Sequence[NDArray[Any]], placement: Placement, options: RunOptions) -> ops.Candidates:
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


# decoder -> (what makes its Decode from the spec's parameters, whether its candidates overlap and need NMS)
_DECODERS: dict[str, tuple[Callable[[Mapping[str, Any]], Decode], bool]] = {
    "yolo_end2end": (lambda params: _end2end, False),
    "yolov5": (lambda params: _yolov5, True),
    "yolox": (_make_yolox, True),
    "rtdetr": (_make_rtdetr, False),
    "detr": (_make_detr, False),
}


class DetectTask:
    """A detector's outputs to `Detections`."""

    name = "detect"
    options = frozenset({"confidence", "iou", "max_detections", "classes", "class_agnostic"})

    def __init__(self, spec: ModelSpec, outputs: Sequence[str], frame_format: str) -> None:
        params = decoder_params(spec.decoder)
        self._extra = extra_channels(params)
        # None: "yolo", the frame loop's own, which has one fused call from scores to suppressed boxes.
        self._decode: Decode | None = None
        self._needs_nms = True
        if spec.decoder.name != "yolo":
            make, self._needs_nms = _DECODERS[spec.decoder.name]
            self._decode = make(params)
        self._class_offset = float(params.get("nms_class_offset", 0.0))  # type: ignore[arg-type]
        self._outputs = select_outputs(spec, outputs, 2 if spec.decoder.name == "detr" else 1)
        self._labels = spec.labels
        self._preparation = ImagePreparation(spec.inputs[0], frame_format)

    def prepare(self, images: Sequence[NDArray[Any]], buffers: Buffers, batch: int | None) -> list[Placement]:
        """See Task."""
        return self._preparation.write(images, buffers, batch)

    def finish(
        self, outputs: Mapping[str, NDArray[Any]], placements: Sequence[Placement], options: RunOptions
    ) -> list[Result]:
        """See Task."""
        tensors = [outputs[name] for name in self._outputs]
        return [
            self._finish_one([tensor[index] for tensor in tensors], placement, options)
            for index, placement in enumerate(placements)
        ]

    def _finish_one(
        self, rows: Sequence[NDArray[Any]], placement: Placement, options: RunOptions
    ) -> Detections:
        if self._decode is None:
            found = ops.detect_yolo(
                rows[0],
                placement,
                num_classes=rows[0].shape[0] - 4 - self._extra,
                confidence=options.confidence,
                iou=options.iou,
                max_detections=options.max_detections,
                classes=options.classes,
                class_agnostic=options.class_agnostic,
                class_offset=self._class_offset,
            )
            boxes, scores, class_ids = found.boxes, found.scores, found.class_ids
        else:
            found = self._decode(rows, placement, options)
            order = self._select(found, options)
            boxes = placement.boxes_to_image(found.boxes[order])
            scores, class_ids = found.scores[order], found.class_ids[order]
        return Detections(boxes, scores, class_ids, placement.image_hw, self._labels)

    def _select(self, found: ops.Candidates, options: RunOptions) -> NDArray[np.int64]:
        """Indices of the candidates to keep, best first."""
        if not self._needs_nms:
            return np.argsort(-found.scores, kind="stable")[: options.max_detections]
        return ops.nms(
            found.boxes,
            found.scores,
            None if options.class_agnostic else found.class_ids,
            iou=options.iou,
            max_detections=options.max_detections,
            class_offset=self._class_offset,
        )
