"""Softmax and sigmoid on the device: bit for bit those of edgevision.ops, and what a classifier needs in one graph."""

from __future__ import annotations

from types import ModuleType

import numpy as np
import pytest
from device_memory import download, upload

from edgevision.ops.scores import sigmoid, softmax, top_k

FUNCTIONS = {"softmax": softmax, "sigmoid": sigmoid}


def make_logits(rows: int, size: int, dtype: str) -> np.ndarray:
    """With a NaN, a row that has infinities, and one of nothing but -infinity where there are so many rows."""
    logits = (8 * np.random.default_rng(size).standard_normal((rows, size))).astype(dtype)
    if rows > 2:
        logits[0, size // 2] = np.nan
        logits[1, :: max(1, size // 3)] = -np.inf
        logits[2] = -np.inf
    return logits


@pytest.mark.parametrize("activation", FUNCTIONS)
@pytest.mark.parametrize("dtype", ["float32", "float16"])
@pytest.mark.parametrize(("rows", "size"), [(1, 1), (5, 2), (4, 80), (3, 1000), (2, 2049), (1, 100_000)])
def test_scores_have_the_cpus_bits(
    cuda: ModuleType, activation: str, dtype: str, rows: int, size: int
) -> None:
    logits = make_logits(rows, size, dtype)
    writer = cuda.ScoreWriter(rows, size, activation=activation, half=dtype == "float16")
    memory, out, stream = upload(cuda, logits), cuda.DeviceBuffer(4 * logits.size), cuda.Stream()
    writer.write(memory.pointer, out.pointer, rows, stream)
    got = download(cuda, out.pointer, logits.shape, "float32", stream)
    expected = FUNCTIONS[activation](logits)
    numbers = ~np.isnan(expected)
    np.testing.assert_array_equal(np.isnan(got), ~numbers)
    np.testing.assert_array_equal(got[numbers].view(np.uint32), expected[numbers].view(np.uint32))


@pytest.mark.parametrize("activation", FUNCTIONS)
def test_logits_may_be_overwritten_and_later_rows_are_left_alone(cuda: ModuleType, activation: str) -> None:
    logits = make_logits(2, 300, "float32")
    memory, stream = upload(cuda, logits), cuda.Stream()
    cuda.ScoreWriter(2, 300, activation=activation).write(memory.pointer, memory.pointer, 1, stream)
    got = download(cuda, memory.pointer, logits.shape, "float32", stream)
    np.testing.assert_array_equal(got, [FUNCTIONS[activation](logits[0]), logits[1]])


@pytest.mark.parametrize("dtype", ["float32", "float16"])
def test_a_classifier_is_one_graph(cuda: ModuleType, dtype: str) -> None:
    # Logits in, the five best classes and their probabilities out, replayed with other logits.
    frames = [make_logits(2, 1000, dtype)[::step] for step in (1, -1)]
    staging, stream = cuda.HostBuffer(frames[0].nbytes), cuda.Stream()
    device, scores = cuda.DeviceBuffer(frames[0].nbytes), cuda.DeviceBuffer(4 * 2000)
    values, indices = cuda.DeviceBuffer(40), cuda.DeviceBuffer(40)
    writer = cuda.ScoreWriter(2, 1000, activation="softmax", half=dtype == "float16")
    best = cuda.TopK(2, 1000, 5)
    stream.begin_capture()
    cuda.copy_async(device.pointer, staging.pointer, staging.nbytes, stream)
    writer.write(device.pointer, scores.pointer, 2, stream)
    best.find(scores.pointer, values.pointer, indices.pointer, stream)
    graph = stream.end_capture()
    for frame in frames:
        staging.array(frame.shape, dtype)[:] = frame
        graph.launch(stream)
        expected = [top_k(row, 5) for row in softmax(frame)]
        got = download(cuda, values.pointer, (2, 5), "float32", stream)
        np.testing.assert_array_equal(got, [one[0] for one in expected])
        got = download(cuda, indices.pointer, (2, 5), "int32", stream)
        np.testing.assert_array_equal(got, [one[1] for one in expected])


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        ({"batch": 0}, "batch must be 1 to 1048576"),
        ({"batch": (1 << 20) + 1}, "batch must be 1 to 1048576"),
        ({"size": 0}, "size must be 1 to 1073741824"),
        ({"batch": 1 << 20, "size": 1 << 19}, "batch times size must be at most 2\\^38"),
        ({"activation": "relu"}, "activation must be 'softmax' or 'sigmoid'"),
    ],
)
def test_what_the_kernel_cannot_do_is_refused(
    emulated_cuda: ModuleType, arguments: dict[str, object], message: str
) -> None:
    with pytest.raises(ValueError, match=message):
        emulated_cuda.ScoreWriter(**{"batch": 1, "size": 10, "activation": "softmax", **arguments})


@pytest.mark.parametrize("count", [0, 3])
def test_no_more_rows_than_the_batch(emulated_cuda: ModuleType, count: int) -> None:
    writer = emulated_cuda.ScoreWriter(2, 10, activation="softmax")
    with pytest.raises(ValueError, match="count must be 1 to the batch"):
        writer.write(0, 0, count, emulated_cuda.Stream())
