"""What every runtime must do, asked of each one that is installed."""

from __future__ import annotations

import os
import subprocess
import sys
import threading
import tracemalloc
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from pathlib import Path

import numpy as np
import pytest
import tiny_networks as tiny
from tiny_networks import BYTE, FLOAT, HALF, LONG, network, node, onnx

from edgevision.backends import Session, TensorInfo, open_session
from edgevision.backends.gpu import explain_no_gpu
from edgevision.backends.registry import BACKENDS
from edgevision.errors import BackendError, InputError, ModelFileError

RNG = np.random.default_rng(11)


# Engines are opened by test_trt_session, which asks the same of them.
@pytest.fixture(params=[name for name, one in BACKENDS.items() if ".onnx" in one.suffixes])
def backend(request: pytest.FixtureRequest) -> str:
    return tiny.require_backend(request.param)


@pytest.fixture
def opened(backend: str) -> Iterator[object]:
    """Opens sessions and closes them afterwards."""
    sessions: list[Session] = []

    def open_one(model: bytes, **options: object) -> Session:
        sessions.append(open_session(model, backend=backend, **options))
        return sessions[-1]

    yield open_one
    for session in sessions:
        session.close()


def address(array: np.ndarray) -> int:
    return array.ctypes.data


# Results


@dataclass
class Case:
    id: str
    model: bytes
    feeds: dict[str, np.ndarray]
    expected: dict[str, np.ndarray]
    tolerance: float = 0.0
    shapes: dict[str, tuple] = field(default_factory=dict)


def _floats(*shape: int) -> np.ndarray:
    return RNG.standard_normal(shape).astype(np.float32)


