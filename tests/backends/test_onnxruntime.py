"""What only the ONNX Runtime session does."""

from __future__ import annotations

import os

import numpy as np
import pytest
import tiny_networks as tiny
from tiny_networks import FLOAT, network, node, onnx

from edgevision.backends import open_session
from edgevision.errors import BackendError, InputError

tiny.require_backend("onnxruntime")


def open_ort(model: bytes, **options: object):
    return open_session(model, backend="onnxruntime", **options)


def test_an_output_declared_with_a_constant_shape_may_still_change() -> None:
    # NonZero declared as (2, 1): the first run fits and its array is kept, the second needs another shape.
    session = open_ort(tiny.nonzero(declared=(2, 1), shape=(2, 4)))
    x = np.zeros((2, 4), np.float32)
    for columns in ([0], [0], [0, 2], [1], [0, 1, 2, 3]):
        x[:] = 0
        x[1, columns] = 5
        outputs = session.run({"x": x})
        assert np.array_equal(outputs["y"], np.nonzero(x))
        assert np.array_equal(outputs["z"], x + x)
    assert (
        session._fixed == {}
    )  # caught once, it is not believed again: that would run every other frame twice


def test_an_output_declared_with_a_wrong_shape_is_given_as_it_is() -> None:
    model = network([node("Relu", ["x"], ["y"])], [("x", FLOAT, ["n", 3])], [("y", FLOAT, ["n", 3])])
    model.graph.output[0].type.tensor_type.shape.dim[1].dim_value = 9
    session = open_ort(model.SerializeToString())
    for _ in range(3):
        assert session.run({"x": np.ones((2, 3), np.float32)})["y"].shape == (2, 3)


def test_memory_that_a_run_does_not_get_is_an_error() -> None:
    model = network(
        [node("Expand", ["x", "s"], ["y"])],
        [("x", FLOAT, [1])],
        [("y", FLOAT, ["k"])],
        {"s": np.array([10**14])},
    )
    with pytest.raises(BackendError, match=r"400000000000000; use a smaller input"):
        open_ort(model.SerializeToString()).run({"x": np.ones(1, np.float32)})


def test_a_newer_opset_says_what_to_do() -> None:
    model = network([node("Relu", ["x"], ["y"])], [("x", FLOAT, [1])], [("y", FLOAT, [1])], opset=99)
    with pytest.raises(BackendError, match=r"[Oo]pset 99 .*older opset, or upgrade the runtime"):
        open_ort(model.SerializeToString())


def test_a_newer_file_format_says_what_to_do() -> None:
    model = network([node("Relu", ["x"], ["y"])], [("x", FLOAT, [1])], [("y", FLOAT, [1])])
    model.ir_version = 99
    with pytest.raises(BackendError, match=r": Unsupported model IR version: 99, .*older opset, or upgrade"):
        open_ort(model.SerializeToString())


def test_a_sequence_output_is_refused() -> None:
    model = network([node("SequenceConstruct", ["x"], ["s"])], [("x", FLOAT, [1])], [("s", FLOAT, [1])])
    model.graph.output[0].CopyFrom(onnx.helper.make_tensor_sequence_value_info("s", FLOAT, None))
    with pytest.raises(
        BackendError, match=r"output 's' .*seq\(tensor\(float\)\).*accepted are tensors of bool"
    ):
        open_ort(model.SerializeToString())


def test_bfloat16_is_refused() -> None:
    kind = onnx.TensorProto.BFLOAT16
    model = network([node("Identity", ["x"], ["y"])], [("x", kind, [1])], [("y", kind, [1])])
    with pytest.raises(BackendError, match=r"input 'x' .*bfloat16.*cast"):
        open_ort(model.SerializeToString())


@pytest.mark.parametrize(
    "options",
    [
        {"spin": False},
        {"threads": 2, "inter_op_threads": 2},
        {"graph_optimization": "none"},
        {"graph_optimization": "basic"},
        {"graph_optimization": "extended"},
        {"log_severity": 3},
    ],
    ids=str,
)
def test_options_do_not_change_the_result(options: dict) -> None:
    a, b = np.float32([[1, 2, 3]]), np.float32([[4, 5, 6]])
    outputs = open_ort(tiny.two_by_two(), **options).run({"a": a, "b": b})
    assert np.array_equal(outputs["s"], a + b)
    assert np.array_equal(outputs["d"], a - b)


def test_options_reach_the_runtime() -> None:
    session = open_ort(tiny.relu(), threads=1, inter_op_threads=2, spin=False, graph_optimization="basic")
    reached = session._network.session.get_session_options()
    import onnxruntime

    assert (reached.intra_op_num_threads, reached.inter_op_num_threads, reached.log_severity_level) == (
        1,
        2,
        4,
    )
    assert reached.execution_mode == onnxruntime.ExecutionMode.ORT_PARALLEL
    assert reached.graph_optimization_level == onnxruntime.GraphOptimizationLevel.ORT_ENABLE_BASIC
    assert reached.get_session_config_entry("session.intra_op.allow_spinning") == "0"


@pytest.mark.parametrize(
    ("options", "words"),
    [
        pytest.param(
            {"precision": "float32"}, ["no option 'precision'", "graph_optimization", "spin"], id="OpenVINO's"
        ),
        pytest.param({"spin": 1}, ["spin", "True or False"], id="spin"),
        pytest.param({"inter_op_threads": 0}, ["inter_op_threads", "from 1"], id="inter_op_threads"),
        pytest.param(
            {"graph_optimization": 99}, ["'none', 'basic', 'extended', 'all'", "99"], id="graph_optimization"
        ),
        pytest.param({"log_severity": 5}, ["0, 1, 2, 3, 4", "got 5"], id="log_severity"),
    ],
)
def test_bad_options_are_refused(options: dict, words: list[str]) -> None:
    with pytest.raises(InputError) as error:
        open_ort(tiny.relu(), **options)
    assert all(word in str(error.value) for word in words), str(error.value)


def test_reports_stay_off_unless_the_user_turns_them_on(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delenv("ORT_DISABLE_TELEMETRY", raising=False)
    open_ort(tiny.relu()).close()
    assert os.environ["ORT_DISABLE_TELEMETRY"] == "1"
    monkeypatch.setenv("ORT_DISABLE_TELEMETRY", "0")
    open_ort(tiny.relu()).close()
    assert os.environ["ORT_DISABLE_TELEMETRY"] == "0"
