"""Weights that an ONNX file keeps in files beside it: which those are, and whether they are there and whole."""

from __future__ import annotations

import os
from dataclasses import dataclass
from pathlib import Path, PurePosixPath

from edgevision.errors import ModelFileError
from edgevision.spec import protobuf
from edgevision.spec.onnx_file import open_onnx, scan_model
from edgevision.spec.protobuf import Field, WireError, WireFile

__all__ = ["DATA_SUFFIX", "check_onnx_data", "read_onnx_data"]

DATA_SUFFIX = ".data"
"""What the exporter puts behind an ONNX file's name to call the file of its weights."""

# Field numbers of GraphProto, TensorProto and StringStringEntryProto in onnx/onnx.proto.
_GRAPH_INITIALIZER = 5
_TENSOR_EXTERNAL, _TENSOR_LOCATION = 13, 14
_KEY, _VALUE = 1, 2
_EXTERNAL = 1  # TensorProto.DataLocation


@dataclass(slots=True)
class _Place:
    location: str
    end: int


def read_onnx_data(path: str | os.PathLike[str]) -> dict[str, int]:
    """The files of weights that an ONNX file names, relative to its folder, and the bytes that each must have at least.

    Constants inside nodes are not looked at: exporters keep those in the graph. Raises ModelFileError as
    `read_onnx_header` does.
    """
    found: dict[str, int] = {}
    with open_onnx(Path(path)) as wire:
        for graph in scan_model(wire).graphs:
            for one in wire.message(graph):
                place = _read_place(wire, one) if one.number == _GRAPH_INITIALIZER else None
                if place is not None:
                    found[place.location] = max(found.get(place.location, 0), place.end)
    return found


def check_onnx_data(path: str | os.PathLike[str]) -> None:
    """Raises ModelFileError when a file of weights that the ONNX file names is missing, cut off, or out of its folder."""
    path = Path(path)
    for location, least in read_onnx_data(path).items():
        relative = PurePosixPath(location.replace("\\", "/"))
        if not location or relative.is_absolute() or ".." in relative.parts or ":" in location:
            raise ModelFileError(
                f"{path} has its weights in {location!r}, which is not in its folder; export it again with its weights "
                f"beside it"
            )
        data = path.parent / relative
        if not data.is_file():
            raise ModelFileError(
                f"{path.name} has its weights in {location}, which is not beside it in {path.parent}; copy both files"
            )
        size = data.stat().st_size
        if size < least:
            raise ModelFileError(
                f"{data} is {size} bytes and {path.name} has weights in it up to byte {least}: it was cut off or changed; "
                f"copy or export it again"
            )


def _read_place(wire: WireFile, tensor: Field) -> _Place | None:
    """Where the tensor's numbers lie; None for a tensor that holds them itself."""
    outside = False
    entries: dict[str, str] = {}
    for one in wire.message(tensor):
        if one.number == _TENSOR_LOCATION:
            outside = protobuf.integer(one) == _EXTERNAL
        elif one.number == _TENSOR_EXTERNAL:
            key, value = "", ""
            for part in wire.message(one):
                if part.number == _KEY:
                    key = wire.text(part)
                elif part.number == _VALUE:
                    value = wire.text(part)
            entries[key] = value
    if not outside:
        return None
    try:
        end = int(entries.get("offset") or 0) + int(entries.get("length") or 0)
    except ValueError:
        raise WireError(f"a weight's place in {entries.get('location', '')!r} is not a number") from None
    return _Place(entries.get("location", ""), end)
