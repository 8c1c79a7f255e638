"""A file or a folder that appears whole, under its name, or not at all."""

from __future__ import annotations

import contextlib
import errno
import os
import secrets
import shutil
from collections.abc import Iterator
from pathlib import Path

from edgevision.errors import EdgeVisionError, InputError, ModelFileError
from edgevision.export.onnx_write import data_path
from edgevision.spec.bundle import is_bundle

__all__ = ["staged_folder"]

_DISK_ERRORS = {errno.ENOSPC, errno.EDQUOT, errno.EFBIG, errno.EIO, errno.EROFS, errno.EACCES}
"""What a write may fail with; other system errors are of a file that was to be read, and say so themselves."""


@contextlib.contextmanager
def staged_folder(target: Path, *, file: str | None = None) -> Iterator[Path]:
    """An empty folder beside `target` to write into, which takes its place when the block ends.

    file: the name of a file in it: that takes the place of `target`, and the weights beside it (see onnx_write) the place
        beside that, both or neither; the rest is dropped.
    When the block raises, or the process is interrupted, nothing is left and `target` is as it was. An existing bundle
    is replaced; any other folder that holds something is refused with InputError. Raises ModelFileError when the disk
    refuses.
    """
    target = Path(os.path.abspath(target))
    _check_target(target, is_file=file is not None)
    made = _make_parents(target.parent)
    staging = target.with_name(f".{target.name[:48]}.{secrets.token_hex(6)}.tmp")
    try:
        staging.mkdir()
        yield staging
        _sync(staging)
        if file is None:
            _swap(staging, target)
        else:
            _swap_file(staging / file, target)
    except OSError as error:
        _remove_parents(staging, made)
        if isinstance(error, EdgeVisionError) or error.errno not in _DISK_ERRORS:
            raise
        raise ModelFileError(f"cannot write {target}: {error.strerror}; nothing was written") from error
    except BaseException:
        _remove_parents(staging, made)
        raise
    finally:
        shutil.rmtree(staging, ignore_errors=True)


def _check_target(target: Path, is_file: bool) -> None:
    if is_file:
        if target.is_dir():
            raise InputError(f"{target} is a folder; name a file, or leave out .onnx to write a bundle there")
        return
    if target.is_dir():
        if any(target.iterdir()) and not is_bundle(target):
            raise InputError(
                f"{target} is a folder that holds other things than a bundle; choose another name"
            )
    elif target.exists():
        raise InputError(f"{target} is a file; name a folder for the bundle, or end the name in .onnx")


def _make_parents(folder: Path) -> list[Path]:
    """The folders that had to be made, the innermost first."""
    missing = []
    while not folder.exists():
        missing.append(folder)
        folder = folder.parent
    try:
        for one in reversed(missing):
            one.mkdir()
    except OSError as error:
        raise ModelFileError(f"cannot make the folder {one}: {error.strerror or error}") from error
    return missing


def _remove_parents(staging: Path, made: list[Path]) -> None:
    shutil.rmtree(staging, ignore_errors=True)
    for folder in made:
        with contextlib.suppress(OSError):
            folder.rmdir()


def _swap(staging: Path, target: Path) -> None:
    """`staging` takes the name of `target`; an older bundle there goes only once the new one is in place."""
    if not target.exists():
        staging.rename(target)
        return
    old = target.with_name(f".{target.name[:48]}.{secrets.token_hex(6)}.old")
    target.rename(old)
    try:
        staging.rename(target)
    except BaseException:
        old.rename(target)
        raise
    shutil.rmtree(old, ignore_errors=True)


def _swap_file(staged: Path, target: Path) -> None:
    """The file takes the name of `target`; its weights, where it has some, go first and come back if it cannot."""
    data, beside = data_path(staged), data_path(target)
    if not data.exists():
        os.replace(staged, target)
        return
    old = data.with_name("old" + data.suffix)
    if beside.exists():
        beside.rename(old)
    try:
        os.replace(data, beside)
        os.replace(staged, target)
    except BaseException:
        beside.unlink(missing_ok=True)
        if old.exists():
            old.rename(beside)
        raise


def _sync(folder: Path) -> None:
    """Every byte on the disk before the new name is: a power cut leaves the old bundle or the new one."""
    for path in folder.rglob("*"):
        if path.is_file():
            with path.open("rb") as file:
                os.fsync(file.fileno())
