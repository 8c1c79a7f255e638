"""Stand-ins that show the package no name which the real bindings do not have (trt_api.json, by list_trt_api.py)."""

from __future__ import annotations

import json
import sys
from functools import cache
from pathlib import Path
from typing import Any

__all__ = ["HeldToApi", "names_of"]

_LISTED: dict[str, dict[str, list[str]]] = json.loads(Path(__file__).with_name("trt_api.json").read_text())


def _listed(version: str) -> dict[str, list[str]]:
    """Of the version, or else of the last listed one with the same first number."""
    same = [one for one in _LISTED if one.partition(".")[0] == version.partition(".")[0]]
    assert same, f"trt_api.json has no {version}: list it, or let the stand-in be {', '.join(_LISTED)}"
    return _LISTED[version if version in same else same[-1]]


@cache
def names_of(version: str, kind: str) -> frozenset[str]:
    """What a class has, or, of "module", which classes the module has. version: as its module says, "rtx " before
    TensorRT-RTX's."""
    listed = _listed(version)
    return frozenset(listed if kind == "module" else listed.get(kind, ()))


class HeldToApi:
    """What the package asks of an object: AttributeError where the real one does not have it.

    api: the class. trt: the stand-in for the module, whose version is meant.
    """

    api = ""
    trt: Any

    def __getattribute__(self, name: str) -> Any:
        if name[0] != "_" and sys._getframe(1).f_globals.get("__name__", "").startswith("edgevision."):
            trt = object.__getattribute__(self, "trt")
            kind = object.__getattribute__(self, "api")
            if name not in names_of(trt.listed_as, kind):
                raise AttributeError(f"the real {kind} of {trt.listed_as} has no {name!r}")
        return object.__getattribute__(self, name)
