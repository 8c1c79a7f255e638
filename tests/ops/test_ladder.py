"""Every native function, with the kernels of each instruction set, gives the reference's bits: for all dtypes, sizes
around those of registers, strides of either sign, gaps, and arrays that begin anywhere in a line of the cache.
"""

from __future__ import annotations

from functools import cache
from typing import Any

import numpy as np
import pytest
from implementations import ISAS, implementation
from memory_layouts import WAYS, arrange, assert_nothing_beside_was_written
from native_functions import FUNCTIONS, array_arguments, call

from edgevision.ops._dispatch import native

pytestmark = pytest.mark.skipif(native is None, reason="the native extension is not built")

SIZES = (0, 1, 3, 15, 17, 33, 64, 97)


@cache
def good_calls(name: str) -> list[tuple[str, tuple[Any, ...], list[Any]]]:
    """(what it is, arguments, what the reference makes of them), for each size and variant."""
    function, calls = FUNCTIONS[name], []
    for size in SIZES:
        if size == 0 and not function.empty:
            continue
        for variant in function.variants:
            arguments = function.make(size, *variant)
            copies = tuple(np.array(a) if isinstance(a, np.ndarray) else a for a in arguments)
            calls.append((f"size {size}, {variant}", arguments, call(name, function.reference, copies)))
    return calls


@pytest.mark.parametrize("isa", ISAS)
@pytest.mark.parametrize("name", FUNCTIONS)
def test_native_gives_the_references_bits(name: str, isa: str) -> None:
    strides = FUNCTIONS[name].strides
    with implementation(isa) as module:
        for number, (what, arguments, expected) in enumerate(good_calls(name)):
            for way in WAYS["any" if "any" in strides.values() else "rows" if strides else "C"]:
                placed = {}
                for index in array_arguments(arguments):
                    fits = way in WAYS[strides.get(index, "C")]
                    array, shift = arguments[index], (number + index) % 17
                    placed[index] = arrange(array, way if fits else "packed", shift * array.itemsize)
                changed = [placed[i][1] if i in placed else a for i, a in enumerate(arguments)]
                found = call(name, module, tuple(changed))
                check(found, expected, f"{what}, {way}")
                for index, (memory, view) in placed.items():
                    if index not in FUNCTIONS[name].written:
                        np.testing.assert_array_equal(view, arguments[index])
                    assert_nothing_beside_was_written(memory, view)


def check(found: list[Any], expected: list[Any], what: str) -> None:
    for got, wanted in zip(found, expected, strict=True):
        if isinstance(wanted, np.ndarray):
            assert (got.dtype, got.shape) == (wanted.dtype, wanted.shape), what
            np.testing.assert_array_equal(got, wanted, what)
        else:
            assert got == wanted, what


@pytest.mark.parametrize("name", [name for name, function in FUNCTIONS.items() if not function.empty])
def test_a_size_of_nothing_is_refused_where_it_makes_no_sense(name: str) -> None:
    function = FUNCTIONS[name]
    for variant in function.variants:
        with pytest.raises(ValueError):
            call(name, native, function.make(0, *variant))
