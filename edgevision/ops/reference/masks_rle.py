"""COCO run-length encoding in NumPy: the oracle of the native kernels, and the fallback without a compiler."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

__all__ = ["decode_rle", "encode_rle", "pack_rle", "unpack_rle"]

_GROUP_BITS = 5
_MORE = 0x20
_FIRST_CHARACTER = 48


def encode_rle(
    crop: NDArray[np.uint8], top: int, left: int, image_height: int, image_width: int
) -> NDArray[np.uint32]:
    """Run lengths of `crop`, uint8 (h, w) at (top, left) of an image that is 0 elsewhere."""
    image = np.zeros((image_height, image_width), np.bool_)
    image[top : top + crop.shape[0], left : left + crop.shape[1]] = crop != 0
    pixels = image.ravel(order="F")
    ends = np.flatnonzero(pixels != np.concatenate(([False], pixels[:-1])))
    return np.diff(np.concatenate(([0], ends, [pixels.size]))).astype(np.uint32)


def decode_rle(counts: NDArray[np.uint32], out: NDArray[np.uint8]) -> None:
    """Writes the pixels, 0 and 1, of run lengths that sum to the size of `out` (H, W)."""
    values = np.arange(len(counts)) % 2
    out[...] = np.repeat(values, counts).reshape(out.shape[::-1]).T


def pack_rle(counts: NDArray[np.uint32]) -> bytes:
    """The counts as COCO's string: from the fourth on, the difference to the one two before.

    A number is groups of five bits, lowest first, in two's complement; a sixth bit says that another follows,
    and 48 makes a group a printable character.
    """
    numbers = counts.astype(np.int64)
    numbers[3:] -= counts[1:-2].astype(np.int64)
    text = bytearray()
    for number in numbers.tolist():
        more = True
        while more:
            group = number & 0x1F
            number >>= _GROUP_BITS
            more = number != (-1 if group & 0x10 else 0)
            text.append((group | (_MORE if more else 0)) + _FIRST_CHARACTER)
    return bytes(text)


def unpack_rle(text: bytes) -> NDArray[np.uint32] | None:
    """The counts of COCO's string; None where it is none."""
    counts: list[int] = []
    number, shift = 0, 0
    for character in text:
        group = character - _FIRST_CHARACTER
        if not 0 <= group < 2 * _MORE or shift > 6 * _GROUP_BITS:
            return None
        number |= (group & 0x1F) << shift
        shift += _GROUP_BITS
        if group & _MORE:
            continue
        if group & 0x10:
            number -= 1 << shift
        if len(counts) > 2:
            number += counts[-2]
        if not 0 <= number < 1 << 32:
            return None
        counts.append(number)
        number, shift = 0, 0
    return None if shift else np.array(counts, np.uint32)
