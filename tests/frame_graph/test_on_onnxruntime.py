"""The same over ONNX Runtime's CUDA provider: its runs stand between our kernels, recorded with them or step by step."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import pytest
from comparing import assert_same, frames
from cuda_modules import emulated_or_skip
from frame_networks import data_dependent, family
from late_cuda import LateCuda
from test_ort_gpu import Machine

from edgevision import Model
from edgevision.backends.options import OnnxRuntimeOptions
from edgevision.errors import BackendError, EdgeVisionWarning, InputError


@pytest.fixture(params=[False, True], ids=["discrete", "shared memory"])
def machine(request: pytest.FixtureRequest, monkeypatch: pytest.MonkeyPatch) -> Machine:
    return Machine(monkeypatch, LateCuda(emulated_or_skip(), integrated=request.param))


@pytest.fixture
def open_model(machine: Machine) -> Callable[..., Model]:
    def open_one(spec: Any, network: bytes, device: str = "cuda", **options: Any) -> Model:
        return Model(spec, machine.open(network, device, **options))

    return open_one


@pytest.mark.parametrize("name", ["yolo, masks", "detr", "class_logits", "scores"])
@pytest.mark.parametrize("cuda_graph", [False, True])
def test_families_give_the_processors_results(
    open_model: Callable[..., Model], machine: Machine, name: str, cuda_graph: bool
) -> None:
    spec, network = family(name)
    on_gpu = open_model(spec, network, cuda_graph=cuda_graph)
    on_processor = open_model(spec, network, "cpu")
    for frame in frames(6):
        assert_same(on_gpu(frame), on_processor(frame))
    assert machine.cuda.counts.get("launch", 0) == (5 if cuda_graph else 0)
    batch = frames(3)
    for got, expected in zip(on_gpu(batch), on_processor(batch), strict=True):
        assert_same(got, expected)


@pytest.mark.parametrize("cuda_graph", [False, True])
def test_frames_on_their_way_keep_their_results(
    open_model: Callable[..., Model], machine: Machine, cuda_graph: bool
) -> None:
    model = open_model(*family("yolo"), cuda_graph=cuda_graph)
    other, reference = model.clone(), open_model(*family("yolo"), "cpu")
    given = frames(7)
    ahead = [one.submit(frame) for frame in given for one in (model, other)]
    for index, submission in enumerate(ahead):
        assert_same(submission.result(), reference(given[index // 2]))
    assert len(machine.cuda.streams) == 1 + 2 * 2, "the network's, and one a slot"
    assert machine.cuda.counts.get("launch", 0) == (14 - 2 * 2 if cuda_graph else 0)


def test_in_steady_state_a_frame_is_one_launch(open_model: Callable[..., Model], machine: Machine) -> None:
    model = open_model(*family("yolo"))
    given = frames(1)[0]
    for _ in range(3):
        model(given)
    counts, unwaited = dict(machine.cuda.counts), machine.ort.unwaited
    model(given)
    new = {name: machine.cuda.counts[name] - counts[name] for name in counts}
    assert {name: count for name, count in new.items() if count} == {"launch": 1, "synchronize": 1}
    assert machine.ort.unwaited == unwaited


def test_without_slots_the_processor_prepares_and_decodes(
    open_model: Callable[..., Model], machine: Machine
) -> None:
    model, reference = open_model(*family("yolo"), slots=0), open_model(*family("yolo"), "cpu")
    for frame in frames(3):
        assert_same(model(frame), reference(frame))
    assert "kernels" not in machine.cuda.counts


def test_what_onnxruntime_says_is_passed_on_and_the_next_frame_goes_on(
    open_model: Callable[..., Model],
) -> None:
    model = open_model(*family("yolo"), cuda_graph=False)
    reference = open_model(*family("yolo"), "cpu")
    frame = frames(1)[0]
    model(frame)

    def fail(binding: Any, options: Any = None) -> None:
        raise RuntimeError("[ONNXRuntimeError] : 1 : FAIL : CUDA failure 700: an illegal memory access")

    real = model.session._run_bound
    model.session._run_bound = fail
    with pytest.raises(BackendError, match=r"could not run .*illegal memory access"):
        model(frame)
    model.session._run_bound = real
    assert_same(model(frame), reference(frame))
    model.close()
    with pytest.raises(BackendError, match="closed"):
        model(frame)


@pytest.mark.parametrize("slots", [-1, 0.0, False, "2"])
def test_slots_are_a_number(slots: Any) -> None:
    with pytest.raises(InputError, match="slots must be a whole number"):
        OnnxRuntimeOptions(slots=slots)


def test_outputs_that_depend_on_the_data_are_left_to_the_processor(open_model: Callable[..., Model]) -> None:
    spec, network = data_dependent()
    model, reference = open_model(spec, network), open_model(spec, network, "cpu")
    first, *others = frames(4)
    with pytest.warns(EdgeVisionWarning, match="depend on the data"):
        got = model(first)
    assert_same(got, reference(first))
    for frame in others:
        assert_same(model(frame), reference(frame))
