"""Label maps at the image's size: against PyTorch, regions of interest, native against reference, errors."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from edgevision.errors import InputError
from edgevision.ops._dispatch import native
from edgevision.ops.masks import label_map_to_image, upsample_argmax
from edgevision.ops.reference import masks as reference

torch = pytest.importorskip("torch", reason="torch is not installed")

NAN, INF = float("nan"), float("inf")


def smooth_logits(classes: int, height: int, width: int, seed: int = 0) -> np.ndarray:
    """Logits with regions and borders, as a network's: coarse noise, enlarged."""
    coarse = torch.from_numpy(np.random.default_rng(seed).normal(0, 3, (1, classes, 5, 6)).astype(np.float32))
    return torch.nn.functional.interpolate(coarse, (height, width), mode="bicubic")[0].numpy()


def interpolate(logits: np.ndarray, size: tuple[int, int]) -> np.ndarray:
    image = torch.from_numpy(logits.astype(np.float32))[None]
    return torch.nn.functional.interpolate(image, size, mode="bilinear", align_corners=False)[0].numpy()


SIZES = [
    # logits, image
    pytest.param((19, 32, 24), (77, 130), id="enlarged"),
    pytest.param((21, 40, 40), (40, 40), id="same-size"),
    pytest.param((5, 60, 200), (31, 19), id="shrunk"),
    pytest.param((3, 1000, 900), (7, 5), id="shrunk-a-lot"),
    pytest.param((4, 9, 700), (60, 33), id="one-way-each"),
    pytest.param((2, 1, 1), (5, 4), id="one-pixel"),
    pytest.param((300, 7, 6), (40, 41), id="int32-labels"),
    pytest.param((256, 5, 5), (9, 9), id="last-uint8-labels"),
    pytest.param((7, 3, 2), (1, 1), id="to-one-pixel"),
]


@pytest.mark.parametrize("dtype", [np.float32, np.float16])
@pytest.mark.parametrize("make", ["smooth", "noise"])
@pytest.mark.parametrize(("shape", "size"), SIZES)
def test_labels_are_torchs_interpolation_and_argmax(
    kernels: str, shape: tuple[int, int, int], size: tuple[int, int], make: str, dtype: type
) -> None:
    noise = np.random.default_rng(1).normal(0, 3, shape).astype(np.float32)
    logits = (smooth_logits(*shape) if make == "smooth" else noise).astype(dtype)
    found = upsample_argmax(logits, size)
    assert found.dtype == (np.uint8 if shape[0] <= 256 else np.int32)
    assert found.shape == size
    full = interpolate(logits, size)
    best_two = np.sort(full, axis=0)[-2:]
    # torch computes positions and weights in float32: up to 1e-4 of the logits' magnitude where it rounds
    # otherwise.
    decided = best_two[1] - best_two[0] > 1e-4 * np.abs(full).max()
    assert decided.mean() > 0.95 or decided.size < 25
    np.testing.assert_array_equal(found[decided], full.argmax(0)[decided])


@pytest.mark.parametrize("size", [(30, 44), (5, 4), (100, 3)], ids=str)
def test_one_class_is_a_threshold_at_zero(kernels: str, size: tuple[int, int]) -> None:
    logits = smooth_logits(1, 15, 11)
    found, full = upsample_argmax(logits, size), interpolate(logits, size)[0]
    decided = np.abs(full) > 1e-4 * np.abs(full).max()
    assert set(np.unique(found)) == {0, 1}
    np.testing.assert_array_equal(found[decided], full[decided] > 0)


def test_a_flat_zero_is_not_above_zero(kernels: str) -> None:
    assert upsample_argmax(np.zeros((1, 3, 3), np.float32), (7, 7)).max() == 0


@pytest.mark.parametrize("dtype", [np.float32, np.float16])
def test_the_first_of_equal_classes_wins(kernels: str, dtype: type) -> None:
    logits = np.zeros((4, 3, 3), dtype)
    logits[0] = -1
    logits[2] = -0.0
    assert np.unique(upsample_argmax(logits, (8, 8))).tolist() == [1]


def test_a_hand_computed_row(kernels: str) -> None:
    # Two pixels to eight: class 0 falls from 4 to 0 along 3.5 steps, class 1 is 1.1; edges replicate.
    logits = np.array([[[4, 0]], [[1.1, 1.1]]], np.float32)
    # class 0 at the columns: 4, 4, 3.5, 2.5, 1.5, 0.5, 0, 0
    assert upsample_argmax(logits, (1, 8)).tolist() == [[0, 0, 0, 0, 0, 1, 1, 1]]


