"""What the tasks that find boxes share: one network input, rows of candidates, the same thresholds."""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Mapping, Sequence
from typing import Any

from numpy.typing import NDArray

from edgevision.geometry import Placement
from edgevision.ops.boxes import Candidates
from edgevision.ops.instance_masks import MaskCrops
from edgevision.results import Result
from edgevision.spec import ModelSpec
from edgevision.tasks.boxes import Find
from edgevision.tasks.options import RunOptions
from edgevision.tasks.outputs import select_outputs
from edgevision.tasks.preparation import ImagePreparation

__all__ = ["BoxTask"]


class BoxTask(ABC):
    """Finds what each image holds; a subclass makes it the task's result."""

    options = frozenset({"confidence", "iou", "max_detections", "classes", "class_agnostic"})

    def __init__(
        self, spec: ModelSpec, outputs: Sequence[str], frame_format: str, *, find: Find, tensors: int = 1
    ) -> None:
        """tensors: how many outputs the decoder reads. Raises SpecError when the network lacks one."""
        self._find = find
        self.reads = select_outputs(spec, outputs, tensors)
        self._labels = spec.labels
        self.preparation = ImagePreparation(spec.inputs[0], frame_format)

    def finish(
        self, outputs: Mapping[str, NDArray[Any]], placements: Sequence[Placement], options: RunOptions
    ) -> list[Result]:
        """See Task."""
        tensors = [outputs[name] for name in self.reads]
        results: list[Result] = []
        for index, placement in enumerate(placements):
            rows = [tensor[index] for tensor in tensors]
            found = self._find(rows, placement, options)
            results.append(self.make_result(found, placement, self._assemble(found, rows, placement)))
        return results

    @abstractmethod
    def make_result(self, found: Candidates, placement: Placement, crops: MaskCrops | None = None) -> Result:
        """The result of one image, from what was found in it: boxes in its pixels, `extra` as the network gives it.

        crops: the objects' masks, where the task has such.
        """

    def _assemble(
        self, found: Candidates, rows: Sequence[NDArray[Any]], placement: Placement
    ) -> MaskCrops | None:
        return None
