"""No call allocates in steady state, but for the arrays that it returns: counted by what the process asks the C library.

count_allocations.py makes the calls in a process of its own, in which allocation_counter.cpp stands before malloc.
"""

from __future__ import annotations

import json
import os
import platform
import shutil
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest
from implementations import functions_with_out
from native_functions import FUNCTIONS

from edgevision.ops._dispatch import native

HERE = Path(__file__).parent
COMPILER = os.environ.get("CXX", "c++")
pytestmark = [
    pytest.mark.skipif(native is None, reason="the native extension is not built"),
    pytest.mark.skipif(platform.libc_ver()[0] != "glibc", reason="counts the calls of glibc's malloc"),
    pytest.mark.skipif(shutil.which(COMPILER) is None, reason="a C++ compiler is not installed"),
]


@pytest.fixture(scope="module")
def found(tmp_path_factory: pytest.TempPathFactory) -> dict[str, Any]:
    """[allocations of some calls, of twice as many] by the calls' name, and some bytes."""
    counter = tmp_path_factory.mktemp("counter") / "counter.so"
    build = [COMPILER, "-std=c++17", "-O1", "-shared", "-fPIC", str(HERE / "allocation_counter.cpp")]
    subprocess.run([*build, "-o", str(counter)], check=True)
    done = subprocess.run(
        [sys.executable, str(HERE / "count_allocations.py"), str(counter)],
        capture_output=True,
        text=True,
        check=False,
        env={**os.environ, "LD_PRELOAD": str(counter)},
    )
    assert done.returncode == 0, done.stderr
    counts: dict[str, Any] = json.loads(done.stdout)
    return counts


def blocks_of(name: str) -> int:
    """Blocks of memory that the results of one such call take."""
    if name.startswith("native."):
        function = FUNCTIONS[name.removeprefix("native.").split(",")[0].split(" ")[0]]
        return function.blocks * (1 if " of many" in name else len(function.variants))
    return 1 if name.startswith("decode_yolo") else 0


def test_only_results_are_allocated_in_steady_state(found: dict[str, Any]) -> None:
    counted = {name: counts for name, counts in found.items() if isinstance(counts, list)}
    calls = found["calls"]
    expected = {name: [calls * blocks_of(name), 2 * calls * blocks_of(name)] for name in counted}
    assert counted == expected


def test_every_function_was_counted(found: dict[str, Any]) -> None:
    functions = {name.split(",")[0] for name in found}
    assert {f"native.{name}" for name in FUNCTIONS} <= functions
    assert functions_with_out() <= functions


def test_a_single_large_call_leaves_its_memory(found: dict[str, Any]) -> None:
    assert found["bytes kept of a single large call"] < 1 << 20  # of the 48 MB that its keys took
