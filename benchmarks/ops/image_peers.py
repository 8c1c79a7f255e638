"""How others turn a camera image into a network's input."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import cv2
import numpy as np
import torch
from PIL import Image
from torchvision.transforms import v2
from torchvision.transforms.v2 import functional as tv

from edgevision.geometry import Placement

__all__ = [
    "IMAGENET_MEAN",
    "IMAGENET_STD",
    "as_half",
    "blob_with_params",
    "cv2_blob",
    "cv2_letterbox",
    "cv2_split",
    "numpy_tensor",
    "pillow_crop",
    "pillow_letterbox",
    "sam_torchvision",
    "torchvision_crop",
    "torchvision_letterbox",
    "torchvision_pil_crop",
]

IMAGENET_MEAN, IMAGENET_STD = (0.485, 0.456, 0.406), (0.229, 0.224, 0.225)

Pixels = Callable[[], np.ndarray]


def _pad(placement: Placement) -> tuple[int, int, int, int]:
    """Top, bottom, left and right of the resized image."""
    (top, left), (height, width) = placement.offset_yx, placement.resized_hw
    return top, placement.canvas_hw[0] - height - top, left, placement.canvas_hw[1] - width - left


def cv2_letterbox(
    image: np.ndarray | Pixels, placement: Placement, convert: int | None = None
) -> Callable[[], np.ndarray]:
    """cv2.resize, cv2.cvtColor by the code `convert`, cv2.copyMakeBorder: uint8 pixels, buffers reused."""
    top, bottom, left, right = _pad(placement)
    height, width = placement.resized_hw
    resized: Any = None
    canvas: Any = None

    def call() -> np.ndarray:
        nonlocal resized, canvas
        pixels = image() if callable(image) else image
        if pixels.shape[:2] != (height, width):
            pixels = resized = cv2.resize(pixels, (width, height), resized, interpolation=cv2.INTER_LINEAR)
        if convert is not None:
            pixels = cv2.cvtColor(pixels, convert)
        if top or bottom or left or right:
            border = (top, bottom, left, right, cv2.BORDER_CONSTANT)
            pixels = canvas = cv2.copyMakeBorder(pixels, *border, canvas, (114, 114, 114))
        return pixels

    return call


def cv2_blob(pixels: Pixels, swap: bool = True) -> Callable[[], np.ndarray]:
    """cv2.dnn.blobFromImage over 255: float32 (C, H, W)."""
    return lambda: cv2.dnn.blobFromImage(pixels(), 1 / 255, swapRB=swap)[0]


def cv2_split(pixels: Pixels, out: np.ndarray) -> Callable[[], np.ndarray]:
    """cv2.split into planes, in reverse, which NumPy divides by 255: all into buffers that are there."""
    planes = np.empty(out.shape, np.uint8)
    factor = np.float32(1 / 255)

    def call() -> np.ndarray:
        cv2.split(pixels(), [planes[2], planes[1], planes[0]])
        return np.multiply(planes, factor, out=out)

    return call


def blob_with_params(image: np.ndarray, placement: Placement) -> Callable[[], np.ndarray]:
    """cv2.dnn.blobFromImageWithParams, which letterboxes, too: float32 (3, H, W) RGB."""
    params = cv2.dnn.Image2BlobParams()
    params.size, params.swapRB = placement.canvas_hw[::-1], True
    params.scalefactor, params.borderValue = (1 / 255,) * 4, (114.0,) * 4
    params.paddingmode = cv2.dnn.DNN_PMODE_LETTERBOX
    return lambda: cv2.dnn.blobFromImageWithParams(image, params)[0]


def numpy_tensor(
    pixels: Pixels, dtype: Any = np.float32, *, reverse: bool = True, nhwc: bool = False
) -> Callable[[], np.ndarray]:
    """Reordered, made contiguous, converted and divided by 255 with NumPy; uint8 is left as it is."""

    def call() -> np.ndarray:
        values = pixels()
        if values.ndim == 2:
            values = values[None]
        else:
            values = values[..., ::-1] if reverse else values
            values = values if nhwc else values.transpose(2, 0, 1)
        tensor = np.ascontiguousarray(values)
        if dtype == np.uint8:
            return tensor
        scaled = tensor.astype(np.float32)
        scaled /= 255
        return scaled.astype(dtype, copy=False)

    return call


def as_half(tensor: Pixels) -> Callable[[], np.ndarray]:
    """Converted to float16 with torch, which has the processor's instructions for it."""
    return lambda: torch.from_numpy(tensor()).half().numpy()


