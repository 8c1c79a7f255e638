"""Camera image to input tensor: resize, place, reorder, normalise, beside cv2, NumPy, torchvision and Pillow.

    python benchmarks/ops/image.py [--only NAME ...] [--seconds S] [--threads N ...] [--isa NAME ...] [--json FILE]

Every row is checked before it is timed. run_all.py measures all families and writes a page and a chart.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import cv2
import numpy as np
from case import Case, Contender, Row
from command import main
from image_peers import (
    IMAGENET_MEAN,
    IMAGENET_STD,
    as_half,
    blob_with_params,
    cv2_blob,
    cv2_letterbox,
    cv2_split,
    numpy_tensor,
    pillow_crop,
    pillow_letterbox,
    sam_torchvision,
    torchvision_crop,
    torchvision_letterbox,
    torchvision_pil_crop,
)
from inputs import photograph
from moved import bytes_to_move
from PIL import Image
from tolerance import AS_FLOAT16, HALF, SAME_PIXELS, SCALED_PIXELS, apart, apart_on_average

from edgevision.geometry import Placement, place_image
from edgevision.ops.image import PixelMap, image_to_tensor, images_to_tensor

__all__ = ["ROWS"]

OWN = "edgevision, float32"

ONE_OFF = apart(1.01 / 255, "torchvision's uint8 resize rounds weights to 16 bits: 1 of 255")
ANTIALIASED = apart_on_average(0.03, "Pillow always antialiases, INTER_LINEAR never does")
TRUNCATED = apart_on_average(0.05, "the resized size is truncated there: one row or column less")
NORMALIZED = apart(1e-6, "the same pixels; mean and std are applied in another order of rounding")
ONE_OFF_NORMALIZED = apart(1.1 / 255 / min(IMAGENET_STD), "1 of 255, over the smallest std")
AS_FLOAT16_NORMALIZED = apart(2e-3, "one is the other rounded to float16, below 4")


def _shrunk(small: bool, *sides: int) -> tuple[int, ...]:
    return tuple(side // 8 if small else side for side in sides)


def _ours(
    image: np.ndarray, placement: Placement, dtype: Any = np.float32, source: str = "bgr", **pixels: Any
) -> tuple[Callable[[], np.ndarray], np.ndarray]:
    """Our call and the tensor that it writes."""
    options = PixelMap(**({"scale": 1.0} if dtype == np.uint8 else {}), **pixels)
    shape = (
        (*placement.canvas_hw, options.channels)
        if options.layout == "nhwc"
        else (options.channels, *placement.canvas_hw)
    )
    out = np.empty(shape, dtype)
    return lambda: image_to_tensor(image, placement, out, source=source, pixels=options), out


def letterbox(height: int, width: int) -> Callable[[bool], Case]:
    """A BGR image into 640x640 float32 NCHW RGB, 0-1."""

    def make(small: bool) -> Case:
        rows, columns, canvas = _shrunk(small, height, width, 640)
        image, placement = photograph(rows, columns), place_image((rows, columns), (canvas, canvas))
        ours, out = _ours(image, placement)
        pixels = cv2_letterbox(image, placement)
        others = (
            Contender("cv2 + blobFromImage", cv2_blob(pixels), SCALED_PIXELS),
            _with_params(image, placement),
            Contender("cv2 + NumPy", numpy_tensor(pixels), SCALED_PIXELS),
            Contender("cv2.split + NumPy", cv2_split(pixels, np.empty_like(out)), SCALED_PIXELS),
            Contender("torchvision tensor", torchvision_letterbox(image, placement), ONE_OFF),
            Contender("Pillow + NumPy", pillow_letterbox(image, placement), ANTIALIASED, "variant"),
        )
        return Case(ours, others, bytes_to_move(placement, 3, out))

    return make


def _with_params(image: np.ndarray, placement: Placement) -> Contender:
    """blobFromImageWithParams truncates the resized size, everybody else rounds it."""
    ratio = min(canvas / side for canvas, side in zip(placement.canvas_hw, placement.image_hw, strict=True))
    agrees = placement.resized_hw == tuple(int(side * ratio) for side in placement.image_hw)
    call, name = blob_with_params(image, placement), "cv2 blobFromImageWithParams"
    return Contender(name, call, SCALED_PIXELS) if agrees else Contender(name, call, TRUNCATED, "variant")


def letterbox_batch(count: int) -> Callable[[bool], Case]:
    """So many 1080p cameras into one batch."""

    def make(small: bool) -> Case:
        rows, columns, canvas = _shrunk(small, 1080, 1920, 640)
        placement = place_image((rows, columns), (canvas, canvas))
        # Copies, so that no two of them share a cache line.
        frames = [photograph(rows, columns).copy() for _ in range(count)]
        out = np.empty((count, 3, canvas, canvas), np.float32)
        letterboxed = [cv2_letterbox(frame, placement) for frame in frames]
        arrays = [cv2_split(pixels, one) for pixels, one in zip(letterboxed, np.empty_like(out), strict=True)]

        def with_blob() -> np.ndarray:
            return cv2.dnn.blobFromImages([pixels() for pixels in letterboxed], 1 / 255, swapRB=True)

        others = (
            Contender("cv2 + blobFromImages", with_blob, SCALED_PIXELS),
            Contender("cv2.split + NumPy", lambda: np.stack([array() for array in arrays]), SCALED_PIXELS),
        )
        moved = count * bytes_to_move(placement, 3, out[0])
        return Case(lambda: images_to_tensor(frames, [placement] * count, out), others, moved)

    return make


def letterbox_float16(height: int, width: int) -> Callable[[bool], Case]:
    """The same in float16, beside ours in float32."""

    def make(small: bool) -> Case:
        rows, columns, canvas = _shrunk(small, height, width, 640)
        image, placement = photograph(rows, columns), place_image((rows, columns), (canvas, canvas))
        ours, out = _ours(image, placement, np.float16)
        pixels = cv2_letterbox(image, placement)
        blob = cv2_blob(pixels)
        others = (
            Contender(OWN, _ours(image, placement)[0], AS_FLOAT16, "own"),
            Contender("cv2 + blobFromImage + astype", lambda: blob().astype(np.float16), HALF),
            Contender("cv2 + blobFromImage + torch", as_half(blob), HALF),
            Contender("cv2 + NumPy", numpy_tensor(pixels, np.float16), HALF),
        )
        return Case(ours, others, bytes_to_move(placement, 3, out))

    return make


def letterbox_form(
    dtype: Any = np.float32, source: str = "bgr", layout: str = "nchw", height: int = 1080, width: int = 1920
) -> Callable[[bool], Case]:
    """1080p to 640x640 from or to another form of pixels."""

    def make(small: bool) -> Case:
        rows, columns, canvas = _shrunk(small, height, width, 640)
        placement = place_image((rows, columns), (canvas, canvas))
        image = _as_source(photograph(rows, columns), source)
        color = "gray" if source == "gray" else "rgb"
        ours, out = _ours(image, placement, dtype, source, color=color, layout=layout)
        convert = cv2.COLOR_BGRA2BGR if source == "bgra" else None
        pixels = cv2_letterbox(image, placement, convert)
        swap = source != "rgb"
        tolerance = SAME_PIXELS if dtype == np.uint8 else SCALED_PIXELS
        numpy = numpy_tensor(pixels, dtype, reverse=swap, nhwc=layout == "nhwc")
        others = [Contender("cv2 + NumPy", numpy, tolerance)]
        if layout == "nhwc":
            others.append(Contender("cv2 + cvtColor", _interleaved_cv2(pixels, dtype), tolerance))
        elif dtype == np.uint8:
            split = _split_planes(pixels, out.shape)
            others.append(Contender("cv2 + cv2.split", split, tolerance))
        else:
            others.append(Contender("cv2 + blobFromImage", cv2_blob(pixels, swap), tolerance))
        return Case(ours, tuple(others), bytes_to_move(placement, image[0, 0].size, out))

    return make


def _as_source(bgr: np.ndarray, source: str) -> np.ndarray:
    codes = {"rgb": cv2.COLOR_BGR2RGB, "bgra": cv2.COLOR_BGR2BGRA, "gray": cv2.COLOR_BGR2GRAY}
    return cv2.cvtColor(bgr, codes[source]) if source in codes else bgr


def _split_planes(pixels: Callable[[], np.ndarray], shape: tuple[int, ...]) -> Callable[[], np.ndarray]:
    planes = np.empty(shape, np.uint8)

    def call() -> np.ndarray:
        cv2.split(pixels(), [planes[2], planes[1], planes[0]])
        return planes

    return call


def _interleaved_cv2(pixels: Callable[[], np.ndarray], dtype: Any) -> Callable[[], np.ndarray]:
    def call() -> np.ndarray:
        rgb = cv2.cvtColor(pixels(), cv2.COLOR_BGR2RGB)
        return rgb if dtype == np.uint8 else cv2.multiply(rgb, (1 / 255,) * 4, dtype=cv2.CV_32F)

    return call


def imagenet(
    resize: int, crop: int, filter: str = "bilinear", dtype: Any = np.float32
) -> Callable[[bool], Case]:
    """1080p, shortest side resized with antialias, centre crop, ImageNet's mean and std."""

    def make(small: bool) -> Case:
        rows, columns, short, canvas = _shrunk(small, 1080, 1920, resize, crop)
        image = photograph(rows, columns)
        placement = place_image(
            (rows, columns), (canvas, canvas), mode="shortest_side_crop", resize_size=short
        )
        options: dict[str, Any] = {
            "filter": f"{filter}_antialias",
            "mean": IMAGENET_MEAN,
            "std": IMAGENET_STD,
        }
        ours, out = _ours(image, placement, dtype, **options)
        tensor = torchvision_crop(image, placement, filter)
        pil = torchvision_pil_crop(image, placement, filter)
        pillow = pillow_crop(image, placement, Image.Resampling[filter.upper()])
        if dtype == np.float16:
            single = _ours(image, placement, **options)[0]
            others = (
                Contender(OWN, single, AS_FLOAT16_NORMALIZED, "own"),
                Contender("torchvision tensor", as_half(tensor), ONE_OFF_NORMALIZED),
                Contender("torchvision PIL", as_half(pil), AS_FLOAT16_NORMALIZED),
            )
        else:
            others = (
                Contender("torchvision tensor", tensor, ONE_OFF_NORMALIZED),
                Contender("torchvision PIL", pil, NORMALIZED),
                Contender("Pillow + NumPy", pillow, NORMALIZED),
            )
        return Case(ours, others, bytes_to_move(placement, 3, out, filter))

    return make


