"""The package as users install it: a wheel, an editable install, and one without a compiler."""

from __future__ import annotations

import os
import subprocess
import sys
import sysconfig
import venv
import zipfile
from pathlib import Path

import pytest

pytest.importorskip("scikit_build_core", reason="scikit-build-core is not installed")
pytest.importorskip("nanobind", reason="nanobind is not installed")

ROOT = Path(__file__).parent.parent
needs_headers = pytest.mark.skipif(
    not (Path(sysconfig.get_path("include")) / "Python.h").exists(),
    reason="Python.h is not there (Debian: python3-dev), so no extension can be built",
)

# What a user does first, in one process; prints where the parts were found.
PROBE = """
import edgevision, importlib.util, importlib.resources
from edgevision.ops._dispatch import native
print(native is not None)
print(importlib.util.find_spec("edgevision.export.yolo").origin)
print((importlib.resources.files("edgevision.demo") / "models" / "conveyor_yolo.onnx").is_file())
print(importlib.resources.files("edgevision").joinpath("py.typed").is_file())
"""


def run(*command: str, **environment: str) -> str:
    done = subprocess.run(
        command, capture_output=True, text=True, env={**os.environ, **environment}, cwd=ROOT, check=False
    )
    assert done.returncode == 0, f"{' '.join(command)}\n{done.stdout}\n{done.stderr}"
    return done.stdout


def new_environment(folder: Path) -> str:
    """A fresh environment's python, which sees this one's libraries after its own."""
    venv.create(folder, with_pip=False)
    purelib = next(folder.glob("lib/python*/site-packages"))
    host = [path for path in sys.path if path.endswith("site-packages")]
    # Only the folders: their .pth files (an editable edgevision among them) are not read.
    (purelib / "host.pth").write_text("\n".join(host))
    return str(folder / "bin" / "python")


def pip_install(python: str, *arguments: str, **environment: str) -> None:
    run(
        sys.executable, "-m", "pip", "--python", python, "install", "--quiet", "--no-deps", "--no-build-isolation",
        "--disable-pip-version-check", *arguments, **environment,
    )  # fmt: skip


def build_wheel(folder: Path, **environment: str) -> Path:
    run(
        sys.executable, "-m", "pip", "wheel", "--quiet", "--no-deps", "--no-build-isolation",
        "--disable-pip-version-check", f"--config-settings=build-dir={folder}/build", "-w", str(folder), str(ROOT),
        **environment,
    )  # fmt: skip
    return next(folder.glob("*.whl"))


@needs_headers
@pytest.mark.slow
def test_a_wheel_holds_the_extension_the_export_scripts_and_the_demo(tmp_path: Path) -> None:
    wheel = build_wheel(tmp_path, EDGEVISION_REQUIRE_NATIVE="1")
    names = zipfile.ZipFile(wheel).namelist()
    assert [name for name in names if name.startswith("edgevision/_native") and not name.endswith(".pyi")]
    assert "edgevision/_native.pyi" in names
    assert "edgevision/export/yolo.py" in names
    assert not [name for name in names if name.split("/")[0] in ("export", "tests", "cpp_ext", "benchmarks")]
    assert "edgevision/demo/models/conveyor_promptable/decoder.onnx" in names
    assert wheel.stat().st_size < 18e6  # of which the demo's models take 15
    python = new_environment(tmp_path / "env")
    pip_install(python, str(wheel))
    native, export, model, typed = run(python, "-I", "-c", PROBE).split()
    assert (native, model, typed) == ("True", "True", "True")
    assert Path(export).is_relative_to(tmp_path), export


@needs_headers
@pytest.mark.slow
def test_an_editable_install_runs_the_sources(tmp_path: Path) -> None:
    python = new_environment(tmp_path / "env")
    pip_install(
        python,
        f"--config-settings=build-dir={tmp_path}/build",
        "-e",
        str(ROOT),
        EDGEVISION_REQUIRE_NATIVE="1",
    )
    native, export, model, typed = run(python, "-I", "-c", PROBE).split()
    assert (native, model, typed) == ("True", "True", "True")
    assert Path(export) == ROOT / "export" / "yolo.py"


@pytest.mark.slow
def test_without_a_compiler_the_package_installs_on_the_reference(tmp_path: Path) -> None:
    wheel = build_wheel(tmp_path, CC="/bin/false", CXX="/bin/false", EDGEVISION_REQUIRE_NATIVE="0")
    assert wheel.name.endswith("-py3-none-any.whl")
    python = new_environment(tmp_path / "env")
    pip_install(python, str(wheel))
    assert run(python, "-I", "-c", PROBE).split()[0] == "False"
    doctor = subprocess.run(
        [python, "-I", "-m", "edgevision", "doctor"], capture_output=True, text=True, check=False
    )
    assert doctor.returncode == 1
    assert "run on NumPy, correct but slower" in doctor.stdout
    assert "EDGEVISION_REQUIRE_NATIVE=1" in doctor.stdout


@pytest.mark.slow
def test_require_native_turns_the_fallback_off(tmp_path: Path) -> None:
    done = subprocess.run(
        [sys.executable, "-m", "pip", "wheel", "--no-deps", "--no-build-isolation", "-w", str(tmp_path),
         f"--config-settings=build-dir={tmp_path}/build", str(ROOT)],
        env={**os.environ, "CC": "/bin/false", "CXX": "/bin/false", "EDGEVISION_REQUIRE_NATIVE": "1"},
        capture_output=True, text=True, check=False,
    )  # fmt: skip
    assert done.returncode != 0
    assert not list(tmp_path.glob("*.whl"))