def torchvision_letterbox(
    image: np.ndarray, placement: Placement, dtype: torch.dtype = torch.float32
) -> Callable[[], np.ndarray]:
    """torchvision.transforms.v2 on a tensor: resize without antialias, pad, RGB, 0-1."""
    top, bottom, left, right = _pad(placement)
    frame = torch.from_numpy(image.copy())

    def call() -> np.ndarray:
        pixels = tv.resize(frame.permute(2, 0, 1), list(placement.resized_hw), antialias=False)
        pixels = tv.pad(pixels, [left, top, right, bottom], fill=[114.0]).flip(0)
        return tv.to_dtype(pixels, dtype, scale=True).numpy()

    return call


def pillow_letterbox(image: np.ndarray, placement: Placement) -> Callable[[], np.ndarray]:
    """Pillow's resize (always antialiased) and paste, then NumPy."""
    (top, left), size = placement.offset_yx, placement.resized_hw[::-1]

    def call() -> np.ndarray:
        canvas = Image.new("RGB", placement.canvas_hw[::-1], (114, 114, 114))
        canvas.paste(Image.fromarray(image).resize(size, Image.Resampling.BILINEAR), (left, top))
        return np.ascontiguousarray(np.asarray(canvas)[..., ::-1].transpose(2, 0, 1)) / np.float32(255)

    return call


def _crop(placement: Placement) -> tuple[int, int, int, int]:
    """Left, top, right and bottom of the canvas in the resized image."""
    top, left = -placement.offset_yx[0], -placement.offset_yx[1]
    return left, top, left + placement.canvas_hw[1], top + placement.canvas_hw[0]


def pillow_crop(
    image: np.ndarray, placement: Placement, filter: int = Image.Resampling.BILINEAR
) -> Callable[[], np.ndarray]:
    """Pillow's resize and crop, then NumPy: float32 (3, H, W) RGB, ImageNet's mean and std."""
    mean, std = np.array(IMAGENET_MEAN, np.float32), np.array(IMAGENET_STD, np.float32)

    def call() -> np.ndarray:
        resized = Image.fromarray(image).resize(placement.resized_hw[::-1], filter).crop(_crop(placement))
        values = np.asarray(resized)[..., ::-1] / np.float32(255)
        return np.ascontiguousarray(((values - mean) / std).transpose(2, 0, 1))

    return call


def _normalized(pixels: torch.Tensor) -> np.ndarray:
    values = tv.to_dtype(pixels.flip(0), torch.float32, scale=True)
    return tv.normalize(values, list(IMAGENET_MEAN), list(IMAGENET_STD), inplace=True).numpy()


def torchvision_crop(
    image: np.ndarray, placement: Placement, filter: str = "bilinear"
) -> Callable[[], np.ndarray]:
    """torchvision.transforms.v2 on a tensor: antialiased resize, centre crop, RGB, 0-1, normalise."""
    frame, size, crop = torch.from_numpy(image.copy()), list(placement.resized_hw), list(placement.canvas_hw)
    mode = v2.InterpolationMode(filter)

    def call() -> np.ndarray:
        resized = tv.resize(frame.permute(2, 0, 1), size, interpolation=mode, antialias=True)
        return _normalized(tv.center_crop(resized, crop))

    return call


def torchvision_pil_crop(
    image: np.ndarray, placement: Placement, filter: str = "bilinear"
) -> Callable[[], np.ndarray]:
    """torchvision.transforms.v2 on a Pillow image, to the same tensor."""
    size, crop, mode = list(placement.resized_hw), list(placement.canvas_hw), v2.InterpolationMode(filter)

    def call() -> np.ndarray:
        resized = tv.resize(Image.fromarray(image), size, interpolation=mode, antialias=True)
        return _normalized(tv.pil_to_tensor(tv.center_crop(resized, crop)))

    return call


def sam_torchvision(image: np.ndarray, placement: Placement) -> Callable[[], np.ndarray]:
    """Segment Anything's input: antialiased resize, RGB, ImageNet's mean and std, then zeros right and below."""
    frame, size = torch.from_numpy(image.copy()), list(placement.resized_hw)
    _, bottom, _, right = _pad(placement)

    def call() -> np.ndarray:
        values = tv.to_dtype(tv.resize(frame.permute(2, 0, 1), size, antialias=True).flip(0), scale=True)
        tv.normalize(values, list(IMAGENET_MEAN), list(IMAGENET_STD), inplace=True)
        return torch.nn.functional.pad(values, (0, right, 0, bottom)).numpy()

    return call
