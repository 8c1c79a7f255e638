from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

import pytest

from edgevision.spec import OnnxNumbers, read_onnx_numbers

from .wire import IMAGE, ROWS, bytes_field, graph, model, number_field, value_info, varint

# TensorProto.DataType of onnx/onnx.proto.
FLOAT, UINT8, INT8, INT32, HALF, BFLOAT16, FP8 = 1, 2, 3, 6, 10, 16, 17


def weight(name: str, dims: Sequence[int], dtype: int, *, packed: bool = False) -> bytes:
    sides = (
        bytes_field(1, b"".join(map(varint, dims))) if packed else b"".join(number_field(1, n) for n in dims)
    )
    return bytes_field(5, sides + number_field(2, dtype) + bytes_field(8, name) + bytes_field(9, b"\0" * 8))


def node(op: str, inputs: Sequence[str], outputs: Sequence[str], name: str = "", extra: bytes = b"") -> bytes:
    body = b"".join(bytes_field(1, one) for one in inputs) + b"".join(bytes_field(2, one) for one in outputs)
    return bytes_field(1, body + bytes_field(3, name) + bytes_field(4, op) + extra)


def output_dtype(code: int) -> bytes:
    return bytes_field(5, bytes_field(1, "output_dtype") + number_field(3, code))


def constant(name: str, dims: Sequence[int], dtype: int) -> bytes:
    tensor = b"".join(number_field(1, n) for n in dims) + number_field(2, dtype)
    return node(
        "Constant", [], [name], extra=bytes_field(5, bytes_field(1, "value") + bytes_field(5, tensor))
    )


QUANTISE = node("QuantizeLinear", ["x", "scale", "zero"], ["q"], "quant")
MANY = weight("w", (64, 3, 3, 3), FLOAT)
# Each case: what stands in the graph, and what it computes with.
CASES: dict[str, tuple[bytes, OnnxNumbers]] = {
    "float32 weights": (MANY, OnnxNumbers("fp32", ())),
    "half weights": (weight("w", (8, 8), HALF), OnnxNumbers("fp16", ())),
    "half weights, a few norms in float32": (weight("w", (8, 8), HALF) + weight("n", (8,), FLOAT), OnnxNumbers("fp16", ())),
    "bfloat16": (weight("w", (8, 8), BFLOAT16), OnnxNumbers("bf16", ())),
    "dims in one packed field": (
        weight("w", (300, 300), HALF, packed=True) + weight("n", (200,), FLOAT), OnnxNumbers("fp16", ())
    ),
    "weights as constants": (constant("w", (9, 9), HALF) + weight("n", (9,), FLOAT), OnnxNumbers("fp16", ())),
    "integers do not count": (weight("i", (99,), INT32) + weight("w", (3,), HALF), OnnxNumbers("fp16", ())),
    "no weights: the input's": (b"", OnnxNumbers("fp32", ())),
    "symmetric int8": (MANY + weight("zero", (), INT8) + QUANTISE, OnnxNumbers("int8", ())),
    "unsigned int8": (MANY + weight("zero", (), UINT8) + QUANTISE, OnnxNumbers("int8", ("quant",))),
    "the zero point a constant": (MANY + constant("zero", (), UINT8) + QUANTISE, OnnxNumbers("int8", ("quant",))),
    "no zero point means uint8": (MANY + node("QuantizeLinear", ["x", "scale"], ["q"]), OnnxNumbers("int8", ("q",))),
    "output_dtype int8": (
        MANY + node("QuantizeLinear", ["x", "scale"], ["q"], extra=output_dtype(INT8)), OnnxNumbers("int8", ())
    ),
    "dynamic quantisation": (
        MANY + node("DynamicQuantizeLinear", ["x"], ["q", "s", "z"], "dyn"), OnnxNumbers("int8", ("dyn",))
    ),
    "only the weights are int8": (
        weight("w", (4,), INT8) + node("DequantizeLinear", ["w", "s"], ["d"]), OnnxNumbers("int8", ())
    ),
    "only a bias is int32": (
        MANY + weight("b", (4,), INT32) + node("DequantizeLinear", ["b", "s"], ["d"]), OnnxNumbers("fp32", ())
    ),
    "fp8": (MANY + weight("zero", (), FP8) + QUANTISE, OnnxNumbers("fp8", ())),
}  # fmt: skip


@pytest.mark.parametrize(("extra", "expected"), CASES.values(), ids=CASES.keys())
def test_the_graph_tells_what_it_computes_with(extra: bytes, expected: OnnxNumbers, tmp_path: Path) -> None:
    # Named after another precision: the name is not believed.
    path = tmp_path / "model.fp16.int8.onnx"
    path.write_bytes(model(body=graph([IMAGE], [ROWS], extra=extra)))
    assert read_onnx_numbers(path) == expected


def test_a_graph_of_integers_alone_has_no_precision(tmp_path: Path) -> None:
    path = tmp_path / "m.onnx"
    path.write_bytes(model(body=graph([value_info("i", (1,), INT32)], [value_info("o", (1,), INT32)])))
    assert read_onnx_numbers(path) == OnnxNumbers("", ())


def test_a_graph_in_two_parts_is_one_graph(tmp_path: Path) -> None:
    path = tmp_path / "m.onnx"
    # The zero point stands in the part behind the node that it belongs to.
    parts = graph([IMAGE], extra=QUANTISE), graph([], [ROWS], extra=weight("zero", (), UINT8))
    path.write_bytes(model(body=parts[0]) + bytes_field(7, parts[1]))
    assert read_onnx_numbers(path) == OnnxNumbers("int8", ("quant",))