def test_a_whole_roi_is_no_roi(kernels: str) -> None:
    logits = smooth_logits(6, 20, 30)
    whole = upsample_argmax(logits, (55, 66), roi_yxhw=(0.0, 0.0, 20.0, 30.0))
    np.testing.assert_array_equal(whole, upsample_argmax(logits, (55, 66)))


@pytest.mark.parametrize("dtype", [np.uint8, np.int32, np.int64])
def test_a_roi_takes_the_pad_off(kernels: str, dtype: type) -> None:
    # A roi at whole pixels, inside the map by more than half a pixel's reach: the crop's own interior.
    logits = smooth_logits(6, 24, 30)
    found = upsample_argmax(logits, (48, 80), roi_yxhw=(4, 5, 16, 20))
    cropped = upsample_argmax(np.ascontiguousarray(logits[:, 4:20, 5:25]), (48, 80))
    np.testing.assert_array_equal(found[3:-3, 4:-4], cropped[3:-3, 4:-4])
    labels = logits.argmax(0).astype(dtype)
    found = label_map_to_image(labels, (48, 80), roi_yxhw=(4, 5, 16, 20))
    np.testing.assert_array_equal(found, np.repeat(np.repeat(labels[4:20, 5:25], 3, axis=0), 4, axis=1))


ROIS = [
    pytest.param((0.5, 1.25, 7.5, 6.25), id="fractions"),
    pytest.param((-3.0, -4.0, 20.0, 25.0), id="beyond-the-map"),
    pytest.param((100.0, 100.0, 5.0, 5.0), id="outside"),
    pytest.param((2.0, 2.0, 0.01, 0.01), id="a-point"),
]


@pytest.mark.parametrize("roi", ROIS)
def test_a_roi_is_read_where_it_lies(kernels: str, roi: tuple[float, float, float, float]) -> None:
    logits = smooth_logits(4, 10, 12)
    height, width = 23, 17
    y = np.clip(roi[0] + (np.arange(height) + 0.5) * roi[2] / height - 0.5, 0, 9)
    x = np.clip(roi[1] + (np.arange(width) + 0.5) * roi[3] / width - 0.5, 0, 11)
    top, left = np.floor(y).astype(int), np.floor(x).astype(int)
    bottom, right = np.minimum(top + 1, 9), np.minimum(left + 1, 11)
    wy, wx = (y - top)[:, None], x - left
    rows = logits[:, top] * (1 - wy) + logits[:, bottom] * wy
    full = rows[:, :, left] * (1 - wx) + rows[:, :, right] * wx
    best_two = np.sort(full, axis=0)[-2:]
    decided = best_two[1] - best_two[0] > 1e-5  # this oracle is in double
    found = upsample_argmax(logits, (height, width), roi_yxhw=roi)
    np.testing.assert_array_equal(found[decided], full.argmax(0)[decided])


# ---- Numbers that are none
# -------------------------------------------------------------------------------------------


@pytest.mark.parametrize("dtype", [np.float32, np.float16])
def test_nan_never_wins(kernels: str, dtype: type) -> None:
    logits = np.zeros((3, 4, 4), dtype)
    logits[1] = NAN
    logits[2] = 1
    assert np.unique(upsample_argmax(logits, (9, 9))).tolist() == [2]
    logits[:] = NAN
    assert upsample_argmax(logits, (9, 9)).max() == 0
    assert upsample_argmax(logits[:1], (9, 9)).max() == 0


def test_one_nan_blinds_its_class_where_it_is_read_even_with_a_weight_of_zero(kernels: str) -> None:
    logits = np.zeros((2, 3, 9), np.float32)
    logits[1] = 1
    logits[1, 1, 4] = NAN
    expected = np.ones((3, 9))
    expected[:2, 3:5] = 0
    np.testing.assert_array_equal(upsample_argmax(logits, (3, 9)), expected)


def test_minus_infinity_masks_a_class(kernels: str) -> None:
    logits = np.zeros((3, 4, 4), np.float32)
    logits[0] = -INF
    logits[2] = -5
    assert np.unique(upsample_argmax(logits, (9, 9))).tolist() == [1]


# ---- Layouts
# ---------------------------------------------------------------------------------------------------------

LAYOUTS = [
    pytest.param(lambda a: np.ascontiguousarray(a[::-1])[::-1], id="classes-backwards"),
    pytest.param(lambda a: np.ascontiguousarray(a[:, ::-1])[:, ::-1], id="rows-backwards"),
    pytest.param(lambda a: np.ascontiguousarray(a[:, :, ::-1])[:, :, ::-1], id="columns-backwards"),
    pytest.param(lambda a: np.ascontiguousarray(a.transpose(1, 2, 0)).transpose(2, 0, 1), id="channels-last"),
    pytest.param(lambda a: np.pad(a, ((0, 0), (2, 1), (3, 2)))[:, 2:-1, 3:-2], id="inside-another"),
    pytest.param(lambda a: np.frombuffer(a.tobytes(), a.dtype).reshape(a.shape), id="read-only"),
    pytest.param(
        lambda a: np.frombuffer(b"x" + a.tobytes(), np.uint8)[1:].view(a.dtype).reshape(a.shape),
        id="unaligned",
    ),
]


