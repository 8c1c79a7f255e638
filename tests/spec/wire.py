"""ONNX files built byte by byte, hostile ones included, so that the tests need no onnx package."""

from __future__ import annotations

from collections.abc import Iterable

VARINT, FIXED64, BYTES, GROUP, GROUP_END, FIXED32 = 0, 1, 2, 3, 4, 5


def varint(value: int) -> bytes:
    out = b""
    while value > 127:
        out += bytes([value % 128 + 128])
        value //= 128
    return out + bytes([value])


def tag(number: int, wire: int) -> bytes:
    return varint(number * 8 + wire)


def number_field(number: int, value: int) -> bytes:
    return tag(number, VARINT) + varint(value)


def bytes_field(number: int, payload: bytes | str) -> bytes:
    payload = payload.encode() if isinstance(payload, str) else payload
    return tag(number, BYTES) + varint(len(payload)) + payload


def entry(key: bytes | str, value: bytes | str) -> bytes:
    """A metadata_props field."""
    return bytes_field(14, bytes_field(1, key) + bytes_field(2, value))


def value_info(name: str, dims: Iterable[int | str | None], elem_type: int = 1) -> bytes:
    shape = b""
    for dim in dims:
        if isinstance(dim, int):
            shape += bytes_field(1, number_field(1, dim % (1 << 64)))
        else:
            shape += bytes_field(1, b"" if dim is None else bytes_field(2, dim))
    tensor = number_field(1, elem_type) + bytes_field(2, shape)
    return bytes_field(1, name) + bytes_field(2, bytes_field(1, tensor))


def graph(inputs: Iterable[bytes] = (), outputs: Iterable[bytes] = (), extra: bytes = b"") -> bytes:
    body = bytes_field(1, bytes_field(4, "Identity")) + bytes_field(2, "g") + extra
    body += b"".join(bytes_field(11, one) for one in inputs)
    return body + b"".join(bytes_field(12, one) for one in outputs)


IMAGE = value_info("images", (1, 3, 64, 64))
ROWS = value_info("output0", (1, 84, 2100))


def model(*entries: bytes, body: bytes | None = None) -> bytes:
    """A small model: header, graph, opset, then the given metadata fields."""
    body = graph([IMAGE], [ROWS]) if body is None else body
    head = number_field(1, 8) + bytes_field(2, "maker") + bytes_field(3, "1.0")
    return head + bytes_field(7, body) + bytes_field(8, number_field(2, 17)) + b"".join(entries)
