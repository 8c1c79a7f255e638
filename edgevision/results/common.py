"""What the result types share."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import fields
from typing import Any

import numpy as np

from edgevision.errors import InputError, MissingDependencyError

__all__ = ["freeze_arrays", "import_supervision", "label_of", "resolve_classes"]


def freeze_arrays(result: Any) -> None:
    """Make every array field read-only: a result can be handed to several consumers without copies."""
    for item in fields(result):
        value = getattr(result, item.name)
        if isinstance(value, np.ndarray) and value.flags.writeable:
            value.setflags(write=False)


def label_of(labels: Sequence[str], class_id: int) -> str:
    return labels[class_id] if 0 <= class_id < len(labels) else f"class {class_id}"


def resolve_classes(classes: Sequence[int | str], labels: Sequence[str]) -> list[int]:
    """Class ids of names or ids; InputError lists the names when one is unknown."""
    ids: list[int] = []
    for item in classes:
        if isinstance(item, str):
            found = [index for index, label in enumerate(labels) if label == item]
            if not found:
                known = ", ".join(labels) if labels else "none: this model carries no labels, use class ids"
                raise InputError(f"unknown class name {item!r}; accepted: {known}")
            ids += found
        elif isinstance(item, (int, np.integer)) and not isinstance(item, bool) and item >= 0:
            if labels and int(item) >= len(labels):
                raise InputError(f"class id {int(item)} is out of range; accepted: 0 to {len(labels) - 1}")
            ids.append(int(item))
        else:
            raise InputError(f"a class must be a name or an id of at least 0, got {item!r}")
    return ids


def import_supervision() -> Any:
    try:
        import supervision
    except ImportError:
        raise MissingDependencyError("supervision", "supervision", "to_supervision()") from None
    return supervision
