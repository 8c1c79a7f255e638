"""What ptxas says of the kernels, read and judged; and two architectures compiled for it."""

from __future__ import annotations

import importlib.util
import json
import subprocess
import sys
from pathlib import Path
from types import ModuleType

import pytest
from cuda_modules import BUILDS, ROOT, cannot_build, find_nvcc

SCRIPT = ROOT / "cpp_ext" / "cuda" / "report.py"

# Two kernels as ptxas 13.0 reports them, the second with a function that it calls.
SAID = """
-- The CUDA compiler identification is NVIDIA 13.0.88 with host compiler GNU 12.2.0
ptxas info    : 0 bytes gmem
ptxas info    : Compiling entry function '_ZN2ev4cuda8run_bodyINS0_6ResizeIfEEEEvT_' for 'sm_87'
ptxas info    : Function properties for _ZN2ev4cuda8run_bodyINS0_6ResizeIfEEEEvT_
    0 bytes stack frame, 0 bytes spill stores, 0 bytes spill loads
ptxas info    : Used 42 registers, used 1 barriers, 768 bytes smem, 440 bytes cmem[0]
ptxas info    : Compiling entry function '_ZN2ev4cuda8run_bodyINS0_6ResizeIfEEEEvT_' for 'sm_120'
ptxas info    : Function properties for _ZN2ev4cuda8run_bodyINS0_6ResizeIfEEEEvT_
    40 bytes stack frame, {spilled} bytes spill stores, 12 bytes spill loads
ptxas info    : Used 38 registers, used 0 barriers, 40 bytes cumulative stack size
ptxas info    : Function properties for __internal_trig_reduction_slowpathd
    8 bytes stack frame, 0 bytes spill stores, 0 bytes spill loads
"""


@pytest.fixture(scope="module")
def report() -> ModuleType:
    spec = importlib.util.spec_from_file_location("cuda_report", SCRIPT)
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module


def test_each_kernel_and_architecture_is_a_row(report: ModuleType) -> None:
    rows = report.read_kernels(SAID.format(spilled=20))
    assert rows == [
        {"kernel": "Resize<float>", "architecture": "sm_87", "stack": 0, "spilled": 0, "registers": 42, "shared": 768},
        {"kernel": "Resize<float>", "architecture": "sm_120", "stack": 40, "spilled": 32, "registers": 38, "shared": 0},
    ]  # fmt: skip
    page = report.write_page(rows, report.toolkit(SAID))
    assert "nvcc NVIDIA 13.0.88; sm_87, sm_120." in page
    assert "| `Resize<float>` | 38-42 | 0-768 | 0-40 | 0-32 |" in page


def test_a_spill_is_an_error(tmp_path: Path) -> None:
    (tmp_path / "log").write_text(SAID.format(spilled=20))
    done = subprocess.run(
        [sys.executable, str(SCRIPT), "--log", str(tmp_path / "log")],
        capture_output=True,
        text=True,
        check=False,
    )
    assert done.returncode != 0
    assert "Resize<float> on sm_120: 32 bytes" in done.stderr


def test_output_that_it_cannot_read_is_an_error(report: ModuleType) -> None:
    for said in ("", "\n".join(SAID.splitlines()[:4])):
        with pytest.raises(SystemExit, match="cannot read"):
            report.read_kernels(said)


@pytest.mark.slow
def test_no_kernel_spills_and_the_page_names_them_all(report: ModuleType, tmp_path: Path) -> None:
    reason = cannot_build() or (None if find_nvcc() else "no nvcc: the CUDA toolkit is missing")
    if reason is not None:
        pytest.skip(reason)
    subprocess.run(
        [sys.executable, str(SCRIPT), "--build", str(BUILDS / "cuda-report"), "--architectures", "87-real",
         "--json", str(tmp_path / "rows.json")],
        check=True,
    )  # fmt: skip
    rows = json.loads((tmp_path / "rows.json").read_text())
    page = (ROOT / "docs" / "gpu_kernels.md").read_text()
    named = {line.split("`")[1] for line in page.splitlines() if line.startswith("| `")}
    assert {row["kernel"] for row in rows} == named, "run `make cuda` and commit docs/gpu_kernels.md"
