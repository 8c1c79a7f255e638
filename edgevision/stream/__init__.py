"""Frames from files, and results to files."""

from __future__ import annotations

from edgevision.stream.sinks import JsonLinesSink, PictureSink, VideoSink
from edgevision.stream.sources import Frame, PictureSource, Source, VideoSource, open_source

__all__ = [
    "Frame",
    "JsonLinesSink",
    "PictureSink",
    "PictureSource",
    "Source",
    "VideoSink",
    "VideoSource",
    "open_source",
]
