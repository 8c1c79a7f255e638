"""Pictures of the golden frames with what PyTorch and each form find in them, side by side."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from edgevision.errors import InputError
from edgevision.export.build import BuiltForm
from edgevision.export.golden import Frame, PartReference
from edgevision.export.judge import decode_outputs
from edgevision.imageio import import_cv2, write_image
from edgevision.overlay import draw
from edgevision.results import Classification, Detections, OrientedDetections
from edgevision.spec import ModelSpec

__all__ = ["write_pictures"]

_HEIGHT = 270
"""Pixels of each picture in a row: several stand side by side on a screen."""

_STRIP = 22
"""Pixels of the caption above each."""


def write_pictures(
    folder: Path,
    spec: ModelSpec,
    reference: PartReference,
    frames: Sequence[Frame],
    built: Sequence[BuiltForm],
) -> list[str]:
    """The names of the JPEG files written, one a frame; none for results that cannot be drawn."""
    wants = decode_outputs(spec, reference, reference.outputs, "fp32")
    columns: list[tuple[str, Sequence[Any]]] = [("PyTorch", wants)]
    columns += [
        (f"{one.form}, {one.parity[0].runtime}", one.parity[0].decoded)
        for one in built
        if one.role == "model" and one.parity[0].decoded
    ]
    names: list[str] = []
    for index, frame in enumerate(frames[: len(wants)]):
        try:
            cells = [_cell(frame.image, results[index], name, spec) for name, results in columns]
        except InputError:
            return names  # a kind of result that has no picture, such as an embedding
        name = f"frame_{index}.jpg"
        write_image(folder / name, np.hstack(cells))
        names.append(name)
    return names


def _cell(image: NDArray[np.uint8], result: Any, caption: str, spec: ModelSpec) -> NDArray[np.uint8]:
    cv2 = import_cv2("the report's pictures")
    if isinstance(result, (Detections, OrientedDetections)):
        result = result[result.confidence > spec.thresholds.confidence]
    elif isinstance(result, Classification):
        result = result.top(3)
    drawn = draw(image, result)
    width = max(1, round(image.shape[1] * _HEIGHT / image.shape[0]))
    small = cv2.resize(drawn, (width, _HEIGHT), interpolation=cv2.INTER_AREA)
    strip = np.full((_STRIP, width, 3), 255, np.uint8)
    cv2.putText(strip, caption, (4, 15), cv2.FONT_HERSHEY_SIMPLEX, 0.42, (24, 24, 24), 1, cv2.LINE_AA)
    return np.vstack([strip, small])
