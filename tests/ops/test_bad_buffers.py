"""The native functions on arrays that callers get wrong: the right result or a clear error, never a crash.

Each array of a good call is in turn made read-only, misaligned, reversed in memory, an element short, empty, or laid
across another one; what is written is watched for bytes outside it.
"""

from __future__ import annotations

import ast
from collections.abc import Iterator
from contextlib import suppress
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from implementations import implementation
from native_functions import FUNCTIONS, array_arguments
from native_functions import call as call_function

REFUSALS = (
    ValueError,
    TypeError,
)  # TypeError: of a dtype, a number of dimensions or a read-only array to write
ROOT = Path(__file__).parents[2]
GUARD = 64
GOOD_CALLS = {name: function.make(33, *function.variants[-1]) for name, function in FUNCTIONS.items()}
WITH_ARRAYS = tuple(
    pytest.param(name, index, id=f"{name}-{index}")
    for name, arguments in GOOD_CALLS.items()
    for index in array_arguments(arguments)
)
WITHOUT_ARRAYS = {
    "available_isas", "current_isa", "num_threads", "select_isa", "set_num_threads", "unpack_rle"
}  # fmt: skip


@pytest.fixture(scope="module")
def native() -> Iterator[Any]:
    with implementation("native") as module:
        yield module


def call(native: Any, name: str, changed: dict[int, np.ndarray]) -> list[Any]:
    """What a call returns and writes, with some of its arrays exchanged."""
    arguments = [
        changed.get(index, np.array(argument) if isinstance(argument, np.ndarray) else argument)
        for index, argument in enumerate(GOOD_CALLS[name])
    ]
    return [np.array(item) for item in call_function(name, native, tuple(arguments))]


def expect_same_or_refused(native: Any, name: str, changed: dict[int, np.ndarray]) -> None:
    try:
        got = call(native, name, changed)
    except REFUSALS:
        return
    for one, other in zip(got, call(native, name, {}), strict=True):
        np.testing.assert_array_equal(one.reshape(other.shape), other)


def shifted(array: np.ndarray, offset: int) -> np.ndarray:
    """The same values from an address that is `offset` bytes beyond a multiple of the element's size."""
    memory = np.zeros(array.nbytes + 2 * GUARD, np.uint8)
    start = -memory.ctypes.data % GUARD + offset
    view = memory[start : start + array.nbytes].view(array.dtype).reshape(array.shape)
    view[...] = array
    return view


@pytest.mark.parametrize(("name", "index"), WITH_ARRAYS)
def test_read_only_arrays(native: Any, name: str, index: int) -> None:
    array = GOOD_CALLS[name][index].copy()
    array.flags.writeable = False
    if index in FUNCTIONS[name].written:
        with pytest.raises(REFUSALS):
            call(native, name, {index: array})
        assert np.array_equal(array, GOOD_CALLS[name][index])
    else:
        expect_same_or_refused(native, name, {index: array})


@pytest.mark.parametrize(("name", "index"), WITH_ARRAYS)
@pytest.mark.parametrize("offset", [1, 2, 3, 4, 31])
def test_misaligned_arrays(native: Any, name: str, index: int, offset: int) -> None:
    array = GOOD_CALLS[name][index]
    view = shifted(array, offset)
    if offset % array.itemsize:
        before = view.copy()
        with pytest.raises(ValueError, match=r"not aligned to its elements; pass a copy|refused by the plan"):
            call(native, name, {index: view})
        np.testing.assert_array_equal(view, before)
    else:
        expect_same_or_refused(native, name, {index: view})


@pytest.mark.parametrize(("name", "index"), WITH_ARRAYS)
def test_negative_strides(native: Any, name: str, index: int) -> None:
    array = GOOD_CALLS[name][index]
    for axis in range(array.ndim):
        reversed_in_memory = np.flip(np.flip(array, axis).copy(), axis)
        assert np.array_equal(reversed_in_memory, array)
        expect_same_or_refused(native, name, {index: reversed_in_memory})


