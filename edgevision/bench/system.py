"""Facts about this machine, read without any library."""

from __future__ import annotations

import os
import platform
from pathlib import Path

__all__ = ["available_cpus", "processor_flags", "processor_name"]


def _cpuinfo(*names: str) -> str:
    try:
        text = Path("/proc/cpuinfo").read_text(errors="replace")
    except OSError:
        return ""
    for line in text.splitlines():
        key, _, value = line.partition(":")
        if key.strip() in names:
            return value.strip()
    return ""


def processor_name() -> str:
    """The processor's marketing name, or its architecture where the system does not tell."""
    return _cpuinfo("model name", "Model", "Hardware") or platform.processor() or platform.machine()


def processor_flags() -> frozenset[str]:
    """The instruction-set flags that Linux lists ("avx2", "avx512f", "asimd", ...); empty elsewhere."""
    return frozenset(_cpuinfo("flags", "Features").split())


def available_cpus() -> int:
    """Logical processors this process may run on."""
    if hasattr(os, "sched_getaffinity"):
        return len(os.sched_getaffinity(0))
    return os.cpu_count() or 1
