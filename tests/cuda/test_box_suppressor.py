"""Suppression alone, on the device: the indices that edgevision.ops.nms keeps."""

from __future__ import annotations

from types import ModuleType
from typing import Any

import numpy as np
import pytest
from device_memory import download, upload

from edgevision.ops.nms import nms, nms_rotated

CAPACITY = 700


def make_boxes(seed: int, count: int, rotated: bool) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """Crowded boxes with coarse scores, so that equal ones abound, of which a few are not finite; their classes."""
    rng = np.random.default_rng(seed)
    corners, sizes = rng.uniform(0, 100, (count, 2)), rng.uniform(5, 40, (count, 2))
    last = rng.uniform(-1.6, 1.6, (count, 1)) if rotated else np.zeros((count, 0))
    boxes = np.hstack([corners, sizes if rotated else corners + sizes, last]).astype(np.float32)
    scores = (rng.integers(0, 50, count) / 50).astype(np.float32)
    boxes[3, 1], boxes[5, 0], scores[7], scores[9] = np.nan, np.inf, np.nan, -np.inf
    scores[11], scores[12] = 0.0, -0.0
    return boxes, scores, rng.integers(0, 4, count).astype(np.int32)


def run(
    cuda: ModuleType, images: list[Any], *, classes: bool, counted: bool = True, **options: Any
) -> list[Any]:
    """What is kept of each image: (boxes, scores, class ids) each, of up to CAPACITY boxes."""
    batch, columns = len(images), images[0][0].shape[1]
    arrays = [np.full((batch, CAPACITY, columns), 7, np.float32), np.full((batch, CAPACITY), 2, np.float32)]
    arrays.append(np.zeros((batch, CAPACITY), np.int32))
    for index, image in enumerate(images):
        for array, values in zip(arrays, image, strict=True):
            array[index, : len(values)] = values
    memory = [upload(cuda, array) for array in arrays]
    counts = upload(cuda, np.array([len(image[0]) for image in images], np.int32))
    suppressor = cuda.BoxSuppressor(batch, CAPACITY, rotated=columns == 5, **options)
    most, stream = options.get("max_detections", 300), cuda.Stream()
    kept, number = cuda.DeviceBuffer(4 * batch * most), cuda.DeviceBuffer(4 * batch)
    suppressor.suppress(
        *(one.pointer for one in memory[:2]), memory[2].pointer if classes else 0, counts.pointer if counted else 0,
        kept.pointer, number.pointer, stream,
    )  # fmt: skip
    rows = download(cuda, kept.pointer, (batch, most), "int32", stream)
    lengths = download(cuda, number.pointer, (batch,), "int32", stream)
    for row, length in zip(rows, lengths, strict=True):
        assert (row[length:] == -1).all()
    return [row[:length].tolist() for row, length in zip(rows, lengths, strict=True)]


OPTIONS = {
    "by class": {"iou": 0.5},
    "by offset": {"iou": 0.45, "class_offset": 7680.0},
    "few detections": {"iou": 0.3, "max_detections": 20},
    "few candidates": {"iou": 0.3, "max_candidates": 100},
    "no overlap at all": {"iou": 0.0},
    "nothing is suppressed": {"iou": 1.0, "max_detections": 650},
}


@pytest.mark.parametrize("rotated", [False, True], ids=["upright", "rotated"])
@pytest.mark.parametrize("options", OPTIONS.values(), ids=OPTIONS.keys())
def test_the_cpus_indices_are_kept(cuda: ModuleType, options: dict[str, Any], rotated: bool) -> None:
    images = [make_boxes(seed, count, rotated) for seed, count in ((1, 700), (2, 64), (3, 129))]
    function = nms_rotated if rotated else nms
    expected = [function(boxes, scores, ids, **options).tolist() for boxes, scores, ids in images]
    assert run(cuda, images, classes=True, **options) == expected
    without = [function(boxes, scores, **options).tolist() for boxes, scores, _ in images]
    assert run(cuda, images, classes=False, **options) == without
    assert run(cuda, images, classes=True, class_agnostic=True, **options) == without
    assert expected != without or options["iou"] == 1.0


def test_suppressed_boxes_may_suppress_where_rotated(cuda: ModuleType) -> None:
    images = [make_boxes(4, 300, True)]
    boxes, scores, ids = images[0]
    expected = [nms_rotated(boxes, scores, ids, iou=0.2, greedy=False).tolist()]
    assert run(cuda, images, classes=True, iou=0.2, greedy=False) == expected
    assert expected != [nms_rotated(boxes, scores, ids, iou=0.2).tolist()]


def test_without_counts_every_place_has_a_box(cuda: ModuleType) -> None:
    images = [make_boxes(5, CAPACITY, False), make_boxes(6, CAPACITY, False)]
    expected = [nms(*image, iou=0.5).tolist() for image in images]
    assert run(cuda, images, classes=True, counted=False, iou=0.5) == expected


def test_an_image_may_have_no_box_or_none_that_is_finite(cuda: ModuleType) -> None:
    some, none = make_boxes(7, 64, False), (np.zeros((0, 4)), np.zeros(0), np.zeros(0))
    bad = (np.full((20, 4), np.nan), np.ones(20), np.zeros(20))
    assert run(cuda, [none, bad, some], classes=True, iou=0.5) == [[], [], nms(*some, iou=0.5).tolist()]


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        ({"batch": 0}, "batch must be 1 to 65535"),
        ({"capacity": 0}, "capacity must be 1 to"),
        ({"iou": 1.5}, "iou must be 0 to 1"),
        ({"iou": float("nan")}, "iou must be 0 to 1"),
        ({"class_offset": -1.0}, "class_offset must be 0 to 1e6"),
        ({"max_candidates": 8193}, "max_candidates must be 1 to 8192"),
        ({"max_detections": 0}, "max_detections must be 1 to 100000"),
    ],
)
def test_what_the_kernel_cannot_do_is_refused(
    emulated_cuda: ModuleType, arguments: dict[str, object], message: str
) -> None:
    with pytest.raises(ValueError, match=message):
        emulated_cuda.BoxSuppressor(**{"batch": 1, "capacity": 10, "iou": 0.5, **arguments})
