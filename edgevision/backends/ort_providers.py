"""ONNX Runtime's execution providers for NVIDIA GPUs."""

from __future__ import annotations

from types import ModuleType

__all__ = ["GPU_PROVIDERS", "gpu_providers"]

GPU_PROVIDERS = {
    "cuda": "CUDAExecutionProvider",
    "tensorrt": "TensorrtExecutionProvider",
    "tensorrt-rtx": "NvTensorRTRTXExecutionProvider",
}
"""How options call them -> how ONNX Runtime does."""


def gpu_providers(library: ModuleType) -> tuple[str, ...]:
    """Those that this build of ONNX Runtime has, as options call them; whether a GPU is there they do not tell."""
    there = library.get_available_providers()
    return tuple(name for name, provider in GPU_PROVIDERS.items() if provider in there)
