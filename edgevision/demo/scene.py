"""A synthetic conveyor seen by a camera, with exact ground truth.

Machine parts ride on a belt, overlap, enter at one side and leave at the other, under light that drifts.
Everything follows from the seed: frame t of seed s is the same picture on every call. Needs OpenCV (the `video`
extra).

What counts as truth: a pixel belongs to the topmost part that covers at least half of it. Masks, boxes and the
label map are made from those pixels alone, so that a box is the tight box of the visible part of an object.
"""

from __future__ import annotations

from dataclasses import dataclass, fields

import numpy as np
import numpy.typing as npt

from edgevision.demo.belt import RAIL, draw_empty, draw_mood, film
from edgevision.demo.light import FINISHES, Material, lamp_direction
from edgevision.demo.parts import CLASS_NAMES, VARIANTS
from edgevision.demo.place import Placed, Pose, place_part
from edgevision.errors import InputError

__all__ = ["CLASS_NAMES", "MIN_PIXELS", "MIN_VISIBLE", "Frame", "Scene", "Truth", "random_still"]

MIN_VISIBLE = 0.2  # objects that show less than this share are flagged `ignored`
MIN_PIXELS = 64  # so are those that show fewer pixels (at 720 rows; scaled with the picture's area)
STILL_TIME_S = 40.0  # stills are taken up to this long into a random clip


@dataclass(frozen=True)
class Truth:
    """What is in a frame: one row an object of which at least one pixel shows, nearest to the camera last.

    class_id: int64 (N,), index into `CLASS_NAMES`. object_id: int64 (N,), the same object keeps its number
    through a clip. boxes: float32 (N, 4) xyxy in image pixels, pixel i spans [i, i + 1]: the tight box of
    `masks`. masks: bool (N, H, W), visible pixels; no two overlap. visible: float32 (N,), visible pixels over
    the pixels that the whole object would cover, 0-1. ignored: bool (N,), slivers (see `MIN_VISIBLE`): neither
    missed when not found nor wrong when found. labels: uint8 (H, W), 0 background, class + 1 otherwise.
    keypoints: float32 (N, 4, 3): x, y in image pixels (outside the image where the landmark is) and 1 where
    that very pixel shows the object, else 0; named by `edgevision.demo.parts.KEYPOINT_NAMES`.
    """

    class_id: npt.NDArray[np.int64]
    object_id: npt.NDArray[np.int64]
    boxes: npt.NDArray[np.float32]
    masks: npt.NDArray[np.bool_]
    visible: npt.NDArray[np.float32]
    ignored: npt.NDArray[np.bool_]
    labels: npt.NDArray[np.uint8]
    keypoints: npt.NDArray[np.float32]

    def __len__(self) -> int:
        return len(self.class_id)

    def counted(self) -> Truth:
        """The same truth without the objects flagged `ignored`; `labels` still shows them."""
        keep = ~self.ignored
        kept = {f.name: getattr(self, f.name) for f in fields(self)}
        return Truth(**{name: array if name == "labels" else array[keep] for name, array in kept.items()})


@dataclass(frozen=True)
class Frame:
    """image: uint8 (H, W, 3) BGR. truth: what it shows. t_s: its time in the clip, seconds."""

    image: npt.NDArray[np.uint8]
    truth: Truth
    t_s: float


@dataclass(frozen=True)
class _Object:
    class_id: int
    variant: int
    radius: float  # picture heights
    along: float  # where on the belt it was put down, in picture heights before the entry
    across: float  # picture heights from the top
    speed: float  # relative to the belt
    angle: float
    spin: float  # radians per picture height of belt travel
    mirrored: bool
    materials: tuple[Material, Material]


