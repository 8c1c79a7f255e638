"""TensorRT's timing cache in a file that several builds share.

The cache holds measured times of kernels: with it the next build of a similar network takes a fraction of the time,
and chooses the same kernels. It is valid for one version of TensorRT on one model of GPU, hence a file for each.
"""

from __future__ import annotations

import contextlib
import re
from collections.abc import Iterator
from pathlib import Path
from typing import Any

from edgevision.backends.gpu import Gpu
from edgevision.errors import ModelFileError
from edgevision.spec.files import atomic_writer, cache_folder, read_small
from edgevision.spec.lock import hold_lock

__all__ = ["default_cache_path", "read_cache", "write_cache"]

MAX_CACHE_BYTES = 1 << 30
"""A cache of hundreds of networks has some MiB."""


def default_cache_path(version: str, gpu: Gpu | None) -> Path:
    """The file for this version of TensorRT and this GPU, in the user's cache folder (XDG_CACHE_HOME, else ~/.cache)."""
    name = re.sub(r"[^a-z0-9]+", "-", gpu.name.lower()).strip("-") if gpu else "gpu"
    processors = f"-{gpu.multiprocessors}sm" if gpu else ""
    return cache_folder("timing") / f"tensorrt-{version}-{name}{processors}.cache"


def read_cache(path: Path, config: Any) -> Any:
    """A timing cache of the config with the file's entries, empty where there is no file; set in the config.

    A file of another version or GPU is not taken (TensorRT tells), and replaced at the next write.
    Raises ModelFileError when the file cannot be read.
    """
    with _locked(path):
        data = read_small(path, MAX_CACHE_BYTES) if path.exists() and path.stat().st_size else b""
    cache = config.create_timing_cache(data)
    if cache is None or not config.set_timing_cache(cache, False):
        cache = config.create_timing_cache(b"")
        config.set_timing_cache(cache, False)
    return cache


def write_cache(path: Path, config: Any, cache: Any) -> None:
    """Adds the cache's entries to the file, which other builds may have written in the meantime, in one step.

    Raises ModelFileError when the folder or the disk refuses.
    """
    with _locked(path):
        if path.exists() and path.stat().st_size:
            others = config.create_timing_cache(read_small(path, MAX_CACHE_BYTES))
            if others is not None:
                cache.combine(others, False)  # False, and nothing done, for one of another version or GPU
        with atomic_writer(path) as file:
            file.write(memoryview(cache.serialize()))


@contextlib.contextmanager
def _locked(path: Path) -> Iterator[None]:
    """Keeps other processes out; they wait. The lock lies beside the file, which is replaced and so cannot carry it."""
    with contextlib.ExitStack() as stack:
        try:
            stack.enter_context(hold_lock(path.with_name(path.name + ".lock")))
        except ModelFileError as error:
            raise ModelFileError(f"cannot use the timing cache {path}: {error}") from error
        yield