def _cases() -> list[Case]:
    x = _floats(2, 3)
    a, b = _floats(4, 3), _floats(4, 3)
    image = _floats(2, 3, 9, 7)
    pixels = RNG.integers(0, 256, (1, 3, 4, 5), dtype=np.uint8)
    halves = _floats(2, 5).astype(np.float16)
    sparse = np.float32([[0, 1, 0, 2], [3, 0, 0, 0]])
    numbers = np.float32([[1, 2, 3], [4, 5, 6]])
    return [
        Case("static shape", tiny.relu(), {"x": x}, {"y": np.maximum(x, 0)}),
        Case("one of a dynamic batch", tiny.relu(["n", 3]), {"x": x[:1]}, {"y": np.maximum(x[:1], 0)}),
        Case(
            "five of a dynamic batch",
            tiny.doubling(["n", 4]),
            {"x": _floats(5, 4) * 0 + 3},
            {"y": np.full((5, 4), 6, np.float32)},
        ),
        # Convolutions sum 27 products in the runtime's own order (or by Winograd's transform) in float32.
        Case(
            "dynamic batch, height and width",
            tiny.conv_relu(),
            {"x": image},
            {"y": tiny.conv_relu_numpy(image)},
            1e-5,
        ),
        Case("two inputs, two outputs", tiny.two_by_two(), {"a": a, "b": b}, {"s": a + b, "d": a - b}),
        Case("feeds in another order", tiny.two_by_two(), {"b": b, "a": a}, {"s": a + b, "d": a - b}),
        Case("float16", tiny.doubling([2, 5], HALF), {"x": halves}, {"y": halves + halves}),
        Case(
            "uint8 image scaled inside",
            network(
                [node("Cast", ["x"], ["f"], to=FLOAT), node("Mul", ["f", "k"], ["y"])],
                [("x", BYTE, [1, 3, "h", "w"])],
                [("y", FLOAT, [1, 3, "h", "w"])],
                {"k": np.float32(0.5)},
            ).SerializeToString(),
            {"x": pixels},
            {"y": pixels.astype(np.float32) * np.float32(0.5)},
        ),
        Case(
            "output shape depends on the data",
            tiny.nonzero(),
            {"x": sparse},
            {"y": np.array(np.nonzero(sparse)), "z": sparse + sparse},
        ),
        Case(
            "empty output",
            tiny.nonzero(),
            {"x": np.zeros((2, 4), np.float32)},
            {"y": np.zeros((2, 0), np.int64), "z": np.zeros((2, 4), np.float32)},
        ),
        Case(
            "scalar output",
            network(
                [node("ReduceSum", ["x"], ["y"], keepdims=0)], [("x", FLOAT, ["n", 3])], [("y", FLOAT, [])]
            ).SerializeToString(),
            {"x": numbers},
            {"y": np.array(21, np.float32)},
        ),
        Case(
            "scalar input",
            network(
                [node("Mul", ["x", "k"], ["y"])],
                [("x", FLOAT, [2, 3]), ("k", FLOAT, [])],
                [("y", FLOAT, [2, 3])],
            ).SerializeToString(),
            {"x": numbers, "k": np.array(2, np.float32)},
            {"y": numbers * 2},
        ),
        Case(
            "scalar input fed a NumPy scalar",
            network(
                [node("Mul", ["x", "k"], ["y"])],
                [("x", FLOAT, [2, 3]), ("k", FLOAT, [])],
                [("y", FLOAT, [2, 3])],
            ).SerializeToString(),
            {"x": numbers, "k": np.float32(2)},
            {"y": numbers * 2},
        ),
        Case(
            "bool and int64 outputs",
            network(
                [node("Greater", ["x", "k"], ["g"]), node("ArgMax", ["x"], ["i"], axis=1, keepdims=0)],
                [("x", FLOAT, ["n", 3])],
                [("g", onnx.TensorProto.BOOL, ["n", 3]), ("i", LONG, ["n"])],
                {"k": np.float32(2)},
            ).SerializeToString(),
            {"x": numbers},
            {"g": numbers > 2, "i": np.array([2, 2])},
        ),
        Case(
            "output computed from another by arithmetic on the shape",
            network(
                [node("MaxPool", ["x"], ["y"], kernel_shape=[2, 2], strides=[2, 2])],
                [("x", FLOAT, ["n", 1, "h", "w"])],
                [("y", FLOAT, ["n", 1, "h2", "w2"])],
            ).SerializeToString(),
            {"x": np.arange(16, dtype=np.float32).reshape(1, 1, 4, 4)},
            {"y": np.float32([5, 7, 13, 15]).reshape(1, 1, 2, 2)},
        ),
        Case(
            "batches joined",
            network(
                [node("Concat", ["a", "b"], ["y"], axis=0)],
                [("a", FLOAT, ["n", 3]), ("b", FLOAT, ["m", 3])],
                [("y", FLOAT, ["k", 3])],
            ).SerializeToString(),
            {"a": a, "b": b[:1]},
            {"y": np.concatenate([a, b[:1]])},
        ),
        Case(
            "output that is an input, and names around removed nodes",
            network(
                [node("Relu", ["x"], ["s"]), node("Identity", ["s"], ["t"]), node("Dropout", ["s"], ["u"])],
                [("x", FLOAT, [2, 3])],
                [("t", FLOAT, [2, 3]), ("u", FLOAT, [2, 3]), ("x", FLOAT, [2, 3]), ("s", FLOAT, [2, 3])],
            ).SerializeToString(),
            {"x": x},
            {"t": np.maximum(x, 0), "u": np.maximum(x, 0), "x": x, "s": np.maximum(x, 0)},
        ),
        Case(
            "constant output",
            network(
                [node("Identity", ["k"], ["y"]), node("Relu", ["x"], ["z"])],
                [("x", FLOAT, [2, 3])],
                [("y", FLOAT, [3]), ("z", FLOAT, [2, 3])],
                {"k": np.float32([1, 2, 3])},
            ).SerializeToString(),
            {"x": x},
            {"y": np.float32([1, 2, 3]), "z": np.maximum(x, 0)},
        ),
    ]


@pytest.mark.parametrize("case", _cases(), ids=lambda case: case.id)
def test_outputs_are_those_of_numpy(case: Case, opened) -> None:
    session = opened(case.model)
    for _ in range(3):  # the first run at a shape, the second and the third take different paths
        outputs = session.run(case.feeds)
        assert list(outputs) == [info.name for info in session.outputs] == list(case.expected)
        for info in session.outputs:
            got, expected = outputs[info.name], case.expected[info.name]
            assert (got.shape, got.dtype.name) == (expected.shape, info.dtype)
            np.testing.assert_allclose(got, expected, rtol=0, atol=case.tolerance)


