"""Every task this version can run."""

from __future__ import annotations

from collections.abc import Sequence

from edgevision.errors import SpecError
from edgevision.spec import ModelSpec
from edgevision.tasks.base import Task, TaskFactory
from edgevision.tasks.classify import ClassifyTask
from edgevision.tasks.detect import DetectTask
from edgevision.tasks.embed import EmbedTask
from edgevision.tasks.instances import InstancesTask
from edgevision.tasks.oriented import OrientedTask
from edgevision.tasks.pose import PoseTask
from edgevision.tasks.semantic import SemanticTask

__all__ = ["RUNNABLE_TASKS", "open_task"]

RUNNABLE_TASKS: dict[str, TaskFactory] = {
    "classify": ClassifyTask,
    "detect": DetectTask,
    "embed": EmbedTask,
    "instances": InstancesTask,
    "oriented": OrientedTask,
    "pose": PoseTask,
    "semantic": SemanticTask,
}


def open_task(spec: ModelSpec, outputs: Sequence[str], frame_format: str = "bgr") -> Task:
    """The task that a spec describes, for a network with these outputs.

    Raises SpecError for a task that this version cannot run, or a decoder whose outputs the network lacks.
    """
    factory = RUNNABLE_TASKS.get(spec.task)
    if spec.task == "promptable":
        raise SpecError(
            "task 'promptable' is two networks and takes prompts: open its bundle with edgevision.load, which gives a "
            "PromptableModel"
        )
    if factory is None:
        raise SpecError(
            f"task {spec.task!r} cannot be run by this version; it runs: {', '.join(RUNNABLE_TASKS)}"
        )
    return factory(spec, outputs, frame_format)
