"""image_to_tensor: placement, colours, strides, threads. What the filters compute: test_image_filters; what
pixel values become: test_pixel_map."""

from __future__ import annotations

import itertools
import threading
from collections.abc import Iterator

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from implementations import IMPLEMENTATIONS, implementation, use_for_images

from edgevision.geometry import Placement, place_image
from edgevision.ops._dispatch import native
from edgevision.ops.image import (
    COLORS,
    DTYPES,
    FILTERS,
    LAYOUTS,
    SOURCES,
    PixelMap,
    image_to_tensor,
    images_to_tensor,
)
from edgevision.ops.threads import get_num_threads, set_num_threads


@pytest.fixture(params=IMPLEMENTATIONS)
def write(request: pytest.FixtureRequest, monkeypatch: pytest.MonkeyPatch) -> Iterator[str]:
    """Makes image_to_tensor use one implementation."""
    with implementation(request.param) as module:
        use_for_images(monkeypatch, module)
        yield request.param


def noise(*shape: int, seed: int = 0) -> np.ndarray:
    return np.random.default_rng(seed).integers(0, 256, shape, dtype=np.uint8)


# ---- Placement ------------------------------------------------------------------------------------------------------

PLACEMENTS = [
    # resized size, offset, canvas of an image of 4x6
    pytest.param((4, 6), (0, 0), (4, 6), id="as-it-is"),
    pytest.param((4, 6), (2, 3), (9, 12), id="padded-around"),
    pytest.param((4, 6), (-1, -2), (2, 3), id="cropped-around"),
    pytest.param((4, 6), (-1, 1), (2, 8), id="cropped-one-way-padded-the-other"),
    pytest.param((4, 6), (2, 3), (4, 6), id="beyond-the-bottom-right"),
    pytest.param((4, 6), (-3, -5), (4, 6), id="one-pixel-at-the-top-left"),
    pytest.param((4, 6), (4, 0), (4, 6), id="below-the-canvas"),
    pytest.param((4, 6), (0, -6), (4, 6), id="left-of-the-canvas"),
    pytest.param((4, 6), (-100, 100), (1, 1), id="far-away"),
]


@pytest.mark.parametrize("filter", FILTERS)
@pytest.mark.parametrize(("resized", "offset", "canvas"), PLACEMENTS)
def test_lays_the_image_on_the_canvas(write, resized, offset, canvas, filter) -> None:
    image = noise(4, 6, 3)
    expected = np.empty((*canvas, 3), np.uint8)
    for y, x in itertools.product(range(canvas[0]), range(canvas[1])):
        inside = 0 <= y - offset[0] < 4 and 0 <= x - offset[1] < 6
        expected[y, x] = image[y - offset[0], x - offset[1]] if inside else (1, 2, 3)
    pixels = PixelMap(color="bgr", scale=1, layout="nhwc", filter=filter, pad_value=(1, 2, 3))
    out = image_to_tensor(
        image, Placement((4, 6), resized, offset, canvas), np.full((*canvas, 3), 77, np.uint8), pixels=pixels
    )
    np.testing.assert_array_equal(out, expected)


@pytest.mark.parametrize("filter", FILTERS)
def test_a_crop_is_a_window_of_the_whole(write, filter) -> None:
    image, pixels = noise(33, 47, 3), PixelMap(filter=filter)
    whole = image_to_tensor(
        image,
        Placement((33, 47), (61, 29), (0, 0), (61, 29)),
        np.empty((3, 61, 29), np.float32),
        pixels=pixels,
    )
    window = image_to_tensor(
        image,
        Placement((33, 47), (61, 29), (-13, -5), (20, 17)),
        np.empty((3, 20, 17), np.float32),
        pixels=pixels,
    )
    np.testing.assert_array_equal(window, whole[:, 13:33, 5:22])


def test_returns_out(write) -> None:
    out = np.empty((3, 4, 6), np.float32)
    assert image_to_tensor(noise(4, 6, 3), Placement((4, 6), (4, 6), (0, 0), (4, 6)), out) is out


# ---- Colour ---------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("layout", LAYOUTS)
@pytest.mark.parametrize("color", COLORS)
@pytest.mark.parametrize("source", SOURCES)
def test_orders_channels(write, source, color, layout) -> None:
    blue, green, red, alpha = 10, 100, 200, 7
    by_name = {"b": blue, "g": green, "r": red, "a": alpha}
    image = np.array([[[by_name[name] for name in source]]], np.uint8) if source != "gray" else noise(1, 1, 1)
    if source == "gray":
        expected = [int(image[0, 0, 0])] * (1 if color == "gray" else 3)
    elif color == "gray":
        expected = [round(0.114 * blue + 0.587 * green + 0.299 * red)]
    else:
        expected = [by_name[name] for name in color]
    shape = (1, 1, len(expected)) if layout == "nhwc" else (len(expected), 1, 1)
    out = np.empty(shape, np.uint8)
    pixels = PixelMap(color=color, layout=layout, scale=1)
    image_to_tensor(image, place_image((1, 1), (1, 1)), out, source=source, pixels=pixels)
    assert out.ravel().tolist() == expected


