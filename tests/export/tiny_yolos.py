"""Definitions of networks for Ultralytics' library that export in a second or two, one for each kind of head."""

from __future__ import annotations

from pathlib import Path

_BODY = """
nc: 3
{options}
backbone:
  - [-1, 1, Conv, [8, 3, 2]]
  - [-1, 1, Conv, [16, 3, 2]]
  - [-1, 1, Conv, [16, 3, 2]]
  - [-1, 1, Conv, [16, 3, 2]]
  - [-1, 1, Conv, [16, 3, 2]]
head:
  - [{head}]
"""
_LEVELS = "[2, 3, 4], 1, "
_END2END = "end2end: True\nreg_max: 1"

# Name -> head, options. The names with 26 are those of YOLO26: its heads select, and have no distributions.
_HEADS = {
    "detect": (_LEVELS + "Detect, [nc]", ""),
    "segment": (_LEVELS + "Segment, [nc, 4, 8]", ""),
    "pose": (_LEVELS + "Pose, [nc, kpt_shape]", "kpt_shape: [5, 3]"),
    "obb": (_LEVELS + "OBB, [nc, 1]", ""),
    "classify": ("-1, 1, Classify, [nc]", ""),
    "v10": (_LEVELS + "v10Detect, [nc]", ""),
    "detect26": (_LEVELS + "Detect, [nc]", _END2END),
    "segment26": (_LEVELS + "Segment26, [nc, 4, 8]", _END2END),
    "pose26": (_LEVELS + "Pose26, [nc, kpt_shape]", _END2END + "\nkpt_shape: [5, 3]"),
    "obb26": (_LEVELS + "OBB26, [nc, 1]", _END2END),
}


def write_tiny_yolo(folder: Path, kind: str) -> str:
    """The path of a definition of that kind, written into the folder."""
    head, options = _HEADS[kind]
    path = folder / f"tiny-{kind}.yaml"
    path.write_text(_BODY.format(head=head, options=options), encoding="ascii")
    return str(path)
