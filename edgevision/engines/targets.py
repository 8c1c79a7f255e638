"""GPUs that an engine is built for ahead of time, by compute capability."""

from __future__ import annotations

import re
from collections.abc import Iterable
from types import ModuleType

from edgevision.backends.gpu import find_gpu
from edgevision.errors import InputError

__all__ = ["capabilities_text", "known_targets", "parse_targets", "resolve_targets"]

_EXCEPTED = "sm75"
"""Turing takes no float32 products, so an engine for it and others would be refused for most networks; from Ampere on,
one engine for all is no larger than one for a single GPU (docs/engines.md)."""


def known_targets(trt: ModuleType) -> tuple[str, ...]:
    """The targets that the builder knows, "sm75" first."""
    names = [name.lower() for name in trt.ComputeCapability.__members__ if re.fullmatch(r"SM\d+", name)]
    return tuple(sorted(names, key=_number))


def parse_targets(targets: str | Iterable[str], known: tuple[str, ...]) -> tuple[str, ...]:
    """The targets in order, each once: "sm86" also spelled "SM86", "86" or "8.6", several separated by commas.

    Raises InputError, listing the known ones, for any other word.
    """
    words = [targets] if isinstance(targets, str) else list(targets)
    found = set()
    for word in (part.strip() for item in words for part in str(item).split(",")):
        if not word:
            continue
        digits = re.fullmatch(r"(?:sm_?)?(\d+)(?:\.(\d))?", word.lower())
        name = f"sm{digits[1]}{digits[2] or ''}" if digits else ""
        if name not in known:
            raise InputError(f"there is no target {word!r}; the targets are {', '.join(known)}{_hint(name)}")
        found.add(name)
    return tuple(sorted(found, key=_number))


def resolve_targets(targets: str | Iterable[str], known: tuple[str, ...]) -> tuple[str, ...]:
    """The targets given; of none, the GPU of this machine; without one, all from Ampere on in one engine.

    Raises InputError for an unknown target, and when none is given and this machine's GPU is none of them.
    """
    given = parse_targets(targets, known)
    if given:
        return given
    gpu = find_gpu()
    if gpu is None:
        return tuple(name for name in known if name != _EXCEPTED)
    name = "sm" + gpu.compute_capability.replace(".", "")
    if name not in known:
        raise InputError(
            f"the GPU of this machine ({gpu.name}, {name}) is no target of this builder; name some: {', '.join(known)}"
        )
    return (name,)


def capabilities_text(targets: Iterable[str]) -> str:
    """Compute capabilities as `EngineKey` has them: "8.6", "8.0 8.6 12.0"."""
    return " ".join(f"{_number(name) // 10}.{_number(name) % 10}" for name in targets)


def _number(name: str) -> int:
    return int(name[2:])


def _hint(name: str) -> str:
    if name in ("sm87", "sm72", "sm101", "sm110"):
        return "; Jetsons run TensorRT: build on the device with --backend tensorrt"
    if name in ("sm90", "sm100", "sm103"):
        return "; data-centre GPUs run TensorRT: build on one with --backend tensorrt"
    return ""
