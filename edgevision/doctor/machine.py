"""What a machine's files and programs say of its GPU, driver, CUDA, TensorRT and JetPack; nothing is judged here."""

from __future__ import annotations

import json
import os
import platform
import re
import shutil
import subprocess
import sys
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from functools import cached_property
from importlib import metadata
from importlib.util import find_spec
from pathlib import Path

from edgevision.backends.gpu import Gpu, driver_cuda_version, explain_no_gpu, find_gpu

__all__ = ["GpuClocks", "Machine", "PowerMode"]

_MAX_BYTES = 8 << 20
"""dpkg's list of packages has a few MiB."""
_NVIDIA, _DISPLAY = "0x10de", "0x03"
_JETPACKS = {
    # NVIDIA's archive of Jetson Linux releases; where the meta package is not installed.
    "35.3.1": "5.1.1",
    "35.4.1": "5.1.2",
    "35.5.0": "5.1.3",
    "35.6.0": "5.1.4",
    "36.3.0": "6.0",
    "36.4.0": "6.1",
    "36.4.3": "6.2",
    "36.4.4": "6.2.1",
}


@dataclass(frozen=True, slots=True)
class PowerMode:
    """nvpmodel's mode: its number and name, and all that the module has."""

    number: int
    name: str
    names: dict[int, str]


@dataclass(frozen=True, slots=True)
class GpuClocks:
    """Of a Jetson's GPU, MHz. fixed: jetson_clocks holds it at the highest."""

    now: int
    low: int
    high: int

    @property
    def fixed(self) -> bool:
        return self.low == self.high


def _run(command: Sequence[str]) -> str | None:
    """What a program prints; None where it is not there, fails, or does not end within 20 s."""
    if shutil.which(command[0]) is None:
        return None
    try:
        done = subprocess.run(command, capture_output=True, text=True, timeout=20, check=False)
    except (OSError, subprocess.SubprocessError):
        return None
    return done.stdout if done.returncode == 0 else None


def _version(package: str) -> str:
    try:
        return metadata.version(package)
    except metadata.PackageNotFoundError:
        return ""


def _pip_version(package: str) -> str:
    """As `_version`, "" also of one that the system's package manager brought: JetPack's TensorRT has metadata, too."""
    try:
        found = metadata.distribution(package)
    except metadata.PackageNotFoundError:
        return ""
    place = Path(str(found.locate_file(""))).as_posix()
    return "" if re.search(r"/usr/lib/python3[^/]*/dist-packages$", place) else found.version


def _can_import(module: str) -> bool:
    found = find_spec(module)
    return found is not None and found.origin is not None


