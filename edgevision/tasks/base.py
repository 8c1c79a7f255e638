"""What a task is: images to tensors, tensors to results. It never sees a runtime."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from typing import Any, Protocol, TypeAlias

from numpy.typing import NDArray

from edgevision.geometry import Placement
from edgevision.results import Result
from edgevision.spec import ModelSpec
from edgevision.tasks.options import RunOptions
from edgevision.tasks.preparation import ImagePreparation

__all__ = ["Task", "TaskFactory"]


class Task(Protocol):
    """One way to use a network."""

    name: str
    options: frozenset[str]
    """Names of the RunOptions that `finish` reads."""
    reads: tuple[str, ...]
    """Names of the outputs that `finish` reads."""
    preparation: ImagePreparation
    """Writes images into the network's input."""

    def finish(
        self, outputs: Mapping[str, NDArray[Any]], placements: Sequence[Placement], options: RunOptions
    ) -> list[Result]:
        """One result an image, from the network's outputs; nothing in it refers to their memory."""
        ...


TaskFactory: TypeAlias = Callable[[ModelSpec, Sequence[str], str], Task]
"""(spec, names of the network's outputs, pixel format of the frames) -> the task."""