def test_gray_images_may_have_two_dimensions(write) -> None:
    image, placement = noise(9, 7), place_image((9, 7), (8, 8))
    outs = [np.empty((3, 8, 8), np.float32) for _ in range(2)]
    image_to_tensor(image, placement, outs[0], source="gray")
    image_to_tensor(image[:, :, None], placement, outs[1], source="gray")
    np.testing.assert_array_equal(outs[0], outs[1])
    np.testing.assert_array_equal(outs[0][0], outs[0][2])


def test_gray_is_opencv_luma_of_every_colour(write) -> None:
    cv2 = pytest.importorskip("cv2")
    # Every 3rd value of each channel and both ends: 86^3 colours.
    values = np.append(np.arange(0, 255, 3), 255).astype(np.uint8)
    image = np.stack(np.meshgrid(values, values, values), axis=-1).reshape(values.size, -1, 3)
    size = image.shape[:2]
    out = np.empty((1, *size), np.uint8)
    image_to_tensor(image, place_image(size, size), out, pixels=PixelMap(color="gray", scale=1))
    np.testing.assert_array_equal(out[0], cv2.cvtColor(image, cv2.COLOR_BGR2GRAY))


# ---- Memory ---------------------------------------------------------------------------------------------------------


def strided_images(image: np.ndarray) -> dict[str, np.ndarray]:
    """The same pixels laid out in memory in many ways."""
    height, width, channels = image.shape
    padded = np.full((height, width + 5, channels), 9, np.uint8)
    padded[:, :width] = image
    spaced = np.full((height * 2, width * 3, channels + 2), 9, np.uint8)
    spaced[::2, ::3, 1 : 1 + channels] = image
    bytes_ = np.zeros(image.size + 1, np.uint8)
    bytes_[1:] = image.ravel()
    read_only = image.copy()
    read_only.flags.writeable = False
    return {
        "padded-rows": padded[:, :width],
        "spaced-pixels": spaced[::2, ::3, 1 : 1 + channels],
        "misaligned": bytes_[1:].reshape(image.shape),
        "planar": np.ascontiguousarray(image.transpose(2, 0, 1)).transpose(1, 2, 0),
        "column-major": np.asfortranarray(image),
        "flipped-rows": image[::-1].copy()[::-1],
        "flipped-columns": image[:, ::-1].copy()[:, ::-1],
        "reversed-channels": image[:, :, ::-1].copy()[:, :, ::-1],
        "rotated": np.rot90(np.rot90(image).copy(), -1),
        "read-only": read_only,
    }


@pytest.mark.parametrize("filter", FILTERS)
@pytest.mark.parametrize("color", ["rgb", "gray"])
@pytest.mark.parametrize("way", strided_images(noise(2, 2, 3)))
def test_honours_the_images_strides(write, way, color, filter) -> None:
    image, placement = noise(23, 31, 3), place_image((23, 31), (17, 19))
    pixels = PixelMap(color=color, filter=filter)
    expected = image_to_tensor(
        image, placement, np.empty((pixels.channels, 17, 19), np.float32), pixels=pixels
    )
    got = image_to_tensor(strided_images(image)[way], placement, np.empty_like(expected), pixels=pixels)
    np.testing.assert_array_equal(got, expected)


@pytest.mark.parametrize("dtype", DTYPES)
@pytest.mark.parametrize("layout", LAYOUTS)
@pytest.mark.parametrize(
    "step", [(1, 1, 1), (2, 1, 1), (1, 2, 1), (1, 1, 2), (1, 1, -1), (-1, -1, -1), (3, -2, 2)], ids=str
)
def test_honours_the_tensors_strides_and_touches_nothing_else(write, step, layout, dtype) -> None:
    image, placement = noise(13, 21, 3), place_image((13, 21), (16, 18))
    pixels = PixelMap(layout=layout, scale=1)
    shape = (16, 18, 3) if layout == "nhwc" else (3, 16, 18)
    expected = image_to_tensor(image, placement, np.empty(shape, dtype), pixels=pixels)
    store = np.full([2 + side * 3 for side in shape], 251, dtype)
    inner = store[1:-1, 1:-1, 1:-1]
    slices = tuple(slice(None, None, s) for s in step)
    view = inner[slices][tuple(slice(0, side) for side in shape)]
    image_to_tensor(image, placement, view, pixels=pixels)
    np.testing.assert_array_equal(view, expected)
    view[...] = 251
    assert (store == 251).all()


def test_accepts_a_tensor_with_misaligned_rows(write) -> None:
    image, placement = noise(8, 8, 3), place_image((8, 8), (8, 8))
    expected = image_to_tensor(image, placement, np.empty((3, 8, 8), np.float32))
    store = np.zeros(3 * 8 * 11 + 1, np.float32)
    view = store[1:].reshape(3, 8, 11)[:, :, 2:10]
    np.testing.assert_array_equal(image_to_tensor(image, placement, view), expected)


