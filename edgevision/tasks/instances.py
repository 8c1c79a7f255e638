"""Instances: boxes with a mask each, and keypoints where the network has them."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from numpy.typing import NDArray

from edgevision.geometry import Placement
from edgevision.ops.boxes import Candidates
from edgevision.ops.instance_masks import MaskCrops, assemble_masks
from edgevision.results import Detections, Masks
from edgevision.spec import ModelSpec, decoder_params
from edgevision.tasks.box_task import BoxTask
from edgevision.tasks.boxes import open_finder
from edgevision.tasks.keypoints import KeypointReader

__all__ = ["InstancesTask"]


class InstancesTask(BoxTask):
    """A detector's rows and the prototypes of its masks to `Detections` with masks.

    An object whose mask is empty is dropped, after `max_detections` counted it: as Ultralytics does.
    """

    name = "instances"

    def __init__(self, spec: ModelSpec, outputs: Sequence[str], frame_format: str) -> None:
        super().__init__(spec, outputs, frame_format, find=open_finder(spec), tensors=2)
        params = decoder_params(spec.decoder)
        self._masks = int(params["masks"])  # type: ignore[arg-type]
        self.mask_crop = str(params["mask_crop"])
        self._keypoints = KeypointReader(params, first=self._masks) if params["keypoints"] else None

    def make_result(
        self, found: Candidates, placement: Placement, crops: MaskCrops | None = None
    ) -> Detections:
        """See BoxTask."""
        masks = Masks.empty(placement.image_hw) if crops is None else Masks(placement.image_hw, *crops)
        result = Detections(
            found.boxes,
            found.scores,
            found.class_ids,
            placement.image_hw,
            self._labels,
            masks=masks,
            keypoints=None if self._keypoints is None else self._keypoints.read(found.extra, placement),
        )
        filled = masks.area > 0
        return result if filled.all() else result[filled]

    def _assemble(self, found: Candidates, rows: Sequence[NDArray[Any]], placement: Placement) -> MaskCrops:
        return assemble_masks(
            found.extra[:, : self._masks], rows[1], found.boxes, placement, crop=self.mask_crop
        )
