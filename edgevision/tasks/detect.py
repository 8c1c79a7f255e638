"""Detect: boxes with a class and a score."""

from __future__ import annotations

from collections.abc import Sequence

from edgevision.geometry import Placement
from edgevision.ops.boxes import Candidates
from edgevision.ops.instance_masks import MaskCrops
from edgevision.results import Detections
from edgevision.spec import ModelSpec
from edgevision.tasks.box_task import BoxTask
from edgevision.tasks.boxes import open_finder

__all__ = ["DetectTask"]


class DetectTask(BoxTask):
    """A detector's outputs to `Detections`."""

    name = "detect"

    def __init__(self, spec: ModelSpec, outputs: Sequence[str], frame_format: str) -> None:
        tensors = 2 if spec.decoder.name == "detr" else 1
        super().__init__(spec, outputs, frame_format, find=open_finder(spec), tensors=tensors)

    def make_result(
        self, found: Candidates, placement: Placement, crops: MaskCrops | None = None
    ) -> Detections:
        """See BoxTask."""
        return Detections(found.boxes, found.scores, found.class_ids, placement.image_hw, self._labels)
