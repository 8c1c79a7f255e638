"""A machine with a GPU and either runtime, stand-ins that compute, and models on it."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest
import test_ort_gpu
import trt_bench
from cuda_modules import emulated_or_skip
from late_cuda import LateCuda
from tiny_promptable import write_promptable

from edgevision import PromptableModel
from edgevision.backends.options import TensorRtOptions
from edgevision.backends.tensorrt import open_tensorrt
from edgevision.spec import load_spec


class Bench:
    """A machine with a GPU.

    runtime: "tensorrt" or "onnxruntime". opened: models to close in the end.
    """

    def __init__(self, monkeypatch: pytest.MonkeyPatch, folder: Path, runtime: str, integrated: bool) -> None:
        self.cuda = LateCuda(emulated_or_skip(), integrated=integrated)
        self.trt: Any = None
        self.ort: Any = None
        if runtime == "tensorrt":
            self._engines = trt_bench.Machine(monkeypatch, folder, "10.3.0", integrated=integrated)
            self.trt = self._engines.trt
            self._engines.cuda = self.trt.cuda = self.cuda
        else:
            self._networks = test_ort_gpu.Machine(monkeypatch, self.cuda)
            self.ort = self._networks.ort
        self._folder = folder
        self._written: dict[tuple[str, ...], Path] = {}
        self.opened: list[PromptableModel] = []

    def files(self, *kinds: str) -> Path:
        """The folder of the tiny network in these types."""
        if kinds not in self._written:
            folder = self._folder / "-".join(("tiny", *kinds))
            folder.mkdir()
            self._written[kinds] = write_promptable(folder, *kinds)
        return self._written[kinds]

    def session(self, network: bytes, **options: Any) -> Any:
        if self.trt is not None:
            return open_tensorrt(self._engines.engine(network), "cuda", TensorRtOptions(**options))
        return self._networks.open(network, "cuda", **options)

    def open(
        self, encoder: str = "float32", decoder: str = "float32", network: bytes = b"", **options: Any
    ) -> PromptableModel:
        """encoder, decoder: their types. network: another encoder than the tiny one."""
        folder = self.files(encoder)
        model = PromptableModel(
            load_spec(folder / "model.onnx"),
            self.session(network or (folder / "model.onnx").read_bytes(), **options),
            self.session((self.files(decoder) / "decoder.onnx").read_bytes(), **options),
        )
        self.opened.append(model)
        return model