def test_an_output_that_is_an_input_follows_it(opened) -> None:
    model = network(
        [node("Relu", ["x"], ["s"])], [("x", FLOAT, [2, 3])], [("x", FLOAT, [2, 3]), ("s", FLOAT, [2, 3])]
    ).SerializeToString()
    session = opened(model)
    for value in (1, -2, 3):
        x = np.full((2, 3), value, np.float32)
        outputs = session.run({"x": x})
        assert np.array_equal(outputs["x"], x)
        assert np.array_equal(outputs["s"], np.maximum(x, 0))


def test_tensors_are_described(opened) -> None:
    session = opened(tiny.nonzero())
    assert session.inputs == (TensorInfo("x", (None, 4), "float32"),)
    assert session.outputs == (TensorInfo("y", (2, None), "int64"), TensorInfo("z", (None, 4), "float32"))


def test_device_and_runtime_are_said(opened, backend: str) -> None:
    session = opened(tiny.relu(), device="cpu")
    assert session.device == "cpu"
    name, _, version = session.runtime.partition(" ")
    assert name == backend
    assert version[0].isdigit()


# Buffers


def test_runtime_reads_the_buffer_itself(opened) -> None:
    session = opened(tiny.doubling(["n", 3]))
    buffer = session.input_buffer("x", (2, 3))
    for value in (1, -4, 9):
        buffer[:] = value
        assert np.array_equal(session.run()["y"], np.full((2, 3), 2 * value, np.float32))


def test_buffer_is_aligned_contiguous_and_zero(opened) -> None:
    buffer = opened(tiny.conv_relu()).input_buffer("x", (2, 3, 5, 7))
    assert (buffer.shape, buffer.dtype, address(buffer) % 64) == ((2, 3, 5, 7), np.dtype(np.float32), 0)
    assert buffer.flags.c_contiguous
    assert buffer.flags.writeable
    assert not buffer.any()


def test_a_buffer_that_was_not_written_is_a_warm_up(opened) -> None:
    session = opened(tiny.doubling(["n", 3]))
    session.input_buffer("x", [4, 3])
    assert not session.run()["y"].any()


def test_same_shape_gives_the_same_buffer(opened) -> None:
    session = opened(tiny.doubling(["n", 3]))
    buffer = session.input_buffer("x", (2, 3))
    session.run()
    assert session.input_buffer("x", [np.int64(2), 3]) is buffer
    session.run({"x": np.ones((2, 3), np.float32)})
    assert session.input_buffer("x", (2, 3)) is buffer
    assert (buffer == 1).all()


@pytest.mark.parametrize(
    "model", [tiny.doubling([3, 8]), tiny.doubling(["n", 8])], ids=["static", "dynamic batch"]
)
def test_outputs_keep_their_memory(model: bytes, opened) -> None:
    session = opened(model)
    session.input_buffer("x", (3, 8))
    addresses = {address(session.run()["y"]) for _ in range(5)}
    assert len(addresses) == 1


def test_steady_state_allocates_nothing_big(opened) -> None:
    session = opened(tiny.doubling(["n", 256, 1024]))  # 1 MiB in and out
    buffer = session.input_buffer("x", (1, 256, 1024))
    for _ in range(3):
        session.run()
    tracemalloc.start()
    try:
        for _ in range(50):
            session.input_buffer("x", (1, 256, 1024))[0, 0, 0] = 1
            session.run()
            session.run({"x": buffer})
        peak = tracemalloc.get_traced_memory()[1]
    finally:
        tracemalloc.stop()
    assert peak < 64 * 1024  # a sixteenth of one array; Python's own small objects


def test_shape_may_change_and_change_back(opened) -> None:
    session = opened(tiny.conv_relu())
    for shape in [(1, 3, 8, 8), (2, 3, 5, 9), (1, 3, 16, 4), (1, 3, 8, 8), (3, 3, 8, 8), (1, 3, 8, 8)]:
        for _ in range(2):
            x = _floats(*shape)
            session.input_buffer("x", shape)[:] = x
            # 1e-5: see the case table.
            np.testing.assert_allclose(session.run()["y"], tiny.conv_relu_numpy(x), rtol=0, atol=1e-5)


