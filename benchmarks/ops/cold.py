"""Empties the processor's caches, as a network does that runs between two frames."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path

import numpy as np
from case import Call
from machine import time_together

__all__ = ["Eviction", "bytes_to_evict", "make_eviction"]

_CACHES = Path("/sys/devices/system/cpu/cpu0/cache")
_UNKNOWN, _MOST = 64 << 20, 256 << 20
_UNITS = {"K": 1 << 10, "M": 1 << 20, "G": 1 << 30}


@dataclass(frozen=True)
class Eviction:
    """call: empties the caches, by reading and writing `nbytes` and reading them again."""

    call: Call
    nbytes: int


def make_eviction(threads: int) -> Eviction:
    """What empties the caches of as many cores as there are threads: each streams over as much, of its own."""
    nbytes = bytes_to_evict()
    buffers = [(np.zeros(nbytes // 8, np.int64),) for _ in range(threads)]

    def stream(buffer: np.ndarray) -> None:
        np.add(buffer, 1, out=buffer)
        buffer.max()  # read once more, so that no line is left that must be written first

    return Eviction(lambda: time_together(stream, buffers), nbytes)


def bytes_to_evict(caches: Path = _CACHES) -> int:
    """Twice the last-level cache, at most 256 MiB; 64 MiB where its size is not known.

    caches: the folder in which Linux describes them.
    """
    levels = {}
    for index in caches.glob("index*"):
        try:
            text = (index / "size").read_text(encoding="ascii").strip()
            levels[int((index / "level").read_text(encoding="ascii"))] = int(text[:-1]) * _UNITS[text[-1]]
        except (OSError, ValueError, KeyError, IndexError):
            continue
    return min(2 * levels[max(levels)], _MOST) if levels else _UNKNOWN
