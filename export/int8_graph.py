"""What of a graph is quantised: which operators, and which nodes never."""

from __future__ import annotations

from collections import deque

import onnx

__all__ = ["WEIGHTED", "float_tail", "layer_groups", "name_nodes", "quantised_types", "weight_layers"]

WEIGHTED = frozenset({"Conv", "ConvTranspose", "Gemm", "MatMul"})
"""Operators that multiply by weights: where int8 saves time."""

# What lies between the layers of a convolutional network and has int8 kernels in ONNX Runtime. Softmax, LayerNorm and
# their like have none, or lose too much.
_BETWEEN = frozenset(
    {
        "Add",
        "AveragePool",
        "Clip",
        "Concat",
        "Flatten",
        "GlobalAveragePool",
        "LeakyRelu",
        "MaxPool",
        "Mul",
        "Pad",
    }
    | {"Relu", "Reshape", "Resize", "Sigmoid", "Slice", "Split", "Squeeze", "Transpose", "Unsqueeze"}
)

_FEW_WEIGHTS = 256
"""A layer of fewer weights is arithmetic written as a layer (the 16 bins of a box side), not a learned one."""


def name_nodes(model: onnx.ModelProto) -> onnx.ModelProto:
    """A copy in which every node has a name of its own, by which it can be left out."""
    named = onnx.ModelProto()
    named.CopyFrom(model)
    seen: set[str] = set()
    for index, node in enumerate(named.graph.node):
        if not node.name or node.name in seen:
            node.name = f"{node.op_type}_{index}"
            while node.name in seen:
                node.name += "_"
        seen.add(node.name)
    return named


def quantised_types(model: onnx.ModelProto, form: str) -> frozenset[str]:
    """The operators that a form quantises.

    For TensorRT those with weights, whose inputs alone are quantised. For the processor also what lies between the
    layers of a convolutional network, so that it computes in int8 throughout. Not of a transformer: the sums along its
    residual path span hundreds of times their usual values, and 256 steps do not resolve both.
    """
    if form == "int8-trt" or any(node.op_type == "LayerNormalization" for node in model.graph.node):
        return WEIGHTED
    return WEIGHTED | _BETWEEN


def weight_layers(model: onnx.ModelProto) -> list[str]:
    """Names of the learned layers, in the graph's order."""
    sizes = _weight_sizes(model)
    return [node.name for node in model.graph.node if _is_layer(node, sizes)]


def float_tail(model: onnx.ModelProto) -> frozenset[str]:
    """Names of the nodes behind the last learned layers, which turn their outputs into the network's.

    One tensor there holds boxes of 0-640 pixels beside scores of 0-1, or pixel positions: 256 steps over it would wipe
    out the scores.
    """
    sizes = _weight_sizes(model)
    makers = {name: node for node in model.graph.node for name in node.output}
    found: set[str] = set()
    waiting = deque(makers[value.name] for value in model.graph.output if value.name in makers)
    while waiting:
        node = waiting.popleft()
        if node.name in found or _is_layer(node, sizes):
            continue
        found.add(node.name)
        waiting.extend(makers[name] for name in node.input if name in makers)
    return frozenset(found)


def layer_groups(model: onnx.ModelProto, types: frozenset[str], tail: frozenset[str]) -> list[list[str]]:
    """The nodes that a form quantises, as one group a learned layer: the layer and what follows it, up to the next."""
    sizes = _weight_sizes(model)
    owner: dict[str, int] = {}  # tensor -> group
    groups: list[list[str]] = []
    for node in model.graph.node:
        if _is_layer(node, sizes):
            groups.append([])
            at = len(groups) - 1
        else:
            # The latest layer that it depends on: a sum belongs to the branch that was computed last.
            at = max((owner[name] for name in node.input if name in owner), default=-1)
        owner.update(dict.fromkeys(node.output, at))
        if at >= 0 and node.op_type in types and node.name not in tail:
            groups[at].append(node.name)
    return [group for group in groups if group]


def _is_layer(node: onnx.NodeProto, sizes: dict[str, int]) -> bool:
    if node.op_type not in WEIGHTED:
        return False
    return any(sizes.get(name, 0) >= _FEW_WEIGHTS for name in node.input)


def _weight_sizes(model: onnx.ModelProto) -> dict[str, int]:
    """Elements of each constant."""
    sizes = {}
    for tensor in model.graph.initializer:
        count = 1
        for side in tensor.dims:
            count *= side
        sizes[tensor.name] = count
    return sizes
