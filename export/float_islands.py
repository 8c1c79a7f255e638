"""Float32 islands in a float16 graph: the operators whose sums overflow or lose too much in half precision."""

from __future__ import annotations

from collections import Counter

import onnx
from onnx import TensorProto, helper

__all__ = ["ISLAND_TYPES", "add_float_islands"]

ISLAND_TYPES = frozenset(
    {
        "LayerNormalization",
        "RMSNormalization",
        "InstanceNormalization",
        "GroupNormalization",
        "Softmax",
        "LogSoftmax",
    }
    | {"ReduceMean", "ReduceSum", "ReduceL2", "Pow", "Sqrt", "Reciprocal", "Exp", "Log", "CumSum"}
)
"""Means, variances, exponentials: at 65504 a float16 ends, and its sums of thousands of terms lose their last digits."""


def add_float_islands(model: onnx.ModelProto) -> tuple[onnx.ModelProto, dict[str, int]]:
    """A copy in which every operator of ISLAND_TYPES computes in float32, between casts, and how many of each there are.

    Weights of such operators are cast too. The graph's inputs and outputs keep their types.
    """
    inferred = onnx.shape_inference.infer_shapes(model)
    halves = _half_tensors(inferred)
    changed = onnx.ModelProto()
    changed.CopyFrom(model)
    nodes: list[onnx.NodeProto] = []
    counts: Counter[str] = Counter()
    for node in changed.graph.node:
        if node.op_type not in ISLAND_TYPES or not any(name in halves for name in node.input):
            nodes.append(node)
            continue
        counts[node.op_type] += 1
        nodes += _wrap(node, halves, len(nodes))
    del changed.graph.node[:]
    changed.graph.node.extend(nodes)
    # Types of inner tensors that the exporter wrote down: those of the islands are others now.
    del changed.graph.value_info[:]
    return changed, dict(counts)


def _wrap(node: onnx.NodeProto, halves: set[str], index: int) -> list[onnx.NodeProto]:
    before, after = [], []
    wide = onnx.NodeProto()
    wide.CopyFrom(node)
    for at, name in enumerate(node.input):
        if name in halves:
            inner = f"{name}_float32_{index}"
            before.append(_cast(name, inner, TensorProto.FLOAT))
            wide.input[at] = inner
    for at, name in enumerate(node.output):
        if name in halves:
            inner = f"{name}_float32_{index}"
            after.append(_cast(inner, name, TensorProto.FLOAT16))
            wide.output[at] = inner
    return [*before, wide, *after]


def _cast(source: str, target: str, kind: int) -> onnx.NodeProto:
    return helper.make_node("Cast", [source], [target], name=f"cast_{source}_to_{target}", to=kind)


def _half_tensors(model: onnx.ModelProto) -> set[str]:
    graph = model.graph
    values = [*graph.value_info, *graph.input, *graph.output]
    found = {one.name for one in values if one.type.tensor_type.elem_type == TensorProto.FLOAT16}
    return found | {one.name for one in graph.initializer if one.data_type == TensorProto.FLOAT16}
