"""The same files read and written by the onnx package and run by ONNX Runtime."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
import pytest

from edgevision.spec import (
    Decoder,
    ModelSpec,
    TensorInfo,
    load_spec,
    read_onnx_header,
    read_onnx_io,
    write_onnx_metadata,
    write_spec,
)

onnx = pytest.importorskip("onnx")


@pytest.fixture
def path(tmp_path: Path) -> Path:
    """A model of one convolution, with metadata of odd characters and a repeated key."""
    helper, numpy_helper = onnx.helper, onnx.numpy_helper
    weight = np.random.default_rng(0).standard_normal((4, 3, 3, 3)).astype(np.float32)
    graph = helper.make_graph(
        [helper.make_node("Conv", ["images", "w"], ["y"]), helper.make_node("Relu", ["y"], ["output0"])],
        "g",
        [helper.make_tensor_value_info("images", onnx.TensorProto.FLOAT, ["batch", 3, 16, None])],
        [helper.make_tensor_value_info("output0", onnx.TensorProto.FLOAT, ["batch", 4, 14, None])],
        [numpy_helper.from_array(weight, "w")],
    )
    opsets = [helper.make_opsetid("", 17), helper.make_opsetid("com.example", 2)]
    model = helper.make_model(graph, opset_imports=opsets, producer_name="maker", producer_version="3")
    model.ir_version = 8
    model.doc_string = "documentation"
    for key, value in [("names", "{0: 'caf\xe9'}"), ("a", "1"), ("a", "2"), ("empty", "")]:
        model.metadata_props.add(key=key, value=value)
    file = tmp_path / "model.onnx"
    onnx.save(model, file)
    return file


def metadata(path: Path) -> dict[str, str]:
    return {entry.key: entry.value for entry in onnx.load(path).metadata_props}


def run(path: Path) -> Any:
    runtime = pytest.importorskip("onnxruntime")
    session = runtime.InferenceSession(path, providers=["CPUExecutionProvider"])
    image = np.random.default_rng(1).random((2, 3, 16, 20), np.float32)
    return session.run(None, {"images": image})[0]


def test_the_header_equals_what_the_onnx_package_reads(path: Path) -> None:
    header, model = read_onnx_header(path), onnx.load(path)
    assert header.metadata == metadata(path)
    assert header.ir_version == model.ir_version
    assert header.opsets == {one.domain: one.version for one in model.opset_import}
    assert (header.producer_name, header.producer_version) == (model.producer_name, model.producer_version)


def test_inputs_and_outputs_equal_what_the_graph_has(path: Path) -> None:
    inputs, outputs = read_onnx_io(path)
    assert inputs == (TensorInfo("images", (None, 3, 16, None), "float32"),)
    assert outputs == (TensorInfo("output0", (None, 4, 14, None), "float32"),)


def test_every_element_type_of_the_onnx_package_has_its_name(path: Path) -> None:
    model = onnx.load(path)
    for name, code in onnx.TensorProto.DataType.items():
        model.graph.output[0].type.tensor_type.elem_type = code
        onnx.save(model, path)
        read = read_onnx_io(path)[1][0].dtype
        expected = {"FLOAT": "float32", "DOUBLE": "float64"}.get(
            name, name.lower().replace("e8m0fnu", "e8m0")
        )
        assert read in (expected, f"onnx:{code}")
        assert read != f"onnx:{code}" or code > 24, f"{name} is missing from the table"


def test_a_written_file_is_valid_and_runs_identically(path: Path) -> None:
    before_run, before = run(path), onnx.load(path)
    write_onnx_metadata(path, {"edgevision.spec": "{}", "a": "new"}, remove=["empty"])
    after = onnx.load(path)
    onnx.checker.check_model(after, full_check=True)
    assert metadata(path) == {"names": "{0: 'caf\xe9'}", "edgevision.spec": "{}", "a": "new"}
    del before.metadata_props[:], after.metadata_props[:]
    assert after == before
    np.testing.assert_array_equal(run(path), before_run)


def test_a_spec_written_into_a_model_is_read_by_both(path: Path) -> None:
    spec = ModelSpec(task="detect", decoder=Decoder(name="yolo"), labels=("caf\xe9",))
    write_spec(path, spec)
    write_spec(path, spec)
    assert load_spec(path) == spec
    assert len(onnx.load(path).metadata_props) == 5  # names, a, a, empty and one spec
