"""The memory of sessions on a GPU, `edgevision.backends.cuda.CudaMemory`, on the CUDA module itself."""

from __future__ import annotations

from types import ModuleType

import numpy as np
import pytest

from edgevision.backends.cuda import CudaMemory
from edgevision.errors import InputError, OutOfMemoryError

both = pytest.mark.parametrize("mapped", [False, True], ids=["staged", "mapped"])


@both
@pytest.mark.parametrize(
    ("shape", "dtype"),
    [((2**63,), "uint8"), ((2**61,), "float32"), ((2**40, 2**40), "float16"), ((10**15, 10**15), "int64")],
    ids=["2^63 bytes", "2^63 bytes of float32", "2^81 bytes", "10^30 elements"],
)
def test_more_bytes_than_an_address_counts_are_one_line(
    cuda: ModuleType, mapped: bool, shape: tuple[int, ...], dtype: str
) -> None:
    memory = CudaMemory(cuda, cuda.Stream(), mapped=mapped)
    with pytest.raises(MemoryError) as caught:
        memory.allocate(shape, dtype, "x")
    assert isinstance(caught.value, OutOfMemoryError)
    text = str(caught.value)
    assert text.startswith(f"not enough memory for 'x' at shape {shape} (")
    assert text.endswith("is more than any memory; at most 2**63 - 1; use a smaller input or batch")
    assert "\n" not in text


@both
def test_more_memory_than_there_is_is_one_line(cuda: ModuleType, mapped: bool) -> None:
    memory = CudaMemory(cuda, cuda.Stream(), mapped=mapped)
    with pytest.raises(
        OutOfMemoryError, match=r"^not enough memory for 'x' .*out of memory; use a smaller"
    ) as told:
        memory.allocate((2**62,), "uint8", "x")
    assert "\n" not in str(told.value)


@both
@pytest.mark.parametrize("shape", [(-1,), (3, -(2**63)), (-2, -2)])
def test_a_negative_length_is_refused(cuda: ModuleType, mapped: bool, shape: tuple[int, ...]) -> None:
    memory = CudaMemory(cuda, cuda.Stream(), mapped=mapped)
    with pytest.raises(InputError, match="the shape of 'x' must have no negative length, got"):
        memory.allocate(shape, "uint8", "x")


@both
@pytest.mark.parametrize("shape", [(0,), (3, 0, 5)])
def test_a_tensor_of_nothing_has_an_address(cuda: ModuleType, mapped: bool, shape: tuple[int, ...]) -> None:
    # As an output is whose shape depends on the data, and of which there are none.
    made = CudaMemory(cuda, cuda.Stream(), mapped=mapped).allocate(shape, "float32", "y")
    assert made.array.shape == shape
    assert made.address


@both
def test_both_sides_see_a_tensor(cuda: ModuleType, mapped: bool) -> None:
    stream = cuda.Stream()
    memory = CudaMemory(cuda, stream, mapped=mapped)
    made = memory.allocate((3, 5), "float16", "x")
    assert not made.array.any()
    made.array[:] = np.arange(15).reshape(3, 5)
    memory.upload(made)
    stream.synchronize()
    if not mapped:
        made.array[:] = 0
    memory.download(made)
    stream.synchronize()
    np.testing.assert_array_equal(made.array, np.arange(15, dtype=np.float16).reshape(3, 5))
