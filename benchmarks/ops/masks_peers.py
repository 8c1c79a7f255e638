"""How others bring masks and label maps to the image's size: torch, cv2, pycocotools."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import cv2
import numpy as np
import torch
import torch.nn.functional as functional

from edgevision.geometry import Placement

__all__ = [
    "argmax_cv2",
    "argmax_numpy",
    "argmax_torch",
    "instances_cv2",
    "instances_cv2_warp",
    "instances_torch",
    "sam_cv2",
    "sam_torch",
]


def _strip(placement: Placement, map_hw: tuple[int, ...]) -> tuple[slice, slice]:
    """Rows and columns that the image fills in a map covering the model's input."""
    scale = map_hw[0] // placement.canvas_hw[0] or 1 / (placement.canvas_hw[0] // map_hw[0])
    edges = [
        (int(start * scale), int((start + side) * scale))
        for start, side in zip(placement.offset_yx, placement.resized_hw, strict=True)
    ]
    return slice(*edges[0]), slice(*edges[1])


def instances_torch(
    coefficients: np.ndarray, prototypes: np.ndarray, boxes: np.ndarray, placement: Placement
) -> Callable[[], np.ndarray]:
    """All masks over the whole image: weighted sums, the pad cut off, bilinear, cropped, above 0: bool (N, H, W)."""
    weights, maps, corners = (torch.from_numpy(array) for array in (coefficients, prototypes, boxes))
    rows, columns = _strip(placement, prototypes.shape[1:])
    height, width = placement.image_hw
    x, y = torch.arange(width, dtype=torch.float32), torch.arange(height, dtype=torch.float32)[:, None]

    def call() -> np.ndarray:
        logits = (weights @ maps.flatten(1)).view(-1, *maps.shape[1:])[:, rows, columns]
        full = functional.interpolate(logits[None], (height, width), mode="bilinear")[0]
        x1, y1, x2, y2 = corners.T[:, :, None, None]
        full *= (x >= x1) * (x < x2) * (y >= y1) * (y < y2)
        return full.gt_(0.0).bool().numpy()

    return call


def _windows(boxes: np.ndarray, placement: Placement) -> list[list[int]]:
    """The pixels x1 <= x < x2, y1 <= y < y2 of each box, as whole numbers inside the image."""
    height, width = placement.image_hw
    return np.clip(np.ceil(boxes).astype(int), 0, (width, height, width, height)).tolist()


Crops = list[tuple[list[int], np.ndarray]]


def instances_cv2(
    coefficients: np.ndarray, prototypes: np.ndarray, boxes: np.ndarray, placement: Placement
) -> Callable[[], Crops]:
    """NumPy's weighted sums, cv2.resize of each to the whole image, of which the box is kept."""
    rows, columns = _strip(placement, prototypes.shape[1:])
    maps = np.ascontiguousarray(prototypes[:, rows, columns])
    size = placement.image_hw[::-1]

    def call() -> Crops:
        logits = (coefficients @ maps.reshape(len(maps), -1)).reshape(-1, *maps.shape[1:])
        found, full = [], None
        for one, window in zip(logits, _windows(boxes, placement), strict=True):
            full = cv2.resize(one, size, full, interpolation=cv2.INTER_LINEAR)
            x1, y1, x2, y2 = window
            found.append((window, full[y1:y2, x1:x2] > 0))
        return found

    return call