@pytest.mark.parametrize(("name", "index"), WITH_ARRAYS)
def test_arrays_a_row_or_an_element_short_or_empty(native: Any, name: str, index: int) -> None:
    array = GOOD_CALLS[name][index]
    for axis in range(array.ndim):
        for size in {array.shape[axis] - 1, 0}:
            whole = np.full((array.nbytes // array.itemsize + 2 * GUARD,), 77, array.dtype)
            shape = (*array.shape[:axis], size, *array.shape[axis + 1 :])
            count = int(np.prod(shape))
            short = whole[GUARD : GUARD + count].reshape(shape)
            short[...] = np.take(array, range(size), axis)
            with suppress(*REFUSALS):
                call(native, name, {index: short})
            assert (whole[:GUARD] == 77).all()
            assert (whole[GUARD + count :] == 77).all()


@pytest.mark.parametrize(("name", "index"), WITH_ARRAYS)
def test_other_dtypes_and_numbers_of_dimensions(native: Any, name: str, index: int) -> None:
    array = GOOD_CALLS[name][index]
    with pytest.raises(REFUSALS):
        call(native, name, {index: array.astype(np.complex64)})
    expect_same_or_refused(native, name, {index: array[None, None]})


def overlaps() -> Iterator[Any]:
    """(function, an argument that it writes, another that it reads or writes, bytes from the first to the second)."""
    for name, arguments in GOOD_CALLS.items():
        for out in FUNCTIONS[name].written:
            for other in array_arguments(arguments):
                if other == out or (name.startswith("write_") and other > out):
                    continue  # the tables of a plan are shared and read-only
                ends = (8 - arguments[other].nbytes) // 8 * 8, (arguments[out].nbytes - 8) // 8 * 8
                for apart in (ends[0], 0, ends[1]):
                    yield pytest.param(name, out, other, apart, id=f"{name}-{out}-{other}-{apart}")


@pytest.mark.parametrize(("name", "out", "other", "apart"), list(overlaps()))
def test_an_output_that_lies_across_another_array(
    native: Any, name: str, out: int, other: int, apart: int
) -> None:
    one, two = GOOD_CALLS[name][out], GOOD_CALLS[name][other]
    memory = np.full(one.nbytes + two.nbytes + 2 * abs(apart), 77, np.uint8)
    start = max(-apart, 0) // 8 * 8
    views = [
        memory[begin : begin + array.nbytes].view(array.dtype).reshape(array.shape)
        for begin, array in ((start, one), (start + apart, two))
    ]
    views[0][...] = one
    views[1][...] = two
    before = memory.copy()
    if name in ("softmax", "sigmoid") and apart == 0 and two.dtype == np.float32:
        expected = call(native, name, {other: two})
        np.testing.assert_array_equal(call(native, name, {out: views[0], other: views[1]})[-1], expected[-1])
        return
    with pytest.raises(ValueError, match=r"overlap in memory; pass an out of its own|refused by the plan"):
        call(native, name, {out: views[0], other: views[1]})
    np.testing.assert_array_equal(memory, before)


def test_arrays_side_by_side_do_not_overlap(native: Any) -> None:
    for name, arguments in GOOD_CALLS.items():
        arrays = array_arguments(arguments)
        memory = np.zeros(sum(arguments[index].nbytes // 8 * 8 + 8 for index in arrays), np.uint8)
        placed, begin = {}, 0
        for index in sorted(arrays, key=lambda index: -arguments[index].itemsize):
            array = arguments[index]
            placed[index] = memory[begin : begin + array.nbytes].view(array.dtype).reshape(array.shape)
            placed[index][...] = array
            begin += array.nbytes
        for one, wanted in zip(call(native, name, placed), call(native, name, {}), strict=True):
            np.testing.assert_array_equal(one, wanted)


def test_every_function_that_takes_arrays_is_here() -> None:
    """A function, or an argument of one, that is new must come into the table, and then into all of these tests."""
    # The stub is what the built module says of itself (tests/test_native_stub.py).
    stub = ast.parse((ROOT / "edgevision" / "_native.pyi").read_text("utf-8")).body
    classes = {node.name: node for node in stub if isinstance(node, ast.ClassDef)}
    functions = {node.name: node for node in stub if isinstance(node, ast.FunctionDef)}
    assert classes.keys() == {"ImagePlan"}
    methods = [node.name for node in classes["ImagePlan"].body if isinstance(node, ast.FunctionDef)]
    assert methods == ["__init__", "write", "write_yuv"]
    assert functions.keys() == FUNCTIONS.keys() - {"write_image", "write_yuv"} | WITHOUT_ARRAYS
    for name, function in functions.items():
        kinds = [ast.unparse(parameter.annotation) for parameter in function.args.args]
        arrays = [index for index, kind in enumerate(kinds) if "NDArray" in kind]
        written = tuple(index for index in arrays if "writable=False" not in kinds[index])
        assert (name, arrays) == (name, array_arguments(GOOD_CALLS.get(name, ())))
        assert (name, written) == (name, FUNCTIONS[name].written if name in FUNCTIONS else ())