def test_outputs_of_another_shape_leave_earlier_arrays_alone(opened) -> None:
    # An earlier result that the runtime had freed would be read here: kept arrays must stay readable.
    session = opened(tiny.nonzero())
    kept, expected = [], []
    for count in range(1, 60):
        x = np.zeros((64, 4), np.float32)
        x.ravel()[:count] = count
        kept.append(session.run({"x": x})["y"])
        expected.append(np.array(np.nonzero(x)))
    for array, wanted in zip(kept, expected, strict=True):
        assert np.array_equal(array, wanted)


def test_one_input_may_change_its_shape_alone(opened) -> None:
    model = network(
        [node("MatMul", ["a", "b"], ["y"])],
        [("a", FLOAT, ["n", 2]), ("b", FLOAT, [2, "m"])],
        [("y", FLOAT, ["n", "m"])],
    ).SerializeToString()
    session = opened(model)
    session.input_buffer("a", (3, 2))[:] = 1
    for columns in (4, 1, 4, 7):
        session.input_buffer("b", (2, columns))[:] = columns
        for _ in range(2):
            assert np.array_equal(session.run()["y"], np.full((3, columns), 2 * columns, np.float32))


def test_earlier_outputs_outlive_the_session(opened) -> None:
    session = opened(tiny.nonzero())
    outputs = session.run({"x": np.ones((3, 4), np.float32)})
    y, z = outputs["y"], outputs["z"]
    session.close()
    assert np.array_equal(z, np.full((3, 4), 2, np.float32))
    assert np.array_equal(y, np.nonzero(np.ones((3, 4))))


# Feeds


def test_foreign_feeds_are_copied(opened) -> None:
    session = opened(tiny.doubling(["n", 3]))
    feed = np.ones((2, 3), np.float32)
    session.run({"x": feed})
    feed[:] = 100
    assert (session.run()["y"] == 2).all()


@pytest.mark.parametrize(
    "view",
    [
        pytest.param(lambda x: x[:, ::2], id="strided"),
        pytest.param(lambda x: x[::-1, 1:4], id="negative stride"),
        pytest.param(lambda x: np.asfortranarray(x[:, :3]), id="column order"),
        pytest.param(lambda x: np.broadcast_to(x[:1, :3], (4, 3)), id="broadcast, read-only"),
    ],
)
def test_feeds_may_be_strided(view, opened) -> None:
    feed = view(_floats(4, 6))
    assert np.array_equal(opened(tiny.doubling(["n", 3])).run({"x": feed})["y"], feed + feed)


def test_own_buffer_may_be_fed(opened) -> None:
    session = opened(tiny.two_by_two())
    a, b = session.input_buffer("a", (1, 3)), session.input_buffer("b", (1, 3))
    a[:], b[:] = 5, 2
    assert (session.run({"a": a, "b": b})["d"] == 3).all()
    assert (session.run({"a": a, "b": np.ones((1, 3), np.float32)})["d"] == 4).all()
    assert session.input_buffer("a", (1, 3)) is a


ONES = np.ones((2, 3), np.float32)


@pytest.mark.parametrize(
    ("feeds", "words"),
    [
        pytest.param({"a": ONES}, ["'b'", "needs all"], id="missing"),
        pytest.param({}, ["'a', 'b'"], id="none at all"),
        pytest.param({"a": ONES, "b": ONES, "c": ONES}, ["no input 'c'", "'a', 'b'"], id="unknown"),
        pytest.param({"a": ONES.astype(np.float64), "b": ONES}, ["'a'", "float32", "float64"], id="type"),
        pytest.param({"a": ONES.astype(">f4"), "b": ONES}, ["'a'", "float32", ">f4"], id="byte order"),
        pytest.param({"a": ONES[0], "b": ONES}, ["(any, 3)", "(3,)"], id="rank"),
        pytest.param({"a": ONES[:, :2], "b": ONES}, ["(any, 3)", "(2, 2)"], id="size"),
        pytest.param({"a": ONES[:0], "b": ONES}, ["(any, 3)", "(0, 3)"], id="empty"),
        pytest.param({"a": ONES.tolist(), "b": ONES}, ["NumPy array", "list"], id="not an array"),
    ],
)
def test_bad_feeds_are_refused(feeds: dict, words: list[str], opened) -> None:
    session = opened(tiny.two_by_two())
    with pytest.raises(InputError) as error:
        session.run(feeds)
    assert all(word in str(error.value) for word in words), str(error.value)
    # And the session is none the worse.
    assert (session.run({"a": ONES, "b": ONES})["s"] == 2).all()


