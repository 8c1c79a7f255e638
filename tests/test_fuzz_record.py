"""cpp_ext/fuzz/record.py keeps account of which kernels passed how many inputs."""

from __future__ import annotations

import importlib
import json
from pathlib import Path
from types import ModuleType

import pytest

FUZZ = Path(__file__).parent.parent / "cpp_ext" / "fuzz"


@pytest.fixture
def record(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> ModuleType:
    """The script, writing to a copy of RECORD.json without runs."""
    monkeypatch.syspath_prepend(str(FUZZ))
    module = importlib.import_module("record")
    empty = {"kernels": "", "inputs": {}, "inputs_of_earlier_kernels": 7, "runs": []}
    monkeypatch.setattr(module, "RECORD", tmp_path / "RECORD.json")
    module.RECORD.write_text(json.dumps(empty))
    return module


def run(build: str, executions: int, outcome: str = "passed") -> dict[str, object]:
    return {"target": "fuzz_rle", "build": build, "executions": executions, "outcome": outcome}


def test_inputs_that_passed_are_summed_by_build(record: ModuleType) -> None:
    assert record.add_to_record(run("sanitized", 10)) == 10
    assert record.add_to_record(run("optimised", 100)) == 110
    assert record.add_to_record(run("optimised", 1000, "failed")) == 110
    assert record.add_to_record(run("optimised", 5)) == 115
    written = json.loads(record.RECORD.read_text())
    assert written["inputs"] == {"sanitized": 10, "optimised": 105}
    assert written["inputs_of_earlier_kernels"] == 7
    assert [entry["executions"] for entry in written["runs"]] == [10, 100, 1000, 5]


def test_other_kernels_begin_a_new_list(record: ModuleType, monkeypatch: pytest.MonkeyPatch) -> None:
    record.add_to_record(run("optimised", 100))
    monkeypatch.setattr(record, "hash_of_kernels", lambda: "others")
    assert record.add_to_record(run("sanitized", 3)) == 3
    written = json.loads(record.RECORD.read_text())
    assert written["kernels"] == "others"
    assert written["inputs"] == {"sanitized": 3, "optimised": 0}
    assert written["inputs_of_earlier_kernels"] == 107
    assert len(written["runs"]) == 1


def test_the_records_sums_are_those_of_its_runs(record: ModuleType) -> None:
    kept = json.loads((FUZZ / "RECORD.json").read_text())
    assert kept["inputs"] == {build: record.count_passed(kept["runs"], build) for build in record.BUILDS}
