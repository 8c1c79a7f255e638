"""What the kernels may rely on once the faces have checked an argument."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest

from edgevision.errors import InputError
from edgevision.ops._checks import allowed_classes, as_contiguous, check_count, check_fraction, check_output

MATRIX = np.arange(12, dtype=np.float32).reshape(3, 4)


def unaligned(array: np.ndarray) -> np.ndarray:
    """The same numbers one byte off: contiguous, and nothing a kernel may read."""
    moved = np.frombuffer(b"x" + array.tobytes(), np.uint8)[1:].view(array.dtype).reshape(array.shape)
    assert moved.flags.c_contiguous
    assert not moved.flags.aligned
    return moved


@pytest.mark.parametrize("dtype", [np.float32, np.float16, np.int64])
@pytest.mark.parametrize(
    "arrange",
    [
        pytest.param(unaligned, id="unaligned"),
        pytest.param(np.asfortranarray, id="fortran"),
        pytest.param(lambda a: np.repeat(a, 2, axis=0)[::2], id="strided"),
    ],
)
def test_as_contiguous_copies_what_a_kernel_cannot_read(arrange: Any, dtype: type) -> None:
    found = as_contiguous(arrange(MATRIX.astype(dtype)))
    assert found.flags.c_contiguous
    assert found.flags.aligned
    np.testing.assert_array_equal(found, MATRIX)


def test_what_a_kernel_can_read_is_not_copied() -> None:
    assert as_contiguous(MATRIX) is MATRIX
    view = np.asfortranarray(MATRIX)
    assert check_output("output", view, 2, "(a, b)") is view


@pytest.mark.parametrize("dtype", [np.float32, np.float16])
def test_check_output_aligns(dtype: type) -> None:
    found = check_output("output", unaligned(MATRIX.astype(dtype)), 2, "(a, b)")
    assert found.flags.aligned
    np.testing.assert_array_equal(found, MATRIX)


def test_allowed_classes_are_a_read_only_table() -> None:
    table = allowed_classes([2, 0], 4)
    assert table is not None
    assert table.tolist() == [1, 0, 1, 0]
    assert not table.flags.writeable  # it is shared between calls
    assert allowed_classes(np.array([3]), None).tolist() == [0, 0, 0, 1]
    assert allowed_classes([], None).tolist() == [0]
    assert allowed_classes(None, 4) is None


@pytest.mark.parametrize("value", [0, -1, 2.0, "3", None], ids=repr)
def test_counts_are_whole_numbers_from_one_on(value: Any) -> None:
    with pytest.raises(InputError, match="top_k must be a whole number from 1 on"):
        check_count("top_k", value)
    assert check_count("top_k", np.int32(7)) == 7


@pytest.mark.parametrize("value", [-0.1, 1.1, float("nan"), float("inf")])
def test_fractions_are_from_zero_to_one(value: float) -> None:
    with pytest.raises(InputError, match="iou must be a number from 0 to 1"):
        check_fraction("iou", value)
    assert check_fraction("iou", np.float32(0.5)) == 0.5
