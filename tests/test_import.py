"""What `import edgevision` costs and what it must not load."""

from __future__ import annotations

import json
import subprocess
import sys

import pytest

import edgevision

HEAVY = ("torch", "onnxruntime", "cv2", "tensorrt", "openvino", "numpy", "onnx", "ultralytics")


def run_python(code: str) -> str:
    return subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True).stdout


def test_import_loads_no_runtime() -> None:
    loaded = json.loads(run_python("import sys, json, edgevision; print(json.dumps(sorted(sys.modules)))"))
    assert [name for name in HEAVY if name in loaded] == []


def test_using_results_and_spec_loads_no_runtime() -> None:
    code = (
        "import sys, json, edgevision as ev; ev.Detections.empty((2, 2)); ev.ModelSpec; ev.load; ev.draw;"
        "print(json.dumps(sorted(sys.modules)))"
    )
    loaded = json.loads(run_python(code))
    assert [name for name in HEAVY if name in loaded and name != "numpy"] == []


def test_import_takes_less_time_than_numpy_does(record_property) -> None:
    # Best of five alternating pairs: the least disturbed run of each. Both are measured inside a fresh process.
    code = "import time; t = time.perf_counter(); import {0}; print(time.perf_counter() - t)"
    ours, numpys = [], []
    for _ in range(5):
        numpys.append(float(run_python(code.format("numpy"))))
        ours.append(float(run_python(code.format("edgevision"))))
    record_property("import_edgevision_ms", round(min(ours) * 1e3, 2))
    record_property("import_numpy_ms", round(min(numpys) * 1e3, 2))
    print(f"import edgevision {min(ours) * 1e3:.2f} ms, import numpy {min(numpys) * 1e3:.2f} ms")
    assert min(ours) < min(numpys)


def test_every_public_name_resolves_and_is_listed() -> None:
    for name in edgevision.__all__:
        assert getattr(edgevision, name) is not None
    assert set(edgevision.__all__) == set(edgevision._HOME) | {"__version__"}
    assert dir(edgevision) == sorted(edgevision.__all__)


def test_unknown_name_is_an_attribute_error() -> None:
    with pytest.raises(AttributeError, match="lode"):
        getattr(edgevision, "lode")  # noqa: B009 - written as an attribute, linters would remove it
