"""The benchmarks are scripts beside each other: their folder must be where Python looks for modules."""

from __future__ import annotations

import sys
from pathlib import Path
from typing import Any

import pytest

sys.path.insert(0, str(Path(__file__).parents[3] / "benchmarks" / "ops"))


@pytest.fixture
def found() -> dict[str, Any]:
    """Figures of one thread and of two, as measure() gives them, written by hand."""

    def other(name: str, kind: str, p50_us: float, ratio: float) -> dict[str, Any]:
        why = "the same pixels"
        times = {"min_us": 1.0, "p50_us": p50_us, "p90_us": 2 * p50_us, "p99_us": 3 * p50_us, "n": 31}
        return {
            "name": name,
            "kind": kind,
            **times,
            "ratio": ratio,
            "distance": 0.25,
            "accepted": 0.5,
            "why": why,
        }

    def case(p50_us: float) -> dict[str, Any]:
        return {
            "family": "image",
            "name": "letterbox",
            "what": "1080p -> 640x640",
            "fastest": "quick",
            "ratio": 400 / p50_us,
            "goal": 4,
            "rival": "slow",
            "reached": 3000 / p50_us,
            "ours": {"min_us": 90.0, "p50_us": p50_us, "p90_us": 150.0, "p99_us": 160.0, "n": 100},
            "peer": {"min_us": 390.0, "p50_us": 400.0, "p90_us": 450.0, "p99_us": 460.0, "n": 100},
            "cold": {
                "ours": {"min_us": 190.0, "p50_us": 2 * p50_us, "p90_us": 250.0, "p99_us": 260.0, "n": 40},
                "peer": {"min_us": 490.0, "p50_us": 500.0, "p90_us": 550.0, "p99_us": 560.0, "n": 40},
                "ratio": 250 / p50_us,
            },
            "in_turn": {"min_us": 110.0, "p50_us": 120.0, "p90_us": 170.0, "p99_us": 180.0, "n": 50},
            "others": [
                other("quick", "peer", 600.0, 600 / 120.0),
                other("slow", "peer", 3600.0, 3600 / 120.0),
                other("odd", "variant", 240.0, 240 / 120.0),
            ],
            "moved_bytes": 1_000_000,
            "limit_us": 50.0,
            "share_of_limit": 25 / p50_us,
        }

    machine = {
        "processor": "CPU 1",
        "cpus": 2,
        "system": "Linux x86_64",
        "python": "3.12",
        "edgevision": "0.1",
        "kernels": "native",
        "isas": ["baseline", "avx2"],
        "versions": {"numpy": "2.0"},
    }
    speeds = {"copy": 20.0, "write": 10.0, "read": 15.0}
    runs = [
        {
            "isa": "avx2",
            "threads": threads,
            "bandwidth_gb_s": speeds,
            "evicted_bytes": 64 << 20,
            "cases": [case(p50_us)],
        }
        for threads, p50_us in ((1, 100.0), (2, 62.5))
    ]
    return {"benchmark": "ops", "machine": machine, "seconds_a_row": 3.0, "runs": runs}
