"""The benchmark of a call's overhead runs, and compares results before it times."""

from __future__ import annotations

import sys
from pathlib import Path

import pytest

pytest.importorskip("onnxruntime", reason="onnxruntime is not installed")

import edgevision as ev
from edgevision.demo.showcase import demo_model_path

sys.path.append(str(Path(__file__).parents[2] / "benchmarks"))


def test_both_ways_are_timed() -> None:
    import call_overhead

    with ev.load(demo_model_path()) as model:
        found = call_overhead.measure(model, 5)
    assert found["n"] == 5
    for way in ("call_us", "by_hand_us"):
        assert found[way]["p99"] >= found[way]["p50"] > 0
