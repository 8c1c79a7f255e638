"""The sweep's lines of label maps, masks and run lengths, beside cv2 and pycocotools."""

from __future__ import annotations

from collections.abc import Callable

import cv2
import numpy as np
from case import Case, Contender
from inputs import blobs, smooth
from masks_peers import argmax_cv2, sam_cv2
from pycocotools import mask as coco
from sweep_line import FEW_SIZES, Line
from tolerance import SAME_PIXELS, Tolerance, differing, unlike

from edgevision.geometry import place_image
from edgevision.ops.masks import label_map_to_image, upsample_argmax, upsample_masks
from edgevision.ops.rle import decode_rle, encode_rle, rle_from_bytes, rle_to_bytes

__all__ = ["LINES"]

LABELS = differing(2e-4, "two best logits closer than their rounding")
MASKS = unlike(1e-3, "a logit at 0 may fall to the other side: weights are rounded otherwise")
NEAREST = differing(0.05, "a pixel's centre may lie exactly between two labels")
SAME_BYTES = Tolerance(lambda ours, theirs: float(ours != theirs), 0.0, "the same bytes")


def labels(factor: int, dtype: type) -> Callable[[int, int], Case]:
    """A label map, the image's size divided by `factor`, to the image's size: the nearest label."""

    def make(height: int, width: int) -> Case:
        coarse = smooth(1, max(1, height // factor), max(1, width // factor))[0]
        label_map = np.clip(coarse * 2 + 10, 0, 20).astype(dtype)
        out = np.empty((height, width), dtype)
        resized = out if factor == 1 else np.empty_like(out)  # where it lies decides between two that copy

        def with_cv2() -> np.ndarray:
            return cv2.resize(label_map, (width, height), resized, interpolation=cv2.INTER_NEAREST_EXACT)

        def ours() -> np.ndarray:
            return label_map_to_image(label_map, (height, width), out=out)

        return Case(ours, (Contender("cv2.resize", with_cv2, NEAREST),), label_map.nbytes + out.nbytes)

    return make


def label_map(height: int, width: int) -> Case:
    """Logits of 21 classes, a quarter of the image's sides, to its labels."""
    logits = smooth(21, max(2, height // 4), max(2, width // 4))
    out = np.empty((height, width), np.uint8)
    others = (Contender("cv2, a class at a time", argmax_cv2(logits, (height, width)), LABELS),)
    return Case(lambda: upsample_argmax(logits, (height, width), out=out), others, logits.nbytes + out.nbytes)


def masks(kind: str, factor: int | None) -> Callable[[int, int], Case]:
    """One mask's logits, 256x256 or the image's size divided by `factor`, to the image: "regions" or "noise"."""

    def make(height: int, width: int) -> Case:
        size = (256, 256) if factor is None else (max(2, height // factor), max(2, width // factor))
        if kind == "noise":
            logits = np.random.default_rng(0).normal(0, 1, (1, *size)).astype(np.float32)
        else:
            logits = blobs(1, *size).astype(np.float32)
        out = np.empty((1, height, width), np.bool_)
        resized, mask = np.empty((height, width), np.float32), np.empty((height, width), np.bool_)

        def with_cv2() -> np.ndarray:
            cv2.resize(logits[0], (width, height), resized, interpolation=cv2.INTER_LINEAR)
            return np.greater(resized, 0, out=mask)[None]

        others = (Contender("cv2.resize + NumPy", with_cv2, MASKS),)
        return Case(
            lambda: upsample_masks(logits, (height, width), out=out), others, logits.nbytes + out.nbytes
        )

    return make


def segment_anything(height: int, width: int) -> Case:
    """A mask of 256x256 logits by way of the model's 1024x1024, the pad cut off."""
    placement = place_image(
        (height, width), (1024, 1024), mode="longest_side_pad", pad_placement="bottom_right"
    )
    roi = (0, 0, *placement.resized_hw)
    logits, shown = (
        np.full((1, 256, 256), -5, np.float32),
        [max(1, side // 4) for side in placement.resized_hw],
    )
    logits[:, : shown[0], : shown[1]] = blobs(1, *shown)  # the object lies in the image, the rest is pad
    out = np.empty((1, height, width), np.bool_)

    def ours() -> np.ndarray:
        return upsample_masks(logits, (height, width), roi, via_hw=(1024, 1024), out=out)

    others = (Contender("cv2.resize, twice", sam_cv2(logits, (1024, 1024), placement), MASKS),)
    return Case(ours, others, logits.nbytes + out.nbytes)


def _mask(height: int, width: int) -> np.ndarray:
    return np.ascontiguousarray(blobs(1, height, width)[0] > 0)


def rle_encode(height: int, width: int) -> Case:
    """A mask to COCO's compressed string."""
    mask = _mask(height, width)

    def with_coco() -> bytes:
        counts: bytes = coco.encode(np.asfortranarray(mask.view(np.uint8)))["counts"]
        return counts

    others = (Contender("pycocotools", with_coco, SAME_BYTES),)
    return Case(lambda: rle_to_bytes(encode_rle(mask)), others, mask.nbytes)


def rle_decode(height: int, width: int) -> Case:
    """COCO's compressed string to a mask, row by row in memory."""
    mask = _mask(height, width)
    text = rle_to_bytes(encode_rle(mask))
    entry = {"size": [height, width], "counts": text}

    def with_coco() -> np.ndarray:
        return np.ascontiguousarray(coco.decode(entry))

    others = (Contender("pycocotools", with_coco, SAME_PIXELS),)
    return Case(lambda: decode_rle(rle_from_bytes(text), (height, width)), others, mask.nbytes)


LINES: tuple[Line, ...] = (
    Line("labels", "labels to twice the size, nearest, uint8; cv2.resize", labels(2, np.uint8)),
    Line(
        "labels_same", "labels of the same size, uint8; cv2.resize, which copies", labels(1, np.uint8),
        sizes=FEW_SIZES, copies=True,
    ),
    Line(
        "labels_int32", "labels to four times the size, nearest, int32; cv2.resize", labels(4, np.int32),
        sizes=FEW_SIZES,
    ),
    Line(
        "label_map", "logits of 21 classes to four times the size, the best; cv2", label_map,
        sizes=FEW_SIZES, largest=2_100_000,
    ),
    Line("masks_regions", "256x256 logits of regions to a mask; cv2.resize", masks("regions", None)),
    Line("masks_noise", "256x256 logits of noise to a mask; cv2.resize", masks("noise", None)),
    Line(
        "masks_twice", "logits of regions to a mask of twice their size; cv2.resize", masks("regions", 2),
        sizes=FEW_SIZES,
    ),
    Line(
        "masks_twice_noise", "logits of noise to a mask of twice their size; cv2.resize", masks("noise", 2),
        sizes=FEW_SIZES,
    ),
    Line(
        "masks_same", "logits of noise to a mask of their size; cv2.resize, which copies", masks("noise", 1),
        sizes=FEW_SIZES,
    ),
    Line("segment_anything", "256x256 logits by way of 1024x1024; cv2.resize, twice", segment_anything, sizes=FEW_SIZES),
    Line("rle_encode", "a mask to COCO's string; pycocotools", rle_encode),
    Line("rle_decode", "COCO's string to a mask; pycocotools", rle_decode),
)  # fmt: skip
