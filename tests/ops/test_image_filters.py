"""Resized pixels against the libraries whose arithmetic the filters promise: exact equality, both implementations."""

from __future__ import annotations

from collections.abc import Iterator

import numpy as np
import pytest
from implementations import IMPLEMENTATIONS, implementation, use_for_images

from edgevision.geometry import Placement, place_image
from edgevision.ops.image import PixelMap, image_to_tensor

cv2 = pytest.importorskip("cv2")
pil = pytest.importorskip("PIL.Image")

CV2_FILTERS = {"linear": cv2.INTER_LINEAR, "nearest": cv2.INTER_NEAREST}
PILLOW_FILTERS = {"bilinear_antialias": pil.Resampling.BILINEAR, "bicubic_antialias": pil.Resampling.BICUBIC}

SPECIAL_SIZES = [
    # (height, width) before, after
    pytest.param((37, 53), (37, 53), id="identity"),
    pytest.param((37, 53), (37, 20), id="width-only"),
    pytest.param((37, 53), (20, 53), id="height-only"),
    pytest.param((64, 96), (32, 48), id="exact-half"),  # OpenCV turns this one into area averaging
    pytest.param((64, 96), (16, 24), id="exact-quarter"),
    pytest.param((63, 96), (21, 32), id="exact-third"),
    pytest.param((20, 30), (40, 60), id="exact-double"),
    pytest.param((1, 1), (1, 1), id="pixel-to-pixel"),
    pytest.param((1, 1), (9, 13), id="pixel-to-image"),
    pytest.param((9, 13), (1, 1), id="image-to-pixel"),
    pytest.param((1, 40), (7, 15), id="row"),
    pytest.param((40, 1), (15, 7), id="column"),
    pytest.param((2, 2), (31, 33), id="two-by-two-enlarged"),
    # Column 4917's two rounded weights add up to 2047, which must not show: at an edge one pixel takes all.
    pytest.param((64, 1), (150, 5463), id="weights-that-miss-one"),
    pytest.param((300, 3), (2, 100), id="squeezed-one-way-stretched-the-other"),
    pytest.param((480, 640), (479, 639), id="one-pixel-less"),
    pytest.param((1080, 1920), (360, 640), id="1080p-to-640"),
    pytest.param((720, 1280), (227, 405), id="720p-ragged"),
]


@pytest.fixture(params=IMPLEMENTATIONS, autouse=True)
def _implementation(request: pytest.FixtureRequest, monkeypatch: pytest.MonkeyPatch) -> Iterator[None]:
    with implementation(request.param) as module:
        use_for_images(monkeypatch, module)
        yield


def resize(image: np.ndarray, size_hw: tuple[int, int], filter: str) -> np.ndarray:
    """The resized BGR pixels, by way of a uint8 NHWC tensor."""
    placement = Placement(image.shape[:2], size_hw, (0, 0), size_hw)
    pixels = PixelMap(color="bgr", filter=filter, scale=1, layout="nhwc")
    return image_to_tensor(image, placement, np.empty((*size_hw, 3), np.uint8), pixels=pixels)


def resize_cv2(image: np.ndarray, size_hw: tuple[int, int], filter: str) -> np.ndarray:
    return cv2.resize(image, size_hw[::-1], interpolation=CV2_FILTERS[filter])


def resize_pillow(image: np.ndarray, size_hw: tuple[int, int], filter: str) -> np.ndarray:
    """Width first, then height: what one call did up to Pillow 12, and what Pillow 13 does unless the image is much
    taller than wide."""
    kind = PILLOW_FILTERS[filter]
    narrowed = pil.fromarray(image).resize((size_hw[1], image.shape[0]), kind)
    return np.asarray(narrowed.resize(size_hw[::-1], kind))


def resize_outside(image: np.ndarray, size_hw: tuple[int, int], filter: str) -> np.ndarray:
    return (resize_cv2 if filter in CV2_FILTERS else resize_pillow)(image, size_hw, filter)


def noise(size_hw: tuple[int, int], seed: int = 0) -> np.ndarray:
    """Half of the pixels random, half black or white: cubic kernels overshoot on those."""
    rng = np.random.default_rng(seed)
    image = rng.integers(0, 256, (*size_hw, 3), dtype=np.uint8)
    image[rng.random(size_hw) < 0.25] = 0
    image[rng.random(size_hw) < 0.25] = 255
    return image


