"""ONNX files opened without the onnx package: where their parts lie, and what a file that is none looks
like."""

from __future__ import annotations

import contextlib
from collections.abc import Iterator
from dataclasses import dataclass, field
from pathlib import Path

from edgevision.errors import ModelFileError
from edgevision.spec import protobuf
from edgevision.spec.files import open_binary
from edgevision.spec.foreign import describe_foreign
from edgevision.spec.protobuf import Field, WireError, WireFile

__all__ = ["METADATA_FIELD", "OnnxLayout", "open_onnx", "scan_model"]

# Field numbers of ModelProto, StringStringEntryProto and OperatorSetIdProto in onnx/onnx.proto.
_IR_VERSION, _PRODUCER_NAME, _PRODUCER_VERSION, _GRAPH, _OPSET_IMPORT = 1, 2, 3, 7, 8
METADATA_FIELD = 14
_SNIFF_BYTES = 4096


@dataclass(slots=True)
class OnnxLayout:
    """The parts of an ONNX file.

    graphs:  the field(s) that hold the graph; Protocol Buffers merges several.
    entries: each metadata field with its key and value, in the file's order.
    """

    size: int
    ir_version: int = 0
    opsets: dict[str, int] = field(default_factory=dict)
    producer_name: str = ""
    producer_version: str = ""
    graphs: list[Field] = field(default_factory=list)
    entries: list[tuple[Field, str, str]] = field(default_factory=list)


@contextlib.contextmanager
def open_onnx(path: Path) -> Iterator[WireFile]:
    """The file, ready to be scanned; closed when the block ends.

    Raises ModelFileError when it cannot be opened, and for every WireError raised inside the block: then the
    message says what the file looks like, if it is of a known other kind.
    """
    with open_binary(path) as (file, size):
        try:
            yield WireFile(file, size)
        except WireError as error:
            file.seek(0)
            foreign = describe_foreign(file.read(_SNIFF_BYTES), path)
            if foreign is not None:
                raise ModelFileError(f"{path} is not an ONNX model: {foreign}") from error
            raise ModelFileError(
                f"{path} is not a readable ONNX model: {error}; if it was one, it is truncated or damaged: "
                "copy "
                "or export it again"
            ) from error


def scan_model(wire: WireFile) -> OnnxLayout:
    """The layout of the file, its graph skipped; WireError when it is no ONNX model."""
    layout = OnnxLayout(wire.size)
    for one in wire.fields(0, wire.size):
        if one.number == _IR_VERSION:
            layout.ir_version = protobuf.integer(one)
        elif one.number == _PRODUCER_NAME:
            layout.producer_name = wire.text(one)
        elif one.number == _PRODUCER_VERSION:
            layout.producer_version = wire.text(one)
        elif one.number == _GRAPH:
            protobuf.need(one, protobuf.BYTES)
            layout.graphs.append(one)
        elif one.number == _OPSET_IMPORT:
            domain, version = _read_opset(wire, one)
            layout.opsets[domain] = version
        elif one.number == METADATA_FIELD:
            layout.entries.append((one, *_read_entry(wire, one)))
    if not layout.graphs:
        raise WireError("it has no graph")
    # ONNX demands both. Writers put the opsets behind the graph: a file without was cut off between fields.
    if layout.ir_version < 1:
        raise WireError("it has no ir_version")
    if layout.ir_version >= 3 and not layout.opsets:
        raise WireError("it has no opset_import")
    return layout


def _read_opset(wire: WireFile, entry: Field) -> tuple[str, int]:
    domain, version = "", 0
    for one in wire.message(entry):
        if one.number == 1:
            domain = wire.text(one)
        elif one.number == 2:
            version = protobuf.integer(one)
    return domain, version


def _read_entry(wire: WireFile, entry: Field) -> tuple[str, str]:
    """The key and value of a metadata field; a repeated part's last occurrence counts, as Protocol Buffers
    has it."""
    key, value = b"", ""
    for one in wire.message(entry):
        if one.number == 1:
            key = wire.read(one)
        elif one.number == 2:
            value = wire.text(one)
    try:
        return key.decode("utf-8"), value
    except UnicodeDecodeError as error:
        raise WireError(f"the metadata key at byte {entry.tag_start} is not UTF-8") from error
