"""The machine: what it is, how many threads everything gets, and how fast its memory is."""

from __future__ import annotations

import os
import platform
import threading
import time
from collections.abc import Sequence
from importlib import metadata
from typing import Any

import numpy as np

import edgevision as ev
from edgevision.bench import processor_name
from edgevision.bench.system import available_cpus
from edgevision.ops._dispatch import native

__all__ = ["LIBRARIES", "describe_machine", "measure_bandwidth", "select_isa", "set_threads", "time_together"]

LIBRARIES = (
    *("numpy", "opencv-python-headless", "opencv-python", "torch", "torchvision", "pillow"),
    *("pycocotools", "supervision", "scipy"),
)
"""Distributions whose versions are noted, where they are installed."""

_STREAM_BYTES = 256 << 20
"""Of one buffer of the bandwidth test: several times any cache."""


def describe_machine() -> dict[str, Any]:
    """The processor, the instruction sets of the kernels, and the versions of everything that is timed."""
    versions = {}
    for name in LIBRARIES:
        try:
            versions[name] = metadata.version(name)
        except metadata.PackageNotFoundError:
            continue
    return {
        "processor": processor_name(),
        "cpus": available_cpus(),
        "system": f"{platform.system()} {platform.machine()}",
        "python": platform.python_version(),
        "edgevision": ev.__version__,
        "kernels": "native" if native is not None else "NumPy reference",
        "isas": [] if native is None else native.available_isas(),
        "versions": versions,
    }


def select_isa(name: str | None) -> str:
    """The instruction set that the kernels compute with from here on; None leaves it. Raises ValueError for others."""
    if native is None:
        return "reference"
    if name is not None:
        native.select_isa(name)
    isa: str = native.current_isa()
    return isa


def set_threads(count: int) -> None:
    """Ours and every peer may use `count` threads from here on."""
    import cv2
    import torch
    from threadpoolctl import threadpool_limits

    os.environ["OMP_NUM_THREADS"] = str(count)  # for what is not loaded yet
    cv2.setNumThreads(count)
    torch.set_num_threads(count)
    threadpool_limits(count)  # NumPy's BLAS
    ev.set_num_threads(count)


def measure_bandwidth(threads: int = 1, rounds: int = 7) -> dict[str, float]:
    """Gigabytes a second of long streams, the best of some rounds: "copy", "write" and "read".

    Each thread streams over its own buffers of 256 MiB with NumPy: np.copyto (bytes read plus bytes written),
    ndarray.fill, ndarray.max. The limit of a kernel is its bytes over "copy".
    """
    size = _STREAM_BYTES // threads
    pairs = [(np.ones(size // 8, np.int64), np.zeros(size // 8, np.int64)) for _ in range(threads)]
    streams = {
        "copy": (2, lambda source, target: np.copyto(target, source)),
        "write": (1, lambda source, target: target.fill(3)),
        "read": (1, lambda source, target: source.max()),
    }
    best = {}
    for name, (passes, stream) in streams.items():
        seconds = min(time_together(stream, pairs) for _ in range(rounds))
        best[name] = passes * size * threads / seconds / 1e9
    return best


def time_together(stream: Any, buffers: Sequence[tuple[np.ndarray, ...]]) -> float:
    """Seconds until all have been streamed over: stream(*buffers[i]), each on a thread of its own."""
    others = [threading.Thread(target=stream, args=arguments) for arguments in buffers[1:]]
    start = time.perf_counter()
    for thread in others:
        thread.start()
    stream(*buffers[0])
    for thread in others:
        thread.join()
    return time.perf_counter() - start
