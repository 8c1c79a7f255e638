"""Pose: boxes with keypoints."""

from __future__ import annotations

from collections.abc import Sequence

from edgevision.geometry import Placement
from edgevision.ops.boxes import Candidates
from edgevision.ops.instance_masks import MaskCrops
from edgevision.results import Detections
from edgevision.spec import ModelSpec, decoder_params
from edgevision.tasks.box_task import BoxTask
from edgevision.tasks.boxes import open_finder
from edgevision.tasks.keypoints import KeypointReader

__all__ = ["PoseTask"]


class PoseTask(BoxTask):
    """A detector's rows to `Detections` with keypoints."""

    name = "pose"

    def __init__(self, spec: ModelSpec, outputs: Sequence[str], frame_format: str) -> None:
        super().__init__(spec, outputs, frame_format, find=open_finder(spec))
        self._keypoints = KeypointReader(decoder_params(spec.decoder))

    def make_result(
        self, found: Candidates, placement: Placement, crops: MaskCrops | None = None
    ) -> Detections:
        """See BoxTask."""
        return Detections(
            found.boxes,
            found.scores,
            found.class_ids,
            placement.image_hw,
            self._labels,
            keypoints=self._keypoints.read(found.extra, placement),
        )
