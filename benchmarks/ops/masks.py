"""Logits and prototypes to masks and label maps of the image, and run lengths, beside torch, cv2 and pycocotools.

    python benchmarks/ops/masks.py [--only NAME ...] [--seconds S] [--threads N ...] [--isa NAME ...] [--json FILE]

Every row is checked before it is timed. run_all.py measures all families and writes a page and a chart.
"""

from __future__ import annotations

from collections.abc import Callable
from itertools import pairwise
from typing import Any

import cv2
import numpy as np
import supervision as sv
import torch
from case import Case, Contender, Row
from command import main
from inputs import blobs, smooth
from masks_peers import (
    argmax_cv2,
    argmax_numpy,
    argmax_torch,
    instances_cv2,
    instances_cv2_warp,
    instances_torch,
    sam_cv2,
    sam_torch,
)
from pycocotools import mask as coco
from tolerance import SAME_PIXELS, Tolerance, differing, unlike

from edgevision.geometry import place_image
from edgevision.ops.instance_masks import MaskCrops, assemble_masks
from edgevision.ops.masks import label_map_to_image, upsample_argmax, upsample_masks
from edgevision.ops.rle import decode_rle, encode_rle, rle_from_bytes, rle_to_bytes

__all__ = ["ROWS"]

LABELS = differing(1e-4, "two best logits closer than their rounding")
MASKS = unlike(1e-4, "a logit at 0 may fall to the other side: weights are rounded otherwise")
WARPED = unlike(1e-2, "cv2.warpAffine rounds coordinates to 1/32 of a pixel")
NEAREST = differing(0.05, "a pixel's centre may lie exactly between two labels")
SAME_BYTES = Tolerance(lambda ours, theirs: float(ours != theirs), 0.0, "the same bytes")


def _image_hw(small: bool) -> tuple[int, int]:
    return (135, 240) if small else (1080, 1920)


def _over_image(found: Any, image_hw: tuple[int, int]) -> np.ndarray:
    """Masks in windows, as anybody gives them, over the whole image: bool (N, H, W)."""
    if isinstance(found, np.ndarray):
        return found
    if isinstance(found, MaskCrops):
        ends = found.offsets.tolist()
        parts = [found.data[start:end] for start, end in pairwise(ends)]
        found = list(zip(found.windows.tolist(), parts, strict=True))
    masks = np.zeros((len(found), *image_hw), np.bool_)
    for mask, ((x1, y1, x2, y2), part) in zip(masks, found, strict=True):
        mask[y1:y2, x1:x2] = part.reshape(y2 - y1, x2 - x1)
    return masks


