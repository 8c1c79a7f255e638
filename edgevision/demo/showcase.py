"""The demo: a clip of the conveyor, the detector on it, how well it did, and what every other model says of a frame."""

from __future__ import annotations

import time
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from edgevision.bench.timing import StageTimes
from edgevision.demo.scene import CLASS_NAMES, Frame, Scene, Truth
from edgevision.demo.sheet import compose_sheet
from edgevision.demo.shipped import demo_model_path
from edgevision.demo.tiles import make_tiles
from edgevision.imageio import write_image
from edgevision.loading import load
from edgevision.model import Model
from edgevision.ops._dispatch import native
from edgevision.overlay import draw
from edgevision.results import Detections
from edgevision.stream.sinks import VideoSink

__all__ = ["DEMO_SEED", "DemoReport", "count_matches", "demo_model_path", "run_demo"]

DEMO_SEED = 7
"""The scene shown by default: none of the seeds that the model was trained or judged on."""

_MATCH_IOU = 0.5
_FPS = 30.0


@dataclass(frozen=True, slots=True)
class DemoReport:
    """What the demo did.

    frames:  frames rendered and detected.
    present: objects in all the frames, by class; slivers that the scene flags are left out.
    found:   of those, the ones that a box of the right class covers with IoU >= 0.5.
    extra:   boxes that cover no object of their class (on a sliver they count neither way).
    times:   stage times, ms, without the warm-up and without rendering.
    picture, video, sheet: the files written; the sheet shows every task on the clip's fullest frame.
    runtime: what ran the network, and which kernels the rest.
    """

    frames: int
    present: dict[str, int]
    found: dict[str, int]
    extra: dict[str, int]
    times: StageTimes
    picture: Path
    video: Path
    sheet: Path
    runtime: str
    elapsed_s: float

    def table(self) -> str:
        """The report as lines of text."""
        lines = [f"{'part':<12} {'present':>8} {'found':>8} {'recall':>8} {'extra':>7}"]
        rows = [(name, self.present[name], self.found[name], self.extra[name]) for name in CLASS_NAMES]
        counts = (self.present, self.found, self.extra)
        present, found, extra = (sum(part.values()) for part in counts)
        rows.append(("all", present, found, extra))
        for name, present, found, extra in rows:
            recall = f"{found / present:>8.1%}" if present else f"{'-':>8}"
            lines.append(f"{name:<12} {present:>8} {found:>8} {recall} {extra:>7}")
        total = self.times.summary()["total"]["p50"]
        lines += [
            "",
            self.times.table(),
            "",
            f"{1000.0 / total:.0f} frames per second at the median ({self.runtime})",
        ]
        return "\n".join(lines)


def count_matches(result: Detections, truth: Truth) -> tuple[NDArray[np.bool_], NDArray[np.bool_]]:
    """Which objects are found, bool (N,), and which boxes are extra, bool (K,).

    Greedy, most confident box first: a box takes the object of its own class that it overlaps most, with
    IoU >= 0.5, if none has taken it. A box that fits only an ignored object is neither found nor extra.
    """
    found = np.zeros(len(truth), bool)
    extra = np.zeros(len(result), bool)
    for index in range(len(result)):
        overlap = _iou_with(result.xyxy[index], truth.boxes)
        fits = (truth.class_id == result.class_id[index]) & (overlap >= _MATCH_IOU)
        free = fits & ~found & ~truth.ignored
        if free.any():
            found[np.argmax(np.where(free, overlap, -1.0))] = True
        else:
            extra[index] = not (fits & truth.ignored).any()
    return found, extra


def _iou_with(box: NDArray[np.float32], boxes: NDArray[np.float32]) -> NDArray[np.float32]:
    corner = np.maximum(box[:2], boxes[:, :2])
    size = np.clip(np.minimum(box[2:], boxes[:, 2:]) - corner, 0.0, None)
    inter = size[:, 0] * size[:, 1]
    area = (box[2] - box[0]) * (box[3] - box[1])
    areas = (boxes[:, 2] - boxes[:, 0]) * (boxes[:, 3] - boxes[:, 1])
    return np.asarray(inter / np.maximum(area + areas - inter, 1e-9), dtype=np.float32)


def run_demo(
    output: Path,
    *,
    seconds: float = 4.0,
    seed: int = DEMO_SEED,
    size_hw: tuple[int, int] = (720, 1280),
    on_frame: Callable[[], None] = lambda: None,
    **load_options: Any,
) -> DemoReport:
    """Render a clip, detect its parts frame by frame, and write an annotated video, its fullest frame, and a contact
    sheet of every task on that frame.

    output: folder for demo.mp4, demo.png and contact_sheet.png, made when absent. load_options: passed to
    `edgevision.load`.
    """
    output.mkdir(parents=True, exist_ok=True)
    scene = Scene(seed, size_hw)
    frames = max(1, round(seconds * _FPS))
    start = time.perf_counter()
    with load(demo_model_path(), **load_options) as model:
        model.warmup()
        video = VideoSink(output / "demo.mp4", _FPS)
        try:
            report, best = _detect_clip(model, scene, frames, video, on_frame)
        except BaseException:
            video.abort()
            raise
        video.close()
        kernels = "native kernels" if native else "NumPy kernels: see `edgevision doctor`"
        runtime = f"{model.session.runtime} on {model.device}, {kernels}"
    picture = write_image(output / "demo.png", best.picture)
    sheet = compose_sheet(
        "edgevision", f"one frame, every task ({runtime})", make_tiles(best.frame, **load_options)
    )
    return DemoReport(
        frames,
        *report,
        picture=picture,
        video=video.path,
        sheet=write_image(output / "contact_sheet.png", sheet),
        runtime=runtime,
        elapsed_s=time.perf_counter() - start,
    )


@dataclass(frozen=True, slots=True, eq=False)
class _Shown:
    frame: Frame
    picture: NDArray[np.uint8]


_Counts = tuple[dict[str, int], dict[str, int], dict[str, int], StageTimes]


def _detect_clip(
    model: Model, scene: Scene, frames: int, video: VideoSink, on_frame: Callable[[], None]
) -> tuple[_Counts, _Shown]:
    present, found, extra = (dict.fromkeys(CLASS_NAMES, 0) for _ in range(3))
    times = StageTimes()
    best: _Shown | None = None
    most = -1
    for index in range(frames):
        frame = scene.render(index, _FPS)
        result: Detections = model(frame.image)
        times.add_timings(model.timings)
        hit, wrong = count_matches(result, frame.truth)
        for class_id, ignored, was_found in zip(frame.truth.class_id, frame.truth.ignored, hit, strict=True):
            if not ignored:
                present[CLASS_NAMES[class_id]] += 1
                found[CLASS_NAMES[class_id]] += int(was_found)
        for name in result[wrong].names:
            extra[name] += 1
        picture = draw(frame.image, result)
        video.write(picture)
        if len(frame.truth.counted()) > most:
            most, best = len(frame.truth.counted()), _Shown(frame, picture)
        on_frame()
    assert best is not None  # there is at least one frame
    return (present, found, extra, times), best
