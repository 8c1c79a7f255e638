"""Images that keep their size: NumPy's own slices are what they must become, byte for byte."""

from __future__ import annotations

from collections.abc import Iterator

import numpy as np
import pytest
from implementations import ISAS, implementation, use_for_images

from edgevision.geometry import Placement, place_image
from edgevision.ops.image import SOURCES, PixelMap, image_to_tensor
from edgevision.ops.threads import get_num_threads, set_num_threads

GUARD = 67  # odd: what lies between guards is not aligned


@pytest.fixture(params=ISAS)
def _isa(request: pytest.FixtureRequest, monkeypatch: pytest.MonkeyPatch) -> Iterator[None]:
    with implementation(request.param) as module:
        use_for_images(monkeypatch, module)
        yield


pytestmark = pytest.mark.usefixtures("_isa")


def noise(*shape: int) -> np.ndarray:
    return np.random.default_rng(sum(shape)).integers(0, 256, shape, dtype=np.uint8)


def guarded(*shape: int) -> tuple[np.ndarray, np.ndarray]:
    """(memory, an array in the middle of it)."""
    size = int(np.prod(shape))
    memory = np.full(size + 2 * GUARD, 77, np.uint8)
    return memory, memory[GUARD : GUARD + size].reshape(shape)


def luma_of(image: np.ndarray, source: str) -> np.ndarray:
    """BT.601 in 15-bit fixed point: uint8 (H, W, 1)."""
    blue, green, red = (
        image[:, :, channel].astype(int) for channel in ((0, 1, 2) if source[0] == "b" else (2, 1, 0))
    )
    return ((3735 * blue + 19235 * green + 9798 * red + (1 << 14)) >> 15).astype(np.uint8)[:, :, None]


def expected_of(image: np.ndarray, source: str, color: str, layout: str) -> np.ndarray:
    if color == "gray" and source != "gray":
        pixels = luma_of(image, source)
    elif source == "gray":
        pixels = image[:, :, None] if color == "gray" else np.repeat(image[:, :, None], 3, axis=2)
    else:
        pixels = image[:, :, :3] if (source[:3] == color) else image[:, :, 2::-1]
    return pixels if layout == "nhwc" else pixels.transpose(2, 0, 1)


def tensor_shape(height: int, width: int, channels: int, layout: str) -> tuple[int, ...]:
    return (height, width, channels) if layout == "nhwc" else (channels, height, width)


def check(image: np.ndarray, source: str, color: str, layout: str, out: np.ndarray) -> None:
    placement = place_image(image.shape[:2], image.shape[:2])
    pixels = PixelMap(color=color, scale=1, layout=layout)
    image_to_tensor(image, placement, out, source=source, pixels=pixels)
    np.testing.assert_array_equal(out, expected_of(image, source, color, layout))


# About the steps of every instruction set: 5, 20, 16 and 64 pixels, 32 of planes.
WIDTHS = (*range(1, 9), *range(15, 24), 31, 32, 33, 47, 48, 49, 63, 64, 65, 66, 67, 127, 128, 129, 130, 200)


@pytest.mark.parametrize("layout", ["nhwc", "nchw"])
@pytest.mark.parametrize("color", ["rgb", "bgr", "gray"])
@pytest.mark.parametrize("source", ["bgr", "rgb", "bgra", "rgba", "gray"])
def test_rows_of_every_length(source: str, color: str, layout: str) -> None:
    for width in WIDTHS:
        shape = (1, width) if source == "gray" else (1, width, SOURCES[source])
        _, image = guarded(*shape)  # a read behind the last pixel is a matter for the sanitizers
        image[...] = noise(*shape)
        memory, out = guarded(*tensor_shape(1, width, 1 if color == "gray" else 3, layout))
        check(image, source, color, layout, out)
        assert (memory[:GUARD] == 77).all()
        assert (memory[-GUARD:] == 77).all()


