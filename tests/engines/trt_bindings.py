"""TensorRT's Python bindings from the package index, without the library that they call."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path

__all__ = ["unpack_bindings"]


def unpack_bindings(version: str, folder: Path) -> None:
    """Puts the package tensorrt_bindings of a version, for this Python on Linux, into the folder."""
    package = f"tensorrt-cu12-bindings=={version}"
    pip = (sys.executable, "-m", "pip")
    subprocess.run([*pip, "download", "-q", "--no-deps", "-d", str(folder), package], check=True)
    wheel = next(folder.glob("*.whl"))
    subprocess.run([sys.executable, "-m", "zipfile", "-e", str(wheel), str(folder)], check=True)