@pytest.mark.parametrize("dtype", [np.float32, np.float16])
@pytest.mark.parametrize("arrange", LAYOUTS)
def test_layouts_change_nothing(kernels: str, arrange: Any, dtype: type) -> None:
    logits = smooth_logits(5, 14, 19).astype(dtype)
    arranged = arrange(logits)
    np.testing.assert_array_equal(arranged, logits)
    np.testing.assert_array_equal(upsample_argmax(arranged, (40, 50)), upsample_argmax(logits, (40, 50)))
    labels, arranged_labels = logits.argmax(0).astype(np.int32), arrange((logits * 9).astype(np.int32))[0]
    expected = label_map_to_image(np.ascontiguousarray(arranged_labels), (40, 50))
    np.testing.assert_array_equal(label_map_to_image(arranged_labels, (40, 50)), expected)
    assert label_map_to_image(labels.T, (50, 40)).T.tolist() == label_map_to_image(labels, (40, 50)).tolist()


def test_out_is_written_and_returned_with_its_row_stride(kernels: str) -> None:
    logits = smooth_logits(5, 14, 19)
    frame = np.full((44, 60), 99, np.uint8)
    out = frame[2:42, 5:55]
    assert upsample_argmax(logits, (40, 50), out=out) is out
    np.testing.assert_array_equal(out, upsample_argmax(logits, (40, 50)))
    labels = logits.argmax(0).astype(np.uint8)
    assert label_map_to_image(labels, (40, 50), out=out) is out
    np.testing.assert_array_equal(out, label_map_to_image(labels, (40, 50)))
    frame[2:42, 5:55] = 99
    assert (frame == 99).all()


@pytest.mark.parametrize("rows_apart", [False, True])
@pytest.mark.parametrize(("dtype", "size"), [(np.uint8, (91, 97)), (np.int32, (1801, 1903))])
def test_maps_of_the_images_size_are_copied_however_large(
    kernels: str, dtype: type, size: tuple[int, int], rows_apart: bool
) -> None:
    labels = np.random.default_rng(0).integers(0, 200, size).astype(dtype)
    frame = np.full((size[0], size[1] + rows_apart), 255, dtype)
    out = frame[:, : size[1]]
    label_map_to_image(labels, size, out=out)
    np.testing.assert_array_equal(out, labels)
    assert (frame[:, size[1] :] == 255).all()


# ---- Label maps
# ------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("dtype", [np.uint8, np.int32, np.int64])
@pytest.mark.parametrize("size", [(33, 47), (4, 9), (12, 20), (1, 1), (60, 3)], ids=str)
def test_label_maps_are_torchs_nearest_exact(kernels: str, size: tuple[int, int], dtype: type) -> None:
    labels = np.random.default_rng(2).integers(0, 120, (12, 20)).astype(dtype)
    image = torch.from_numpy(labels.astype(np.float32))[None, None]
    expected = torch.nn.functional.interpolate(image, size, mode="nearest-exact")[0, 0].numpy()
    found = label_map_to_image(labels, size)
    assert found.dtype == dtype
    np.testing.assert_array_equal(found, expected)


def test_a_label_map_of_the_images_size_is_copied(kernels: str) -> None:
    labels = np.arange(12, dtype=np.int64).reshape(3, 4) * 2**40
    found = label_map_to_image(labels, (3, 4))
    np.testing.assert_array_equal(found, labels)
    assert not np.shares_memory(found, labels)


# ---- Native and reference
# --------------------------------------------------------------------------------------------

SPECIAL = np.array([NAN, INF, -INF, 0.0, -0.0, 1e-40, 3e38, -3e38, 1.0], np.float32)


