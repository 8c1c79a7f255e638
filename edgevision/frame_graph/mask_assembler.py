"""Instance masks on the GPU: each comes down in its own window."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np
from numpy.typing import NDArray

from edgevision.backends.cuda import DeviceSession
from edgevision.geometry import Placement
from edgevision.ops.instance_masks import MaskCrops, find_region
from edgevision.tasks.instances import InstancesTask
from edgevision.tasks.options import RunOptions

__all__ = ["MaskAssembler", "open_mask_assembler"]

_LARGEST = 1 << 30
"""Bytes of masks of an image that the GPU's InstanceMasks allows."""
_MOST_DETECTIONS = 65535


def open_mask_assembler(
    session: DeviceSession, task: InstancesTask, prototypes: NDArray[Any], options: RunOptions
) -> MaskAssembler | None:
    """None where the prototypes are none that the GPU reads; the task says on the processor what is wrong with them."""
    readable = prototypes.ndim == 4 and prototypes.dtype.name in ("float32", "float16")
    if not readable or 0 in prototypes.shape or options.max_detections > _MOST_DETECTIONS:
        return None
    return MaskAssembler(session, task, prototypes, options)


class MaskAssembler:
    """Masks of what a BoxFinder leaves on the device.

    How many bytes masks take is known on the device alone, and so many come down as the largest frame has pixels. Where
    that is not enough, room is made and the masks are assembled once more.
    """

    def __init__(
        self, session: DeviceSession, task: InstancesTask, prototypes: NDArray[Any], options: RunOptions
    ) -> None:
        self._session, self._task = session, task
        self._batch, self._count, self._map_hw = (
            prototypes.shape[0],
            prototypes.shape[1],
            prototypes.shape[2:],
        )
        self._half = prototypes.dtype == np.float16
        self._max_detections = options.max_detections
        self._limit_hw = (0, 0)
        self._capacity = 0
        self._placements: Sequence[Placement] = ()
        self._masks: Any = None
        self.version = 0

    def place(self, placements: Sequence[Placement]) -> None:
        """Tells where the images of the next launch lie."""
        self._placements = placements
        height = max(self._limit_hw[0], *(placement.image_hw[0] for placement in placements))
        width = max(self._limit_hw[1], *(placement.image_hw[1] for placement in placements))
        if (height, width) != self._limit_hw:
            self._make((height, width), max(self._capacity, height * width))
        else:
            self._place()

    def put(self, finder: Any, count: int) -> None:
        """Puts the assembly on the session's stream, behind `finder`."""
        session = self._session
        self._masks.assemble(
            session.output_address(self._task.reads[1]), finder.counts_pointer, finder.boxes_pointer,
            finder.extra_pointer, finder.extra.shape[2], count, session.stream,
        )  # fmt: skip

    def complete(self, finder: Any, counts: NDArray[np.int32]) -> bool:
        """Sees to it that all masks of the images are there, once the stream is done; False where that cannot be.

        counts: how many objects `finder` left of each image.
        """
        while (self._masks.counts[: len(counts)] < counts).any():
            if self._capacity == _LARGEST:
                return False
            self._make(self._limit_hw, min(2 * self._capacity, _LARGEST))
            self.put(finder, len(counts))
            self._session.stream.synchronize()
        return True

    def read(self, index: int, count: int) -> MaskCrops:
        """The masks of an image's `count` objects."""
        offsets = self._masks.offsets[index, : count + 1].astype(np.int64)
        data = self._masks.data[index, : offsets[-1]].copy()
        return MaskCrops(self._masks.windows[index, :count].copy(), offsets, data)

    def _make(self, limit_hw: tuple[int, int], capacity: int) -> None:
        # Before there is more; where there is none, nothing that was made for these masks holds.
        self._masks, self._limit_hw = None, (0, 0)
        self.version += 1
        self._masks = self._session.cuda.InstanceMasks(
            batch=self._batch, prototypes=self._count, map_hw=self._map_hw, half=self._half,
            max_detections=self._max_detections, max_hw=limit_hw, capacity=capacity,
        )  # fmt: skip
        self._limit_hw, self._capacity = limit_hw, capacity
        self._place()

    def _place(self) -> None:
        height, width = self._map_hw
        crop = self._task.mask_crop
        for index, placement in enumerate(self._placements):
            region = find_region(placement, height, width, crop)
            first = (region.rows.start or 0, region.columns.start or 0)
            size = (
                height if region.rows.stop is None else region.rows.stop - first[0],
                width if region.columns.stop is None else region.columns.stop - first[1],
            )
            canvas_h, canvas_w = placement.canvas_hw
            self._masks.place(
                index, crop == "prototype", placement.gain_yx, placement.offset_yx,
                (size[0] / canvas_h, size[1] / canvas_w), region.roi_yxhw, region.via_hw, placement.image_hw,
                first, size,
            )  # fmt: skip
