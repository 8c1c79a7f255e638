from __future__ import annotations

import numpy as np
import pytest

from edgevision.errors import InputError
from edgevision.geometry import RESIZE_MODES, Placement, place_image

CASES = [
    # mode, image, canvas, options -> resized, offset, canvas really used
    pytest.param("letterbox", (1080, 1920), (640, 640), {}, (360, 640), (140, 0), (640, 640), id="wide"),
    pytest.param("letterbox", (1920, 1080), (640, 640), {}, (640, 360), (0, 140), (640, 640), id="tall"),
    pytest.param("letterbox", (480, 480), (640, 640), {}, (640, 640), (0, 0), (640, 640), id="enlarged"),
    pytest.param(
        "letterbox", (100, 60), (640, 640), {"upscale": False}, (100, 60), (270, 290), (640, 640), id="no-upscale"
    ),
    # An odd remainder of 640 - 359 = 281: 140 above, 141 below.
    pytest.param("letterbox", (359, 640), (640, 640), {}, (359, 640), (140, 0), (640, 640), id="odd-pad"),
    pytest.param(
        "letterbox", (1080, 1920), (640, 640), {"pad_placement": "bottom_right"}, (360, 640), (0, 0), (640, 640),
        id="bottom-right",
    ),
    # 360 rounds up to 384 = 12 * 32, so the pad is 12 and 12.
    pytest.param(
        "letterbox", (1080, 1920), (640, 640), {"multiple": 32}, (360, 640), (12, 0), (384, 640), id="multiple"
    ),
    pytest.param("letterbox", (1, 5000), (640, 640), {}, (1, 640), (319, 0), (640, 640), id="never-below-1"),
    # 101 * 0.5 = 50.5: half to even for a letterbox, half up for Segment Anything.
    pytest.param("letterbox", (101, 200), (100, 100), {}, (50, 100), (25, 0), (100, 100), id="half-to-even"),
    pytest.param(
        "longest_side_pad", (101, 200), (100, 100), {"pad_placement": "bottom_right"}, (51, 100), (0, 0), (100, 100),
        id="half-up",
    ),
    pytest.param("stretch", (1080, 1920), (640, 320), {}, (640, 320), (0, 0), (640, 320), id="stretch"),
    # int(256 * 1920 / 1080) = 455; round((455 - 224) / 2) = round(115.5) = 116, half to even.
    pytest.param(
        "shortest_side_crop", (1080, 1920), (224, 224), {"resize_size": 256}, (256, 455), (-16, -116), (224, 224),
        id="crop-wide",
    ),
    pytest.param(
        "shortest_side_crop", (1920, 1080), (224, 224), {"resize_size": 256}, (455, 256), (-116, -16), (224, 224),
        id="crop-tall",
    ),
    pytest.param(
        "shortest_side_crop", (300, 300), (224, 224), {}, (224, 224), (0, 0), (224, 224), id="crop-without-resize-size"
    ),
    pytest.param(
        "shortest_side_crop", (100, 120), (64, 64), {"resize_size": 33}, (33, 39), (15, 12), (64, 64),
        id="crop-larger-than-the-image-pads",
    ),
    pytest.param(
        "shortest_side_crop_floor", (1080, 1920), (224, 224), {"resize_size": 256}, (256, 455), (-16, -115),
        (224, 224), id="crop-floor",
    ),
    pytest.param(
        "stretch_crop", (1080, 1920), (224, 224), {"resize_size": 256}, (256, 256), (-16, -16), (224, 224),
        id="stretch-crop",
    ),
    pytest.param(
        "stretch_crop", (64, 32), (24, 24), {"resize_size": 27}, (27, 27), (-2, -2), (24, 24), id="stretch-crop-odd"
    ),
    pytest.param("stretch_crop", (64, 32), (24, 24), {}, (24, 24), (0, 0), (24, 24), id="stretch-crop-nothing"),
]  # fmt: skip


