"""Masks of the image's size: against PyTorch once and twice resized, thresholds, regions, layouts, errors."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest

from edgevision.errors import InputError
from edgevision.geometry import place_image
from edgevision.ops.masks import upsample_argmax, upsample_masks

torch = pytest.importorskip("torch", reason="torch is not installed")

NAN, INF = float("nan"), float("inf")


def interpolate(logits: Any, size: tuple[int, int]) -> Any:
    return torch.nn.functional.interpolate(logits, size, mode="bilinear", align_corners=False)


def smooth_logits(masks: int, height: int, width: int, seed: int = 0) -> np.ndarray:
    """Logits with regions and borders, as a network's: coarse noise, enlarged."""
    coarse = np.random.default_rng(seed).normal(0, 5, (1, masks, 5, 6)).astype(np.float32)
    size = (height, width)
    return torch.nn.functional.interpolate(torch.from_numpy(coarse), size, mode="bicubic")[0].numpy()


def check(found: np.ndarray, full: np.ndarray, threshold: float = 0.0) -> None:
    """`found` is `full` above the threshold, wherever float32 rounding cannot decide, and nearly everywhere."""
    assert found.dtype == np.bool_
    assert found.shape == full.shape
    # torch computes positions and weights in float32: 1e-4 of the logits' magnitude.
    decided = np.abs(full - threshold) > 1e-4 * np.abs(full).max()
    assert decided.mean() > 0.95
    expected = full > threshold
    np.testing.assert_array_equal(found[decided], expected[decided])
    union = np.count_nonzero(found | expected)
    assert np.count_nonzero(found & expected) >= 0.999 * union


SIZES = [
    # logits, image
    pytest.param((3, 32, 24), (77, 130), id="enlarged"),
    pytest.param((2, 40, 40), (40, 40), id="same-size"),
    pytest.param((2, 60, 200), (31, 19), id="shrunk"),
    pytest.param((2, 9, 700), (60, 33), id="one-way-each"),
    pytest.param((2, 7, 6), (1, 1), id="to-one-pixel"),
]


@pytest.mark.parametrize("dtype", [np.float32, np.float16])
@pytest.mark.parametrize("threshold", [0.0, -1.5])
@pytest.mark.parametrize(("shape", "size"), SIZES)
def test_it_is_torchs_interpolation_above_the_threshold(
    kernels: str, shape: tuple[int, int, int], size: tuple[int, int], threshold: float, dtype: type
) -> None:
    for make in (smooth_logits, lambda *shape: np.random.default_rng(1).normal(0, 3, shape)):
        logits = make(*shape).astype(dtype)
        full = interpolate(torch.from_numpy(logits.astype(np.float32))[None], size)[0].numpy()
        check(upsample_masks(logits, size, threshold=threshold), full, threshold)


def twice(
    logits: np.ndarray, via: tuple[int, int], roi: tuple[int, int, int, int], size: tuple[int, int]
) -> Any:
    """To the canvas, the image's part of it, to the image: float32 (K, H, W)."""
    y, x, height, width = roi
    canvas = interpolate(torch.from_numpy(logits.astype(np.float32))[None], via)
    return interpolate(canvas[..., y : y + height, x : x + width], size)[0].numpy()


CANVASES = [
    # logits, canvas, image
    pytest.param((3, 64, 64), (256, 256), (300, 211), id="segment-anything"),
    pytest.param((3, 64, 64), (256, 256), (120, 90), id="image-below-the-canvas"),
    pytest.param((3, 64, 64), (256, 256), (256, 256), id="image-is-the-canvas"),
    pytest.param((3, 64, 64), (256, 256), (200, 600), id="wide"),
    pytest.param((1, 64, 64), (256, 256), (3, 500), id="very-wide"),
    pytest.param((2, 48, 32), (48, 32), (80, 77), id="canvas-of-the-logits-size"),
    pytest.param((2, 64, 80), (20, 24), (90, 50), id="canvas-below-the-logits"),
    pytest.param((2, 33, 17), (100, 70), (151, 53), id="no-whole-factor"),
]


@pytest.mark.parametrize("dtype", [np.float32, np.float16])
@pytest.mark.parametrize(("shape", "via", "size"), CANVASES)
def test_by_way_of_a_canvas_it_is_torchs_two_interpolations(
    kernels: str, shape: tuple[int, int, int], via: tuple[int, int], size: tuple[int, int], dtype: type
) -> None:
    logits = smooth_logits(*shape).astype(dtype)
    placement = place_image(size, via, mode="longest_side_pad", pad_placement="bottom_right")
    roi = (*placement.offset_yx, *placement.resized_hw)
    found = upsample_masks(logits, size, roi, via_hw=via)
    full = twice(logits, via, roi, size)
    if full.size > 1000:
        check(found, full)
    whole = upsample_masks(logits, size, via_hw=via)
    check(whole, twice(logits, via, (0, 0, *via), size))


def test_a_roi_anywhere_in_the_canvas(kernels: str) -> None:
    logits = smooth_logits(2, 64, 64, seed=4)
    for roi in ((17, 30, 101, 99), (255, 0, 1, 256), (3, 3, 7, 250)):
        check(
            upsample_masks(logits, (130, 140), roi, via_hw=(256, 256)),
            twice(logits, (256, 256), roi, (130, 140)),
        )


def test_a_roi_without_a_canvas_is_upsample_argmaxs(kernels: str) -> None:
    logits = smooth_logits(3, 20, 30)
    for roi in (None, (2.5, 3.25, 10.0, 20.5), (-3.0, -4.0, 40.0, 50.0)):
        found = upsample_masks(logits, (55, 66), roi)
        for mask, values in zip(found, logits, strict=True):
            np.testing.assert_array_equal(mask, upsample_argmax(values[None], (55, 66), roi))


