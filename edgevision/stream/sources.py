"""Where frames come from: pictures, folders and globs of them, and video files."""

from __future__ import annotations

import glob
import os
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from os import PathLike
from pathlib import Path
from typing import Protocol

import numpy as np
from numpy.typing import NDArray

from edgevision.errors import EdgeVisionError, InputError
from edgevision.imageio import IMAGE_SUFFIXES, import_cv2, read_image

__all__ = ["VIDEO_SUFFIXES", "Frame", "PictureSource", "Source", "VideoSource", "open_source"]

VIDEO_SUFFIXES = (".avi", ".m4v", ".mkv", ".mov", ".mp4", ".mpeg", ".mpg", ".ts", ".webm", ".wmv")


@dataclass(frozen=True, slots=True, eq=False)
class Frame:
    """One image and where it comes from.

    image:  uint8 (H, W, 3) BGR.
    index:  0, 1, 2, ... within its source.
    path:   the file it was read from.
    time_s: seconds since the start of the video; None for a picture.
    """

    image: NDArray[np.uint8]
    index: int
    path: Path
    time_s: float | None = None


class Source(Protocol):
    """Frames in order. Iterate once; `close` afterwards, or use it as a context."""

    @property
    def count(self) -> int | None:
        """Frames to expect; None when the file does not say."""
        ...

    @property
    def fps(self) -> float | None:
        """Frames per second of a video; None for pictures."""
        ...

    def __iter__(self) -> Iterator[Frame]: ...

    def close(self) -> None: ...


class PictureSource:
    """Pictures, one after another.

    on_error: told of each picture that cannot be read, which is then skipped; None lets it raise.
    """

    fps = None

    def __init__(self, paths: Sequence[Path]) -> None:
        self._paths = list(paths)
        self.on_error: Callable[[Path, EdgeVisionError], None] | None = None

    @property
    def count(self) -> int:
        """Number of pictures."""
        return len(self._paths)

    def __iter__(self) -> Iterator[Frame]:
        for index, path in enumerate(self._paths):
            try:
                image = read_image(path)
            except InputError as error:
                if self.on_error is None:
                    raise
                self.on_error(path, error)
                continue
            yield Frame(image, index, path)

    def close(self) -> None:
        """Nothing is held open."""


class VideoSource:
    """The frames of a video file, through OpenCV (extra `video`)."""

    def __init__(self, path: Path) -> None:
        """Raises InputError when OpenCV cannot open the file."""
        self._cv2 = import_cv2("reading a video")
        self._path = path
        self._capture = self._cv2.VideoCapture(os.fspath(path))
        if not self._capture.isOpened():
            raise InputError(
                f"{path} is not a video that OpenCV can open ({path.stat().st_size} bytes); convert it, e.g. "
                f"ffmpeg -i {path.name} converted.mp4"
            )
        fps = float(self._capture.get(self._cv2.CAP_PROP_FPS))
        self.fps: float | None = fps if 0.0 < fps < 1000.0 else None
        # What the header claims: an estimate for the progress bar, never a bound.
        count = int(self._capture.get(self._cv2.CAP_PROP_FRAME_COUNT))
        self.count: int | None = count if count > 0 else None

    def __iter__(self) -> Iterator[Frame]:
        index = 0
        while True:
            done, image = self._capture.read()
            if not done:
                break
            yield Frame(image, index, self._path, index / self.fps if self.fps else None)
            index += 1
        if index == 0:
            raise InputError(f"{self._path} opens as a video but holds no frame that can be decoded")

    def close(self) -> None:
        """Release the decoder."""
        self._capture.release()


def open_source(source: str | PathLike[str]) -> Source:
    """The frames of a picture, a video, a folder of pictures, or a glob such as "shots/*.jpg".

    Raises InputError when nothing is there, or nothing of a kind that can be read.
    """
    text = os.fspath(source)
    path = Path(text)
    if path.is_dir():
        pictures = sorted(item for item in path.iterdir() if item.suffix.lower() in IMAGE_SUFFIXES)
        if not pictures:
            raise InputError(
                f"the folder {text} holds no picture; accepted suffixes: {', '.join(IMAGE_SUFFIXES)}"
            )
        return PictureSource(pictures)
    if path.is_file():
        return VideoSource(path) if path.suffix.lower() in VIDEO_SUFFIXES else PictureSource([path])
    if glob.has_magic(text):
        found = sorted(Path(item) for item in glob.glob(text, recursive=True))
        pictures = [item for item in found if item.suffix.lower() in IMAGE_SUFFIXES]
        if len(found) == 1 and not pictures:
            return open_source(found[0])
        if not pictures:
            raise InputError(f"no picture matches {text!r}; accepted suffixes: {', '.join(IMAGE_SUFFIXES)}")
        return PictureSource(pictures)
    raise InputError(
        f"there is no file, folder or match for {text!r}; give a picture, a video, a folder or a glob"
    )