def test_writes_into_a_slice_of_a_batch(write) -> None:
    images = [noise(9, 7, 3), noise(20, 31, 3, seed=1), noise(1, 1, 3, seed=2)]
    placements = [place_image(image.shape[:2], (12, 16)) for image in images]
    batch = images_to_tensor(images, placements, np.empty((3, 3, 12, 16), np.float32))
    for image, placement, tensor in zip(images, placements, batch, strict=True):
        np.testing.assert_array_equal(
            tensor, image_to_tensor(image, placement, np.empty((3, 12, 16), np.float32))
        )


def test_threads_do_not_disturb_each_other(write) -> None:
    cases = []
    for seed in range(8):
        image = noise(40 + 9 * seed, 90 - 7 * seed, 3, seed=seed)
        pixels = PixelMap(filter=list(FILTERS)[seed % len(FILTERS)])
        cases.append((image, place_image(image.shape[:2], (48, 64)), pixels))
    expected = [image_to_tensor(i, p, np.empty((3, 48, 64), np.float32), pixels=m) for i, p, m in cases]
    failures: list[int] = []

    def work(index: int) -> None:
        image, placement, pixels = cases[index]
        for _ in range(20):
            out = image_to_tensor(image, placement, np.empty((3, 48, 64), np.float32), pixels=pixels)
            if not np.array_equal(out, expected[index]):
                failures.append(index)

    threads = [threading.Thread(target=work, args=(index,)) for index in range(len(cases))]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert failures == []


@pytest.mark.skipif(native is None, reason="the native extension is not built")
@pytest.mark.usefixtures("each_isa")
@pytest.mark.parametrize("dtype", DTYPES)
@pytest.mark.parametrize("filter", FILTERS)
def test_the_number_of_threads_changes_nothing(filter, dtype) -> None:
    # Large enough for five parts; rows that no part divides evenly, and a border in the first and the last.
    image, placement = noise(203, 307, 3), place_image((203, 307), (1001, 1021))
    pixels, before = PixelMap(filter=filter, scale=1), get_num_threads()
    outs = [np.full((3, 1001, 1021), 99, dtype) for _ in range(3)]
    try:
        for threads, out in zip((1, 2, 5), outs, strict=True):
            set_num_threads(threads)
            image_to_tensor(image, placement, out, pixels=pixels)
    finally:
        set_num_threads(before)
    assert outs[0].tobytes() == outs[1].tobytes() == outs[2].tobytes()


# ---- Native against reference ---------------------------------------------------------------------------------------

steps = st.sampled_from([1, 1, 1, 2, 3, -1, -2])
sizes = st.tuples(st.integers(1, 40), st.integers(1, 97))


@st.composite
def jobs(draw: st.DrawFn) -> tuple[np.ndarray, Placement, np.ndarray, np.ndarray, str, PixelMap]:
    source, color = draw(st.sampled_from(list(SOURCES))), draw(st.sampled_from(COLORS))
    dtype, layout = draw(st.sampled_from(DTYPES)), draw(st.sampled_from(LAYOUTS))
    before, canvas, resized = draw(sizes), draw(sizes), draw(sizes)
    offset = (draw(st.integers(-45, 45)), draw(st.integers(-45, 45)))
    y, x, c = draw(steps), draw(steps), draw(steps)
    rng = np.random.default_rng(draw(st.integers(0, 2**32 - 1)))
    stored = (before[0] * abs(y), before[1] * abs(x), SOURCES[source] * abs(c))
    image = rng.integers(0, 256, stored, dtype=np.uint8)[::y, ::x, ::c]
    numbers = {} if dtype == "uint8" else {"mean": (0.4, 0.5, 0.6), "std": (0.2, 0.3, 0.4)}
    pixels = PixelMap(
        color=color, layout=layout, filter=draw(st.sampled_from(list(FILTERS))),
        scale=1 if dtype == "uint8" else draw(st.sampled_from([1 / 255, 1.0, 0.3])), **numbers,
    )  # fmt: skip
    shape = (*canvas, pixels.channels) if layout == "nhwc" else (pixels.channels, *canvas)
    y, x, c = draw(steps), draw(steps), draw(steps)
    outs = [
        np.full([side * abs(s) for side, s in zip(shape, (y, x, c), strict=True)], 99, dtype)[::y, ::x, ::c]
        for _ in range(2)
    ]
    return image, Placement(before, resized, offset, canvas), outs[0], outs[1], source, pixels


@pytest.mark.usefixtures("each_isa")
@settings(max_examples=400, deadline=None, derandomize=True)
@given(jobs())
def test_native_equals_reference(job) -> None:
    image, placement, first, second, source, pixels = job
    with pytest.MonkeyPatch.context() as patch:
        use_for_images(patch, native)
        image_to_tensor(image, placement, first, source=source, pixels=pixels)
        use_for_images(patch, None)
        image_to_tensor(image, placement, second, source=source, pixels=pixels)
    np.testing.assert_array_equal(first, second)