@pytest.mark.parametrize("filter", [*CV2_FILTERS, *PILLOW_FILTERS])
@pytest.mark.parametrize(("before", "after"), SPECIAL_SIZES)
def test_equals_the_library_at_special_sizes(before, after, filter) -> None:
    image = noise(before)
    np.testing.assert_array_equal(resize(image, after, filter), resize_outside(image, after, filter))


@pytest.mark.parametrize("filter", [*CV2_FILTERS, *PILLOW_FILTERS])
@pytest.mark.parametrize("largest", [4, 24, 130])
def test_equals_the_library_at_random_sizes(filter, largest) -> None:
    rng = np.random.default_rng(largest)
    for seed in range(120):
        before, after = (tuple(size) for size in rng.integers(1, largest + 1, (2, 2)).tolist())
        image = noise(before, seed)
        np.testing.assert_array_equal(
            resize(image, after, filter), resize_outside(image, after, filter), err_msg=f"{before} to {after}"
        )


@pytest.mark.parametrize("filter", PILLOW_FILTERS)
def test_shortest_side_crop_equals_one_pillow_resize_and_a_crop(filter) -> None:
    rng = np.random.default_rng(5)
    for seed in range(25):
        height, width = rng.integers(60, 240, 2).tolist()
        height = min(height, 2 * width)  # see resize_pillow
        image = noise((height, width), seed)
        placement = place_image((height, width), (48, 56), mode="shortest_side_crop", resize_size=60)
        whole = pil.fromarray(image).resize(placement.resized_hw[::-1], PILLOW_FILTERS[filter])
        top, left = -placement.offset_yx[0], -placement.offset_yx[1]
        pixels = PixelMap(color="bgr", filter=filter, scale=1, layout="nhwc")
        cropped = image_to_tensor(image, placement, np.empty((48, 56, 3), np.uint8), pixels=pixels)
        np.testing.assert_array_equal(cropped, np.asarray(whole)[top : top + 48, left : left + 56])


@pytest.mark.parametrize("filter", [*CV2_FILTERS, *PILLOW_FILTERS])
@pytest.mark.parametrize("name", ["astronaut", "chelsea", "coffee", "rocket"])
def test_equals_the_library_on_photographs(filter, name) -> None:
    image = getattr(pytest.importorskip("skimage.data"), name)()
    size_hw = place_image(image.shape[:2], (224, 224)).resized_hw
    np.testing.assert_array_equal(resize(image, size_hw, filter), resize_outside(image, size_hw, filter))


@pytest.mark.parametrize("filter", CV2_FILTERS)
def test_gray_equals_opencv_gray_then_resize(filter) -> None:
    image = noise((67, 91))
    placement = place_image((67, 91), (40, 48), mode="stretch")
    pixels = PixelMap(color="gray", filter=filter, scale=1)
    out = image_to_tensor(image, placement, np.empty((1, 40, 48), np.uint8), pixels=pixels)
    gray = cv2.cvtColor(image, cv2.COLOR_BGR2GRAY)
    np.testing.assert_array_equal(out[0], resize_cv2(gray, (40, 48), filter))


# What is written to a tensor of 8K stays with the native kernels: the reference's whole-image intermediates would take
# gigabytes.
LARGE_CASES = [
    *(("native", "from", filter) for filter in [*CV2_FILTERS, *PILLOW_FILTERS]),
    *(("native", "to", filter) for filter in [*CV2_FILTERS, *PILLOW_FILTERS]),
    *(("native", "to-pixel", filter) for filter in PILLOW_FILTERS),
    ("native", "tall-to-wide", "bilinear_antialias"),  # a ring of 4320 rows, in tiles
    ("reference", "from", "linear"),
    ("reference", "from", "bilinear_antialias"),
]
LARGE_SIZES = {
    "from": ((4320, 7680), (361, 641)),
    "to": ((101, 180), (4320, 7680)),
    "to-pixel": ((4320, 7680), (1, 1)),
    "tall-to-wide": ((4320, 16), (1, 7680)),
}


@pytest.mark.slow
@pytest.mark.parametrize(("_implementation", "way", "filter"), LARGE_CASES, indirect=["_implementation"])
def test_equals_the_library_at_8k(way, filter) -> None:
    before, after = LARGE_SIZES[way]
    image = noise((min(before[0], 400), min(before[1], 400)))
    image = np.tile(image, (-(-before[0] // image.shape[0]), -(-before[1] // image.shape[1]), 1))
    image = np.ascontiguousarray(image[: before[0], : before[1]])
    np.testing.assert_array_equal(resize(image, after, filter), resize_outside(image, after, filter))
