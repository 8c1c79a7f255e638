"""Optimised edge-deployment runtime for vision models.

    import edgevision as ev
    model = ev.load("model.onnx")
    result = model(frame)            # frame: uint8 (H, W, 3) BGR

Names are imported when they are first used: importing this package loads no runtime, no OpenCV and no torch.
"""

from __future__ import annotations

from importlib import import_module
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from edgevision.errors import (
        BackendError,
        EdgeVisionError,
        InputError,
        MissingDependencyError,
        ModelFileError,
        SpecError,
    )
    from edgevision.imageio import read_image, write_image
    from edgevision.loading import load
    from edgevision.model import Model
    from edgevision.ops.threads import get_num_threads, set_num_threads
    from edgevision.overlay import draw
    from edgevision.promptable import PromptableModel
    from edgevision.results import (
        Classification,
        Detection,
        Detections,
        Embedding,
        Masks,
        OrientedDetections,
        PromptMasks,
        Segmentation,
    )
    from edgevision.spec import Decoder, ImageInput, ModelSpec, Source, Thresholds
    from edgevision.submission import Submission
    from edgevision.timings import Timings

__version__ = "0.1.0"

_HOME = {
    "BackendError": "errors",
    "Classification": "results",
    "Decoder": "spec",
    "Detection": "results",
    "Detections": "results",
    "EdgeVisionError": "errors",
    "Embedding": "results",
    "ImageInput": "spec",
    "InputError": "errors",
    "Masks": "results",
    "MissingDependencyError": "errors",
    "Model": "model",
    "ModelFileError": "errors",
    "ModelSpec": "spec",
    "OrientedDetections": "results",
    "PromptMasks": "results",
    "PromptableModel": "promptable",
    "Segmentation": "results",
    "Source": "spec",
    "SpecError": "errors",
    "Submission": "submission",
    "Thresholds": "spec",
    "Timings": "timings",
    "draw": "overlay",
    "get_num_threads": "ops.threads",
    "load": "loading",
    "read_image": "imageio",
    "set_num_threads": "ops.threads",
    "write_image": "imageio",
}

__all__ = [
    "BackendError",
    "Classification",
    "Decoder",
    "Detection",
    "Detections",
    "EdgeVisionError",
    "Embedding",
    "ImageInput",
    "InputError",
    "Masks",
    "MissingDependencyError",
    "Model",
    "ModelFileError",
    "ModelSpec",
    "OrientedDetections",
    "PromptMasks",
    "PromptableModel",
    "Segmentation",
    "Source",
    "SpecError",
    "Submission",
    "Thresholds",
    "Timings",
    "__version__",
    "draw",
    "get_num_threads",
    "load",
    "read_image",
    "set_num_threads",
    "write_image",
]


def __getattr__(name: str) -> Any:
    home = _HOME.get(name)
    if home is None:
        raise AttributeError(f"module 'edgevision' has no attribute {name!r}")
    value = getattr(import_module(f"edgevision.{home}"), name)
    globals()[name] = value
    return value


def __dir__() -> list[str]:
    return sorted(__all__)