@pytest.mark.parametrize(("mode", "image", "canvas", "options", "resized", "offset", "used"), CASES)
def test_places(mode, image, canvas, options, resized, offset, used) -> None:
    assert place_image(image, canvas, mode=mode, **options) == Placement(image, resized, offset, used)


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        (((0, 5), (4, 4)), "at least 1x1, got an image of 0x5"),
        (((5, 5), (4, 0)), "a canvas of 4x0"),
        (((5, 5), (4, 4), {"mode": "fit"}), "unknown resize mode 'fit'; accepted: letterbox, stretch"),
        (((5, 5), (4, 4), {"pad_placement": "top"}), "unknown pad placement 'top'; accepted: center"),
        (
            ((5, 5), (4, 4), {"mode": "shortest_side_crop", "resize_size": 0}),
            "resize_size must be at least 1",
        ),
    ],
)
def test_refuses(arguments, message) -> None:
    image, canvas, *options = arguments
    with pytest.raises(InputError, match=message):
        place_image(image, canvas, **(options[0] if options else {}))


def random_sizes(count: int, largest: int, seed: int) -> list[tuple[int, int]]:
    return [tuple(size) for size in np.random.default_rng(seed).integers(1, largest, (count, 2)).tolist()]


def test_letterbox_lies_where_ultralytics_puts_it() -> None:
    augment = pytest.importorskip("ultralytics.data.augment")
    for image in random_sizes(100, 400, seed=1):
        if max(image) / min(image) > 60:
            continue  # a side that rounds to 0, which OpenCV refuses
        for canvas in ((96, 96), (64, 160)):
            for auto in (False, True):
                letterbox = augment.LetterBox(new_shape=canvas, auto=auto, stride=32, padding_value=0)
                covered = letterbox(image=np.full((*image, 3), 255, np.uint8))[:, :, 0] == 255
                rows, columns = np.flatnonzero(covered.any(axis=1)), np.flatnonzero(covered.any(axis=0))
                assert place_image(image, canvas, multiple=32 if auto else 0) == Placement(
                    image, (rows.size, columns.size), (int(rows[0]), int(columns[0])), covered.shape
                )


def test_floored_crop_lies_where_transformers_takes_it() -> None:
    torch = pytest.importorskip("torch", reason="torch is not installed")
    transformers = pytest.importorskip("transformers", "5", reason="transformers 5 is not installed")
    processor = transformers.CLIPImageProcessor()
    sizes = transformers.image_utils.SizeDict
    for image in random_sizes(60, 100, seed=5):
        for size, crop in ((16, (14, 14)), (10, (16, 16)), (16, (12, 20)), (13, (12, 12))):
            placement = place_image(image, crop, mode="shortest_side_crop_floor", resize_size=size)
            height, width = processor.resize(torch.zeros(1, *image), sizes(shortest_edge=size)).shape[1:]
            assert placement.resized_hw == (height, width)
            y, x = torch.meshgrid(torch.arange(1, height + 1), torch.arange(1, width + 1), indexing="ij")
            taken = processor.center_crop(torch.stack([y, x]), sizes(height=crop[0], width=crop[1])).numpy()
            top, left = placement.offset_yx
            expected = np.zeros((2, *crop), np.int64)
            expected[0] = np.arange(crop[0])[:, None] - top + 1
            expected[1] = np.arange(crop[1]) - left + 1
            inside = (expected >= 1).all(axis=0) & (expected[0] <= height) & (expected[1] <= width)
            np.testing.assert_array_equal(taken, expected * inside)


def test_crop_lies_where_torchvision_takes_it() -> None:
    torch = pytest.importorskip("torch")
    functional = pytest.importorskip("torchvision.transforms.v2.functional")
    for image in random_sizes(60, 100, seed=2):
        for size, crop in ((16, (14, 14)), (10, (16, 16)), (16, (12, 20)), (13, (12, 12))):
            height, width = functional.resize(torch.zeros(1, *image), [size]).shape[1:]
            placement = place_image(image, crop, mode="shortest_side_crop", resize_size=size)
            assert placement.resized_hw == (height, width)
            # Pixels that hold their own coordinates plus 1, so that 0 is the crop's padding.
            y, x = torch.meshgrid(torch.arange(1, height + 1), torch.arange(1, width + 1), indexing="ij")
            taken = functional.center_crop(torch.stack([y, x]), list(crop)).numpy()
            top, left = placement.offset_yx
            expected = np.zeros((2, *crop), np.int64)
            expected[0] = np.arange(crop[0])[:, None] - top + 1
            expected[1] = np.arange(crop[1]) - left + 1
            inside = (expected >= 1).all(axis=0) & (expected[0] <= height) & (expected[1] <= width)
            np.testing.assert_array_equal(taken, expected * inside)