def segment_anything(small: bool) -> Case:
    """1080p, longest side to 1024, padded with what becomes 0."""
    rows, columns, side = _shrunk(small, 1080, 1920, 1024)
    image = photograph(rows, columns)
    canvas = (side, side)
    placement = place_image((rows, columns), canvas, mode="longest_side_pad", pad_placement="bottom_right")
    ours, out = _ours(
        image,
        placement,
        filter="bilinear_antialias",
        mean=IMAGENET_MEAN,
        std=IMAGENET_STD,
        pad_value=[255 * mean for mean in IMAGENET_MEAN],
    )
    peer = Contender("torchvision tensor", sam_torchvision(image, placement), ONE_OFF_NORMALIZED)
    return Case(ours, (peer,), bytes_to_move(placement, 3, out, "bilinear"))


ROWS = (
    # What nearly every YOLO deployment does with a Full HD camera.
    Row("letterbox_1080p", "1080p -> 640x640 float32 NCHW, INTER_LINEAR", 4, letterbox(1080, 1920)),
    # A scale of exactly 2: nothing but averages of four.
    Row("letterbox_720p", "720p -> 640x640 float32 NCHW", 4, letterbox(720, 1280)),
    # No resize at all: what is left is the reordering and the pad.
    Row("letterbox_640x480", "640x480 -> 640x640 float32 NCHW", 3, letterbox(480, 640)),
    # Enlarging: every row of the image serves several of the tensor.
    Row("letterbox_320x240", "320x240 -> 640x640 float32 NCHW", None, letterbox(240, 320)),
    # A scale that is no whole number, and rows whose length is no multiple of any vector.
    Row("letterbox_1366x768", "1366x768 -> 640x640 float32 NCHW", None, letterbox(768, 1366)),
    # Four times the pixels, two rows of which in three are never looked at.
    Row("letterbox_2160p", "3840x2160 -> 640x640 float32 NCHW", None, letterbox(2160, 3840)),
    # Several cameras at once.
    Row("letterbox_4x1080p", "four 1080p -> 4x3x640x640 float32", None, letterbox_batch(4)),
    # Half the bytes to write: it must not cost more than writing them all.
    Row("letterbox_1080p_float16", "1080p -> 640x640 float16", 1, letterbox_float16(1080, 1920), OWN),
    Row("letterbox_720p_float16", "720p -> 640x640 float16", 1, letterbox_float16(720, 1280), OWN),
    Row("letterbox_640x480_float16", "640x480 -> 640x640 float16", 1, letterbox_float16(480, 640), OWN),
    # int8 networks whose first node scales.
    Row("letterbox_1080p_uint8", "1080p -> 640x640 uint8 NCHW", None, letterbox_form(np.uint8)),
    # TFLite's and OpenVINO's usual layout.
    Row("letterbox_1080p_nhwc", "1080p -> 640x640 float32 NHWC", None, letterbox_form(layout="nhwc")),
    Row(
        "letterbox_1080p_uint8_nhwc",
        "1080p -> 640x640 uint8 NHWC",
        None,
        letterbox_form(np.uint8, "bgr", "nhwc"),
    ),
    # Screen captures and GStreamer's BGRx.
    Row("letterbox_1080p_bgra", "1080p BGRA -> 640x640 float32 NCHW", None, letterbox_form(source="bgra")),
    # Pictures read with Pillow or PyAV.
    Row("letterbox_1080p_rgb", "1080p RGB -> 640x640 float32 NCHW", None, letterbox_form(source="rgb")),
    # Machine-vision cameras.
    Row("letterbox_1080p_gray", "1080p gray -> 1x640x640 float32", None, letterbox_form(source="gray")),
    # Classification as torchvision trains it: Pillow's numbers.
    Row("imagenet_1080p", "1080p -> 256 antialiased, crop 224, normalised", 6, imagenet(256, 224)),
    Row("imagenet_1080p_float16", "the same in float16", 1, imagenet(256, 224, dtype=np.float16), OWN),
    # timm's networks: bicubic.
    Row("bicubic_1080p", "1080p -> 256 bicubic antialiased, crop 224", None, imagenet(256, 224, "bicubic")),
    # Segment Anything's encoder.
    Row("sam_input_1080p", "1080p -> 1024 antialiased, padded, normalised", None, segment_anything),
)


if __name__ == "__main__":
    main("image", __doc__, ROWS)
