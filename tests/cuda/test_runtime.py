"""Streams, events, buffers and graphs: what the runtime builds on."""

from __future__ import annotations

import gc
import threading
from functools import partial
from types import ModuleType
from typing import Any

import numpy as np
import pytest


def test_there_is_a_device_that_says_what_it_is(cuda: ModuleType) -> None:
    assert cuda.device_count() >= 1
    assert cuda.why_no_device() == ""
    info = cuda.device_info(cuda.current_device())
    assert info.name
    assert info.multiprocessors >= 1
    assert info.threads_per_block >= 1024
    with pytest.raises(cuda.CudaError):
        cuda.set_device(cuda.device_count())


def test_bytes_go_to_the_device_and_come_back(cuda: ModuleType) -> None:
    stream, device = cuda.Stream(), cuda.DeviceBuffer(4096)
    out, back = cuda.HostBuffer(4096), cuda.HostBuffer(4096)
    numbers = out.array([8, 128], "float32")
    numbers[:] = np.arange(1024, dtype=np.float32).reshape(8, 128)
    cuda.copy_async(device.pointer, out.pointer, 4096, stream)
    cuda.fill_async(device.pointer + 256, 0xFF, 4, stream)
    cuda.copy_async(back.pointer, device.pointer, 4096, stream)
    stream.synchronize()
    assert stream.is_done()
    got = back.array([1024])
    assert np.isnan(got[64])
    np.testing.assert_array_equal(np.delete(got, 64), np.delete(np.arange(1024, dtype=np.float32), 64))


def test_rows_are_copied_from_one_distance_to_another(cuda: ModuleType) -> None:
    stream, device = cuda.Stream(), cuda.DeviceBuffer(256)
    out, back = cuda.HostBuffer(256), cuda.HostBuffer(256)
    numbers = out.array([16, 16], "uint8")
    numbers[:] = np.arange(256, dtype=np.uint8).reshape(16, 16)
    back.array([256], "uint8")[:] = 0
    cuda.fill_async(device.pointer, 7, 256, stream)
    cuda.copy_rows_async(device.pointer, 20, out.pointer + 16, 48, 16, 5, stream)
    cuda.copy_async(back.pointer, device.pointer, 256, stream)
    stream.synchronize()
    got = back.array([256], "uint8")
    np.testing.assert_array_equal(got[:100].reshape(5, 20)[:, :16], numbers[1::3])
    assert (got[:100].reshape(5, 20)[:, 16:] == 7).all()
    assert (got[100:] == 7).all()
    cuda.copy_rows_async(device.pointer, 0, out.pointer, 0, 16, 1, stream)
    for strides in ((15, 16), (16, 15)):
        with pytest.raises(ValueError, match="rows must not overlap"):
            cuda.copy_rows_async(device.pointer, strides[0], out.pointer, strides[1], 16, 2, stream)


def test_arrays_say_where_they_are_and_keep_their_buffer(cuda: ModuleType) -> None:
    buffer = cuda.DeviceBuffer(1000)
    array = buffer.array([3, 5], "float16", 64)
    assert (array.pointer, array.nbytes, array.shape) == (buffer.pointer + 64, 30, (3, 5))
    assert array.dtype == "float16"
    interface = array.__cuda_array_interface__
    assert interface["data"] == (array.pointer, False)
    assert (interface["shape"], interface["typestr"], interface["version"]) == ((3, 5), "<f2", 3)
    assert array.__dlpack_device__()[0] == (1 if cuda.emulated else 2)
    host = cuda.HostBuffer(64).array([4, 2], "int64")
    gc.collect()  # the buffer has no other owner than its array
    host[:] = 7
    assert host.sum() == 56


def test_dlpack_lends_the_buffers_own_memory(emulated_cuda: ModuleType) -> None:
    array = emulated_cuda.DeviceBuffer(64).array([4, 4], "int32")
    lent = np.from_dlpack(array)
    assert (lent.shape, lent.dtype, lent.ctypes.data) == ((4, 4), np.int32, array.pointer)


def test_any_memory_of_the_device_can_be_viewed(cuda: ModuleType) -> None:
    buffer = cuda.DeviceBuffer(64)
    array = cuda.view_memory(buffer.pointer + 16, [3, 4], "float32", buffer)
    pointer = buffer.pointer
    del buffer
    gc.collect()  # the array is the buffer's only owner
    assert (array.pointer, array.shape, array.dtype) == (pointer + 16, (3, 4), "float32")
    with pytest.raises(ValueError, match="unknown dtype"):
        cuda.view_memory(pointer, [1], "float64", array)


def test_a_dlpack_capsule_tells_where_its_array_lies(cuda: ModuleType) -> None:
    array = cuda.DeviceBuffer(64).array([2, 3, 4], "uint8", 8)
    pointer, shape, strides, lent = cuda.read_dlpack(array.__dlpack__())
    assert (pointer, shape, strides) == (array.pointer, (2, 3, 4), (12, 4, 1))
    del array
    gc.collect()
    assert lent is not None  # and keeps the buffer, which the sanitizers would see being written to
    cuda.fill_async(pointer, 0, 24, cuda.Stream())
    with pytest.raises(ValueError, match="must be uint8"):
        cuda.read_dlpack(cuda.DeviceBuffer(64).array([4], "float32").__dlpack__())
    with pytest.raises(TypeError):
        cuda.read_dlpack(np.zeros(3, np.float32).tobytes())


