"""What a builder says while it works, collected for messages instead of printed."""

from __future__ import annotations

import threading
from types import ModuleType
from typing import Any

__all__ = ["BuildLog", "logger_for"]

_loggers: dict[ModuleType, tuple[Any, BuildLog]] = {}


class BuildLog:
    """The errors and warnings of the builds since `clear`, in order; written by the builder's threads."""

    def __init__(self) -> None:
        self._lock = threading.Lock()
        self._errors: list[str] = []
        self._warnings: list[str] = []

    def clear(self) -> None:
        """Forget everything."""
        with self._lock:
            self._errors.clear()
            self._warnings.clear()

    def add(self, message: str, *, error: bool) -> None:
        """Keep a message."""
        with self._lock:
            (self._errors if error else self._warnings).append(message)

    @property
    def errors(self) -> tuple[str, ...]:
        with self._lock:
            return tuple(self._errors)

    @property
    def warnings(self) -> tuple[str, ...]:
        """Each once."""
        with self._lock:
            return tuple(dict.fromkeys(self._warnings))


def logger_for(trt: ModuleType) -> tuple[Any, BuildLog]:
    """The builder's logger and what it collects.

    One for the process: a builder keeps the first logger that it is given, and ignores the others while any object
    of it lives. Only one build runs at a time (build.py), so that messages of two do not mix.
    """
    if trt not in _loggers:
        _loggers[trt] = _new_logger(trt)
    return _loggers[trt]


def _new_logger(trt: ModuleType) -> tuple[Any, BuildLog]:
    log = BuildLog()

    class Logger(trt.ILogger):  # type: ignore[name-defined, misc]
        def __init__(self) -> None:
            super().__init__()  # the builder aborts the process without it

        def log(self, severity: Any, message: str) -> None:
            if severity in (trt.ILogger.INTERNAL_ERROR, trt.ILogger.ERROR):
                log.add(message, error=True)
            elif severity == trt.ILogger.WARNING:
                log.add(message, error=False)

    return Logger(), log
