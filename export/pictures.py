"""The user's pictures, shared out: some to compare with PyTorch on, the others to calibrate int8."""

from __future__ import annotations

from dataclasses import dataclass
from os import PathLike

import numpy as np

from edgevision.errors import InputError
from edgevision.export.golden import GOLDEN_COUNT, Frame, default_frames, read_frames
from edgevision.export.options import ExportOptions

__all__ = ["MIN_CALIBRATION", "Pictures", "share_out"]

MIN_CALIBRATION = 16
"""Pictures that int8 is calibrated on at least. The ranges of a trained detector settled within 12 to 32 (export/int8);
what counts more is that they show what the deployment will see: 100 and more are better."""

_MAX_CALIBRATION = 256
_MAX_JUDGED = 16
"""Pictures that int8 is judged on at most: PyTorch runs on each."""


@dataclass(frozen=True, slots=True, eq=False)
class Pictures:
    """golden: in the bundle, every form is judged on them. judged: int8 is judged on these too. calibration: int8's.

    own: whether they are the user's, rather than rendered.
    """

    golden: tuple[Frame, ...]
    judged: tuple[Frame, ...] = ()
    calibration: tuple[Frame, ...] = ()
    own: bool = False


def share_out(options: ExportOptions, random_weights: bool) -> Pictures:
    """The pictures of an export.

    Raises InputError when int8 is asked for without enough pictures to calibrate on; a network of random weights, whose
    results mean nothing, is calibrated on the golden frames.
    """
    int8 = "int8" in options.precisions
    given = options.images
    own = isinstance(given, (str, PathLike)) or len(given) > 0
    if not own:
        golden = default_frames()
        separate = _separate(options) if int8 else ()
        if int8 and not separate and not random_weights:
            raise _too_few(0)
        return Pictures(tuple(golden), (), separate or tuple(golden), bool(separate))
    if not int8:
        return Pictures(tuple(read_frames(given, GOLDEN_COUNT)), own=True)
    frames = read_frames(given, GOLDEN_COUNT + _MAX_JUDGED + _MAX_CALIBRATION)
    golden, rest = _take(frames, GOLDEN_COUNT)
    separate = _separate(options)
    # Held out of the calibration where there are enough to hold out.
    judged, rest = _take(rest, min(_MAX_JUDGED - GOLDEN_COUNT, max(len(rest) - MIN_CALIBRATION, 0) // 3))
    calibration = separate or tuple(rest)
    if len(calibration) < MIN_CALIBRATION:
        if not random_weights:
            raise _too_few(len(frames))
        calibration = tuple(frames)
    return Pictures(tuple(golden), tuple(judged), calibration[:_MAX_CALIBRATION], True)


def _separate(options: ExportOptions) -> tuple[Frame, ...]:
    given = options.calibration
    if not isinstance(given, (str, PathLike)) and not len(given):
        return ()
    frames = tuple(read_frames(given, _MAX_CALIBRATION))
    if len(frames) < MIN_CALIBRATION:
        raise InputError(f"calibration must be {MIN_CALIBRATION} pictures or more, got {len(frames)}")
    return frames


def _too_few(count: int) -> InputError:
    return InputError(
        f"int8 needs {GOLDEN_COUNT + MIN_CALIBRATION} pictures or more, {GOLDEN_COUNT} to compare with PyTorch on and "
        f"{MIN_CALIBRATION} to calibrate, got {count}; pass a folder of 100 or so that look like the deployment's: "
        f"--images FOLDER"
    )


def _take(frames: list[Frame], count: int) -> tuple[list[Frame], list[Frame]]:
    """`count` frames evenly spread over the list, and the others."""
    if count >= len(frames):
        return frames, []
    chosen = set(np.linspace(0, len(frames) - 1, count).round().astype(int).tolist())
    return [frames[i] for i in sorted(chosen)], [one for i, one in enumerate(frames) if i not in chosen]