def instances_cv2_warp(
    coefficients: np.ndarray, prototypes: np.ndarray, boxes: np.ndarray, placement: Placement
) -> Callable[[], Crops]:
    """The same, but each enlarged within its box alone, by cv2.warpAffine."""
    rows, columns = _strip(placement, prototypes.shape[1:])
    maps = np.ascontiguousarray(prototypes[:, rows, columns])
    scale_y, scale_x = (a / b for a, b in zip(maps.shape[1:], placement.image_hw, strict=True))
    flags = cv2.INTER_LINEAR | cv2.WARP_INVERSE_MAP

    def call() -> Crops:
        logits = (coefficients @ maps.reshape(len(maps), -1)).reshape(-1, *maps.shape[1:])
        found = []
        for one, window in zip(logits, _windows(boxes, placement), strict=True):
            x1, y1, x2, y2 = window
            shift_x, shift_y = (x1 + 0.5) * scale_x - 0.5, (y1 + 0.5) * scale_y - 0.5
            matrix = np.array([[scale_x, 0, shift_x], [0, scale_y, shift_y]])
            size = (x2 - x1, y2 - y1)
            crop = cv2.warpAffine(one, matrix, size, flags=flags, borderMode=cv2.BORDER_REPLICATE)
            found.append((window, crop > 0))
        return found

    return call


def argmax_torch(logits: np.ndarray, image_hw: tuple[int, int]) -> Callable[[], np.ndarray]:
    """torch's bilinear interpolation of all classes, then argmax: int64 (H, W)."""
    tensor = torch.from_numpy(logits)[None]
    return lambda: functional.interpolate(tensor, image_hw, mode="bilinear").argmax(1)[0].numpy()


def argmax_numpy(logits: np.ndarray, image_hw: tuple[int, int]) -> Callable[[], np.ndarray]:
    """cv2.resize of all classes at once, side by side in memory, then np.argmax."""

    def call() -> np.ndarray:
        pixels = np.ascontiguousarray(logits.transpose(1, 2, 0))
        return cv2.resize(pixels, image_hw[::-1], interpolation=cv2.INTER_LINEAR).argmax(axis=2)

    return call


def argmax_cv2(logits: np.ndarray, image_hw: tuple[int, int]) -> Callable[[], np.ndarray]:
    """cv2.resize class by class, and a running maximum: uint8 (H, W), buffers reused."""
    size = image_hw[::-1]
    best, one = np.empty(image_hw, np.float32), np.empty(image_hw, np.float32)

    def call() -> np.ndarray:
        labels = np.zeros(image_hw, np.uint8)
        cv2.resize(logits[0], size, best, interpolation=cv2.INTER_LINEAR)
        for class_id in range(1, len(logits)):
            cv2.resize(logits[class_id], size, one, interpolation=cv2.INTER_LINEAR)
            greater = cv2.compare(one, best, cv2.CMP_GT)
            labels = cv2.copyTo(np.full_like(labels, class_id), greater, labels)
            cv2.max(one, best, best)
        return labels

    return call


def sam_torch(
    logits: np.ndarray, canvas_hw: tuple[int, int], placement: Placement
) -> Callable[[], np.ndarray]:
    """To the model's input, the pad cut off, to the image, above 0: bool (K, H, W)."""
    tensor = torch.from_numpy(logits)[None]
    height, width = placement.resized_hw

    def call() -> np.ndarray:
        canvas = functional.interpolate(tensor, canvas_hw, mode="bilinear")[..., :height, :width]
        full: Any = functional.interpolate(canvas, placement.image_hw, mode="bilinear")[0]
        return (full > 0).numpy()

    return call


def sam_cv2(logits: np.ndarray, canvas_hw: tuple[int, int], placement: Placement) -> Callable[[], np.ndarray]:
    """The same with cv2.resize, a mask at a time."""
    height, width = placement.resized_hw

    def call() -> np.ndarray:
        masks = np.empty((len(logits), *placement.image_hw), np.bool_)
        canvas: Any = None
        full: Any = None
        for one, mask in zip(logits, masks, strict=True):
            canvas = cv2.resize(one, canvas_hw[::-1], canvas, interpolation=cv2.INTER_LINEAR)
            part = canvas[:height, :width]
            full = cv2.resize(part, placement.image_hw[::-1], full, interpolation=cv2.INTER_LINEAR)
            np.greater(full, 0, out=mask)
        return masks

    return call
