"""Findings about the GPU: what there is, what stands in the way of using it, and the command that mends it."""

from __future__ import annotations

import sys

from edgevision.backends.trt_install import mend_tensorrt
from edgevision.doctor.check import Check
from edgevision.doctor.machine import Machine

__all__ = ["examine_gpu"]

_DRIVER = "580"
"""The first branch that serves CUDA 13."""
_INSTALL_DRIVER = f"sudo apt-get install nvidia-driver-{_DRIVER} && sudo reboot"
_BUILD_EXTENSION = (
    "EDGEVISION_CUDA=ON {python} -m pip install --force-reinstall --no-deps --no-binary edgevision edgevision   "
    "# in a checkout: install . instead"
)
_CUDA_PACKAGES = ("tensorrt-cu13", "tensorrt-rtx-cu13")
_TENSORRTS = ("tensorrt", "tensorrt-cu13", "tensorrt-cu12")


def examine_gpu(machine: Machine) -> list[Check]:
    """Every finding, most fundamental first."""
    return [
        *_jetson(machine),
        *_gpu(machine),
        *_driver(machine),
        *_toolkit(machine),
        *_tensorrt(machine),
        *_extension(machine),
    ]


def _jetson(machine: Machine) -> list[Check]:
    if not (machine.l4t or machine.jetson_model):
        return []
    jetpack = f"JetPack {machine.jetpack}" if machine.jetpack else "JetPack of unknown version"
    rows = [
        Check(
            "jetson",
            "ok",
            f"{machine.jetson_model or 'Jetson'}, {jetpack}, Jetson Linux {machine.l4t or '?'}",
        )
    ]
    mode = machine.power_mode
    if mode is not None:
        fastest = {number: name for number, name in mode.names.items() if name.startswith("MAXN")}
        detail = f"{mode.name or 'mode'} ({mode.number})"
        if fastest and mode.number not in fastest:
            number, name = max(fastest.items(), key=lambda one: len(one[1]))  # MAXN_SUPER over MAXN
            detail += f"; the fastest is {name}: sudo nvpmodel -m {number}"
        rows.append(Check("power mode", "ok", detail))
    clocks = machine.gpu_clocks
    if clocks is not None:
        held = (
            f"held at {clocks.high} MHz"
            if clocks.fixed
            else f"{clocks.low} to {clocks.high} MHz, now {clocks.now}"
        )
        advice = "" if clocks.fixed else "; for steady times hold them: sudo jetson_clocks"
        rows.append(Check("GPU clocks", "ok", held + advice))
    return rows


def _gpu(machine: Machine) -> list[Check]:
    if machine.gpu is not None:
        one = machine.gpu
        facts = [f"compute capability {one.compute_capability}", f"{one.multiprocessors} multiprocessors"]
        row = next((row for row in machine.smi if row["name"] == one.name), None)
        if row is not None and row["memory.total"][:1].isdigit():
            facts.append(row["memory.total"])
        rows = [Check("NVIDIA GPU", "ok", f"{one.name}, {', '.join(facts)}")]
        if row is not None and row["clocks.sm"][:1].isdigit() and machine.gpu_clocks is None:
            rows.append(
                Check(
                    "GPU clocks",
                    "ok",
                    f"{row['clocks.sm']} of {row['clocks.max.sm']}, state {row['pstate']}, power limit "
                    f"{row['power.limit']}",
                )
            )
        return rows
    if machine.refused_nodes:
        return [
            Check(
                "NVIDIA GPU",
                "problem",
                f"this user may not open {', '.join(machine.refused_nodes)}",
                "sudo usermod -aG video,render $USER   # then log out and in",
            )
        ]
    if machine.driver:
        return [
            Check("NVIDIA GPU", "problem", f"driver {machine.driver} is loaded, but {machine.why_no_gpu}")
        ]
    if machine.cards:
        return [
            Check(
                "NVIDIA GPU",
                "problem",
                f"{machine.cards} on the bus, and no driver is loaded",
                _INSTALL_DRIVER,
            )
        ]
    if machine.l4t:
        return [
            Check(
                "NVIDIA GPU",
                "problem",
                machine.why_no_gpu,
                "sudo apt-get install nvidia-jetpack && sudo reboot",
            )
        ]
    return [Check("NVIDIA GPU", "missing", "none on this machine; models run on the CPU")]


