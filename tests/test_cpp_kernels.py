"""The kernels' own C++ tests, built without Python and run under the address and undefined-behaviour sanitizers."""

from __future__ import annotations

import os
import shutil
import subprocess
from pathlib import Path

import pytest

SOURCE = Path(__file__).parent.parent / "cpp_ext"


def run(*command: str) -> str:
    done = subprocess.run(command, capture_output=True, text=True, check=False)
    assert done.returncode == 0, f"{' '.join(command)}\n{done.stdout[-8000:]}\n{done.stderr[-8000:]}"
    return done.stdout


@pytest.mark.slow
@pytest.mark.skipif(shutil.which("cmake") is None, reason="cmake is not installed")
@pytest.mark.skipif(
    shutil.which(os.environ.get("CXX", "c++")) is None, reason="a C++ compiler is not installed"
)
def test_the_kernels_pass_their_own_tests_under_sanitizers(tmp_path: Path) -> None:
    run(
        "cmake", "-S", str(SOURCE), "-B", str(tmp_path), "-DEDGEVISION_PYTHON=OFF", "-DEDGEVISION_NATIVE_TESTS=ON",
        "-DEDGEVISION_WERROR=ON", "-DEDGEVISION_SANITIZE=address,undefined",
    )  # fmt: skip
    run("cmake", "--build", str(tmp_path), "--parallel", "2")
    said = run("ctest", "--test-dir", str(tmp_path), "--output-on-failure")
    assert "100% tests passed" in said