@pytest.mark.parametrize(
    ("name", "shape", "words"),
    [
        pytest.param("z", (2, 3), ["no input 'z'", "'x'"], id="name"),
        pytest.param("x", (2, 4), ["(any, 3)", "(2, 4)"], id="size"),
        pytest.param("x", (3,), ["(any, 3)", "(3,)"], id="rank"),
        pytest.param("x", (0, 3), ["1 or more", "(0, 3)"], id="zero"),
        pytest.param("x", (-1, 3), ["1 or more", "(-1, 3)"], id="negative"),
        pytest.param("x", (1.5, 3), ["whole numbers"], id="fraction"),
    ],
)
def test_bad_buffer_requests_are_refused(name: str, shape: tuple, words: list[str], opened) -> None:
    with pytest.raises(InputError) as error:
        opened(tiny.relu(["n", 3])).input_buffer(name, shape)
    assert all(word in str(error.value) for word in words), str(error.value)


def test_run_without_feeds_or_buffers_is_refused(opened) -> None:
    session = opened(tiny.two_by_two())
    session.input_buffer("a", (1, 3))
    with pytest.raises(InputError, match=r"nothing to run on.*'b'$"):
        session.run()


@pytest.mark.parametrize("rows", [10**12, 10**17, 10**30], ids=["terabytes", "exabytes", "beyond addresses"])
def test_ridiculous_shape_is_refused(rows: int, opened) -> None:
    with pytest.raises(BackendError, match=r"not enough memory for 'x' at shape .* smaller"):
        opened(tiny.relu(["n", 1000])).input_buffer("x", (rows, 1000))


# Clones and closing


def test_clone_has_its_own_buffers(opened) -> None:
    session = opened(tiny.doubling(["n", 3]))
    clone = session.clone()
    mine, its = session.input_buffer("x", (1, 3)), clone.input_buffer("x", (1, 3))
    mine[:], its[:] = 1, 10
    y, clone_y = session.run()["y"], clone.run()["y"]
    assert (y == 2).all()
    assert (clone_y == 20).all()
    assert (clone.inputs, clone.outputs, clone.device, clone.runtime) == (
        session.inputs,
        session.outputs,
        session.device,
        session.runtime,
    )


