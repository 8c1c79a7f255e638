"""Machine parts of the synthetic conveyor, drawn from height maps.

A part lives in part coordinates: x to the right, y down, the whole part between -1 and 1 in both. Each kind is
a function of the coordinate grids that returns how far inside the outline a point lies, how high the surface is
there, how bright it is and which of two materials covers it. `make_sprite` turns that into surface normals,
which `place` lights and puts on the picture.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from functools import cache

import numpy as np
import numpy.typing as npt

F32 = npt.NDArray[np.float32]

CLASS_NAMES = ("nut", "bolt", "washer", "gear", "bracket", "spring", "bearing", "knob")
# Four landmarks of each part, in the order of `LANDMARKS`.
KEYPOINT_NAMES: dict[str, tuple[str, str, str, str]] = {
    "nut": ("corner_0", "corner_1", "corner_3", "corner_4"),
    "bolt": ("head_top", "head_base", "shank_middle", "tip"),
    "washer": ("east", "south", "west", "north"),
    "gear": ("east", "south", "west", "north"),
    "bracket": ("corner", "long_end", "short_end", "inner_corner"),
    "spring": ("start", "first_third", "second_third", "end"),
    "bearing": ("east", "south", "west", "north"),
    "knob": ("lobe_east", "lobe_south", "lobe_west", "lobe_north"),
}
# Part coordinates of the landmarks; each lies on material of every variant of its part.
LANDMARKS: dict[str, tuple[tuple[float, float], ...]] = {
    "nut": ((0.85, 0.0), (0.425, 0.736), (-0.85, 0.0), (-0.425, -0.736)),
    "bolt": ((-0.88, 0.0), (-0.62, 0.0), (0.15, 0.0), (0.88, 0.0)),
    "washer": ((0.76, 0.0), (0.0, 0.76), (-0.76, 0.0), (0.0, -0.76)),
    "gear": ((0.70, 0.0), (0.0, 0.70), (-0.70, 0.0), (0.0, -0.70)),
    "bracket": ((-0.66, 0.52), (0.76, 0.52), (-0.66, -0.70), (-0.40, 0.26)),
    "spring": ((-0.86, 0.0), (-0.30, 0.0), (0.30, 0.0), (0.86, 0.0)),
    "bearing": ((0.86, 0.0), (0.0, 0.86), (-0.86, 0.0), (0.0, -0.86)),
    "knob": ((0.72, 0.0), (0.0, 0.72), (-0.72, 0.0), (0.0, -0.72)),
}
VARIANTS = 5  # shapes of each kind: tooth counts, bores, coils
SPRITE_PX = 256  # side of the finest sprite
EXTENT = 1.06  # a sprite spans [-EXTENT, EXTENT] in part coordinates, so that outlines never touch its border


@dataclass(frozen=True)
class Surface:
    """A part sampled on a grid, float32 (H, W) each, lengths in part units.

    inside: depth inside the outline, negative outside. height: surface height. albedo: brightness factor,
    around 1. second: share of the second material, 0-1.
    """

    inside: F32
    height: F32
    albedo: F32
    second: F32


@dataclass(frozen=True)
class Sprite:
    """A part ready to be placed: one pyramid of images, the finest first.

    coverage: tuple of float32 (S, S), 0-1. normals: tuple of float32 (S, S, 4): normal x, normal y, albedo
    and second material, each multiplied by the coverage so that filtering never mixes in what is outside.
    """

    coverage: tuple[F32, ...]
    normals: tuple[F32, ...]


def bevel(depth: F32, width: float) -> F32:
    """Height of a quarter-round edge of `width` at `depth` inside the outline, float32, 0 to `width`."""
    t = np.clip(depth / width, 0.0, 1.0)
    return np.asarray(width * np.sqrt(1.0 - (1.0 - t) ** 2), np.float32)


def box_inside(x: F32, y: F32, cx: float, cy: float, hx: float, hy: float, radius: float = 0.0) -> F32:
    """Depth inside a rounded rectangle with half sides hx, hy, float32, negative outside."""
    qx, qy = np.abs(x - cx) - (hx - radius), np.abs(y - cy) - (hy - radius)
    outside = np.hypot(np.maximum(qx, 0), np.maximum(qy, 0))
    return np.asarray(radius - outside - np.minimum(np.maximum(qx, qy), 0), np.float32)


def _ones(x: F32, value: float = 1.0) -> F32:
    return np.full(x.shape, value, np.float32)


def draw_nut(x: F32, y: F32, variant: int) -> Surface:
    """A hexagon nut seen from above, with a chamfered face and a threaded hole."""
    r, hole = np.hypot(x, y), (0.42, 0.46, 0.50, 0.44, 0.54)[variant]
    s = np.float32(np.sqrt(3) / 2)
    hexagon = 0.835 - np.maximum(np.abs(y), np.maximum(np.abs(s * x + y / 2), np.abs(s * x - y / 2)))
    inside = np.minimum(hexagon, r - hole + 0.05)
    chamfer = -0.75 * np.maximum(r - 0.76, 0)
    sink = -0.9 * np.maximum(hole + 0.09 - r, 0)
    thread = r < hole
    height = (
        bevel(np.asarray(hexagon, np.float32), 0.05)
        + chamfer
        + np.where(thread, -0.1 + 0.012 * np.sin(r * 160), sink)
    )
    albedo = np.where(thread, 0.38, 1.0 + 0.04 * np.sin(r * 70))
    return Surface(inside, height.astype(np.float32), albedo.astype(np.float32), _ones(x, 0))


def draw_bolt(x: F32, y: F32, variant: int) -> Surface:
    """A hexagon bolt lying on its side: a head with three facets and a threaded shank."""
    half, thread_from = (0.20, 0.17, 0.23, 0.19, 0.21)[variant], (-0.2, 0.1, -0.45, 0.25, -0.05)[variant]
    head = box_inside(x, y, -0.78, 0.0, 0.17, 0.40, 0.04)
    flange = box_inside(x, y, -0.60, 0.0, 0.035, 0.44, 0.02) if variant % 2 else head
    taper = np.maximum(x - 0.86, 0) * 0.9
    ridges = np.where(x > thread_from, 0.022 * np.sin(x * 75 + y * 4), 0)
    shank_radius = half - taper + ridges * 0.6
    shank = np.minimum(np.minimum(shank_radius - np.abs(y), x + 0.7), 0.95 - x)
    inside = np.maximum(np.maximum(head, flange), shank)
    round_height = np.sqrt(np.maximum(half**2 - y**2, 0)) + 1.1 * ridges
    facets = 0.34 - 0.9 * np.maximum(np.abs(y) - 0.2, 0) + bevel(head, 0.04)
    on_head = np.maximum(head, flange) > 0
    height = np.where(on_head, facets + 0.3 * bevel(np.maximum(head, flange), 0.05), round_height)
    groove = np.where((x > thread_from) & ~on_head, 0.82 + 0.18 * np.sin(x * 75 + y * 4), 1.0)
    neck = np.where(on_head, 1.0, np.clip(0.55 + (x + 0.6) * 4, 0.55, 1.0))
    return Surface(inside, height.astype(np.float32), (groove * neck).astype(np.float32), _ones(x, 0))


def draw_washer(x: F32, y: F32, variant: int) -> Surface:
    """A flat ring; variant 3 is a split lock washer, variant 4 a fender washer with a small hole."""
    r, hole = np.hypot(x, y), (0.50, 0.55, 0.45, 0.60, 0.34)[variant]
    inside = np.asarray(np.minimum(0.96 - r, r - hole), np.float32)
    if variant == 3:
        inside = np.minimum(inside, np.maximum(np.abs(y + 0.53 - 0.9 * (x - 0.53)) - 0.06, 0.3 - x))
    angle = np.arctan2(y, x)
    albedo = 1.0 + 0.05 * np.sin(r * 140) + 0.05 * np.sin(angle * 2 + 1)
    return Surface(inside.astype(np.float32), bevel(inside, 0.07), albedo.astype(np.float32), _ones(x, 0))


def draw_gear(x: F32, y: F32, variant: int) -> Surface:
    """A spur gear with a keyed bore; the odd variants have lightening holes."""
    teeth, bore = (14, 18, 12, 22, 16)[variant], (0.17, 0.2, 0.22, 0.15, 0.19)[variant]
    r, angle = np.hypot(x, y), np.arctan2(y, x)
    # A trapezoid wave makes the flanks: clipped to the tip and the root circle.
    wave = np.abs(((angle * teeth / (2 * np.pi)) % 1.0) - 0.5) * 4 - 1
    depth = 2.6 / teeth
    outline = 0.97 - depth / 2 + np.clip(wave * 1.5, -1, 1) * depth / 2
    inside = (outline - r) * 0.8
    rim, hub = 0.97 - depth - 0.11, bore + 0.16
    web = np.minimum(rim - r, r - hub)
    inside = np.minimum(inside, np.maximum(r - bore, 0) - np.where(r < bore, 1.0, 0))
    key = box_inside(x, y, bore, 0, 0.07, 0.05)
    inside = np.minimum(inside, -key)
    if variant % 2:
        spokes = 5 if variant == 1 else 6
        turn = (angle + np.pi / spokes) % (2 * np.pi / spokes) - np.pi / spokes
        middle = (rim + hub) / 2
        hole = np.hypot(r * np.cos(turn) - middle, r * np.sin(turn)) - (rim - hub) * 0.33
        inside = np.where(r < rim, np.minimum(inside, hole), inside)
    height = bevel(np.maximum(inside, 0), 0.045) - 0.8 * bevel(np.maximum(web, 0), 0.07)
    albedo = np.where(web > 0, 0.84, 1.0) * (1 + 0.03 * np.sin(r * 110))
    second = np.where(r < hub, 1.0, 0.0)
    return Surface(*(np.asarray(a, np.float32) for a in (inside, height, albedo, second)))


def draw_bracket(x: F32, y: F32, variant: int) -> Surface:
    """An L of sheet metal with a fillet, raised outer edges and three holes; variants 1 and 3 have a slot."""
    long_leg = box_inside(x, y, 0.04, 0.52, 0.88, 0.27, 0.12)
    short_leg = box_inside(x, y, -0.62, -0.04, 0.27, 0.83, 0.12)
    inside = np.maximum(long_leg, short_leg)
    fillet = np.minimum(np.minimum(x + 0.5, 0.4 - y), np.hypot(x - 0.02, y + 0.12) - 0.37)
    inside = np.maximum(inside, np.where((x < 0.02) & (y > -0.12), fillet, -1))
    holes = [(0.44, 0.52), (-0.66, -0.42), (-0.2, 0.52)]
    radius = (0.115, 0.10, 0.13, 0.11, 0.12)[variant]
    cut = np.minimum.reduce([np.hypot(x - a, y - b) - radius for a, b in holes[: 3 if variant != 2 else 2]])
    if variant in (1, 3):
        cut = np.minimum(cut, -box_inside(x, y, -0.62, 0.02, 0.075, 0.2, 0.075))
    inside = np.minimum(inside, cut)
    rib = np.maximum(box_inside(x, y, 0.0, 0.70, 0.76, 0.05), box_inside(x, y, -0.80, -0.04, 0.05, 0.72))
    height = bevel(np.maximum(inside, 0), 0.05) + bevel(np.maximum(rib, 0), 0.03)
    albedo = 1 + 0.05 * np.sin(x * 37 + 2 * np.sin(y * 3)) - 0.25 * np.clip(1 - cut / 0.05, 0, 1)
    return Surface(*(np.asarray(a, np.float32) for a in (inside, height, albedo, _ones(x, 0))))


def draw_spring(x: F32, y: F32, variant: int) -> Surface:
    """A compression spring lying on its side: slanted front strands over darker back strands."""
    coils, wire, half = (7, 8, 6, 9, 7)[variant], (0.062, 0.055, 0.07, 0.05, 0.066)[variant], 0.30
    pitch = 1.72 / coils
    front = np.full(x.shape, 9.0, np.float32)
    back = np.full(x.shape, 9.0, np.float32)
    for i in range(coils + 1):
        # A strand crosses from one side to the other over half a pitch; the ends are ground flat.
        lean = 0.0 if i in (0, coils) else pitch / 4
        centre = -0.86 + i * pitch
        front = np.minimum(front, _segment(x, y, (centre - lean, -half), (centre + lean, half)))
        if i < coils:
            back = np.minimum(
                back, _segment(x, y, (centre + lean, half), (centre + pitch - pitch / 4, -half))
            )
    in_front = front < wire
    distance = np.where(in_front, front, back)
    inside = wire - np.minimum(front, back)
    tube = np.sqrt(np.maximum(wire**2 - distance**2, 0))
    barrel = np.sqrt(np.maximum((half + wire) ** 2 - y**2, 0)) * 0.25
    height = tube + np.where(in_front, barrel, -barrel)
    albedo = np.where(in_front, 1.0, 0.5)
    return Surface(*(np.asarray(a, np.float32) for a in (inside, height, albedo, _ones(x, 0))))


def _segment(x: F32, y: F32, a: tuple[float, float], b: tuple[float, float]) -> F32:
    """Distance to the straight segment from a to b."""
    dx, dy = b[0] - a[0], b[1] - a[1]
    t = np.clip(((x - a[0]) * dx + (y - a[1]) * dy) / (dx * dx + dy * dy), 0, 1)
    return np.hypot(x - a[0] - t * dx, y - a[1] - t * dy).astype(np.float32)


def draw_bearing(x: F32, y: F32, variant: int) -> Surface:
    """A ball bearing: outer ring, balls or a dark seal, inner ring, open bore."""
    r, angle = np.hypot(x, y), np.arctan2(y, x)
    bore, inner, outer = (0.30, 0.34, 0.27, 0.32, 0.36)[variant], 0.50, 0.76
    inside = np.minimum(0.97 - r, r - bore)
    rings = np.maximum(np.minimum(0.97 - r, r - outer), np.minimum(inner - r, r - bore))
    height = np.where(rings > 0, 0.1 + bevel(np.maximum(rings, 0), 0.06), 0.0)
    albedo = np.where(rings > 0, 1.0, 0.22)
    second = np.zeros_like(x)
    if variant in (2, 4):  # sealed: a coloured ring hides the balls
        second = np.where(rings > 0, 0.0, 1.0)
        albedo = np.where(rings > 0, 1.0, 0.7 + 0.1 * np.sin(r * 60))
    else:
        balls = (9, 8, 9, 10, 9)[variant]
        turn = angle % (2 * np.pi / balls) - np.pi / balls
        middle, radius = (inner + outer) / 2, 0.115
        to_ball = np.hypot(r * np.cos(turn) - middle, r * np.sin(turn))
        on_ball = (to_ball < radius) & (rings <= 0)
        height = np.where(on_ball, np.sqrt(np.maximum(radius**2 - to_ball**2, 0)), height)
        albedo = np.where(on_ball, 1.05, albedo)
    return Surface(*(np.asarray(a, np.float32) for a in (inside, height, albedo, second)))


def draw_knob(x: F32, y: F32, variant: int) -> Surface:
    """A plastic star knob with a domed body and a metal insert."""
    lobes = (6, 8, 5, 7, 6)[variant]
    r, angle = np.hypot(x, y), np.arctan2(y, x)
    outline = 0.86 + 0.10 * np.cos(angle * lobes)
    inside = (outline - r) * 0.85
    insert = 0.26
    dome = 0.30 * np.sqrt(np.maximum(1 - (r / 1.15) ** 2, 0))
    ring = 0.05 * np.exp(-(((r - 0.42) / 0.05) ** 2))
    height = bevel(np.maximum(inside, 0), 0.16) + dome + ring
    metal = r < insert
    height = np.where(metal, 0.05 + bevel(np.maximum(insert - r, 0), 0.05), height)
    slot = metal & (box_inside(x, y, 0, 0, 0.2, 0.035) > 0)
    albedo = np.where(slot, 0.25, np.where((r >= insert) & (r < insert + 0.05), 0.6, 1.0))
    return Surface(*(np.asarray(a, np.float32) for a in (inside, height, albedo, metal)))


DRAW: dict[str, Callable[[F32, F32, int], Surface]] = {
    "nut": draw_nut,
    "bolt": draw_bolt,
    "washer": draw_washer,
    "gear": draw_gear,
    "bracket": draw_bracket,
    "spring": draw_spring,
    "bearing": draw_bearing,
    "knob": draw_knob,
}


@cache
def make_sprite(name: str, variant: int) -> Sprite:
    """The sprite of one part, drawn at twice `SPRITE_PX` and averaged down; made once in a process.

    Deterministic: variants are fixed shapes, not random ones.
    """
    import cv2

    side = 2 * SPRITE_PX
    axis = ((np.arange(side, dtype=np.float32) + 0.5) / side * 2 - 1) * np.float32(EXTENT)
    x, y = np.meshgrid(axis, axis)
    surface = DRAW[name](x.astype(np.float32), y.astype(np.float32), variant)
    pixel = 2 * EXTENT / side
    # A worn surface is never quite flat: without this, flat faces would mirror a single colour.
    rng = np.random.default_rng([CLASS_NAMES.index(name), variant])
    noise = cv2.GaussianBlur(rng.standard_normal((side, side)).astype(np.float32), (0, 0), 6)
    dents = cv2.GaussianBlur(rng.standard_normal((side, side)).astype(np.float32), (0, 0), 40)
    height = cv2.GaussianBlur(surface.height, (0, 0), 1.5) + 0.009 * noise + 0.7 * dents
    gy, gx = np.gradient(height, pixel)
    scale = 1 / np.sqrt(1 + gx**2 + gy**2)
    coverage = np.clip(surface.inside / pixel + 0.5, 0, 1)
    channels = np.stack([-gx * scale, -gy * scale, surface.albedo, surface.second], axis=-1)
    channels = (channels * coverage[..., None]).astype(np.float32)
    levels = [
        (cv2.resize(a, None, fx=0.5, fy=0.5, interpolation=cv2.INTER_AREA)) for a in (coverage, channels)
    ]
    pyramid = [levels]
    while pyramid[-1][0].shape[0] > 32:
        pyramid.append(
            [cv2.resize(a, None, fx=0.5, fy=0.5, interpolation=cv2.INTER_AREA) for a in pyramid[-1]]
        )
    return Sprite(
        tuple(np.asarray(level[0], np.float32) for level in pyramid),
        tuple(np.asarray(level[1], np.float32) for level in pyramid),
    )
