"""What the tasks that find boxes share: one network input, rows of candidates, the same thresholds."""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Mapping, Sequence
from typing import Any

from numpy.typing import NDArray

from edgevision.geometry import Placement
from edgevision.ops.boxes import Candidates
from edgevision.results import Result
from edgevision.spec import ModelSpec
from edgevision.tasks.base import Buffers
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
        self._outputs = select_outputs(spec, outputs, tensors)
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
        results: list[Result] = []
        for index, placement in enumerate(placements):
            rows = [tensor[index] for tensor in tensors]
            results.append(self._result(self._find(rows, placement, options), rows, placement))
        return results

    @abstractmethod
    def _result(self, found: Candidates, rows: Sequence[NDArray[Any]], placement: Placement) -> Result:
        """The result of one image, from what was found in its rows of the outputs."""
