"""The tiny networks of the export's tests are the families' here too; models on the stand-ins have the emulated kernels."""

from __future__ import annotations

import sys
from pathlib import Path

for folder in ("export", "cuda", "frame_graph"):
    sys.path.append(str(Path(__file__).parents[1] / folder))
