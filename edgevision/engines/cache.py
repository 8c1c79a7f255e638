"""Engines kept in the user's cache folder: built once for a GPU, a version and a network, then found.

    $XDG_CACHE_HOME/edgevision/engines/<network>.<builder>-<16 hexadecimal digits>.engine
                                      /<the same>.engine.json
                                      /<the same>.engine.lock

The digits are a hash of all that the engine depends on: an engine that does not fit has another name. Every file may be
deleted at any time.
"""

from __future__ import annotations

import dataclasses
import hashlib
import json
import os
import re
from dataclasses import dataclass
from pathlib import Path, PurePosixPath

from edgevision.backends.engine_fit import Target, find_differences
from edgevision.engines.build import build_engine
from edgevision.engines.builders import Builder
from edgevision.engines.monitor import ProgressFn
from edgevision.engines.options import BuildOptions
from edgevision.errors import EdgeVisionError
from edgevision.spec import read_engine_header
from edgevision.spec.files import cache_folder, file_sha256, remove_unfinished
from edgevision.spec.lock import hold_lock
from edgevision.spec.onnx_data import read_onnx_data

__all__ = ["CachedEngine", "cache_path", "find_cached", "get_cached"]


@dataclass(frozen=True, slots=True)
class CachedEngine:
    """An engine in the cache; built: whether it was built just now."""

    path: Path
    built: bool


def cache_path(onnx: Path, builder: Builder, target: Target, options: BuildOptions) -> Path:
    """Where the engine of this network, for this target, built with these options, lies or would lie."""
    facts = {
        "onnx": _hash_network(onnx),
        "backend": builder.module,
        "version": target.version,
        "gpu": dataclasses.astuple(target.gpu),
        "platform": target.platform,
        "options": {
            one.name: str(getattr(options, one.name))
            for one in dataclasses.fields(options)
            if one.name not in ("timing_cache", "profiles")
        },
        "profiles": {name: str(one) for name, one in sorted(options.profiles.items())},
    }
    digest = hashlib.sha256(json.dumps(facts, sort_keys=True).encode()).hexdigest()[:16]
    # Short: in the 48 characters that a temporary file keeps of its name, the digits must stand (`remove_unfinished`).
    stem = re.sub(r"[^A-Za-z0-9_.+-]", "_", onnx.stem)[:24]
    return cache_folder("engines") / f"{stem}.{builder.tag}-{digest}.engine"


def find_cached(onnx: Path, builder: Builder, target: Target, options: BuildOptions) -> Path | None:
    """The engine if it is in the cache, whole and for this target; builds nothing."""
    path = cache_path(onnx, builder, target, options)
    return path if _is_usable(path, target) else None


def get_cached(
    onnx: Path,
    builder: Builder,
    target: Target,
    options: BuildOptions,
    progress: ProgressFn | None = None,
) -> CachedEngine:
    """The engine out of the cache, built first where it is not there.

    Of several processes that want it, one builds and the others wait for that one's, told so through `progress`. One
    that is killed leaves the build to the next.
    progress: see `ProgressFn`. Raises as `build_engine` does.
    """
    path = cache_path(onnx, builder, target, options)
    if _is_usable(path, target):
        return CachedEngine(path, False)

    def wait(pid: int) -> None:
        if progress is not None:
            progress(0.0, f"waiting for process {pid or 'unknown'}, which builds this engine")

    with hold_lock(path.with_name(path.name + ".lock"), wait):
        if _is_usable(path, target):
            return CachedEngine(path, False)
        for file in (path, path.with_name(path.name + ".json")):
            remove_unfinished(file)  # of a build that was killed while it wrote
        targets = f"sm{target.gpu.compute_capability.replace('.', '')}" if builder.ahead else ()
        build_engine(onnx, path, backend=builder.name, targets=targets, options=options, progress=progress)
    return CachedEngine(path, True)


def _is_usable(path: Path, target: Target) -> bool:
    """Whether the engine is there with its own sidecar and fits. What is damaged is built again, not reported."""
    if not path.is_file():
        return False
    try:
        key = read_engine_header(path).key
    except EdgeVisionError:
        return False
    return key is not None and not find_differences(key, target)


def _hash_network(onnx: Path) -> list[str]:
    """Of the file and of those beside it that hold its weights."""
    folder = onnx.parent
    beside = [folder / PurePosixPath(name.replace(os.sep, "/")) for name in sorted(read_onnx_data(onnx))]
    return [file_sha256(one) for one in (onnx, *beside)]
