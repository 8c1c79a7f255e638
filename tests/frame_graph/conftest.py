"""The stand-ins for a GPU are the engines' and the kernels' own, emulated."""

from __future__ import annotations

import gc
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

for folder in ("engines", "cuda", "backends", "."):
    sys.path.append(str(Path(__file__).parents[1] / folder))

RUNTIMES = {
    "TensorRT": ("tensorrt", False),
    "TensorRT on a Jetson": ("tensorrt", True),
    "ONNX Runtime": ("onnxruntime", False),
    "ONNX Runtime, shared memory": ("onnxruntime", True),
}


@pytest.fixture(params=RUNTIMES.values(), ids=RUNTIMES.keys())
def bench(request: pytest.FixtureRequest, monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> Iterator[Any]:
    """A gpu_bench.Bench of each kind; its models are closed."""
    from gpu_bench import Bench  # where what it stands on is installed

    made = Bench(monkeypatch, tmp_path, *request.param)
    yield made
    for model in made.opened:
        model.close()
    gc.collect()
