"""Runs the tests of sessions through TensorRT's real Python bindings, with the stand-in for TensorRT behind them.

    python tests/engines/real_bindings/run.py 10.3.0 ~/TensorRT/include [what to give to pytest]

The bindings are on the public index, TensorRT's library is not: stand_in_library.py makes one that passes every call on to
tests/engines/fake_runtime.py. What is tested so is the way there and back: types, lifetimes, threads, errors as the real
bindings make them. Calls that the package should not make end the process with their name.

The second argument is the folder include/ of github.com/NVIDIA/TensorRT at the version's tag. Needs g++ and Linux.
"""

from __future__ import annotations

import os
import subprocess
import sys
import tempfile
from pathlib import Path

from stand_in_library import build_library

HERE = Path(__file__).parent
sys.path.append(str(HERE.parent))

from trt_bindings import unpack_bindings  # noqa: E402

TESTS = HERE.parents[1]
MODULES = ("backends/test_trt_session.py", "backends/test_trt_open.py", "frame_graph")
# Of other runtimes; and, where the bindings of 10.3 end the process, a profile that is refused.
LEFT_OUT = "not real and not ONNX and not onnxruntime and not on_a_gpu"
LEFT_OUT_BY_VERSION = {"10.3": " and not a_profile_that_is_refused"}


def main() -> int:
    if len(sys.argv) < 3:
        sys.exit(__doc__)
    version, include, *more = sys.argv[1:]
    with tempfile.TemporaryDirectory() as folder:
        place = Path(folder)
        unpack_bindings(version, place)
        build_library(Path(include), place, major=int(version.split(".")[0]))
        left_out = LEFT_OUT + next(
            (also for start, also in LEFT_OUT_BY_VERSION.items() if version.startswith(start)), ""
        )
        chosen = more or [*(str(TESTS / module) for module in MODULES), "-k", left_out]
        environment = {
            **os.environ,
            "STAND_IN_LIBRARY": folder,
            "LD_LIBRARY_PATH": folder,
            "PYTHONPATH": os.pathsep.join(filter(None, [str(HERE), os.environ.get("PYTHONPATH")])),
        }
        command = [
            sys.executable,
            "-m",
            "pytest",
            "-p",
            "through_real_bindings",
            "-p",
            "no:xdist",
            "-q",
            *chosen,
        ]
        return subprocess.run(command, env=environment, check=False).returncode


if __name__ == "__main__":
    sys.exit(main())
