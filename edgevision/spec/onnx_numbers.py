"""Which numbers an ONNX file computes with, told from its weights and its quantisation, not from its name."""

from __future__ import annotations

import os
from collections.abc import Iterator
from dataclasses import dataclass, field
from math import prod
from pathlib import Path

from edgevision.spec import protobuf
from edgevision.spec.onnx_file import open_onnx, scan_model
from edgevision.spec.onnx_io import DTYPES, read_onnx_io
from edgevision.spec.protobuf import Field, WireFile

__all__ = ["OnnxNumbers", "read_onnx_numbers"]

# Field numbers of GraphProto, NodeProto, AttributeProto and TensorProto in onnx/onnx.proto.
_GRAPH_NODE, _GRAPH_INITIALIZER = 1, 5
_NODE_INPUT, _NODE_OUTPUT, _NODE_NAME, _NODE_OP, _NODE_ATTRIBUTE = 1, 2, 3, 4, 5
_ATTRIBUTE_NAME, _ATTRIBUTE_INT, _ATTRIBUTE_TENSOR = 1, 3, 5
_TENSOR_DIMS, _TENSOR_TYPE, _TENSOR_NAME = 1, 2, 8

_QUANTISERS = ("QuantizeLinear", "DynamicQuantizeLinear", "DequantizeLinear")
# What a precision is called, by the type of the numbers.
_SHORT = {"float32": "fp32", "float16": "fp16", "bfloat16": "bf16", "float64": "fp64"}
_NARROW = {"int8": "int8", "uint8": "int8", "int4": "int4", "uint4": "int4", "float4e2m1": "fp4"}
_NARROW |= dict.fromkeys(("float8e4m3fn", "float8e4m3fnuz", "float8e5m2", "float8e5m2fnuz"), "fp8")


@dataclass(frozen=True, slots=True)
class OnnxNumbers:
    """The numbers of a graph.

    precision: "int8", "int4", "fp8" or "fp4" where activations or weights are quantised to such; else what most of the
        weights are: "fp32", "fp16", "bf16" or "fp64"; of a graph without weights, what its first such input is; "" of a
        graph that has none.
    unsigned:  the names of the nodes that quantise to unsigned numbers, or widen weights that are.
    """

    precision: str
    unsigned: tuple[str, ...]


@dataclass(slots=True)
class _Node:
    op: str = ""
    name: str = ""
    inputs: list[str] = field(default_factory=list)
    outputs: list[str] = field(default_factory=list)
    output_type: int = 0
    tensor: tuple[str, int] | None = None


def read_onnx_numbers(path: str | os.PathLike[str]) -> OnnxNumbers:
    """What the graph of an ONNX file computes with; its subgraphs and functions are not looked into.

    Raises ModelFileError as `read_onnx_header` does.
    """
    types: dict[str, str] = {}
    sizes: dict[str, int] = {}
    quantisers: list[_Node] = []
    with open_onnx(Path(path)) as wire:
        for one in _graph_fields(wire):
            if one.number == _GRAPH_INITIALIZER:
                name, dtype, size = _read_tensor(wire, one)
            else:
                node = _read_node(wire, one)
                if not node.outputs:
                    continue
                if node.op in _QUANTISERS:
                    quantisers.append(node)
                if node.tensor is None:
                    continue
                name, (dtype, size) = node.outputs[0], node.tensor
            types[name] = dtype
            sizes[dtype] = sizes.get(dtype, 0) + size
    made = [(node, _quantised_type(node, types)) for node in quantisers]
    unsigned = tuple(node.name or node.outputs[0] for node, dtype in made if dtype.startswith("uint"))
    return OnnxNumbers(_precision({dtype for _, dtype in made}, sizes) or _input_precision(path), unsigned)


def _precision(quantised: set[str], sizes: dict[str, int]) -> str:
    """From the types that nodes quantise to and the number of weights of each type; "" when neither tells."""
    narrow = {_NARROW[dtype] for dtype in quantised if dtype in _NARROW}
    if narrow:
        return next(kind for kind in ("int8", "fp8", "int4", "fp4") if kind in narrow)
    floats = {dtype: size for dtype, size in sizes.items() if dtype in _SHORT}
    return _SHORT[max(floats, key=lambda dtype: floats[dtype])] if floats else ""


def _input_precision(path: str | os.PathLike[str]) -> str:
    inputs, _ = read_onnx_io(path)
    return next((_SHORT[one.dtype] for one in inputs if one.dtype in _SHORT), "")


def _graph_fields(wire: WireFile) -> Iterator[Field]:
    for graph in scan_model(wire).graphs:
        for one in wire.message(graph):
            if one.number in (_GRAPH_NODE, _GRAPH_INITIALIZER):
                yield one


def _quantised_type(node: _Node, types: dict[str, str]) -> str:
    """The narrow type of a node that quantises, or that widens a weight; "" of one that widens another's output.

    A QuantizeLinear's is its zero point's type, else its attribute's, else uint8, says ONNX.
    """
    if node.op == "DequantizeLinear":
        return types.get(node.inputs[0], "") if node.inputs else ""
    if len(node.inputs) > 2 and node.inputs[2]:
        return types.get(node.inputs[2], "")
    return _dtype(node.output_type) if node.output_type else "uint8"


def _read_node(wire: WireFile, one: Field) -> _Node:
    node = _Node()
    for part in wire.message(one):
        if part.number == _NODE_INPUT:
            node.inputs.append(wire.text(part))
        elif part.number == _NODE_OUTPUT:
            node.outputs.append(wire.text(part))
        elif part.number == _NODE_NAME:
            node.name = wire.text(part)
        elif part.number == _NODE_OP:
            node.op = wire.text(part)
        elif part.number == _NODE_ATTRIBUTE:
            _read_attribute(wire, part, node)
    return node


def _read_attribute(wire: WireFile, attribute: Field, node: _Node) -> None:
    """The two attributes that matter: a Constant's tensor and the type that QuantizeLinear makes."""
    name, number = "", 0
    tensor: tuple[str, int] | None = None
    for one in wire.message(attribute):
        if one.number == _ATTRIBUTE_NAME:
            name = wire.text(one)
        elif one.number == _ATTRIBUTE_INT:
            number = protobuf.integer(one)
        elif one.number == _ATTRIBUTE_TENSOR:
            _, dtype, size = _read_tensor(wire, one)
            tensor = (dtype, size)
    if name == "output_dtype":
        node.output_type = number
    elif name == "value":
        node.tensor = tensor


def _read_tensor(wire: WireFile, tensor: Field) -> tuple[str, str, int]:
    """Name, type and number of elements."""
    name, code = "", 0
    dims: list[int] = []
    for one in wire.message(tensor):
        if one.number == _TENSOR_NAME:
            name = wire.text(one)
        elif one.number == _TENSOR_TYPE:
            code = protobuf.integer(one)
        elif one.number == _TENSOR_DIMS:
            dims.extend(protobuf.varints(wire, one))
    return name, _dtype(code), prod(dims)


def _dtype(code: int) -> str:
    return DTYPES[code] if 0 <= code < len(DTYPES) else f"onnx:{code}"
