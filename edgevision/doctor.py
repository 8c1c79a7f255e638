"""What this machine can run, why not the rest, and the command that mends it."""

from __future__ import annotations

import os
import platform
import shutil
import subprocess
import sys
import sysconfig
from collections.abc import Callable
from dataclasses import asdict, dataclass
from importlib import metadata
from typing import Any

from edgevision import __version__
from edgevision.backends.registry import available_backends
from edgevision.bench.system import available_cpus, jetson_release, processor_flags, processor_name
from edgevision.engines.builders import available_builders
from edgevision.errors import EdgeVisionError
from edgevision.imageio import import_cv2
from edgevision.ops._dispatch import native, native_error

__all__ = ["Check", "examine"]


@dataclass(frozen=True, slots=True)
class Check:
    """One finding.

    name:   what was looked at.
    status: "ok", "missing" (optional and absent) or "problem" (present and not usable).
    detail: what was found.
    mend:   the command that mends it; "" when there is nothing to do or no command does.
    """

    name: str
    status: str
    detail: str
    mend: str = ""

    def to_dict(self) -> dict[str, Any]:
        """A JSON-ready dict of the fields."""
        return asdict(self)


def examine() -> list[Check]:
    """Every finding about this machine, most fundamental first. Never raises."""
    checks: list[Check] = []
    for look in _LOOKS:
        checks += look()
    return checks


def _pip(requirement: str) -> str:
    return f"{sys.executable} -m pip install '{requirement}'"


def _version(distribution: str) -> str | None:
    try:
        return metadata.version(distribution)
    except metadata.PackageNotFoundError:
        return None


def _machine() -> list[Check]:
    flags = processor_flags()
    names = (
        "sse4_2",
        "avx",
        "avx2",
        "fma",
        "f16c",
        "avx512f",
        "avx512bw",
        "avx512_vnni",
        "amx_bf16",
        "asimd",
    )
    sets = " ".join(name for name in names if name in flags)
    rows = [
        Check("edgevision", "ok", f"{__version__}, Python {platform.python_version()} ({sys.executable})"),
        Check(
            "machine",
            "ok",
            f"{processor_name()}, {available_cpus()} CPUs, {platform.system()} {platform.machine()}"
            + (f", {sets}" if sets else ""),
        ),
    ]
    release = jetson_release()
    if release:
        rows.append(Check("jetson", "ok", release))
    return rows


def _native() -> list[Check]:
    if native is not None:
        detail = (
            f"{native.current_isa()} (of {', '.join(native.available_isas())}), "
            f"up to {native.num_threads()} threads, {getattr(native, '__file__', '')}"
        )
        return [Check("native kernels", "ok", detail)]
    needs = []
    if not any(shutil.which(name) for name in (os.environ.get("CXX", "c++"), "g++", "clang++")):
        needs.append("g++")
    if not os.path.exists(os.path.join(sysconfig.get_path("include"), "Python.h")):
        needs.append("python3-dev")
    install = f"apt-get install {' '.join(needs)} && " if needs else ""
    return [
        Check(
            "native kernels",
            "problem",
            f"{native_error}; pre- and postprocessing run on NumPy, correct but slower"
            + (f" (building them needs {' and '.join(needs)})" if needs else ""),
            f"{install}EDGEVISION_REQUIRE_NATIVE=1 {sys.executable} -m pip install --force-reinstall --no-deps "
            "--no-binary edgevision edgevision   # in a checkout: install . instead",
        )
    ]


def _runtimes() -> list[Check]:
    rows = []
    usable = False
    for backend in available_backends():
        usable = usable or backend.available
        status = "ok" if backend.available else "missing"
        rows.append(Check(f"runtime {backend.name}", status, backend.detail, backend.mend))
    if not usable:
        rows.append(
            Check(
                "runtimes", "problem", "no runtime is installed: no model can be run", _pip("edgevision[cpu]")
            )
        )
    onnx_runtimes = [name for name in ("onnxruntime", "onnxruntime-gpu") if _version(name)]
    if len(onnx_runtimes) > 1:
        rows.append(
            Check(
                "onnxruntime packages",
                "problem",
                "onnxruntime and onnxruntime-gpu are both installed and overwrite each other's files",
                f"{sys.executable} -m pip uninstall -y onnxruntime onnxruntime-gpu && {_pip('onnxruntime')}",
            )
        )
    return rows


def _builders() -> list[Check]:
    """What builds engines; none is needed to run an ONNX file."""
    return [
        Check(f"builder {one.name}", "ok" if one.available else "missing", one.detail, one.mend)
        for one in available_builders()
    ]


def _opencv() -> list[Check]:
    found = [
        f"{name} {_version(name)}"
        for name in (
            "opencv-python",
            "opencv-python-headless",
            "opencv-contrib-python",
            "opencv-contrib-python-headless",
        )
        if _version(name)
    ]
    names = " ".join(item.split()[0] for item in found)
    mend = f"{sys.executable} -m pip uninstall -y {names} && {_pip('edgevision[video]')}"
    try:
        cv2 = import_cv2("reading and drawing pictures")
    except EdgeVisionError as error:
        if not found:
            return [Check("opencv", "missing", str(error).partition(";")[0], _pip("edgevision[video]"))]
        return [Check("opencv", "problem", str(error), mend)]
    if len(found) > 1:
        return [
            Check(
                "opencv",
                "problem",
                f"{' and '.join(found)} share one cv2 folder and overwrite each other",
                mend,
            )
        ]
    return [Check("opencv", "ok", found[0] if found else f"OpenCV {cv2.__version__} (not from pip)")]


def _gpu() -> list[Check]:
    program = shutil.which("nvidia-smi")
    if program is None:
        return [Check("NVIDIA GPU", "missing", "no nvidia-smi on this machine; models run on the CPU")]
    query = [program, "--query-gpu=name,driver_version,memory.total", "--format=csv,noheader"]
    try:
        done = subprocess.run(query, capture_output=True, text=True, timeout=20, check=False)
    except (OSError, subprocess.SubprocessError) as error:
        return [Check("NVIDIA GPU", "problem", f"nvidia-smi failed: {error}")]
    if done.returncode != 0:
        said = (done.stdout + done.stderr).strip().splitlines()
        return [Check("NVIDIA GPU", "problem", f"nvidia-smi failed: {said[0] if said else done.returncode}")]
    return [Check("NVIDIA GPU", "ok", line.strip()) for line in done.stdout.splitlines() if line.strip()]


def _export() -> list[Check]:
    wanted = ("torch", "torchvision", "onnx", "onnxscript", "ultralytics")
    absent = [name for name in wanted if _version(name) is None]
    if absent:
        detail = f"not installed: {', '.join(absent)} (needed only to export models, on a workstation)"
        return [Check("export", "missing", detail, _pip("edgevision[export]"))]
    return [Check("export", "ok", ", ".join(f"{name} {_version(name)}" for name in wanted))]


_LOOKS: tuple[Callable[[], list[Check]], ...] = (
    _machine,
    _native,
    _runtimes,
    _builders,
    _opencv,
    _gpu,
    _export,
)
