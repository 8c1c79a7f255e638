"""The thresholds of one call."""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass, replace
from typing import Any

from edgevision.errors import InputError
from edgevision.results.common import resolve_classes
from edgevision.spec import Thresholds

__all__ = ["RunOptions", "override_options"]


@dataclass(frozen=True, slots=True)
class RunOptions:
    """What a task's `finish` may drop.

    confidence:     keep scores strictly greater, 0-1.
    iou:            suppress boxes that overlap a better one by more, 0-1.
    max_detections: objects per image at most.
    classes:        class ids to keep; None keeps all.
    class_agnostic: suppress across classes.
    """

    confidence: float = 0.25
    iou: float = 0.7
    max_detections: int = 300
    classes: tuple[int, ...] | None = None
    class_agnostic: bool = False

    @classmethod
    def from_thresholds(cls, thresholds: Thresholds) -> RunOptions:
        """The defaults that a spec names."""
        return cls(
            confidence=thresholds.confidence,
            iou=thresholds.iou,
            max_detections=thresholds.max_detections,
            class_agnostic=thresholds.class_agnostic,
        )


def override_options(
    options: RunOptions,
    changes: dict[str, Any],
    *,
    accepted: frozenset[str],
    task: str,
    labels: Sequence[str],
) -> RunOptions:
    """`options` with every change that is not None applied.

    Raises InputError for an option that the task has no use for, a value out of range, or an unknown class.
    """
    given = {name: value for name, value in changes.items() if value is not None}
    for name in given:
        if name not in accepted:
            known = ", ".join(sorted(accepted)) or "none"
            raise InputError(f"task {task!r} has no option {name!r}; accepted: {known}")
    for name in ("confidence", "iou"):
        if name in given:
            given[name] = _fraction(name, given[name])
    if "max_detections" in given:
        count = given["max_detections"]
        if isinstance(count, bool) or not isinstance(count, int) or count < 1:
            raise InputError(f"max_detections must be an int of at least 1, got {count!r}")
    if "class_agnostic" in given and not isinstance(given["class_agnostic"], bool):
        raise InputError(f"class_agnostic must be True or False, got {given['class_agnostic']!r}")
    if "classes" in given:
        classes = given["classes"]
        if isinstance(classes, (str, int)):
            classes = [classes]
        given["classes"] = tuple(sorted(set(resolve_classes(classes, labels))))
    return replace(options, **given) if given else options


def _fraction(name: str, value: Any) -> float:
    try:
        number = float(value)
    except (TypeError, ValueError):
        number = math.nan
    if not 0.0 <= number <= 1.0:
        raise InputError(f"{name} must be a number from 0 to 1, got {value!r}")
    return number