@pytest.mark.parametrize("layout", ["nhwc", "nchw"])
@pytest.mark.parametrize("strided", ["image", "out", "both"])
def test_rows_that_do_not_follow_one_another(strided: str, layout: str) -> None:
    image, out = noise(7, 41, 3), np.zeros(tensor_shape(7, 41, 3, layout), np.uint8)
    if strided != "out":
        wide = noise(7, 45, 3)
        wide[:, 2:43] = image
        image = wide[:, 2:43]
    if strided != "image":
        out = np.full(tensor_shape(9, 45, 3, layout), 77, np.uint8)
        out = out[1:8, 2:43] if layout == "nhwc" else out[:, 1:8, 2:43]
    check(image, "bgr", "rgb", layout, out)


@pytest.mark.parametrize("layout", ["nhwc", "nchw"])
def test_rows_of_luma_that_do_not_follow_one_another(layout: str) -> None:
    image = noise(7, 305, 4)[:, 2:303]
    out = np.full(tensor_shape(7, 309, 1, layout), 77, np.uint8)
    check(image, "rgba", "gray", layout, out[:, 3:304] if layout == "nhwc" else out[:, :, 3:304])
    edges = (out[:, :3], out[:, 304:]) if layout == "nhwc" else (out[..., :3], out[..., 304:])
    assert all((edge == 77).all() for edge in edges)


@pytest.mark.parametrize("layout", ["nhwc", "nchw"])
def test_cropped_and_padded(layout: str) -> None:
    image = noise(30, 40, 3)
    placement = Placement((30, 40), (30, 40), (-7, 5), (33, 39))
    pixels = PixelMap(scale=1, layout=layout, pad_value=(1, 2, 3))
    out = np.zeros(tensor_shape(33, 39, 3, layout), np.uint8)
    image_to_tensor(image, placement, out, pixels=pixels)
    expected = np.empty((33, 39, 3), np.uint8)
    expected[...] = (1, 2, 3)
    expected[:23, 5:] = image[7:, :34, ::-1]
    np.testing.assert_array_equal(out, expected if layout == "nhwc" else expected.transpose(2, 0, 1))


# Results of 12 MiB and more are written past the caches, planes where they are aligned alike.
LARGE = [
    pytest.param("gray", "gray", "nchw", (4103, 4099), id="gray"),
    pytest.param("bgr", "gray", "nchw", (4103, 4099), id="luma"),
    pytest.param("bgr", "rgb", "nhwc", (2401, 2399), id="turned"),
    pytest.param("bgr", "bgr", "nhwc", (2401, 2399), id="kept"),
    pytest.param("bgra", "rgb", "nhwc", (2401, 2399), id="four-bytes"),
    pytest.param("bgr", "rgb", "nchw", (2401, 2399), id="planes"),
    pytest.param("bgr", "rgb", "nchw", (2402, 2400), id="planes-aligned-alike"),
    pytest.param("rgb", "rgb", "nchw", (2402, 2400), id="planes-in-order"),
]


@pytest.mark.parametrize(("source", "color", "layout", "size"), LARGE)
@pytest.mark.parametrize("threads", [1, 3])
def test_large(source: str, color: str, layout: str, size: tuple[int, int], threads: int) -> None:
    image = noise(*size) if source == "gray" else noise(*size, SOURCES[source])
    memory, out = guarded(*tensor_shape(*size, 1 if color == "gray" else 3, layout))
    before = get_num_threads()
    try:
        set_num_threads(threads)
        check(image, source, color, layout, out)
    finally:
        set_num_threads(before)
    assert (memory[:GUARD] == 77).all()
    assert (memory[-GUARD:] == 77).all()


@pytest.mark.parametrize("layout", ["nhwc", "nchw"])
def test_large_with_rows_apart(layout: str) -> None:
    """Each row begins and ends within a cache line that is not its own."""
    image = noise(2400, 2410, 3)[:, 5:2404]
    out = np.full(tensor_shape(2400, 2406, 3, layout), 77, np.uint8)
    inner = out[:, 3:2402] if layout == "nhwc" else out[:, :, 3:2402]
    check(image, "bgr", "rgb", layout, inner)
    edges = (out[:, :3], out[:, 2402:]) if layout == "nhwc" else (out[..., :3], out[..., 2402:])
    assert all((edge == 77).all() for edge in edges)