def test_dlpack_keeps_the_strides_of_a_view(emulated_cuda: ModuleType) -> None:
    image = np.arange(5 * 7 * 3, dtype=np.uint8).reshape(5, 7, 3)
    pointer, shape, strides, _ = emulated_cuda.read_dlpack(image[1::2, 2:, ::-1].__dlpack__())
    assert (shape, strides) == ((2, 5, 3), (42, 3, -1))
    assert pointer == image[1, 2, 2:].ctypes.data


def test_the_processors_memory_is_no_devices(cuda: ModuleType) -> None:
    if cuda.emulated:
        pytest.skip("the emulation's device is the processor")
    with pytest.raises(ValueError, match="not a CUDA device's"):
        cuda.read_dlpack(np.zeros(4, np.uint8).__dlpack__())


def test_memory_tells_its_device(cuda: ModuleType) -> None:
    assert cuda.memory_device(cuda.DeviceBuffer(64).pointer) == cuda.current_device()
    assert cuda.memory_device(cuda.HostBuffer(64).pointer) == cuda.current_device()
    unknown = np.zeros(64, np.uint8)
    assert cuda.memory_device(unknown.ctypes.data) == (0 if cuda.emulated else -1)
    view = cuda.view_memory(unknown.ctypes.data, [64], "uint8", unknown)
    assert view.__dlpack_device__()[1] == cuda.current_device()


def test_memory_may_be_freed_while_a_stream_is_recorded(cuda: ModuleType) -> None:
    stream, buffer = cuda.Stream(), cuda.DeviceBuffer(64)
    host = cuda.HostBuffer(64).array((64,), "uint8")
    others = [cuda.DeviceBuffer(64), cuda.HostBuffer(64)]
    stream.begin_capture()
    cuda.fill_async(buffer.pointer, 3, 64, stream)
    others.clear()
    gc.collect()
    cuda.copy_async(host.ctypes.data, buffer.pointer, 64, stream)
    graph = stream.end_capture()
    graph.launch(stream)
    stream.synchronize()
    assert (host == 3).all()


