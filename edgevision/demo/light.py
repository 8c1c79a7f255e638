"""Materials and lamps of the synthetic conveyor: what colour a surface shows for each direction it faces."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

F32 = npt.NDArray[np.float32]

BALL_PX = 48  # side of a material ball: finer than the 8-bit steps of what it is sampled for


@dataclass(frozen=True)
class Material:
    """base: BGR 0-1. mirror: share of the reflected surroundings, 0-1. gloss: strength of the highlight, 0-1.
    shine: exponent of the highlight (Blinn-Phong)."""

    base: tuple[float, float, float]
    mirror: float
    gloss: float
    shine: float


STEEL = Material((0.74, 0.72, 0.70), 0.65, 0.55, 40)
METALS = (
    STEEL,
    Material((0.86, 0.86, 0.86), 0.75, 0.7, 60),  # chromed
    Material((0.40, 0.68, 0.82), 0.60, 0.5, 36),  # brass
    Material((0.36, 0.50, 0.76), 0.55, 0.45, 30),  # copper
    Material((0.26, 0.24, 0.23), 0.40, 0.5, 30),  # black oxide
    Material((0.52, 0.66, 0.68), 0.55, 0.45, 34),  # yellow zinc
)
PLASTICS = (
    Material((0.16, 0.17, 0.80), 0.05, 0.45, 26),  # red
    Material((0.70, 0.36, 0.10), 0.05, 0.45, 26),  # blue
    Material((0.22, 0.58, 0.18), 0.05, 0.40, 22),  # green
    Material((0.10, 0.72, 0.92), 0.05, 0.40, 22),  # yellow
    Material((0.08, 0.42, 0.92), 0.05, 0.40, 22),  # orange
    Material((0.84, 0.86, 0.86), 0.05, 0.35, 20),  # white
    Material((0.17, 0.16, 0.16), 0.08, 0.50, 30),  # black
)
# Materials each kind of part comes in: (first, second) choices.
FINISHES: dict[str, tuple[tuple[Material, ...], tuple[Material, ...]]] = {
    "nut": (METALS, METALS),
    "bolt": (METALS, METALS),
    "washer": (METALS, METALS),
    "gear": ((*METALS[:4], *PLASTICS), METALS[:3]),
    "bracket": ((*METALS, *PLASTICS[:5]), METALS),
    "spring": (METALS[:5], METALS),
    "bearing": (METALS[:2], (*PLASTICS[:5], PLASTICS[6])),
    "knob": (PLASTICS, METALS[:3]),
}


def lamp_direction(azimuth: float, height: float) -> F32:
    """Unit vector to the lamp, float32 (3,): x right, y down, z towards the camera; angles in radians."""
    flat = np.cos(height)
    return np.array([flat * np.cos(azimuth), flat * np.sin(azimuth), np.sin(height)], np.float32)


def material_ball(material: Material, lamp: F32) -> F32:
    """A lit ball of the material, float32 (BALL_PX, BALL_PX, 3) BGR, 0-255, indexed by the surface normal.

    Pixel (i, j) shows a surface whose normal has x = j and y = i, both mapped from [-1, 1] to the ball's
    side. Lambert's law plus a Blinn-Phong highlight plus, for metals, a mirrored room: a bright ceiling panel
    on the lamp's side and a dark floor.
    """
    axis = np.linspace(-1, 1, BALL_PX, dtype=np.float32)
    nx, ny = np.meshgrid(axis, axis)
    nz = np.sqrt(np.maximum(1 - nx**2 - ny**2, 0.02))
    facing = np.maximum(nx * lamp[0] + ny * lamp[1] + nz * lamp[2], 0)
    half = lamp + np.array([0, 0, 1], np.float32)
    half = half / np.linalg.norm(half)
    highlight = np.maximum(nx * half[0] + ny * half[1] + nz * half[2], 0) ** material.shine
    # The mirrored direction leans twice as far as the normal: 2 (n . v) n - v with the viewer at z.
    along = 2 * nz * (nx * lamp[0] + ny * lamp[1]) / (np.hypot(lamp[0], lamp[1]) + 1e-6)
    room = 0.5 + 0.34 * np.tanh(3.0 * along) + 0.18 * np.exp(-(((along - 0.55) / 0.16) ** 2))
    diffuse = (1 - material.mirror) * (0.28 + 0.78 * facing) + material.mirror * (
        0.2 + 0.95 * room * (0.5 + 0.5 * facing)
    )
    ball = diffuse[..., None] * np.array(material.base, np.float32) + material.gloss * highlight[..., None]
    return np.asarray(np.clip(255 * ball, 0, 255), np.float32)
