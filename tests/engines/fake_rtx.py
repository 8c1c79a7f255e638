"""What TensorRT-RTX has beside TensorRT: kernels are compiled while an engine runs, and kept in a runtime cache.

A kernel is "<network>@<shapes>"; with the lazy strategy the first run at
a shape takes one that fits any shape, "<network>@any".
"""

from __future__ import annotations

import enum
import hashlib
from typing import Any

import fake_runtime
from fake_tensorrt import FakeTensorRT
from trt_api import HeldToApi

Strategy = enum.IntEnum("DynamicShapesKernelSpecializationStrategy", ["LAZY", "EAGER", "NONE"])
Diagnostics = enum.IntFlag(
    "EngineInvalidityDiagnostics",
    [
        "VERSION_MISMATCH",
        "UNSUPPORTED_CC",
        "OLD_CUDA_DRIVER",
        "OLD_CUDA_RUNTIME",
        "INSUFFICIENT_GPU_MEMORY",
        "MALFORMED_ENGINE",
    ],
)
MAGIC = b"kernels of "


class FakeTensorRtRtx(FakeTensorRT):
    """compiled: every kernel that was compiled, in order. environment: what the runtime compares a cache's with."""

    def __init__(self, version: str) -> None:
        super().__init__(version, "tensorrt_rtx")
        self.compiled: list[str] = []
        self.environment = f"{version} on driver 580"
        self.invalid = 0  # bits of Diagnostics that engines are refused for
        self.IRuntimeCache = RuntimeCache
        self.EngineInvalidityDiagnostics = Diagnostics
        self.DynamicShapesKernelSpecializationStrategy = Strategy
        self.Runtime = lambda logger: RtxRuntime(self, logger)


class RuntimeCache(HeldToApi):
    api = "IRuntimeCache"

    def __init__(self, trt: FakeTensorRtRtx) -> None:
        self.trt = trt
        self.kernels: set[str] = set()

    @property
    def _head(self) -> bytes:
        return MAGIC + self.trt.environment.encode() + b"\n"

    def serialize(self) -> bytes:
        return self._head + "\n".join(sorted(self.kernels)).encode()

    def deserialize(self, blob: bytes) -> bool:
        if not blob.startswith(self._head):
            return False
        self.kernels = set(filter(None, blob.removeprefix(self._head).decode().split("\n")))
        return True


class RuntimeConfig(HeldToApi):
    api = "IRuntimeConfig"

    def __init__(self, trt: FakeTensorRtRtx) -> None:
        self.trt = trt
        self.cache: RuntimeCache | None = None
        self.dynamic_shapes_kernel_specialization_strategy = Strategy.LAZY

    def create_runtime_cache(self) -> RuntimeCache:
        return RuntimeCache(self.trt)

    def set_runtime_cache(self, cache: RuntimeCache) -> bool:
        if self.trt.fail == "set_runtime_cache":
            return False
        self.cache = cache
        return True


class RtxRuntime(fake_runtime.Runtime):
    engine_header_size = 64

    def get_engine_validity(self, head: bytes) -> tuple[int, int]:
        assert len(head) == self.engine_header_size
        return (2 if self.trt.invalid else 0), self.trt.invalid

    def deserialize_cuda_engine(self, plan: Any) -> Any:
        engine = super().deserialize_cuda_engine(plan)
        if engine is not None:
            engine.__class__ = RtxEngine
        return engine


class RtxEngine(fake_runtime.Engine):
    def create_runtime_config(self) -> RuntimeConfig:
        return RuntimeConfig(self.trt)

    def create_execution_context(self, *, runtime_config: RuntimeConfig | None = None) -> Any:
        context = super().create_execution_context()
        if context is not None:
            context.__class__ = RtxContext
            context.config = runtime_config
        return context


class RtxContext(fake_runtime.Context):
    config: RuntimeConfig | None

    def is_stream_capturable(self, handle: int) -> bool:
        return self.trt.capturable

    def execute_async_v3(self, handle: int) -> bool:
        self._compile()
        return super().execute_async_v3(handle)

    def _compile(self) -> None:
        network = hashlib.sha256(self.engine.model.SerializeToString()).hexdigest()[:8]
        config = self.config or RuntimeConfig(self.trt)
        eager = config.dynamic_shapes_kernel_specialization_strategy == Strategy.EAGER
        shapes = ",".join("x".join(map(str, shape)) for shape in self.shapes.values()) if eager else "any"
        kernel = f"{network}@{shapes}"
        known = self.__dict__.setdefault("known", set()) if config.cache is None else config.cache.kernels
        if kernel not in known:
            self.trt.compiled.append(kernel)
            known.add(kernel)
