"""The native functions on arrays that callers get wrong: the right result or a clear error, never a crash.

A case is a good call. Each of its arrays in turn is made read-only, misaligned, reversed in memory, an element short or
empty; what is written is watched for bytes outside it.
"""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import suppress
from dataclasses import dataclass
from typing import Any

import numpy as np
import pytest
from implementations import implementation

REFUSALS = (
    ValueError,
    TypeError,
)  # TypeError: of a dtype, a number of dimensions or a read-only array to write
GUARD = 64


@dataclass(frozen=True)
class Case:
    """A good call: its arguments in order, and which of them it writes."""

    name: str
    arguments: tuple[Any, ...]
    written: tuple[int, ...] = ()


def random(*shape: int, dtype: str = "float32") -> np.ndarray:
    values = np.random.default_rng(sum(shape) + 1).normal(size=shape) * 3
    return (np.abs(values) * 40).astype(dtype) if np.dtype(dtype).kind in "iu" else values.astype(dtype)


def boxes(count: int) -> np.ndarray:
    corner = np.abs(random(count, 2)) * 5
    return np.hstack([corner, corner + 1 + np.abs(random(count, 2))]).astype(np.float32)


YUV = (16, 1220542, 1673527, -409993, -852492, 2116026)
PLANES = tuple(random(*shape, dtype="uint8") for shape in ((6, 34), (3, 17), (3, 17)))
TABLE = np.ascontiguousarray(np.broadcast_to(np.arange(256, dtype=np.float32), (3, 256)))
PLACEMENT = (9, 30, 2, 1, 1, 0, 1, 2, False, False)
ALLOWED = np.ones(3, np.uint8)
IMAGE_OUT = np.zeros((3, 12, 33), np.float32)

CASES = (
    Case("write_image", (random(7, 19, 3, dtype="uint8"), IMAGE_OUT, TABLE, np.zeros(3, np.float32), *PLACEMENT), (1,)),
    Case("write_yuv", (*PLANES, *YUV, IMAGE_OUT, TABLE, np.zeros(3, np.float32), *PLACEMENT), (9,)),
    Case("convert_yuv", (*PLANES, np.zeros((6, 34, 3), np.uint8), *YUV, True), (3,)),
    Case("decode_dense", (random(40, 7), 3, 0, False, 0.5, ALLOWED, False, 1.0, 1.0)),
    Case("decode_rows", (random(40, 6), 0.5, ALLOWED, False)),
    Case("decode_queries", (random(20, 3), random(20, 4), 10, 0.5, ALLOWED, 64.0, 64.0)),
    Case("nms", (boxes(33), random(33), random(33, dtype="int64"), 0.5, 20, 0.0, 30000, False, True)),
    Case(
        "detect_dense",
        (random(40, 7), 3, False, 0.5, ALLOWED, False, 0.5, 20, 0.0, 30000, 0.0, 0.0, 1.0, 1.0, 64.0, 64.0),
    ),
    Case("upsample_argmax", (random(5, 4, 9), 0.0, 0.0, 4.0, 9.0, np.zeros((11, 35), np.uint8)), (5,)),
    Case("resize_labels", (random(4, 9, dtype="int32"), 0.0, 0.0, 4.0, 9.0, np.zeros((11, 35), np.int32)), (5,)),
    Case("upsample_masks", (random(2, 4, 9), 0.0, 0.0, 4.0, 9.0, 0, 0, 0.0, np.zeros((2, 11, 35), np.uint8)), (8,)),
    Case(
        "assemble_masks",
        (random(3, 5), random(5, 8, 9), boxes(3), False, 1.0, 1.0, 0.0, 0.0, 0.25, 0.25, 0.0, 0.0, 8.0, 9.0, 0, 0, 32, 36),
    ),
    Case("encode_rle", (random(9, 35, dtype="uint8") % 2, 1, 2, 12, 40)),
    Case("decode_rle", (np.array([3, 4, 35], np.uint32), np.zeros((6, 7), np.uint8)), (1,)),
    Case("pack_rle", (np.array([3, 4, 35], np.uint32),)),
    Case("softmax", (random(3, 17, 5), 3, 17, 5, np.zeros((3, 17, 5), np.float32)), (4,)),
    Case("sigmoid", (random(37), np.zeros(37, np.float32)), (1,)),
    Case("top_k", (random(37), 5, np.zeros(5, np.float32), np.zeros(5, np.int64)), (2, 3)),
)  # fmt: skip
WITH_ARRAYS = tuple(
    pytest.param(case, index, id=f"{case.name}-{index}")
    for case in CASES
    for index, argument in enumerate(case.arguments)
    if isinstance(argument, np.ndarray)
)


def write_image(native: Any, image: Any, out: Any, table: Any, pad: Any, *numbers: Any) -> None:
    """A plan for the good call's image and tensor, and what it makes of these."""
    if not native.ImagePlan(7, 19, 3, 12, 33, table, pad, *numbers).write(image, out):
        raise ValueError("refused")


