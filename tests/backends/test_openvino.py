"""What only the OpenVINO session does."""

from __future__ import annotations

import warnings
from pathlib import Path

import numpy as np
import pytest
import tiny_networks as tiny
from tiny_networks import FLOAT, network, node

from edgevision.backends import OpenVinoOptions, open_session
from edgevision.backends.source import ModelSource
from edgevision.errors import BackendError, EdgeVisionWarning, InputError

tiny.require_backend("openvino")

from edgevision.backends.openvino import _check_precision, _import_openvino  # noqa: E402


def open_ov(model: bytes | Path, **options: object):
    return open_session(model, backend="openvino", **options)


def effective(session, name: str):
    return session._network.compiled.get_property(name)


def test_float32_is_the_default_whatever_the_processor_has() -> None:
    assert effective(open_ov(tiny.conv_relu()), "INFERENCE_PRECISION_HINT").get_type_name() == "f32"


def test_options_reach_the_runtime() -> None:
    session = open_ov(tiny.conv_relu(), threads=1, streams=1)
    assert effective(session, "INFERENCE_NUM_THREADS") == 1
    assert effective(session, "NUM_STREAMS") == 1
    assert "LATENCY" in str(effective(session, "PERFORMANCE_HINT"))
    assert effective(open_ov(tiny.conv_relu(), threads=2, streams=2), "NUM_STREAMS") == 2


@pytest.mark.parametrize("precision", ["bfloat16", "float16"])
def test_half_precision_is_computed_or_its_absence_said(precision: str) -> None:
    short = {"bfloat16": "bf16", "float16": "f16"}[precision]
    with warnings.catch_warnings(record=True) as caught:
        warnings.simplefilter("always")
        session = open_ov(tiny.conv_relu(), precision=precision)
    real = effective(session, "INFERENCE_PRECISION_HINT").get_type_name()
    if real == short:
        assert (session.device, caught) == ("cpu", [])
    else:
        # A processor that has the other half precision may compute in that.
        said = {"f32": "float32", "bf16": "bfloat16", "f16": "float16"}[real]
        assert session.device == f"cpu ({said} instead of {precision})"
        assert [warning.category for warning in caught] == [EdgeVisionWarning]
        with pytest.raises(BackendError, match=precision):
            open_ov(tiny.conv_relu(), precision=precision, strict=True)


SOURCE = ModelSource("m.onnx", path="m.onnx")


@pytest.mark.parametrize(
    ("asked", "compiled"), [("float32", "f32"), ("bfloat16", "bf16"), ("float16", "f16"), ("auto", "bf16")]
)
def test_precision_as_asked_is_silent(asked: str, compiled: str) -> None:
    assert (
        _check_precision(OpenVinoOptions(precision=asked, strict=True), compiled, SOURCE, "openvino 1")
        == "cpu"
    )


def test_precision_that_fell_back_warns_and_is_said() -> None:
    words = r"openvino 1 computes m\.onnx in float32: this processor has no float16"
    with pytest.warns(EdgeVisionWarning, match=words):
        device = _check_precision(OpenVinoOptions(precision="float16"), "f32", SOURCE, "openvino 1")
    assert device == "cpu (float32 instead of float16)"
    with pytest.raises(BackendError, match=words):
        _check_precision(OpenVinoOptions(precision="float16", strict=True), "f32", SOURCE, "openvino 1")


@pytest.mark.parametrize(
    ("options", "words"),
    [
        pytest.param(
            {"spin": True}, ["no option 'spin'", "precision", "streams", "threads"], id="ONNX Runtime's"
        ),
        pytest.param(
            {"precision": "int8"}, ["'float32', 'bfloat16', 'float16', 'auto'", "'int8'"], id="precision"
        ),
        pytest.param({"streams": 0}, ["streams", "from 1"], id="streams"),
    ],
)
def test_bad_options_are_refused(options: dict, words: list[str]) -> None:
    with pytest.raises(InputError) as error:
        open_ov(tiny.relu(), **options)
    assert all(word in str(error.value) for word in words), str(error.value)


def test_an_output_that_is_an_input_does_not_take_its_memory() -> None:
    # An array given to such an output would replace the one that the input is read from.
    model = network(
        [node("Relu", ["x"], ["y"])], [("x", FLOAT, [2, 3])], [("x", FLOAT, [2, 3]), ("y", FLOAT, [2, 3])]
    ).SerializeToString()
    session = open_ov(model)
    buffer = session.input_buffer("x", (2, 3))
    for value in (3, 4):
        buffer[:] = value
        outputs = session.run()
        assert (outputs["x"] == value).all()
        assert (outputs["y"] == value).all()
    outputs["x"][:] = 0
    assert (buffer == 4).all()


def test_output_of_a_dynamic_batch_is_written_in_place_and_others_are_copied() -> None:
    session = open_ov(tiny.nonzero())
    assert session._network.output_dims == ((2, None), (("x", 0), 4))


def test_larger_and_smaller_batches_are_never_cut() -> None:
    # OpenVINO cuts a result silently when the array it was given is too small.
    session = open_ov(tiny.doubling(["n", 3]))
    for rows in (1, 7, 2, 50, 3):
        x = np.arange(rows * 3, dtype=np.float32).reshape(rows, 3)
        assert np.array_equal(session.run({"x": x})["y"], x + x)


def test_a_shape_that_openvino_infers_is_believed_over_the_declared_one() -> None:
    model = network([node("Relu", ["x"], ["y"])], [("x", FLOAT, ["n", 3])], [("y", FLOAT, ["n", 3])])
    model.graph.output[0].type.tensor_type.shape.dim[1].dim_value = 9
    session = open_ov(model.SerializeToString())
    assert session.outputs[0].shape == (None, 3)
    assert session.run({"x": np.ones((2, 3), np.float32)})["y"].shape == (2, 3)


def test_openvino_s_own_format_is_read(tmp_path: Path) -> None:
    library = _import_openvino()
    path = tmp_path / "m.onnx"
    path.write_bytes(tiny.two_by_two())
    library.save_model(library.Core().read_model(str(path)), str(tmp_path / "m.xml"), compress_to_fp16=False)
    a, b = np.float32([[1, 2, 3]]), np.float32([[4, 5, 6]])
    session = open_session(tmp_path / "m.xml")  # only OpenVINO reads .xml
    outputs = session.run({"a": a, "b": b})
    assert session.runtime.startswith("openvino ")
    assert list(outputs) == ["s", "d"]
    assert np.array_equal(outputs["d"], a - b)
