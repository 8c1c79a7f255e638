"""Findings about a machine: Python, kernels, runtimes, libraries."""

from __future__ import annotations

import os
import platform
import shutil
import sys
import sysconfig
from collections.abc import Callable
from importlib import metadata

from edgevision import __version__
from edgevision.backends.registry import available_backends
from edgevision.bench.system import available_cpus, processor_flags, processor_name
from edgevision.doctor.check import Check
from edgevision.doctor.gpu import examine_gpu
from edgevision.doctor.machine import Machine
from edgevision.errors import EdgeVisionError
from edgevision.imageio import import_cv2
from edgevision.ops._dispatch import native, native_error

__all__ = ["examine"]


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
    return [
        Check("edgevision", "ok", f"{__version__}, Python {platform.python_version()} ({sys.executable})"),
        Check(
            "machine",
            "ok",
            f"{processor_name()}, {available_cpus()} CPUs, {platform.system()} {platform.machine()}"
            + (f", {sets}" if sets else ""),
        ),
    ]


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
    return examine_gpu(Machine())


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
    _opencv,
    _gpu,
    _export,
)
