"""What image_to_tensor refuses, and what the plans below it refuse."""

from __future__ import annotations

import numpy as np
import pytest

from edgevision.errors import InputError
from edgevision.geometry import Placement, place_image
from edgevision.ops._dispatch import native
from edgevision.ops.image import PixelMap, image_to_tensor, images_to_tensor
from edgevision.ops.reference import image_plan as reference


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
    ({"image": [[0]]}, r"must be uint8 \(H, W, 3\), got a list"),
    ({"image": np.zeros((0, 8, 3), np.uint8)}, "an image must have at least one row and column"),
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
    ({"out": [0]}, "out must be a NumPy array in native byte order, got a list"),
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


ARRAYS = {"image": noise(8, 8, 3), "out": np.zeros((3, 8, 8), np.float32)}
PLAN = {
    "image_height": 8, "image_width": 8, "image_channels": 3, "canvas_height": 8, "canvas_width": 8,
    "table": np.zeros((3, 256), np.float32), "pad": np.zeros(3, np.float32), "resized_height": 8, "resized_width": 8,
    "offset_y": 0, "offset_x": 0, "filter": 0, "order_0": 0, "order_1": 1, "order_2": 2, "to_gray": False,
    "nhwc": False,
}  # fmt: skip


@pytest.mark.skipif(native is None, reason="edgevision._native is not built")
@pytest.mark.parametrize(
    "changes",
    [
        {"table": np.zeros((3, 255), np.float32)},
        {"table": np.zeros((3, 256), np.float16)},
        {"table": np.zeros((3, 256))},
        {"pad": np.zeros(2, np.float32)},
        {"pad": np.zeros(1, np.float32)},
        {"image_height": 0},
        {"image_width": 1 << 30},
        {"canvas_height": -8},
        {"canvas_width": 0},
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
def test_native_plan_refuses(changes) -> None:
    assert native.ImagePlan(**PLAN).write(**ARRAYS)
    with pytest.raises((TypeError, ValueError)):
        native.ImagePlan(**{**PLAN, **changes})


@pytest.mark.parametrize("kind", ["native", "reference"])
@pytest.mark.parametrize(
    "changes",
    [
        {"image": np.zeros((8, 8, 3), np.int8)},
        {"image": np.zeros((8, 0, 3), np.uint8)},
        {"image": noise(8, 8)},
        {"image": noise(8, 8, 4)},
        {"image": noise(9, 8, 3)},
        {"image": noise(8, 9, 3)},
        {"image": noise(1, 8, 8, 3)},
        {"image": memoryview(ARRAYS["image"])},
        {"image": bytearray(192)},
        {"image": None},
        {"image": SHARED.view(np.uint8).reshape(-1)[:192].reshape(8, 8, 3), "out": SHARED},
        {"image": SHARED.view(np.uint8).reshape(-1)[191::-1].reshape(8, 8, 3), "out": SHARED[:, ::-1]},
        {"out": np.zeros((3, 8, 8))},
        {"out": np.zeros((3, 8, 8), ">f4")},
        {"out": np.zeros((2, 8, 8), np.float32)},
        {"out": np.zeros((3, 9, 8), np.float32)},
        {"out": np.zeros((3, 8, 9), np.float32)},
        {"out": np.zeros((8, 8, 3), np.float32)},
        {"out": np.zeros((8, 8), np.float32)},
        {"out": read_only(np.zeros((3, 8, 8), np.float32))},
        {"out": memoryview(np.zeros((3, 8, 8), np.float32))},
        {"out": None},
    ],
    ids=lambda changes: "-".join(changes),
)
def test_plans_write_nothing_into_what_does_not_fit(kind, changes) -> None:
    if kind == "native" and native is None:
        pytest.skip("edgevision._native is not built")
    plan = (native if kind == "native" else reference).ImagePlan(**PLAN)
    arrays = {**ARRAYS, **changes}
    before = np.array(arrays["out"])
    assert plan.write(**arrays) is False
    np.testing.assert_array_equal(np.array(arrays["out"]), before)


def test_the_last_plan_serves_no_other_call() -> None:
    """Calls that differ from the one before in one thing only, each against a call of its own."""
    image, pixels = noise(8, 8, 3), PixelMap(scale=1)
    placement = place_image((8, 8), (8, 8))
    calls = [
        {},
        {"source": "rgb"},
        {"out": np.zeros((3, 8, 8), np.uint8)},
        {"pixels": PixelMap(scale=2)},
        {"placement": Placement((8, 8), (8, 8), (3, 0), (8, 8))},
        {},
    ]
    results = []
    for changes in calls:
        arguments = {
            "placement": placement,
            "out": np.zeros((3, 8, 8), np.float32),
            "pixels": pixels,
            **changes,
        }
        results.append(np.array(image_to_tensor(image, **arguments), np.float32))
    expected = np.array(image.transpose(2, 0, 1)[::-1], np.float32)
    np.testing.assert_array_equal(results[0], expected)
    np.testing.assert_array_equal(results[1], expected[::-1])
    np.testing.assert_array_equal(results[2], expected)
    np.testing.assert_array_equal(results[3], expected * 2)
    np.testing.assert_array_equal(results[4][:, 3:], expected[:, :-3])
    assert (results[4][:, :3] == 114).all()
    np.testing.assert_array_equal(results[5], expected)
    with pytest.raises(InputError, match="the placement is for an image of"):
        image_to_tensor(noise(9, 8, 3), placement, np.zeros((3, 8, 8), np.float32), pixels=pixels)


def test_subclasses_of_arrays_are_arrays(tmp_path) -> None:
    image = np.memmap(tmp_path / "image", np.uint8, "w+", shape=(8, 8, 3))
    image[...] = noise(8, 8, 3)
    out = np.memmap(tmp_path / "out", np.float32, "w+", shape=(3, 8, 8))
    placement, pixels = place_image((8, 8), (8, 8)), PixelMap(scale=1)
    assert image_to_tensor(image, placement, out, pixels=pixels) is out
    np.testing.assert_array_equal(out, image.transpose(2, 0, 1)[::-1])
