"""Landmarks that a picture can tell: those of parts that look alike after a turn, named by where they point.

A washer has an "east" in part coordinates, but no picture shows which way it was turned. `settle_landmarks` turns the
landmarks of such parts, by a turn that leaves the part's looks as they are, to the one position that can be seen.
"""

from __future__ import annotations

import numpy as np
import numpy.typing as npt

from edgevision.demo.parts import CLASS_NAMES
from edgevision.demo.scene import Truth

__all__ = ["ALIKE_TURNS", "points_show", "settle_landmarks", "settle_points"]

ALIKE_TURNS: dict[str, int] = {
    "nut": 6, "bolt": 1, "washer": 0, "gear": 0, "bracket": 1, "spring": 2, "bearing": 0, "knob": 0,
}  # fmt: skip
"""In how many positions of a full turn a part looks the same, by class; 1: in its own alone, 0: in every one.

Keyways, lobes and slits that tell some of them apart in a close view are a few pixels in the detector's picture.
"""


def settle_landmarks(truth: Truth) -> npt.NDArray[np.float32]:
    """The landmarks of a frame, float32 (N, 4, 3) as `Truth.keypoints`, of every part in the position that can be seen.

    A part that looks alike in n positions is turned to the one whose first landmark points nearest to the right; its
    landmarks then follow each other clockwise in the picture, mirrored or not. Those of parts that look alike in every
    position lie to the right, below, to the left and above. Visibility is that of the new places.
    """
    owners = np.zeros(truth.labels.shape, np.int32)
    for row, mask in enumerate(truth.masks):
        owners[mask] = row + 1
    points = settle_points(truth.keypoints[..., :2], truth.class_id)
    return np.concatenate([points, points_show(points, owners)[..., None].astype(np.float32)], axis=2)


def settle_points(
    points: npt.NDArray[np.floating], class_id: npt.NDArray[np.integer]
) -> npt.NDArray[np.float32]:
    """`points`, (N, 4, 2) x, y of the landmarks of N parts, in the position that can be seen; float32 (N, 4, 2)."""
    turns = np.array([ALIKE_TURNS[name] for name in CLASS_NAMES])[np.asarray(class_id, np.int64)]
    exact = np.asarray(points, np.float64)
    # The landmarks of the parts that are turned lie in opposite pairs about the part's centre.
    centre = exact.mean(axis=1, keepdims=True)
    away = exact - centre
    angles = np.arctan2(away[..., 1], away[..., 0])
    step = 2 * np.pi / np.maximum(turns, 1)
    first = np.where(turns == 0, 0.0, (angles[:, 0] + step / 2) % step - step / 2)
    offsets = (angles - angles[:, :1]) % (2 * np.pi)
    mirrored = offsets[:, 1] > np.pi + 1e-6  # they follow each other anticlockwise
    offsets = np.where(mirrored[:, None], -offsets, offsets)
    turned = first[:, None] + offsets
    radii = np.hypot(away[..., 0], away[..., 1])[..., None]
    settled = centre + radii * np.stack([np.cos(turned), np.sin(turned)], axis=-1)
    return np.where((turns == 1)[:, None, None], exact, settled).astype(np.float32)


def points_show(points: npt.NDArray[np.floating], owners: npt.NDArray[np.integer]) -> npt.NDArray[np.bool_]:
    """Whether each point shows its part, bool (N, K), from points (N, K, 2) and the map of rows + 1, (H, W)."""
    height, width = owners.shape
    column, line = np.floor(points[..., 0]).astype(np.int64), np.floor(points[..., 1]).astype(np.int64)
    inside = (column >= 0) & (column < width) & (line >= 0) & (line < height)
    seen = owners[line.clip(0, height - 1), column.clip(0, width - 1)]
    return np.asarray(inside & (seen == np.arange(1, len(points) + 1)[:, None]))
