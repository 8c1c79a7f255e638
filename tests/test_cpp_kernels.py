"""The kernels' own C++ tests, built without Python and run under the address and undefined-behaviour sanitizers."""

from __future__ import annotations

import os
import re
import shutil
import subprocess
from pathlib import Path

import pytest

SOURCE = Path(__file__).parent.parent / "cpp_ext"


def run(*command: str) -> str:
    done = subprocess.run(command, capture_output=True, text=True, check=False)
    assert done.returncode == 0, f"{' '.join(command)}\n{done.stdout[-8000:]}\n{done.stderr[-8000:]}"
    return done.stdout


def assert_nothing_is_shared_between_instruction_sets(build: Path) -> None:
    """No function of two compilations has one name: the linker would keep one, perhaps with unknown instructions."""
    objects = [str(path) for path in build.rglob("*.o") if "ev_kernels_" in str(path)]
    assert objects
    if shutil.which("nm") is None:
        pytest.skip("nm is not installed")
    weak = [line for line in run("nm", "-C", *objects).splitlines() if re.search(r" [Wu] ", line)]
    names = "|".join({re.search(r"ev_kernels_(\w+)\.dir", path).group(1) for path in objects})
    assert [line for line in weak if not re.search(rf"\bev::({names})::", line)] == []


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
    assert_nothing_is_shared_between_instruction_sets(tmp_path)
    said = run("ctest", "--test-dir", str(tmp_path), "--output-on-failure")
    assert "100% tests passed" in said