@pytest.mark.usefixtures("each_isa")
@settings(max_examples=150, deadline=None)
@given(st.data())
def test_native_is_reference(data: st.DataObject) -> None:
    rng = np.random.default_rng(data.draw(st.integers(0, 2**32 - 1)))
    sides = st.sampled_from([1, 2, 3, 7, 17, 40, 90])
    shape = (data.draw(st.sampled_from([1, 2, 5, 30, 260])), data.draw(sides), data.draw(sides))
    size = (data.draw(sides), data.draw(sides))
    logits = rng.normal(0, 1, shape).astype(np.float32)
    if data.draw(st.booleans()):  # ties, and regions of one class
        logits = np.round(logits)
        logits[rng.integers(0, shape[0]), : shape[1] // 2] += 3
    special = rng.random(shape) < data.draw(st.sampled_from([0.0, 0.001, 0.05]))
    logits[special] = rng.choice(SPECIAL, int(special.sum()))
    logits *= np.float32(data.draw(st.sampled_from([1.0, 1e-38])))
    with np.errstate(over="ignore"):
        logits = logits.astype(data.draw(st.sampled_from([np.float32, np.float16])))
    roi = (0.0, 0.0, float(shape[1]), float(shape[2]))
    if data.draw(st.booleans()):
        roi = (*rng.uniform(-5, 20, 2), *rng.uniform(0.1, 60, 2))
    dtype = np.uint8 if shape[0] <= 256 else np.int32
    found, expected = (np.full(size, 99, dtype) for _ in range(2))
    native.upsample_argmax(logits, *roi, found)
    reference.upsample_argmax(logits, *roi, expected)
    np.testing.assert_array_equal(found, expected)
    labels = rng.integers(0, 200, shape[1:]).astype(np.uint8)
    found, expected = (np.full(size, 99, np.uint8) for _ in range(2))
    native.resize_labels(labels, *roi, found)
    reference.resize_labels(labels, *roi, expected)
    np.testing.assert_array_equal(found, expected)


@pytest.mark.usefixtures("each_isa")
@pytest.mark.parametrize("shape", [(21, 96, 128), (150, 64, 64)], ids=str)
def test_native_is_reference_on_regions(shape: tuple[int, int, int]) -> None:
    logits = smooth_logits(*shape, seed=3)
    found, expected = (np.full((203, 391), 9, np.uint8) for _ in range(2))
    native.upsample_argmax(logits, 1.5, 0.0, 93.0, 128.0, found)
    reference.upsample_argmax(logits, 1.5, 0.0, 93.0, 128.0, expected)
    np.testing.assert_array_equal(found, expected)


# ---- Errors
# ----------------------------------------------------------------------------------------------------------

LOGITS = np.zeros((3, 4, 5), np.float32)
LABELS = np.zeros((4, 5), np.uint8)
ERRORS = [
    pytest.param(
        lambda: upsample_argmax(LOGITS[None], (8, 8)),
        r"got float32 \(1, 3, 4, 5\); pass logits\[0\]",
        id="batch",
    ),
    pytest.param(
        lambda: upsample_argmax(LABELS, (8, 8)), r"logits must be .* got uint8 \(4, 5\)", id="labels"
    ),
    pytest.param(
        lambda: upsample_argmax(LOGITS[:, :0], (8, 8)), "at least one class, row and column", id="no-rows"
    ),
    pytest.param(lambda: upsample_argmax(LOGITS, (0, 8)), r"image_hw must be .* got \(0, 8\)", id="no-image"),
    pytest.param(lambda: upsample_argmax(LOGITS, (8, 1 << 25)), "image_hw must be", id="huge-image"),
    pytest.param(lambda: upsample_argmax(LOGITS, (8, 8), (0, 0, 0, 5)), "roi_yxhw must be", id="flat-roi"),
    pytest.param(lambda: upsample_argmax(LOGITS, (8, 8), (NAN, 0, 4, 5)), "roi_yxhw must be", id="nan-roi"),
    pytest.param(
        lambda: upsample_argmax(LOGITS, (8, 8), out=LABELS),
        r"out must be writeable uint8 \(8, 8\)",
        id="out-shape",
    ),
    pytest.param(
        lambda: upsample_argmax(LOGITS, (4, 5), out=LABELS.astype(np.int32)), "out must be", id="out-dtype"
    ),
    pytest.param(lambda: upsample_argmax(LOGITS, (5, 4), out=LABELS.T), "contiguous rows", id="out-strides"),
    pytest.param(
        lambda: label_map_to_image(LOGITS[0], (8, 8)),
        "label_map must be uint8, int32 or int64",
        id="float-labels",
    ),
    pytest.param(lambda: label_map_to_image(LABELS[:0], (8, 8)), "at least one row", id="no-labels"),
    pytest.param(
        lambda: label_map_to_image(LABELS, (8, 8), (0, 0, INF, 5)), "roi_yxhw must be", id="infinite-roi"
    ),
]


@pytest.mark.parametrize(("call", "message"), ERRORS)
def test_wrong_arguments_are_named(kernels: str, call: Any, message: str) -> None:
    with pytest.raises(InputError, match=message):
        call()
