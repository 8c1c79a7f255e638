"""What stands behind the network in a frame's graph: outputs become what a result needs, and only that comes down."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any, Protocol, TypeAlias

from edgevision.backends.cuda import DeviceSession
from edgevision.frame_graph.box_finisher import open_box_finisher
from edgevision.frame_graph.label_finisher import open_label_finisher
from edgevision.geometry import Placement
from edgevision.results import Result
from edgevision.spec import ModelSpec
from edgevision.tasks.base import Task
from edgevision.tasks.box_task import BoxTask
from edgevision.tasks.options import RunOptions
from edgevision.tasks.semantic import SemanticTask

__all__ = ["Finisher", "OpenFinisher", "OutputFinisher", "open_finisher"]


class Finisher(Protocol):
    """It belongs to one slot, one shape of the network's input and one set of options."""

    @property
    def version(self) -> int:
        """Another number when what was recorded of it no longer holds."""
        ...

    def place(self, placements: Sequence[Placement]) -> tuple[int, ...]:
        """Tells it where the images of the next launch lie; what a recording depends on besides `version`."""
        ...

    def put(self, count: int) -> None:
        """Puts the work for the first images on the session's stream, down to the copies for the processor."""
        ...

    def read(self, placements: Sequence[Placement]) -> list[Result]:
        """The results, once the stream is done."""
        ...

    def on_device(self, count: int) -> dict[str, Any]:
        """What the results are made of, on the device, by name."""
        ...


OpenFinisher: TypeAlias = Callable[[DeviceSession, tuple[int, int], RunOptions], Finisher]
"""(session, (H, W) of the network's input, options) -> the finisher, once the network's outputs are known."""


def open_finisher(
    spec: ModelSpec, task: Task, session: DeviceSession, input_hw: tuple[int, int], options: RunOptions
) -> Finisher:
    """The finisher that does most of the task's work on the GPU, with the processor's numbers.

    Raises SpecError where the outputs are not as the spec's decoder says.
    """
    made: Finisher | None = None
    if isinstance(task, BoxTask):
        made = open_box_finisher(session, spec, task, input_hw, options)
    elif isinstance(task, SemanticTask):
        made = open_label_finisher(session, spec, task)
    return made or OutputFinisher(session, task, options)


class OutputFinisher:
    """Outputs come down as they are, and the task works on the processor: for those that are small anyway, as scores and
    embeddings are, and for decoders that the GPU does not have."""

    version = 0

    def __init__(self, session: DeviceSession, task: Task, options: RunOptions) -> None:
        self._session, self._task, self._options = session, task, options

    def place(self, placements: Sequence[Placement]) -> tuple[int, ...]:
        """See Finisher."""
        return ()

    def put(self, count: int) -> None:
        """See Finisher."""
        self._session.download(self._task.reads)

    def read(self, placements: Sequence[Placement]) -> list[Result]:
        """See Finisher."""
        return self._task.finish(self._session.output_arrays(), placements, self._options)

    def on_device(self, count: int) -> dict[str, Any]:
        """See Finisher: the outputs that the task reads, by their names."""
        session, made = self._session, {}
        arrays = session.output_arrays()
        for name in self._task.reads:
            array = arrays[name]
            shape = [min(count, array.shape[0]), *array.shape[1:]]
            address = session.output_address(name)
            made[name] = session.cuda.view_memory(address, shape, array.dtype.name, session)
        return made
