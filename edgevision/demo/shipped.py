"""Where the demo's models lie."""

from __future__ import annotations

from importlib.resources import as_file, files
from pathlib import Path

from edgevision.errors import InputError

__all__ = ["DEMO_MODELS", "demo_model_path"]

DEMO_MODELS: dict[str, str] = {
    "yolo": "conveyor_yolo.onnx",
    "instances": "conveyor_instances.onnx",
    "unet": "conveyor_unet.onnx",
    "resnet": "conveyor_resnet.onnx",
    "vit": "conveyor_vit.onnx",
    "promptable": "conveyor_promptable",
}
"""File or bundle by name: boxes; boxes, masks and landmarks; a label map; a part's class (resnet, vit); the part under
a point."""


def demo_model_path(name: str = "yolo") -> Path:
    """A shipped model: an ONNX file with its spec inside, or a bundle. Raises InputError for an unknown name."""
    if name not in DEMO_MODELS:
        raise InputError(f"the demo has no model {name!r}; its models: {', '.join(DEMO_MODELS)}")
    with as_file(files("edgevision.demo") / "models") as folder:
        return folder / DEMO_MODELS[name]
