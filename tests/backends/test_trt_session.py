"""The session of TensorRT, on stand-ins for TensorRT and CUDA that compute: what every runtime must do, and its own."""

from __future__ import annotations

import gc
import threading
import warnings
import weakref
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import test_conformance as conformance
import tiny_networks as tiny
from tiny_networks import FLOAT, LONG, network, node
from trt_bench import GREATEST, Machine

from edgevision.backends.tensorrt import TensorRtSession
from edgevision.errors import BackendError, EdgeVisionWarning, InputError

MACHINES = {
    "10.3, discrete": ("10.3.0", False),
    "11.4, discrete": ("11.4.0.106", False),
    "10.3, Jetson": ("10.3.0", True),
    "11.4, shared memory": ("11.4.0.106", True),
}
ONES = np.ones((2, 3), np.float32)


@pytest.fixture(params=MACHINES.values(), ids=MACHINES.keys())
def machine(
    request: pytest.FixtureRequest, monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> Iterator[Machine]:
    version, integrated = request.param
    made = Machine(monkeypatch, tmp_path, version, integrated=integrated)
    yield made
    # Nothing of the GPU is kept once the sessions are gone.
    gc.collect()


@pytest.fixture
def opened(machine: Machine) -> Iterator[object]:
    """Opens sessions and closes them afterwards, as conformance's fixture does."""
    sessions: list[TensorRtSession] = []

    def open_one(model: bytes, **options: object) -> TensorRtSession:
        sessions.append(machine.open(model, **options))
        return sessions[-1]

    yield open_one
    for session in sessions:
        session.close()


# What every runtime must do


@pytest.mark.parametrize(
    "case",
    # TensorRT knows a tensor by its name alone: one cannot be both.
    [case for case in conformance._cases() if not case.id.startswith("output that is an input")],
    ids=lambda case: case.id,
)
def test_outputs_are_those_of_numpy(case: conformance.Case, opened) -> None:
    conformance.test_outputs_are_those_of_numpy(case, opened)


test_tensors_are_described = conformance.test_tensors_are_described
test_runtime_reads_the_buffer_itself = conformance.test_runtime_reads_the_buffer_itself
test_buffer_is_aligned_contiguous_and_zero = conformance.test_buffer_is_aligned_contiguous_and_zero
test_a_buffer_that_was_not_written_is_a_warm_up = conformance.test_a_buffer_that_was_not_written_is_a_warm_up
test_same_shape_gives_the_same_buffer = conformance.test_same_shape_gives_the_same_buffer
test_outputs_keep_their_memory = conformance.test_outputs_keep_their_memory
test_shape_may_change_and_change_back = conformance.test_shape_may_change_and_change_back
test_outputs_of_another_shape_leave_earlier_arrays_alone = (
    conformance.test_outputs_of_another_shape_leave_earlier_arrays_alone
)
test_one_input_may_change_its_shape_alone = conformance.test_one_input_may_change_its_shape_alone
test_earlier_outputs_outlive_the_session = conformance.test_earlier_outputs_outlive_the_session
test_foreign_feeds_are_copied = conformance.test_foreign_feeds_are_copied
test_feeds_may_be_strided = conformance.test_feeds_may_be_strided
test_own_buffer_may_be_fed = conformance.test_own_buffer_may_be_fed
test_bad_feeds_are_refused = conformance.test_bad_feeds_are_refused
test_bad_buffer_requests_are_refused = conformance.test_bad_buffer_requests_are_refused
test_run_without_feeds_or_buffers_is_refused = conformance.test_run_without_feeds_or_buffers_is_refused
test_clone_has_its_own_buffers = conformance.test_clone_has_its_own_buffers
test_clone_goes_on_when_the_original_is_closed = conformance.test_clone_goes_on_when_the_original_is_closed
test_closed_session_refuses = conformance.test_closed_session_refuses


def test_clones_run_in_threads(opened) -> None:
    session = opened(tiny.conv_relu())
    images = [conformance._floats(1, 3, 9 + worker, 8) for worker in range(3)]
    serial = [session.run({"x": image})["y"].copy() for image in images]
    wrong: list[int] = []

    def work(worker: int) -> None:
        clone = session.clone()
        for _ in range(10):
            if not np.array_equal(clone.run({"x": images[worker]})["y"], serial[worker]):
                wrong.append(worker)

    threads = [threading.Thread(target=work, args=(worker,)) for worker in range(len(images))]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert wrong == []


# Its own


def test_device_and_runtime_are_said(machine: Machine) -> None:
    session = machine.open(tiny.relu())
    assert (session.device, session.runtime) == ("cuda:0", f"TensorRT {machine.version}")


def test_memory_is_chosen_by_the_device(machine: Machine) -> None:
    session = machine.open(tiny.doubling(["n", 3]))
    array = session.input_buffer("x", (2, 3))
    array[:] = 1
    assert (session.run()["y"] == 2).all()
    mapped = machine.cuda.info.integrated
    assert (session.input_address("x") == array.ctypes.data) == mapped
    assert (machine.cuda.counts.get("copy", 0) == 0) == mapped
    assert (machine.cuda.counts.get("device", 0) == 0) == mapped


@pytest.mark.parametrize("memory", ["mapped", "staged"])
def test_memory_may_be_forced(memory: str, machine: Machine) -> None:
    session = machine.open(tiny.doubling(["n", 3]), memory=memory)
    assert (session.run({"x": ONES})["y"] == 2).all()
    assert (machine.cuda.counts.get("copy", 0) == 0) == (memory == "mapped")


def test_memory_that_the_device_does_not_have_is_refused(machine: Machine) -> None:
    machine.cuda.info.can_map_host = False
    with pytest.raises(
        BackendError, match="fake GPU cannot use mapped memory; pass memory='staged' or 'auto'"
    ):
        machine.open(tiny.relu(), memory="mapped")
    machine.open(tiny.relu()).run({"x": ONES})
    assert machine.cuda.counts["copy"] == 2


def test_steady_state_allocates_nothing(machine: Machine) -> None:
    session = machine.open(tiny.two_by_two())
    feeds = {"a": ONES, "b": ONES}
    for _ in range(3):
        session.run(feeds)
    before = {name: machine.cuda.counts.get(name, 0) for name in ("device", "pinned", "stream", "capture")}
    told = len(machine.trt.calls)
    for _ in range(20):
        session.input_buffer("a", (2, 3))
        session.run(feeds)
    assert {name: machine.cuda.counts.get(name, 0) for name in before} == before
    assert machine.trt.calls[told:] == [], "the graph runs alone"


def test_memory_is_given_back(machine: Machine) -> None:
    session = machine.open(tiny.nonzero())
    y = session.run({"x": np.ones((3, 4), np.float32)})["y"]
    assert machine.cuda.regions
    session.close()
    del session
    gc.collect()
    assert machine.cuda.regions == {}
    assert machine.cuda.pinned == {}
    assert y.shape == (2, 12)


def test_a_session_that_nobody_holds_gives_its_memory_back_at_once(machine: Machine) -> None:
    gc.collect()
    gc.disable()
    try:
        for network, width in ((tiny.doubling(["n", 3]), 3), (tiny.nonzero(), 4)):
            session = machine.open(network)
            for _ in range(3):
                session.run({"x": np.ones((2, width), np.float32)})
            assert machine.cuda.regions
            del session
            assert not machine.cuda.regions
    finally:
        gc.enable()


def test_a_closed_session_keeps_neither_context_nor_engine(machine: Machine) -> None:
    session = machine.open(tiny.doubling(["n", 3]))
    session.run({"x": ONES})
    kept = [weakref.ref(session._context), weakref.ref(session._engine.loaded)]
    session.close()
    gc.collect()
    assert [one() for one in kept] == [None, None]
    assert session.device.startswith("cuda:0")


# Graphs


def test_from_the_second_run_on_a_graph_is_launched(machine: Machine) -> None:
    session = machine.open(tiny.doubling(["n", 3]))
    for run in range(1, 6):
        session.input_buffer("x", (2, 3))[:] = run
        assert (session.run()["y"] == 2 * run).all()
        # The second run records and launches what it recorded.
        assert machine.cuda.counts.get("launch", 0) == max(0, run - 1)
    assert machine.cuda.counts["capture"] == 1
    assert len(machine.trt.told("execute")) == 2


def test_another_shape_needs_another_graph(machine: Machine) -> None:
    session = machine.open(tiny.doubling(["n", 3]))
    for rows in (2, 3, 2):
        for value in range(4):
            got = session.run({"x": np.full((rows, 3), value, np.float32)})["y"]
            assert np.array_equal(got, np.full((rows, 3), 2 * value, np.float32))
    assert machine.cuda.counts["capture"] == 3


def test_graphs_may_be_left_out(machine: Machine) -> None:
    session = machine.open(tiny.doubling(["n", 3]), cuda_graph=False)
    for _ in range(4):
        session.run({"x": ONES})
    assert "capture" not in machine.cuda.counts


@pytest.mark.parametrize("why", ["record", "capture"])
def test_a_network_that_cannot_be_recorded_runs_without_and_says_so(why: str, machine: Machine) -> None:
    machine.trt.fail = why
    machine.cuda.fail = why
    session = machine.open(tiny.doubling(["n", 3]))
    session.run({"x": ONES})
    with pytest.warns(EdgeVisionWarning, match="m.engine runs without a CUDA graph: "):
        assert (session.run({"x": ONES})["y"] == 2).all()
    assert session.device == "cuda:0 (without a CUDA graph)"
    machine.trt.fail = machine.cuda.fail = ""
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        for _ in range(3):
            assert (session.run({"x": ONES})["y"] == 2).all()
    assert machine.cuda.counts.get("launch", 0) == 0


def test_strict_refuses_to_run_without_a_graph(machine: Machine) -> None:
    machine.trt.fail = "record"
    session = machine.open(tiny.doubling(["n", 3]), strict=True)
    session.run({"x": ONES})
    with pytest.raises(BackendError, match=r"cannot be launched as a CUDA graph: .*cuda_graph=False"):
        session.run({"x": ONES})


def test_an_output_of_unforeseeable_shape_leaves_no_graph(machine: Machine) -> None:
    session = machine.open(tiny.nonzero())
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        for count in (1, 5, 0, 12):
            x = np.zeros((3, 4), np.float32)
            x.ravel()[:count] = 1
            for _ in range(2):
                outputs = session.run({"x": x})
                assert np.array_equal(outputs["y"], np.array(np.nonzero(x)))
                assert np.array_equal(outputs["z"], x + x)
    assert "capture" not in machine.cuda.counts


def test_an_output_that_grows_gives_its_smaller_memory_back(machine: Machine) -> None:
    session = machine.open(tiny.nonzero())
    sizes = []
    for count in (1, 100, 4000, 10):
        x = np.zeros((1000, 4), np.float32)
        x.ravel()[:count] = 1
        assert np.array_equal(session.run({"x": x})["y"], np.array(np.nonzero(x)))
        gc.collect()
        sizes.append(sorted(machine.cuda.regions.values()))
    kept = [x.nbytes, x.nbytes]  # of the input and of the output whose shape is known
    assert sizes == [sorted([*kept, 2 * 8 * most]) for most in (1, 100, 4000, 4000)]


# Profiles


def rows(least: int, most: int) -> dict[str, tuple[list[int], list[int], list[int]]]:
    return {"x": ([least, 3], [least, 3], [most, 3])}


def test_a_shape_outside_every_profile_is_refused_and_builds_nothing(machine: Machine) -> None:
    session = machine.open(tiny.doubling(["n", 3]), profiles=[rows(1, 4), rows(8, 8)])
    for wrong in (5, 9, GREATEST):
        with pytest.raises(InputError) as caught:
            session.input_buffer("x", (wrong, 3))
        assert f"was built for input 'x' of 1-4x3 or 8x3, got {wrong}x3; build it with a --profile x=" in str(
            caught.value
        )
    assert (session.run({"x": ONES})["y"] == 2).all()
    assert machine.trt.told("create_network") == []


def test_the_profile_that_has_the_shapes_is_taken(machine: Machine) -> None:
    session = machine.open(tiny.doubling(["n", 3]), profiles=[rows(1, 4), rows(3, 8), rows(16, 32)])
    for count, profile in ((2, []), (3, []), (8, [1]), (4, []), (16, [2]), (4, [0])):
        before = len(machine.trt.told("profile"))
        for _ in range(3):
            x = np.full((count, 3), count, np.float32)
            assert np.array_equal(session.run({"x": x})["y"], x + x)
        assert machine.trt.told("profile")[before:] == profile


def test_shapes_that_only_different_profiles_have_are_refused_together(machine: Machine) -> None:
    def both(most: int) -> dict[str, object]:
        return {name: ([most, 3],) * 3 for name in "ab"}

    model = network(
        [node("Concat", ["a", "b"], ["y"], axis=0)],
        [("a", FLOAT, ["n", 3]), ("b", FLOAT, ["m", 3])],
        [("y", FLOAT, ["k", 3])],
    ).SerializeToString()
    session = machine.open(model, profiles=[both(1), both(2)])
    with pytest.raises(InputError, match=r"no profile of .*m.engine has these shapes together: a 1x3, b 2x3"):
        session.run({"a": ONES[:1], "b": ONES})
    assert session.run({"a": ONES, "b": ONES})["y"].shape == (4, 3)


# Beside other kernels


def test_the_network_may_be_put_on_the_stream_alone(machine: Machine) -> None:
    session = machine.open(tiny.doubling(["n", 3]))
    array = session.input_buffer("x", (2, 3))
    array[:] = 3
    session.run()
    staged = np.full((2, 3), 7, np.float32)
    # As a kernel would write it there.
    cuda, stream = machine.cuda, session.stream
    cuda.pinned[staged.ctypes.data] = staged.nbytes
    got = np.zeros((2, 3), np.float32)
    cuda.pinned[got.ctypes.data] = got.nbytes
    cuda.copy_async(session.input_address("x"), staged.ctypes.data, staged.nbytes, stream)
    session.enqueue()
    cuda.copy_async(got.ctypes.data, session.output_address("y"), got.nbytes, stream)
    stream.synchronize()
    assert (got == 14).all()
    # And recorded, with what is before and after it.
    stream.begin_capture()
    cuda.copy_async(session.input_address("x"), staged.ctypes.data, staged.nbytes, stream)
    session.enqueue()
    cuda.copy_async(got.ctypes.data, session.output_address("y"), got.nbytes, stream)
    graph = stream.end_capture()
    staged[:] = -1
    graph.launch(stream)
    stream.synchronize()
    assert (got == -2).all()


def test_an_input_may_lie_in_memory_of_another(machine: Machine) -> None:
    check_lent_inputs(machine)


def check_lent_inputs(machine: Any) -> None:
    """An input that is lent is read where it lies, run after run, until its buffer is asked for. machine: opens sessions."""
    session, cuda = machine.open(tiny.two_by_two()), machine.cuda
    here, there = cuda.HostBuffer(48, True), cuda.HostBuffer(48, True)
    here.array((4, 3))[:] = 5
    there.array((4, 3))[:] = 7
    buffer = session.input_buffer("b", (4, 3))
    buffer[:] = 1
    for memory, value in ((here, 5), (there, 7)):
        for _ in range(4):
            assert session.lend_input("a", (4, 3), memory.device_pointer, memory)
            assert session.input_address("a") == memory.device_pointer
            results = session.run()
            assert (results["s"] == value + 1).all()
            assert (results["d"] == value - 1).all()
    recorded = cuda.counts["capture"]
    there.array((4, 3))[:] = 9  # by a kernel, say
    session.lend_input("a", (4, 3), there.device_pointer, there)
    assert (session.run()["s"] == 10).all()
    assert cuda.counts["capture"] == recorded, "the same memory again"
    for name, shape in (("c", (4, 3)), ("a", (4, 4)), ("a", (0, 3)), ("a", (4,))):
        with pytest.raises(InputError):
            session.lend_input(name, shape, here.device_pointer, here)
    assert (session.run()["s"] == 10).all(), "nothing was changed"
    own = session.input_buffer("a", (4, 3))
    own[:] = 2
    assert session.input_buffer("a", (4, 3)) is own
    assert (session.run()["s"] == 3).all()
    feeds = {"a": np.full((4, 3), 6, np.float32), "b": buffer}
    session.lend_input("a", (4, 3), here.device_pointer, here)
    assert (session.run(feeds)["s"] == 7).all(), "a feed ends it, too"
    session.close()
    with pytest.raises(BackendError, match="closed"):
        session.lend_input("a", (4, 3), here.device_pointer, here)


def test_memory_of_a_shape_that_no_profile_has_is_refused(machine: Machine) -> None:
    session = machine.open(tiny.doubling(["n", 3]), profiles=[{"x": ((1, 3), (1, 3), (4, 3))}])
    memory = machine.cuda.HostBuffer(60, True)
    with pytest.raises(InputError, match="was built for input 'x' of 1-4x3, got 5x3"):
        session.lend_input("x", (5, 3), memory.device_pointer, memory)
    with pytest.raises(InputError, match="input_buffer of 'x'"):
        session.run()


def test_an_output_of_unforeseeable_shape_has_no_place(machine: Machine) -> None:
    session = machine.open(tiny.nonzero())
    session.input_buffer("x", (2, 4))
    assert session.output_address("z")
    with pytest.raises(BackendError, match="output 'y' has no fixed place: its shape depends on the data"):
        session.output_address("y")


def test_an_output_in_the_processors_memory_is_read_there(machine: Machine) -> None:
    machine.trt.on_host = {"s"}
    model = network(
        [node("Shape", ["x"], ["s"]), node("Relu", ["x"], ["y"])],
        [("x", FLOAT, ["n", 3])],
        [("s", LONG, [2]), ("y", FLOAT, ["n", 3])],
    ).SerializeToString()
    session = machine.open(model)
    for _ in range(3):
        assert session.run({"x": ONES})["s"].tolist() == [2, 3]


# Failing calls


@pytest.mark.parametrize(
    ("call", "words"),
    [
        pytest.param("execute", "could not run .*m.engine: .*the GPU's memory is full", id="execute"),
        pytest.param("infer", r"could not infer the shapes of .*reshape changes volume", id="infer"),
        pytest.param(
            "infer, no rank", r"could not infer the shapes of .*reshape changes volume", id="infer, no rank"
        ),
        pytest.param("set_input_shape", r"could not take .*invalid tensor name: x", id="shape"),
        pytest.param("address x", r"could not bind .*invalid tensor name: x", id="input's address"),
        pytest.param("address y", r"could not bind .*invalid tensor name: y", id="output's address"),
    ],
)
def test_a_call_that_fails_is_told_and_the_session_goes_on(call: str, words: str, machine: Machine) -> None:
    session = machine.open(tiny.doubling(["n", 3]))
    machine.trt.fail, machine.trt.says = (
        call,
        ["IExecutionContext::x: Error Code 2: OutOfMemory (Requested size was 9)"],
    )
    with pytest.raises(BackendError, match=words) as caught:
        session.run({"x": ONES})
    assert "\n" not in str(caught.value)
    machine.trt.fail = ""
    for _ in range(3):
        assert (session.run({"x": ONES})["y"] == 2).all()


def test_an_error_before_is_no_reason_of_a_later_one(machine: Machine) -> None:
    session = machine.open(tiny.doubling(["n", 3]))
    machine.trt.fail, machine.trt.says = "execute", ["first"]
    with pytest.raises(BackendError, match=r"first$"):
        session.run({"x": ONES})
    machine.trt.says = []
    with pytest.raises(BackendError, match=r"could not run .*: it gives no reason$"):
        session.run({"x": ONES})


@pytest.mark.parametrize("call", ["copy", "synchronize"])
def test_cuda_that_fails_is_told(call: str, machine: Machine) -> None:
    if call == "copy" and machine.cuda.info.integrated:
        pytest.skip("nothing is copied there")
    session = machine.open(tiny.doubling(["n", 3]))
    machine.cuda.fail = call
    with pytest.raises(
        BackendError, match=rf"could not run .*m.engine: cuda {call} failed: .*; the GPU's memory is full"
    ):
        session.run({"x": ONES})
    machine.cuda.fail = ""
    assert (session.run({"x": ONES})["y"] == 2).all()


@pytest.mark.parametrize("call", ["pinned", "device"])
def test_memory_that_is_not_there_is_told(call: str, machine: Machine) -> None:
    if call == "device" and machine.cuda.info.integrated:
        pytest.skip("there is none of its own")
    session = machine.open(tiny.doubling(["n", 3]))
    machine.cuda.fail = call
    with pytest.raises(
        BackendError, match=r"not enough memory for 'x' at shape \(2, 3\) .*; use a smaller input"
    ):
        session.input_buffer("x", (2, 3))
    machine.cuda.fail = ""
    assert (session.run({"x": ONES})["y"] == 2).all()


def test_memory_for_an_output_of_unforeseeable_shape_that_is_not_there_is_told(machine: Machine) -> None:
    session = machine.open(tiny.nonzero())
    x = np.ones((2, 4), np.float32)
    session.run({"x": np.zeros((2, 4), np.float32)})
    machine.cuda.fail = "pinned"
    with pytest.raises(BackendError, match=r"not enough memory for 'y' at shape \(128,\)"):
        session.run({"x": x})
    machine.cuda.fail = ""
    assert session.run({"x": x})["y"].shape == (2, 8)


def test_an_allocator_that_is_refused_is_told(machine: Machine) -> None:
    session = machine.open(tiny.nonzero())
    machine.trt.fail = "allocator"
    with pytest.raises(BackendError, match=r"could not bind .*invalid tensor name: y"):
        session.run({"x": np.ones((2, 4), np.float32)})
    machine.trt.fail = ""
    assert session.run({"x": np.ones((2, 4), np.float32)})["y"].shape == (2, 8)


def test_a_profile_that_is_refused_is_told(machine: Machine) -> None:
    session = machine.open(tiny.doubling(["n", 3]), profiles=[rows(1, 1), rows(2, 4)])
    machine.trt.fail = "profile_async"
    with pytest.raises(BackendError, match=r"could not change the profile of .*: profile 1 refused"):
        session.run({"x": ONES})
    machine.trt.fail = ""
    assert (session.run({"x": ONES})["y"] == 2).all()


@pytest.mark.parametrize(
    ("call", "words"),
    [
        ("context", "could not make a context of .*likely the GPU is out of memory"),
        ("stream", "could not prepare .*"),
    ],
)
def test_a_session_that_cannot_be_made_is_told(call: str, words: str, machine: Machine) -> None:
    first = machine.open(tiny.relu())
    machine.trt.fail, machine.trt.says = call, []
    machine.cuda.fail = call
    for make in (lambda: machine.open(tiny.relu()), first.clone):
        with pytest.raises(BackendError, match=words):
            make()
    machine.trt.fail = machine.cuda.fail = ""
    assert (first.run({"x": -ONES})["y"] == 0).all()


def test_a_second_gpu_is_the_current_one_of_every_thread(machine: Machine) -> None:
    machine.cuda.devices = 2
    session = machine.open(tiny.relu(), device="cuda:1")
    assert session.device == "cuda:1"
    for call in (lambda: session.input_buffer("x", (2, 3)), session.run, session.clone):
        machine.cuda.set_device(0)
        call()
        assert machine.cuda.current_device() == 1
