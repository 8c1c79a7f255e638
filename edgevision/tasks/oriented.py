"""Oriented: rotated boxes with a class and a score."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
from numpy.typing import NDArray

from edgevision.geometry import Placement
from edgevision.ops import boxes as ops
from edgevision.ops.instance_masks import MaskCrops
from edgevision.results import OrientedDetections
from edgevision.spec import ModelSpec, decoder_params, extra_channels
from edgevision.tasks.box_task import BoxTask
from edgevision.tasks.boxes import Find, Params, Rows, count_classes
from edgevision.tasks.options import RunOptions

__all__ = ["OrientedTask"]


class OrientedTask(BoxTask):
    """A detector's rows with angles to `OrientedDetections`."""

    name = "oriented"

    def __init__(self, spec: ModelSpec, outputs: Sequence[str], frame_format: str) -> None:
        params = decoder_params(spec.decoder)
        dense = spec.decoder.name == "yolo"
        find = _make_yolo(params, len(spec.labels)) if dense else _find_selected
        super().__init__(spec, outputs, frame_format, find=find)

    def make_result(
        self, found: ops.Candidates, placement: Placement, crops: MaskCrops | None = None
    ) -> OrientedDetections:
        """See BoxTask."""
        return OrientedDetections(
            found.boxes, found.scores, found.class_ids, placement.image_hw, self._labels
        )


def _make_yolo(params: Params, labels: int) -> Find:
    known, unread = 4 + extra_channels(params), int(params["num_extra"])
    class_offset = float(params["nms_class_offset"])

    def find(rows: Rows, placement: Placement, options: RunOptions) -> ops.Candidates:
        channels = rows[0].shape[0]
        found = ops.decode_yolo_rotated(
            rows[0][: channels - unread],  # the angle comes last then
            num_classes=count_classes(channels, known, labels),
            confidence=options.confidence,
            classes=options.classes,
        )
        order = ops.nms_rotated(
            found.boxes,
            found.scores,
            None if options.class_agnostic else found.class_ids,
            iou=options.iou,
            max_detections=options.max_detections,
            class_offset=class_offset,
            greedy=False,
        )
        return _to_image(found, order, placement)

    return find


def _find_selected(rows: Rows, placement: Placement, options: RunOptions) -> ops.Candidates:
    found = ops.decode_end2end_rotated(rows[0], confidence=options.confidence, classes=options.classes)
    order = np.argsort(-found.scores, kind="stable")[: options.max_detections]
    return _to_image(found, order, placement)


def _to_image(found: ops.Candidates, order: NDArray[np.int64], placement: Placement) -> ops.Candidates:
    boxes = placement.rotated_to_image(found.boxes[order])
    return ops.Candidates(boxes, found.scores[order], found.class_ids[order], found.extra[order])