@dataclass(frozen=True)
class Machine:
    """The machine that this runs on; every source can be replaced for a test.

    root: of the file system. run: a program's output. gpu, why_no_gpu, driver_cuda: the driver's own words.
    package_version: of an installed Python package, "" without it. pip_version: of one that pip installed. can_import:
    whether a module is there.
    """

    root: Path = Path("/")
    run: Callable[[Sequence[str]], str | None] = _run
    gpu: Gpu | None = field(default_factory=find_gpu)
    why_no_gpu: str = field(default_factory=explain_no_gpu)
    driver_cuda: str = field(default_factory=driver_cuda_version)
    package_version: Callable[[str], str] = _version
    pip_version: Callable[[str], str] = _pip_version
    can_import: Callable[[str], bool] = _can_import
    arch: str = field(default_factory=platform.machine)
    in_environment: bool = sys.prefix != sys.base_prefix

    def read(self, path: str) -> str:
        """A file's text, "" without it."""
        try:
            with (self.root / path).open("rb") as file:
                return file.read(_MAX_BYTES).decode("utf-8", "replace").strip("\0\n ")
        except OSError:
            return ""

    # The driver and what hangs on the bus

    @cached_property
    def driver(self) -> str:
        """The kernel module's version, "" without one."""
        text = self.read("proc/driver/nvidia/version")
        match = re.search(r"Kernel Module(?: for \S+)?\s+(\d+\.[\d.]+)", text)
        return match[1] if match else ""

    @cached_property
    def cards(self) -> int:
        """NVIDIA GPUs on the PCI bus, with or without a driver."""
        devices = (self.root / "sys/bus/pci/devices").glob("*")
        folders = [f"sys/bus/pci/devices/{one.name}" for one in devices]
        return sum(
            self.read(f"{one}/vendor") == _NVIDIA and self.read(f"{one}/class").startswith(_DISPLAY)
            for one in folders
        )

    @cached_property
    def smi(self) -> tuple[dict[str, str], ...]:
        """nvidia-smi's rows: name, driver_version, memory.total, pstate, clocks.sm, clocks.max.sm, power.limit."""
        names = (
            "name",
            "driver_version",
            "memory.total",
            "pstate",
            "clocks.sm",
            "clocks.max.sm",
            "power.limit",
        )
        text = self.run(["nvidia-smi", f"--query-gpu={','.join(names)}", "--format=csv,noheader"])
        rows = [[cell.strip() for cell in line.split(",")] for line in (text or "").splitlines()]
        return tuple(dict(zip(names, row, strict=True)) for row in rows if len(row) == len(names))

    @cached_property
    def refused_nodes(self) -> tuple[str, ...]:
        """The GPU's device files that this user may not open."""
        names = ("nvidia0", "nvidiactl", "nvhost-gpu", "nvgpu/igpu0/ctrl", "nvmap")
        nodes = [self.root / "dev" / name for name in names]
        return tuple(str(one) for one in nodes if one.exists() and not os.access(one, os.R_OK | os.W_OK))

    # Jetson

    @cached_property
    def jetson_model(self) -> str:
        """ "NVIDIA Jetson Orin Nano Developer Kit", say; "" on another machine."""
        model = self.read("proc/device-tree/model")
        return model if "Jetson" in model or self.l4t else ""

    @cached_property
    def l4t(self) -> str:
        """Jetson Linux's version, "36.4.3", say."""
        match = re.search(r"R(\d+) \(release\), REVISION: ([\d.]+)", self.read("etc/nv_tegra_release"))
        return f"{match[1]}.{match[2]}" if match else ""

    @cached_property
    def jetpack(self) -> str:
        """Its version: of the meta package, else of the Jetson Linux; "" where neither tells."""
        return self.deb("nvidia-jetpack").partition("+")[0] or _JETPACKS.get(self.l4t, "")

    @cached_property
    def power_mode(self) -> PowerMode | None:
        match = re.search(r"pmode:(\d+)", self.read("var/lib/nvpmodel/status"))
        if not match:
            return None
        listed = re.findall(r"POWER_MODEL\s+ID=(\d+)\s+NAME=(\S+)", self.read("etc/nvpmodel.conf"))
        names = {int(number): name.rstrip(">") for number, name in listed}
        number = int(match[1])
        return PowerMode(number, names.get(number, ""), names)

    @cached_property
    def gpu_clocks(self) -> GpuClocks | None:
        for folder in sorted((self.root / "sys/class/devfreq").glob("*")):
            if re.search(r"gpu|ga10b|gv11b|gp10b", folder.name):
                texts = [
                    self.read(f"sys/class/devfreq/{folder.name}/{one}_freq") for one in ("cur", "min", "max")
                ]
                if all(text.isdigit() for text in texts):
                    return GpuClocks(*(int(text) // 1_000_000 for text in texts))
        return None

    # What is installed

    def deb(self, package: str) -> str:
        """The version of a system package, "" without it."""
        match = re.search(
            rf"^Package: {re.escape(package)}\n(.*?)^\s*$", self._packages, re.MULTILINE | re.DOTALL
        )
        if not match or "Status: install ok installed" not in match[1]:
            return ""
        version = re.search(r"^Version: (\S+)$", match[1], re.MULTILINE)
        return version[1] if version else ""

    @cached_property
    def _packages(self) -> str:
        return self.read("var/lib/dpkg/status") + "\n\n"

    @cached_property
    def toolkit(self) -> str:
        """The version of the CUDA toolkit in /usr/local/cuda, "" without one."""
        text = self.read("usr/local/cuda/version.json")
        try:
            return str(json.loads(text)["cuda"]["version"])
        except (ValueError, KeyError, TypeError):
            match = re.search(r"CUDA Version ([\d.]+)", self.read("usr/local/cuda/version.txt"))
            return match[1] if match else ""

    @cached_property
    def system_tensorrt(self) -> str:
        """The version of the system's TensorRT with its Python module, "" without one."""
        if not any(self.root.glob("usr/lib/python3*/dist-packages/tensorrt")):
            return ""
        for package in ("python3-libnvinfer", "libnvinfer10", "libnvinfer8"):
            version = self.deb(package).partition("-")[0]
            if version:
                return version
        return "of unknown version"
