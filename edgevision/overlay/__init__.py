"""Results drawn over their image, for people to look at (OpenCV does the strokes: extra `video`)."""

from __future__ import annotations

from edgevision.overlay.drawing import draw
from edgevision.overlay.strokes import class_color

__all__ = ["class_color", "draw"]
