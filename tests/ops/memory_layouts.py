"""Arrays laid out in memory in every way that NumPy has, between guards."""

from __future__ import annotations

import numpy as np

__all__ = ["FILL", "GUARD", "WAYS", "arrange", "assert_nothing_beside_was_written"]

WAYS = {
    # how an array may lie that must be contiguous, have contiguous rows, or may have any strides
    "C": ("packed",),
    "rows": ("packed", "padded", "flipped"),
    "any": ("packed", "cropped", "padded", "flipped", "spaced", "reversed", "fortran"),
}
FILL = 0x5A
GUARD = 192


def arrange(array: np.ndarray, way: str, shift: int) -> tuple[np.ndarray, np.ndarray]:
    """(memory, the array in it, its lowest element `shift` bytes after a multiple of 64).

    way: "cropped" leaves a gap behind each row of an image, "padded" behind every axis.
    """
    item, gap = array.itemsize, 0 if way == "packed" else 3 * array.itemsize
    step = 2 * item if way in ("spaced", "reversed") else item
    strides = [0] * array.ndim
    axes = range(array.ndim) if way == "fortran" else reversed(range(array.ndim))
    for axis in axes:
        strides[axis] = step
        step = step * max(array.shape[axis], 1) + (gap if way != "cropped" or axis == 1 else 0)
    against = {"flipped": range(array.ndim - 1), "reversed": range(array.ndim)}.get(way, ())
    memory = np.full(step + 2 * GUARD + 64 + shift, FILL, np.uint8)
    offset = -memory.ctypes.data % 64 + GUARD + shift
    for axis in against:
        offset += strides[axis] * max(array.shape[axis] - 1, 0)
        strides[axis] = -strides[axis]
    view = np.ndarray(array.shape, array.dtype, memory, offset, strides)
    view[...] = array
    return memory, view


def assert_nothing_beside_was_written(memory: np.ndarray, view: np.ndarray) -> None:
    """Fails unless `memory`, of arrange, is as it was but for the array; overwrites that."""
    whole_numbers = view.view(f"u{view.itemsize}")
    whole_numbers[...] = np.full(view.itemsize, FILL, np.uint8).view(whole_numbers.dtype)[0]
    assert (memory == FILL).all()
