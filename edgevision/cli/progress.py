"""A progress line on stderr."""

from __future__ import annotations

import sys
import time
from typing import TextIO

__all__ = ["Progress", "ShareProgress"]

_INTERVAL_S = 0.1


class Progress:
    """Redraws one line on a terminal; writes nothing where stderr is not one, so that logs stay clean."""

    def __init__(self, label: str, total: int | None, stream: TextIO | None = None) -> None:
        self._label = label
        self._total = total
        self._stream = stream or sys.stderr
        self._shown = self._stream.isatty()
        self._start = time.monotonic()
        self._last = 0.0
        self._done = 0

    def advance(self) -> None:
        """One more is done."""
        self._done += 1
        now = time.monotonic()
        if self._shown and (now - self._last >= _INTERVAL_S or self._done == self._total):
            self._last = now
            self._stream.write("\r" + self._line(now - self._start) + "\033[K")
            self._stream.flush()

    def close(self) -> None:
        """End the line."""
        if self._shown and self._done:
            self._stream.write("\n")
            self._stream.flush()

    def _line(self, elapsed_s: float) -> str:
        rate = self._done / elapsed_s if elapsed_s > 0 else 0.0
        if not self._total:
            return f"{self._label} {self._done}  {rate:.1f}/s"
        # A header may promise fewer frames than the file holds.
        share = min(1.0, self._done / self._total)
        bar = "#" * round(share * 28)
        left_s = max(0, self._total - self._done) / rate if rate else 0.0
        return f"{self._label} [{bar:<28}] {self._done}/{self._total}  {rate:.1f}/s  {left_s:.0f} s left"


class ShareProgress:
    """Redraws one line with the share that is done, on a terminal; writes nothing where stderr is not one."""

    def __init__(self, label: str, stream: TextIO | None = None) -> None:
        self._label = label
        self._stream = stream or sys.stderr
        self._shown = self._stream.isatty()
        self._last = 0.0
        self._drawn = False

    def update(self, share: float, note: str) -> None:
        """share: 0-1. note: what is being done at present."""
        now = time.monotonic()
        if self._shown and now - self._last >= _INTERVAL_S:
            self._last = now
            self._drawn = True
            self._stream.write(
                f"\r{self._label} [{'#' * round(share * 28):<28}] {share:4.0%}  {note:.40}\033[K"
            )
            self._stream.flush()

    def close(self) -> None:
        """Clear the line."""
        if self._drawn:
            self._stream.write("\r\033[K")
            self._stream.flush()
