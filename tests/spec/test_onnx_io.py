from __future__ import annotations

from pathlib import Path

import pytest

from edgevision.spec import TensorInfo, read_onnx_io

from .wire import IMAGE, ROWS, bytes_field, graph, model, number_field, value_info


def write(folder: Path, body: bytes) -> Path:
    path = folder / "model.onnx"
    path.write_bytes(model(body=body))
    return path


def test_names_shapes_and_types_are_read_in_order(tmp_path: Path) -> None:
    half = value_info("points", (None, "batch", 2, -1), elem_type=10)
    inputs, outputs = read_onnx_io(write(tmp_path, graph([IMAGE, half], [ROWS])))
    assert inputs == (
        TensorInfo("images", (1, 3, 64, 64), "float32"),
        TensorInfo("points", (None, None, 2, None), "float16"),
    )
    assert outputs == (TensorInfo("output0", (1, 84, 2100), "float32"),)


def test_weights_listed_as_inputs_are_left_out(tmp_path: Path) -> None:
    # TensorProto: dims, data_type, raw_data before the name, as some writers order them.
    weight = bytes_field(
        5, number_field(1, 4) + number_field(2, 1) + bytes_field(9, b"\0" * 16) + bytes_field(8, "w")
    )
    sparse = bytes_field(15, bytes_field(1, bytes_field(8, "s")))
    body = graph([value_info("w", (4,)), value_info("s", (4,)), IMAGE], [ROWS], extra=weight + sparse)
    inputs, _ = read_onnx_io(write(tmp_path, body))
    assert [one.name for one in inputs] == ["images"]


@pytest.mark.parametrize(
    ("value", "expected"),
    [
        (bytes_field(1, "seq") + bytes_field(2, bytes_field(4, b"")), TensorInfo("seq", (), "unknown")),
        (bytes_field(1, "bare"), TensorInfo("bare", (), "unknown")),
        (value_info("new", (1,), elem_type=99), TensorInfo("new", (1,), "onnx:99")),
        (value_info("bf", (), elem_type=16), TensorInfo("bf", (), "bfloat16")),
    ],
    ids=["a sequence", "no type", "a type newer than the table", "a scalar"],
)
def test_what_is_not_a_plain_tensor_is_told_apart(value: bytes, expected: TensorInfo, tmp_path: Path) -> None:
    _, outputs = read_onnx_io(write(tmp_path, graph([IMAGE], [value])))
    assert outputs == (expected,)


def test_a_graph_in_two_parts_is_one_graph(tmp_path: Path) -> None:
    path = tmp_path / "model.onnx"
    path.write_bytes(model(body=graph([IMAGE])) + bytes_field(7, graph([], [ROWS])))
    inputs, outputs = read_onnx_io(path)
    assert [one.name for one in inputs + outputs] == ["images", "output0"]
