"""Where annotated frames and results go. Every file appears whole, when its sink is closed, or not at all."""

from __future__ import annotations

import json
import os
from os import PathLike
from pathlib import Path
from typing import Any, ClassVar

import numpy as np
from numpy.typing import NDArray

from edgevision.errors import InputError
from edgevision.imageio import import_cv2, write_image
from edgevision.results import Result
from edgevision.stream.sources import Frame

__all__ = ["JsonLinesSink", "PictureSink", "VideoSink"]


class VideoSink:
    """A video file (MPEG-4 in .mp4, Motion JPEG in .avi), written beside its place and moved there by `close`."""

    _CODECS: ClassVar[dict[str, str]] = {".mp4": "mp4v", ".avi": "MJPG"}

    def __init__(self, path: str | PathLike[str], fps: float) -> None:
        """Raises InputError for a suffix other than .mp4 and .avi."""
        self._cv2 = import_cv2("writing a video")
        self.path = Path(path)
        if self.path.suffix.lower() not in self._CODECS:
            raise InputError(f"cannot write a video to {self.path.name!r}; accepted suffixes: .mp4, .avi")
        self._fps = fps
        self._part = self.path.with_name(f".{self.path.stem}.part{self.path.suffix}")
        self._writer: Any = None
        self._size_wh = (0, 0)

    def write(self, image: NDArray[np.uint8]) -> None:
        """Append a frame: uint8 (H, W, 3) BGR, all of one size."""
        size = (image.shape[1], image.shape[0])
        if self._writer is None:
            codec = self._cv2.VideoWriter_fourcc(*self._CODECS[self.path.suffix.lower()])
            self._writer = self._cv2.VideoWriter(os.fspath(self._part), codec, self._fps, size)
            self._size_wh = size
            if not self._writer.isOpened():
                raise InputError(f"OpenCV cannot write {self.path}; is its folder writeable?")
        elif size != self._size_wh:
            raise InputError(
                f"all frames of a video must be of one size: got {size} after {self._size_wh} (w, h)"
            )
        self._writer.write(image)

    def close(self) -> None:
        """Finish the file and put it in its place; without a frame there is none."""
        if self._writer is not None:
            self._writer.release()
            self._writer = None
            os.replace(self._part, self.path)

    def abort(self) -> None:
        """Drop what was written."""
        if self._writer is not None:
            self._writer.release()
            self._writer = None
        self._part.unlink(missing_ok=True)


class PictureSink:
    """One annotated picture for each one read, under its own name in a folder."""

    def __init__(self, folder: str | PathLike[str]) -> None:
        self.path = Path(folder)
        self.path.mkdir(parents=True, exist_ok=True)
        self._names: set[str] = set()

    def write(self, image: NDArray[np.uint8], frame: Frame) -> Path:
        """The path written; a name already used in this run gets the frame's number."""
        name = frame.path.name
        if name in self._names:
            name = f"{frame.path.stem}_{frame.index}{frame.path.suffix}"
        self._names.add(name)
        target = self.path / name
        if frame.path.exists() and target.exists() and target.samefile(frame.path):
            raise InputError(f"{target} is the picture being read; choose another folder to save to")
        return write_image(target, image)


class JsonLinesSink:
    """One line of JSON a frame: {"source", "index", "time_s", "timings_ms", **result}."""

    def __init__(self, path: str | PathLike[str]) -> None:
        self.path = Path(path)
        self._part = self.path.with_name(f".{self.path.name}.part")
        self._file = self._part.open("w", encoding="utf-8")

    @staticmethod
    def line(frame: Frame, result: Result, timings_ms: dict[str, float]) -> str:
        """One result as JSON, without the line's end."""
        row = {
            "source": os.fspath(frame.path),
            "index": frame.index,
            "time_s": frame.time_s,
            "timings_ms": timings_ms,
            **result.to_dict(),
        }
        return json.dumps(row)

    def write(self, frame: Frame, result: Result, timings_ms: dict[str, float]) -> None:
        """Append one result."""
        self._file.write(self.line(frame, result, timings_ms) + "\n")

    def close(self) -> None:
        """Finish the file and put it in its place."""
        self._file.close()
        os.replace(self._part, self.path)

    def abort(self) -> None:
        """Drop what was written."""
        self._file.close()
        self._part.unlink(missing_ok=True)
