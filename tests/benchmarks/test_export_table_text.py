"""The page that benchmarks/export_table.py writes from its rows."""

from __future__ import annotations

import importlib.util
from pathlib import Path
from typing import Any

PATH = Path(__file__).parents[2] / "benchmarks" / "export_table_text.py"


def load() -> Any:
    spec = importlib.util.spec_from_file_location("export_table_text", PATH)
    assert spec is not None
    assert spec.loader is not None
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module


def form(name: str, **changes: Any) -> dict[str, Any]:
    tensor = {"relative": 1e-6, "cosine": 1.0, "noise": 2e-3}
    return {
        "file": f"model.{name}.onnx",
        "role": "model",
        "form": name,
        "bytes": 2_000_000,
        "nodes": 10,
        "float_operators": {},
        "left_out": [],
        "layers": 0,
        "parity": [{"tensors": [tensor, {**tensor, "relative": 0.5, "cosine": 0.9}]}],
        **changes,
    }


def test_every_figure_has_its_place() -> None:
    row = {
        "family": "f",
        "name": "net",
        "inputs": [[1, [32, 48]]],
        "parameters": {"model": 1_000_000},
        "report": {
            "forms": [form("fp32"), form("int8", left_out=[{}], layers=5)],
            "versions": {"torch": "2.0"},
        },
        "engines": [
            {"file": "model.fp32.onnx", "targets": "a", "seconds": 1.25, "bytes": 3e6, "backend": "rtx 1.7"},
            {"file": "model.fp32.onnx", "targets": "b", "error": "node X is not there"},
        ],
        "processor": "CPU",
        "cores": 2,
    }
    lines = load().table_markdown([row], ["a", "b"]).splitlines()
    assert "| **net, 32x48** | PyTorch | 4.0 |  |  |  |  |  |  |  |" in lines
    assert "|  | fp32 | 2.0 | 10 | 5.0e-01 | 0.900000 | 2.0e-03 |  | 1.2 / 3.0 | refused |" in lines
    assert "|  | int8 | 2.0 | 10 | 5.0e-01 | 0.900000 | 2.0e-03 | 1 of 5 layers |  |  |" in lines
    assert "- net, model.fp32.onnx, b: node X is not there" in lines
    assert "torch 2.0, rtx 1.7. On CPU, 2 cores." in lines
