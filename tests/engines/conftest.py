"""The tiny networks of the export's tests are the families' here too."""

from __future__ import annotations

import sys
from pathlib import Path

sys.path.append(str(Path(__file__).parents[1] / "export"))
