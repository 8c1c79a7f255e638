"""Detections on the device: the numbers that edgevision.ops finds on the CPU."""

from __future__ import annotations

from types import ModuleType
from typing import Any

import numpy as np
import pytest
from device_memory import download, upload
from numpy.typing import NDArray

from edgevision.geometry import Placement, place_image
from edgevision.ops import boxes as ops
from edgevision.ops.scores import top_k

PLACEMENT = place_image((90, 160), (64, 64))


def yolo_output(
    rng: np.random.Generator, anchors: int, classes: int, extras: int, dtype: str
) -> NDArray[Any]:
    """(4 + classes + extras, anchors): boxes of all sizes in 64 x 64 pixels, few scores above 0.25, many of them equal."""
    output = rng.random((4 + classes + extras, anchors)).astype(np.float32)
    output[:4] *= 64
    output[2:4] *= 0.4
    output[4 : 4 + classes] = np.round(output[4 : 4 + classes] ** 8, 2)
    return output.astype(dtype)


def set_map(finder: Any, index: int, placement: Placement) -> None:
    (top, left), (gain_y, gain_x) = placement.offset_yx, placement.gain_yx
    finder.map(index, left, top, gain_x, gain_y, placement.image_hw[1], placement.image_hw[0])


def assert_found(finder: Any, index: int, expected: ops.Candidates) -> None:
    count = finder.counts[index]
    assert count == len(expected)
    np.testing.assert_array_equal(finder.boxes[index, :count], expected.boxes)
    np.testing.assert_array_equal(finder.scores[index, :count], expected.scores)
    np.testing.assert_array_equal(finder.class_ids[index, :count], expected.class_ids)
    np.testing.assert_array_equal(finder.extra[index, :count], expected.extra)


@pytest.mark.parametrize("dtype", ["float32", "float16"])
@pytest.mark.parametrize(
    "options",
    [{}, {"multi_label": True}, {"class_agnostic": True}, {"classes": [1, 4]}, {"class_offset": 7680.0}],
    ids=str,
)
def test_yolo_outputs_give_the_cpus_detections(cuda: ModuleType, dtype: str, options: dict[str, Any]) -> None:
    rng = np.random.default_rng(1)
    outputs = np.stack([yolo_output(rng, 1344, 6, 5, dtype) for _ in range(2)])
    arguments = dict(options)
    allowed = np.zeros(6, np.uint8)
    allowed[arguments.pop("classes", [])] = 1
    finder = cuda.BoxFinder(
        batch=2, rows=1344, channels=15, rows_first=False, scan="dense", coding="center", half=dtype == "float16",
        num_classes=6, confidence=0.25, iou=0.5, max_detections=100, allowed=allowed if "classes" in options else None,
        **arguments,
    )  # fmt: skip
    memory, stream = upload(cuda, outputs), cuda.Stream()
    placements = [PLACEMENT, place_image((480, 300), (64, 64))]
    for index, placement in enumerate(placements):
        set_map(finder, index, placement)
    finder.find(memory.pointer, memory.pointer, 2, stream)
    stream.synchronize()
    for index, placement in enumerate(placements):
        expected = ops.detect_yolo(
            outputs[index], placement, num_classes=6, confidence=0.25, iou=0.5, max_detections=100, max_candidates=4096,
            **options,
        )  # fmt: skip
        decoding = {name: options[name] for name in ("multi_label", "classes") if name in options}
        candidates = ops.decode_yolo(outputs[index], num_classes=6, confidence=0.25, **decoding)
        assert finder.hits[index] == len(candidates)
        assert len(expected) > 5
        assert_found(finder, index, expected)


def test_a_graph_finds_what_memory_holds_when_it_is_launched(cuda: ModuleType) -> None:
    rng = np.random.default_rng(2)
    finder = cuda.BoxFinder(
        batch=1, rows=300, channels=7, rows_first=False, scan="dense", coding="center", num_classes=3,
        confidence=0.25, iou=0.5,
    )  # fmt: skip
    outputs = [yolo_output(rng, 300, 3, 0, "float32") for _ in range(3)]
    staging, device, stream = cuda.HostBuffer(outputs[0].nbytes), cuda.DeviceBuffer(8400), cuda.Stream()
    stream.begin_capture()
    cuda.copy_async(device.pointer, staging.pointer, staging.nbytes, stream)
    finder.find(device.pointer, device.pointer, 1, stream)
    graph = stream.end_capture()
    for output in outputs:
        staging.array(output.shape)[:] = output
        set_map(finder, 0, PLACEMENT)
        graph.launch(stream)
        stream.synchronize()
        assert_found(finder, 0, ops.detect_yolo(output, PLACEMENT, num_classes=3, confidence=0.25, iou=0.5))


