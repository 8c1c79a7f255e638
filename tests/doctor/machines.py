"""Machines as their files and programs show them: text as such machines have it, in a folder that stands for /."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import Any

from edgevision.backends.gpu import Gpu
from edgevision.doctor.machine import Machine

DPKG = """Package: {name}
Status: install ok installed
Priority: standard
Section: misc
Architecture: arm64
Version: {version}
Description: as dpkg lists it
 with a second line

"""

NVPMODEL = """# power model of p3767-0003
< PARAM TYPE=FILE NAME=CPU_ONLINE >
CORE_0 /sys/devices/system/cpu/cpu0/online

< POWER_MODEL ID=0 NAME=15W >
CPU_ONLINE CORE_0 1
GPU MAX_FREQ 612000000

< POWER_MODEL ID=1 NAME=25W >
GPU MAX_FREQ 918000000

< POWER_MODEL ID=2 NAME=MAXN_SUPER >
GPU MAX_FREQ -1

< PM_CONFIG DEFAULT=1 >
"""

JETSON_ORIN_NANO = {
    "etc/nv_tegra_release": (
        "# R36 (release), REVISION: 4.3, GCID: 38968081, BOARD: generic, EABI: aarch64, "
        "DATE: Wed Jan  8 01:49:37 UTC 2025\n"
        "# KERNEL_VARIANT: oot\nTARGET_USERSPACE_LIB_DIR=nvidia\n"
    ),
    "proc/device-tree/model": "NVIDIA Jetson Orin Nano Engineering Reference Developer Kit Super\0",
    "proc/driver/nvidia/version": (
        "NVRM version: NVIDIA UNIX Open Kernel Module for aarch64  540.4.0  Release Build  (buildbrain@mobile-u64)\n"
        "GCC version:  collect2: error: ld returned 1 exit status\n"
    ),
    "var/lib/nvpmodel/status": "pmode:0001 fmode:quiet\n",
    "etc/nvpmodel.conf": NVPMODEL,
    "sys/class/devfreq/17000000.gpu/cur_freq": "306000000\n",
    "sys/class/devfreq/17000000.gpu/min_freq": "306000000\n",
    "sys/class/devfreq/17000000.gpu/max_freq": "918000000\n",
    "usr/local/cuda/version.json": '{"cuda": {"name": "CUDA SDK", "version": "12.6.20240821"}}\n',
    "usr/lib/python3.10/dist-packages/tensorrt/__init__.py": "",
    "var/lib/dpkg/status": (
        DPKG.format(name="nvidia-jetpack", version="6.2+b77")
        + DPKG.format(name="libnvinfer10", version="10.3.0.30-1+cuda12.5")
        + DPKG.format(name="python3-libnvinfer", version="10.3.0.30-1+cuda12.5")
    ),
}

DESKTOP = {
    "proc/driver/nvidia/version": (
        "NVRM version: NVIDIA UNIX x86_64 Kernel Module  535.183.01  Sun May 12 19:39:15 UTC 2024\n"
        "GCC version:  gcc version 11.4.0 (Ubuntu 11.4.0-1ubuntu1~22.04)\n"
    ),
    "sys/bus/pci/devices/0000:00:1f.3/vendor": "0x8086\n",
    "sys/bus/pci/devices/0000:00:1f.3/class": "0x040300\n",
    "sys/bus/pci/devices/0000:01:00.0/vendor": "0x10de\n",
    "sys/bus/pci/devices/0000:01:00.0/class": "0x030000\n",
    "sys/bus/pci/devices/0000:01:00.1/vendor": "0x10de\n",
    "sys/bus/pci/devices/0000:01:00.1/class": "0x040300\n",
    "usr/local/cuda/version.json": '{"cuda": {"name": "CUDA SDK", "version": "12.2.20230823"}}\n',
}

SMI = "NVIDIA GeForce RTX 3060, 535.183.01, 12288 MiB, P8, 210 MHz, 2100 MHz, 170.00 W\n"

ORIN = Gpu("Orin", "8.7", 8)
RTX_3060 = Gpu("NVIDIA GeForce RTX 3060", "8.6", 28)


def make_machine(root: Path, files: dict[str, str], **changes: Any) -> Machine:
    """A machine with these files; without a GPU, Python packages and programs unless `changes` says so.

    packages: name -> version. modules: those that can be imported. smi: what nvidia-smi prints.
    """
    for name, text in files.items():
        path = root / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(text)
    packages = changes.pop("packages", {})
    modules = changes.pop("modules", ())
    smi = changes.pop("smi", None)

    def run(command: Sequence[str]) -> str | None:
        assert command[0] == "nvidia-smi"
        return smi

    facts: dict[str, Any] = {
        "gpu": None,
        "why_no_gpu": "",
        "driver_cuda": "",
        "arch": "x86_64",
        "in_environment": True,
    }
    return Machine(
        root=root,
        run=run,
        package_version=lambda name: packages.get(name, ""),
        pip_version=lambda name: packages.get(name, ""),
        can_import=lambda name: name in modules,
        **(facts | changes),
    )
