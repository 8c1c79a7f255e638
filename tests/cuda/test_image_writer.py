"""Frames into a network's input on the device: bit for bit what edgevision.ops writes on the CPU."""

from __future__ import annotations

from types import ModuleType
from typing import Any

import numpy as np
import pytest
from device_memory import download, upload

from edgevision.geometry import Placement, place_image
from edgevision.ops.color import split_frame
from edgevision.ops.image import FILTERS, SOURCES, PixelMap, image_to_tensor
from edgevision.ops.image_plan import channel_order
from edgevision.ops.pixel_map import pixel_table
from edgevision.ops.yuv_tensor import yuv_to_tensor

IMAGENET = {"mean": (0.485, 0.456, 0.406), "std": (0.229, 0.224, 0.225)}
# pixels, dtype, placement
CASES = {
    "YOLO": (PixelMap(), "float32", {"mode": "letterbox"}),
    "YOLO in half precision": (PixelMap(), "float16", {"mode": "letterbox", "pad_placement": "bottom_right"}),
    "bytes, channels last": (PixelMap(scale=1.0, layout="nhwc"), "uint8", {"mode": "stretch"}),
    "classifier": (
        PixelMap(filter="bilinear_antialias", **IMAGENET),
        "float32",
        {"mode": "shortest_side_crop", "resize_size": 80},
    ),
    "bicubic": (PixelMap(filter="bicubic_antialias", layout="nhwc"), "float16", {"mode": "letterbox"}),
    "gray": (PixelMap(color="gray"), "float32", {"mode": "letterbox"}),
    "nearest, BGR": (PixelMap(color="bgr", filter="nearest"), "float32", {"mode": "letterbox"}),
}


def make_writer(
    cuda: ModuleType, batch: int, canvas: tuple[int, int], pixels: PixelMap, dtype: str, filter: str = ""
) -> Any:
    table, pad = pixel_table(pixels, dtype)
    nhwc = pixels.layout == "nhwc"
    return cuda.ImageWriter(batch, *canvas, table, pad, nhwc=nhwc, filter=FILTERS[filter or pixels.filter])


def place(writer: Any, index: int, pointer: int, image: Any, source: str, placement: Placement, color: str):
    channels = SOURCES[source]
    strides = (image.shape[1] * channels, channels, 0 if channels == 1 else 1)
    writer.place(
        index, pointer, image.shape[0], image.shape[1], channels, strides, channel_order(source, color),
        color == "gray" and source != "gray", *placement.resized_hw, *placement.offset_yx,
    )  # fmt: skip


def tensor_shape(batch: int, canvas: tuple[int, int], pixels: PixelMap) -> tuple[int, ...]:
    return (batch, *canvas, pixels.channels) if pixels.layout == "nhwc" else (batch, pixels.channels, *canvas)


@pytest.mark.parametrize("case", CASES)
def test_a_batch_of_any_sizes_and_sources_equals_the_cpus(cuda: ModuleType, case: str) -> None:
    pixels, dtype, options = CASES[case]
    rng, canvas = np.random.default_rng(1), (64, 72)
    writer = make_writer(cuda, 5, canvas, pixels, dtype)
    shape = tensor_shape(5, canvas, pixels)
    expected, kept = np.empty(shape, dtype), []
    sizes = [(48, 80), (200, 150), (64, 72), (33, 57), (90, 31)]
    for index, (size, source) in enumerate(zip(sizes, SOURCES, strict=True)):
        channels = SOURCES[source]
        image = rng.integers(0, 256, size if channels == 1 else (*size, channels), np.uint8)
        placement = place_image(size, canvas, **options)
        image_to_tensor(image, placement, expected[index], source=source, pixels=pixels)
        kept.append(upload(cuda, image))
        place(writer, index, kept[-1].pointer, image, source, placement, pixels.color)
    out, stream = cuda.DeviceBuffer(expected.nbytes), cuda.Stream()
    writer.write(out.pointer, 5, stream)
    np.testing.assert_array_equal(download(cuda, out.pointer, shape, dtype, stream), expected)


@pytest.mark.parametrize(("format", "rows"), [("nv12", 1.5), ("nv21", 1.5), ("i420", 1.5), ("yuyv", 1)])
@pytest.mark.parametrize("filter", FILTERS)
def test_camera_frames_equal_the_cpus(cuda: ModuleType, format: str, rows: float, filter: str) -> None:
    rng, canvas = np.random.default_rng(2), (48, 64)
    shape = (60, 80, 2) if format == "yuyv" else (int(60 * rows), 80)
    frame = rng.integers(0, 256, shape, np.uint8)
    pixels = PixelMap(filter=filter)
    placement = place_image((60, 80), canvas)
    expected = np.empty((1, 3, *canvas), np.float32)
    yuv_to_tensor(frame, format, placement, expected[0], pixels=pixels)
    y, u, v, coefficients, _ = split_frame(frame, format, "bt601", "limited")
    memory = upload(cuda, frame)
    planes = [(memory.pointer + p.ctypes.data - frame.ctypes.data, *p.strides) for p in (y, u, v)]
    writer = make_writer(cuda, 1, canvas, pixels, "float32")
    writer.place_yuv(
        0, *planes, 60, 80, u.shape[0] < 60, coefficients, channel_order("bgr", "rgb"), False,
        *placement.resized_hw, *placement.offset_yx,
    )  # fmt: skip
    out, stream = cuda.DeviceBuffer(expected.nbytes), cuda.Stream()
    writer.write(out.pointer, 1, stream)
    np.testing.assert_array_equal(download(cuda, out.pointer, expected.shape, "float32", stream), expected)


