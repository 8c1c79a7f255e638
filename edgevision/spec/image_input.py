"""`ImageInput`: how one image becomes one input tensor."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TypeAlias

from edgevision.errors import SpecError
from edgevision.geometry import CROP_MODES, PAD_PLACEMENTS, RESIZE_MODES
from edgevision.spec import checks
from edgevision.spec.checks import fail

__all__ = ["COLORS", "DTYPES", "FILTERS", "LAYOUTS", "ImageInput"]

FILTERS = ("linear", "nearest", "bilinear_antialias", "bicubic_antialias")
COLORS = ("rgb", "bgr", "gray")
LAYOUTS = ("nchw", "nhwc")
DTYPES = ("float32", "float16", "uint8")

MAX_SIDE = 65536
"""Pixels: no camera comes near it, and the products of two sides stay within 33 bits."""
# Beyond 1e6 (or, for divisors, below 1e-6) the float32 arithmetic of preprocessing loses the pixel.
MAX_FACTOR = 1e6

Triple: TypeAlias = tuple[float, float, float]


@dataclass(frozen=True, slots=True, kw_only=True)
class ImageInput:
    """How one image becomes one input tensor.

    A pixel p (0-255, in the order of `color`) becomes (p * scale - mean) / std. `pad_value` is in pixel
    units and goes through the same arithmetic. Raises SpecError for a value out of range or at odds with
    another.
    """

    name: str = "images"
    """The graph's input."""
    size_hw: tuple[int, int] = (640, 640)
    """(H, W) of the tensor, each 1-65536; the largest one where `multiple` is not 0."""
    multiple: int = 0
    """0: the size is fixed. n > 0: the tensor may be smaller, its sides multiples of n (letterbox only).
    `size_hw` is itself a multiple of n."""
    batch: int | None = 1
    """Images per run, 1-65536; None: any number."""
    resize: str = "letterbox"
    """One of geometry.RESIZE_MODES."""
    filter: str = "linear"
    """One of FILTERS: "linear" and "nearest" are OpenCV's, the two antialiased ones Pillow's."""
    resize_size: int | None = None
    """Shortest side (stretch_crop: both sides) before the crop, pixels, of the modes in geometry.CROP_MODES; None:
    the crop's own shorter side."""
    upscale: bool = True
    """False: an image smaller than the canvas keeps its size (letterbox and longest_side_pad only)."""
    pad_value: Triple = (114.0, 114.0, 114.0)
    """What fills the canvas around the image, 0-255 a channel, in the order of `color`."""
    pad_placement: str = "center"
    """One of geometry.PAD_PLACEMENTS."""
    color: str = "rgb"
    """"rgb", "bgr" or "gray": the order of the tensor's channels. With gray, the three entries of
    `pad_value`, `mean` and `std` are equal."""
    scale: float = 1.0 / 255.0
    """1e-6 to 1e6."""
    mean: Triple = (0.0, 0.0, 0.0)
    """Each -1e6 to 1e6, in scaled units, in the order of `color`."""
    std: Triple = (1.0, 1.0, 1.0)
    """Each of magnitude 1e-6 to 1e6, in scaled units, in the order of `color`."""
    layout: str = "nchw"
    """"nchw" or "nhwc"."""
    dtype: str = "float32"
    """"float32", "float16" or "uint8" (uint8 only with scale 1, mean 0, std 1)."""

    def __post_init__(self) -> None:
        size = checks.check_tuple("size_hw", self.size_hw, f"two integers 1-{MAX_SIDE} (height, width)", 2)
        height, width = (checks.check_int(f"size_hw[{i}]", side, 1, MAX_SIDE) for i, side in enumerate(size))
        checks.set_fields(
            self,
            name=checks.check_string("name", self.name, empty=False),
            size_hw=(height, width),
            multiple=checks.check_int("multiple", self.multiple, 0, MAX_SIDE),
            batch=None if self.batch is None else checks.check_int("batch", self.batch, 1, MAX_SIDE),
            resize=checks.check_choice("resize", self.resize, RESIZE_MODES),
            filter=checks.check_choice("filter", self.filter, FILTERS),
            resize_size=None
            if self.resize_size is None
            else checks.check_int("resize_size", self.resize_size, 1, MAX_SIDE),
            upscale=checks.check_bool("upscale", self.upscale),
            pad_value=_triple("pad_value", self.pad_value, 0.0, 255.0),
            pad_placement=checks.check_choice("pad_placement", self.pad_placement, PAD_PLACEMENTS),
            color=checks.check_choice("color", self.color, COLORS),
            scale=checks.check_number("scale", self.scale, 1.0 / MAX_FACTOR, MAX_FACTOR),
            mean=_triple("mean", self.mean, -MAX_FACTOR, MAX_FACTOR),
            std=_triple("std", self.std, -MAX_FACTOR, MAX_FACTOR),
            layout=checks.check_choice("layout", self.layout, LAYOUTS),
            dtype=checks.check_choice("dtype", self.dtype, DTYPES),
        )
        self._check_geometry()
        self._check_arithmetic()

    def _check_geometry(self) -> None:
        mode = f"with resize {self.resize!r}"
        if self.multiple and self.resize != "letterbox":
            fail("multiple", f"0 {mode}", self.multiple, "only letterbox can shrink the tensor")
        if self.multiple and any(side % self.multiple for side in self.size_hw):
            fail("size_hw", f"multiples of `multiple` ({self.multiple})", self.size_hw)
        if self.resize_size is not None and self.resize not in CROP_MODES:
            fail("resize_size", f"null {mode}", self.resize_size, f"only {', '.join(CROP_MODES)} have it")
        if not self.upscale and self.resize not in ("letterbox", "longest_side_pad"):
            fail("upscale", f"true {mode}", False, "only letterbox and longest_side_pad obey it")

    def _check_arithmetic(self) -> None:
        least = 1.0 / MAX_FACTOR
        for index, divisor in enumerate(self.std):
            if abs(divisor) < least:
                fail(f"std[{index}]", f"of magnitude {least:g} to {MAX_FACTOR:g}", divisor, "it divides")
        if self.color == "gray":
            for name in ("pad_value", "mean", "std"):
                if len(set(getattr(self, name))) != 1:
                    fail(name, "three equal numbers with color 'gray'", getattr(self, name))
        identity = self.scale == 1.0 and self.mean == (0.0, 0.0, 0.0) and self.std == (1.0, 1.0, 1.0)
        if self.dtype == "uint8" and not identity:
            raise SpecError(
                "dtype 'uint8' needs scale 1, mean 0 and std 1, as the tensor holds the pixels themselves; "
                f"got scale {self.scale}, mean {self.mean}, std {self.std}"
            )


def _triple(path: str, value: object, low: float, high: float) -> Triple:
    entries = checks.check_tuple(path, value, f"three finite numbers {low:g} to {high:g}", 3)
    one, two, three = (checks.check_number(f"{path}[{i}]", x, low, high) for i, x in enumerate(entries))
    return one, two, three
