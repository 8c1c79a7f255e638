from __future__ import annotations

from collections.abc import Iterator

import numpy as np
import pytest
from frames import PLANAR, frame_of, noise
from hypothesis import given, settings
from hypothesis import strategies as st
from implementations import IMPLEMENTATIONS, implementation

from edgevision.errors import InputError
from edgevision.ops import color as ops
from edgevision.ops._dispatch import native
from edgevision.ops.color import YUV_FORMATS, YUV_MATRICES, YUV_RANGES, yuv_to_bgr, yuv_to_rgb
from edgevision.ops.reference import color as reference
from edgevision.ops.threads import get_num_threads, set_num_threads

CV2_NAMES = {"nv12": "NV12", "nv21": "NV21", "i420": "I420", "yv12": "YV12", "yuyv": "YUY2", "uyvy": "UYVY"}


@pytest.fixture(params=IMPLEMENTATIONS)
def convert(request: pytest.FixtureRequest, monkeypatch: pytest.MonkeyPatch) -> Iterator[str]:
    """Makes the conversions use one implementation."""
    with implementation(request.param) as module:
        monkeypatch.setattr(ops, "_convert", (module or reference).convert_yuv)
        yield request.param


def planes_of(frame: np.ndarray, format: str) -> tuple[np.ndarray, ...]:
    """A 4:2:0 buffer's planes, copied into rows that are padded."""
    height, width = frame.shape[0] // 3 * 2, frame.shape[1]
    half = (height // 2, width // 2)
    planes = [frame[:height]]
    if format in ("nv12", "nv21"):
        planes.append(frame[height:].reshape(*half, 2))
    else:
        planes += list(frame[height:].reshape(2, *half))
    padded = [
        np.full((plane.shape[0], plane.shape[1] + 7, *plane.shape[2:]), 55, np.uint8) for plane in planes
    ]
    for store, plane in zip(padded, planes, strict=True):
        store[:, : plane.shape[1]] = plane
    return tuple(store[:, : plane.shape[1]] for store, plane in zip(padded, planes, strict=True))


# A 2x2 block of one colour: Y, U, V and the red, green, blue it stands for.
COLOURS = [
    pytest.param("bt601", "limited", (16, 128, 128), (0, 0, 0), id="limited-black"),
    pytest.param("bt601", "limited", (235, 128, 128), (255, 255, 255), id="limited-white"),
    pytest.param("bt601", "limited", (81, 90, 240), (254, 0, 0), id="bt601-red"),
    pytest.param("bt709", "limited", (235, 128, 128), (255, 255, 255), id="bt709-white"),
    pytest.param("bt709", "limited", (63, 102, 240), (255, 1, 0), id="bt709-red"),
    pytest.param("bt709", "limited", (173, 42, 26), (0, 255, 1), id="bt709-green"),
    pytest.param("bt601", "full", (0, 128, 128), (0, 0, 0), id="full-black"),
    pytest.param("bt601", "full", (255, 128, 128), (255, 255, 255), id="full-white"),
    pytest.param("bt601", "full", (76, 85, 255), (254, 0, 0), id="jpeg-red"),
    pytest.param("bt709", "full", (128, 128, 128), (128, 128, 128), id="full-gray"),
]


@pytest.mark.parametrize(("matrix", "range", "yuv", "rgb"), COLOURS)
def test_known_colours(convert, matrix, range, yuv, rgb) -> None:
    y, u, v = yuv
    frame = np.array([[y, y], [y, y], [u, v]], np.uint8)
    options = {"matrix": matrix, "range": range}
    assert yuv_to_rgb(frame, **options).reshape(4, 3).tolist() == [list(rgb)] * 4
    assert yuv_to_bgr(frame, **options).reshape(4, 3).tolist() == [list(rgb)[::-1]] * 4


@pytest.mark.parametrize(
    "size", [(2, 2), (2, 6), (6, 2), (64, 98), (30, 254), (30, 256), (30, 258), (18, 1026)], ids=str
)
@pytest.mark.parametrize("format", YUV_FORMATS)
def test_equals_opencv(convert, format, size) -> None:
    cv2 = pytest.importorskip("cv2")
    frame = frame_of(format, *size)
    for to, order in ((yuv_to_bgr, "BGR"), (yuv_to_rgb, "RGB")):
        code = getattr(cv2, f"COLOR_YUV2{order}_{CV2_NAMES[format]}")
        np.testing.assert_array_equal(to(frame, format), cv2.cvtColor(frame, code))


def test_equals_opencv_on_every_luma_with_many_chromas(convert) -> None:
    cv2 = pytest.importorskip("cv2")
    chroma = np.append(np.arange(0, 255, 5), 255).astype(np.uint8)
    u, v = (plane.ravel() for plane in np.meshgrid(chroma, chroma))
    luma = np.repeat(
        np.arange(256, dtype=np.uint8).reshape(128, 2), 2, axis=0
    )  # (256, 2): pairs of rows alike
    frame = np.concatenate([np.tile(luma, (1, u.size)), np.tile(np.stack([u, v], 1).ravel(), (128, 1))])
    np.testing.assert_array_equal(yuv_to_bgr(frame), cv2.cvtColor(frame, cv2.COLOR_YUV2BGR_NV12))


@pytest.mark.usefixtures("each_isa")
@pytest.mark.skipif(native is None, reason="edgevision._native is not built")
@pytest.mark.parametrize("range", YUV_RANGES)
@pytest.mark.parametrize("matrix", YUV_MATRICES)
def test_equals_the_reference_on_every_pair_of_luma_and_chroma(matrix, range, monkeypatch) -> None:
    """Red depends on Y and V alone, blue on Y and U: all 256 x 256 pairs of each, U = V in half of the frame."""
    chroma = np.arange(256, dtype=np.uint8)
    y = np.repeat(np.arange(256, dtype=np.uint8)[:, None], 1024, axis=1)
    u, v = (
        np.tile(np.concatenate([chroma, chroma[::-1]]), (256, 1)),
        np.tile(np.concatenate([chroma] * 2), (256, 1)),
    )
    packed = np.stack([y, np.stack([u, v], 2).reshape(256, 1024)], 2)
    results = []
    for module in (native, reference):
        monkeypatch.setattr(ops, "_convert", module.convert_yuv)
        results.append(yuv_to_bgr(packed, "yuyv", matrix=matrix, range=range))
    np.testing.assert_array_equal(results[0], results[1])


@pytest.mark.parametrize("range", YUV_RANGES)
@pytest.mark.parametrize("matrix", YUV_MATRICES)
def test_is_within_1_of_the_real_valued_formula(convert, matrix, range) -> None:
    """R = Y + 2 (1 - Kr) V, B = Y + 2 (1 - Kb) U, and Y = Kr R + Kg G + Kb B, on normalised Y, U, V."""
    frame = noise(96, 512)
    red, blue = YUV_MATRICES[matrix]
    y, uv = frame[:64].astype(np.float64), frame[64:].reshape(32, 256, 2).astype(np.float64)
    u, v = (plane.repeat(2, 0).repeat(2, 1) - 128 for plane in (uv[..., 0], uv[..., 1]))
    if range == "limited":
        y, u, v = np.maximum(y - 16, 0) / 219, u / 224, v / 224
    else:
        y, u, v = y / 255, u / 255, v / 255
    r, b = y + 2 * (1 - red) * v, y + 2 * (1 - blue) * u
    g = (y - red * r - blue * b) / (1 - red - blue)
    real = np.clip(np.stack([r, g, b], -1) * 255, 0, 255)
    pixels = yuv_to_rgb(frame, matrix=matrix, range=range)
    assert np.abs(pixels - np.rint(real)).max() <= 1
    if (matrix, range) != ("bt601", "limited"):
        # Half for the rounding, and half of 2^-20 for each coefficient, times a luma of 255 and two chromas of 128.
        # (OpenCV's BT.601 constants have but three decimals.)
        assert np.abs(pixels - real).max() <= 0.5 + 2.0**-21 * (255 + 2 * 128)


@pytest.mark.parametrize("format", PLANAR)
def test_planes_give_what_their_buffer_gives(convert, format) -> None:
    frame = frame_of(format, 18, 26)
    expected = yuv_to_bgr(frame, format)
    np.testing.assert_array_equal(yuv_to_bgr(planes_of(frame, format), format), expected)
    np.testing.assert_array_equal(yuv_to_bgr(list(planes_of(frame, format)), format), expected)


@pytest.mark.parametrize("format", ["nv12", "nv21", "yuyv", "uyvy"])
def test_honours_the_frames_strides(convert, format) -> None:
    frame = frame_of(format, 18, 26)
    expected = yuv_to_bgr(frame, format)
    wide = np.full((frame.shape[0], frame.shape[1] + 6, *frame.shape[2:]), 55, np.uint8)
    wide[:, : frame.shape[1]] = frame
    np.testing.assert_array_equal(yuv_to_bgr(wide[:, : frame.shape[1]], format), expected)
    np.testing.assert_array_equal(yuv_to_bgr(frame[::-1].copy()[::-1], format), expected)
    frame.flags.writeable = False
    np.testing.assert_array_equal(yuv_to_bgr(frame, format), expected)


def test_honours_the_outputs_strides_and_touches_nothing_else(convert) -> None:
    frame = frame_of("nv12", 6, 300)
    expected = yuv_to_bgr(frame)
    for slices in ((1, 1, 1), (2, 1, 1), (1, 2, 1), (1, 1, 2), (-1, -1, -1), (1, 1, -1)):
        store = np.full((14, 602, 8), 55, np.uint8)
        out = store[1:-1, 1:-1, 1:-1][tuple(slice(None, None, step) for step in slices)][:6, :300, :3]
        assert yuv_to_bgr(frame, out=out) is out
        np.testing.assert_array_equal(out, expected)
        out[...] = 55
        assert (store == 55).all()


@pytest.mark.usefixtures("each_isa")
@settings(max_examples=200, deadline=None, derandomize=True)
@given(
    format=st.sampled_from(YUV_FORMATS), matrix=st.sampled_from(list(YUV_MATRICES)),
    range=st.sampled_from(YUV_RANGES), height=st.integers(1, 20), width=st.integers(1, 300), seed=st.integers(0, 999),
)  # fmt: skip
def test_native_equals_reference(format, matrix, range, height, width, seed) -> None:
    frame = frame_of(format, height * 2, width * 2, seed)
    results = []
    for module in (native, reference):
        with pytest.MonkeyPatch.context() as patch:
            patch.setattr(ops, "_convert", module.convert_yuv)
            results.append(yuv_to_rgb(frame, format, matrix=matrix, range=range))
    np.testing.assert_array_equal(results[0], results[1])


def read_only(array: np.ndarray) -> np.ndarray:
    array.flags.writeable = False
    return array


FRAME = noise(6, 4)
ERRORS = [
    ({"format": "rgb24"}, "unknown YUV format 'rgb24'; accepted: nv12, nv21, i420, yv12, yuyv, uyvy"),
    ({"matrix": "bt2020"}, "unknown matrix 'bt2020' or range 'limited'; accepted: matrix bt601, bt709, range limited"),
    ({"range": "tv"}, "unknown matrix 'bt601' or range 'tv'"),
    ({"frame": noise(5, 4)}, r"\(H \* 3/2, W\) with H and W even .* got uint8 \(5, 4\); crop the frame"),
    ({"frame": noise(6, 5)}, "with H and W even"),
    ({"frame": noise(6, 4, 1)}, "with H and W even"),
    ({"frame": noise(0, 4)}, "with H and W even"),
    ({"frame": noise(6, 0)}, "with H and W even"),
    ({"frame": np.zeros((6, 4), np.int8)}, r"must be of uint8 NumPy arrays, got int8 \(6, 4\)"),
    ({"frame": [[1, 2], [3, 4]]}, "must be of uint8 NumPy arrays, got list, list"),
    ({"frame": ()}, "must be of uint8 NumPy arrays, got an empty sequence"),
    ({"frame": (noise(4, 4), noise(2, 2))}, r"nv12 planes must be \(H, W\) and \(H/2, W/2, 2\) .* uint8 \(2, 2\)"),
    ({"frame": (noise(3, 4), noise(1, 2, 2))}, "with H and W even, got"),
    ({"frame": (noise(4, 4), noise(2, 2)), "format": "i420"}, r"must be \(H, W\), \(H/2, W/2\) and \(H/2, W/2\)"),
    ({"frame": (noise(4, 4), noise(2, 2), noise(2, 1)), "format": "yv12"}, "yv12 planes must be"),
    ({"frame": noise(6, 8)[:, :4], "format": "i420"}, r"must be contiguous, .* pass the planes \(y, u, v\)"),
    ({"frame": noise(6, 8)[:, :4], "format": "yv12"}, r"must be contiguous, .* pass the planes \(y, v, u\)"),
    ({"frame": noise(4, 3, 2), "format": "yuyv"}, r"one array \(H, W, 2\) with an even W .* got uint8 \(4, 3, 2\)"),
    ({"frame": noise(4, 4), "format": "uyvy"}, r"one array \(H, W, 2\)"),
    ({"frame": (noise(4, 4, 2), noise(4, 4, 2)), "format": "uyvy"}, r"one array \(H, W, 2\)"),
    ({"out": np.zeros((4, 4, 4), np.uint8)}, r"out must be uint8 \(4, 4, 3\), got uint8 \(4, 4, 4\)"),
    ({"out": np.zeros((4, 4, 3))}, "out must be uint8"),
    ({"out": [1]}, "out must be uint8 .* got list"),
    ({"out": read_only(np.zeros((4, 4, 3), np.uint8))}, "out is read-only"),
]  # fmt: skip


@pytest.mark.parametrize(("changes", "message"), ERRORS, ids=[message[:40] for _, message in ERRORS])
def test_refuses(changes, message) -> None:
    with pytest.raises(InputError, match=message):
        yuv_to_bgr(**{"frame": FRAME, **changes})


def test_odd_luma_height_is_refused_for_a_buffer() -> None:
    # 9 rows would be a luma of 6 and a chroma of 3; 3 rows a luma of 2 and a chroma of 1. Only H even divides so.
    assert yuv_to_bgr(noise(9, 4)).shape == (6, 4, 3)
    with pytest.raises(InputError, match="crop the frame to even sides"):
        yuv_to_bgr(noise(10, 4))


def test_refuses_an_out_that_shares_memory() -> None:
    store = np.zeros(200, np.uint8)
    with pytest.raises(InputError, match="share memory"):
        yuv_to_bgr(store[:24].reshape(6, 4), out=store[20:68].reshape(4, 4, 3))


@pytest.mark.usefixtures("each_isa")
@pytest.mark.skipif(native is None, reason="edgevision._native is not built")
@pytest.mark.parametrize("format", ["nv12", "yuyv"])
def test_threads_change_nothing(format) -> None:
    """Large enough to be cut into parts, with a height that they do not divide."""
    frame = frame_of(format, 1030, 770)
    before, results = get_num_threads(), []
    try:
        for threads in (1, 2, 3):
            set_num_threads(threads)
            results.append(yuv_to_bgr(frame, format))
    finally:
        set_num_threads(before)
    np.testing.assert_array_equal(results[1], results[0])
    np.testing.assert_array_equal(results[2], results[0])


@pytest.mark.skipif(native is None, reason="edgevision._native is not built")
@pytest.mark.parametrize(
    "changes",
    [
        {"u": noise(2, 3)},
        {"u": noise(3, 2), "v": noise(3, 2)},
        {"v": noise(1, 2)},
        {"y": noise(4, 5)},
        {"y": noise(4, 4, 1)},
        {"y": np.zeros((0, 4), np.uint8)},
        {"out": np.zeros((4, 5, 3), np.uint8)},
        {"out": np.zeros((4, 4, 4), np.uint8)},
        {"out": read_only(np.zeros((4, 4, 3), np.uint8))},
        {"luma": 1 << 30},
        {"luma_offset": -1},
    ],
    ids=lambda changes: next(iter(changes)),
)
def test_native_is_safe_whatever_it_is_given(changes) -> None:
    arguments = {
        "y": noise(4, 4), "u": noise(2, 2), "v": noise(2, 2), "out": np.zeros((4, 4, 3), np.uint8),
        "luma_offset": 16, "luma": 1, "red_v": 1, "green_u": 1, "green_v": 1, "blue_u": 1, "rgb": False,
    }  # fmt: skip
    native.convert_yuv(**arguments)
    with pytest.raises((TypeError, ValueError)):
        native.convert_yuv(**{**arguments, **changes})
