"""Masks as COCO's run lengths: encode, decode, and its compressed string.

Counts are the lengths of runs of equal pixels down the columns, from the left column on, beginning with a run of
zeros (0 long where the first pixel is 1). A mask of an image costs its outline, not its area, and needs no
library to read. The numbers and the bytes are those of pycocotools.
"""

from __future__ import annotations

from collections.abc import Sequence
from types import ModuleType
from typing import Any

import numpy as np
from numpy.typing import NDArray

from edgevision.errors import InputError
from edgevision.ops._checks import as_contiguous, describe
from edgevision.ops._dispatch import native
from edgevision.ops.reference import masks_rle as reference

__all__ = ["decode_rle", "encode_rle", "rle_area", "rle_from_bytes", "rle_to_bytes"]

_kernels: ModuleType = reference if native is None else native
_MAX_PIXELS = 0xFFFFFFFF  # a count is 32 bits


def encode_rle(
    mask: NDArray[Any],
    window: Sequence[int] | NDArray[Any] | None = None,
    image_hw: Sequence[int] | None = None,
) -> NDArray[np.uint32]:
    """Run lengths of a mask, uint32 (R,), summing to the image's pixels.

    mask: bool or uint8, not 0 inside; of the whole image, or of the `window` (x1, y1, x2, y2) in pixels of an
        image of `image_hw` that is 0 elsewhere. The image is never made. Copied first when rows are not
        contiguous.
    Raises InputError for a wrong dtype or shape, a window that lies outside the image, or without image_hw.
    """
    if not isinstance(mask, np.ndarray) or mask.ndim != 2 or mask.dtype not in (np.bool_, np.uint8):
        raise InputError(f"mask must be bool or uint8 (H, W), got {describe(mask)}")
    height, width = mask.shape if image_hw is None else (int(side) for side in image_hw)
    x1, y1, x2, y2 = (0, 0, width, height) if window is None else (int(edge) for edge in window)
    if window is not None and image_hw is None:
        raise InputError("a mask in a window needs image_hw, the (H, W) of the image")
    if not (0 <= x1 <= x2 <= width and 0 <= y1 <= y2 <= height) or mask.shape != (y2 - y1, x2 - x1):
        raise InputError(
            f"mask must have the size of its window (x1, y1, x2, y2) inside the image, got {mask.shape}, "
            f"window {(x1, y1, x2, y2)} and an image of {height}x{width}"
        )
    _check_pixels(height, width)
    crop = mask.view(np.uint8)
    if mask.shape[1] > 1 and mask.strides[1] != 1:
        crop = np.ascontiguousarray(crop)
    counts: NDArray[np.uint32] = _kernels.encode_rle(crop, y1, x1, height, width)
    return counts


def decode_rle(counts: NDArray[Any] | Sequence[int], image_hw: Sequence[int]) -> NDArray[np.bool_]:
    """The mask of run lengths: bool (H, W).

    Raises InputError for counts that are not integers from 0 on or do not sum to H * W.
    """
    runs = _check_counts(counts)
    height, width = (int(side) for side in image_hw)
    _check_pixels(height, width)
    total = int(runs.sum(dtype=np.uint64))
    if total != height * width:
        raise InputError(f"counts must sum to the {height * width} pixels of {height}x{width}, got {total}")
    mask = np.empty((height, width), np.bool_)
    _kernels.decode_rle(runs, mask.view(np.uint8))
    return mask


def rle_to_bytes(counts: NDArray[Any] | Sequence[int]) -> bytes:
    """COCO's compressed string of run lengths, what its JSON files hold as "counts" (ASCII).

    Raises InputError for counts that are not integers from 0 to 2^32 - 1.
    """
    packed: bytes = _kernels.pack_rle(_check_counts(counts))
    return packed


def rle_from_bytes(text: bytes | str) -> NDArray[np.uint32]:
    """The run lengths, uint32 (R,), of COCO's compressed string.

    Raises InputError where `text` is none: another character, a number cut off, a count below 0 or beyond 32
    bits. Whether the counts fit an image is checked by decode_rle.
    """
    if isinstance(text, str):
        text = text.encode("utf-8", "surrogatepass")
    if not isinstance(text, bytes):
        raise InputError(f"a compressed run-length string must be bytes or str, got a {type(text).__name__}")
    counts: NDArray[np.uint32] | None = _kernels.unpack_rle(text)
    if counts is None:
        raise InputError(
            f"not a compressed run-length string: {text[:40]!r} ({len(text)} bytes); it holds characters '0' to 'o', "
            f"none cut off, of counts from 0 to 2^32 - 1"
        )
    return counts


def rle_area(counts: NDArray[Any] | Sequence[int]) -> int:
    """Pixels inside a mask of these run lengths. Raises InputError as rle_to_bytes does."""
    return int(_check_counts(counts)[1::2].sum(dtype=np.uint64))


def _check_counts(counts: NDArray[Any] | Sequence[int]) -> NDArray[np.uint32]:
    try:
        runs = np.asarray(counts)
    except ValueError:  # rows of different lengths
        raise InputError(f"counts must be integers (R,), got {describe(counts)} of lists") from None
    if runs.size == 0:
        runs = runs.astype(np.uint32)
    if runs.ndim != 1 or runs.dtype.kind not in "iu":
        raise InputError(f"counts must be integers (R,), got {describe(runs)}")
    if runs.dtype != np.uint32:
        if runs.size and (runs.min() < 0 or runs.max() > _MAX_PIXELS):
            raise InputError(f"counts must be 0 to {_MAX_PIXELS}, got {runs.min()} to {runs.max()}")
        runs = runs.astype(np.uint32)
    return as_contiguous(runs)


def _check_pixels(height: int, width: int) -> None:
    if height < 0 or width < 0 or height * width > _MAX_PIXELS:
        raise InputError(f"an image must have 0 to {_MAX_PIXELS} pixels, got {height}x{width}")
