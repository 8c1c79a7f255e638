"""The native kernels of masks, instance masks and run lengths give the reference's bits; bad buffers are refused."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from edgevision.ops._dispatch import native
from edgevision.ops.reference import masks_binary, masks_rle

NAN, INF = float("nan"), float("inf")
SPECIAL = np.array([NAN, INF, -INF, 0.0, -0.0, 1e-40, 3e38, -3e38, 1.0], np.float32)


pytestmark = pytest.mark.usefixtures("each_isa")


def draw_values(data: st.DataObject, rng: np.random.Generator, shape: tuple[int, ...]) -> np.ndarray:
    """Float32 or float16 numbers: noise, ties, sometimes special ones, now and then tiny."""
    values = rng.normal(0, 1, shape).astype(np.float32)
    if data.draw(st.booleans()):
        values = np.round(values)
    special = rng.random(shape) < data.draw(st.sampled_from([0.0, 0.0, 0.01]))
    values[special] = rng.choice(SPECIAL, int(special.sum()))
    values *= np.float32(data.draw(st.sampled_from([1.0, 1.0, 1e-38])))
    with np.errstate(over="ignore"):
        return values.astype(data.draw(st.sampled_from([np.float32, np.float16])))


def draw_roi(data: st.DataObject, rng: np.random.Generator, hw: tuple[int, int]) -> tuple[float, ...]:
    """(roi_y, roi_x, roi_height, roi_width, via_height, via_width) of a map of size `hw`."""
    kind = data.draw(st.sampled_from(["whole", "anywhere", "via"]))
    if kind == "whole":
        return 0.0, 0.0, float(hw[0]), float(hw[1]), 0, 0
    if kind == "anywhere":
        return *rng.uniform(-5, 20, 2).tolist(), *rng.uniform(0.1, 60, 2).tolist(), 0, 0
    via = rng.integers(1, 100, 2)
    first = np.array([rng.integers(0, side) for side in via])
    size = np.array([rng.integers(1, side + 1) for side in via - first])
    return *first.astype(float).tolist(), *size.astype(float).tolist(), *via.tolist()


SIDES = st.sampled_from([1, 2, 3, 7, 17, 40, 90])


@settings(max_examples=150, deadline=None)
@given(st.data())
def test_upsampled_masks(data: st.DataObject) -> None:
    rng = np.random.default_rng(data.draw(st.integers(0, 2**32 - 1)))
    shape = (data.draw(st.integers(0, 3)), data.draw(SIDES), data.draw(SIDES))
    size = (shape[0], data.draw(SIDES), data.draw(SIDES))
    logits, roi = draw_values(data, rng, shape), draw_roi(data, rng, shape[1:])
    threshold = data.draw(st.sampled_from([0.0, -0.5, 1.0]))
    found, expected = (np.full(size, 9, np.uint8) for _ in range(2))
    native.upsample_masks(logits, *roi, threshold, found)
    masks_binary.upsample_masks(logits, *roi, threshold, expected)
    np.testing.assert_array_equal(found, expected)


@pytest.mark.parametrize("dtype", [np.float32, np.float16])
@pytest.mark.parametrize("via", [0, 512])
@pytest.mark.parametrize(
    ("width", "out_width"),
    [(300, 20), (300, 149), (300, 200), (300, 290), (130, 130), (129, 400), (65, 64), (40, 333), (9, 700)],
)
def test_noise_whatever_it_is_resized_to(width: int, out_width: int, via: int, dtype: type) -> None:
    """Nearly no neighbours agree; here and there is a number whose products overflow, vanish or are none."""
    rng = np.random.default_rng(width + out_width + via)
    logits = rng.normal(0, 1, (2, 24, width)).astype(np.float32)
    odd = rng.random(logits[1].shape) < 0.002
    logits[1][odd] = rng.choice(np.append(SPECIAL, np.float32(1e-44)), int(odd.sum()))
    with np.errstate(over="ignore"):
        values = logits.astype(dtype)
    roi = (0.0, 0.0, float(via or 24), float(via or width), via, via)
    for threshold in (0.0, 0.25):
        found, expected = (np.full((2, 40, out_width), 9, np.uint8) for _ in range(2))
        native.upsample_masks(values, *roi, threshold, found)
        masks_binary.upsample_masks(values, *roi, threshold, expected)
        np.testing.assert_array_equal(found, expected)


OWN_SIZE = [
    # height, width of the map, the window of the image's own size in it (y, x, height, width)
    pytest.param((70, 130), (0, 0, 70, 130), id="whole"),
    pytest.param((300, 24), (0, 0, 300, 24), id="narrow"),
    pytest.param((3, 9000), (0, 0, 3, 9000), id="a-row-longer-than-a-block"),
    pytest.param((90, 90), (5, 7, 80, 70), id="inside"),
    pytest.param((90, 90), (20, 30, 70, 60), id="a-corner"),
    pytest.param((90, 90), (-4, 0, 90, 90), id="beyond-the-border"),
    pytest.param((1, 1), (0, 0, 1, 1), id="one-pixel"),
]


@pytest.mark.parametrize("wild", [0.0, 2e-4, 0.02])
@pytest.mark.parametrize("layout", ["packed", "rows-apart", "upside-down", "half"])
@pytest.mark.parametrize(("map_hw", "window"), OWN_SIZE)
def test_an_image_of_the_maps_own_size(
    map_hw: tuple[int, int], window: tuple[int, ...], layout: str, wild: float
) -> None:
    """Each pixel is one logit, unless a neighbour, with a weight of 0, is not finite."""
    rng = np.random.default_rng(sum(map_hw))
    logits = rng.normal(0, 1, (2, map_hw[0], map_hw[1] + 3)).astype(np.float32)
    odd = rng.random(logits.shape) < wild
    logits[odd] = rng.choice(SPECIAL, int(odd.sum()))
    with np.errstate(over="ignore"):
        logits = logits.astype(np.float16 if layout == "half" else np.float32)
    logits = logits[:, :: -1 if layout == "upside-down" else 1, : map_hw[1]]
    logits = np.ascontiguousarray(logits) if layout in ("packed", "half") else logits
    roi = (*(float(side) for side in window), 0, 0)
    for threshold in (0.0, 0.25):
        found, expected = (np.full((2, *window[2:]), 9, np.uint8) for _ in range(2))
        native.upsample_masks(logits, *roi, threshold, found)
        masks_binary.upsample_masks(logits, *roi, threshold, expected)
        np.testing.assert_array_equal(found, expected)


@pytest.mark.parametrize("rows", [1, 2, 3, 5])
def test_only_columns_or_only_rows_are_the_maps_own(rows: int) -> None:
    """Every third row, with a weight of 1, is no image of the map's own size."""
    logits = np.random.default_rng(rows).normal(0, 1, (1, 30, 40)).astype(np.float32)
    for size in ((30 // rows, 40), (30 * rows, 40), (30, 40 // rows), (30, 40 * rows)):
        found, expected = (np.full((1, *size), 9, np.uint8) for _ in range(2))
        native.upsample_masks(logits, 0.0, 0.0, 30.0, 40.0, 0, 0, 0.0, found)
        masks_binary.upsample_masks(logits, 0.0, 0.0, 30.0, 40.0, 0, 0, 0.0, expected)
        np.testing.assert_array_equal(found, expected)


@pytest.mark.parametrize("width", [15, 16, 17, 47, 100])
@pytest.mark.parametrize("shrink", [0.3, 0.9, 1.2, 1.8, 2.0, 2.5, 4.0])
def test_noise_and_regions_take_turns(shrink: float, width: int) -> None:
    """Where hardly any sources agree not every row is looked at, and rows after it may be smooth again."""
    rng = np.random.default_rng(width)
    source = (round(90 * shrink), round(width * shrink))
    logits = rng.normal(0, 1, source).astype(np.float32)
    for top in range(0, source[0], 40):
        logits[top : top + 20] = rng.normal(0, 1, (1, source[1])).cumsum(axis=1)
    logits[60:64, ::7] = NAN
    found, expected = (np.full((1, 90, width), 9, np.uint8) for _ in range(2))
    for threshold in (0.0, -0.3):
        arguments = (logits[None], 0.0, 0.0, *map(float, source), 0, 0, threshold)
        native.upsample_masks(*arguments, found)
        masks_binary.upsample_masks(*arguments, expected)
        np.testing.assert_array_equal(found, expected)


@settings(max_examples=150, deadline=None)
@given(st.data())
def test_instance_masks(data: st.DataObject) -> None:
    rng = np.random.default_rng(data.draw(st.integers(0, 2**32 - 1)))
    count, objects = data.draw(st.integers(1, 9)), data.draw(st.integers(0, 5))
    hw, image = (data.draw(SIDES), data.draw(SIDES)), (data.draw(SIDES), data.draw(SIDES))
    prototypes = draw_values(data, rng, (count, *hw))
    coefficients = rng.normal(0, 1, (objects, count)).astype(np.float32)
    boxes = rng.uniform(-10, 110, (objects, 4)).astype(np.float32)
    boxes[:, 2:] = boxes[:, :2] + rng.uniform(-5, 80, (objects, 2))
    if data.draw(st.booleans()):
        boxes = np.round(boxes)
    roi = draw_roi(data, rng, hw)
    crop = roi[4] == 0 and data.draw(st.booleans())
    affine = (*rng.uniform(0.2, 3, 2).tolist(), *rng.uniform(-20, 20, 2).tolist(), 0.25, float(rng.random()))
    arguments = (coefficients, prototypes, boxes, crop, *affine, *roi, *image)
    found = native.assemble_masks(*arguments)
    for got, want in zip(found, masks_binary.assemble_masks(*arguments), strict=True):
        assert got.dtype == want.dtype
        np.testing.assert_array_equal(got, want)


@pytest.mark.parametrize("threads", [2, 5])
def test_threads_change_nothing(threads: int) -> None:
    """Large enough to be cut, also inside a mask: parts must not show."""
    rng = np.random.default_rng(0)
    logits = np.kron(rng.normal(0, 1, (5, 9, 12)), np.ones((4, 5))).astype(np.float32)
    boxes = np.array([[10, 20, 1500, 900], [0, 0, 1600, 1000], [300, 5, 302, 995], [5, 5, 5, 5]], np.float32)
    boxes = np.concatenate([boxes, boxes + 7])
    coefficients = rng.normal(0, 1, (8, 5)).astype(np.float32)
    roi = (0.0, 0.0, 36.0, 60.0, 0, 0)
    found = []
    before = native.num_threads()
    try:
        for count in (1, threads):
            native.set_num_threads(count)
            masks = np.full((5, 1000, 1600), 9, np.uint8)
            native.upsample_masks(logits, *roi, 0.0, masks)
            crops = native.assemble_masks(coefficients, logits, boxes, False, *AFFINE, *roi, 1000, 1600)
            found.append((masks, *crops))
    finally:
        native.set_num_threads(before)
    for one, several in zip(*found, strict=True):
        np.testing.assert_array_equal(several, one)


@settings(max_examples=200, deadline=None)
@given(st.data())
def test_run_lengths(data: st.DataObject) -> None:
    rng = np.random.default_rng(data.draw(st.integers(0, 2**32 - 1)))
    height, width = data.draw(st.integers(0, 20)), data.draw(st.integers(0, 70))
    top, below, left, right = (data.draw(st.sampled_from([0, 0, 1, 5])) for _ in range(4))
    noise = rng.integers(0, 4, (height, width), np.uint8)
    crop = np.where(rng.random((height, width)) < data.draw(st.sampled_from([0.0, 0.05, 0.5, 1.0])), noise, 0)
    if data.draw(st.booleans()):
        crop = np.repeat(crop, 3, axis=0)
    crop = crop.astype(np.uint8)
    image = (top + crop.shape[0] + below, left + width + right)
    found = native.encode_rle(crop, top, left, *image)
    expected = masks_rle.encode_rle(crop, top, left, *image)
    assert found.dtype == expected.dtype
    np.testing.assert_array_equal(found, expected)
    text = native.pack_rle(found)
    assert text == masks_rle.pack_rle(found)
    np.testing.assert_array_equal(native.unpack_rle(text), masks_rle.unpack_rle(text))
    decoded, wanted = (np.full(image, 9, np.uint8) for _ in range(2))
    native.decode_rle(found, decoded)
    masks_rle.decode_rle(found, wanted)
    np.testing.assert_array_equal(decoded, wanted)


@settings(max_examples=300, deadline=None)
@given(st.binary(max_size=24) | st.text("0123456789:;<=>?@PQRSTU_`abno", max_size=24).map(str.encode))
def test_hostile_strings(text: bytes) -> None:
    found, expected = native.unpack_rle(text), masks_rle.unpack_rle(text)
    assert (found is None) == (expected is None)
    if expected is not None:
        assert found.tolist() == expected.tolist()


@settings(max_examples=100, deadline=None)
@given(st.lists(st.integers(0, 2**32 - 1), max_size=30))
def test_any_counts_as_strings(counts: list[int]) -> None:
    runs = np.array(counts, np.uint32)
    text = native.pack_rle(runs)
    assert text == masks_rle.pack_rle(runs)
    assert native.unpack_rle(text).tolist() == counts


@pytest.mark.parametrize("width", [1, 63, 64, 65, 400])
def test_masks_with_more_changes_than_are_kept(width: int) -> None:
    crop = np.random.default_rng(width).integers(0, 2, (100_000 // width, width), np.uint8)
    image = (crop.shape[0] + 1, width + 2)
    found = native.encode_rle(crop, 1, 0, *image)
    np.testing.assert_array_equal(found, masks_rle.encode_rle(crop, 1, 0, *image))
    decoded, wanted = (np.full(image, 9, np.uint8) for _ in range(2))
    native.decode_rle(found, decoded)
    masks_rle.decode_rle(found, wanted)
    np.testing.assert_array_equal(decoded, wanted)


@pytest.mark.parametrize("width", [1, 15, 33, 63, 64, 65, 97, 128])
def test_encoding_rows_of_another_array(width: int) -> None:
    """Any stride and alignment; pixels beside the rows do not count."""
    frame = np.full((40, 200), 7, np.uint8)
    noise = np.random.default_rng(width).integers(0, 2, (30, width), np.uint8)
    frame[5:35, 3 : 3 + width] = noise
    for part, plain in ((frame[5:35], noise), (frame[34:4:-1], noise[::-1])):
        found = native.encode_rle(part[:, 3 : 3 + width], 0, 0, *noise.shape)
        np.testing.assert_array_equal(found, masks_rle.encode_rle(plain, 0, 0, *noise.shape))


def test_decoding_into_rows_of_another_array() -> None:
    frame = np.full((8, 30), 9, np.uint8)
    native.decode_rle(np.array([3, 5, 40], np.uint32), frame[1:7, 4:12])
    expected = np.full((6, 8), 9, np.uint8)
    masks_rle.decode_rle(np.array([3, 5, 40], np.uint32), expected)
    np.testing.assert_array_equal(frame[1:7, 4:12], expected)
    frame[1:7, 4:12] = 9
    assert (frame == 9).all()


# ---- Buffers that the face would not pass

LOGITS = np.zeros((2, 4, 5), np.float32)
OUT = np.zeros((2, 8, 9), np.uint8)
BOXES = np.zeros((3, 4), np.float32)
WEIGHTS = np.zeros((3, 2), np.float32)
ROI = (0.0, 0.0, 4.0, 5.0, 0, 0)
AFFINE = (1.0, 1.0, 0.0, 0.0, 0.25, 0.25)
RUNS = np.array([4, 2], np.uint32)


def upsample(logits: Any = LOGITS, roi: Any = ROI, out: Any = OUT) -> Any:
    return lambda: native.upsample_masks(logits, *roi, 0.0, out)


def assemble(
    weights: Any = WEIGHTS,
    maps: Any = LOGITS,
    boxes: Any = BOXES,
    crop: bool = False,
    roi: Any = ROI,
    hw: Any = (8, 9),
) -> Any:
    return lambda: native.assemble_masks(weights, maps, boxes, crop, *AFFINE, *roi, *hw)


ERRORS = [
    pytest.param(upsample(LOGITS[0]), "logits must be", id="upsample-dimensions"),
    pytest.param(upsample(LOGITS.astype(float)), "logits must be", id="upsample-double"),
    pytest.param(upsample(LOGITS[:, :, ::2]), "contiguous rows", id="upsample-columns"),
    pytest.param(upsample(out=OUT[:1]), "out must be", id="upsample-fewer-masks"),
    pytest.param(upsample(out=OUT[:, :, ::2]), "out must be C-contiguous", id="upsample-out-strides"),
    pytest.param(upsample(out=OUT[:, :0]), "out must be", id="upsample-no-rows"),
    pytest.param(upsample(out=OUT.view(np.int8)), "out must be C-contiguous bool or uint8", id="upsample-out-dtype"),
    pytest.param(upsample(roi=(0.0, 0.0, NAN, 5.0, 0, 0)), "roi must be finite", id="upsample-roi"),
    pytest.param(upsample(roi=(0.0, 0.0, 4.0, 5.0, 8, 0)), "both its sizes|inside the via", id="one-via"),
    pytest.param(upsample(roi=(0.5, 0.0, 4.0, 5.0, 8, 8)), "whole pixels inside the via", id="fraction"),
    pytest.param(upsample(roi=(5.0, 0.0, 4.0, 5.0, 8, 8)), "whole pixels inside the via", id="outside-via"),
    pytest.param(upsample(roi=(0.0, 0.0, 4.0, 5.0, -8, 8)), "via size out of range", id="negative-via"),
    pytest.param(assemble(WEIGHTS[:, :1]), "coefficients must be", id="assemble-coefficients"),
    pytest.param(assemble(WEIGHTS.astype(np.float16)), "coefficients must be", id="assemble-halves"),
    pytest.param(assemble(maps=LOGITS.astype(int)), "prototypes must be", id="assemble-whole-numbers"),
    pytest.param(assemble(maps=LOGITS[:, :, ::2]), "contiguous rows", id="assemble-columns"),
    pytest.param(assemble(boxes=BOXES[:2]), "boxes must be", id="assemble-fewer-boxes"),
    pytest.param(assemble(boxes=BOXES.T), "boxes must be", id="assemble-turned-boxes"),
    pytest.param(assemble(boxes=np.asfortranarray(BOXES)), "boxes must be C-contiguous", id="assemble-box-order"),
    pytest.param(assemble(crop=True, roi=(0.0, 0.0, 8.0, 8.0, 8, 8)), "without a via size", id="assemble-crop-via"),
    pytest.param(assemble(hw=(0, 9)), "image height or width", id="assemble-no-image"),
    pytest.param(assemble(hw=(8, 1 << 25)), "image height or width", id="assemble-huge-image"),
    pytest.param(
        assemble(np.zeros((1 << 15, 2), np.float32), boxes=np.zeros((1 << 15, 4), np.float32)),
        "too many objects",
        id="assemble-many",
    ),
    pytest.param(lambda: native.encode_rle(OUT[0], 1, 0, 8, 9), "inside the image", id="encode-outside"),
    pytest.param(lambda: native.encode_rle(OUT[0], -1, 0, 8, 9), "inside the image", id="encode-before"),
    pytest.param(lambda: native.encode_rle(OUT[0], 2**62, 0, 2**31, 9), "pixels|inside", id="encode-far"),
    pytest.param(lambda: native.encode_rle(OUT[0][:, ::2], 0, 0, 8, 9), "contiguous rows", id="encode-strides"),
    pytest.param(lambda: native.encode_rle(OUT[0], 0, 0, 2**17, 2**16), "pixels", id="encode-huge"),
    pytest.param(lambda: native.decode_rle(RUNS, OUT[0]), "sum to out's pixels", id="decode-sum"),
    pytest.param(lambda: native.decode_rle(RUNS.view(np.int32), OUT[0]), "counts must be", id="decode-signed"),
    pytest.param(lambda: native.decode_rle(RUNS[::-1], OUT[0, :1, :6]), "C-contiguous", id="decode-strides"),
    pytest.param(lambda: native.decode_rle(RUNS, OUT[0]. T), "contiguous rows", id="decode-columns"),
    pytest.param(lambda: native.pack_rle(RUNS[None]), "counts must be", id="pack-dimensions"),
]  # fmt: skip


@pytest.mark.parametrize(("call", "message"), ERRORS)
def test_bad_buffers_are_refused(call: Any, message: str) -> None:
    with pytest.raises(ValueError, match=message):
        call()
