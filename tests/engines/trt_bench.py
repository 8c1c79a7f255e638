"""A machine with a GPU and TensorRT, both stand-ins, and engines to open on it."""

from __future__ import annotations

import sys
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import onnx
import pytest
from fake_cuda import FakeCuda
from fake_runtime import make_plan
from fake_tensorrt import FakeTensorRT

from edgevision.backends.gpu import Gpu
from edgevision.backends.options import TensorRtOptions
from edgevision.backends.tensorrt import TensorRtSession, open_tensorrt
from edgevision.spec import EngineKey, write_engine_sidecar

RTX_3060 = Gpu("NVIDIA GeForce RTX 3060", "8.6", 28)
GREATEST = 1 << 12
"""Of a dimension known at run time, in the engines made here."""


class Machine:
    """It has one GPU."""

    def __init__(
        self, monkeypatch: pytest.MonkeyPatch, folder: Path, version: str, *, integrated: bool
    ) -> None:
        self.folder = folder
        self.version = version
        self.cuda = FakeCuda(integrated=integrated)
        self.trt = FakeTensorRT(version)
        self.trt.cuda = self.cuda
        self.gpu: Gpu | None = RTX_3060
        monkeypatch.setitem(sys.modules, "tensorrt", self.trt)
        for module in ("backends.trt_engine", "engines.build", "engines.choose", "engine_loading"):
            monkeypatch.setattr(f"edgevision.{module}.find_gpu", lambda driver=None, index=0: self.gpu)
        monkeypatch.setattr("edgevision.backends.trt_engine.load_cuda", lambda: self.cuda)

    def plan(self, network: bytes, profiles: Sequence[dict[str, Any]] | None = None) -> bytes:
        """profiles: input -> (least, best, greatest); None: one that takes 1 to GREATEST of all that may vary."""
        if profiles is None:
            profiles = [_widest(network)]
        return make_plan(self.version, network, list(profiles))

    def engine(self, network: bytes, *, key: bool = True, **options: Any) -> Path:
        """An engine's file; key: with its sidecar."""
        path = self.folder / "m.engine"
        path.write_bytes(self.plan(network, **options))
        if key:
            write_engine_sidecar(path, None, self.key())
        return path

    def key(self, **changes: Any) -> EngineKey:
        fields = {
            "backend": "tensorrt",
            "backend_version": self.version,
            "gpu_name": self.gpu.name,
            "compute_capability": self.gpu.compute_capability,
            "multiprocessors": self.gpu.multiprocessors,
        }
        return EngineKey(**(fields | changes))

    def open(
        self, network: bytes, profiles: Any = None, device: str = "auto", **options: Any
    ) -> TensorRtSession:
        return open_tensorrt(self.engine(network, profiles=profiles), device, TensorRtOptions(**options))


def _widest(network: bytes) -> dict[str, Any]:
    profile = {}
    for value in onnx.load_from_string(network).graph.input:
        dims = value.type.tensor_type.shape.dim
        low = [dim.dim_value if dim.HasField("dim_value") else 1 for dim in dims]
        high = [dim.dim_value if dim.HasField("dim_value") else GREATEST for dim in dims]
        profile[value.name] = (low, low, high)
    return profile
