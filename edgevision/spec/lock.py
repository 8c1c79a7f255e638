"""A lock between processes: a file that the holder's process id stands in.

The system gives it back when the holder ends, however it ends: a killed build leaves no lock, only its file.
"""

from __future__ import annotations

import contextlib
import os
import sys
import threading
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import BinaryIO

from edgevision.errors import ModelFileError

__all__ = ["hold_lock"]

_POLL_S = 0.2
_PID_BYTES = 20


@contextlib.contextmanager
def hold_lock(path: Path, on_wait: Callable[[int], None] | None = None) -> Iterator[None]:
    """Keeps other processes, and other threads of this one, out of the block; waits until they are.

    on_wait: told once, where there is something to wait for, who holds the lock: a process id, 0 if unknown. What it
        raises ends the wait, as an interruption (Ctrl-C) does.
    Raises ModelFileError when the lock's folder cannot be made or written.
    """
    try:
        path.parent.mkdir(parents=True, exist_ok=True)
        file = os.fdopen(os.open(path, os.O_RDWR | os.O_CREAT, 0o666), "r+b", buffering=0)
    except OSError as error:
        raise ModelFileError(f"cannot lock {path}: {error.strerror or error}") from error
    with file:
        if not _try_lock(file):
            if on_wait is not None:
                on_wait(_read_pid(file))
            pause = threading.Event()
            while not _try_lock(file):
                pause.wait(_POLL_S)
        file.seek(0)
        file.write(str(os.getpid()).encode().ljust(_PID_BYTES))
        yield


def _read_pid(file: BinaryIO) -> int:
    file.seek(0)
    text = file.read(_PID_BYTES).split(b"\0")[0].strip()
    return int(text) if text.isdigit() else 0


if sys.platform == "win32":
    import msvcrt

    def _try_lock(file: BinaryIO) -> bool:
        file.seek(1 << 20)  # behind the process id, which others may not read in a locked place
        try:
            msvcrt.locking(file.fileno(), msvcrt.LK_NBLCK, 1)
        except OSError:
            return False
        return True

else:
    import fcntl

    def _try_lock(file: BinaryIO) -> bool:
        try:
            fcntl.flock(file, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError:
            return False
        return True
