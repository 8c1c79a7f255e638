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
    empty = {"inputs": {}, "inputs_of_earlier_kernels": 7, "runs": []}
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
    assert written["inputs"] == {"sanitized": 10, "optimised": 105, "seeded": 0}
    assert written["inputs_of_earlier_kernels"] == 7
    assert [entry["executions"] for entry in written["runs"]] == [10, 100, 1000, 5]


def test_runs_of_kernels_that_changed_leave_their_number(
    record: ModuleType, monkeypatch: pytest.MonkeyPatch
) -> None:
    record.add_to_record(run("optimised", 100))
    record.add_to_record(run("seeded", 20) | {"target": "fuzz_nms"})
    hashes = {"fuzz_nms": record.hash_of_kernels("fuzz_nms")}
    monkeypatch.setattr(record, "hash_of_kernels", lambda target: hashes.get(target, "changed"))
    assert record.add_to_record(run("sanitized", 3)) == 23
    written = json.loads(record.RECORD.read_text())
    assert written["inputs"] == {"sanitized": 3, "optimised": 0, "seeded": 20}
    assert written["inputs_of_earlier_kernels"] == 107
    assert [entry["target"] for entry in written["runs"]] == ["fuzz_nms", "fuzz_rle"]


def test_every_kernel_belongs_to_a_target(record: ModuleType) -> None:
    assert set(record.FAMILIES) == set(record.TARGETS)
    matched = {
        path
        for patterns in record.FAMILIES.values()
        for name in patterns
        for path in record.KERNELS.glob(name)
    }
    assert {path for path in record.KERNELS.glob("*.cpp") if path.name != "table.cpp"} <= matched


def test_the_records_sums_are_those_of_its_runs(record: ModuleType) -> None:
    kept = json.loads((FUZZ / "RECORD.json").read_text())
    assert kept["inputs"] == {build: record.count_passed(kept["runs"], build) for build in record.BUILDS}