def test_yolox_cells_are_decoded(cuda: ModuleType) -> None:
    rng = np.random.default_rng(3)
    output = rng.normal(0, 1, (84, 5 + 4)).astype(np.float32)
    output[:, 4:] = rng.random((84, 5))
    found = ops.decode_yolox(output, num_classes=4, confidence=0.3, input_hw=(64, 64))
    order = ops.nms(found.boxes, found.scores, found.class_ids, iou=0.4)
    finder = cuda.BoxFinder(
        batch=1, rows=84, channels=9, rows_first=True, scan="dense", coding="grid", num_classes=4, objectness=2,
        confidence=0.3, iou=0.4, strides=[8, 16, 32], height=64, width=64,
    )  # fmt: skip
    set_map(finder, 0, PLACEMENT)
    memory, stream = upload(cuda, output), cuda.Stream()
    finder.find(memory.pointer, memory.pointer, 1, stream)
    stream.synchronize()
    assert len(order) > 5
    boxes = PLACEMENT.boxes_to_image(found.boxes[order])
    assert_found(
        finder,
        0,
        ops.Candidates(boxes, found.scores[order], found.class_ids[order], found.extra[order]),
    )


@pytest.mark.parametrize("activation", ["softmax", "sigmoid"])
def test_queries_need_no_suppression(cuda: ModuleType, activation: str) -> None:
    rng = np.random.default_rng(4)
    logits = rng.normal(0, 2, (100, 12)).astype(np.float32)
    boxes = rng.random((100, 4)).astype(np.float32)
    found = ops.decode_detr(logits, boxes, confidence=0.3, input_hw=(48, 64), activation=activation, top_k=80)
    order = np.argsort(-found.scores, kind="stable")[:50]
    finder = cuda.BoxFinder(
        batch=1, rows=100, channels=12, rows_first=True, scan=activation, coding="center", confidence=0.3, top_k=80,
        scale_x=64.0, scale_y=48.0, suppress=False, max_detections=50,
    )  # fmt: skip
    placement = place_image((100, 100), (48, 64), mode="stretch")
    set_map(finder, 0, placement)
    first, second, stream = upload(cuda, logits), upload(cuda, boxes), cuda.Stream()
    finder.find(first.pointer, second.pointer, 1, stream)
    stream.synchronize()
    assert len(order) > 5
    mapped = placement.boxes_to_image(found.boxes[order])
    assert_found(
        finder,
        0,
        ops.Candidates(mapped, found.scores[order], found.class_ids[order], found.extra[order]),
    )


def test_rotated_boxes_are_suppressed_by_their_gaussians(cuda: ModuleType) -> None:
    rng = np.random.default_rng(5)
    output = yolo_output(rng, 400, 3, 1, "float32")
    found = ops.decode_yolo_rotated(output, num_classes=3, confidence=0.25)
    order = ops.nms_rotated(found.boxes, found.scores, found.class_ids, iou=0.3)
    finder = cuda.BoxFinder(
        batch=1, rows=400, channels=8, rows_first=False, scan="dense", coding="rotated", num_classes=3,
        confidence=0.25, iou=0.3,
    )  # fmt: skip
    memory, stream = upload(cuda, output), cuda.Stream()
    finder.find(memory.pointer, memory.pointer, 1, stream)
    stream.synchronize()
    assert len(order) > 5
    # The emulation has the processor's libm; a device's differs in the last bit, which no pair here turns.
    assert_found(
        finder,
        0,
        ops.Candidates(found.boxes[order], found.scores[order], found.class_ids[order], found.extra[order]),
    )


def test_the_best_scores_come_first(cuda: ModuleType) -> None:
    scores = np.round(np.random.default_rng(6).normal(0, 1, (2, 1000)), 1).astype(np.float32)
    scores[0, 7] = np.nan
    finder, stream = cuda.TopK(2, 1000, 10), cuda.Stream()
    memory, out = upload(cuda, scores), cuda.DeviceBuffer(160)
    finder.find(memory.pointer, out.pointer, out.pointer + 80, stream)
    values = download(cuda, out.pointer, (2, 10), "float32", stream)
    indices = download(cuda, out.pointer + 80, (2, 10), "int32", stream)
    for row in range(2):
        expected = top_k(scores[row], 10)
        np.testing.assert_array_equal(values[row], expected[0])
        np.testing.assert_array_equal(indices[row], expected[1])


@pytest.mark.parametrize(
    ("change", "message"),
    [
        ({"scan": "grid"}, "scan must be 'dense'"),
        ({"coding": "corner"}, "coding must be 'center'"),
        ({"num_classes": 4}, "num_classes does not fit"),
        ({"confidence": 1.5}, "confidence must be 0 to 1"),
        ({"max_candidates": 8193}, "max_candidates must be 1 to 8192"),
        ({"coding": "rotated"}, "too few channels"),
        ({"coding": "grid", "strides": [8], "height": 64, "width": 64}, "not as many as"),
        ({"scan": "rows", "channels": 5}, "too few channels"),
    ],
    ids=lambda value: str(value) if isinstance(value, dict) else "",
)
def test_what_does_not_fit_is_refused(
    emulated_cuda: ModuleType, change: dict[str, Any], message: str
) -> None:
    arguments: dict[str, Any] = {
        "batch": 1, "rows": 100, "channels": 7, "rows_first": True, "scan": "dense", "coding": "center",
        "num_classes": 3, "confidence": 0.25,
    }  # fmt: skip
    with pytest.raises(ValueError, match=message):
        emulated_cuda.BoxFinder(**(arguments | change))