# ---- Numbers that are none, ties, nothing


@pytest.mark.parametrize("via", [None, (8, 8)])
@pytest.mark.parametrize("dtype", [np.float32, np.float16])
def test_flat_maps_and_numbers_that_are_none(kernels: str, dtype: type, via: tuple[int, int] | None) -> None:
    values = np.array([0.0, -0.0, 1.0, -1.0, INF, -INF, NAN], dtype)
    logits = np.broadcast_to(values[:, None, None], (7, 4, 4))
    found = upsample_masks(logits, (9, 9), via_hw=via)
    assert [bool(mask.all()) for mask in found] == [False, False, True, False, True, False, False]
    assert [bool(mask.any()) for mask in found] == [False, False, True, False, True, False, False]
    assert upsample_masks(logits[2:3], (3, 3), threshold=1.0).any() == np.False_


def test_no_masks(kernels: str) -> None:
    assert upsample_masks(np.zeros((0, 4, 4), np.float32), (9, 8)).shape == (0, 9, 8)


# ---- Layouts

LAYOUTS = [
    pytest.param(lambda a: np.ascontiguousarray(a[::-1])[::-1], id="masks-backwards"),
    pytest.param(lambda a: np.ascontiguousarray(a[:, ::-1])[:, ::-1], id="rows-backwards"),
    pytest.param(lambda a: np.ascontiguousarray(a.transpose(1, 2, 0)).transpose(2, 0, 1), id="channels-last"),
    pytest.param(lambda a: np.pad(a, ((0, 0), (2, 1), (3, 2)))[:, 2:-1, 3:-2], id="inside-another"),
    pytest.param(
        lambda a: np.frombuffer(b"x" + a.tobytes(), np.uint8)[1:].view(a.dtype).reshape(a.shape),
        id="unaligned",
    ),
]


@pytest.mark.parametrize("via", [None, (32, 32)])
@pytest.mark.parametrize("dtype", [np.float32, np.float16])
@pytest.mark.parametrize("arrange", LAYOUTS)
def test_layouts_change_nothing(kernels: str, arrange: Any, dtype: type, via: tuple[int, int] | None) -> None:
    logits = smooth_logits(3, 14, 19).astype(dtype)
    expected = upsample_masks(logits, (40, 50), via_hw=via)
    np.testing.assert_array_equal(upsample_masks(arrange(logits), (40, 50), via_hw=via), expected)


@pytest.mark.parametrize("dtype", [np.bool_, np.uint8])
def test_out_is_written_and_returned(kernels: str, dtype: type) -> None:
    logits = smooth_logits(3, 14, 19)
    frame = np.full((5, 40, 50), 9, np.uint8).view(dtype)
    out = frame[1:4]
    assert upsample_masks(logits, (40, 50), out=out) is out
    np.testing.assert_array_equal(out, upsample_masks(logits, (40, 50)))
    assert (frame.view(np.uint8)[[0, 4]] == 9).all()


# ---- Errors

LOGITS = np.zeros((3, 4, 5), np.float32)
ERRORS = [
    pytest.param(lambda: upsample_masks(LOGITS[0], (8, 8)), r"logits must be .* got float32 \(4, 5\)", id="one-mask"),
    pytest.param(lambda: upsample_masks(LOGITS[None], (8, 8)), r"pass logits\[0\]", id="batch"),
    pytest.param(lambda: upsample_masks(LOGITS[:, :0], (8, 8)), "at least one row and column", id="no-rows"),
    pytest.param(lambda: upsample_masks(LOGITS, (0, 8)), r"image_hw must be .* got \(0, 8\)", id="no-image"),
    pytest.param(lambda: upsample_masks(LOGITS, (8, 8), via_hw=(8, 0)), r"via_hw must be", id="no-canvas"),
    pytest.param(lambda: upsample_masks(LOGITS, (8, 8), (0, 0, 0, 5)), "roi_yxhw must be", id="flat-roi"),
    pytest.param(
        lambda: upsample_masks(LOGITS, (8, 8), (0, 0, 7.5, 8), via_hw=(8, 8)),
        r"with via_hw=\(8, 8\), roi_yxhw must be whole pixels",
        id="fraction-of-the-canvas",
    ),
    pytest.param(
        lambda: upsample_masks(LOGITS, (8, 8), (1, 0, 8, 8), via_hw=(8, 8)), "inside that canvas", id="outside"
    ),
    pytest.param(lambda: upsample_masks(LOGITS, (8, 8), threshold=NAN), "threshold must be a number", id="nan"),
    pytest.param(lambda: upsample_masks(LOGITS, (8, 8), threshold=1e39), "that float32 holds", id="huge"),
    pytest.param(
        lambda: upsample_masks(LOGITS, (8, 8), out=np.zeros((3, 8, 8), np.float32)),
        r"out must be writeable C-contiguous bool or uint8 \(3, 8, 8\), got float32",
        id="out-dtype",
    ),
    pytest.param(
        lambda: upsample_masks(LOGITS, (8, 8), out=np.zeros((2, 8, 8), bool)), "out must be", id="out-shape"
    ),
    pytest.param(
        lambda: upsample_masks(LOGITS, (8, 8), out=np.zeros((8, 8, 3), bool).T), "C-contiguous", id="out-strides"
    ),
]  # fmt: skip


@pytest.mark.parametrize(("call", "message"), ERRORS)
def test_wrong_arguments_are_named(kernels: str, call: Any, message: str) -> None:
    with pytest.raises(InputError, match=message):
        call()
