"""The synthetic conveyor: the same pictures every time, and a truth that agrees with itself."""

from __future__ import annotations

import subprocess
import sys

import numpy as np
import pytest

pytest.importorskip("cv2", reason="OpenCV is not installed (the video extra)")

from edgevision.demo.light import FINISHES, lamp_direction
from edgevision.demo.parts import CLASS_NAMES, KEYPOINT_NAMES, LANDMARKS, VARIANTS
from edgevision.demo.place import Placed, Pose, place_part
from edgevision.demo.scene import MIN_VISIBLE, Frame, Scene, Truth, random_still
from edgevision.errors import InputError

SIZE = (180, 320)
LAMP = lamp_direction(-2.3, 0.8)


@pytest.fixture(
    scope="module", params=[(0, 0.0), (1, 3.7), (2, 11.25), (3, 60.0)], ids="seed{0[0]}-{0[1]}s".format
)
def frame(request: pytest.FixtureRequest) -> Frame:
    seed, t_s = request.param
    return Scene(seed, SIZE).frame(t_s)


def put(name: str, pose: Pose, variant: int = 0, size: tuple[int, int] = SIZE) -> tuple[np.ndarray, Placed]:
    image = np.full((*size, 3), 70, np.uint8)
    finish = FINISHES[name]
    return image, place_part(image, name, variant, (finish[0][0], finish[1][0]), pose, LAMP)


def test_arrays_have_the_promised_types_and_shapes(frame: Frame) -> None:
    truth, n = frame.truth, len(frame.truth)
    assert n > 3
    assert (frame.image.shape, frame.image.dtype) == ((*SIZE, 3), np.uint8)
    expected = {
        "class_id": ((n,), np.int64), "object_id": ((n,), np.int64), "boxes": ((n, 4), np.float32),
        "masks": ((n, *SIZE), np.bool_), "visible": ((n,), np.float32), "ignored": ((n,), np.bool_),
        "labels": (SIZE, np.uint8), "keypoints": ((n, 4, 3), np.float32),
    }  # fmt: skip
    for name, (shape, dtype) in expected.items():
        array = getattr(truth, name)
        assert (name, array.shape, array.dtype) == (name, shape, dtype)


def test_boxes_are_the_extent_of_the_masks(frame: Frame) -> None:
    for box, mask in zip(frame.truth.boxes, frame.truth.masks, strict=True):
        ys, xs = np.nonzero(mask)
        assert box.tolist() == [xs.min(), ys.min(), xs.max() + 1, ys.max() + 1]


def test_masks_are_disjoint_and_make_up_the_label_map(frame: Frame) -> None:
    truth = frame.truth
    assert truth.masks.sum(axis=0).max() == 1
    labels = np.zeros(SIZE, np.uint8)
    for class_id, mask in zip(truth.class_id, truth.masks, strict=True):
        labels[mask] = class_id + 1
    assert np.array_equal(labels, truth.labels)


def test_visible_landmarks_lie_on_their_own_mask_and_hidden_ones_do_not(frame: Frame) -> None:
    for points, mask in zip(frame.truth.keypoints, frame.truth.masks, strict=True):
        for x, y, flag in points:
            on_picture = 0 <= x < SIZE[1] and 0 <= y < SIZE[0]
            assert flag == float(on_picture and mask[int(y), int(x)])


def test_slivers_are_flagged_and_left_out_on_request(frame: Frame) -> None:
    truth = frame.truth
    assert (truth.visible > 0).all()
    assert (truth.visible <= 1).all()
    assert truth.ignored[truth.visible < MIN_VISIBLE].all()
    counted = truth.counted()
    assert len(counted) == int((~truth.ignored).sum())
    assert np.array_equal(counted.boxes, truth.boxes[~truth.ignored])
    assert np.array_equal(counted.labels, truth.labels)


def test_every_kind_of_object_and_some_slivers_occur() -> None:
    seen, slivers, overlapped = set(), 0, 0
    for seed in range(12):
        truth = Scene(seed, SIZE).frame(seed * 2.0).truth
        seen |= set(truth.class_id.tolist())
        slivers += int(truth.ignored.sum())
        inside = (truth.boxes[:, :2] > 0).all(1) & (truth.boxes[:, 2:] < [SIZE[1], SIZE[0]]).all(1)
        overlapped += int((truth.visible[inside] < 1).sum())
    assert seen == set(range(len(CLASS_NAMES)))
    assert slivers > 0
    assert overlapped > 0


def same_truth(a: Truth, b: Truth) -> bool:
    return all(np.array_equal(getattr(a, name), getattr(b, name)) for name in a.__dataclass_fields__)


def test_frames_follow_from_seed_and_time_alone() -> None:
    scene = Scene(7, SIZE)
    later, first = scene.frame(9.0), scene.frame(1.0)  # out of order on purpose
    again = Scene(7, SIZE).frame(1.0)
    assert np.array_equal(first.image, again.image)
    assert same_truth(first.truth, again.truth)
    assert not np.array_equal(first.image, later.image)
    assert not np.array_equal(first.image, Scene(8, SIZE).frame(1.0).image)
    assert np.array_equal(scene.render(30, fps=30).image, first.image)


def test_stills_follow_from_the_generator() -> None:
    first, second = (random_still(np.random.default_rng(5), SIZE) for _ in range(2))
    assert np.array_equal(first.image, second.image)
    rng = np.random.default_rng(5)
    assert not np.array_equal(random_still(rng, SIZE).image, random_still(rng, SIZE).image)