def instances(small: bool) -> Case:
    """40 objects of a segmentation network, each in its box; the image letterboxed into 640x640."""
    image_hw, side, count = _image_hw(small), 128 if small else 640, 5 if small else 40
    placement = place_image(image_hw, (side, side))
    rng = np.random.default_rng(0)
    prototypes = smooth(32, side // 4, side // 4)
    coefficients = rng.normal(0, 1, (count, 32)).astype(np.float32)
    size = np.exp(rng.uniform(np.log(0.05), np.log(0.5), (count, 2)))
    centre = rng.uniform(size / 2, 1 - size / 2)
    corners = np.concatenate([centre - size / 2, centre + size / 2], axis=1)
    boxes = (corners * (image_hw[::-1] * 2)).astype(np.float32)
    arguments = (coefficients, prototypes, boxes, placement)

    def within(tolerance: Tolerance) -> Tolerance:
        def measure(ours: Any, theirs: Any) -> float:
            return tolerance.measure(_over_image(ours, image_hw), _over_image(theirs, image_hw))

        return Tolerance(measure, tolerance.limit, tolerance.why)

    others = (
        Contender("torch, whole image", instances_torch(*arguments), within(MASKS)),
        Contender("NumPy + cv2.resize", instances_cv2(*arguments), within(MASKS)),
        Contender("NumPy + cv2.warpAffine", instances_cv2_warp(*arguments), within(WARPED)),
    )
    pixels = assemble_masks(*arguments).data.nbytes
    return Case(lambda: assemble_masks(*arguments), others, prototypes.nbytes + pixels)


def label_map(
    classes: int, side: int, noise: float, image_hw: tuple[int, int] | None = None
) -> Callable[[bool], Case]:
    """Class logits, stretched from the image, back to its size."""

    def make(small: bool) -> Case:
        size, target = side // 8 if small else side, _image_hw(small)
        if image_hw is not None:
            target = (image_hw[0] // 8, image_hw[1] // 8) if small else image_hw
        logits = smooth(classes, size, size)
        if noise:
            logits += np.random.default_rng(1).normal(0, noise, logits.shape).astype(np.float32)
        out = np.empty(target, np.uint8)
        others = [
            Contender("torch", argmax_torch(logits, target), LABELS),
            Contender("cv2, a class at a time", argmax_cv2(logits, target), LABELS),
        ]
        if classes <= 128:  # the most channels that cv2 takes
            others.append(Contender("cv2.resize + np.argmax", argmax_numpy(logits, target), LABELS))
        moved = logits.nbytes + out.nbytes
        return Case(lambda: upsample_argmax(logits, target, out=out), tuple(others), moved)

    return make


def labels_nearest(small: bool) -> Case:
    """A label map that the network made itself, to the image's size."""
    image_hw, side = _image_hw(small), 64 if small else 512
    labels = smooth(21, side, side).argmax(axis=0).astype(np.uint8)
    out, resized = np.empty(image_hw, np.uint8), np.empty(image_hw, np.uint8)
    tensor = torch.from_numpy(labels)[None, None]

    def with_cv2() -> np.ndarray:
        return cv2.resize(labels, image_hw[::-1], resized, interpolation=cv2.INTER_NEAREST_EXACT)

    def with_torch() -> np.ndarray:
        return torch.nn.functional.interpolate(tensor, image_hw, mode="nearest-exact")[0, 0].numpy()

    others = (Contender("cv2.resize", with_cv2, NEAREST), Contender("torch", with_torch, SAME_PIXELS))
    return Case(lambda: label_map_to_image(labels, image_hw, out=out), others, labels.nbytes + out.nbytes)


def segment_anything(small: bool) -> Case:
    """Three masks of 256x256 logits by way of the model's 1024x1024, the pad cut off."""
    image_hw, side = _image_hw(small), 128 if small else 1024
    placement = place_image(image_hw, (side, side), mode="longest_side_pad", pad_placement="bottom_right")
    logits = blobs(3, side // 4, side // 4)
    out = np.empty((3, *image_hw), np.bool_)
    roi = (0, 0, *placement.resized_hw)

    def ours() -> np.ndarray:
        return upsample_masks(logits, image_hw, roi, via_hw=(side, side), out=out)

    others = (
        Contender("torch", sam_torch(logits, (side, side), placement), MASKS),
        Contender("cv2.resize", sam_cv2(logits, (side, side), placement), MASKS),
    )
    return Case(ours, others, logits.nbytes + out.nbytes)


def _mask(small: bool) -> np.ndarray:
    """One object's mask over a 1080p image: bool (H, W)."""
    height, width = _image_hw(small)
    return np.ascontiguousarray(blobs(1, height, width)[0] > 0)


def rle_encode(small: bool) -> Case:
    """A mask to COCO's compressed string."""
    mask = _mask(small)
    columns = np.asfortranarray(mask.view(np.uint8))
    others = (
        Contender("pycocotools", lambda: _coco_string(np.asfortranarray(mask.view(np.uint8))), SAME_BYTES),
        Contender("supervision", lambda: str(sv.mask_to_rle(mask, compressed=True)).encode(), SAME_BYTES),
        Contender(
            "pycocotools, given column by column", lambda: _coco_string(columns), SAME_BYTES, "variant"
        ),
    )
    return Case(lambda: rle_to_bytes(encode_rle(mask)), others, mask.nbytes)


def _coco_string(columns: np.ndarray) -> bytes:
    counts: bytes = coco.encode(columns)["counts"]
    return counts


def rle_decode(small: bool) -> Case:
    """COCO's compressed string to a mask, row by row in memory as ours is."""
    mask = _mask(small)
    text, size = rle_to_bytes(encode_rle(mask)), mask.shape
    entry = {"size": list(size), "counts": text}
    others = (
        Contender("pycocotools", lambda: np.ascontiguousarray(coco.decode(entry)), SAME_PIXELS),
        Contender("supervision", lambda: sv.rle_to_mask(text, size[::-1]), SAME_PIXELS),
        Contender("pycocotools, left column by column", lambda: coco.decode(entry), SAME_PIXELS, "variant"),
    )
    return Case(lambda: decode_rle(rle_from_bytes(text), size), others, mask.nbytes)


ROWS = (
    # What a segmentation network's postprocessing spends its time on.
    Row(
        "instance_masks_40",
        "40 masks, 32x160x160 prototypes, each to its box in 1080p",
        30,
        instances,
        "torch, whole image",
    ),
    # Regions with borders, as a trained network gives: most pixels' neighbours agree.
    Row("label_map_smooth", "21x512x512 -> 1080p labels, regions", 20, label_map(21, 512, 0), "torch"),
    # The worst that can come: neighbours never agree, every class must be interpolated.
    Row("label_map_noisy", "21x512x512 -> 1080p labels, noise", 20, label_map(21, 512, 5.0), "torch"),
    # Cityscapes' classes and SegFormer's quarter size.
    Row("label_map_quarter", "19x256x256 -> 1080p labels, regions", None, label_map(19, 256, 0)),
    # ADE20K's 150 classes.
    Row("label_map_150", "150x128x128 -> 512x512 labels, regions", None, label_map(150, 128, 0, (512, 512))),
    # Argmax inside the graph.
    Row("labels_nearest", "512x512 labels -> 1080p, nearest", None, labels_nearest),
    Row("segment_anything", "3x256x256 logits -> three 1080p masks", 15, segment_anything, "torch"),
    Row("rle_encode", "a 1080p mask -> COCO's string", 2, rle_encode),
    Row("rle_decode", "COCO's string -> a 1080p mask", None, rle_decode),
)


if __name__ == "__main__":
    main("masks", __doc__, ROWS)
