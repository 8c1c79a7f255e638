"""The inputs and outputs of an ONNX file's graph, read without a runtime and without reading the weights."""

from __future__ import annotations

import os
from pathlib import Path

from edgevision.spec import protobuf
from edgevision.spec.onnx_file import open_onnx, scan_model
from edgevision.spec.protobuf import Field, WireFile
from edgevision.spec.tensor_info import TensorInfo

__all__ = ["DTYPES", "read_onnx_io"]

# Field numbers of GraphProto, ValueInfoProto, TypeProto, TensorShapeProto and TensorProto in onnx/onnx.proto.
_INITIALIZER, _INPUT, _OUTPUT, _SPARSE_INITIALIZER = 5, 11, 12, 15
_TENSOR_NAME = 8
_SPARSE_VALUES = 1

DTYPES = (
    *("undefined", "float32", "uint8", "int8", "uint16", "int16", "int32", "int64", "string", "bool"),
    *("float16", "float64", "uint32", "uint64", "complex64", "complex128", "bfloat16"),
    *("float8e4m3fn", "float8e4m3fnuz", "float8e5m2", "float8e5m2fnuz"),
    *("uint4", "int4", "float4e2m1", "float8e8m0"),
)
"""TensorProto.DataType as `TensorInfo.dtype` has it; numbers beyond are newer than this table."""


def read_onnx_io(path: str | os.PathLike[str]) -> tuple[tuple[TensorInfo, ...], tuple[TensorInfo, ...]]:
    """The graph's inputs and its outputs, in the graph's order; weights listed as inputs are left out.

    Raises ModelFileError as `read_onnx_header` does.
    """
    with open_onnx(Path(path)) as wire:
        inputs: list[TensorInfo] = []
        outputs: list[TensorInfo] = []
        weights: list[Field] = []
        for graph in scan_model(wire).graphs:
            for one in wire.message(graph):
                if one.number == _INPUT:
                    inputs.append(_read_value(wire, one))
                elif one.number == _OUTPUT:
                    outputs.append(_read_value(wire, one))
                elif one.number in (_INITIALIZER, _SPARSE_INITIALIZER):
                    weights.append(one)
        # Before IR version 4 every weight was an input as well, and it still may be.
        if len(inputs) > 1:
            names = {_read_weight_name(wire, one) for one in weights}
            inputs = [one for one in inputs if one.name not in names]
        return tuple(inputs), tuple(outputs)


def _read_value(wire: WireFile, value: Field) -> TensorInfo:
    name, dtype = "", "unknown"
    shape: tuple[int | None, ...] = ()
    for one in wire.message(value):
        if one.number == 1:
            name = wire.text(one)
        elif one.number == 2:
            for kind in wire.message(one):
                if kind.number == 1:  # tensor_type; the others are sequences, maps, optionals, sparse tensors
                    shape, dtype = _read_tensor_type(wire, kind)
    return TensorInfo(name, shape, dtype)


def _read_tensor_type(wire: WireFile, kind: Field) -> tuple[tuple[int | None, ...], str]:
    shape: list[int | None] = []
    dtype = "undefined"
    for one in wire.message(kind):
        if one.number == 1:
            code = protobuf.integer(one)
            dtype = DTYPES[code] if 0 <= code < len(DTYPES) else f"onnx:{code}"
        elif one.number == 2:
            shape.extend(_read_dim(wire, dim) for dim in wire.message(one) if dim.number == 1)
    return tuple(shape), dtype


def _read_dim(wire: WireFile, dim: Field) -> int | None:
    """The dimension's size; None for a symbolic one, one without a value, and the -1 of some old
    exporters."""
    size: int | None = None
    for one in wire.message(dim):
        if one.number == 1:
            size = protobuf.integer(one)
        elif one.number == 2:
            size = None
    return None if size is None or size < 0 else size


def _read_weight_name(wire: WireFile, weight: Field) -> str:
    if weight.number == _SPARSE_INITIALIZER:
        for one in wire.message(weight):
            if one.number == _SPARSE_VALUES:
                return _read_weight_name(wire, one)
        return ""
    for one in wire.message(weight):
        if one.number == _TENSOR_NAME:
            return wire.text(one)
    return ""
