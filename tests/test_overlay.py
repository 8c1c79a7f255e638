from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest

from edgevision import (
    Classification,
    Detections,
    Embedding,
    InputError,
    Masks,
    OrientedDetections,
    PromptMasks,
    Segmentation,
    draw,
)
from edgevision.overlay import class_color

pytest.importorskip("cv2", reason="OpenCV (extra video) is not installed")

IMAGE = np.full((120, 160, 3), 90, np.uint8)


def detections(image_hw: tuple[int, int] = (120, 160), mask: bool = False) -> Detections:
    return Detections(
        np.array([[20, 30, 90, 100], [-5, -5, 200, 50]], np.float32),
        np.array([0.9, 0.4], np.float32),
        np.array([0, 1]),
        image_hw,
        ("bolt", "nut"),
        masks=Masks.from_dense(np.ones((2, *image_hw), bool)) if mask else None,
    )


def test_the_image_given_is_not_touched() -> None:
    before = IMAGE.copy()
    drawn = draw(IMAGE, detections())
    assert np.array_equal(IMAGE, before)
    assert not np.shares_memory(drawn, IMAGE)


def test_a_box_is_drawn_in_its_class_color() -> None:
    drawn = draw(IMAGE, detections())
    assert drawn[100, 50].tolist() == list(class_color(0))
    assert drawn[60, 50].tolist() == [90, 90, 90], "inside of a box without a mask stays"


def test_a_mask_is_blended_at_the_opacity_asked_for() -> None:
    untouched = draw(IMAGE, detections(mask=True), opacity=0.0)
    assert untouched[60, 50].tolist() == [90, 90, 90]
    covered = draw(IMAGE, detections(mask=True)[:1], opacity=1.0)
    assert covered[115, 155].tolist() == list(class_color(0))


@pytest.mark.parametrize(
    "shape", [(120, 160), (120, 160, 4), (120, 160, 1)], ids=["grey", "alpha", "one channel"]
)
def test_other_pixel_layouts_are_accepted(shape: tuple[int, ...]) -> None:
    assert draw(np.zeros(shape, np.uint8), detections()).shape == (120, 160, 3)


def test_nothing_found_leaves_the_picture() -> None:
    assert np.array_equal(draw(IMAGE, Detections.empty((120, 160))), IMAGE)


def test_only_a_masks_own_pixels_are_tinted() -> None:
    whole = np.zeros((1, 120, 160), bool)
    whole[0, 40:80, 60:120] = True
    whole[0, 55:65, 80:100] = False
    one = Detections(
        np.array([[60, 40, 120, 80]], np.float32),
        np.array([0.9], np.float32),
        np.array([0]),
        (120, 160),
        masks=Masks.from_dense(whole),
    )
    drawn = draw(IMAGE, one, opacity=1.0)
    inside = np.zeros((120, 160), bool)
    inside[46:50, 66:74] = True
    assert (drawn[inside] == class_color(0)).all()
    hole = drawn[58:62, 84:96]
    assert (hole == 90).all(), "a hole stays as it was"
    outlined = draw(IMAGE, one, opacity=0.0)
    assert outlined[54, 90].tolist() == list(class_color(0)), "the mask's last pixel before the hole"
    assert outlined[50, 90].tolist() == [90, 90, 90]


def keypoint_result(count: int, visibility: float = 1.0) -> Detections:
    """`count` keypoints, up and down in turn, that no box touches."""
    steps = np.arange(count, dtype=np.float32)
    points = np.stack([20 + 8 * steps, 20.0 + 60 * (steps % 2), np.full(count, visibility)], axis=1)
    return Detections(
        np.array([[0, 118, 1, 119]], np.float32),
        np.array([0.9], np.float32),
        np.array([3]),
        (120, 160),
        keypoints=points[None].astype(np.float32),
    )


@pytest.mark.parametrize("count", [3, 17])
def test_visible_keypoints_are_dots(count: int) -> None:
    drawn = draw(IMAGE, keypoint_result(count))
    for x, y, _ in keypoint_result(count).keypoints[0]:
        assert drawn[int(y), int(x)].tolist() == [255, 255, 255]
    hidden = keypoint_result(count, visibility=0.4)
    assert np.array_equal(draw(IMAGE, hidden), draw(IMAGE, replace(hidden, keypoints=None)))