class Scene:
    """A clip of the conveyor; `frame` is a pure function of the seed, the picture's size and the time.

    Not thread-safe: objects are drawn up on demand. `size_hw`: at least (64, 64).
    """

    def __init__(self, seed: int, size_hw: tuple[int, int] = (720, 1280)) -> None:
        if seed < 0 or min(size_hw) < 64:
            raise InputError(
                f"seed must be >= 0 and size_hw at least (64, 64), got seed {seed} and {tuple(size_hw)}"
            )
        self.seed = seed
        self.size_hw = (int(size_hw[0]), int(size_hw[1]))
        rng = np.random.default_rng([2024, seed])
        self._mood = draw_mood(rng)
        self._style = int(rng.integers(4))
        self._direction = 1 if rng.random() < 0.5 else -1
        self._belt_speed = rng.uniform(0.22, 0.5)  # picture heights a second
        self._spacing = rng.uniform(
            0.09, 0.20
        )  # mean distance between objects along the belt, picture heights
        self._crowding = rng.uniform(0.0, 0.5)  # share of the objects put down without looking
        self._lamp = (rng.uniform(0, 2 * np.pi), rng.uniform(0.65, 1.1))
        self._belt_phase = rng.uniform(0, 4)
        self._rng = rng
        self._objects: list[_Object] = []

    @property
    def _aspect(self) -> float:
        return self.size_hw[1] / self.size_hw[0]

    def _extend(self, along: float) -> None:
        # Objects are put down one after the other, so that the list depends on the seed alone.
        while not self._objects or self._objects[-1].along < along:
            self._objects.append(self._draw_object())

    def _draw_object(self) -> _Object:
        rng = self._rng
        class_id = int(rng.integers(len(CLASS_NAMES)))
        first, second = FINISHES[CLASS_NAMES[class_id]]
        radius = rng.uniform(0.072, 0.15)
        start = self._objects[-1].along if self._objects else -4.0  # the belt is full when a clip begins
        along = start + self._spacing * rng.uniform(0.4, 1.6)
        tries = rng.uniform(RAIL + 0.8 * radius, 1 - RAIL - 0.8 * radius, 8)
        if rng.random() < self._crowding:
            across = tries[0]
        else:
            near = [(o.along, o.across, o.radius) for o in self._objects[-8:]]
            gaps = [min((np.hypot(along - a, y - b) - r for a, b, r in near), default=1.0) for y in tries]
            across = tries[int(np.argmax(gaps))]
        return _Object(
            class_id, int(rng.integers(VARIANTS)), radius, along, float(across), rng.uniform(0.97, 1.03),
            rng.uniform(0, 2 * np.pi), rng.normal(0, 0.12), bool(rng.random() < 0.5),
            (first[rng.integers(len(first))], second[rng.integers(len(second))]),
        )  # fmt: skip

    def _poses(self, t_s: float) -> list[tuple[int, _Object, Pose]]:
        height = self.size_hw[0]
        travel = self._belt_speed * t_s
        self._extend(travel)
        out = []
        for index, item in enumerate(self._objects):
            # An object enters when the belt has travelled `along`; one at -1 begins a picture height inside.
            x = travel * item.speed - item.along * item.speed - 0.25
            if not -0.25 <= x <= self._aspect + 0.25:
                continue
            if self._direction < 0:
                x = self._aspect - x
            angle = item.angle + item.spin * (travel - item.along)
            pose = Pose(x * height, item.across * height, item.radius * height, angle, item.mirrored)
            out.append((index, item, pose))
        return out

    def frame(self, t_s: float) -> Frame:
        """The frame at `t_s` seconds (>= 0) with its truth."""
        if not t_s >= 0:
            raise InputError(f"t_s must be >= 0, got {t_s}")
        height = self.size_hw[0]
        offset = self._direction * (self._belt_speed * t_s + self._belt_phase) * height
        canvas = draw_empty(self.size_hw, self._style, offset)
        owner = np.zeros(self.size_hw, np.int32)  # 1 + row of the topmost object
        turn = 2 * np.pi * t_s / self._mood.period_s
        rows: list[tuple[int, _Object, Placed]] = []
        for index, item, pose in self._poses(t_s):
            lamp = lamp_direction(self._lamp[0] + 0.5 * np.sin(turn), self._lamp[1])
            placed = place_part(canvas, CLASS_NAMES[item.class_id], item.variant, item.materials, pose, lamp)
            if placed.mask.any():
                owner[placed.window][placed.mask] = len(rows) + 1
            rows.append((index, item, placed))
        noise_rng = np.random.default_rng([self.seed, round(t_s * 1e6)])
        return Frame(film(canvas, self._mood, t_s, noise_rng), self._truth(owner, rows), float(t_s))

    def render(self, index: int, fps: float = 30.0) -> Frame:
        """Frame `index` (>= 0) of a clip at `fps`."""
        return self.frame(index / fps)

    def _truth(self, owner: npt.NDArray[np.int32], rows: list[tuple[int, _Object, Placed]]) -> Truth:
        height, width = self.size_hw
        counts = np.bincount(owner.ravel(), minlength=len(rows) + 1)
        shown = [row for row in range(len(rows)) if counts[row + 1] > 0]
        n = len(shown)
        masks = np.zeros((n, height, width), bool)
        boxes = np.zeros((n, 4), np.float32)
        keypoints = np.zeros((n, 4, 3), np.float32)
        visible = np.zeros(n, np.float32)
        labels = np.zeros(len(rows) + 1, np.uint8)
        for k, row in enumerate(shown):
            _, item, placed = rows[row]
            ys, xs = placed.window
            own = owner[placed.window] == row + 1
            masks[k][placed.window] = own
            across, down = np.flatnonzero(own.any(axis=0)), np.flatnonzero(own.any(axis=1))
            boxes[k] = (
                xs.start + across[0],
                ys.start + down[0],
                xs.start + across[-1] + 1,
                ys.start + down[-1] + 1,
            )
            visible[k] = counts[row + 1] / placed.whole_pixels
            keypoints[k, :, :2] = placed.keypoints
            # Looked up at the stored float32 position, so that the flag agrees with what a reader can check.
            column = np.floor(keypoints[k, :, 0]).astype(np.int64)
            line = np.floor(keypoints[k, :, 1]).astype(np.int64)
            inside = (column >= 0) & (column < width) & (line >= 0) & (line < height)
            keypoints[k, inside, 2] = owner[line[inside], column[inside]] == row + 1
            labels[row + 1] = item.class_id + 1
        pixels = counts[1:][shown] if n else np.zeros(0, np.int64)
        few = pixels < MIN_PIXELS * (height * width) / (720 * 1280)
        return Truth(
            class_id=np.array([rows[row][1].class_id for row in shown], np.int64),
            object_id=np.array([rows[row][0] for row in shown], np.int64),
            boxes=boxes, masks=masks, visible=visible, ignored=(visible < MIN_VISIBLE) | few,
            labels=labels[owner], keypoints=keypoints,
        )  # fmt: skip


def random_still(rng: np.random.Generator, size_hw: tuple[int, int] = (720, 1280)) -> Frame:
    """One frame of a random scene at a random time, for training; deterministic for the generator's state."""
    scene = Scene(int(rng.integers(2**31, 2**32)), size_hw)
    return scene.frame(float(rng.uniform(0, STILL_TIME_S)))
