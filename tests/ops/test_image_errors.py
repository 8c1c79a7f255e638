"""What image_to_tensor refuses, and what the native function refuses below it."""

from __future__ import annotations

import numpy as np
import pytest

from edgevision.errors import InputError
from edgevision.geometry import Placement, place_image
from edgevision.ops._dispatch import native
from edgevision.ops.image import PixelMap, image_to_tensor, images_to_tensor


def noise(*shape: int, seed: int = 0) -> np.ndarray:
    return np.random.default_rng(seed).integers(0, 256, shape, dtype=np.uint8)


def read_only(array: np.ndarray) -> np.ndarray:
    array.flags.writeable = False
    return array


SHARED = np.zeros((3, 8, 8), np.float32)
ERRORS = [
    # changes to a good call, and what the message says
    ({"source": "yuv"}, "unknown source 'yuv'; accepted: bgr, rgb, bgra, rgba, gray"),
    ({"image": noise(8, 8, 4)}, r"a 'bgr' image must be uint8 \(H, W, 3\), got uint8 \(8, 8, 4\)"),
    ({"image": noise(8, 8)}, r"a 'bgr' image must be uint8 \(H, W, 3\), got uint8 \(8, 8\)"),
    ({"image": noise(8, 8, 3), "source": "bgra"}, r"uint8 \(H, W, 4\), got uint8 \(8, 8, 3\)"),
    ({"image": noise(8, 8, 3), "source": "gray"}, r"uint8 \(H, W\) or \(H, W, 1\), got uint8 \(8, 8, 3\)"),
    ({"image": np.zeros((8, 8, 3))}, r"must be uint8 \(H, W, 3\), got float64 \(8, 8, 3\)"),
    ({"image": [[0]]}, r"must be uint8 \(H, W, 3\), got list"),
    ({"image": np.zeros((0, 8, 3), np.uint8)}, "image sides must be from 1 to 16777216, got 0x8"),
    ({"image": noise(8, 9, 3)}, r"the placement is for an image of \(8, 8\), got one of \(8, 9\)"),
    (
        {"placement": Placement((8, 8), (0, 8), (0, 0), (8, 8))},
        r"resized sides must be from 1 .* got \(0, 8\)",
    ),
    ({"placement": Placement((8, 8), (8, 1 << 25), (0, 0), (8, 8))}, "resized sides must be from 1"),
    ({"placement": Placement((8, 8), (8, 8), (0, 1 << 25), (8, 8))}, "its offsets no larger"),
    ({"placement": Placement((8, 8), (8, 8), (0, 0), (8, 9))}, r"out must be \(3, 8, 9\) for layout 'nchw'"),
    (
        {"placement": Placement((8, 8), (8, 8), (0, 0), (0, 8)), "out": np.zeros((3, 0, 8), np.float32)},
        r"canvas sides must be from 1 to 16777216, got \(0, 8\)",
    ),
    ({"pixels": PixelMap(layout="nhwc")}, r"out must be \(8, 8, 3\) .* got \(3, 8, 8\)"),
    ({"pixels": PixelMap(color="gray")}, r"out must be \(1, 8, 8\) .* got \(3, 8, 8\)"),
    ({"out": np.zeros((3, 8, 8))}, "unknown dtype of out 'float64'; accepted: float32, float16, uint8"),
    ({"out": np.zeros((3, 8, 8), ">f4")}, "native byte order, got >f4"),
    ({"out": [0]}, "out must be a NumPy array in native byte order, got list"),
    ({"out": read_only(np.zeros((3, 8, 8), np.float32))}, "out is read-only"),
    (
        {"out": np.zeros((3, 8, 8), np.uint8)},
        "uint8 tensor .* needs scale 1, mean 0, std 1 .* got scale 0.0039",
    ),
    (
        {"out": np.zeros((3, 8, 8), np.uint8), "pixels": PixelMap(scale=1, pad_value=(0.5, 0, 0))},
        "whole pad values from 0 to 255",
    ),
    (
        {"out": np.zeros((3, 8, 8), np.uint8), "pixels": PixelMap(scale=1, pad_value=(256, 0, 0))},
        "whole pad values from 0 to 255",
    ),
    ({"out": np.zeros((3, 8, 8), np.float16), "pixels": PixelMap(scale=300)}, "beyond the range of float16"),
    ({"pixels": PixelMap(pad_value=(1e300, 0, 0))}, "beyond the range of float32"),
    (
        {"image": SHARED.view(np.uint8).reshape(-1)[:192].reshape(8, 8, 3), "out": SHARED},
        "image and out share memory",
    ),
]


@pytest.mark.parametrize(("changes", "message"), ERRORS, ids=[message[:40] for _, message in ERRORS])
def test_refuses(changes, message) -> None:
    arguments = {
        "image": noise(8, 8, 3),
        "placement": place_image((8, 8), (8, 8)),
        "out": np.zeros((3, 8, 8), np.float32),
        **changes,
    }
    with pytest.raises(InputError, match=message):
        image_to_tensor(**arguments)


@pytest.mark.parametrize(
    ("images", "placements", "shape", "message"),
    [
        (
            1,
            1,
            (3, 8, 8),
            r"out must be a NumPy array \(B, C, H, W\) or \(B, H, W, C\), got float32 \(3, 8, 8\)",
        ),
        (1, 2, (2, 3, 8, 8), "got 1 images, 2 placements and an out for 2"),
        (2, 2, (3, 3, 8, 8), r"got 2 images, 2 placements and an out for 3; pass out\[:2\]"),
    ],
)
def test_batch_refuses(images, placements, shape, message) -> None:
    with pytest.raises(InputError, match=message):
        images_to_tensor(
            [noise(8, 8, 3)] * images, [place_image((8, 8), (8, 8))] * placements, np.zeros(shape, np.float32)
        )


@pytest.mark.skipif(native is None, reason="edgevision._native is not built")
@pytest.mark.parametrize(
    "changes",
    [
        {"image": np.zeros((8, 8, 3), np.int8)},
        {"image": np.zeros((8, 0, 3), np.uint8)},
        {"out": np.zeros((3, 8, 8))},
        {"out": np.zeros((2, 8, 8), np.float32)},
        {"out": np.zeros((8, 8), np.float32)},
        {"out": read_only(np.zeros((3, 8, 8), np.float32))},
        {"table": np.zeros((3, 255), np.float32)},
        {"table": np.zeros((3, 256), np.float16)},
        {"pad": np.zeros(2, np.float32)},
        {"resized_height": 0},
        {"resized_width": 1 << 30},
        {"offset_x": -(1 << 30)},
        {"filter": 4},
        {"order_2": 3},
        {"order_0": -1},
        {"to_gray": True},
    ],
    ids=lambda changes: next(iter(changes)),
)
def test_native_is_safe_whatever_it_is_given(changes) -> None:
    arguments = {
        "image": noise(8, 8, 3), "out": np.zeros((3, 8, 8), np.float32), "table": np.zeros((3, 256), np.float32),
        "pad": np.zeros(3, np.float32), "resized_height": 8, "resized_width": 8, "offset_y": 0, "offset_x": 0,
        "filter": 0, "order_0": 0, "order_1": 1, "order_2": 2, "to_gray": False, "nhwc": False,
    }  # fmt: skip
    native.write_image(**arguments)
    with pytest.raises((TypeError, ValueError)):
        native.write_image(**{**arguments, **changes})
