"""A contact sheet: pictures of one size in a grid, each under a title (OpenCV writes the text: extra `video`)."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
import numpy.typing as npt

from edgevision.errors import InputError
from edgevision.imageio import import_cv2

__all__ = ["BACKGROUND", "INK", "MUTED", "TILE_HW", "Tile", "compose_sheet", "fit_picture", "write_text"]

Color = tuple[int, int, int]
Picture = npt.NDArray[np.uint8]

TILE_HW = (450, 800)
"""Height and width of a tile's picture, pixels."""

BACKGROUND: Color = (30, 26, 24)
INK: Color = (245, 245, 245)
MUTED: Color = (172, 164, 158)

_GAP = 20  # between tiles and around them
_TITLE_H = 62  # above a tile's picture
_HEADER_H = 74  # above all tiles


@dataclass(frozen=True, slots=True, eq=False)
class Tile:
    """One picture of the sheet, uint8 (*TILE_HW, 3) BGR, with a title and what to know of it."""

    title: str
    caption: str
    image: Picture


def compose_sheet(heading: str, remark: str, tiles: Sequence[Tile], columns: int = 3) -> Picture:
    """The tiles row by row under a heading and a remark, uint8 (H, W, 3) BGR.

    Raises InputError without tiles or for a picture of another size.
    """
    if not tiles or columns < 1:
        raise InputError(f"a sheet needs tiles and columns, got {len(tiles)} and {columns}")
    for tile in tiles:
        if tile.image.shape != (*TILE_HW, 3) or tile.image.dtype != np.uint8:
            raise InputError(
                f"tile {tile.title!r} must be uint8 {(*TILE_HW, 3)}, got {tile.image.dtype} {tile.image.shape}"
            )
    height, width = TILE_HW
    rows = -(-len(tiles) // columns)
    columns = min(columns, len(tiles))
    sheet = np.empty(
        (_HEADER_H + rows * (height + _TITLE_H + _GAP), _GAP + columns * (width + _GAP), 3), np.uint8
    )
    sheet[:] = BACKGROUND
    left = write_text(sheet, heading, (_GAP, 50), 1.15, INK, bold=True)
    write_text(sheet, remark, (left + 24, 50), 0.66, MUTED)
    for index, tile in enumerate(tiles):
        top = _HEADER_H + (index // columns) * (height + _TITLE_H + _GAP)
        left = _GAP + (index % columns) * (width + _GAP)
        end = write_text(sheet, tile.title, (left, top + 40), 0.86, INK, bold=True)
        write_text(sheet, tile.caption, (end + 16, top + 40), 0.58, MUTED)
        sheet[top + _TITLE_H : top + _TITLE_H + height, left : left + width] = tile.image
    return sheet


def fit_picture(image: Picture, size_hw: tuple[int, int]) -> Picture:
    """The whole picture in the middle of a canvas of that size, as large as fits, uint8 (*size_hw, 3) BGR."""
    cv2 = import_cv2("the contact sheet")
    scale = min(size_hw[0] / image.shape[0], size_hw[1] / image.shape[1])
    height, width = max(1, round(image.shape[0] * scale)), max(1, round(image.shape[1] * scale))
    small = cv2.resize(image, (width, height), interpolation=cv2.INTER_AREA if scale < 1 else cv2.INTER_CUBIC)
    canvas: Picture = np.empty((*size_hw, 3), np.uint8)
    canvas[:] = BACKGROUND
    top, left = (size_hw[0] - height) // 2, (size_hw[1] - width) // 2
    canvas[top : top + height, left : left + width] = small
    return canvas


def write_text(
    canvas: Picture, text: str, origin_xy: tuple[int, int], scale: float, color: Color, *, bold: bool = False
) -> int:
    """The x at which the text ends, once it is written from the left end of its base line; cut off by the canvas."""
    cv2: Any = import_cv2("the contact sheet")
    thickness = 2 if bold else 1
    font = cv2.FONT_HERSHEY_DUPLEX if bold else cv2.FONT_HERSHEY_SIMPLEX
    cv2.putText(canvas, text, origin_xy, font, scale, color, thickness, cv2.LINE_AA)
    (width, _), _ = cv2.getTextSize(text, font, scale, thickness)
    return origin_xy[0] + int(width)