def _driver(machine: Machine) -> list[Check]:
    if not (machine.driver or machine.driver_cuda):
        return []
    detail = f"{machine.driver or 'of unknown version'}, serves CUDA {machine.driver_cuda or '?'}"
    newer = [name for name in _CUDA_PACKAGES if machine.package_version(name)]
    if newer and machine.driver_cuda and _major(machine.driver_cuda) < 13:
        older = " ".join(name.replace("cu13", "cu12") for name in newer)
        pip = f"{sys.executable} -m pip"
        mend = f"{pip} uninstall -y {' '.join(newer)} && {pip} install {older}"
        if not machine.l4t:
            mend += f"   # or a newer driver: {_INSTALL_DRIVER}"
        return [Check("NVIDIA driver", "problem", f"{detail}; {', '.join(newer)} needs CUDA 13", mend)]
    return [Check("NVIDIA driver", "ok", detail)]


def _toolkit(machine: Machine) -> list[Check]:
    if machine.toolkit:
        return [Check("CUDA toolkit", "ok", machine.toolkit)]
    if machine.gpu is None:
        return []
    detail = "not in /usr/local/cuda (needed only to build edgevision's CUDA extension)"
    return [Check("CUDA toolkit", "missing", detail)]


def _tensorrt(machine: Machine) -> list[Check]:
    """TensorRT of the system, and whether this Python can import it."""
    rows = []
    system = machine.system_tensorrt
    jetson = bool(machine.l4t)
    if jetson and (pip := next((name for name in _TENSORRTS if machine.pip_version(name)), "")):
        rows.append(
            Check(
                "TensorRT from pip",
                "problem",
                f"{pip} {machine.pip_version(pip)} does not run on Jetsons; JetPack's own does",
                f"{sys.executable} -m pip uninstall -y {' '.join(_TENSORRTS)}",
            )
        )
    elif jetson and not machine.can_import("tensorrt"):
        found = (
            f"JetPack's TensorRT {system} is installed, but"
            if system
            else "JetPack's TensorRT is not installed:"
        )
        where = "this environment" if machine.in_environment else sys.executable
        rows.append(
            Check(
                "TensorRT here",
                "problem",
                f"{found} {where} has no module named 'tensorrt'",
                mend_tensorrt("tensorrt", machine.root),
            )
        )
    elif system:
        rows.append(Check("TensorRT here", "ok", f"{system}, of the system"))
    if system.startswith("10.3."):
        rows.append(
            Check(
                "TensorRT 10.3",
                "ok",
                "gives wrong float16 results on some ViT and DINO networks (NVIDIA/TensorRT#4723); compare one with its "
                "bundle's golden frames, and where it differs run fp32: edgevision build MODEL --form fp32",
            )
        )
    return rows


def _extension(machine: Machine) -> list[Check]:
    if machine.can_import("edgevision._cuda"):
        return [Check("CUDA extension", "ok", "edgevision._cuda is built")]
    if machine.gpu is None:
        return []
    detail = "edgevision._cuda is not built: engines cannot be run"
    mend = _BUILD_EXTENSION.format(python=sys.executable)
    if not machine.toolkit and machine.l4t:
        mend = f"sudo apt-get install nvidia-jetpack && {mend}"
    elif not machine.toolkit:
        # Not a newer one than the driver serves: what it builds would not start.
        name = "-".join(["cuda-toolkit", *machine.driver_cuda.split(".")]).rstrip("-")
        detail += (
            "; the toolkit comes from NVIDIA's package source, developer.nvidia.com/cuda-downloads adds it"
        )
        mend = f"sudo apt-get install {name} && {mend}"
    return [Check("CUDA extension", "problem", detail, mend)]


def _major(version: str) -> int:
    return int(version.partition(".")[0])
