"""Files opened with a message for everything that can go wrong, and written whole or not at all."""

from __future__ import annotations

import contextlib
import difflib
import glob
import hashlib
import os
import secrets
import shutil
import stat
from collections.abc import Iterator
from pathlib import Path
from typing import BinaryIO

from edgevision.errors import ModelFileError

__all__ = [
    "atomic_writer",
    "cache_folder",
    "check_exists",
    "file_sha256",
    "open_binary",
    "read_small",
    "remove_unfinished",
]

_MAX_NAMES = 1000
"""Entries of a folder looked at to suggest a name; a data set's folder may hold millions."""


def cache_folder(name: str) -> Path:
    """edgevision's folder of that name in the user's cache folder (XDG_CACHE_HOME, else ~/.cache)."""
    base = os.environ.get("XDG_CACHE_HOME") or ""
    folder = Path(base) if os.path.isabs(base) else Path.home() / ".cache"  # a relative one is to be ignored
    return folder / "edgevision" / name


def check_exists(path: Path) -> os.stat_result:
    """What the system says of the path; ModelFileError, with the nearest names, when nothing is there."""
    try:
        return path.stat()
    except (FileNotFoundError, NotADirectoryError) as error:
        raise ModelFileError(f"{path} does not exist; {_suggest(path)}") from error
    except (OSError, ValueError) as error:  # ValueError: a NUL in the name
        reason = getattr(error, "strerror", None) or error
        raise ModelFileError(f"cannot look at {path!s:.300}: {reason}") from error


@contextlib.contextmanager
def open_binary(path: Path) -> Iterator[tuple[BinaryIO, int]]:
    """The regular file, open for reading, and its size in bytes.

    Raises ModelFileError when it is missing, a folder, not a regular file (opening a pipe would wait for
    ever), not permitted, or empty, and when the system fails to read it inside the block.
    """
    status = check_exists(path)
    if stat.S_ISDIR(status.st_mode):
        raise ModelFileError(f"{path} is a folder, a file is needed here")
    if not stat.S_ISREG(status.st_mode):
        raise ModelFileError(
            f"{path} is not a regular file (a device, socket or pipe); copy the model to a file"
        )
    try:
        with path.open("rb") as file:
            size = os.fstat(file.fileno()).st_size
            if size == 0:
                raise ModelFileError(f"{path} is empty (0 bytes); copy or export it again")
            yield file, size
    except PermissionError as error:
        raise ModelFileError(f"no permission to read {path}; allow it with: chmod u+r {path}") from error
    except ModelFileError:
        raise
    except OSError as error:
        raise ModelFileError(f"cannot read {path}: {error.strerror or error}") from error


def read_small(path: Path, limit: int) -> bytes:
    """The file's bytes; ModelFileError as `open_binary`, and when it is larger than `limit`."""
    with open_binary(path) as (file, size):
        if size > limit:
            raise ModelFileError(f"{path} is {size} bytes, at most {limit} are read from such a file")
        return file.read(limit)


def file_sha256(path: str | os.PathLike[str]) -> str:
    """The file's SHA-256, in hexadecimal."""
    digest = hashlib.sha256()
    with open(path, "rb") as stream:
        while block := stream.read(1 << 20):
            digest.update(block)
    return digest.hexdigest()


@contextlib.contextmanager
def atomic_writer(path: Path, *, mode_from: Path | None = None) -> Iterator[BinaryIO]:
    """A binary file that takes the place of `path` when the block ends, flushed to the disk.

    It is written under a temporary name in the same folder. When the block raises, or the process dies,
    `path` is as it was. A symbolic link stays one: its target is replaced.
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


def remove_unfinished(path: Path) -> None:
    """Removes what an `atomic_writer` of the path has left that was killed. Only while no other can be at work."""
    for left in path.parent.glob(f".{glob.escape(path.name[:48])}.*.tmp"):
        with contextlib.suppress(OSError):
            left.unlink()


def _sync_folder(folder: Path) -> None:
    """Makes the new name durable too, where the system can open a folder (Windows cannot)."""
    with contextlib.suppress(OSError):
        handle = os.open(folder, os.O_RDONLY)
        try:
            os.fsync(handle)
        finally:
            os.close(handle)


def _suggest(path: Path) -> str:
    """What to do about a missing path: the first folder that is missing, or the nearest names beside it."""
    folder = path.parent
    try:
        with os.scandir(folder) as entries:
            names = [entry.name for entry, _ in zip(entries, range(_MAX_NAMES), strict=False)]
    except OSError:
        return f"the folder {folder} does not exist or cannot be listed"
    near = difflib.get_close_matches(path.name, names, n=3, cutoff=0.6)
    near += [name for name in sorted(names) if Path(name).stem == path.stem and name not in near]
    if near:
        return f"in {folder} there is {', '.join(near[:3])}"
    models = sorted(name for name in names if name.endswith((".onnx", ".engine")))[:3]
    return f"in {folder} there is {', '.join(models)}" if models else f"the folder {folder} holds no model"