def test_threads_make_and_free_memory_beside_each_other(cuda: ModuleType) -> None:
    wrong: list[Exception] = []

    def work(value: int) -> None:
        try:
            cuda.set_device(0)
            stream = cuda.Stream()
            for _ in range(100):
                host, buffer = cuda.HostBuffer(256), cuda.DeviceBuffer(256)
                array = host.array((256,), "uint8")
                cuda.fill_async(buffer.pointer, value, 256, stream)
                cuda.copy_async(host.pointer, buffer.pointer, 256, stream)
                stream.synchronize()
                assert (array == value).all()
        except Exception as error:
            wrong.append(error)

    threads = [threading.Thread(target=work, args=(value,)) for value in range(4)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert not wrong


@pytest.mark.parametrize(
    ("make", "message"),
    [
        (lambda cuda: cuda.TopK(1, 1 << 30, (1 << 29) + 1), "k at most size and 536870912"),
        (lambda cuda: cuda.TopK(1, 10, 11), "k at most size"),
        (
            lambda cuda: cuda.ImageWriter(
                1, 524281, 8, np.zeros((3, 256), np.uint8), np.zeros(3, np.uint8), nhwc=False, filter=0
            ),
            "height out of range",
        ),
        (
            lambda cuda: cuda.BoxFinder(
                batch=1, rows=1, channels=30000, rows_first=True, scan="dense", coding="center", num_classes=1,
                confidence=0.5, max_detections=100000,
            ),
            "too many extra channels",
        ),
    ],
    ids=["top k", "top k of fewer", "rows of a tensor", "extra channels"],
)  # fmt: skip
def test_what_no_launch_can_hold_is_refused(cuda: ModuleType, make: Any, message: str) -> None:
    with pytest.raises(ValueError, match=message):
        make(cuda)


@pytest.mark.parametrize(
    ("shape", "dtype", "offset", "message"),
    [
        ([17], "float32", 0, "does not lie inside"),
        ([16], "float32", 4, "does not lie inside"),
        ([1], "float32", 2, "multiple of the element's size"),
        ([2**40, 2**40], "uint8", 0, "too large"),
        ([1], "float64", 0, "unknown dtype 'float64'; accepted: uint8"),
    ],
    ids=["longer", "beyond the end", "misaligned", "overflow", "dtype"],
)
def test_arrays_lie_inside_their_buffer(
    cuda: ModuleType, shape: list[int], dtype: str, offset: int, message: str
) -> None:
    for buffer in (cuda.DeviceBuffer(64), cuda.HostBuffer(64)):
        with pytest.raises(ValueError, match=message):
            buffer.array(shape, dtype, offset)


@pytest.mark.parametrize("kind", ["device", "pinned", "mapped"])
@pytest.mark.parametrize(
    ("nbytes", "error", "message"),
    [
        (
            2**63,
            MemoryError,
            "a buffer of 9223372036854775808 bytes is more than any memory; at most 2**63 - 1",
        ),
        (
            2**64,
            MemoryError,
            "a buffer of 18446744073709551616 bytes is more than any memory; at most 2**63 - 1",
        ),
        (0, ValueError, "nbytes must be 1 or more, got 0"),
        (-1, ValueError, "nbytes must be 1 or more, got -1"),
        (-(2**70), ValueError, f"nbytes must be 1 or more, got {-(2**70)}"),
    ],
)
def test_a_buffer_of_no_possible_size_is_told_in_one_line(
    cuda: ModuleType, kind: str, nbytes: int, error: type[Exception], message: str
) -> None:
    make = cuda.DeviceBuffer if kind == "device" else partial(cuda.HostBuffer, mapped=kind == "mapped")
    with pytest.raises(error) as caught:
        make(nbytes)
    assert str(caught.value) == message


@pytest.mark.parametrize("nbytes", [2**63 - 1, 2**62])
def test_more_memory_than_there_is_is_cudas_error(cuda: ModuleType, nbytes: int) -> None:
    for make in (cuda.DeviceBuffer, cuda.HostBuffer):
        with pytest.raises(cuda.CudaError, match="out of memory"):
            make(nbytes)


def test_a_buffers_size_is_any_whole_number(cuda: ModuleType) -> None:
    assert cuda.DeviceBuffer(np.int64(64)).nbytes == cuda.HostBuffer(nbytes=np.uint8(64)).nbytes == 64
    with pytest.raises(TypeError, match="'float' object cannot be interpreted as an integer"):
        cuda.DeviceBuffer(64.0)


def test_only_mapped_buffers_are_the_devices_too(cuda: ModuleType) -> None:
    assert cuda.HostBuffer(64, mapped=True).device_pointer != 0
    with pytest.raises(ValueError, match="mapped=True"):
        _ = cuda.HostBuffer(64).device_pointer


def test_a_graph_replays_with_what_pinned_memory_holds_then(cuda: ModuleType) -> None:
    stream, device = cuda.Stream(high_priority=True), cuda.DeviceBuffer(16)
    source, result = cuda.HostBuffer(16), cuda.HostBuffer(16)
    result.array([16], "uint8")[:] = 0
    stream.begin_capture()
    cuda.copy_async(device.pointer, source.pointer, 16, stream)
    cuda.copy_async(result.pointer, device.pointer, 16, stream)
    graph = stream.end_capture()
    stream.synchronize()
    assert (graph.num_nodes, graph.host_work) == (2, 0)
    assert result.array([16], "uint8").sum() == 0  # recorded, not run
    for value in (3, 5):
        source.array([16], "uint8")[:] = value
        graph.launch(stream)
        stream.synchronize()
        assert (result.array([16], "uint8") == value).all()


def test_a_graph_tells_copies_of_pageable_memory(cuda: ModuleType) -> None:
    stream, device = cuda.Stream(), cuda.DeviceBuffer(16)
    pageable = np.zeros(16, np.uint8)
    stream.begin_capture()
    cuda.copy_async(device.pointer, pageable.ctypes.data, 16, stream)
    cuda.copy_async(pageable.ctypes.data, device.pointer, 16, stream)
    graph = stream.end_capture()
    assert graph.host_work == (0 if cuda.emulated else 2)


def test_a_graph_takes_the_pointers_of_a_later_recording_of_the_same_steps(cuda: ModuleType) -> None:
    stream = cuda.Stream()
    sources = [cuda.HostBuffer(16) for _ in range(2)]
    for index, source in enumerate(sources):
        source.array([16], "uint8")[:] = index + 1
    device, result = cuda.DeviceBuffer(16), cuda.HostBuffer(16)

    def record(source, clear: bool):
        stream.begin_capture()
        cuda.copy_async(device.pointer, source.pointer, 16, stream)
        if clear:
            cuda.fill_async(device.pointer, 0, 16, stream)
        cuda.copy_async(result.pointer, device.pointer, 16, stream)
        return stream.end_capture()

    graph = record(sources[0], clear=False)
    assert graph.update(record(sources[1], clear=False))
    graph.launch(stream)
    stream.synchronize()
    assert (result.array([16], "uint8") == 2).all()
    assert not graph.update(record(sources[0], clear=True))


def test_events_order_streams_and_tell_the_time(cuda: ModuleType) -> None:
    first, second = cuda.Stream(), cuda.Stream()
    begin, end = cuda.Event(timing=True), cuda.Event(timing=True)
    begin.record(first)
    second.wait(begin)
    end.record(second)
    end.synchronize()
    assert end.is_reached()
    assert end.elapsed_ms(begin) >= 0.0
    with pytest.raises(cuda.CudaError):
        cuda.Event().elapsed_ms(begin)


def test_wrapped_streams_are_not_owned(cuda: ModuleType) -> None:
    stream = cuda.Stream()
    wrapped = cuda.Stream.wrap(stream.handle)
    assert wrapped.handle == stream.handle
    del wrapped
    gc.collect()
    stream.synchronize()
