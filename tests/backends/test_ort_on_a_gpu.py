"""ONNX Runtime's CUDA provider on a real GPU: what a stand-in cannot show. Skipped without one."""

from __future__ import annotations

import os
import subprocess
import sys
import threading
from collections.abc import Iterator
from contextlib import nullcontext
from pathlib import Path

import numpy as np
import pytest
import test_conformance as conformance
from tiny_networks import FLOAT, LONG, network, node

from edgevision.backends import Session, open_session
from edgevision.backends.gpu import explain_no_gpu
from edgevision.errors import BackendError, EdgeVisionWarning

# What a provider leaves to the processor it says in a warning, which is asked for where it matters.
pytestmark = [pytest.mark.gpu, pytest.mark.filterwarnings("ignore:.*cannot run all of")]


@pytest.fixture(autouse=True)
def _needs_a_gpu() -> None:
    reason = explain_no_gpu()
    if reason:
        pytest.skip(f"no GPU: {reason}")
    library = pytest.importorskip("onnxruntime", reason="onnxruntime is not installed")
    if "CUDAExecutionProvider" not in library.get_available_providers():
        pytest.skip("this onnxruntime has no CUDA provider")
    pytest.importorskip("edgevision._cuda", reason="edgevision._cuda is not built (EDGEVISION_CUDA=ON)")


@pytest.fixture(params=[{}, {"memory": "mapped"}, {"cuda_graph": False}], ids=["graph", "mapped", "steps"])
def opened(request: pytest.FixtureRequest) -> Iterator[object]:
    sessions: list[Session] = []

    def open_one(model: bytes, **options: object) -> Session:
        options = {"device": "cuda", "backend": "onnxruntime", **request.param, **options}
        sessions.append(open_session(model, **options))
        return sessions[-1]

    yield open_one
    for session in sessions:
        session.close()


test_outputs_are_those_of_numpy = conformance.test_outputs_are_those_of_numpy
test_outputs_keep_their_memory = conformance.test_outputs_keep_their_memory
test_shape_may_change_and_change_back = conformance.test_shape_may_change_and_change_back
test_outputs_of_another_shape_leave_earlier_arrays_alone = (
    conformance.test_outputs_of_another_shape_leave_earlier_arrays_alone
)
test_clone_has_its_own_buffers = conformance.test_clone_has_its_own_buffers
test_clones_run_in_threads = conformance.test_clones_run_in_threads
test_failing_run_is_one_line_that_names_the_model = (
    conformance.test_failing_run_is_one_line_that_names_the_model
)


def branches(parts: int = 30) -> bytes:
    """(n, parts * 3) -> the same numbers, each part a step further: of so many tensors a Split and a Concat tell the GPU the
    addresses. ONNX Runtime 1.31 records a Concat of up to 32."""
    names = [f"p{index}" for index in range(parts)]
    return network(
        [
            node("Split", ["x", "lengths"], names, axis=1),
            *(node("Add", [name, f"k{index}"], [f"q{index}"]) for index, name in enumerate(names)),
            node("Concat", [f"q{index}" for index in range(parts)], ["y"], axis=1),
        ],
        [("x", FLOAT, ["n", parts * 3])],
        [("y", FLOAT, ["n", parts * 3])],
        {
            "lengths": np.full(parts, 3, np.int64),
            **{f"k{index}": np.float32(index) for index in range(parts)},
        },
    ).SerializeToString()


