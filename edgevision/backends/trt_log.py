"""What TensorRT says while it works, collected for messages instead of printed."""

from __future__ import annotations

import ctypes
import threading
from collections import deque
from types import ModuleType
from typing import Any

__all__ = ["TrtLog", "leave_alone", "logger_for"]

_KEPT = 1000
"""Messages: a runtime that fails for days must not fill the memory."""

_loggers: dict[ModuleType, tuple[Any, TrtLog]] = {}


class TrtLog:
    """The last errors and warnings, in order; written by TensorRT's threads."""

    def __init__(self) -> None:
        # Reentrant: what the collector frees while it is held may log, too.
        self._lock = threading.RLock()
        self._errors: deque[tuple[int, str]] = deque(maxlen=_KEPT)
        self._warnings: deque[str] = deque(maxlen=_KEPT)
        self._count = 0

    def clear(self) -> None:
        """Forget everything."""
        with self._lock:
            self._errors.clear()
            self._warnings.clear()

    def add(self, message: str, *, error: bool) -> None:
        """Keep a message."""
        with self._lock:
            if error:
                self._count += 1
                self._errors.append((self._count, message))
            else:
                self._warnings.append(message)

    def mark(self) -> int:
        """Now, for `errors_since`."""
        with self._lock:
            return self._count

    def errors_since(self, mark: int) -> tuple[str, ...]:
        """The errors after that mark; of all threads, as TensorRT has one logger."""
        with self._lock:
            held = list(self._errors)  # at once: what is collected on the way may log
        return tuple(message for number, message in held if number > mark)

    def failed_since(self, mark: int, call: str) -> bool:
        """Whether a call of TensorRT's is named by an error after that mark."""
        return any(call in message for message in self.errors_since(mark))

    @property
    def errors(self) -> tuple[str, ...]:
        return self.errors_since(0)

    @property
    def warnings(self) -> tuple[str, ...]:
        """Each once."""
        with self._lock:
            held = list(self._warnings)
        return tuple(dict.fromkeys(held))


def logger_for(trt: ModuleType) -> tuple[Any, TrtLog]:
    """The module's logger and what it collects.

    One for the process: TensorRT keeps the first logger that it is given, and ignores the others while any object
    of it lives. Only one build runs at a time (engines/build.py), so that messages of two do not mix.
    """
    if trt not in _loggers:
        _loggers[trt] = _new_logger(trt)
    return _loggers[trt]


def leave_alone(made: object) -> None:
    """Keeps what TensorRT made for good.

    Where CUDA does not start, TensorRT 10.16 and 11.4 log an error and give an object all the same, with nothing behind
    it: to use it ends the process, and so does to free it.
    """
    ctypes.pythonapi.Py_IncRef(ctypes.py_object(made))


def _new_logger(trt: ModuleType) -> tuple[Any, TrtLog]:
    log = TrtLog()

    class Logger(trt.ILogger):  # type: ignore[name-defined, misc]
        def __init__(self) -> None:
            super().__init__()  # TensorRT aborts the process without it

        def log(self, severity: Any, message: str) -> None:
            if severity in (trt.ILogger.INTERNAL_ERROR, trt.ILogger.ERROR):
                log.add(message, error=True)
            elif severity == trt.ILogger.WARNING:
                log.add(message, error=False)

    return Logger(), log
