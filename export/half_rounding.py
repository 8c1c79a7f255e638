"""What a float16 graph gives on a device that computes in float16, told on a processor that does not.

Runtimes for processors compute float16 graphs in float32 and drop the roundings in between, so that an overflow at
65504, which a GPU would show, stays hidden. Here every value is rounded to float16 where the graph says float16; sums
inside one operator are kept in float32, as tensor cores keep them.
"""

from __future__ import annotations

import numpy as np
import onnx
from onnx import TensorProto, helper, numpy_helper

from edgevision.export.float_islands import tensors_of
from edgevision.export.onnx_write import infer_types

__all__ = ["round_like_half"]

# Operators whose outputs are values of their inputs: rounded already.
_MOVES = frozenset(
    {
        "Concat",
        "Expand",
        "Flatten",
        "Gather",
        "GatherND",
        "Identity",
        "MaxPool",
        "Pad",
        "Relu",
        "Reshape",
        "Slice",
    }
    | {"Split", "Squeeze", "Tile", "Transpose", "Unsqueeze", "Where"}
)


def round_like_half(model: onnx.ModelProto) -> onnx.ModelProto | None:
    """A float32 graph that computes what the float16 one does, roundings and overflows included.

    Its inputs and outputs are float32. None for a graph with subgraphs, which are not looked into.
    """
    subgraphs = (onnx.AttributeProto.GRAPH, onnx.AttributeProto.GRAPHS)
    if any(one.type in subgraphs for node in model.graph.node for one in node.attribute):
        return None
    halves = tensors_of(infer_types(model), TensorProto.FLOAT16)
    wide = onnx.ModelProto()
    wide.CopyFrom(model)
    graph = wide.graph
    for tensor in graph.initializer:
        _widen(tensor)
    for value in (*graph.input, *graph.output):
        if value.type.tensor_type.elem_type == TensorProto.FLOAT16:
            value.type.tensor_type.elem_type = TensorProto.FLOAT
    del graph.value_info[:]
    nodes: list[onnx.NodeProto] = []
    for node in graph.node:
        _widen_attributes(node)
        nodes.append(node)
        if node.op_type in _MOVES:
            continue
        for at, name in enumerate(node.output):
            if name in halves:
                node.output[at] = f"{name}.exact"
                nodes += _round(f"{name}.exact", name)
    copied = [onnx.NodeProto() for _ in nodes]
    for one, node in zip(copied, nodes, strict=True):
        one.CopyFrom(node)
    del graph.node[:]
    graph.node.extend(copied)
    return wide


def _round(source: str, target: str) -> list[onnx.NodeProto]:
    half = f"{target}.half"
    return [
        helper.make_node("Cast", [source], [half], to=TensorProto.FLOAT16),
        helper.make_node("Cast", [half], [target], to=TensorProto.FLOAT),
    ]


def _widen(tensor: onnx.TensorProto) -> None:
    if tensor.data_type == TensorProto.FLOAT16:
        values = numpy_helper.to_array(tensor).astype(np.float32)
        tensor.CopyFrom(numpy_helper.from_array(values, tensor.name))


def _widen_attributes(node: onnx.NodeProto) -> None:
    for one in node.attribute:
        if one.type == onnx.AttributeProto.TENSOR:
            _widen(one.t)
        elif node.op_type == "Cast" and one.name == "to" and one.i == TensorProto.FLOAT16:
            one.i = TensorProto.FLOAT  # its output is rounded behind it, like every other