@pytest.mark.parametrize("seed", range(4))
def test_objects_keep_their_identity_and_ride_with_the_belt(seed: int) -> None:
    scene = Scene(seed, SIZE)
    before, after = scene.frame(5.0).truth, scene.frame(5.3).truth
    shared, old, new = np.intersect1d(before.object_id, after.object_id, return_indices=True)
    assert len(shared) > 3
    assert np.array_equal(before.class_id[old], after.class_id[new])
    moved = (after.keypoints[new] - before.keypoints[old])[:, :, :2].mean(axis=1)
    # 0.22 to 0.5 picture heights a second, times 0.97 to 1.03, all in one direction; sideways only by turning.
    speed = np.abs(moved[:, 0]) / SIZE[0] / 0.3
    assert (speed > 0.19).all()
    assert (speed < 0.55).all()
    assert len(set(np.sign(moved[:, 0]))) == 1
    assert (np.abs(moved[:, 1]) < 3).all()


def test_objects_enter_and_leave_so_that_clips_may_be_long() -> None:
    scene = Scene(11, SIZE)
    early, late = scene.frame(0.0).truth, scene.frame(120.0).truth
    assert not set(early.object_id) & set(late.object_id)
    assert 0.4 < len(late) / len(early) < 2.5


def test_a_scene_looks_alike_at_every_size() -> None:
    small, large = Scene(3, SIZE).frame(2.0).truth, Scene(3, (360, 640)).frame(2.0).truth
    shared, a, b = np.intersect1d(small.object_id, large.object_id, return_indices=True)
    assert len(shared) >= len(small) - 2  # what barely peeps in may show no pixel at the smaller size
    whole = (small.visible[a] > 0.99) & (large.visible[b] > 0.99)
    # A box is a whole number of pixels: each side may be off by one pixel of the smaller picture.
    np.testing.assert_allclose(small.boxes[a][whole] * 2, large.boxes[b][whole], rtol=0, atol=2.0)


@pytest.mark.parametrize("name", CLASS_NAMES)
def test_landmarks_lie_on_material_of_every_variant(name: str) -> None:
    assert len(KEYPOINT_NAMES[name]) == len(LANDMARKS[name]) == 4
    for variant in range(VARIANTS):
        pose = Pose(160.3, 90.8, 60, 0.4 + variant, mirrored=variant % 2 == 1)
        _, placed = put(name, pose, variant)
        rows, columns = placed.window
        for x, y in placed.keypoints:
            assert placed.mask[int(y) - rows.start, int(x) - columns.start], (variant, x, y)


@pytest.mark.parametrize("name", CLASS_NAMES)
def test_parts_fill_their_square_and_stay_inside_it(name: str) -> None:
    for variant in range(VARIANTS):
        _, placed = put(name, Pose(160, 90, 60, 0.0), variant)
        ys, xs = np.nonzero(placed.mask)
        right = np.abs(xs + 0.5 + placed.window[1].start - 160).max()
        down = np.abs(ys + 0.5 + placed.window[0].start - 90).max()
        assert 0.8 * 60 < max(right, down) < 60


def test_a_washer_covers_the_area_of_its_ring() -> None:
    _, placed = put("washer", Pose(160, 90, 70, 0.3))
    expected = np.pi * (0.96**2 - 0.50**2) * 70**2
    assert placed.whole_pixels == pytest.approx(expected, rel=0.005)  # pixels on the rim round either way


def test_the_middle_of_a_washer_shows_the_belt() -> None:
    _, placed = put("washer", Pose(160, 90, 60, 0.0))
    assert not placed.mask[90 - placed.window[0].start, 160 - placed.window[1].start]


@pytest.mark.parametrize(
    "pose",
    [Pose(-30, 90, 40, 0), Pose(160, 200, 40, 0), Pose(330, -5, 40, 0)],
    ids=["left", "below", "corner"],
)
def test_a_part_beyond_the_border_is_clipped_and_keeps_its_whole_size(pose: Pose) -> None:
    _, placed = put("knob", pose)
    _, whole = put("knob", Pose(pose.x % 1 + 160, pose.y % 1 + 90, 40, 0))
    assert placed.whole_pixels == whole.whole_pixels
    assert 0 < placed.mask.sum() < placed.whole_pixels


def test_a_part_far_outside_changes_nothing() -> None:
    image, placed = put("gear", Pose(-300, 90, 40, 0))
    assert placed.mask.size == 0
    assert (image == 70).all()


def test_shadows_fall_away_from_the_lamp() -> None:
    image, placed = put("knob", Pose(160, 90, 40, 0))
    outside = np.ones(SIZE, bool)
    outside[placed.window] = ~placed.mask
    dark = np.where(outside, 70 - image[..., 0].astype(float), 0)
    ys, xs = np.mgrid[0 : SIZE[0], 0 : SIZE[1]]
    centre = np.array([(dark * (xs - 160)).sum(), (dark * (ys - 90)).sum()]) / dark.sum()
    assert centre @ LAMP[:2] < 0


@pytest.mark.parametrize(
    ("seed", "size", "t_s"),
    [
        pytest.param(-1, SIZE, 0, id="seed"),
        pytest.param(0, (20, 320), 0, id="size"),
        pytest.param(0, SIZE, -1, id="t"),
    ],
)
def test_impossible_arguments_are_refused(seed: int, size: tuple[int, int], t_s: float) -> None:
    with pytest.raises(InputError, match="must be"):
        Scene(seed, size).frame(t_s)


def test_importing_the_demo_loads_no_opencv() -> None:
    code = "import sys, edgevision.demo.scene, edgevision.demo.metrics; sys.exit('cv2' in sys.modules)"
    assert subprocess.run([sys.executable, "-c", code], check=False).returncode == 0
