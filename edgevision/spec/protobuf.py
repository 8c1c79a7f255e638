"""Protocol Buffers' wire format, scanned in a file without reading what is not asked for.

A message is a run of fields: a tag (varint: number * 8 + wire type) and a payload, whose length the wire type
or a leading varint tells (https://protobuf.dev/programming-guides/encoding). Nothing in the file is believed:
each length is held against the bytes that are left, and both the fields visited and the bytes read have a
limit.
"""

from __future__ import annotations

from collections.abc import Iterator
from typing import BinaryIO, NamedTuple

__all__ = [
    "BYTES",
    "Field",
    "WireError",
    "WireFile",
    "encode_bytes_field",
    "encode_varint",
    "integer",
    "need",
    "varints",
]

VARINT, FIXED64, BYTES, FIXED32 = 0, 1, 2, 5
_GROUP_TYPES = (3, 4)

MAX_FIELDS = 1 << 19
"""Fields visited in one file: a graph of 50,000 nodes and as many weights, each with its name and dimensions,
has fewer; a hostile file of more is given up within seconds."""
MAX_READ_BYTES = 16 << 20
"""Payload bytes read from one file (names, shapes, metadata); weights are skipped, not read."""
_MAX_HEAD = 20  # a tag and a length, ten bytes each at most


class WireError(ValueError):
    """The bytes are not a Protocol Buffers message within the limits; says why and at which byte."""


class Field(NamedTuple):
    """One field of a message: where it lies in the file, and its value when it is a varint."""

    number: int
    wire: int
    tag_start: int
    start: int
    end: int
    value: int


class WireFile:
    """A seekable binary file of `size` bytes, scanned as Protocol Buffers."""

    def __init__(self, file: BinaryIO, size: int) -> None:
        self.size = size
        self._file = file
        self._fields_left = MAX_FIELDS
        self._bytes_left = MAX_READ_BYTES

    def fields(self, start: int, end: int) -> Iterator[Field]:
        """The fields of the message in bytes [start, end); WireError where they do not fill it exactly."""
        position = start
        while position < end:
            self._fields_left -= 1
            if self._fields_left < 0:
                raise WireError(f"it has more than {MAX_FIELDS} fields")
            self._file.seek(position)
            head = self._file.read(min(_MAX_HEAD, end - position))
            field = _parse_field(head, position, end)
            yield field
            position = field.end

    def message(self, field: Field) -> Iterator[Field]:
        """The fields of the message that `field` holds."""
        need(field, BYTES)
        return self.fields(field.start, field.end)

    def read(self, field: Field) -> bytes:
        """The payload of a string or bytes field; WireError past the limit on bytes read."""
        need(field, BYTES)
        length = field.end - field.start
        self._bytes_left -= length
        if self._bytes_left < 0:
            raise WireError(f"its names and metadata exceed {MAX_READ_BYTES} bytes")
        self._file.seek(field.start)
        data = self._file.read(length)
        if len(data) != length:
            raise WireError(f"it ends inside a field at byte {field.start}")
        return data

    def text(self, field: Field) -> str:
        """The payload as UTF-8 text, other bytes shown as backslash escapes."""
        return self.read(field).decode("utf-8", "backslashreplace")


def integer(field: Field) -> int:
    """The value of a varint field as the signed 64-bit integer that it encodes."""
    need(field, VARINT)
    return field.value - (1 << 64) if field.value >> 63 else field.value


def varints(wire: WireFile, field: Field) -> list[int]:
    """The values of one field of a repeated integer: a single one, or several packed into its payload."""
    if field.wire == VARINT:
        return [integer(field)]
    data, values, position = wire.read(field), [], 0
    while position < len(data):
        value, position = _parse_varint(data, position, field.start)
        values.append(value - (1 << 64) if value >> 63 else value)
    return values


def encode_varint(value: int) -> bytes:
    """The varint of a non-negative integer: seven bits a byte, lowest first, the high bit set on all but the
    last."""
    out = bytearray()
    while value > 0x7F:
        out.append(value & 0x7F | 0x80)
        value >>= 7
    out.append(value)
    return bytes(out)


def encode_bytes_field(number: int, payload: bytes) -> bytes:
    """A length-delimited field: string, bytes or message."""
    return encode_varint(number << 3 | BYTES) + encode_varint(len(payload)) + payload


def need(field: Field, wire: int) -> None:
    """Raises WireError unless the field has the wire type."""
    if field.wire != wire:
        raise WireError(
            f"field {field.number} at byte {field.tag_start} has wire type {field.wire}, not {wire}"
        )


def _parse_field(head: bytes, position: int, end: int) -> Field:
    tag, used = _parse_varint(head, 0, position)
    number, wire = tag >> 3, tag & 7
    if not 1 <= number < 1 << 29:
        raise WireError(f"field number {number} at byte {position} is out of range")
    value, start = 0, position + used
    if wire == VARINT:
        value, used = _parse_varint(head, used, position)
        length, start = 0, position + used
    elif wire == FIXED64:
        length = 8
    elif wire == FIXED32:
        length = 4
    elif wire == BYTES:
        length, used = _parse_varint(head, used, position)
        start = position + used
    elif wire in _GROUP_TYPES:
        raise WireError(f"field {number} at byte {position} is a group, which ONNX has none of")
    else:
        raise WireError(f"field {number} at byte {position} has the unknown wire type {wire}")
    if length > end - start:
        raise WireError(f"field {number} at byte {position} needs {length} bytes, {end - start} are left")
    return Field(number, wire, position, start, start + length, value)


def _parse_varint(head: bytes, offset: int, position: int) -> tuple[int, int]:
    """The varint at head[offset] and the offset behind it; `position` is where `head` lies in the file."""
    value = 0
    for index in range(10):
        if offset + index >= len(head):
            raise WireError(f"it ends inside a number at byte {position + offset}")
        byte = head[offset + index]
        value |= (byte & 0x7F) << 7 * index
        if byte < 0x80:
            # The tenth byte has room for one bit of the 64; decoders drop the others.
            return value & (1 << 64) - 1, offset + index + 1
    raise WireError(f"the number at byte {position + offset} is longer than 10 bytes")