@pytest.mark.parametrize("mode", RESIZE_MODES)
def test_points_survive_the_round_trip(mode) -> None:
    rng = np.random.default_rng(3)
    for image in random_sizes(50, 2000, seed=4):
        placement = place_image(image, (320, 416), mode=mode)
        points = (rng.random((20, 2)) * [image[1], image[0]]).astype(np.float32)
        back = placement.points_to_image(placement.points_to_model(points))
        # float32 keeps 24 bits of coordinates up to some 10^5 (a crop of a long thin image): a few of its steps.
        scale = max(*placement.resized_hw, 416) / min(placement.gain_yx)
        np.testing.assert_allclose(back, points, rtol=0, atol=4 * scale * 2.0**-24)


def test_maps_use_the_rounded_size_and_pad() -> None:
    placement = place_image((101, 200), (100, 100))  # resized to 50x100, so the gains are 50/101 and 1/2
    corners = placement.points_to_model(np.array([[0, 0], [200, 101]], np.float32))
    np.testing.assert_allclose(corners, [[0, 25], [100, 75]], rtol=0, atol=1e-5)  # float32 of 50/101
    assert placement.gain_yx == (50 / 101, 0.5)


def test_boxes_are_clipped_to_the_image_and_points_are_not() -> None:
    placement = place_image((100, 200), (100, 100))  # rows 25 to 75
    boxes = np.array([[-10, 0, 50, 50], [90, 70, 120, 100]], np.float32)
    assert placement.boxes_to_image(boxes).tolist() == [[0, 0, 100, 50], [180, 90, 200, 100]]
    points = np.array([[-10, 0]], np.float32)
    assert placement.points_to_image(points).tolist() == [[-20, -50]]
    assert boxes[0, 0] == -10, "the caller's boxes are left alone"


def test_no_boxes_give_no_boxes() -> None:
    placement = place_image((100, 200), (100, 100))
    boxes = placement.boxes_to_image(np.zeros((0, 4), np.float32))
    assert (boxes.shape, boxes.dtype) == ((0, 4), np.float32)


# ---- Keypoints, rotated boxes, maps


def test_the_images_place_in_a_map() -> None:
    assert place_image((1080, 1920), (640, 640)).roi_in((160, 160)) == (35.0, 0.0, 90.0, 160.0)
    assert place_image((427, 640), (640, 640)).roi_in((160, 320)) == (26.5, 0.0, 106.75, 320.0)
    cropped = place_image((100, 200), (50, 50), mode="shortest_side_crop")
    assert cropped.roi_in((25, 25)) == (0.0, -12.5, 25.0, 50.0)


def test_keypoints_are_mapped_and_clipped_and_the_rest_kept() -> None:
    placement = place_image((480, 640), (640, 640))
    keypoints = np.array([[[-50, -60, 0.9], [700, 700, -2], [320, 330, 0.5]]], np.float32)
    before = keypoints.copy()
    found = placement.keypoints_to_image(keypoints)
    assert found.dtype == np.float32
    assert found.tolist() == [[[0, 0, np.float32(0.9)], [640, 480, -2], [320, 250, 0.5]]]
    np.testing.assert_array_equal(keypoints, before)
    np.testing.assert_array_equal(placement.keypoints_to_image(keypoints[..., :2]), found[..., :2])
    assert placement.keypoints_to_image(keypoints[:0]).shape == (0, 3, 3)
    assert placement.keypoints_to_image(keypoints.astype(np.float16)).dtype == np.float32


