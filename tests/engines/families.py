"""A small network of every family, with random weights, as its script reads it."""

from __future__ import annotations

import dataclasses
from collections.abc import Callable
from functools import partial
from pathlib import Path

import pytest

torch = pytest.importorskip("torch", reason="torch is not installed")
pytest.importorskip("onnx", reason="onnx is not installed")
pytest.importorskip("onnxscript", reason="onnxscript is not installed")

from edgevision.export.network import Network  # noqa: E402

__all__ = ["FAMILIES"]


def resnet(folder: Path) -> Network:
    pytest.importorskip("torchvision", reason="torchvision is not installed")
    from edgevision.export.resnet import read_resnet

    return read_resnet(
        "resnet18", library="torchvision", random=True, classes=10, size_hw=(64, 64), dynamic_batch=True
    )


def vit(folder: Path) -> Network:
    pytest.importorskip("timm", reason="timm is not installed")
    from edgevision.export.vit import read_vit

    return read_vit("test_vit", library="timm", random=True, classes=10, dynamic_batch=True)


def yolo11n(folder: Path) -> Network:
    pytest.importorskip("ultralytics", reason="ultralytics is not installed")
    from edgevision.export.yolo_reader import read_yolo

    return read_yolo("yolo11n", random=True, size_hw=(64, 64))


def tiny_yolo(kind: str, folder: Path) -> Network:
    pytest.importorskip("ultralytics", reason="ultralytics is not installed")
    from tiny_yolos import write_tiny_yolo

    from edgevision.export.yolo_reader import read_yolo

    return read_yolo(write_tiny_yolo(folder, kind), random=True, size_hw=(96, 64), dynamic_batch=True)


def unet(folder: Path) -> Network:
    pytest.importorskip("segmentation_models_pytorch", reason="segmentation_models_pytorch is not installed")
    from edgevision.export.unet import read_unet

    return read_unet(
        "Unet",
        encoder="resnet18",
        build={"encoder_depth": 3, "decoder_channels": (16, 8, 8)},
        random=True,
        classes=3,
        size_hw=(64, 96),
        resize="letterbox",
        dynamic_batch=True,
        dynamic_size=True,
    )


def random_weights(network: Network) -> Network:
    """The network, its spec saying of its weights what the file that they came from could not."""
    source = dataclasses.replace(network.spec.source, random_weights=True)
    return dataclasses.replace(network, spec=dataclasses.replace(network.spec, source=source))


def sam(folder: Path) -> Network:
    pytest.importorskip("segment_anything", reason="segment_anything is not installed")
    from tiny_sams import segment_anything_sam

    from edgevision.export.sam import read_sam

    torch.save(segment_anything_sam().state_dict(), folder / "sam.pth")
    return random_weights(read_sam(folder / "sam.pth"))


FAMILIES: dict[str, Callable[[Path], Network]] = {
    "resnet": resnet,
    "vit": vit,
    "yolo11n": yolo11n,
    **{f"yolo {kind}": partial(tiny_yolo, kind) for kind in ("segment", "obb", "detect26")},
    "unet": unet,
    "sam": sam,
}
"""Told a folder for files of its own, each gives its network."""
