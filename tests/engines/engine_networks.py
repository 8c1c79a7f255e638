"""Small ONNX networks that a builder takes, and ones that it refuses."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

import numpy as np
import pytest

onnx = pytest.importorskip("onnx", reason="onnx is not installed")
helper, numpy_helper = onnx.helper, onnx.numpy_helper
FLOAT, HALF, LONG, UINT8 = (
    onnx.TensorProto.FLOAT,
    onnx.TensorProto.FLOAT16,
    onnx.TensorProto.INT64,
    onnx.TensorProto.UINT8,
)
node = helper.make_node


def network(
    path: Path,
    nodes: Sequence[object],
    inputs: Sequence[tuple[str, int, Sequence[object]]],
    outputs: Sequence[tuple[str, int, Sequence[object]]],
    weights: dict[str, object] | None = None,
    *,
    opset: int = 19,
    domains: Sequence[str] = (),
    **save: object,
) -> Path:
    """The path, once the network is written there."""
    graph = helper.make_graph(
        list(nodes),
        "small",
        [helper.make_tensor_value_info(*one) for one in inputs],
        [helper.make_tensor_value_info(*one) for one in outputs],
        [numpy_helper.from_array(np.asarray(value), name) for name, value in (weights or {}).items()],
    )
    opsets = [helper.make_opsetid("", opset), *(helper.make_opsetid(one, 1) for one in domains)]
    onnx.save(helper.make_model(graph, opset_imports=opsets, ir_version=9), path, **save)
    return path


def conv_relu(path: Path, shape: Sequence[object] = ("batch", 3, 16, 16), *, half: bool = False) -> Path:
    """y = relu(conv3x3(images))."""
    kind = HALF if half else FLOAT
    weights = np.random.default_rng(0).standard_normal((4, 3, 3, 3)).astype("f2" if half else "f4")
    return network(
        path,
        [
            node("Conv", ["images", "w"], ["c"], kernel_shape=[3, 3], pads=[1] * 4, name="conv"),
            node("Relu", ["c"], ["y"], name="relu"),
        ],
        [("images", kind, shape)],
        [("y", kind, [shape[0], 4, *shape[2:]])],
        {"w": weights},
    )


def product(path: Path, **save: object) -> Path:
    """y = x @ w, both float32."""
    weights = {"w": np.random.default_rng(1).standard_normal((64, 64)).astype(np.float32)}
    return network(
        path,
        [node("MatMul", ["x", "w"], ["y"], name="product")],
        [("x", FLOAT, [1, 64])],
        [("y", FLOAT, [1, 64])],
        weights,
        **save,
    )


def quantised(path: Path, zero: object, *, bias: bool = False) -> Path:
    """A convolution with Q/DQ around its input and weights; with bias, its bias in int32 as ONNX Runtime makes it."""
    weights: dict[str, object] = {
        "w": np.random.default_rng(2).integers(-127, 127, (4, 3, 3, 3)).astype(np.int8),
        "ws": np.full(4, 0.01, np.float32),
        "wz": np.zeros(4, np.int8),
        "xs": np.float32(0.02),
        "xz": zero,
    }
    nodes = [
        node("QuantizeLinear", ["images", "xs", "xz"], ["xq"], name="quant"),
        node("DequantizeLinear", ["xq", "xs", "xz"], ["xd"], name="dequant"),
        node("DequantizeLinear", ["w", "ws", "wz"], ["wd"], axis=0, name="weight_dequant"),
    ]
    inputs = ["xd", "wd"]
    if bias:
        weights |= {
            "b": np.zeros(4, np.int32),
            "bs": np.full(4, 2e-4, np.float32),
            "bz": np.zeros(4, np.int32),
        }
        nodes.append(node("DequantizeLinear", ["b", "bs", "bz"], ["bd"], axis=0, name="bias_dequant"))
        inputs.append("bd")
    nodes.append(node("Conv", inputs, ["y"], kernel_shape=[3, 3], pads=[1] * 4, name="conv"))
    shape = [1, 3, 16, 16]
    return network(path, nodes, [("images", FLOAT, shape)], [("y", FLOAT, [1, 4, 16, 16])], weights)