def write_yuv(native: Any, *arguments: Any) -> None:
    """The same for planes."""
    *frame, table, pad = arguments[:12]
    if not native.ImagePlan(6, 34, 3, 12, 33, table, pad, *arguments[12:]).write_yuv(*frame):
        raise ValueError("refused")


METHODS = {"write_image": write_image, "write_yuv": write_yuv}


@pytest.fixture(scope="module")
def native() -> Iterator[Any]:
    with implementation("native") as module:
        yield module


def call(native: Any, case: Case, changed: dict[int, np.ndarray]) -> list[Any]:
    """What a call returns and writes, with some of its arrays exchanged."""
    arguments = [
        changed.get(index, np.array(argument) if index in case.written else argument)
        for index, argument in enumerate(case.arguments)
    ]
    function = METHODS.get(case.name) or getattr(native, case.name)
    returned = function(native, *arguments) if case.name in METHODS else function(*arguments)
    results = list(returned) if isinstance(returned, tuple) else [returned]
    return [np.array(item) for item in results + [arguments[index] for index in case.written]]


def expect_same_or_refused(native: Any, case: Case, changed: dict[int, np.ndarray]) -> None:
    try:
        got = call(native, case, changed)
    except REFUSALS:
        return
    for one, other in zip(got, call(native, case, {}), strict=True):
        np.testing.assert_array_equal(one.reshape(other.shape), other)


def shifted(array: np.ndarray, offset: int) -> np.ndarray:
    """The same values from an address that is `offset` bytes beyond a multiple of the element's size."""
    memory = np.zeros(array.nbytes + 2 * GUARD, np.uint8)
    start = -memory.ctypes.data % GUARD + offset
    view = memory[start : start + array.nbytes].view(array.dtype).reshape(array.shape)
    view[...] = array
    return view


@pytest.mark.parametrize(("case", "index"), WITH_ARRAYS)
def test_read_only_arrays(native: Any, case: Case, index: int) -> None:
    array = case.arguments[index].copy()
    array.flags.writeable = False
    if index in case.written:
        with pytest.raises(REFUSALS):
            call(native, case, {index: array})
        assert np.array_equal(array, case.arguments[index])
    else:
        expect_same_or_refused(native, case, {index: array})


@pytest.mark.parametrize(("case", "index"), WITH_ARRAYS)
@pytest.mark.parametrize("offset", [1, 2, 3, 4, 31])
def test_misaligned_arrays(native: Any, case: Case, index: int, offset: int) -> None:
    expect_same_or_refused(native, case, {index: shifted(case.arguments[index], offset)})


@pytest.mark.parametrize(("case", "index"), WITH_ARRAYS)
def test_negative_strides(native: Any, case: Case, index: int) -> None:
    array = case.arguments[index]
    for axis in range(array.ndim):
        reversed_in_memory = np.flip(np.flip(array, axis).copy(), axis)
        assert np.array_equal(reversed_in_memory, array)
        expect_same_or_refused(native, case, {index: reversed_in_memory})


@pytest.mark.parametrize(("case", "index"), WITH_ARRAYS)
def test_arrays_a_row_or_an_element_short_or_empty(native: Any, case: Case, index: int) -> None:
    array = case.arguments[index]
    for axis in range(array.ndim):
        for size in {array.shape[axis] - 1, 0}:
            whole = np.full((array.nbytes // array.itemsize + 2 * GUARD,), 77, array.dtype)
            shape = (*array.shape[:axis], size, *array.shape[axis + 1 :])
            count = int(np.prod(shape))
            short = whole[GUARD : GUARD + count].reshape(shape)
            short[...] = np.take(array, range(size), axis)
            with suppress(*REFUSALS):
                call(native, case, {index: short})
            assert (whole[:GUARD] == 77).all()
            assert (whole[GUARD + count :] == 77).all()


@pytest.mark.parametrize(("case", "index"), WITH_ARRAYS)
def test_other_dtypes_and_numbers_of_dimensions(native: Any, case: Case, index: int) -> None:
    array = case.arguments[index]
    with pytest.raises(REFUSALS):
        call(native, case, {index: array.astype(np.complex64)})
    expect_same_or_refused(native, case, {index: array[None, None]})


def test_every_function_that_takes_arrays_is_here(native: Any) -> None:
    documented = {name: getattr(native, name) for name in dir(native)}
    documented |= {f"ImagePlan.{name}": getattr(native.ImagePlan, name) for name in dir(native.ImagePlan)}
    takes_arrays = {
        name for name, value in documented.items() if "ndarray" in (getattr(value, "__doc__", None) or "")
    }
    in_cases = {"ImagePlan.__init__", "ImagePlan.write_yuv"}  # METHODS
    assert takes_arrays - {case.name for case in CASES} <= {"decode_grid", *in_cases}
