"""The contact sheet's layout, and the demo's models by name."""

from __future__ import annotations

import numpy as np
import pytest

pytest.importorskip("cv2", reason="OpenCV is not installed (the video extra)")

from edgevision.demo.sheet import BACKGROUND, TILE_HW, Tile, compose_sheet, fit_picture
from edgevision.demo.shipped import DEMO_MODELS, demo_model_path
from edgevision.errors import InputError


def tile(value: int) -> Tile:
    return Tile(f"tile {value}", "a caption", np.full((*TILE_HW, 3), value, np.uint8))


def test_tiles_stand_row_by_row_and_are_not_touched() -> None:
    sheet = compose_sheet("edgevision", "a remark", [tile(40), tile(80), tile(120), tile(160)], columns=3)
    corners = [
        tuple(int(v) for v in np.argwhere((sheet == value).all(axis=2))[0]) for value in (40, 80, 120, 160)
    ]
    assert corners[0][0] == corners[1][0] == corners[2][0] < corners[3][0]
    assert corners[0][1] == corners[3][1] < corners[1][1] < corners[2][1]
    for (top, left), value in zip(corners, (40, 80, 120, 160), strict=True):
        assert (sheet[top : top + TILE_HW[0], left : left + TILE_HW[1]] == value).all()
    assert (sheet[-1] == BACKGROUND).all()


@pytest.mark.parametrize(
    ("tiles", "message"),
    [([], "got 0"), ([Tile("small", "", np.zeros((4, 4, 3), np.uint8))], "tile 'small' must be uint8")],
    ids=["none", "another size"],
)
def test_tiles_that_do_not_fit_are_refused(tiles: list[Tile], message: str) -> None:
    with pytest.raises(InputError, match=message):
        compose_sheet("a", "b", tiles)


@pytest.mark.parametrize("shape", [(100, 50), (50, 100), (300, 600)], ids=["tall", "wide", "larger"])
def test_pictures_are_fitted_whole_and_centred(shape: tuple[int, int]) -> None:
    canvas = fit_picture(np.full((*shape, 3), 200, np.uint8), (80, 80))
    covered = (canvas == 200).all(axis=2)
    scale = 80 / max(shape)
    assert covered.sum() == round(shape[0] * scale) * round(shape[1] * scale)
    assert np.array_equal(covered, covered[::-1, ::-1])
    assert (canvas[~covered] == BACKGROUND).all()


def test_models_are_found_by_name_and_unknown_ones_listed() -> None:
    assert demo_model_path() == demo_model_path("yolo")
    assert demo_model_path().name == "conveyor_yolo.onnx"
    with pytest.raises(InputError, match="'vgg'; its models: " + ", ".join(DEMO_MODELS)):
        demo_model_path("vgg")
