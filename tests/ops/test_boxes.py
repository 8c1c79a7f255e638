"""detect_yolo is the three steps it joins; wrong arguments of every decoder are named.

The decoders' results are in test_boxes_yolo and test_boxes_layouts, that both implementations agree in
test_boxes_agree.
"""

from __future__ import annotations

from concurrent.futures import ThreadPoolExecutor
from typing import Any

import numpy as np
import pytest
from candidate_checks import assert_candidates

from edgevision.errors import InputError
from edgevision.geometry import Placement, place_image
from edgevision.ops import boxes as ops
from edgevision.ops.boxes import (
    decode_detr,
    decode_end2end,
    decode_end2end_rotated,
    decode_rtdetr,
    decode_yolo,
    decode_yolo_rotated,
    decode_yolov5,
    decode_yolox,
    detect_yolo,
)

pytestmark = pytest.mark.usefixtures("kernels")

NAN = float("nan")


# ---- In one call
# -----------------------------------------------------------------------------------------------------


def crowded(anchors: int = 900, classes: int = 6, extra: int = 3, seed: int = 0) -> np.ndarray:
    """A YOLO output with many overlapping boxes."""
    rng = np.random.default_rng(seed)
    output = rng.random((4 + classes + extra, anchors), np.float32)
    output[:2] *= 320
    output[2:4] = 20 + 60 * output[2:4]
    output[4 : 4 + classes] **= 5
    return output


PLACEMENTS = [
    pytest.param(place_image((1080, 1920), (320, 320)), id="letterbox"),
    pytest.param(place_image((333, 127), (320, 320), mode="stretch"), id="stretch"),
    pytest.param(place_image((500, 700), (320, 320), mode="shortest_side_crop"), id="crop"),
]


@pytest.mark.parametrize("placement", PLACEMENTS)
@pytest.mark.parametrize(
    "options",
    [
        {},
        {"class_agnostic": True},
        {"class_offset": 7680.0},
        {"multi_label": True, "max_candidates": 200},
        {"classes": [1, 4], "max_detections": 5},
    ],
    ids=str,
)
def test_detect_yolo_is_decode_nms_and_the_way_back(placement: Placement, options: dict[str, Any]) -> None:
    output = crowded()
    decoding = {key: options[key] for key in ("classes", "multi_label") if key in options}
    found = decode_yolo(output, num_classes=6, confidence=0.3, **decoding)
    suppressing = {
        k: options[k] for k in ("max_detections", "class_offset", "max_candidates") if k in options
    }
    ids = None if options.get("class_agnostic") else found.class_ids
    kept = ops.nms(found.boxes, found.scores, ids, iou=0.5, **suppressing)
    assert 2 < len(kept) < len(found)
    detected = detect_yolo(output, placement, num_classes=6, confidence=0.3, iou=0.5, **options)
    expected = placement.boxes_to_image(found.boxes[kept])
    assert_candidates(
        detected, expected, found.scores[kept], found.class_ids[kept], found.extra[kept].tolist()
    )


def test_threads_do_not_share_scratch() -> None:
    placement = place_image((300, 400), (320, 320))
    outputs = [crowded(seed=seed, anchors=700 + 100 * seed) for seed in range(4)]

    def detect(output: np.ndarray) -> list[float]:
        found = detect_yolo(output, placement, num_classes=6, confidence=0.2, iou=0.5, multi_label=True)
        return [*found.boxes.ravel().tolist(), *found.scores.tolist(), *found.extra.ravel().tolist()]

    expected = [detect(output) for output in outputs]
    with ThreadPoolExecutor(4) as pool:
        assert list(pool.map(detect, outputs * 10)) == expected * 10


def test_detect_yolo_of_nothing_is_empty() -> None:
    placement = place_image((10, 10), (32, 32))
    found = detect_yolo(
        np.zeros((4 + 2 + 5, 0), np.float32), placement, num_classes=2, confidence=0.1, iou=0.5
    )
    assert (found.boxes.shape, found.scores.shape, found.extra.shape) == ((0, 4), (0,), (0, 5))


# ---- Errors
# ----------------------------------------------------------------------------------------------------------

GOOD = np.zeros((9, 20), np.float32)
ROWS = np.zeros((20, 9), np.float32)
YOLO = {"num_classes": 5, "confidence": 0.5}

