"""Every native function that takes arrays: good arguments for it, of any size, and what it asks of each of its arrays.

Tables of tests run over these: sizes, strides and instruction sets (test_ladder), arrays that callers get wrong
(test_bad_buffers), memory asked for (count_allocations).
"""

from __future__ import annotations

import itertools
from collections.abc import Callable
from dataclasses import dataclass, field
from types import ModuleType
from typing import Any

import numpy as np

from edgevision.ops.reference import boxes, color, image_plan, masks, masks_binary, masks_rle, nms, scores

__all__ = ["FUNCTIONS", "Function", "array_arguments", "call"]

Arguments = tuple[Any, ...]


@dataclass(frozen=True)
class Function:
    """A native function.

    make: the arguments of a good call, from a size and a variant.
    variants: dtypes, and whatever else makes the kernels take another path.
    written: which arguments it writes. strides: "any" for arguments of any strides, "rows" for those of which only
        the last axis must be contiguous; the others must be C-contiguous.
    empty: a size of 0 is a good call too. blocks: of memory that results of its own take.
    """

    make: Callable[..., Arguments]
    reference: ModuleType
    variants: tuple[tuple[Any, ...], ...]
    written: tuple[int, ...] = ()
    strides: dict[int, str] = field(default_factory=dict)
    empty: bool = False
    blocks: int = 0


def call(name: str, module: ModuleType, arguments: Arguments) -> list[Any]:
    """What the function `name` of `module`, native or reference, returns and writes.

    Raises ValueError or TypeError where the native function refuses its arguments.
    """
    if name in ("write_image", "write_yuv"):
        returned = _write_by_plan(name, module, arguments)
    else:
        returned = getattr(module, name)(*arguments)
    results = list(returned) if isinstance(returned, tuple) else [returned]
    return results + [arguments[index] for index in FUNCTIONS[name].written]


def array_arguments(arguments: Arguments) -> list[int]:
    """Which arguments are arrays."""
    return [index for index, argument in enumerate(arguments) if isinstance(argument, np.ndarray)]


def _write_by_plan(name: str, module: ModuleType, arguments: Arguments) -> None:
    """A plan of (sizes, table, pad, numbers), the last four arguments, writes the arrays before them."""
    *arrays, sizes, table, pad, numbers = arguments
    plan = module.ImagePlan(*sizes, table, pad, *numbers)
    if not (plan.write if name == "write_image" else plan.write_yuv)(*arrays):
        raise ValueError("refused by the plan")


def random(*shape: int, dtype: str = "float32") -> np.ndarray:
    """Numbers around 0, up to some hundred where they are whole; in half of the shapes many are equal."""
    values = np.random.default_rng(sum(shape) + 1).normal(size=shape) * 3
    if sum(shape) % 2:
        values = np.round(values * 2) / 2
    return (np.abs(values) * 40).astype(dtype) if np.dtype(dtype).kind in "iu" else values.astype(dtype)


# ---- Images: ImagePlan(sizes, table, pad, numbers).write(image, out)

FILTERS = range(4)
YUV = (16, 1220542, 1673527, -409993, -852492, 2116026)
ELEMENTS = ("uint8", "float16", "float32")


def plan_arguments(
    image: Any,
    canvas: Any,
    resized: Any,
    dtype: str,
    filter: int,
    nhwc: bool,
    pixels: bool,
    gray: bool = False,
) -> Arguments:
    """(out, *the rest of a plan) for an image (height, width, channels).

    pixels: the elements are the pixels; else others for each channel.
    """
    channels = 1 if gray else 3
    table = np.repeat(np.arange(256)[None], channels, axis=0)
    if not pixels:
        table = (table * 7 + 5 * np.arange(channels)[:, None]) % 251
    out = np.zeros((*canvas, channels) if nhwc else (channels, *canvas), dtype)
    numbers = (*resized, 1, 0, filter, 2, 1, 0, gray, nhwc)
    pad = np.array([7, 7 + image[1] % 2, 9], dtype)[:channels]
    return out, (*image, *canvas), table.astype(dtype), pad, numbers


def make_resized(size: int, dtype: str, filter: int, nhwc: bool, columns: float) -> Arguments:
    """To as many columns from so many times as many, and one more unless that is whole; to more rows."""
    rows = size // 4 + 2
    width = int(columns * size) + (0 if columns % 1 == 0 else min(size, 1))
    image = random(rows, width, 3, dtype="uint8")
    canvas, resized, pixels = (rows + 2, size), (rows + 3, size), (size + filter) % 2 == 0
    return image, *plan_arguments(image.shape, canvas, resized, dtype, filter, nhwc, pixels)