def branches_numpy(x: np.ndarray) -> np.ndarray:
    return x + np.repeat(np.arange(x.shape[1] // 3, dtype=np.float32), 3)


def test_a_recording_outlives_runs_at_other_shapes_and_of_clones(opened) -> None:
    session = opened(branches())
    clone = session.clone()
    rng = np.random.default_rng(5)
    recorded = rng.standard_normal((2, 90)).astype(np.float32)
    for _ in range(3):
        np.testing.assert_array_equal(session.run({"x": recorded})["y"], branches_numpy(recorded))
    for rows in (1, 5, 33, 2, 64, 7):
        other = rng.standard_normal((rows, 90)).astype(np.float32)
        np.testing.assert_array_equal(clone.run({"x": other})["y"], branches_numpy(other))
        np.testing.assert_array_equal(session.run({"x": recorded})["y"], branches_numpy(recorded))
    assert session.device == "cuda:0"


def test_what_cannot_be_recorded_is_said_and_runs_step_by_step(opened) -> None:
    session = opened(branches(40))
    x = np.ones((2, 120), np.float32)
    recorded = session.recordable
    for turn in range(4):
        with (
            pytest.warns(EdgeVisionWarning, match="at most 32 inputs")
            if recorded and turn == 2
            else nullcontext()
        ):
            got = session.run({"x": x})["y"]
        np.testing.assert_array_equal(got, branches_numpy(x))
    assert session.device == ("cuda:0 (without a CUDA graph)" if recorded else "cuda:0")


def test_threads_record_launch_and_step_side_by_side(opened) -> None:
    """One network: a clone in each thread, of which some are recorded while others run at ever new shapes."""
    session = opened(branches())
    wrong: list[str] = []
    start = threading.Barrier(4)

    def work(worker: int) -> None:
        clone = session.clone()
        rng = np.random.default_rng(worker)
        start.wait()
        for turn in range(60):
            rows = worker + 1 if worker < 2 else int(rng.integers(1, 40))
            x = rng.standard_normal((rows, 90)).astype(np.float32)
            if not np.array_equal(clone.run({"x": x})["y"], branches_numpy(x)):
                wrong.append(f"thread {worker}, turn {turn}")
        clone.close()

    conformance.run_in_threads(4, work)
    assert wrong == []


def test_inputs_that_are_shapes_are_read_as_fed(opened) -> None:
    model = network(
        [node("Reshape", ["x", "s"], ["y"])],
        [("x", FLOAT, ["n"]), ("s", LONG, [2])],
        [("y", FLOAT, ["a", "b"])],
    ).SerializeToString()
    session = opened(model)
    x = np.arange(24, dtype=np.float32)
    for shape in ((4, 6), (3, 8), (2, 12), (4, 6)) * 5:
        np.testing.assert_array_equal(session.run({"x": x, "s": np.array(shape)})["y"], x.reshape(shape))


def test_nodes_that_the_gpu_does_not_have_are_computed_and_said(opened) -> None:
    model = network(
        [node("Add", ["x", "x"], ["d"]), node("Unique", ["d"], ["y"], sorted=1)],
        [("x", FLOAT, ["n"])],
        [("y", FLOAT, ["k"])],
    ).SerializeToString()
    with pytest.warns(EdgeVisionWarning, match="nodes on cpu: Unique"):
        session = opened(model)
    assert session.device == "cuda:0 (1 of 2 nodes on cpu: Unique)"
    for value in range(4):
        x = np.float32([value, 3, 1, value])
        np.testing.assert_array_equal(session.run({"x": x})["y"], np.unique(x + x))
    with pytest.raises(BackendError, match="pass strict=False"):
        opened(model, strict=True)


def test_products_are_full_ones_unless_tf32_is_asked_for(opened) -> None:
    rng = np.random.default_rng(0)
    x, w = (rng.standard_normal((256, 256)).astype(np.float32) for _ in range(2))
    model = network(
        [node("MatMul", ["x", "w"], ["y"])], [("x", FLOAT, [256, 256])], [("y", FLOAT, [256, 256])], {"w": w}
    ).SerializeToString()
    exact = x.astype(np.float64) @ w.astype(np.float64)
    full = np.abs(opened(model).run({"x": x})["y"] - exact).max()
    rounded = np.abs(opened(model, tf32=True).run({"x": x})["y"] - exact).max()
    assert full < 1e-4 < rounded


@pytest.mark.parametrize("left_open", [True, False], ids=["left open", "closed"])
def test_a_process_ends_quietly(left_open: bool, tmp_path: Path) -> None:
    path = tmp_path / "m.onnx"
    path.write_bytes(branches())
    script = (
        "import sys, numpy as np\n"
        "from edgevision.backends import open_session\n"
        "sessions = [open_session(sys.argv[1], device='cuda', cuda_graph=graph) for graph in (True, False)]\n"
        "clones = [one.clone() for one in sessions]\n"
        "for one in sessions + clones:\n"
        "    for _ in range(4): one.run({'x': np.ones((2, 90), np.float32)})\n"
        "    one.enqueue()\n"
        "    if sys.argv[2] == 'closed': one.close()\n"
    )
    done = subprocess.run(
        [sys.executable, "-c", script, str(path), "left open" if left_open else "closed"],
        env={**os.environ, "PYTHONPATH": os.pathsep.join(filter(None, sys.path))},
        capture_output=True,
        text=True,
    )
    assert (done.returncode, done.stdout, done.stderr) == (0, "", "")
