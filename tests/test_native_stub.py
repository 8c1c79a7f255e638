"""The committed stub is the one that the build would generate."""

from __future__ import annotations

import difflib
import importlib.util
import sys
from pathlib import Path

import pytest

ROOT = Path(__file__).parent.parent


def test_the_stub_is_the_builds() -> None:
    pytest.importorskip("nanobind", reason="nanobind is not installed")
    pytest.importorskip("edgevision._native", reason="the native extension is not built")
    spec = importlib.util.spec_from_file_location("native_stub", ROOT / "tests" / "native_stub.py")
    module = importlib.util.module_from_spec(spec)
    sys.modules[spec.name] = module
    spec.loader.exec_module(module)
    committed = (ROOT / "edgevision" / "_native.pyi").read_text().splitlines()
    gap = list(
        difflib.unified_diff(committed, module.generate().splitlines(), "committed", "built", lineterm="")
    )
    assert not gap, "run `make stub` and commit the result:\n" + "\n".join(gap)
