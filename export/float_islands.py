"""Float32 islands in a float16 graph: the operators whose sums overflow or lose too much in half precision."""

from __future__ import annotations

from collections import Counter

import onnx
from onnx import TensorProto, helper

from edgevision.export.onnx_write import infer_types

__all__ = ["ISLAND_TYPES", "add_float_islands", "tensors_of"]

ISLAND_TYPES = frozenset(
    {
        "LayerNormalization",
        "RMSNormalization",
        "InstanceNormalization",
        "GroupNormalization",
        "Softmax",
        "LogSoftmax",
    }
    | {
        "ReduceMean",
        "ReduceSum",
        "ReduceSumSquare",
        "ReduceL2",
        "Pow",
        "Sqrt",
        "Reciprocal",
        "Exp",
        "Log",
        "CumSum",
    }
)
"""Means, variances, exponentials: at 65504 a float16 ends, and its sums of thousands of terms lose their last digits."""

_BRIDGES = frozenset({"Add", "Sub", "Mul", "Div"})
"""Arithmetic between two such operators, of a normalisation written out: it stays on the island."""


def add_float_islands(model: onnx.ModelProto) -> tuple[onnx.ModelProto, dict[str, int]]:
    """A copy in which every operator of ISLAND_TYPES computes in float32, between casts, and how many of each there are.

    One that reads another's result reads it in float32: a sum of squares beyond 65504 may pass from one to the next.
    The graph's inputs and outputs keep their types.
    """
    islands = _Islands(model)
    changed = onnx.ModelProto()
    changed.CopyFrom(model)
    for node in list(changed.graph.node):
        islands.add(node)
    del changed.graph.node[:]
    changed.graph.node.extend(islands.nodes)
    # Types of inner tensors that the exporter wrote down: those of the islands are others now.
    del changed.graph.value_info[:]
    return changed, dict(islands.counts)


class _Islands:
    """The nodes of the new graph, as they come."""

    def __init__(self, model: onnx.ModelProto) -> None:
        self.nodes: list[onnx.NodeProto] = []
        self.counts: Counter[str] = Counter()
        inferred = infer_types(model)
        self._halves = tensors_of(inferred, TensorProto.FLOAT16)
        self._floats = tensors_of(inferred, TensorProto.FLOAT)
        self._constants = {one.name for one in model.graph.initializer}
        self._inputs = {one.name for one in model.graph.input}
        self._wide: dict[str, str] = {}  # float16 tensor -> its float32 twin
        self._inside: set[str] = set()  # float16 tensors that an island makes

    def add(self, node: onnx.NodeProto) -> None:
        if node.op_type == "Cast":
            self._add_cast(node)
            return
        halves = [name for name in node.input if name in self._halves]
        bridge = node.op_type in _BRIDGES and self._inside.issuperset(
            name for name in halves if name not in self._constants
        )
        if not halves or not (node.op_type in ISLAND_TYPES or bridge):
            self.nodes.append(_copy(node))
            return
        self.counts[node.op_type] += 1
        wide = _copy(node)
        for at, name in enumerate(node.input):
            if name in self._halves:
                wide.input[at] = self._widen(name)
        after = []
        for at, name in enumerate(node.output):
            if name in self._halves:
                wide.output[at] = self._wide[name] = f"{name}.float32"
                self._inside.add(name)
                after.append(_cast(wide.output[at], name, TensorProto.FLOAT16))
        self.nodes += [wide, *after]

    def _add_cast(self, node: onnx.NodeProto) -> None:
        """A cast that the module itself makes: what was float32 before it, or is to be after it, needs no rounding."""
        source, target = node.input[0], node.output[0]
        if target in self._halves and source in self._floats:
            self._wide[target] = source
            if source not in self._inputs:
                self._inside.add(target)
        elif source in self._inside and target in self._floats:
            self.nodes.append(
                helper.make_node(
                    "Cast", [self._wide[source]], [target], name=node.name, to=node.attribute[0].i
                )
            )
            return
        self.nodes.append(_copy(node))

    def _widen(self, name: str) -> str:
        if name not in self._wide:
            self._wide[name] = f"{name}.float32"
            self.nodes.append(_cast(name, self._wide[name], TensorProto.FLOAT))
        return self._wide[name]


def _copy(node: onnx.NodeProto) -> onnx.NodeProto:
    copied = onnx.NodeProto()
    copied.CopyFrom(node)
    return copied


def _cast(source: str, target: str, kind: int) -> onnx.NodeProto:
    return helper.make_node("Cast", [source], [target], name=f"cast_{source}_to_{target}", to=kind)


def tensors_of(model: onnx.ModelProto, kind: int) -> set[str]:
    """Names of the tensors of an element type, of a model whose shapes (and so types) are inferred."""
    graph = model.graph
    values = [*graph.value_info, *graph.input, *graph.output]
    found = {one.name for one in values if one.type.tensor_type.elem_type == kind}
    return found | {one.name for one in graph.initializer if one.data_type == kind}
