"""A model over a source: annotated pictures or video, JSON lines, a window."""

from __future__ import annotations

import sys
from collections import Counter
from collections.abc import Callable
from contextlib import suppress
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from edgevision.bench.timing import StageTimes
from edgevision.errors import EdgeVisionError, InputError
from edgevision.imageio import import_cv2
from edgevision.model import Model
from edgevision.overlay import draw
from edgevision.results import Classification, Embedding, PromptMasks, Result
from edgevision.stream.prompted import PromptedModel
from edgevision.stream.sinks import JsonLinesSink, PictureSink, VideoSink
from edgevision.stream.sources import Frame, PictureSource, Source

__all__ = ["RunOutputs", "RunReport", "run_source"]


@dataclass(slots=True)
class RunReport:
    """What a run did.

    times:       stage times of every frame, ms.
    counts:      how often each class was found (the best one of each picture for a classifier).
    written:     the files and folders written.
    failed:      pictures that could not be read.
    interrupted: whether the user stopped it.
    """

    times: StageTimes = field(default_factory=StageTimes)
    counts: dict[str, int] = field(default_factory=Counter)
    written: list[Path] = field(default_factory=list)
    failed: int = 0
    interrupted: bool = False


class RunOutputs:
    """Where the results of a run go."""

    def __init__(
        self, *, save: str | None = None, json_path: str | None = None, show: bool = False, source: Source
    ) -> None:
        """save: a folder for pictures, a .mp4 or .avi for a video, "" for a place under runs/, None for nowhere.
        json_path: a file, "-" for stdout, None for nowhere. Raises InputError when one cannot be written there.
        """
        self._video: VideoSink | None = None
        self._pictures: PictureSink | None = None
        self._json: JsonLinesSink | None = None
        self._print_json = json_path == "-"
        self._window = _Window() if show else None
        self._annotates = save is not None or show
        if save is not None:
            self._open_save(save, source)
        if json_path not in (None, "-"):
            self._json = JsonLinesSink(str(json_path))

    def _open_save(self, save: str, source: Source) -> None:
        if isinstance(source, PictureSource):
            if Path(save).suffix.lower() in (".mp4", ".avi"):
                raise InputError(f"pictures are saved to a folder, got --save {save}")
            self._pictures = PictureSink(save or _free_path(Path("runs"), "run", ""))
        else:
            target = Path(save) if save else _free_path(Path("runs"), "run", ".mp4")
            target.parent.mkdir(parents=True, exist_ok=True)
            self._video = VideoSink(target, source.fps or 30.0)

    def write(self, frame: Frame, result: Result, timings_ms: dict[str, float]) -> bool:
        """Write one frame everywhere; False when the user closed the window."""
        if self._json is not None:
            self._json.write(frame, result, timings_ms)
        if self._print_json:
            print(JsonLinesSink.line(frame, result, timings_ms), flush=True)
        if not self._annotates:
            return True
        image = draw(frame.image, result)
        if self._video is not None:
            self._video.write(image)
        if self._pictures is not None:
            self._pictures.write(image, frame)
        return self._window is None or self._window.show(image)

    def close(self) -> list[Path]:
        """Finish every file; the paths written."""
        sinks = [sink for sink in (self._video, self._json) if sink is not None]
        for sink in sinks:
            sink.close()
        if self._window is not None:
            self._window.close()
        paths = [sink.path for sink in (self._video, self._pictures, self._json) if sink is not None]
        return [path for path in paths if path.exists()]

    def abort(self) -> None:
        """Drop half-written files."""
        for sink in (self._video, self._json):
            if sink is not None:
                with suppress(OSError):
                    sink.abort()
        if self._window is not None:
            self._window.close()


def run_source(
    model: Model | PromptedModel,
    source: Source,
    outputs: RunOutputs,
    *,
    limit: int | None = None,
    on_frame: Callable[[], None] = lambda: None,
    on_error: Callable[[Path, EdgeVisionError], None] | None = None,
) -> RunReport:
    """Run `model` on every frame of `source` and write the results.

    A picture that cannot be read is told to `on_error` and skipped; without one it raises. An interruption (Ctrl-C)
    ends the run and keeps what was done; any other error drops half-written files.
    """
    report = RunReport()

    def skip(path: Path, error: EdgeVisionError) -> None:
        report.failed += 1
        assert on_error is not None
        on_error(path, error)

    if isinstance(source, PictureSource) and on_error is not None:
        source.on_error = skip
    try:
        for frame in source:
            result = model(frame.image)
            report.times.add_timings(model.timings)
            for name in _found_names(result):
                report.counts[name] = report.counts.get(name, 0) + 1
            timings = model.timings
            stages = {
                "preprocess": timings.preprocess,
                "inference": timings.inference,
                "postprocess": timings.postprocess,
            }
            goes_on = outputs.write(frame, result, stages)
            on_frame()
            if not goes_on or (limit is not None and frame.index + 1 >= limit):
                break
    except KeyboardInterrupt:
        report.interrupted = True
    except BaseException:
        outputs.abort()
        raise
    report.written = outputs.close()
    return report


def _found_names(result: Result) -> list[str]:
    if isinstance(result, Classification):
        return result.top(1).names
    if isinstance(result, (Embedding, PromptMasks)):
        return []
    return result.names


def _free_path(folder: Path, stem: str, suffix: str) -> Path:
    """The first of stem1, stem2, ... that does not exist yet."""
    number = 1
    while (folder / f"{stem}{number}{suffix}").exists():
        number += 1
    return folder / f"{stem}{number}{suffix}"


class _Window:
    """A window of OpenCV's."""

    _TITLE = "edgevision"

    def __init__(self) -> None:
        self._cv2: Any = import_cv2("--show")
        try:
            self._cv2.namedWindow(self._TITLE, self._cv2.WINDOW_NORMAL)
        except self._cv2.error:
            raise InputError(
                "this OpenCV has no windows (it is the headless one, or there is no display); for windows: "
                f"{sys.executable} -m pip uninstall -y opencv-python-headless && pip install 'edgevision[gui]'"
            ) from None

    def show(self, image: NDArray[np.uint8]) -> bool:
        """False once the user pressed q or Esc, or closed the window."""
        self._cv2.imshow(self._TITLE, image)
        key = self._cv2.waitKey(1) & 0xFF
        return key not in (ord("q"), 27) and self._cv2.getWindowProperty(self._TITLE, 4) >= 1

    def close(self) -> None:
        """Close it."""
        self._cv2.destroyAllWindows()
