"""Argument checks that the faces of boxes, scores and masks share."""

from __future__ import annotations

from collections.abc import Iterable
from functools import lru_cache
from typing import Any

import numpy as np
from numpy.typing import NDArray

from edgevision.errors import InputError

__all__ = [
    "allowed_classes",
    "as_contiguous",
    "check_apart",
    "check_count",
    "check_fraction",
    "check_output",
    "describe",
]

_FLOATS = (np.dtype(np.float32), np.dtype(np.float16))


def describe(value: object) -> str:
    """How an error names a wrong argument: dtype and shape of an array, type of anything else."""
    if isinstance(value, np.ndarray):
        return f"{value.dtype} {value.shape}"
    return f"a {type(value).__name__}"


def check_output(name: str, array: NDArray[Any], ndim: int, shape: str) -> NDArray[Any]:
    """`array`, checked to be float32 or float16 of `ndim` dimensions; copied only when it is not aligned."""
    if not isinstance(array, np.ndarray) or array.ndim != ndim or array.dtype not in _FLOATS:
        hint = f"; pass {name}[0], one image at a time" if getattr(array, "ndim", 0) == ndim + 1 else ""
        raise InputError(f"{name} must be float32 or float16 {shape}, got {describe(array)}{hint}")
    return array if array.flags.aligned else array.copy()


def as_contiguous(array: NDArray[Any]) -> NDArray[Any]:
    """`array`, copied unless it is C-contiguous and aligned.

    np.ascontiguousarray returns a contiguous array as it is, aligned or not, and kernels read whole elements.
    """
    flags = array.flags
    return array if flags.c_contiguous and flags.aligned else array.copy()


def check_apart(name: str, array: NDArray[Any], out: NDArray[Any], *, but_for_same: bool = False) -> None:
    """Raises InputError where writing `out` would change `array` before it is read.

    but_for_same: contiguous arrays of the same elements are fine, where each is read before it is written.
    """
    # Bounds are enough: no sensible caller interleaves an input with its output, and an exact answer may take long.
    if np.may_share_memory(array, out) and not (but_for_same and _are_same(array, out)):
        raise InputError(
            f"{name} and out share memory: writing out would change {name}; pass an out of its own"
        )


def _are_same(array: NDArray[Any], out: NDArray[Any]) -> bool:
    if array.dtype != out.dtype or array.shape != out.shape:
        return False
    contiguous = array.flags.c_contiguous and out.flags.c_contiguous
    return contiguous and bool(array.__array_interface__["data"] == out.__array_interface__["data"])


def check_fraction(name: str, value: float) -> float:
    """`value` as a float, checked to be 0 to 1."""
    if not 0.0 <= value <= 1.0:
        raise InputError(f"{name} must be a number from 0 to 1, got {value!r}")
    return float(value)


def check_count(name: str, value: int) -> int:
    """`value` as an int, checked to be at least 1."""
    if not isinstance(value, (int, np.integer)) or value < 1:
        raise InputError(f"{name} must be a whole number from 1 on, got {value!r}")
    return int(value)


def allowed_classes(classes: Iterable[int] | None, num_classes: int | None) -> NDArray[np.uint8] | None:
    """uint8 (num_classes,), 1 for each of `classes`; None, which keeps all, for None.

    num_classes None: ids have no upper bound but 65535, and the result ends at the largest.
    """
    return None if classes is None else _allowed(tuple(classes), num_classes)


@lru_cache(maxsize=64)
def _allowed(classes: tuple[int, ...], num_classes: int | None) -> NDArray[np.uint8]:
    bound = 65536 if num_classes is None else num_classes
    for class_id in classes:
        if not isinstance(class_id, (int, np.integer)) or not 0 <= class_id < bound:
            raise InputError(f"classes must be whole numbers from 0 to {bound - 1}, got {class_id!r}")
    size = max(classes, default=0) + 1 if num_classes is None else num_classes
    allowed = np.zeros(size, np.uint8)
    allowed[list(classes)] = 1
    allowed.flags.writeable = False
    return allowed
