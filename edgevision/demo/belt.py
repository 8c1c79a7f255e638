"""The empty conveyor: a scrolling rubber belt between two steel rails, and the camera's light and noise."""

from __future__ import annotations

from dataclasses import dataclass
from functools import lru_cache

import numpy as np
import numpy.typing as npt

U8 = npt.NDArray[np.uint8]
F32 = npt.NDArray[np.float32]

RAIL = 0.065  # height of a rail, in picture heights
NOISE_MARGIN = (
    192  # pixels by which the noise sheet exceeds the picture, so that each frame takes another part
)


@dataclass(frozen=True)
class Mood:
    """How a scene is lit and filmed; drawn once a scene, the drifts are functions of time."""

    gain: float  # mean brightness factor
    gain_swing: float
    warmth: float  # colour temperature: relative gain of red over blue
    warmth_swing: float
    vignette: float  # darkening in the corners, 0-1
    gradient: float  # brightness difference across the picture made by the lamp, 0-1
    period_s: float  # of the lamp's movement and of the drifts
    phase: float
    blur_px: float  # standard deviation at 720 rows
    noise: float  # standard deviation, grey levels


def draw_mood(rng: np.random.Generator) -> Mood:
    """A random mood, deterministic for the generator's state."""
    u = rng.uniform
    return Mood(
        gain=u(0.85, 1.3), gain_swing=u(0.02, 0.10), warmth=u(-0.09, 0.09), warmth_swing=u(0.01, 0.05),
        vignette=u(0.1, 0.4), gradient=u(0.1, 0.4), period_s=u(4, 11), phase=u(0, 2 * np.pi),
        blur_px=u(0.35, 0.9), noise=u(1.0, 5.0),
    )  # fmt: skip


@lru_cache(maxsize=4)
def belt_tile(height: int, width: int, style: int) -> U8:
    """Belt texture, uint8 (height, width, 3) BGR, that repeats horizontally without a seam."""
    import cv2

    rng = np.random.default_rng([77, style])
    unit = height / 720
    y, x = np.mgrid[0:height, 0:width].astype(np.float32)

    def smooth(sigma_x: float, sigma_y: float) -> F32:
        # Blurred noise of unit variance; wrapped, so that the tile repeats.
        pad = min(int(3 * sigma_x) + 1, width)
        raw = np.pad(
            rng.standard_normal((height, width)).astype(np.float32), ((0, 0), (pad, pad)), mode="wrap"
        )
        out = cv2.GaussianBlur(raw, (0, 0), sigmaX=sigma_x, sigmaY=sigma_y)[:, pad : pad + width]
        return np.asarray(out / out.std(), np.float32)

    turns = 2 * np.pi * x / width
    weave = round(width / (11 * unit))
    grey = 58 + 2.6 * np.sin(turns * weave + y / (5 * unit)) * np.sin(turns * weave - y / (5 * unit))
    grey += 2.2 * smooth(0.8, 0.8) + 3.5 * smooth(40 * unit, 40 * unit) + 2.0 * smooth(60 * unit, 1.2 * unit)
    if style % 2:  # cross ribs
        ribs = round(width / (160 * unit))
        phase = (turns * ribs) % (2 * np.pi)
        grey += 9 * np.exp(-(((phase - 2.8) / 0.10) ** 2)) - 12 * np.exp(-(((phase - 3.1) / 0.13) ** 2))
    else:  # one vulcanised joint, slanted
        joint = (x - width / 2 - 0.25 * (y - height / 2)) / unit
        grey += 10 * np.exp(-((joint / 3) ** 2)) - 14 * np.exp(-(((joint - 7) / 4) ** 2))
    grey += np.where(smooth(9 * unit, 3 * unit) > 2.6, 9, 0)  # dust
    edge = np.minimum(y, height - 1 - y) / unit
    grey *= 1 - 0.45 * np.exp(-(((edge - 47) / 22) ** 2))
    tint = ((1.0, 1.0, 0.98), (1.06, 1.0, 0.92), (0.96, 1.02, 0.98), (1.16, 1.04, 0.86))[style]
    return np.asarray(np.clip(grey[..., None] * np.array(tint, np.float32), 0, 255), np.uint8)