def run_in_threads(count: int, work: Callable[[int], None]) -> None:
    """work(0), work(1), ... at once, each in a thread."""
    threads = [threading.Thread(target=work, args=(number,)) for number in range(count)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()


def test_clones_run_in_threads(opened) -> None:
    session = opened(tiny.conv_relu())
    images = [_floats(1, 3, 24 + worker, 32) for worker in range(3)]
    serial = [session.run({"x": image})["y"].copy() for image in images]
    start = threading.Barrier(len(images))
    wrong: list[int] = []

    def work(worker: int) -> None:
        clone = session.clone()
        start.wait()
        for _ in range(100):
            if not np.array_equal(clone.run({"x": images[worker]})["y"], serial[worker]):
                wrong.append(worker)

    run_in_threads(len(images), work)
    assert wrong == []


def test_clone_goes_on_when_the_original_is_closed(opened) -> None:
    session = opened(tiny.doubling(["n", 3]))
    clone = session.clone()
    session.run({"x": ONES})
    session.close()
    assert (clone.run({"x": ONES})["y"] == 2).all()
    assert (clone.clone().run({"x": ONES})["y"] == 2).all()


@pytest.mark.parametrize(
    "call",
    [
        pytest.param(lambda session: session.run(), id="run"),
        pytest.param(lambda session: session.run({"x": ONES}), id="run with feeds"),
        pytest.param(lambda session: session.input_buffer("x", (2, 3)), id="input_buffer"),
        pytest.param(lambda session: session.clone(), id="clone"),
    ],
)
def test_closed_session_refuses(call, opened) -> None:
    session = opened(tiny.doubling(["n", 3]))
    session.run({"x": ONES})
    session.close()
    session.close()
    with pytest.raises(BackendError, match="closed"):
        call(session)


# Opening


def test_model_is_a_path_or_bytes(opened, tmp_path: Path) -> None:
    path = tmp_path / "r\u00e9seau 1.onnx"
    path.write_bytes(tiny.relu())
    for model in (str(path), path, path.read_bytes()):
        assert (opened(model).run({"x": -ONES})["y"] == 0).all()


@pytest.mark.parametrize(
    ("make", "kind", "words"),
    [
        pytest.param(
            lambda folder: folder / "none.onnx", ModelFileError, ["no such", "none.onnx"], id="missing"
        ),
        pytest.param(lambda folder: folder, ModelFileError, ["folder"], id="folder"),
        pytest.param(lambda folder: _file(folder, b""), ModelFileError, ["empty", "m.onnx"], id="empty file"),
        pytest.param(lambda folder: b"", ModelFileError, ["empty"], id="empty bytes"),
        pytest.param(lambda folder: 5, InputError, ["path or bytes", "int"], id="type"),
        pytest.param(
            lambda folder: b"garbage" * 9, BackendError, ["63 bytes", "damaged"], id="corrupt bytes"
        ),
        pytest.param(
            lambda folder: _file(folder, b"garbage" * 9),
            BackendError,
            ["m.onnx", "damaged"],
            id="corrupt file",
        ),
        pytest.param(
            lambda folder: _file(folder, tiny.conv_relu()[:90]), BackendError, ["m.onnx"], id="truncated file"
        ),
        pytest.param(
            lambda folder: _unknown_operator(), BackendError, ["NoSuchOp", "another backend"], id="operator"
        ),
        pytest.param(
            lambda folder: _lost_weights(folder), BackendError, ["m.onnx", "weight files"], id="lost weights"
        ),
        pytest.param(lambda folder: _text_input(), BackendError, ["string", "float32"], id="text input"),
    ],
)
@pytest.mark.filterwarnings("ignore:.*cannot run all of")  # on a GPU
def test_what_cannot_be_opened_says_why(make, kind, words: list[str], backend: str, tmp_path: Path) -> None:
    with pytest.raises(kind) as error:
        open_session(make(tmp_path), backend=backend)
    message = str(error.value)
    assert all(word in message for word in words), message
    assert "\n" not in message
    assert len(message) < 700


def _file(folder: Path, content: bytes) -> Path:
    path = folder / "m.onnx"
    path.write_bytes(content)
    return path


def _unknown_operator() -> bytes:
    model = network(
        [node("NoSuchOp", ["x"], ["y"], domain="else.where")], [("x", FLOAT, [1])], [("y", FLOAT, [1])]
    )
    model.opset_import.append(onnx.helper.make_opsetid("else.where", 1))
    return model.SerializeToString()


def _lost_weights(folder: Path) -> Path:
    weights = {"w": np.ones((64, 64), np.float32)}
    model = network(
        [node("MatMul", ["x", "w"], ["y"])], [("x", FLOAT, [1, 64])], [("y", FLOAT, [1, 64])], weights
    )
    path = folder / "m.onnx"
    onnx.save_model(model, str(path), save_as_external_data=True, location="m.data", size_threshold=0)
    (folder / "m.data").unlink()
    return path


def _text_input() -> bytes:
    text = onnx.TensorProto.STRING
    return network(
        [node("Identity", ["x"], ["y"])], [("x", text, [1])], [("y", text, [1])]
    ).SerializeToString()


def test_failing_run_is_one_line_that_names_the_model(opened) -> None:
    model = network(
        [node("Reshape", ["x", "s"], ["y"])],
        [("x", FLOAT, ["n"]), ("s", LONG, [2])],
        [("y", FLOAT, ["a", "b"])],
    ).SerializeToString()
    session = opened(model)
    six = np.arange(6, dtype=np.float32)
    with pytest.raises(BackendError) as error:
        session.run({"x": six, "s": np.array([4, 4])})
    assert f"could not run the model of {len(model)} bytes" in str(error.value)
    assert "\n" not in str(error.value)
    # And the session is none the worse.
    assert np.array_equal(session.run({"x": six, "s": np.array([2, 3])})["y"], six.reshape(2, 3))


@pytest.mark.parametrize(
    ("device", "kind", "words"),
    [
        pytest.param("tpu", InputError, ["'cpu'", "'cuda:<number>'", "'tpu'"], id="unknown"),
        pytest.param("cuda:x", InputError, ["'cuda:x'"], id="no number"),
        pytest.param("cuda:", InputError, ["'cuda:'"], id="number forgotten"),
        pytest.param(0, InputError, ["got 0"], id="type"),
        pytest.param("cuda", BackendError, ["'cuda'", "'cpu'"], id="absent"),
        pytest.param("cuda:97", BackendError, ["'cuda:97'", "'cpu'"], id="absent, numbered"),
    ],
)
def test_device_that_is_not_there_is_refused(device, kind, words: list[str], backend: str) -> None:
    if device == "cuda" and not explain_no_gpu():
        pytest.skip("there is a GPU")
    with pytest.raises(kind) as error:
        open_session(tiny.relu(), backend=backend, device=device)
    assert all(word in str(error.value) for word in words), str(error.value)


@pytest.mark.parametrize(
    ("options", "words"),
    [
        pytest.param({"thread": 2}, ["no option 'thread'", "strict", "threads"], id="unknown"),
        pytest.param({"threads": 0}, ["threads", "from 1", "got 0"], id="no threads"),
        pytest.param({"threads": True}, ["threads", "got True"], id="bool for a number"),
        pytest.param({"threads": "2"}, ["threads", "got '2'"], id="text for a number"),
        pytest.param({"strict": 1}, ["strict", "True or False"], id="number for a bool"),
    ],
)
def test_bad_options_are_refused(options: dict, words: list[str], backend: str) -> None:
    with pytest.raises(InputError) as error:
        open_session(tiny.relu(), backend=backend, **options)
    assert all(word in str(error.value) for word in words), str(error.value)


@pytest.mark.parametrize("threads", [1, 2])
def test_threads_do_not_change_the_result(threads: int, opened) -> None:
    x = _floats(1, 3, 40, 40)
    got = opened(tiny.conv_relu(), threads=threads, device="cpu", strict=True).run({"x": x})["y"]
    np.testing.assert_allclose(got, tiny.conv_relu_numpy(x), rtol=0, atol=1e-5)  # 1e-5: see the case table


QUIET_SCRIPT = """
import sys
import numpy as np
from edgevision.backends import open_session
from edgevision.errors import BackendError
backend, good, bad = sys.argv[1:]
session = open_session(good, backend=backend)
session.run({"x": np.ones((2, 3), np.float32)})
for path in (bad,):
    try:
        open_session(path, backend=backend)
    except BackendError:
        pass
    else:
        raise SystemExit("the damaged file was opened")
session.close()
assert "openvino_telemetry" not in sys.modules
"""


def test_nothing_is_printed_or_written_or_reported(backend: str, tmp_path: Path) -> None:
    # Both libraries report their use to their makers when they are imported: onnxruntime leaves files in the cache
    # folder of the user, openvino loads openvino_telemetry, which leaves one in the home folder.
    home = tmp_path / "home"
    home.mkdir()
    good, bad = tmp_path / "good.onnx", tmp_path / "bad.onnx"
    good.write_bytes(tiny.relu())
    bad.write_bytes(tiny.relu()[:-9])
    inherited = {
        name: value
        for name, value in os.environ.items()
        if not name.startswith(("XDG_", "ORT_", "COVERAGE")) and name not in ("CI", "HOME", "USERPROFILE")
    }
    done = subprocess.run(
        [sys.executable, "-W", "error", "-c", QUIET_SCRIPT, backend, str(good), str(bad)],
        env={**inherited, "HOME": str(home), "PYTHONPATH": os.pathsep.join(filter(None, sys.path))},
        capture_output=True,
        text=True,
    )
    assert (done.returncode, done.stdout, done.stderr) == (0, "", "")
    left = [path.relative_to(home) for path in home.rglob("*")]
    assert [
        str(path) for path in left if path.parts[0] != ".nv"
    ] == []  # .nv: what the driver of a GPU compiled
