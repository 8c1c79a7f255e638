"""What the first bytes of a plan tell without a GPU.

Nobody documents them. Measured with TensorRT-RTX 1.7.1: "vtrt", four bytes 0, the number 2 (eight bytes, as all numbers
little-endian), the plan's length in bytes (eight bytes), the version, a byte for each of its four parts, "vtrt" again.
"""

from __future__ import annotations

import struct
from dataclasses import dataclass
from typing import TypeAlias

__all__ = ["HEADER_BYTES", "PlanHeader", "check_plan", "parse_plan_header"]

HEADER_BYTES = 32
_LAYOUT = struct.Struct("<4sIQQ4B4s")

Buffer: TypeAlias = "bytes | memoryview"


@dataclass(frozen=True, slots=True)
class PlanHeader:
    """size: the whole plan's, bytes. version: of the builder, "1.7.1.116", say."""

    size: int
    version: str


def parse_plan_header(head: Buffer) -> PlanHeader | None:
    """The header of a TensorRT-RTX plan out of its first HEADER_BYTES; None for TensorRT's or another layout."""
    if len(head) < HEADER_BYTES:
        return None
    magic, zero, two, size, *version, again = _LAYOUT.unpack(bytes(head[:HEADER_BYTES]))
    if (magic, zero, two, again) != (b"vtrt", 0, 2, b"vtrt"):
        return None
    return PlanHeader(size, ".".join(map(str, version)))


def check_plan(plan: Buffer, module: str, version: str) -> str:
    """Why a plan just built by this module is not whole; "" when nothing speaks against it.

    Without a GPU nothing can load it, so this is what can be known: the kind, the version and the length.
    """
    if bytes(plan[1:4]) != b"trt" or (module == "tensorrt_rtx" and bytes(plan[:1]) != b"v"):
        return f"it begins with {bytes(plan[:4])!r}"
    header = parse_plan_header(plan)
    # The fourth part of a version may exceed a byte, and another version may lay its header out otherwise.
    if header is None or header.version.split(".")[:3] != version.split(".")[:3]:
        return ""
    return "" if header.size == len(plan) else f"it is {len(plan)} bytes and says that it has {header.size}"
