"""The stand-ins for a GPU are the engines' and the kernels' own, emulated."""

from __future__ import annotations

import sys
from pathlib import Path

for folder in ("engines", "cuda", "backends", "."):
    sys.path.append(str(Path(__file__).parents[1] / folder))