def make_kept(size: int, dtype: str, channels: int, nhwc: bool, pixels: bool, gray: bool) -> Arguments:
    """An image that keeps its size, beside a column of the canvas that it does not cover."""
    image = random(size // 4 + 2, size, channels, dtype="uint8")
    canvas, resized = (len(image) + 2, size + 1), image.shape[:2]
    return image, *plan_arguments(image.shape, canvas, resized, dtype, 1, nhwc, pixels, gray)


def make_whole(size: int, dtype: str, filter: int, nhwc: bool, step: int) -> Arguments:
    """Whole numbers of pixels to one, shown whole."""
    image = random(4 * step, size * step, 3, dtype="uint8")
    pixels = (size + step) % 2 == 0
    out, *rest, numbers = plan_arguments(image.shape, (4, size), (4, size), dtype, filter, nhwc, pixels)
    return image, out, *rest, (4, size, 0, 0, *numbers[4:])


def make_planes(size: int, halved: bool) -> Arguments:
    """Planes of 2 * size columns; `halved`: 4:2:0, else 4:2:2."""
    rows = size // 4 + 1
    chroma = [random(rows, size, dtype="uint8") + np.uint8(i) for i in range(2)]
    return random(rows * (2 if halved else 1), 2 * size, dtype="uint8"), *chroma


def make_yuv(size: int, dtype: str, filter: int, halved: bool) -> Arguments:
    planes = make_planes(size, halved)
    rows = len(planes[0])
    image = (*planes[0].shape, 3)
    plan = plan_arguments(image, (rows + 2, size), (rows + 1, size), dtype, filter, False, size % 2 == 0)
    return *planes, *YUV, *plan


def make_conversion(size: int, halved: bool, rgb: bool) -> Arguments:
    planes = make_planes(size, halved)
    return *planes, np.zeros((*planes[0].shape, 3), np.uint8), *YUV, rgb


# ---- Boxes and scores

ALLOWED = np.ones(200, np.uint8)


def corner_boxes(count: int) -> np.ndarray:
    corner = np.abs(random(count, 2)) * 5
    return np.hstack([corner, corner + 1 + np.abs(random(count, 2))]).astype(np.float32)


def make_dense(
    size: int, dtype: str, objectness: int, multi_label: bool, rotated: bool, classes: int
) -> Arguments:
    output = random(size, 7 + classes, dtype=dtype)
    return output, classes, objectness, multi_label, 0.5, ALLOWED[:classes], rotated, 1.0, 2.0


def make_detection(size: int, dtype: str) -> Arguments:
    numbers = (0.5, 20, 0.0, 30000, 0.0, 0.0, 1.0, 1.0, 64.0, 64.0)
    return random(size, 9, dtype=dtype), 3, False, 0.5, ALLOWED[:3], False, *numbers


def make_queries(size: int, dtype: str, top_k: int, classes: int) -> Arguments:
    logits, boxes_of = random(size, classes, dtype=dtype), random(size, 4, dtype=dtype)
    return logits, boxes_of, top_k, 0.3, ALLOWED[:classes], 64.0, 32.0


def make_nms(size: int, rotated: bool, classes: bool, class_offset: float, candidates: int) -> Arguments:
    boxes_of = random(size, 5) if rotated else corner_boxes(size)
    ids = random(size, dtype="int64") // 40 if classes else None
    return boxes_of, random(size), ids, 0.5, 20, class_offset, candidates, rotated, True


def make_softmax(size: int, dtype: str, outer: int, inner: int) -> Arguments:
    """inner 0: `size` columns side by side; -1: the same, too long for a kernel's block."""
    shape = (outer, size, inner) if inner > 0 else (outer, 7, size) if inner == 0 else (1, 2100, size)
    return random(*shape, dtype=dtype), *shape, np.zeros(shape, np.float32)


def make_top_k(size: int) -> Arguments:
    k = min(size, 5)
    return random(size), k, np.zeros(k, np.float32), np.zeros(k, np.int64)


# ---- Masks


def map_size(size: int, grows: bool) -> tuple[int, int]:
    """Of what is read where something of `size` columns is written."""
    return (size // 4 + 1, (size + 2) // 3) if grows else (size // 2 + 2, 2 * size)


def make_argmax(size: int, dtype: str, labels: str, grows: bool) -> Arguments:
    source = map_size(size, grows)
    return (
        random(5, *source, dtype=dtype),
        0.0,
        0.25,
        *map(float, source),
        np.zeros((size // 3 + 1, size), labels),
    )


def make_labels(size: int, labels: str, grows: bool) -> Arguments:
    source = map_size(size, grows)
    return (
        random(*source, dtype=labels),
        0.5,
        0.0,
        *map(float, source),
        np.zeros((size // 3 + 1, size), labels),
    )


def region(source: tuple[int, int], via: bool) -> Arguments:
    """The whole of a map; `via` twice its size."""
    if via:
        return 0.0, 0.0, 2.0 * source[0], 2.0 * source[1], 2 * source[0], 2 * source[1]
    return 0.0, 0.0, float(source[0]), float(source[1]), 0, 0


def make_masks(size: int, dtype: str, via: bool, grows: bool) -> Arguments:
    source = map_size(size, grows)
    return (
        random(2, *source, dtype=dtype),
        *region(source, via),
        0.25,
        np.zeros((2, size // 3 + 1, size), np.uint8),
    )


def make_instances(size: int, dtype: str, via: bool) -> Arguments:
    source = map_size(size, True)
    boxes_of = np.array([[0, 0, size, size], [size / 3, 1, size, 2], [1, 1, size / 2, size]], np.float32)
    affine = (1.0, 1.0, 0.0, 0.0, 0.25, 0.25)
    prototypes = random(5, *source, dtype=dtype)
    return random(3, 5), prototypes, boxes_of, False, *affine, *region(source, via), size // 2 + 1, size


def random_mask(size: int) -> np.ndarray:
    return (random(size // 3 + min(size, 1), size) > 1).astype(np.uint8)


def make_encoding(size: int, above: int, beside: int) -> Arguments:
    """A mask with so many rows above and below it, and so many columns to the left and one more to the right."""
    mask = random_mask(size)
    return mask, above, beside, len(mask) + 2 * above, size + 2 * beside + min(beside, 1)


def make_decoding(size: int) -> Arguments:
    mask = random_mask(size)
    return masks_rle.encode_rle(mask, 0, 0, *mask.shape), np.zeros_like(mask)


# ---- All of them

FLOATS = ("float32", "float16")
FLAGS = (False, True)
LABELS = ("uint8", "int32", "int64")
COMBINED = tuple[tuple[Any, ...], ...]


def combined(*choices: Any) -> COMBINED:
    return tuple(itertools.product(*choices))


FUNCTIONS: dict[str, Function] = {
    "write_image": Function(
        lambda size, make, *variant: make(size, *variant), image_plan,
        combined([make_kept], ELEMENTS, [3, 4], FLAGS, FLAGS, FLAGS)
        + combined([make_whole], ELEMENTS, [0, 1], FLAGS, [2, 3, 4])
        + combined([make_resized], ELEMENTS, [1, 3], FLAGS, [11.3])
        + combined([make_resized], ELEMENTS, FILTERS, FLAGS, [2.1]),
        written=(1,), strides={0: "any", 1: "any"},
    ),
    "write_yuv": Function(
        make_yuv, image_plan, combined(ELEMENTS, FILTERS, FLAGS),
        written=(9,), strides={0: "any", 1: "any", 2: "any", 9: "any"},
    ),
    "convert_yuv": Function(
        make_conversion, color, combined(FLAGS, FLAGS), written=(3,), strides=dict.fromkeys(range(4), "any"),
    ),
    "decode_dense": Function(
        make_dense, boxes, combined(FLOATS, range(3), FLAGS, FLAGS, [3, 23]), strides={0: "any"}, empty=True, blocks=1
    ),
    "decode_grid": Function(
        lambda size, dtype: (random(size, 9, dtype=dtype), 3, False, 0.5, ALLOWED[:3], (1,), 1, size),
        boxes, combined(FLOATS), strides={0: "any"}, blocks=1,
    ),
    "decode_rows": Function(
        lambda size, dtype, rotated: (random(size, 8, dtype=dtype), 0.5, ALLOWED[:3], rotated),
        boxes, combined(FLOATS, FLAGS), strides={0: "any"}, empty=True, blocks=1,
    ),
    "decode_queries": Function(
        make_queries, boxes, combined(FLOATS, [0, 10], [3, 150]), strides={0: "any", 1: "any"}, empty=True, blocks=1
    ),
    "nms": Function(make_nms, nms, combined(FLAGS, FLAGS, [0.0, 3.0], [8, 30000]), empty=True, blocks=1),
    "detect_dense": Function(make_detection, boxes, combined(FLOATS), strides={0: "any"}, empty=True, blocks=1),
    "upsample_argmax": Function(
        make_argmax, masks, combined(FLOATS, LABELS[:2], FLAGS), written=(5,), strides={0: "rows", 5: "rows"}
    ),
    "resize_labels": Function(
        make_labels, masks, combined(LABELS, FLAGS), written=(5,), strides={0: "any", 5: "rows"}
    ),
    "upsample_masks": Function(
        make_masks, masks_binary, combined(FLOATS, FLAGS, FLAGS), written=(8,), strides={0: "rows"}
    ),
    "assemble_masks": Function(
        make_instances, masks_binary, combined(FLOATS, FLAGS), strides={1: "rows"}, blocks=1
    ),
    "encode_rle": Function(
        make_encoding, masks_rle, combined([0, 1], [0, 2]), strides={0: "rows"}, empty=True, blocks=1
    ),
    "decode_rle": Function(make_decoding, masks_rle, ((),), written=(1,), strides={1: "rows"}, empty=True),
    "pack_rle": Function(lambda size: (random(size, dtype="uint32"),), masks_rle, ((),), empty=True),
    "softmax": Function(
        make_softmax, scores, combined(FLOATS, [1, 3], [0, 1, 5]) + combined(FLOATS, [1], [-1]), written=(4,), empty=True
    ),
    "sigmoid": Function(
        lambda size, dtype: (random(size, dtype=dtype), np.zeros(size, np.float32)),
        scores, combined(FLOATS), written=(1,), empty=True,
    ),
    "top_k": Function(make_top_k, scores, ((),), written=(2, 3), empty=True),
}  # fmt: skip
