"""Files written whole or not at all."""

from __future__ import annotations

import contextlib
import os
import secrets
import shutil
from collections.abc import Iterator
from pathlib import Path
from typing import BinaryIO

from edgevision.errors import ModelFileError

__all__ = ["atomic_writer"]


@contextlib.contextmanager
def atomic_writer(path: Path, *, mode_from: Path | None = None) -> Iterator[BinaryIO]:
    """A binary file that takes the place of `path` when the block ends, flushed to the disk.

    It is written under a temporary name in the same folder. When the block raises, or the process dies, `path`
    is as it was. A symbolic link stays one: its target is replaced.
    mode_from: the file whose permission bits the new one gets; None: those of `path` if it exists, else the
        process's usual ones.
    Raises ModelFileError when the folder or the disk refuses.
    """
    target = Path(os.path.realpath(path))
    # The stem is cut: the whole name must stay within the 255 bytes that file systems allow.
    temporary = target.with_name(f".{target.name[:48]}.{secrets.token_hex(6)}.tmp")
    flags = os.O_WRONLY | os.O_CREAT | os.O_EXCL | getattr(os, "O_BINARY", 0)
    try:
        handle = os.open(temporary, flags, 0o666)
    except OSError as error:
        raise ModelFileError(
            f"cannot write to the folder {target.parent}: {error.strerror or error}"
        ) from error
    try:
        with os.fdopen(handle, "wb") as file:
            yield file
            file.flush()
            os.fsync(file.fileno())
        source = target if mode_from is None else mode_from
        if source.exists():
            shutil.copymode(source, temporary)
        os.replace(temporary, target)
    except BaseException as error:
        with contextlib.suppress(OSError):
            temporary.unlink()
        if isinstance(error, OSError) and not isinstance(error, ModelFileError):
            raise ModelFileError(f"cannot write {target}: {error.strerror or error}") from error
        raise
    _sync_folder(target.parent)


def _sync_folder(folder: Path) -> None:
    """Makes the new name durable too, where the system can open a folder (Windows cannot)."""
    with contextlib.suppress(OSError):
        handle = os.open(folder, os.O_RDONLY)
        try:
            os.fsync(handle)
        finally:
            os.close(handle)
