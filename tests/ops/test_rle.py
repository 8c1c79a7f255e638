"""COCO run lengths: against pycocotools byte for byte, windows, hostile input, native against reference."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest
from hypothesis import example, given, settings
from hypothesis import strategies as st
from hypothesis.extra import numpy as arrays

from edgevision.errors import InputError
from edgevision.ops.rle import decode_rle, encode_rle, rle_area, rle_from_bytes, rle_to_bytes

MASKS = arrays.arrays(np.bool_, st.tuples(st.integers(1, 40), st.integers(1, 40)))


def blobs(height: int, width: int, seed: int = 0) -> np.ndarray:
    """A mask with regions, edges at the border included."""
    rng = np.random.default_rng(seed)
    coarse = rng.random((-(-height // 9), -(-width // 7))) < 0.4
    return coarse.repeat(9, axis=0).repeat(7, axis=1)[:height, :width]


HAND_MADE = [
    # mask, counts down the columns
    pytest.param([[0, 0], [0, 0]], [4], id="nothing"),
    pytest.param([[1, 1], [1, 1]], [0, 4], id="everything"),
    pytest.param([[0, 1], [0, 0]], [2, 1, 1], id="top-right"),
    pytest.param([[0, 1], [1, 1]], [1, 3], id="across-columns"),
    pytest.param([[1, 0, 1]], [0, 1, 1, 1], id="row"),
    pytest.param([[1], [0], [1]], [0, 1, 1, 1], id="column"),
]


@pytest.mark.parametrize(("mask", "counts"), HAND_MADE)
@pytest.mark.parametrize("dtype", [np.bool_, np.uint8])
def test_hand_made_masks(kernels: str, mask: list[list[int]], counts: list[int], dtype: type) -> None:
    pixels = np.array(mask, dtype)
    found = encode_rle(pixels)
    assert (found.dtype, found.tolist()) == (np.uint32, counts)
    decoded = decode_rle(found, pixels.shape)
    assert decoded.dtype == np.bool_
    assert decoded.tolist() == pixels.astype(bool).tolist()
    assert rle_area(found) == np.count_nonzero(pixels)


def test_any_number_but_zero_is_inside(kernels: str) -> None:
    assert encode_rle(np.array([[0, 2, 255, 1]], np.uint8)).tolist() == [1, 3]


def test_an_image_without_pixels(kernels: str) -> None:
    for shape in ((0, 0), (0, 5), (5, 0)):
        counts = encode_rle(np.zeros(shape, np.bool_))
        assert int(counts.sum()) == 0
        assert decode_rle(counts, shape).shape == shape
    assert decode_rle([], (0, 3)).shape == (0, 3)


# ---- Against pycocotools


# pycocotools 2.0 makes its arrays in a way that NumPy 2 warns of.
@pytest.mark.filterwarnings("ignore:__array__ implementation:DeprecationWarning")
@pytest.mark.parametrize("density", [0.0, 0.02, 0.5, 1.0])
@pytest.mark.parametrize("shape", [(1, 1), (1, 70), (70, 1), (33, 65), (64, 64), (130, 257)], ids=str)
def test_it_is_pycocotools_byte_for_byte(kernels: str, shape: tuple[int, int], density: float) -> None:
    coco = pytest.importorskip("pycocotools.mask", reason="pycocotools is not installed")
    noise = np.random.default_rng(1).random(shape) < density
    for mask in (noise, blobs(*shape), ~blobs(*shape)):
        encoded = coco.encode(np.asfortranarray(mask.astype(np.uint8)))
        counts = encode_rle(mask)
        assert rle_to_bytes(counts) == encoded["counts"]
        assert rle_from_bytes(encoded["counts"]).tolist() == counts.tolist()
        assert rle_area(counts) == coco.area(encoded)
        np.testing.assert_array_equal(decode_rle(counts, shape), coco.decode(encoded))
        assert coco.frPyObjects({"counts": counts.tolist(), "size": list(shape)}, *shape) == encoded


def test_large_counts_are_pycocotools(kernels: str) -> None:
    coco = pytest.importorskip("pycocotools.mask", reason="pycocotools is not installed")
    counts = [0, 1, 2**31 - 1, 15, 16, 2**30, 3, 1, 0, 1]
    size = [1, sum(counts)]
    text = coco.frPyObjects({"counts": counts, "size": size}, *size)["counts"]
    assert rle_to_bytes(counts) == text
    assert rle_from_bytes(text).tolist() == counts
    assert rle_from_bytes(text.decode()).tolist() == counts


# ---- Windows

WINDOWS = [
    pytest.param((0, 0, 12, 9), id="whole"),
    pytest.param((3, 2, 8, 7), id="inside"),
    pytest.param((0, 2, 12, 9), id="to-the-bottom"),
    pytest.param((4, 0, 12, 5), id="from-the-top"),
    pytest.param((4, 0, 9, 9), id="full-height"),
    pytest.param((0, 3, 12, 6), id="full-width"),
    pytest.param((11, 8, 12, 9), id="last-pixel"),
    pytest.param((5, 5, 5, 5), id="empty"),
    pytest.param((0, 0, 12, 0), id="no-rows"),
    pytest.param((12, 0, 12, 9), id="no-columns"),
]


@pytest.mark.parametrize("window", WINDOWS)
@pytest.mark.parametrize("density", [0.0, 0.5, 1.0])
def test_a_window_is_its_image(kernels: str, window: tuple[int, int, int, int], density: float) -> None:
    x1, y1, x2, y2 = window
    crop = np.random.default_rng(2).random((y2 - y1, x2 - x1)) < density
    image = np.zeros((9, 12), np.bool_)
    image[y1:y2, x1:x2] = crop
    expected = encode_rle(image).tolist()
    assert encode_rle(crop, window, (9, 12)).tolist() == expected
    assert encode_rle(crop, np.array(window, np.int32), image.shape).tolist() == expected


@pytest.mark.parametrize(
    "arrange",
    [
        pytest.param(lambda a: np.asfortranarray(a), id="columns-first"),
        pytest.param(lambda a: np.ascontiguousarray(a[::-1])[::-1], id="rows-backwards"),
        pytest.param(lambda a: np.ascontiguousarray(a[:, ::-1])[:, ::-1], id="columns-backwards"),
        pytest.param(
            lambda a: np.pad(a, ((2, 1), (3, 5)), constant_values=True)[2:-1, 3:-5], id="inside-another"
        ),
        pytest.param(lambda a: np.frombuffer(a.tobytes(), np.bool_).reshape(a.shape), id="read-only"),
    ],
)
def test_layouts_change_nothing(kernels: str, arrange: Any) -> None:
    mask = blobs(45, 131, seed=3)
    assert encode_rle(arrange(mask)).tolist() == encode_rle(mask).tolist()


# ---- Round trips


@settings(max_examples=100, deadline=None)
@given(MASKS)
def test_masks_survive(mask: np.ndarray) -> None:
    counts = encode_rle(mask)
    assert counts.sum() == mask.size
    assert (counts[1:] > 0).all()
    np.testing.assert_array_equal(decode_rle(counts, mask.shape), mask)


@settings(max_examples=200, deadline=None)
@given(st.lists(st.integers(0, 2**32 - 1), max_size=30))
@example([0, 0, 0, 0])
@example([2**32 - 1, 0, 0, 2**32 - 1, 0, 0])
def test_counts_survive_their_string(counts: list[int]) -> None:
    text = rle_to_bytes(counts)
    assert text.isascii()
    assert rle_from_bytes(text).tolist() == counts


def test_runs_of_length_zero_are_read(kernels: str) -> None:
    assert decode_rle([1, 0, 1, 2, 0, 0, 2], (2, 3)).T.ravel().tolist() == [0, 0, 1, 1, 0, 0]
    assert decode_rle(np.array([0, 0, 0, 6], np.int16), (2, 3)).all()


# ---- Hostile input


@settings(max_examples=300, deadline=None)
@given(st.binary(max_size=24) | st.text("0123456789:;<=>?@PQRSTU_`abno", max_size=24).map(str.encode))
@example(b"o")
@example(b"oooooo0")
@example(b"ooooooo0")
@example(b"P")
@example(b"1Z")
def test_any_bytes_are_counts_or_an_error(text: bytes) -> None:
    try:
        counts = rle_from_bytes(text)
    except InputError:
        return
    assert rle_from_bytes(rle_to_bytes(counts)).tolist() == counts.tolist()


ERRORS = [
    pytest.param(lambda: decode_rle([3], (2, 2)), r"sum to the 4 pixels of 2x2, got 3", id="too-few"),
    pytest.param(lambda: decode_rle([2**32 - 1] * 9, (2, 2)), "sum to the 4 pixels", id="too-many"),
    pytest.param(lambda: decode_rle([5, -1], (2, 2)), r"counts must be 0 to 4294967295, got -1 to 5", id="negative"),
    pytest.param(lambda: decode_rle([2**32 + 4], (2, 2)), "counts must be 0 to", id="beyond-32-bits"),
    pytest.param(lambda: decode_rle([2**70], (2, 2)), "counts must be integers", id="beyond-64-bits"),
    pytest.param(lambda: decode_rle([4.0], (2, 2)), r"integers \(R,\), got float64 \(1,\)", id="floats"),
    pytest.param(lambda: decode_rle([[4]], (2, 2)), r"integers \(R,\), got int64 \(1, 1\)", id="two-dimensions"),
    pytest.param(lambda: decode_rle([[1], [1, 2]], (2, 2)), "counts must be integers", id="ragged"),
    pytest.param(lambda: decode_rle("0123", (2, 2)), "counts must be integers", id="text"),
    pytest.param(lambda: decode_rle([4], (-2, -2)), "0 to 4294967295 pixels, got -2x-2", id="negative-size"),
    pytest.param(lambda: decode_rle([4], (2**20, 2**20)), "pixels, got", id="huge-size"),
    pytest.param(lambda: rle_from_bytes(b"o"), r"not a compressed .* b'o' \(1 bytes\)", id="cut-off"),
    pytest.param(lambda: rle_from_bytes(b"4/"), "not a compressed", id="character-before"),
    pytest.param(lambda: rle_from_bytes("4\u00e9"), "not a compressed", id="not-ascii"),
    pytest.param(lambda: rle_from_bytes(b"O"), "not a compressed", id="below-0"),
    pytest.param(lambda: rle_from_bytes(b"oooooo4"), "not a compressed", id="beyond-32-bits-packed"),
    pytest.param(lambda: rle_from_bytes(b"PPPPPPPPPPPP0"), "not a compressed", id="no-end-in-64-bits"),
    pytest.param(lambda: rle_from_bytes([4]), "bytes or str, got a list", id="no-string"),
    pytest.param(lambda: encode_rle(np.zeros((2, 2))), r"bool or uint8 \(H, W\), got float64 \(2, 2\)", id="float"),
    pytest.param(lambda: encode_rle(np.zeros((1, 2, 2), bool)), r"got bool \(1, 2, 2\)", id="three-dimensions"),
    pytest.param(
        lambda: encode_rle(np.zeros((2, 2), bool), (0, 0, 2, 2)), "a window needs image_hw", id="no-image"
    ),
    pytest.param(
        lambda: encode_rle(np.zeros((2, 2), bool), (0, 0, 2, 3), (5, 5)), "size of its window", id="other-size"
    ),
    pytest.param(
        lambda: encode_rle(np.zeros((2, 2), bool), (4, 0, 6, 2), (5, 5)), "inside the image", id="outside"
    ),
    pytest.param(
        lambda: encode_rle(np.zeros((2, 2), bool), (-1, 0, 1, 2), (5, 5)), "inside the image", id="before"
    ),
    pytest.param(lambda: encode_rle(np.zeros((2, 2), bool), None, (5, 5)), "size of its window", id="smaller"),
]  # fmt: skip


@pytest.mark.parametrize(("call", "message"), ERRORS)
def test_wrong_arguments_are_named(kernels: str, call: Any, message: str) -> None:
    with pytest.raises(InputError, match=message):
        call()
