"""The metadata of ONNX files, read and written without the onnx package and without reading the weights."""

from __future__ import annotations

import os
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import BinaryIO

from edgevision.errors import InputError, ModelFileError
from edgevision.spec.checks import show
from edgevision.spec.files import atomic_writer
from edgevision.spec.onnx_file import METADATA_FIELD, OnnxLayout, open_onnx, scan_model
from edgevision.spec.protobuf import MAX_READ_BYTES, encode_bytes_field

__all__ = ["OnnxHeader", "read_onnx_header", "write_onnx_metadata"]

MAX_ONNX_BYTES = (1 << 31) - 1
"""Protocol Buffers' limit on one message; no reader of ONNX takes a larger file."""
_CHUNK_BYTES = 1 << 20


@dataclass(frozen=True, slots=True)
class OnnxHeader:
    """What an ONNX file says of itself outside its graph.

    opsets:   operator set versions by domain; "" is ONNX's own.
    metadata: values by key. Of a key that occurs twice, the last value.
    size:     the file's, bytes.
    """

    ir_version: int
    opsets: Mapping[str, int]
    producer_name: str
    producer_version: str
    metadata: Mapping[str, str]
    size: int


def read_onnx_header(path: str | os.PathLike[str]) -> OnnxHeader:
    """The header of an ONNX file, of whatever size: the graph is skipped, at most 16 MiB are read.

    Raises ModelFileError when the file is missing, unreadable, truncated, damaged, over those limits, or of
    another kind (then the message says which, and what to do).
    """
    layout = _scan(Path(path))
    return OnnxHeader(
        layout.ir_version,
        layout.opsets,
        layout.producer_name,
        layout.producer_version,
        {key: value for _, key, value in layout.entries},
        layout.size,
    )


def write_onnx_metadata(
    path: str | os.PathLike[str],
    entries: Mapping[str, str],
    *,
    out: str | os.PathLike[str] | None = None,
    remove: Iterable[str] = (),
) -> None:
    """Writes `entries` into the file's metadata, replacing those keys, and drops the keys of `remove`.

    All other bytes stay as they are. The result takes the place of `out` (default: the file itself) in one
    step, with the file's permission bits; a failure or a crash leaves the old file. Weights in external data
    files are found relative to the model: with `out` in another folder, copy them along.
    Raises InputError for entries that are no strings, ModelFileError as `read_onnx_header` does and when the
    result would exceed 2 GiB or cannot be written.
    """
    source = Path(path)
    target = source if out is None else Path(out)
    addition = _encode_entries(entries)
    layout = _scan(source)
    dropped = {*entries, *_strings("remove", remove)}
    gone = [(one.tag_start, one.end) for one, key, _ in layout.entries if key in dropped]
    size = layout.size - sum(end - start for start, end in gone) + len(addition)
    if size > MAX_ONNX_BYTES:
        raise ModelFileError(
            f"{source} with its metadata would be {size} bytes, an ONNX file has at most {MAX_ONNX_BYTES}; "
            "save its "
            "weights as external data (onnx.save_model(..., save_as_external_data=True))"
        )
    kept = sum(one.end - one.start for one, key, _ in layout.entries if key not in dropped)
    if kept + len(addition) > MAX_READ_BYTES // 2:
        raise ModelFileError(
            f"the metadata of {source} would be {kept + len(addition)} bytes, at most {MAX_READ_BYTES // 2} "
            "are "
            "written; shorten the entries or remove others"
        )
    with atomic_writer(target, mode_from=source) as sink:
        _copy_without(source, layout.size, gone, sink)
        sink.write(addition)


def _scan(path: Path) -> OnnxLayout:
    with open_onnx(path) as wire:
        return scan_model(wire)


def _copy_without(source: Path, size: int, gone: list[tuple[int, int]], sink: BinaryIO) -> None:
    """Copies the file to `sink` without the byte ranges `gone`, which are in order and apart."""
    with source.open("rb") as file:
        if os.fstat(file.fileno()).st_size != size:
            raise ModelFileError(f"{source} changed while it was read; try again when nothing else writes it")
        position = 0
        for start, end in [*gone, (size, size)]:
            file.seek(position)
            while position < start:
                chunk = file.read(min(_CHUNK_BYTES, start - position))
                if not chunk:
                    raise ModelFileError(f"{source} became shorter while it was read; try again")
                sink.write(chunk)
                position += len(chunk)
            position = end


def _encode_entries(entries: Mapping[str, str]) -> bytes:
    out = bytearray()
    for key, value in entries.items():
        key_value = _strings("entries", (key, value))
        if not key:
            raise InputError("a metadata key must not be empty, got ''")
        parts = (text.encode("utf-8") for text in key_value)
        message = b"".join(encode_bytes_field(number, part) for number, part in enumerate(parts, 1))
        out += encode_bytes_field(METADATA_FIELD, message)
    return bytes(out)


def _strings(name: str, values: Iterable[str]) -> list[str]:
    if isinstance(values, str):
        raise InputError(f"{name} must be a list of keys, got the string {show(values)}; put it into a list")
    strings = list(values)
    for one in strings:
        if not isinstance(one, str):
            raise InputError(f"{name} must hold strings, got {show(one)}")
        try:
            one.encode("utf-8")
        except UnicodeEncodeError as error:
            raise InputError(f"{name} must hold valid Unicode, got {show(one)}") from error
    return strings
