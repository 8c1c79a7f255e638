"""What the result types share."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np
from numpy.typing import NDArray

from edgevision.errors import InputError, MissingDependencyError

__all__ = ["freeze_arrays", "import_supervision", "label_of", "resolve_classes", "resolve_selection"]


def freeze_arrays(result: Any) -> None:
    """Make every array field read-only: a result can be handed to several consumers without copies."""
    for name in result.__slots__:
        value = getattr(result, name)
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


def resolve_selection(key: Any, count: int, what: str) -> NDArray[np.int64]:
    """Indices int64 (K,) from 0 to count - 1 of the entries that `key` selects.

    key: a bool array (count,), indices (K,), a slice, or one int; negative indices count from the end.
    Raises IndexError for an index out of range, InputError for another kind of key; `what` names the entries.
    """
    if isinstance(key, slice):
        return np.arange(count, dtype=np.int64)[key]
    if isinstance(key, (int, np.integer)) and not isinstance(key, bool):
        key = [int(key)]
    array = np.asarray(key)
    if array.dtype == np.bool_ and array.shape == (count,):
        return np.flatnonzero(array)
    if array.ndim != 1 or (array.dtype.kind not in "iu" and array.size):
        raise InputError(
            f"a selection must be bool ({count},), indices (K,), a slice or an int, got {array.dtype} {array.shape}"
        )
    indices = array.astype(np.int64)
    outside = (indices < -count) | (indices >= count)
    if outside.any():
        raise IndexError(f"index {indices[outside][0]} is out of range for {count} {what}")
    return np.where(indices < 0, indices + count, indices)


def import_supervision() -> Any:
    try:
        import supervision
    except ImportError:
        raise MissingDependencyError("supervision", "supervision", "to_supervision()") from None
    return supervision
