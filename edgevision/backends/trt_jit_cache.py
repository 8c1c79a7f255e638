"""Kernels that TensorRT-RTX compiles when an engine first runs, kept in a file for the next time.

Its plans hold no GPU's own code: that is compiled while contexts are made and shapes are first run, which takes seconds.
The file lies in the folder of the built engines and is named after all that the kernels depend on: the plan, the runtime's
version, GPU, platform and the CUDA of the driver. The runtime checks the same again when it reads it. The file holds code
that the GPU runs, so its folder is trusted as that of the engines is; it may be deleted at any time.
"""

from __future__ import annotations

import contextlib
import dataclasses
import hashlib
import json
import os
import re
import threading
import warnings
from pathlib import Path
from types import ModuleType
from typing import Any

from edgevision.backends.engine_fit import Target
from edgevision.backends.gpu import driver_cuda_version
from edgevision.errors import EdgeVisionError, EdgeVisionWarning
from edgevision.spec.files import atomic_writer, cache_folder, read_small, remove_unfinished
from edgevision.spec.lock import hold_lock

__all__ = ["JitCache", "jit_cache_path", "open_jit_cache"]

MAX_CACHE_BYTES = 1 << 30
"""Kernels of one network take some MiB; NVIDIA warns of more than 100."""


class _BusyError(Exception):
    """Another process writes the file."""


class JitCache:
    """The kernels compiled for one engine, by all of its contexts; what was in the file at first.

    Threads may use it at once. It never fails a run: what cannot be kept is compiled again the next time.
    """

    def __init__(self, trt: ModuleType, loaded: Any, path: Path | None, *, specialise: bool) -> None:
        """loaded: the engine. path: None: nothing is kept. specialise: see `new_config`."""
        self._trt = trt
        self._loaded = loaded
        self._path = path
        self._specialise = specialise
        self._lock = threading.Lock()
        self._cache: Any = None if path is None else loaded.create_runtime_config().create_runtime_cache()
        self._written = b""  # digest of what the file has of ours
        self._read = -1  # size of the file that was taken; -1: none was
        self._warned = False
        if path is not None:
            self._load(path)

    def new_config(self) -> Any:
        """A runtime configuration to make a context with, which has to outlive the context.

        Where runs are to be recorded as a graph, kernels for a new shape are compiled at once: TensorRT-RTX otherwise
        runs a slower one that takes any shape until they are ready, and that one would stay in the graph.
        """
        config = self._loaded.create_runtime_config()
        if self._cache is not None and not config.set_runtime_cache(self._cache):
            self._warn("kernels compiled for this engine are not kept: the runtime takes no cache for them")
        if self._specialise:
            strategies = self._trt.DynamicShapesKernelSpecializationStrategy
            config.dynamic_shapes_kernel_specialization_strategy = strategies.EAGER
        return config

    def save(self) -> None:
        """Writes the file, if there are kernels that it has not. Waits for nobody: while another process writes it, it
        is left alone."""
        if self._path is None:
            return
        try:
            with self._lock:
                self._save(self._path)
        except (EdgeVisionError, OSError, RuntimeError) as error:
            self._warn(f"kernels compiled for this engine are not kept: {error}")

    def _save(self, path: Path) -> None:
        data = self._cache.serialize()
        if data is None:
            return
        view = memoryview(data)
        digest = hashlib.sha256(view).digest()
        if digest == self._written or not 0 < view.nbytes <= MAX_CACHE_BYTES:
            return

        def give_up(pid: int) -> None:
            raise _BusyError

        with contextlib.suppress(_BusyError), hold_lock(path.with_name(path.name + ".lock"), give_up):
            # Another process may have written more than there was: what has most kernels stays.
            there = path.stat().st_size if path.exists() else -1
            remove_unfinished(path)
            if there <= max(view.nbytes, self._read):
                with atomic_writer(path) as file:
                    file.write(view)
                self._read = view.nbytes
            self._written = digest

    def _load(self, path: Path) -> None:
        try:
            if not path.exists():
                return
            data = read_small(path, MAX_CACHE_BYTES)
        except EdgeVisionError as error:
            self._warn(f"kernels compiled earlier are not used: {error}")
            return
        # A damaged file, or one of other circumstances, is not taken, and replaced whatever its size.
        self._read = len(data)
        if self._cache.deserialize(data):
            self._written = hashlib.sha256(data).digest()

    def _warn(self, text: str) -> None:
        if not self._warned:
            self._warned = True
            warnings.warn(text, EdgeVisionWarning, stacklevel=4)


def open_jit_cache(
    trt: ModuleType, loaded: Any, plan: bytes, name: str, target: Target, folder: str | os.PathLike[str] | None,
    *, specialise: bool,
) -> JitCache | None:  # fmt: skip
    """The kernels of an engine that was deserialised from this plan; None where they are in the plan (TensorRT).

    folder: where the file lies or will lie; None: among the engines in the user's cache folder; "": nowhere.
    """
    if not hasattr(trt, "IRuntimeCache"):
        return None
    path = None
    if folder != "":
        place = cache_folder("engines") if folder is None else Path(folder)
        path = jit_cache_path(place, plan, name, target)
    return JitCache(trt, loaded, path, specialise=specialise)


def jit_cache_path(folder: Path, plan: bytes, name: str, target: Target) -> Path:
    """The file: "<engine>.<16 hexadecimal digits>.jit"."""
    facts = {
        "plan": hashlib.sha256(plan).hexdigest(),
        "runtime": (target.module, target.version),
        "gpu": dataclasses.astuple(target.gpu),
        "platform": target.platform,
        "driver": driver_cuda_version(),
    }
    digest = hashlib.sha256(json.dumps(facts, sort_keys=True).encode()).hexdigest()[:16]
    stem = re.sub(r"[^A-Za-z0-9_.+-]", "_", Path(name).stem)[:40]
    return folder / f"{stem}.{digest}.jit"