@lru_cache(maxsize=4)
def rail_tile(height: int, width: int) -> U8:
    """The upper rail, uint8 (rail height, width, 3) BGR: brushed steel with a groove and screws."""
    import cv2

    rows = round(RAIL * height)
    rng = np.random.default_rng(78)
    v = (np.arange(rows, dtype=np.float32)[:, None] + 0.5) / rows
    profile = 118 + 70 * np.exp(-(((v - 0.25) / 0.12) ** 2)) + 40 * np.exp(-(((v - 0.8) / 0.06) ** 2))
    profile -= 60 * np.exp(-(((v - 0.55) / 0.03) ** 2)) + 60 * np.exp(-(((v - 1.0) / 0.05) ** 2))
    brush = cv2.GaussianBlur(
        rng.standard_normal((rows, width)).astype(np.float32), (0, 0), sigmaX=30, sigmaY=0.6
    )
    grey = (profile + 40 * brush).astype(np.float32)
    radius = rows * 0.17
    for x in np.arange(width / 12, width, width / 6):
        yy, xx = np.mgrid[0:rows, 0:width]
        r = np.hypot(xx - x, yy - rows * 0.3)
        grey = np.where(r < radius, 150 + 5 * (x - xx) / radius * 4 + 50 * (rows * 0.3 - yy) / radius, grey)
        grey = np.where(np.abs(r - radius) < radius * 0.18, 60, grey)
        grey = np.where(
            (r < radius * 0.75) & (np.abs(yy - rows * 0.3 - (xx - x) * 0.4) < radius * 0.16), 70, grey
        )
    return np.asarray(np.clip(grey[..., None] * np.array((1.02, 1.0, 0.97), np.float32), 0, 255), np.uint8)


def draw_empty(size_hw: tuple[int, int], style: int, offset_px: float) -> U8:
    """The empty conveyor, uint8 (H, W, 3) BGR, its belt moved by `offset_px` to the right."""
    import cv2

    height, width = size_hw
    shift = np.array([[1, 0, offset_px % width], [0, 1, 0]], np.float32)
    image = cv2.warpAffine(
        belt_tile(height, width, style),
        shift,
        (width, height),
        flags=cv2.INTER_LINEAR,
        borderMode=cv2.BORDER_WRAP,
    )
    rail = rail_tile(height, width)
    image[: len(rail)] = rail
    image[-len(rail) :] = rail[::-1]
    return np.asarray(image, np.uint8)


@lru_cache(maxsize=2)
def noise_sheet(height: int, width: int) -> F32:
    """Unit Gaussian noise, float32 (height + NOISE_MARGIN, width + NOISE_MARGIN, 3): a frame takes a window."""
    rng = np.random.default_rng(79)
    return rng.standard_normal((height + NOISE_MARGIN, width + NOISE_MARGIN, 3), np.float32)


def light_field(size_hw: tuple[int, int], mood: Mood, t_s: float) -> F32:
    """Brightness factor of each pixel, float32 (H, W, 3) BGR: drifts, lamp gradient, vignette."""
    import cv2

    height, width = size_hw
    turn = 2 * np.pi * t_s / mood.period_s + mood.phase
    y, x = np.mgrid[-1:1:37j, -1:1:65j].astype(np.float32)
    lamp = 1 - mood.gradient * ((x - 0.9 * np.cos(turn)) ** 2 + (y - 0.7 * np.sin(turn)) ** 2) / 4
    field = (
        lamp
        * (1 - mood.vignette * (x**2 + y**2) ** 2 / 4)
        * (mood.gain + mood.gain_swing * np.sin(1.7 * turn))
    )
    warm = mood.warmth + mood.warmth_swing * np.sin(0.6 * turn)
    coarse = field[..., None] * np.array((1 - warm, 1.0, 1 + warm), np.float32)
    return np.asarray(
        cv2.resize(coarse.astype(np.float32), (width, height), interpolation=cv2.INTER_LINEAR), np.float32
    )


def film(image: U8, mood: Mood, t_s: float, rng: np.random.Generator) -> U8:
    """What the camera makes of a perfectly lit picture, uint8 (H, W, 3) BGR: light, lens blur, read noise."""
    import cv2

    height, width = image.shape[:2]
    soft = cv2.GaussianBlur(image, (5, 5), max(mood.blur_px * height / 720, 1e-3))
    lit = cv2.multiply(soft, light_field((height, width), mood, t_s), dtype=cv2.CV_32F)
    top, left = rng.integers(0, NOISE_MARGIN, 2)
    noise = noise_sheet(height, width)[top : top + height, left : left + width]
    return np.asarray(cv2.addWeighted(lit, 1.0, noise, mood.noise, 0.0, dtype=cv2.CV_8U), np.uint8)