ERRORS = [
    pytest.param(
        lambda: decode_yolo(GOOD[None], **YOLO),
        r"output must be .* got float32 \(1, 9, 20\); pass output\[0\]",
        id="batch",
    ),
    pytest.param(lambda: decode_yolo(GOOD.astype(np.float64), **YOLO), "got float64", id="double"),
    pytest.param(lambda: decode_yolo(GOOD.astype(">f4"), **YOLO), "got >f4", id="byte-order"),
    pytest.param(lambda: decode_yolo(GOOD.tolist(), **YOLO), "got a list", id="list"),
    pytest.param(
        lambda: decode_yolo(GOOD, num_classes=6, confidence=0.5), "num_classes=6, got", id="too-few-rows"
    ),
    pytest.param(
        lambda: decode_yolo(GOOD, num_classes=0, confidence=0.5), "num_classes must be", id="no-classes"
    ),
    pytest.param(
        lambda: decode_yolo(GOOD, num_classes=5, confidence=1.5),
        "confidence must be .* got 1.5",
        id="confidence",
    ),
    pytest.param(
        lambda: decode_yolo(GOOD, num_classes=5, confidence=NAN), "confidence must be", id="confidence-nan"
    ),
    pytest.param(
        lambda: decode_yolo(GOOD, classes=[5], **YOLO), "classes must be .* 0 to 4, got 5", id="class-id"
    ),
    pytest.param(lambda: decode_yolo(GOOD, classes=[-1], **YOLO), "classes must be", id="negative-class-id"),
    pytest.param(
        lambda: decode_yolo(GOOD, classes=[0.5], **YOLO), "classes must be", id="fractional-class-id"
    ),
    pytest.param(lambda: decode_yolo_rotated(GOOD, **YOLO), r"extra \+ 1, anchors\)", id="no-angle"),
    pytest.param(lambda: decode_yolov5(ROWS, **YOLO), r"\(anchors, 5 \+ num_classes", id="yolov5-too-narrow"),
    pytest.param(
        lambda: decode_yolox(ROWS, num_classes=4, confidence=0.5, input_hw=(64, 64)),
        "give 84 anchors, but output has 20",
        id="yolox-grid",
    ),
    pytest.param(
        lambda: decode_yolox(ROWS, num_classes=4, confidence=0.5, input_hw=(64, 64), strides=()),
        "1 to 8",
        id="yolox-no-strides",
    ),
    pytest.param(
        lambda: decode_yolox(ROWS, num_classes=4, confidence=0.5, input_hw=(64, 64), strides=(0,)),
        "1 to 8",
        id="yolox-zero-stride",
    ),
    pytest.param(
        lambda: decode_rtdetr(ROWS, num_classes=5, confidence=0.5, input_hw=(0, 64)),
        "input_hw must be",
        id="input-size",
    ),
    pytest.param(
        lambda: decode_end2end(ROWS[:, :5], confidence=0.5),
        r"\(N, 6 or more\), got float32 \(20, 5\)",
        id="end2end",
    ),
    pytest.param(
        lambda: decode_end2end_rotated(ROWS[:, :6], confidence=0.5), r"\(N, 7 or more\)", id="end2end-rotated"
    ),
    pytest.param(
        lambda: decode_end2end(ROWS, confidence=0.5, classes=[10**9]), "0 to 65535", id="end2end-class-id"
    ),
    pytest.param(
        lambda: decode_detr(ROWS, ROWS, confidence=0.5, input_hw=(8, 8)),
        r"boxes \(queries, 4\)",
        id="detr-boxes",
    ),
    pytest.param(
        lambda: decode_detr(ROWS[:, :1], ROWS[:, :4], confidence=0.5, input_hw=(8, 8)),
        r"\(queries, 2 or more\)",
        id="detr-one-class",
    ),
    pytest.param(
        lambda: decode_detr(ROWS, ROWS[:, :4], confidence=0.5, input_hw=(8, 8), activation="relu"),
        "unknown activation 'relu'; accepted",
        id="activation",
    ),
    pytest.param(
        lambda: decode_detr(
            ROWS, ROWS[:, :4], confidence=0.5, input_hw=(8, 8), activation="sigmoid", top_k=0
        ),
        "top_k must be",
        id="top-k",
    ),
    pytest.param(
        lambda: detect_yolo(GOOD, place_image((9, 9), (9, 9)), iou=2, **YOLO), "iou must be", id="iou"
    ),
    pytest.param(
        lambda: detect_yolo(GOOD, place_image((9, 9), (9, 9)), iou=0.5, class_offset=-1, **YOLO),
        "class_offset",
        id="offset",
    ),
    pytest.param(
        lambda: detect_yolo(GOOD, place_image((9, 9), (9, 9)), iou=0.5, max_detections=0, **YOLO),
        "max_detections",
        id="max-detections",
    ),
]


@pytest.mark.parametrize(("call", "message"), ERRORS)
def test_wrong_arguments_are_named(call: Any, message: str) -> None:
    with pytest.raises(InputError, match=message):
        call()
