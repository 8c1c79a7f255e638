"""Putting one lit part and its shadow on a picture, and what of the picture it covers."""

from __future__ import annotations

from dataclasses import dataclass
from functools import lru_cache

import numpy as np
import numpy.typing as npt

from edgevision.demo.light import BALL_PX, Material, material_ball
from edgevision.demo.parts import EXTENT, LANDMARKS, Sprite, make_sprite

F32 = npt.NDArray[np.float32]

SHADOW_MARGIN = 0.33  # of the radius: how far a shadow may reach past the part


@dataclass(frozen=True)
class Pose:
    """Where a part lies: centre and radius in pixels (pixel i spans [i, i + 1]), clockwise angle in radians."""

    x: float
    y: float
    radius: float
    angle: float
    mirrored: bool = False

    def matrix(self) -> npt.NDArray[np.float64]:
        """Part coordinates to pixels, float64 (2, 3)."""
        c, s = np.cos(self.angle) * self.radius, np.sin(self.angle) * self.radius
        flip = -1.0 if self.mirrored else 1.0
        return np.array([[c, -s * flip, self.x], [s, c * flip, self.y]])


@dataclass(frozen=True)
class Placed:
    """What a part covers.

    window: rows and columns of the picture, possibly empty. mask: bool, the pixels of the window that the part
    covers at least half. whole_pixels: how many it would cover in an endless picture. keypoints: float64 (4, 2).
    """

    window: tuple[slice, slice]
    mask: npt.NDArray[np.bool_]
    whole_pixels: int
    keypoints: npt.NDArray[np.float64]


def place_part(
    image: npt.NDArray[np.uint8],
    name: str,
    variant: int,
    materials: tuple[Material, Material],
    pose: Pose,
    lamp: F32,
) -> Placed:
    """What part `name` covers after drawing it on `image`, uint8 (H, W, 3) BGR, changed in place.

    lamp: unit vector towards the lamp (`light.lamp_direction`); the shadow falls away from it.
    """
    import cv2

    height, width = image.shape[:2]
    matrix = pose.matrix()
    reach = pose.radius * (EXTENT + SHADOW_MARGIN)
    x0, y0 = int(np.floor(pose.x - reach)), int(np.floor(pose.y - reach))
    side = int(np.ceil(2 * reach)) + 2
    coverage, normals = _warp(make_sprite(name, variant), matrix, pose.radius, (x0, y0), side)
    keypoints = np.array(LANDMARKS[name]) @ matrix[:, :2].T + matrix[:, 2]
    rows = slice(max(y0, 0), max(min(y0 + side, height), 0))
    columns = slice(max(x0, 0), max(min(x0 + side, width), 0))
    inner = (slice(rows.start - y0, rows.stop - y0), slice(columns.start - x0, columns.stop - x0))
    covered = coverage >= 0.5
    whole = int(np.count_nonzero(covered))
    if rows.start >= rows.stop or columns.start >= columns.stop:
        return Placed((slice(0, 0), slice(0, 0)), np.zeros((0, 0), bool), whole, keypoints)
    shade = np.ascontiguousarray(_shadow(coverage, pose.radius, lamp)[inner])
    alpha = np.ascontiguousarray(coverage[inner])
    under = cv2.multiply(image[rows, columns], cv2.merge((shade, shade, shade)), dtype=cv2.CV_32F)
    colour = _light(np.ascontiguousarray(normals[inner]), alpha, matrix, pose.radius, materials, lamp)
    image[rows, columns] = (cv2.blendLinear(colour, under, alpha, 1 - alpha) + 0.5).astype(np.uint8)
    return Placed((rows, columns), covered[inner], whole, keypoints)


