"""Landmarks that a picture can tell."""

from __future__ import annotations

import numpy as np
import pytest

pytest.importorskip("cv2", reason="OpenCV is not installed (the video extra)")

from edgevision.demo.landmarks import ALIKE_TURNS, points_show, settle_landmarks, settle_points
from edgevision.demo.parts import LANDMARKS
from edgevision.demo.place import Pose
from edgevision.demo.scene import CLASS_NAMES, Scene

NAMES = list(CLASS_NAMES)


def placed(name: str, angle: float, mirrored: bool = False) -> np.ndarray:
    """The landmarks of a part in the picture, (1, 4, 2)."""
    matrix = Pose(300.0, 200.0, 50.0, angle, mirrored).matrix()
    return (np.array(LANDMARKS[name]) @ matrix[:, :2].T + matrix[:, 2])[None]


def settled(name: str, angle: float, mirrored: bool = False) -> np.ndarray:
    return settle_points(placed(name, angle, mirrored), np.array([NAMES.index(name)]))[0]


@pytest.mark.parametrize("name", ["washer", "gear", "bearing", "knob"])
@pytest.mark.parametrize("mirrored", [False, True], ids=["plain", "mirrored"])
def test_round_parts_have_theirs_right_below_left_and_above_however_they_lie(
    name: str, mirrored: bool
) -> None:
    radius = LANDMARKS[name][0][0] * 50
    expected = [[300 + radius, 200], [300, 200 + radius], [300 - radius, 200], [300, 200 - radius]]
    for angle in np.linspace(0, 6, 7):
        # float32 of coordinates near 300.
        np.testing.assert_allclose(settled(name, angle, mirrored), expected, rtol=0, atol=1e-4)


@pytest.mark.parametrize("mirrored", [False, True], ids=["plain", "mirrored"])
def test_a_nut_looks_alike_every_sixty_degrees(mirrored: bool) -> None:
    for angle in (0.1, 0.4, -0.3):
        same = [settled("nut", angle + turn * np.pi / 3, mirrored) for turn in range(6)]
        for other in same[1:]:
            np.testing.assert_allclose(other, same[0], rtol=0, atol=1e-3)
        first = same[0][0] - [300, 200]
        assert abs(np.degrees(np.arctan2(first[1], first[0]))) <= 30 + 1e-3
        assert sorted(map(tuple, np.round(same[0]))) != sorted(
            map(tuple, np.round(settled("nut", angle + 0.5)))
        )


@pytest.mark.parametrize("mirrored", [False, True], ids=["plain", "mirrored"])
def test_every_landmark_of_a_settled_nut_is_a_corner_of_it(mirrored: bool) -> None:
    corners = np.array([placed("nut", 0.2 + turn * np.pi / 3, mirrored)[0, 0] for turn in range(6)])
    for point in settled("nut", 0.2, mirrored):
        assert (
            np.hypot(*(corners - point).T).min() < 0.02
        )  # the table's corners are rounded to 0.001 of 50 px


@pytest.mark.parametrize("name", ["bolt", "bracket"])
def test_parts_that_show_how_they_lie_keep_theirs(name: str) -> None:
    for angle, mirrored in ((0.3, False), (2.5, True)):
        np.testing.assert_array_equal(
            settled(name, angle, mirrored), placed(name, angle, mirrored)[0].astype(np.float32)
        )


def test_a_spring_starts_on_the_right() -> None:
    for angle in np.linspace(-3, 3, 13):
        points = settled("spring", angle)
        assert points[0, 0] >= points[3, 0] - 1e-3
        np.testing.assert_allclose(points, settled("spring", angle + np.pi), rtol=0, atol=1e-3)


def test_every_class_has_an_entry() -> None:
    assert set(ALIKE_TURNS) == set(CLASS_NAMES)


def test_visibility_is_that_of_the_pixel_under_the_point() -> None:
    owners = np.zeros((10, 10), np.int64)
    owners[2:5, 3:6], owners[7, 7] = 1, 2
    points = np.array(
        [
            [[3.0, 2.0], [5.99, 4.99], [6.0, 4.0], [-1.0, 3.0]],
            [[7.5, 7.5], [3.5, 2.5], [10.0, 7.0], [7.5, 8.0]],
        ]
    )
    assert points_show(points, owners).tolist() == [[True, True, False, False], [True, False, False, False]]


def test_a_frames_landmarks_show_where_it_says_so() -> None:
    truth = Scene(5, (360, 640)).frame(2.0).truth
    landmarks = settle_landmarks(truth)
    assert landmarks.shape == (len(truth), 4, 3)
    assert landmarks.dtype == np.float32
    for mask, points in zip(truth.masks, landmarks, strict=True):
        for x, y, shows in points:
            inside = 0 <= x < 640 and 0 <= y < 360
            assert bool(shows) == (inside and bool(mask[int(y), int(x)]))
    assert landmarks[..., 2].mean() > 0.5
