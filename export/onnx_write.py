"""ONNX models written to the disk: in one file, or beyond what one file holds with their weights in another beside it.

Protocol Buffers end a message at 2 GiB. Past it nothing may ask for the model's bytes, so what needs the graph alone is
given it without its weights.
"""

from __future__ import annotations

import os
from pathlib import Path
from typing import Any, BinaryIO

import onnx
from onnx import TensorProto

from edgevision.export.errors import ExportError
from edgevision.spec.files import atomic_writer
from edgevision.spec.onnx_data import DATA_SUFFIX

__all__ = ["ONE_FILE_BYTES", "data_path", "infer_types", "is_large", "write_model"]

ONE_FILE_BYTES = (2 << 30) - (128 << 20)
"""Bytes of weights that go into one file: protobuf's 2 GiB, less room for the nodes and the metadata."""

_LEAST_BYTES = 1024
"""Smaller weights stay in the graph: shape inference reads some of them."""

_ALIGNMENT = 4096
"""Of each weight in the data file: a page, so that a runtime can map it (onnx/onnx.proto, TensorProto.external_data)."""


def data_path(path: str | os.PathLike[str]) -> Path:
    """The file of weights that belongs to an ONNX file of that name."""
    path = Path(path)
    return path.with_name(path.name + DATA_SUFFIX)


def is_large(model: onnx.ModelProto) -> bool:
    """Whether the model's weights are more than one file holds."""
    return sum(len(one.raw_data) for one in model.graph.initializer) > ONE_FILE_BYTES


def write_model(model: onnx.ModelProto, path: str | os.PathLike[str]) -> Path:
    """The path written, atomically; of a large model also data_path(path), which the file names by its plain name.

    A data file of that name is replaced, and removed when the model needs none: it belonged to the file that is gone.
    Raises ExportError for a graph that passes 2 GiB even without its weights, ModelFileError when the disk refuses.
    """
    target = Path(path)
    data = data_path(target)
    target.parent.mkdir(parents=True, exist_ok=True)
    if not is_large(model):
        _write_graph(model, target)
        data.unlink(missing_ok=True)
        return target
    with atomic_writer(data) as file:
        graph = _without_weights(model, data.name, file)
    try:
        _write_graph(graph, target)
    except BaseException:
        data.unlink(missing_ok=True)
        raise
    return target


def infer_types(model: onnx.ModelProto) -> onnx.ModelProto:
    """The model with the types and shapes of its inner tensors, and without the numbers in its weights."""
    return onnx.shape_inference.infer_shapes(_without_weights(model, "weights"))


def _write_graph(model: onnx.ModelProto, target: Path) -> None:
    try:
        content = model.SerializeToString()
    except ValueError as error:
        raise ExportError(f"the graph is too large for an ONNX file (2 GiB): {error}") from None
    with atomic_writer(target) as file:
        file.write(content)


def _without_weights(model: onnx.ModelProto, location: str, file: BinaryIO | None = None) -> onnx.ModelProto:
    """A copy whose weights of _LEAST_BYTES or more lie in the file `location`; they are written to `file`."""
    bare = onnx.ModelProto()
    _merge(bare, model, skip="graph")
    _merge(bare.graph, model.graph, skip="initializer")
    end = 0
    for weight in model.graph.initializer:
        numbers = weight.raw_data
        if len(numbers) < _LEAST_BYTES:
            bare.graph.initializer.append(weight)
            continue
        start = -(-end // _ALIGNMENT) * _ALIGNMENT
        if file is not None:
            file.write(bytes(start - end))
            file.write(numbers)
        end = start + len(numbers)
        place = bare.graph.initializer.add()
        _merge(place, weight, skip="raw_data")
        place.data_location = TensorProto.EXTERNAL
        for key, value in (("location", location), ("offset", start), ("length", len(numbers))):
            entry = place.external_data.add()
            entry.key, entry.value = key, str(value)
    return bare


def _merge(target: Any, source: Any, skip: str) -> None:
    """Every field of a message but one into another, without copying that one."""
    for field, value in source.ListFields():
        if field.name == skip:
            continue
        held = getattr(target, field.name)
        if hasattr(held, "MergeFrom"):  # messages and repeated fields
            held.MergeFrom(value)
        else:
            setattr(target, field.name, value)
