"""yuv_to_tensor: what yuv_to_bgr and then image_to_tensor give, bit for bit."""

from __future__ import annotations

from collections.abc import Iterator

import numpy as np
import pytest
from frames import frame_of, noise
from hypothesis import given, settings
from hypothesis import strategies as st
from implementations import IMPLEMENTATIONS, implementation, use_for_images

from edgevision.errors import InputError
from edgevision.geometry import Placement, place_image
from edgevision.ops import color
from edgevision.ops._dispatch import native
from edgevision.ops.color import YUV_FORMATS, YUV_MATRICES, YUV_RANGES, yuv_to_bgr
from edgevision.ops.image import image_to_tensor
from edgevision.ops.image_plan import plan_image
from edgevision.ops.pixel_map import COLORS, DTYPES, FILTERS, LAYOUTS, PixelMap
from edgevision.ops.reference import color as reference_color
from edgevision.ops.threads import get_num_threads, set_num_threads
from edgevision.ops.yuv_tensor import yuv_to_tensor


@pytest.fixture(params=IMPLEMENTATIONS)
def write(request: pytest.FixtureRequest, monkeypatch: pytest.MonkeyPatch) -> Iterator[str]:
    """Makes yuv_to_tensor use one implementation; what it is compared with is NumPy's."""
    monkeypatch.setattr(color, "_convert", reference_color.convert_yuv)
    with implementation(request.param) as module:
        use_for_images(monkeypatch, module)
        yield request.param


def tensor_of(placement: Placement, pixels: PixelMap, dtype: str) -> np.ndarray:
    shape = (*placement.canvas_hw, pixels.channels)
    if pixels.layout == "nchw":
        shape = (shape[2], shape[0], shape[1])
    return np.full(shape, 99, dtype)


def check(
    frame, format: str, placement: Placement, pixels: PixelMap, dtype: str = "float32", **options
) -> None:
    """Compares every element with the two steps."""
    with pytest.MonkeyPatch.context() as patch:
        use_for_images(patch, None)
        expected = image_to_tensor(
            yuv_to_bgr(frame, format, **options),
            placement,
            tensor_of(placement, pixels, dtype),
            pixels=pixels,
        )
    out = tensor_of(placement, pixels, dtype)
    assert yuv_to_tensor(frame, format, placement, out, pixels=pixels, **options) is out
    np.testing.assert_array_equal(out, expected)


PLACEMENTS = [
    # frame's size, resized size, offset, canvas
    pytest.param((18, 26), (18, 26), (0, 0), (18, 26), id="as-it-is"),
    pytest.param((18, 26), (30, 44), (3, 2), (36, 48), id="enlarged-and-padded"),
    pytest.param((18, 30), (6, 10), (0, 1), (7, 12), id="each-third-pixel"),
    pytest.param((18, 1926), (6, 642), (0, 0), (6, 642), id="each-third-pixel-of-long-rows"),
    pytest.param((10, 1090), (2, 218), (0, -3), (3, 214), id="each-fifth-pixel-cropped"),
    pytest.param((64, 98), (33, 51), (-5, -7), (20, 31), id="cropped-from-odd-columns"),
    pytest.param((62, 1030), (13, 515), (0, 0), (13, 515), id="longer-than-a-chunk"),
    pytest.param((6, 1030), (6, 1030), (0, -511), (6, 5), id="across-two-chunks"),
    pytest.param((2, 2), (5, 3), (1, 1), (7, 5), id="one-block"),
    pytest.param((6, 6), (6, 6), (6, 0), (6, 6), id="below-the-canvas"),
]


@pytest.mark.parametrize("filter", FILTERS)
@pytest.mark.parametrize(("size", "resized", "offset", "canvas"), PLACEMENTS)
@pytest.mark.parametrize("format", ["nv12", "yuyv"])
def test_equals_the_two_steps(write, format, size, resized, offset, canvas, filter) -> None:
    placement = Placement(size, resized, offset, canvas)
    check(frame_of(format, *size), format, placement, PixelMap(filter=filter))


@pytest.mark.parametrize("dtype", DTYPES)
@pytest.mark.parametrize("layout", LAYOUTS)
@pytest.mark.parametrize("target", COLORS)
def test_every_kind_of_tensor(write, target, layout, dtype) -> None:
    pixels = PixelMap(color=target, layout=layout, scale=1 if dtype == "uint8" else 1 / 255)
    check(frame_of("nv12", 36, 70), "nv12", place_image((36, 70), (24, 24)), pixels, dtype)


@pytest.mark.parametrize("format", YUV_FORMATS)
@pytest.mark.parametrize("matrix", YUV_MATRICES)
@pytest.mark.parametrize("range", YUV_RANGES)
def test_every_kind_of_frame(write, format, matrix, range) -> None:
    frame = frame_of(format, 34, 66)
    check(frame, format, place_image((34, 66), (24, 24)), PixelMap(), matrix=matrix, range=range)


@pytest.mark.parametrize("format", YUV_FORMATS)
@pytest.mark.parametrize("matrix", YUV_MATRICES)
@pytest.mark.parametrize("range", YUV_RANGES)
@pytest.mark.parametrize("target", COLORS)
def test_single_pixels_of_every_kind_of_frame(write, format, matrix, range, target) -> None:
    placement = Placement((12, 606), (4, 202), (1, -1), (6, 200))
    check(frame_of(format, 12, 606), format, placement, PixelMap(color=target), matrix=matrix, range=range)


