from __future__ import annotations

from typing import Any

import numpy as np
import pytest
from box_outputs import LABELS, dense_output, finish, selected_output

from edgevision import Detections, InputError, SpecError
from edgevision.geometry import place_image

RNG = np.random.default_rng(3)
PROTOTYPES = RNG.normal(0, 1, (2, 32, 32)).astype(np.float32)
"""At the size of the input, so that each pixel of the image reads exactly one value."""

# Best last; the third is a weaker twin of the first. Extras: 2 coefficients, 2 keypoints of x, y.
OBJECTS = [
    ([4.0, 6.0, 20.0, 18.0], 0.6, 0, [1.0, -0.5, 5.0, 7.0, 40.0, -3.0]),
    ([16.0, 10.0, 31.0, 30.0], 0.9, 1, [-0.25, 2.0, 20.0, 12.0, 30.0, 29.0]),
    ([4.0, 6.0, 20.0, 17.5], 0.5, 0, [0.0, 1.0, 1.0, 1.0, 1.0, 1.0]),
]
MASKS = {"masks": 2}
BOTH = {"masks": 2, "keypoints": 2, "keypoint_dims": 2}


def cut(objects: list[Any], count: int) -> list[Any]:
    """The objects with so many of their further channels."""
    return [(box, score, class_id, extra[:count]) for box, score, class_id, extra in objects]


def expected_mask(box: list[float], coefficients: list[float]) -> np.ndarray:
    """Where the weighted sum of the prototypes is above 0, inside the box."""
    mask = np.tensordot(np.array(coefficients, np.float32), PROTOTYPES, axes=1) > 0
    x1, y1, x2, y2 = box
    y, x = np.mgrid[0:32, 0:32]
    return mask & (x >= x1) & (x < x2) & (y >= y1) & (y < y2)


@pytest.mark.parametrize("decoder", ["yolo", "yolo_end2end"])
def test_each_object_has_its_mask(decoder: str) -> None:
    objects = cut(OBJECTS, 2)
    if decoder == "yolo":
        result = finish("instances", decoder, MASKS, [dense_output(objects), PROTOTYPES])
    else:  # the graph has suppressed the twin
        result = finish("instances", decoder, MASKS, [selected_output(objects[:2]), PROTOTYPES])
    assert isinstance(result, Detections)
    assert result.task == "instances"
    assert result.labels == LABELS
    assert result.xyxy.tolist() == [OBJECTS[1][0], OBJECTS[0][0]]
    assert result.class_id.tolist() == [1, 0]
    assert result.confidence.tolist() == pytest.approx([0.9, 0.6])
    assert result.keypoints is None
    for mask, (box, _, _, extra) in zip(result.mask, (OBJECTS[1], OBJECTS[0]), strict=True):
        assert np.array_equal(mask, expected_mask(box, extra[:2]))


@pytest.mark.parametrize("decoder", ["yolo", "yolo_end2end"])
def test_masks_come_before_keypoints_and_what_is_not_read(decoder: str) -> None:
    params = {**BOTH, "num_extra": 1}
    objects = [(box, score, class_id, [*extra, 99.0]) for box, score, class_id, extra in OBJECTS[:2]]
    make = dense_output if decoder == "yolo" else selected_output
    result = finish("instances", decoder, params, [make(objects), PROTOTYPES])
    assert result.task == "instances"
    assert np.array_equal(result.mask[1], expected_mask(OBJECTS[0][0], OBJECTS[0][3][:2]))
    # Clipped to the image; visible, as the network does not tell.
    assert result.keypoints.tolist() == [[[20, 12, 1], [30, 29, 1]], [[5, 7, 1], [32, 0, 1]]]


def test_an_object_whose_mask_is_empty_is_dropped() -> None:
    objects = [*cut(OBJECTS[:2], 6), ([24.0, 2.0, 30.0, 8.0], 0.8, 0, [0.0, 0.0, 3.0, 4.0, 5.0, 6.0])]
    result = finish("instances", "yolo", BOTH, [dense_output(objects), PROTOTYPES])
    assert result.confidence.tolist() == pytest.approx([0.9, 0.6])
    assert result.keypoints[:, 0, 0].tolist() == [20, 5]
    assert (result.masks.area > 0).all()
    # It has counted: the limit is that of the boxes.
    limited = finish("instances", "yolo", BOTH, [dense_output(objects), PROTOTYPES], max_detections=2)
    assert limited.confidence.tolist() == pytest.approx([0.9])


def test_masks_come_back_through_the_letterbox() -> None:
    # 64 x 128 in 32 x 32: gain 0.25, eight rows of padding above and below.
    placement = place_image((64, 128), (32, 32))
    constant = np.ones((2, 8, 8), np.float32)
    objects = [([4.0, 6.0, 20.0, 18.0], 0.9, 0, [1.0, 0.0])]
    result = finish("instances", "yolo", MASKS, [dense_output(objects), constant], placement)
    assert result.image_hw == (64, 128)
    # The box reaches into the padding; it and its mask end at the image.
    assert result.xyxy.tolist() == [[16, 0, 80, 40]]
    assert result.masks.windows.tolist() == [[16, 0, 80, 40]]
    assert result.masks.area.tolist() == [64 * 40]


def test_the_crop_follows_the_spec() -> None:
    # Prototypes of a quarter of the size: cut there, a mask reaches beyond its box; cut in the image, never.
    constant = np.ones((2, 8, 8), np.float32)
    outputs = [dense_output([([5.0, 5.0, 20.0, 20.0], 0.9, 0, [1.0, 0.0])]), constant]
    image = finish("instances", "yolo", MASKS, outputs)
    prototype = finish("instances", "yolo", {**MASKS, "mask_crop": "prototype"}, outputs)
    assert image.masks.windows.tolist() == [[5, 5, 20, 20]]
    assert prototype.mask[0][~image.mask[0]].any()


def test_nothing_found_has_masks_and_keypoints_of_no_objects() -> None:
    result = finish("instances", "yolo", BOTH, [dense_output(cut(OBJECTS, 6)), PROTOTYPES], confidence=0.95)
    assert (len(result), len(result.masks), result.keypoints.shape) == (0, 0, (0, 2, 3))
    assert result.task == "instances"


def test_channels_that_do_not_add_up_to_the_labels_are_a_spec_error() -> None:
    with pytest.raises(SpecError, match="that leaves 3 class scores, and the spec names 2 labels"):
        finish("instances", "yolo", {"masks": 1}, [dense_output(cut(OBJECTS, 2)), PROTOTYPES])
    with pytest.raises(SpecError, match="leaves -2 class scores"):
        finish("instances", "yolo", {"masks": 6}, [dense_output(cut(OBJECTS, 2)), PROTOTYPES])


def test_prototypes_that_do_not_fit_the_coefficients_are_an_input_error() -> None:
    with pytest.raises(InputError, match=r"coefficients must be \(objects, prototypes\)"):
        finish("instances", "yolo", MASKS, [dense_output(cut(OBJECTS, 2)), PROTOTYPES[:1]])


def test_a_network_without_prototypes_is_a_spec_error() -> None:
    with pytest.raises(SpecError, match="reads 2 outputs, which the network does not have"):
        finish("instances", "yolo", MASKS, [dense_output(cut(OBJECTS, 2))])
