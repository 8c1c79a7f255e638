"""What pixel values become in the tensor, against PyTorch's arithmetic."""

from __future__ import annotations

import numpy as np
import pytest
from implementations import use_for_images

from edgevision.errors import InputError
from edgevision.geometry import Placement, place_image
from edgevision.ops._dispatch import native
from edgevision.ops.image import PixelMap, image_to_tensor


@pytest.fixture(params=["native", "reference"])
def write(request: pytest.FixtureRequest, monkeypatch: pytest.MonkeyPatch) -> str:
    """Makes image_to_tensor use one implementation."""
    if request.param == "native" and native is None:
        pytest.skip("edgevision._native is not built")
    use_for_images(monkeypatch, native if request.param == "native" else None)
    return request.param


IMAGENET = {"mean": (0.485, 0.456, 0.406), "std": (0.229, 0.224, 0.225)}


def ramp_through(dtype: str, **options: object) -> np.ndarray:
    """(3, 256): what the 256 pixel values become."""
    image = np.repeat(np.arange(256, dtype=np.uint8)[None, :, None], 3, axis=2)
    out = np.empty((3, 1, 256), dtype)
    return image_to_tensor(image, place_image((1, 256), (1, 256)), out, pixels=PixelMap(**options))[:, 0]


def test_default_is_float32_division_by_255(write) -> None:
    expected = np.arange(256, dtype=np.float32) / np.float32(255)
    assert (ramp_through("float32") == expected).all()
    assert not (np.arange(256, dtype=np.float32) * np.float32(1 / 255) == expected).all(), (
        "so it is no product"
    )


@pytest.mark.parametrize("options", [{}, IMAGENET], ids=["plain", "imagenet"])
def test_equals_pytorch_bit_for_bit(write, options) -> None:
    torch = pytest.importorskip("torch")
    functional = pytest.importorskip("torchvision.transforms.v2.functional")
    values = torch.arange(256, dtype=torch.uint8).expand(3, 1, 256)
    expected = values.float() / 255
    if options:
        expected = functional.normalize(expected, options["mean"], options["std"])
    np.testing.assert_array_equal(ramp_through("float32", **options), expected[:, 0].numpy())
    np.testing.assert_array_equal(ramp_through("float16", **options), expected[:, 0].half().numpy())


@pytest.mark.parametrize(
    ("options", "formula"),
    [
        ({"scale": 1}, lambda p: p),
        ({"scale": 1 / 127.5, "mean": (1, 1, 1)}, lambda p: p / np.float32(127.5) - np.float32(1)),
        ({"scale": 1 / 256}, lambda p: p / np.float32(256)),
        ({"scale": 0.017}, lambda p: p * np.float32(0.017)),
        (
            {"scale": 1, "mean": (123.675,) * 3, "std": (58.395,) * 3},
            lambda p: (p - np.float32(123.675)) / np.float32(58.395),
        ),
    ],
    ids=["as-is", "minus-1-to-1", "power-of-two", "any-scale", "pixel-units"],
)
def test_each_operation_is_rounded_to_float32(write, options, formula) -> None:
    expected = formula(np.arange(256, dtype=np.float32))
    np.testing.assert_array_equal(ramp_through("float32", **options), np.stack([expected] * 3))


def test_mean_std_and_pad_follow_the_tensors_channels(write) -> None:
    image = np.array([[[30, 20, 10]]], np.uint8)  # BGR: red is 10
    placement = Placement((1, 1), (1, 1), (0, 0), (1, 2))
    pixels = PixelMap(scale=1, mean=(1, 2, 3), std=(2, 4, 8), pad_value=(5, 6, 7))
    out = image_to_tensor(image, placement, np.empty((3, 1, 2), np.float32), pixels=pixels)
    assert out[:, 0, 0].tolist() == [9 / 2, 18 / 4, 27 / 8]
    assert out[:, 0, 1].tolist() == [4 / 2, 4 / 4, 4 / 8]


def test_gray_uses_the_first_number(write) -> None:
    pixels = PixelMap(color="gray", scale=1, mean=(1, 9, 9), std=(2, 9, 9), pad_value=(5, 9, 9))
    placement = Placement((1, 1), (1, 1), (0, 0), (1, 2))
    out = np.empty((1, 1, 2), np.float32)
    image_to_tensor(np.full((1, 1), 11, np.uint8), placement, out, source="gray", pixels=pixels)
    assert out.ravel().tolist() == [5, 2]
    assert PixelMap(color="gray", mean=[0.5], std=[2], pad_value=[3]).mean == (0.5,)


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ({"color": "hsv"}, "unknown color 'hsv'; accepted: rgb, bgr, gray"),
        ({"filter": "cubic"}, "unknown filter 'cubic'; accepted: nearest, linear, bilinear_antialias"),
        ({"layout": "hwc"}, "unknown layout 'hwc'; accepted: nchw, nhwc"),
        ({"mean": (0, 0)}, r"mean must be 3 finite number\(s\), one a channel, got \(0, 0\)"),
        ({"mean": 0.5}, r"mean must be 3 finite number\(s\), one a channel, got 0.5"),
        ({"std": ("a", "b", "c")}, "std must be 3 finite"),
        ({"pad_value": (0, float("nan"), 0)}, "pad_value must be 3 finite"),
        ({"mean": (float("inf"), 0, 0)}, "mean must be 3 finite"),
        ({"std": (1, 0, 1)}, "scale and std must be above 0"),
        ({"std": (1, -1, 1)}, "scale and std must be above 0"),
        ({"scale": 0}, "scale and std must be above 0, got scale 0"),
        ({"scale": float("nan")}, "scale must be a finite number"),
        ({"scale": float("inf")}, "scale must be a finite number"),
    ],
)
def test_pixel_map_refuses(options, message) -> None:
    with pytest.raises(InputError, match=message):
        PixelMap(**options)
