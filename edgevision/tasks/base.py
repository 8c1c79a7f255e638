"""What a task is: images to tensors, tensors to results. It never sees a runtime."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from typing import Any, Protocol, TypeAlias

from numpy.typing import NDArray

from edgevision.geometry import Placement
from edgevision.results import Result
from edgevision.spec import ModelSpec
from edgevision.tasks.options import RunOptions

__all__ = ["Buffers", "Task", "TaskFactory"]

Buffers: TypeAlias = Callable[[str, tuple[int, ...]], NDArray[Any]]
"""(input name, shape) -> the session's own array, to be written in place."""


class Task(Protocol):
    """One way to use a network."""

    name: str
    options: frozenset[str]
    """Names of the RunOptions that `finish` reads."""

    def prepare(self, images: Sequence[NDArray[Any]], buffers: Buffers, batch: int | None) -> list[Placement]:
        """Write the images into the network's inputs; where each of them lies there.

        images: uint8 arrays as ops.image takes them.
        batch:  rows of the tensor when it is fixed (unused rows keep what they hold); None: one row an image.
        """
        ...

    def finish(
        self, outputs: Mapping[str, NDArray[Any]], placements: Sequence[Placement], options: RunOptions
    ) -> list[Result]:
        """One result an image, from the network's outputs; nothing in it refers to their memory."""
        ...


TaskFactory: TypeAlias = Callable[[ModelSpec, Sequence[str], str], Task]
"""(spec, names of the network's outputs, pixel format of the frames) -> the task."""
