"""Detection on the GPU: what is kept comes down, not the network's outputs; masks and keypoints with it."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np
from numpy.typing import NDArray

from edgevision.backends.cuda import DeviceSession
from edgevision.frame_graph.box_arguments import MAX_CANDIDATES, box_arguments
from edgevision.frame_graph.mask_assembler import MaskAssembler, open_mask_assembler
from edgevision.geometry import Placement
from edgevision.ops.candidates import Candidates
from edgevision.results import Result
from edgevision.spec import ModelSpec
from edgevision.tasks.box_task import BoxTask
from edgevision.tasks.instances import InstancesTask
from edgevision.tasks.options import RunOptions

__all__ = ["BoxFinisher", "open_box_finisher"]


def open_box_finisher(
    session: DeviceSession, spec: ModelSpec, task: BoxTask, input_hw: tuple[int, int], options: RunOptions
) -> BoxFinisher | None:
    """None where only the processor finds boxes in such outputs."""
    arrays = session.output_arrays()
    tensors = [arrays[name] for name in task.reads]
    arguments = box_arguments(spec, tensors, input_hw, options)
    if arguments is None:
        return None
    masks = None
    if isinstance(task, InstancesTask):
        masks = open_mask_assembler(session, task, tensors[1], options)
        if masks is None:
            return None
    try:
        finder = session.cuda.BoxFinder(**arguments)
    except (
        ValueError
    ):  # outputs that are not as the spec says, or options beyond the GPU's: the processor has words
        return None
    return BoxFinisher(session, task, finder, masks, options, arguments)


class BoxFinisher:
    """Outputs of a detector to detections."""

    def __init__(
        self,
        session: DeviceSession,
        task: BoxTask,
        finder: Any,
        masks: MaskAssembler | None,
        options: RunOptions,
        arguments: dict[str, Any],
    ) -> None:
        """arguments: those that `finder`, the GPU's BoxFinder, was made with."""
        self._session, self._task, self._options = session, task, options
        self._finder = finder
        # Where each download goes; to ask the finder anew each time would cost more than to copy what is found.
        self._counts, self._hits = finder.counts, finder.hits
        self._boxes, self._scores = finder.boxes, finder.scores
        self._class_ids, self._extra = finder.class_ids, finder.extra
        self._rotated = arguments["coding"] == "rotated"
        self._suppresses = arguments["suppress"]
        self._masks = masks

    @property
    def version(self) -> int:
        """See Finisher."""
        return 0 if self._masks is None else self._masks.version

    def place(self, placements: Sequence[Placement]) -> tuple[int, ...]:
        """See Finisher."""
        for index, placement in enumerate(placements):
            (top, left), (gain_y, gain_x) = placement.offset_yx, placement.gain_yx
            height, width = placement.image_hw
            self._finder.map(index, left, top, gain_x, gain_y, width, height)
        if self._masks is not None:
            self._masks.place(placements)
        return ()

    def put(self, count: int) -> None:
        """See Finisher."""
        session, names = self._session, self._task.reads
        scores = session.output_address(names[0])
        # A DETR's boxes are a tensor of their own; the second tensor of others holds prototypes.
        boxes = session.output_address(names[1]) if len(names) > 1 and self._masks is None else scores
        self._finder.find(scores, boxes, count, session.stream)
        if self._masks is not None:
            self._masks.put(self._finder, count)

    def read(self, placements: Sequence[Placement]) -> list[Result]:
        """See Finisher."""
        count = len(placements)
        complete = self._masks is None or self._masks.complete(self._finder, self._counts[:count])
        if not complete or any(self._is_cut_off(index) for index in range(count)):
            return self._read_on_the_processor(placements)
        return [self._read_one(index, placement) for index, placement in enumerate(placements)]

    def on_device(self, count: int) -> dict[str, Any]:
        """See Finisher: "counts", "boxes", "scores", "class_ids", "extra", as the GPU's BoxFinder has them."""
        finder, view = self._finder, self._session.cuda.view_memory
        made = {}
        for name in ("counts", "boxes", "scores", "class_ids", "extra"):
            host = getattr(finder, name)
            shape = [count, *host.shape[1:]]
            made[name] = view(getattr(finder, f"{name}_pointer"), shape, host.dtype.name, finder)
        return made

    def _read_one(self, index: int, placement: Placement) -> Result:
        count = int(self._counts[index])
        boxes: NDArray[np.float32] = self._boxes[index, :count]
        found = Candidates(
            placement.rotated_to_image(boxes) if self._rotated else boxes.copy(),
            self._scores[index, :count].copy(),
            self._class_ids[index, :count].astype(np.int64),
            self._extra[index, :count].copy(),
        )
        crops = None if self._masks is None else self._masks.read(index, count)
        return self._task.make_result(found, placement, crops)

    def _is_cut_off(self, index: int) -> bool:
        """Whether boxes took no part that the processor would have kept: there were too many, and room was left."""
        return bool(
            self._suppresses
            and self._hits[index] > MAX_CANDIDATES
            and self._counts[index] < self._options.max_detections
        )

    def _read_on_the_processor(self, placements: Sequence[Placement]) -> list[Result]:
        session = self._session
        session.download(self._task.reads)
        session.stream.synchronize()
        return self._task.finish(session.output_arrays(), placements, self._options)
