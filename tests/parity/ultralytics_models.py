"""Untrained Ultralytics models whose outputs are worth comparing, exported, and the photographs they are given."""

from __future__ import annotations

import os
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest

os.environ.setdefault("YOLO_AUTOINSTALL", "0")
os.environ.setdefault("YOLO_OFFLINE", "1")
torch = pytest.importorskip("torch", reason="torch is not installed")
ultralytics = pytest.importorskip("ultralytics", reason="ultralytics is not installed")
pytest.importorskip("onnxruntime", reason="onnxruntime is not installed")
skimage_data = pytest.importorskip("skimage.data", reason="scikit-image is not installed")
sklearn_datasets = pytest.importorskip("sklearn.datasets", reason="scikit-learn is not installed")

SIDE = 320
"""Side of the networks' input, and of the pictures whose statistics the batch norms take."""

__all__ = [
    "SIDE",
    "build_model",
    "busy_photographs",
    "export_model",
    "open_predictor",
    "photographs",
    "randomise",
]


def photographs() -> dict[str, np.ndarray]:
    """Real pictures, uint8 (H, W, 3) BGR: square, wide, tall, small, and sizes that no stride divides."""
    china, flower = sklearn_datasets.load_sample_images().images
    rgb = {
        "astronaut": skimage_data.astronaut(),
        "coffee": skimage_data.coffee(),
        "cat": skimage_data.chelsea(),
        "rocket": skimage_data.rocket(),
        "china": china,
        "flower tall": np.rot90(flower)[:601],
        "cat small": skimage_data.chelsea()[40:250, 90:331],
    }
    return {name: np.ascontiguousarray(image[:, :, ::-1]) for name, image in rgb.items()}


def busy_photographs() -> dict[str, np.ndarray]:
    """Those full of detail, which untrained networks answer to, and a small one among them."""
    chosen = photographs()
    busy = {name: chosen[name] for name in ("astronaut", "coffee", "china", "flower tall")}
    return busy | {"china small": np.ascontiguousarray(chosen["china"][100:310, 200:441])}


def randomise(network: torch.nn.Module, seed: int) -> None:
    """Weights that let signals through: an untrained network's outputs vanish, and equal zeros prove nothing."""
    generator = torch.Generator().manual_seed(seed)
    for module in network.modules():
        if isinstance(module, torch.nn.BatchNorm2d):
            count = module.num_features
            module.running_mean.copy_(torch.randn(count, generator=generator) * 0.1)
            module.running_var.copy_(torch.rand(count, generator=generator) * 0.5 + 0.6)
            module.weight.data.copy_(torch.rand(count, generator=generator) * 0.6 + 0.9)
            module.bias.data.copy_(torch.randn(count, generator=generator) * 0.2)
    head = list(network.model)[-1]
    for parameter in head.parameters():
        if parameter.ndim == 2 and not parameter.any():
            # RT-DETR's box layers begin as zeros: every box would lie on its anchor.
            parameter.data.copy_(torch.randn(parameter.shape, generator=generator) * 0.02)
        # The last layer of each class branch: spread the scores around a few per mille.
        if parameter.ndim == 1 and parameter.numel() == getattr(head, "nc", -1):
            parameter.data.copy_(torch.randn(parameter.numel(), generator=generator) - 5.5)


def randomise_extras(network: torch.nn.Module, seed: int) -> None:
    """As `randomise`, but so that masks, keypoints and angles differ from object to object as trained ones do.

    Batch norms take the statistics of photographs: every layer then answers to what is in the picture, where with
    random ones the deep layers are all but constant.
    """
    randomise(network, seed)
    generator = torch.Generator().manual_seed(seed + 1)
    norms = [module for module in network.modules() if isinstance(module, torch.nn.BatchNorm2d)]
    momenta = [norm.momentum for norm in norms]
    for norm in norms:
        norm.reset_running_stats()
        norm.momentum = None  # the average over all batches
        norm.train()
    batch = torch.cat([_letterbox(image, SIDE) for image in busy_photographs().values()])
    with torch.no_grad():
        network(batch)
    for norm, momentum in zip(norms, momenta, strict=True):
        norm.momentum = momentum
        norm.eval()
    head = list(network.model)[-1]
    for name, module in head.named_modules():
        branch = name.split(".")[0].removeprefix("one2one_")
        if isinstance(module, torch.nn.Conv2d) and module.bias is not None and branch in _SPREAD:
            module.weight.data.mul_(_SPREAD[branch])
            if branch.startswith("cv4"):
                module.bias.data.copy_(torch.randn(module.bias.shape, generator=generator) * 0.2)


_SPREAD = {"cv2": 2.0, "cv3": 0.5, "cv4": 3.0, "cv4_kpts": 3.0}
"""Branch of the head (boxes, classes, the rest) -> what its last layer is multiplied by.

Boxes, masks, keypoints and angles vary more so; scores are spread but not saturated.
"""


def _letterbox(image: np.ndarray, side: int) -> torch.Tensor:
    """About what a predictor feeds its network: (1, 3, side, side), the picture between grey bars."""
    tensor = torch.from_numpy(image[:, :, ::-1].transpose(2, 0, 1).astype(np.float32))[None] / 255
    canvas = torch.full((1, 3, side, side), 114 / 255)
    ratio = side / max(image.shape[:2])
    height, width = (round(length * ratio) for length in image.shape[:2])
    top, left = (side - height) // 2, (side - width) // 2
    canvas[:, :, top : top + height, left : left + width] = torch.nn.functional.interpolate(
        tensor, (height, width), mode="bilinear"
    )
    return canvas


def build_model(architecture: str, seed: int, *, extras: bool = False) -> Any:
    """An Ultralytics model of this architecture with random weights."""
    torch.manual_seed(seed)
    kind = ultralytics.RTDETR if "rtdetr" in architecture else ultralytics.YOLO
    model = kind(architecture)
    (randomise_extras if extras else randomise)(model.model, seed)
    return model


def export_model(model: Any, folder: Path, **arguments: Any) -> Path:
    """Ultralytics' own ONNX export of a model, written into `folder`."""
    previous = Path.cwd()
    os.chdir(folder)
    try:
        return Path(model.export(format="onnx", simplify=False, **arguments)).resolve()
    finally:
        os.chdir(previous)


def open_predictor(path: Path, task: str, **options: Any) -> Callable[..., Any]:
    """Ultralytics' own predictor of an ONNX file: (image, confidence) -> its Results."""
    model = ultralytics.RTDETR(path) if task == "rtdetr" else ultralytics.YOLO(path, task=task)

    def predict(image: np.ndarray, confidence: float = 0.001) -> Any:
        return model.predict(
            image, conf=confidence, iou=0.7, device="cpu", verbose=False, save=False, **options
        )[0]

    return predict