def test_a_persons_keypoints_are_joined() -> None:
    nose, eye = keypoint_result(17).keypoints[0, :2, :2]
    x, y = ((nose + eye) / 2 - 0.5).round().astype(int)
    joined, apart = draw(IMAGE, keypoint_result(17)), draw(IMAGE, keypoint_result(16))
    assert joined[y, x].argmax() == np.argmax(class_color(3)), "the limb's hue; its brightness is antialiased"
    assert np.ptp(joined[y, x]) > 60
    assert apart[y, x].tolist() == [90, 90, 90]


def near(pixel: np.ndarray, color: tuple[int, ...]) -> bool:
    """Strokes are antialiased: even their middle is a few grey levels off the colour."""
    return bool(np.abs(pixel.astype(int) - color).max() <= 16)


def test_a_rotated_box_is_drawn_along_its_sides() -> None:
    turned = OrientedDetections(
        np.array([[80, 60, 80, 40, np.pi / 6]], np.float32),
        np.array([0.8], np.float32),
        np.array([2]),
        (120, 160),
    )
    drawn = draw(IMAGE, turned)
    corners = turned.corners[0]
    # The first side, which no label covers: its middle, and as far inwards the picture itself.
    middle = (corners[0] + corners[3]) / 2
    inwards = middle + (turned.xywhr[0, :2] - middle) / 2
    row, column = (middle[::-1] - 0.5).round().astype(int)
    assert near(drawn[row, column], class_color(2))
    assert drawn[int(inwards[1]), int(inwards[0])].tolist() == [90, 90, 90]


def test_every_kind_of_result_is_drawn() -> None:
    labels = np.zeros((120, 160), np.uint8)
    labels[40:80, 50:100] = 1
    drawn = draw(IMAGE, Segmentation(labels, (120, 160), ("belt", "nut")))
    assert drawn[60, 75].tolist() != [90, 90, 90]
    assert drawn[110, 150].tolist() == [90, 90, 90], "class 0 is the background"
    scores = Classification(np.array([1, 0]), np.array([0.8, 0.2], np.float32), (120, 160), ("cat", "dog"))
    assert not np.array_equal(draw(IMAGE, scores), IMAGE)


def test_an_embedding_has_nothing_to_draw() -> None:
    with pytest.raises(InputError, match="an Embedding has nothing to draw; compare it"):
        draw(IMAGE, Embedding(np.zeros(4, np.float32), (120, 160)))


@pytest.mark.parametrize("size_hw", [(1, 1), (7, 300), (300, 7), (2160, 3840)])
def test_any_size_of_picture_can_be_drawn_on(size_hw: tuple[int, int]) -> None:
    assert draw(np.zeros((*size_hw, 3), np.uint8), detections(size_hw)).shape == (*size_hw, 3)


@pytest.mark.parametrize(
    ("image", "result", "opacity", "text"),
    [
        (
            np.zeros((10, 10, 3), np.uint8),
            detections(),
            0.5,
            "result is of an image of 120x160, got one of 10x10",
        ),
        (IMAGE.astype(np.float32), detections(), 0.5, "image must be uint8"),
        ("picture.png", detections(), 0.5, "got str"),
        (IMAGE, {"boxes": []}, 0.5, "got dict"),
        (IMAGE, detections(), 1.5, "opacity must be from 0 to 1"),
    ],
    ids=["size", "dtype", "path", "result", "opacity"],
)
def test_bad_input_is_an_input_error(image: object, result: object, opacity: float, text: str) -> None:
    with pytest.raises(InputError, match=text):
        draw(image, result, opacity=opacity)


def test_neighbouring_classes_have_colors_far_apart() -> None:
    colors = np.array([class_color(i) for i in range(12)], float)
    gaps = [np.abs(colors[i] - colors[i + 1]).sum() for i in range(11)]
    assert min(gaps) > 100


def test_the_smallest_candidate_mask_lies_on_top() -> None:
    masks = np.zeros((2, 120, 160), bool)
    masks[0, 90:110, 60:100] = True
    masks[1, 70:, 20:] = True
    logits = np.zeros((2, 4, 4), np.float32)
    drawn = draw(IMAGE, PromptMasks(masks, np.array([0.5, 0.9], np.float32), logits, (120, 160)), opacity=1.0)
    assert drawn[100, 80].tolist() == list(class_color(0))
    assert drawn[100, 150].tolist() == list(class_color(1))
    assert drawn[60, 150].tolist() == [90, 90, 90]