# cv2.INTER_LINEAR's own results. Beyond the outermost centres its horizontal pass takes the edge pixel, its vertical pass
# the edge row twice: weights that add up to one make a difference in few places.
EDGES = {
    # Column 4917 of 5463 lies 0.40015 beyond the only centre; the weights of its twofold tap, 1228 and 819, add up to 2047.
    "columns take the edge pixel": ([[0], [5]], (3, 5463), [0, 3, 5], (slice(None), 4917)),
    # 25.5 between the columns: the two cut products of a row that is read twice are one less than 25.5 at once, rounded up.
    "rows read the edge row twice": ([[51, 0]], (2, 3), [51, 25, 0, 51, 25, 0], (slice(None), slice(None))),
}


@pytest.mark.parametrize(("image", "canvas", "expected", "seen"), EDGES.values(), ids=EDGES.keys())
def test_beyond_the_outermost_centres_each_axis_has_its_own_rule(
    cuda: ModuleType, image: Any, canvas: tuple[int, int], expected: list[int], seen: Any
) -> None:
    frame, pixels = np.array(image, np.uint8), PixelMap(color="gray", scale=1.0, layout="nhwc")
    writer, memory = make_writer(cuda, 1, canvas, pixels, "uint8"), upload(cuda, frame)
    place(writer, 0, memory.pointer, frame, "gray", place_image(frame.shape, canvas, mode="stretch"), "gray")
    out, stream = cuda.DeviceBuffer(canvas[0] * canvas[1]), cuda.Stream()
    writer.write(out.pointer, 1, stream)
    assert download(cuda, out.pointer, canvas, "uint8", stream)[seen].ravel().tolist() == expected


def test_a_graph_writes_what_is_placed_when_it_is_launched(cuda: ModuleType) -> None:
    rng, canvas, pixels = np.random.default_rng(3), (40, 56), PixelMap()
    writer, stream = make_writer(cuda, 1, canvas, pixels, "float32"), cuda.Stream()
    frames = [rng.integers(0, 256, (*size, 3), np.uint8) for size in ((30, 90), (77, 41))]
    memory = [upload(cuda, frame) for frame in frames]
    placements = [place_image(frame.shape[:2], canvas) for frame in frames]
    out = cuda.DeviceBuffer(4 * 3 * 40 * 56)
    place(writer, 0, memory[0].pointer, frames[0], "bgr", placements[0], "rgb")
    stream.begin_capture()
    writer.write(out.pointer, 1, stream)
    graph = stream.end_capture()
    for frame, buffer, placement in zip(frames, memory, placements, strict=True):
        place(writer, 0, buffer.pointer, frame, "bgr", placement, "rgb")
        graph.launch(stream)
        expected = np.empty((3, *canvas), np.float32)
        image_to_tensor(frame, placement, expected)
        np.testing.assert_array_equal(download(cuda, out.pointer, (3, *canvas), "float32", stream), expected)


@pytest.mark.parametrize(
    ("change", "message"),
    [
        ({"index": 2}, "beyond the batch"),
        ({"order": (0, 1, 3)}, "channel that the image does not have"),
        ({"to_gray": True}, "one channel"),
        ({"resized_width": 0}, "resized width out of range"),
        ({"offset_x": 1 << 25}, "offset out of range"),
        ({"width": 2000}, "shrinks too much"),
    ],
    ids=lambda value: str(value) if isinstance(value, dict) else "",
)
def test_places_that_the_kernel_cannot_use_are_refused(
    emulated_cuda: ModuleType, change: dict[str, Any], message: str
) -> None:
    writer = make_writer(emulated_cuda, 2, (32, 32), PixelMap(), "float32", "bicubic_antialias")
    arguments = {
        "index": 0, "pointer": 0, "height": 32, "width": 32, "channels": 3, "strides": (96, 3, 1), "order": (0, 1, 2),
        "to_gray": False, "resized_height": 32, "resized_width": 32, "offset_y": 0, "offset_x": 0,
    }  # fmt: skip
    with pytest.raises(ValueError, match=message):
        writer.place(**(arguments | change))
    with pytest.raises(ValueError, match="was not placed"):
        writer.write(0, 1, emulated_cuda.Stream())