def _warp(
    sprite: Sprite, matrix: npt.NDArray[np.float64], radius: float, origin: tuple[int, int], side: int
) -> tuple[F32, F32]:
    # Coverage (side, side) and premultiplied channels (side, side, 4), by bilinear sampling from the coarsest
    # level that is still finer than the picture, so that neither staircases nor aliasing show.
    import cv2

    level = 0
    while level + 1 < len(sprite.coverage) and sprite.coverage[level + 1].shape[0] >= 2 * EXTENT * radius:
        level += 1
    pixels = sprite.coverage[level].shape[0]
    # Sprite pixel i has its centre at part coordinate ((i + 0.5) * 2 / pixels - 1) * EXTENT; picture pixel j
    # has its centre at j + 0.5.
    step = 2 * EXTENT / pixels
    linear = matrix[:, :2] * step
    shift = matrix[:, :2] @ np.full(2, step / 2 - EXTENT) + matrix[:, 2] - np.array(origin) - 0.5
    affine = np.concatenate([linear, shift[:, None]], axis=1)
    coverage = cv2.warpAffine(sprite.coverage[level], affine, (side, side), flags=cv2.INTER_LINEAR)
    normals = cv2.warpAffine(sprite.normals[level], affine, (side, side), flags=cv2.INTER_LINEAR)
    return np.asarray(coverage, np.float32), np.asarray(normals, np.float32)


def _shadow(coverage: F32, radius: float, lamp: F32) -> F32:
    # Brightness factor of what lies below: a soft cast shadow plus darkening around the contact line.
    import cv2

    small = cv2.resize(coverage, None, fx=0.25, fy=0.25, interpolation=cv2.INTER_AREA)
    cast_length = 0.045 * radius * np.hypot(lamp[0], lamp[1]) / max(float(lamp[2]), 0.3)
    away = -lamp[:2] / (np.hypot(lamp[0], lamp[1]) + 1e-6) * cast_length
    shift = np.array([[1, 0, away[0]], [0, 1, away[1]]], np.float64)
    contact = cv2.GaussianBlur(small, (0, 0), max(0.01 * radius, 0.4))
    cast = cv2.GaussianBlur(small, (0, 0), max(0.025 * radius, 0.4))
    cast = cv2.warpAffine(cast, shift, (small.shape[1], small.shape[0]), flags=cv2.INTER_LINEAR)
    factor = (1 - 0.6 * cast) * (1 - 0.35 * contact)
    size = (coverage.shape[1], coverage.shape[0])
    return np.asarray(cv2.resize(factor, size, interpolation=cv2.INTER_LINEAR), np.float32)


@lru_cache(maxsize=256)
def _ball(material: Material, lamp: tuple[float, float, float]) -> F32:
    return material_ball(material, np.array(lamp, np.float32))


def _light(
    normals: F32, coverage: F32, matrix: npt.NDArray[np.float64], radius: float,
    materials: tuple[Material, Material], lamp: F32,
) -> F32:  # fmt: skip
    # Colour of the part, float32 (h, w, 3) BGR: each pixel looks its normal up on the material's lit ball.
    import cv2

    scale = 1 / np.maximum(coverage, 1e-3)
    half = (BALL_PX - 1) / 2
    turn = (matrix[:, :2] / radius * half).astype(np.float32)
    nx, ny, albedo, second = (plane * scale for plane in cv2.split(normals))
    u, v = turn[0, 0] * nx + turn[0, 1] * ny + half, turn[1, 0] * nx + turn[1, 1] * ny + half
    key = (float(lamp[0]), float(lamp[1]), float(lamp[2]))
    colour = cv2.remap(_ball(materials[0], key), u, v, cv2.INTER_LINEAR, borderMode=cv2.BORDER_REPLICATE)
    if second.max() > 0:
        other = cv2.remap(_ball(materials[1], key), u, v, cv2.INTER_LINEAR, borderMode=cv2.BORDER_REPLICATE)
        colour = cv2.blendLinear(other, colour, second, 1 - second)
    shaded = cv2.multiply(colour, cv2.merge((albedo, albedo, albedo)))
    return np.asarray(np.minimum(shaded, 255.0), np.float32)
