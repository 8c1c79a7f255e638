"""The command that makes TensorRT importable here.

On a Jetson, JetPack installs it for the system's Python; an environment sees it only where it was made so, and only with
the same Python. "No module named 'tensorrt'" in such an environment is the commonest complaint of all.
"""

from __future__ import annotations

import platform
import sys
from pathlib import Path

__all__ = ["mend_tensorrt"]

_NEW_ENVIRONMENT = "/usr/bin/python3 -m venv --system-site-packages .venv"


def mend_tensorrt(module: str, root: Path = Path("/")) -> str:
    """The command for the module "tensorrt" or "tensorrt_rtx", for a shell; "" where none helps.

    root: of the file system.
    """
    machine = platform.machine()
    if module == "tensorrt_rtx" and machine not in ("x86_64", "AMD64"):
        return ""
    if module == "tensorrt_rtx" or sys.platform != "linux" or machine not in ("aarch64", "arm64"):
        return f"pip install 'edgevision[{module.replace('_', '-')}]'"
    in_environment = sys.prefix != sys.base_prefix
    if not any(root.glob("usr/lib/python3*/dist-packages/tensorrt")):
        install = "sudo apt-get install python3-libnvinfer"
        return f"{install} && {_NEW_ENVIRONMENT}" if in_environment else install
    if in_environment and Path(sys.base_prefix) == Path("/usr"):
        config = Path(sys.prefix) / "pyvenv.cfg"
        return f"sed -i 's/^include-system-site-packages.*/include-system-site-packages = true/' {config}"
    # Another Python than the system's, for which JetPack has nothing.
    return _NEW_ENVIRONMENT
