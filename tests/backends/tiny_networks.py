"""ONNX networks of a few nodes, made in memory, and what must be installed to use them."""

from __future__ import annotations

import importlib.util
import os
from collections.abc import Sequence

import numpy as np
import pytest

from edgevision.backends.registry import BACKENDS


def require(module: str) -> None:
    """Skip when the module is missing; fail instead with EDGEVISION_REQUIRE_BACKENDS=1."""
    if importlib.util.find_spec(module) is not None:
        return
    if os.environ.get("EDGEVISION_REQUIRE_BACKENDS", "") not in ("", "0"):
        pytest.fail(f"{module} is not installed, and EDGEVISION_REQUIRE_BACKENDS is set", pytrace=False)
    pytest.skip(f"{module} is not installed", allow_module_level=True)


require("onnx")
import onnx  # noqa: E402, F401  (the tests take it from here, after the check above)
from onnx import ModelProto, TensorProto, helper, numpy_helper  # noqa: E402

FLOAT, HALF, BYTE, LONG = TensorProto.FLOAT, TensorProto.FLOAT16, TensorProto.UINT8, TensorProto.INT64
INT = TensorProto.INT32

node = helper.make_node


def require_backend(name: str) -> str:
    require(BACKENDS[name].module)
    return name


def network(
    nodes: Sequence[object],
    inputs: Sequence[tuple[str, int, object]],
    outputs: Sequence[tuple[str, int, object]],
    weights: dict[str, np.ndarray] | None = None,
    *,
    opset: int = 17,
) -> ModelProto:
    """inputs, outputs: (name, element type, shape), a text in the shape being a length known at run time."""
    graph = helper.make_graph(
        list(nodes),
        "tiny",
        [helper.make_tensor_value_info(*item) for item in inputs],
        [helper.make_tensor_value_info(*item) for item in outputs],
        [numpy_helper.from_array(value, name) for name, value in (weights or {}).items()],
    )
    # IR version 8 is what onnxruntime 1.17, the oldest supported one, reads.
    return helper.make_model(graph, opset_imports=[helper.make_opsetid("", opset)], ir_version=8)


def relu(shape: Sequence[object] = (2, 3), element: int = FLOAT) -> bytes:
    """y = max(x, 0)."""
    return network(
        [node("Relu", ["x"], ["y"])], [("x", element, shape)], [("y", element, shape)]
    ).SerializeToString()


def doubling(shape: Sequence[object], element: int = FLOAT) -> bytes:
    """y = x + x."""
    return network(
        [node("Add", ["x", "x"], ["y"])], [("x", element, shape)], [("y", element, shape)]
    ).SerializeToString()


def conv_relu() -> bytes:
    """y = relu(conv3x3(x, w) + b), padded by one; batch, height and width known at run time."""
    return network(
        [node("Conv", ["x", "w", "b"], ["c"], kernel_shape=[3, 3], pads=[1] * 4), node("Relu", ["c"], ["y"])],
        [("x", FLOAT, ["n", 3, "h", "w_"])],
        [("y", FLOAT, ["n", 4, "h", "w_"])],
        conv_weights(),
    ).SerializeToString()


def conv_weights() -> dict[str, np.ndarray]:
    rng = np.random.default_rng(7)
    return {
        "w": rng.standard_normal((4, 3, 3, 3)).astype(np.float32),
        "b": rng.standard_normal(4).astype(np.float32),
    }


def conv_relu_numpy(x: np.ndarray) -> np.ndarray:
    """What conv_relu computes, in float64."""
    weights = conv_weights()
    padded = np.pad(x.astype(np.float64), ((0, 0), (0, 0), (1, 1), (1, 1)))
    windows = np.lib.stride_tricks.sliding_window_view(padded, (3, 3), axis=(2, 3))
    sums = np.einsum("nchwij,ocij->nohw", windows, weights["w"].astype(np.float64))
    return np.maximum(sums + weights["b"].astype(np.float64)[None, :, None, None], 0)


def nonzero(declared: Sequence[object] = (2, "k"), shape: Sequence[object] = ("n", 4)) -> bytes:
    """y = coordinates of the non-zero elements (their number depends on the data), z = x + x."""
    return network(
        [node("NonZero", ["x"], ["y"]), node("Add", ["x", "x"], ["z"])],
        [("x", FLOAT, shape)],
        [("y", LONG, declared), ("z", FLOAT, shape)],
    ).SerializeToString()


def two_by_two() -> bytes:
    """s = a + b, d = a - b: two inputs, two outputs."""
    return network(
        [node("Add", ["a", "b"], ["s"]), node("Sub", ["a", "b"], ["d"])],
        [("a", FLOAT, ["n", 3]), ("b", FLOAT, ["n", 3])],
        [("s", FLOAT, ["n", 3]), ("d", FLOAT, ["n", 3])],
    ).SerializeToString()
