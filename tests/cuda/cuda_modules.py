"""Builds of the CUDA module for the tests: emulated on the processor, and by nvcc. Each in a folder that is kept."""

from __future__ import annotations

import importlib.util
import os
import shutil
import subprocess
import sys
from functools import lru_cache
from pathlib import Path
from types import ModuleType

import pytest

ROOT = Path(__file__).parent.parent.parent
BUILDS = ROOT / "build"


def find_nvcc() -> str | None:
    """Where nvcc is, as CMake looks for it; None: nowhere."""
    homes = [os.environ[name] for name in ("CUDA_HOME", "CUDA_PATH") if name in os.environ]
    places = [Path(home) / "bin" / "nvcc" for home in [*homes, "/usr/local/cuda"]]
    return shutil.which("nvcc") or next((str(place) for place in places if place.is_file()), None)


def cannot_build() -> str | None:
    """Why no extension can be built here; None: it can."""
    if sys.platform != "linux":
        return "the emulation needs Linux"
    for tool, what in (("cmake", "cmake"), (os.environ.get("CXX", "c++"), "a C++ compiler")):
        if shutil.which(tool) is None:
            return f"{what} is not installed"
    if importlib.util.find_spec("nanobind") is None:
        return "nanobind is not installed"
    return None


def build(name: str, target: str, *options: str) -> Path:
    """The module `target`, built with CMake in build/`name`, by one of the processes that share the tests."""
    import fcntl  # not on Windows, where nothing is built either

    folder = BUILDS / name
    folder.mkdir(parents=True, exist_ok=True)
    with open(folder / "lock", "w") as lock:
        fcntl.flock(lock, fcntl.LOCK_EX)
        _run(
            "cmake", "-S", str(ROOT / "cpp_ext"), "-B", str(folder), "-DEDGEVISION_WERROR=ON",
            f"-DPython_EXECUTABLE={sys.executable}", *options,
        )  # fmt: skip
        _run("cmake", "--build", str(folder), "--parallel", "2", "--target", target)
    return next((folder / "cuda").glob(f"{target}.*.so"))


def load(path: Path) -> ModuleType:
    """The module in a shared library, whose name begins with the module's own."""
    name = f"edgevision.{path.name.split('.')[0]}"
    if name not in sys.modules:
        spec = importlib.util.spec_from_file_location(name, path)
        module = importlib.util.module_from_spec(spec)
        sys.modules[name] = module
        spec.loader.exec_module(module)
    return sys.modules[name]


@lru_cache(maxsize=1)
def build_emulated() -> ModuleType:
    """edgevision._cuda on the processor: the same sources, compiled as C++."""
    return load(build("cuda-emulated", "_cuda_emulated", "-DEDGEVISION_CUDA=EMULATED"))


def emulated_or_skip() -> ModuleType:
    """The same; skips the test where it cannot be built."""
    reason = cannot_build()
    if reason is not None:
        pytest.skip(reason)
    return build_emulated()


def _run(*command: str) -> None:
    done = subprocess.run(command, capture_output=True, text=True, check=False)
    assert done.returncode == 0, f"{' '.join(command)}\n{done.stdout[-8000:]}\n{done.stderr[-8000:]}"
