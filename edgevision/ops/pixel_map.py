"""How a pixel value becomes a tensor's element: the options of the image kernels, checked once, and their tables."""

from __future__ import annotations

from collections.abc import Collection, Sequence
from dataclasses import dataclass
from functools import lru_cache
from typing import Any

import numpy as np
from numpy.typing import NDArray

from edgevision.errors import InputError
from edgevision.ops.reference import image as reference

__all__ = ["COLORS", "DTYPES", "FILTERS", "LAYOUTS", "PixelMap", "pixel_table"]

FILTERS = {
    "nearest": reference.NEAREST,
    "linear": reference.LINEAR,
    "bilinear_antialias": reference.BILINEAR_ANTIALIAS,
    "bicubic_antialias": reference.BICUBIC_ANTIALIAS,
}
COLORS = ("rgb", "bgr", "gray")
LAYOUTS = ("nchw", "nhwc")
DTYPES = ("float32", "float16", "uint8")


@dataclass(frozen=True)
class PixelMap:
    """What the pixels of a resized image become. Make it once: checking it costs more than a call.

    color: "rgb", "bgr" or "gray", the order of the tensor's channels. "gray" takes OpenCV's BGR2GRAY luma of the
        image before it is resized.
    filter: "nearest" and "linear" give cv2.resize's pixels (INTER_NEAREST, INTER_LINEAR), "bilinear_antialias"
        and "bicubic_antialias" those of Pillow's Image.resize (BILINEAR, BICUBIC), bit for bit, the width resized
        before the height (Pillow 13 turns that round when it shrinks images much taller than wide).
    pad_value, mean, std: one number a channel, in the order of `color`; for "gray" only the first counts.
        A pixel p (0-255), and so the pad value, becomes (p * scale - mean) / std in float32, rounded after each
        operation as PyTorch does; a scale of 1/255 divides by 255. A float16 tensor gets that float32 value
        rounded once more; a uint8 tensor needs scale 1, mean 0, std 1 and whole pad values.
    layout: "nchw" or "nhwc".
    Raises InputError for an unknown name or a number that cannot be used.
    """

    color: str = "rgb"
    filter: str = "linear"
    pad_value: Sequence[float] = (114.0, 114.0, 114.0)
    scale: float = 1 / 255
    mean: Sequence[float] = (0.0, 0.0, 0.0)
    std: Sequence[float] = (1.0, 1.0, 1.0)
    layout: str = "nchw"

    def __post_init__(self) -> None:
        _check_name("color", self.color, COLORS)
        _check_name("filter", self.filter, FILTERS)
        _check_name("layout", self.layout, LAYOUTS)
        for name in ("pad_value", "mean", "std"):
            # Tuples of floats, so that equal maps hash alike and share their tables.
            object.__setattr__(self, name, _as_floats(name, getattr(self, name), self.channels))
        object.__setattr__(self, "scale", _as_floats("scale", (self.scale,), 1)[0])
        if self.scale <= 0 or min(self.std) <= 0:
            raise InputError(f"scale and std must be above 0, got scale {self.scale} and std {self.std}")

    @property
    def channels(self) -> int:
        """Channels of the tensor: 1 for "gray", else 3."""
        return 1 if self.color == "gray" else 3


def _check_name(what: str, got: str, accepted: Collection[str]) -> None:
    if got not in accepted:
        raise InputError(f"unknown {what} {got!r}; accepted: {', '.join(accepted)}")


def _as_floats(name: str, numbers: Sequence[float], channels: int) -> tuple[float, ...]:
    try:
        floats = tuple(float(number) for number in numbers)
    except (TypeError, ValueError):
        floats = ()
    if len(floats) not in (channels, 3) or not all(map(np.isfinite, floats)):
        count = "a finite number" if name == "scale" else f"{channels} finite number(s), one a channel"
        raise InputError(f"{name} must be {count}, got {numbers!r}")
    return floats


@lru_cache(maxsize=256)
def pixel_table(pixels: PixelMap, dtype: str) -> tuple[NDArray[Any], NDArray[Any]]:
    """The elements of `dtype` that pixel values become (C, 256), and those of the pad (C,). Read-only: they are shared.

    Raises InputError where `dtype` cannot hold them.
    """
    _check_name("dtype of out", dtype, DTYPES)
    if dtype == "uint8":
        _check_uint8(pixels)
    values = np.empty((pixels.channels, 257), np.float32)
    values[:, :256] = np.arange(256)
    # A pad value beyond float32 becomes infinite here and is refused below.
    with np.errstate(over="ignore"):
        values[:, 256] = pixels.pad_value[: pixels.channels]
        elements: NDArray[Any] = _normalize(values, pixels).astype(dtype)
    if not np.all(np.isfinite(elements)):
        raise InputError(
            f"scale {pixels.scale}, mean {pixels.mean}, std {pixels.std} take a pixel value or the pad value "
            f"{pixels.pad_value} beyond the range of {dtype}; use other numbers or a wider dtype"
        )
    table, pad = elements[:, :256].copy(), elements[:, 256].copy()
    table.flags.writeable = pad.flags.writeable = False
    return table, pad


def _check_uint8(pixels: PixelMap) -> None:
    identity = pixels.scale == 1 and not any(pixels.mean) and all(s == 1 for s in pixels.std)
    if not identity or not all(0 <= p <= 255 and p == int(p) for p in pixels.pad_value):
        raise InputError(
            f"a uint8 tensor holds pixels as they are: it needs scale 1, mean 0, std 1 and whole pad values from 0 "
            f"to 255, got scale {pixels.scale}, mean {pixels.mean}, std {pixels.std}, pad_value "
            f"{pixels.pad_value}; use a float32 tensor to normalise"
        )


def _normalize(values: NDArray[np.float32], pixels: PixelMap) -> NDArray[np.float32]:
    """(values * scale - mean) / std, (channels, n), each operation rounded to float32."""
    # A scale written as 1/255 or 1/127.5 is a division in the training code, and p / 255 is not p * float32(1/255):
    # 126 of the 256 pixel values differ in the last bit.
    divisor = round(2 / pixels.scale) / 2 if pixels.scale > 1e-30 else 0.0
    if divisor > 0 and 1 / divisor == pixels.scale:
        scaled = values / np.float32(divisor)
    else:
        scaled = values * np.float32(pixels.scale)
    mean = np.array(pixels.mean[: pixels.channels], np.float32)[:, None]
    std = np.array(pixels.std[: pixels.channels], np.float32)[:, None]
    return (scaled - mean) / std
