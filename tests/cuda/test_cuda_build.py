"""The module as nvcc builds it, on machines with and without a GPU; and its stub."""

from __future__ import annotations

import difflib
import shutil
import subprocess
import sys
from pathlib import Path
from types import ModuleType

import pytest
from cuda_modules import ROOT, build, cannot_build, find_nvcc

# What a program does first, in a process of its own.
PROBE = """
import sys
sys.path.insert(0, "tests/cuda")
from cuda_modules import load
from pathlib import Path
cuda = load(Path(sys.argv[1]))
print(cuda.device_count())
print(cuda.why_no_device())
if cuda.device_count() == 0:
    try:
        cuda.Stream()
    except cuda.CudaError as error:
        print("refused:", error)
"""


@pytest.fixture(scope="module")
def nvcc_module() -> Path:
    """edgevision._cuda for one architecture."""
    reason = cannot_build() or (None if find_nvcc() else "no nvcc: the CUDA toolkit is missing")
    if reason is not None:
        pytest.skip(reason)
    return build("cuda-nvcc", "_cuda", "-DEDGEVISION_CUDA=ON", "-DCMAKE_CUDA_ARCHITECTURES=87-real")


def assert_committed(stub: str) -> None:
    committed = (ROOT / "edgevision" / "_cuda.pyi").read_text().splitlines()
    gap = list(difflib.unified_diff(committed, stub.splitlines(), "committed", "built", lineterm=""))
    assert not gap, "run `make stub` and commit the result:\n" + "\n".join(gap)


def test_the_stub_is_the_emulated_builds(emulated_cuda: ModuleType) -> None:
    from cuda_stub import generate

    assert_committed(generate(emulated_cuda))


@pytest.mark.slow
def test_it_loads_without_a_driver_and_says_why_there_is_no_device(nvcc_module: Path) -> None:
    done = subprocess.run(
        [sys.executable, "-c", PROBE, str(nvcc_module)], cwd=ROOT, capture_output=True, text=True, check=False
    )
    assert done.returncode == 0, done.stderr
    count, why, *rest = done.stdout.splitlines()
    if int(count) > 0:
        assert why == ""
    else:
        assert why
        assert rest[0].startswith("refused: cudaDeviceGetStreamPriorityRange: cudaError")


@pytest.mark.slow
def test_it_needs_no_cuda_library(nvcc_module: Path) -> None:
    if shutil.which("readelf") is None:
        pytest.skip("readelf is missing")
    said = subprocess.run(["readelf", "-d", str(nvcc_module)], capture_output=True, text=True, check=True)
    needed = [line for line in said.stdout.splitlines() if "(NEEDED)" in line]
    assert needed
    assert not [line for line in needed if "cuda" in line]


@pytest.mark.slow
def test_the_stub_is_nvccs_builds_too(nvcc_module: Path, tmp_path: Path) -> None:
    # In a process of its own: there it is edgevision._cuda, which other tests must not find here.
    script = ROOT / "tests" / "cuda" / "cuda_stub.py"
    subprocess.run([sys.executable, str(script), str(tmp_path / "stub"), str(nvcc_module)], check=True)
    assert_committed((tmp_path / "stub").read_text())