def test_planes_with_padded_rows(write) -> None:
    store = noise(40, 80), noise(20, 50, 2)
    check((store[0][:36, 3:73], store[1][:18, 5:40]), "nv12", place_image((36, 70), (32, 32)), PixelMap())
    check(
        (store[0][::-1][:36, 3:73], store[1][::-1][:18, 5:40]),
        "nv21",
        place_image((36, 70), (9, 32)),
        PixelMap(),
    )


def test_writes_one_of_a_batch_and_nothing_else(write) -> None:
    frame, placement = frame_of("nv12", 36, 70), place_image((36, 70), (24, 24))
    batch = np.full((3, 3, 24, 24), 7, np.float32)
    yuv_to_tensor(frame, "nv12", placement, batch[1])
    assert (batch[[0, 2]] == 7).all()
    expected = image_to_tensor(yuv_to_bgr(frame), placement, np.empty((3, 24, 24), np.float32))
    np.testing.assert_array_equal(batch[1], expected)


@pytest.mark.usefixtures("each_isa")
@settings(max_examples=60, deadline=None, derandomize=True)
@given(data=st.data())
def test_native_equals_reference(data) -> None:
    format = data.draw(st.sampled_from(YUV_FORMATS))
    size = tuple(2 * data.draw(st.integers(1, 60)) for _ in range(2))
    resized, canvas = (tuple(data.draw(st.integers(1, 80)) for _ in range(2)) for _ in range(2))
    offset = tuple(data.draw(st.integers(-40, 20)) for _ in range(2))
    pixels = PixelMap(
        filter=data.draw(st.sampled_from(list(FILTERS))), color=data.draw(st.sampled_from(COLORS))
    )
    frame = frame_of(format, *size, seed=data.draw(st.integers(0, 99)))
    placement = Placement(size, resized, offset, canvas)
    results = []
    for module in (native, None):
        with pytest.MonkeyPatch.context() as patch:
            use_for_images(patch, module)
            results.append(
                yuv_to_tensor(
                    frame, format, placement, tensor_of(placement, pixels, "float32"), pixels=pixels
                )
            )
    np.testing.assert_array_equal(results[0], results[1])


@pytest.mark.usefixtures("each_isa")
@pytest.mark.skipif(native is None, reason="edgevision._native is not built")
@pytest.mark.parametrize("filter", FILTERS)
def test_threads_change_nothing(filter) -> None:
    """Large enough to be cut into parts, with a height that they do not divide."""
    frame, placement = frame_of("nv12", 362, 502), place_image((362, 502), (401, 403))
    before, results = get_num_threads(), []
    try:
        for threads in (1, 2, 3):
            set_num_threads(threads)
            out = np.empty((3, 401, 403), np.float32)
            results.append(yuv_to_tensor(frame, "nv12", placement, out, pixels=PixelMap(filter=filter)))
            results.append(
                image_to_tensor(
                    yuv_to_bgr(frame), placement, np.empty_like(out), pixels=PixelMap(filter=filter)
                )
            )
    finally:
        set_num_threads(before)
    for other in results[1:]:
        np.testing.assert_array_equal(other, results[0])


FRAME = noise(6, 4)
OUT = np.zeros((3, 8, 8), np.float32)
ERRORS = [
    ({"format": "rgb24"}, "unknown YUV format 'rgb24'"),
    ({"matrix": "bt2020"}, "unknown matrix 'bt2020'"),
    ({"frame": noise(5, 4)}, "with H and W even"),
    ({"frame": noise(9, 4)}, r"the placement is for an image of \(4, 4\), got one of \(6, 4\)"),
    ({"out": np.zeros((8, 8, 3), np.float32)}, r"out must be \(3, 8, 8\) for layout 'nchw'"),
    ({"out": np.zeros((3, 8, 8))}, "float64"),
    ({"out": None}, "out must be a NumPy array in native byte order"),
    ({"out": np.broadcast_to(np.float32(0), (3, 8, 8))}, "out is read-only"),
]  # fmt: skip


@pytest.mark.parametrize(("changes", "message"), ERRORS, ids=[message[:40] for _, message in ERRORS])
def test_refuses(changes, message) -> None:
    arguments = {"frame": FRAME, "format": "nv12", "placement": place_image((4, 4), (8, 8)), "out": OUT}
    with pytest.raises(InputError, match=message):
        yuv_to_tensor(**{**arguments, **changes})


def test_refuses_an_out_that_shares_memory() -> None:
    store = np.zeros(300, np.uint8)
    out = store[20:212].reshape(3, 8, 8)
    with pytest.raises(InputError, match="frame and out share memory"):
        yuv_to_tensor(
            store[:24].reshape(6, 4), "nv12", place_image((4, 4), (8, 8)), out, pixels=PixelMap(scale=1)
        )


@pytest.mark.skipif(native is None, reason="edgevision._native is not built")
@pytest.mark.parametrize(
    "changes",
    [
        {"u": noise(3, 2), "v": noise(3, 2)},
        {"y": noise(4, 5)},
        {"y": noise(4, 4).astype(np.float32)},
        {"luma": 1 << 30},
        {"luma_offset": 256},
    ],
    ids=lambda changes: next(iter(changes)),
)
def test_native_is_safe_whatever_it_is_given(changes) -> None:
    arguments = {
        "y": noise(4, 4), "u": noise(2, 2), "v": noise(2, 2), "luma_offset": 16, "luma": 1, "red_v": 1, "green_u": 1,
        "green_v": 1, "blue_u": 1, "out": np.zeros((3, 8, 8), np.float32),
    }  # fmt: skip
    plan = plan_image(place_image((4, 4), (8, 8)), PixelMap(), "bgr", np.dtype(np.float32))
    assert plan.write_yuv(**arguments)
    with pytest.raises((TypeError, ValueError)):
        plan.write_yuv(**{**arguments, **changes})
