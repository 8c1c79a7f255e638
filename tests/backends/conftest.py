"""The stand-ins for TensorRT and CUDA are those of the engines' tests."""

from __future__ import annotations

import sys
from pathlib import Path

sys.path.append(str(Path(__file__).parents[1] / "engines"))