ANGLES = [
    # width, height, angle -> the same box with an angle from 0 to below pi / 2
    pytest.param((100, 50, 0.0), (100, 50, 0.0), id="flat"),
    pytest.param((100, 50, 1.5), (100, 50, 1.5), id="in-range"),
    pytest.param((100, 50, -0.1), (50, 100, np.pi / 2 - 0.1), id="a-little-back"),
    pytest.param((100, 50, 2.0), (50, 100, 2.0 - np.pi / 2), id="past-a-quarter"),
    pytest.param((100, 50, 4.0), (100, 50, 4.0 - np.pi), id="past-a-half"),
    pytest.param((100, 50, -3.2), (50, 100, -3.2 + 1.5 * np.pi), id="back-past-a-half"),
]


@pytest.mark.parametrize(("box", "expected"), ANGLES)
def test_rotated_boxes_have_one_way_to_be_written(box, expected) -> None:
    boxes = np.array([(20, 30, *box)], np.float32)
    found = place_image((64, 64), (64, 64)).rotated_to_image(boxes)
    assert found.dtype == np.float32
    # The angle's own float32 rounding, at 3.2.
    np.testing.assert_allclose(found, [[20, 30, *expected]], atol=3e-7)


IMAGES = [(480, 640), (427, 640), (1080, 1920), (333, 517), (100, 900)]


@pytest.mark.parametrize("image", IMAGES, ids=str)
def test_rotated_boxes_and_keypoints_are_ultralytics(image) -> None:
    torch = pytest.importorskip("torch", reason="torch is not installed")
    ops = pytest.importorskip("ultralytics.utils.ops", reason="ultralytics is not installed")
    rng = np.random.default_rng(0)
    sides = rng.uniform(1, 200, (200, 2))
    boxes = np.concatenate([rng.uniform(0, 640, (200, 2)), sides, rng.uniform(-7, 7, (200, 1))], axis=1)
    boxes = boxes.astype(np.float32)
    placement = place_image(image, (640, 640))
    expected = torch.from_numpy(boxes.copy())
    expected[:, :4] = ops.scale_boxes((640, 640), expected[:, :4], image, xywh=True)
    expected = ops.regularize_rboxes(expected)
    # float32 there, double here: 4 ulp of 1000 pixels, and of pi.
    found = placement.rotated_to_image(boxes)
    np.testing.assert_allclose(found, expected.numpy(), atol=3e-4, rtol=0)
    np.testing.assert_allclose(found[:, 4], expected.numpy()[:, 4], atol=1e-6, rtol=0)
    keypoints = rng.uniform(-50, 700, (9, 17, 3)).astype(np.float32)
    expected = ops.scale_coords((640, 640), torch.from_numpy(keypoints.copy()), image).numpy()
    np.testing.assert_allclose(placement.keypoints_to_image(keypoints), expected, atol=3e-4, rtol=0)


def test_a_stretched_rotated_box_keeps_its_axes() -> None:
    # Model pixels are 2 image pixels wide and 1 high: an unturned box, one turned by a quarter, and a diagonal
    # whose first side (1, 1) becomes (2, 1) and whose second (-1, 1) becomes (-2, 1).
    placement = place_image((64, 128), (64, 64), mode="stretch")
    root = np.sqrt(0.5)
    boxes = np.array([[8, 9, 10, 6, 0], [8, 9, 10, 6, np.pi / 2], [8, 9, 10, 6, np.pi / 4]], np.float32)
    diagonal = [16, 9, 10 * root * np.sqrt(5), 6 * root * np.sqrt(5), np.arctan2(1, 2)]
    expected = [[16, 9, 20, 6, 0], [16, 9, 12, 10, 0], diagonal]
    np.testing.assert_allclose(placement.rotated_to_image(boxes), expected, atol=1e-5)


def test_no_rotated_boxes() -> None:
    assert place_image((5, 5), (4, 4)).rotated_to_image(np.zeros((0, 5), np.float32)).shape == (0, 5)
