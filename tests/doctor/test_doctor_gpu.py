"""What the doctor says of machines that are not here."""

from __future__ import annotations

import os
import platform
import sys
from pathlib import Path
from typing import Any

import pytest
from machines import DESKTOP, DPKG, JETSON_ORIN_NANO, ORIN, RTX_3060, SMI, make_machine

from edgevision.doctor.check import Check
from edgevision.doctor.gpu import examine_gpu
from edgevision.doctor.machine import Machine, PowerMode

PIP = f"{sys.executable} -m pip"
OK_JETSON = {
    "gpu": ORIN,
    "driver_cuda": "12.6",
    "arch": "aarch64",
    "modules": ("tensorrt", "edgevision._cuda"),
}
OK_DESKTOP = {"gpu": RTX_3060, "driver_cuda": "12.2", "smi": SMI, "modules": ("edgevision._cuda",)}


def findings(tmp_path: Path, files: dict[str, str], **changes: Any) -> dict[str, Check]:
    rows = examine_gpu(make_machine(tmp_path, files, **changes))
    assert len({row.name for row in rows}) == len(rows)
    assert all(row.mend for row in rows if row.status == "problem" and "is loaded, but" not in row.detail)
    return {row.name: row for row in rows}


def problems(rows: dict[str, Check]) -> dict[str, str]:
    return {row.name: row.mend for row in rows.values() if row.status == "problem"}


@pytest.fixture
def jetson_python(monkeypatch: pytest.MonkeyPatch) -> None:
    """An environment of the system's Python on a Jetson."""
    monkeypatch.setattr(platform, "machine", lambda: "aarch64")
    monkeypatch.setattr(sys, "platform", "linux")
    monkeypatch.setattr(sys, "prefix", "/home/me/app/.venv")
    monkeypatch.setattr(sys, "base_prefix", "/usr")


# Machines that work


def test_a_jetson_orin_with_jetpack_6(tmp_path: Path) -> None:
    rows = findings(tmp_path, JETSON_ORIN_NANO, **OK_JETSON)
    assert problems(rows) == {}
    assert {name: row.detail for name, row in rows.items()} == {
        "jetson": "NVIDIA Jetson Orin Nano Engineering Reference Developer Kit Super, JetPack 6.2, Jetson Linux 36.4.3",
        "power mode": "25W (1); the fastest is MAXN_SUPER: sudo nvpmodel -m 2",
        "GPU clocks": "306 to 918 MHz, now 306; for steady times hold them: sudo jetson_clocks",
        "NVIDIA GPU": "Orin, compute capability 8.7, 8 multiprocessors",
        "NVIDIA driver": "540.4.0, serves CUDA 12.6",
        "CUDA toolkit": "12.6.20240821",
        "TensorRT here": "10.3.0.30, of the system",
        "TensorRT 10.3": "gives wrong float16 results on some ViT and DINO networks (NVIDIA/TensorRT#4723); compare one "
        "with its bundle's golden frames, and where it differs run fp32: edgevision build MODEL --form fp32",
        "CUDA extension": "edgevision._cuda is built",
    }


def test_a_jetson_at_its_fastest(tmp_path: Path) -> None:
    files = JETSON_ORIN_NANO | {
        "var/lib/nvpmodel/status": "pmode:0002\n",
        "sys/class/devfreq/17000000.gpu/min_freq": "918000000\n",
    }
    rows = findings(tmp_path, files, **OK_JETSON)
    assert rows["power mode"].detail == "MAXN_SUPER (2)"
    assert rows["GPU clocks"].detail == "held at 918 MHz"


def test_a_desktop(tmp_path: Path) -> None:
    rows = findings(tmp_path, DESKTOP, **OK_DESKTOP)
    assert problems(rows) == {}
    assert rows["NVIDIA GPU"].detail == (
        "NVIDIA GeForce RTX 3060, compute capability 8.6, 28 multiprocessors, 12288 MiB"
    )
    assert rows["GPU clocks"].detail == "210 MHz of 2100 MHz, state P8, power limit 170.00 W"
    assert rows["NVIDIA driver"].detail == "535.183.01, serves CUDA 12.2"
    assert "jetson" not in rows


def test_a_machine_without_a_gpu_has_no_problem(tmp_path: Path) -> None:
    rows = findings(tmp_path, {})
    assert {name: (row.status, row.mend) for name, row in rows.items()} == {"NVIDIA GPU": ("missing", "")}


# Problems, each with its command


def test_a_jetsons_environment_that_does_not_see_tensorrt(tmp_path: Path, jetson_python: None) -> None:
    rows = findings(tmp_path, JETSON_ORIN_NANO, **(OK_JETSON | {"modules": ("edgevision._cuda",)}))
    assert rows["TensorRT here"].detail == (
        "JetPack's TensorRT 10.3.0.30 is installed, but this environment has no module named 'tensorrt'"
    )
    assert problems(rows) == {
        "TensorRT here": "sed -i 's/^include-system-site-packages.*/include-system-site-packages = true/' "
        "/home/me/app/.venv/pyvenv.cfg"
    }


def test_a_jetsons_environment_of_another_python(
    tmp_path: Path, jetson_python: None, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(sys, "base_prefix", "/home/me/.local/share/uv/python/cpython-3.12")
    rows = findings(tmp_path, JETSON_ORIN_NANO, **(OK_JETSON | {"modules": ("edgevision._cuda",)}))
    assert problems(rows) == {"TensorRT here": "/usr/bin/python3 -m venv --system-site-packages .venv"}


def test_a_jetson_without_tensorrt(tmp_path: Path, jetson_python: None) -> None:
    files = {name: text for name, text in JETSON_ORIN_NANO.items() if "tensorrt" not in name}
    rows = findings(tmp_path, files, **(OK_JETSON | {"modules": ("edgevision._cuda",)}))
    assert rows["TensorRT here"].detail.startswith(
        "JetPack's TensorRT is not installed: this environment has no module"
    )
    assert problems(rows)["TensorRT here"].startswith("sudo apt-get install python3-libnvinfer && ")


def test_tensorrt_from_pip_on_a_jetson(tmp_path: Path, jetson_python: None) -> None:
    rows = findings(tmp_path, JETSON_ORIN_NANO, **OK_JETSON, packages={"tensorrt": "11.4.0"})
    assert rows["TensorRT from pip"].detail == "tensorrt 11.4.0 does not run on Jetsons; JetPack's own does"
    assert problems(rows) == {"TensorRT from pip": f"{PIP} uninstall -y tensorrt tensorrt-cu13 tensorrt-cu12"}


def test_a_driver_older_than_the_packages(tmp_path: Path) -> None:
    packages = {"tensorrt-rtx-cu13": "1.7.1.116"}
    rows = findings(tmp_path, DESKTOP, **OK_DESKTOP, packages=packages)
    assert rows["NVIDIA driver"].detail == "535.183.01, serves CUDA 12.2; tensorrt-rtx-cu13 needs CUDA 13"
    assert problems(rows)["NVIDIA driver"] == (
        f"{PIP} uninstall -y tensorrt-rtx-cu13 && {PIP} install tensorrt-rtx-cu12   # or a newer driver: "
        "sudo apt-get install nvidia-driver-580 && sudo reboot"
    )
    newer = findings(tmp_path, DESKTOP, **(OK_DESKTOP | {"driver_cuda": "13.0"}), packages=packages)
    assert problems(newer) == {}


def test_a_card_without_a_driver(tmp_path: Path) -> None:
    files = {name: text for name, text in DESKTOP.items() if name.startswith("sys/")}
    rows = findings(tmp_path, files, why_no_gpu="there is no NVIDIA driver")
    assert rows["NVIDIA GPU"].detail == "1 on the bus, and no driver is loaded"
    assert problems(rows) == {"NVIDIA GPU": "sudo apt-get install nvidia-driver-580 && sudo reboot"}


def test_a_driver_that_does_not_start(tmp_path: Path) -> None:
    why = "the driver's library and its kernel module are of different versions, as after an upgrade; reboot"
    rows = findings(tmp_path, DESKTOP, why_no_gpu=why)
    assert rows["NVIDIA GPU"] == Check("NVIDIA GPU", "problem", f"driver 535.183.01 is loaded, but {why}")


def test_device_files_that_are_refused(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    (tmp_path / "dev").mkdir()
    (tmp_path / "dev/nvhost-gpu").write_text("")
    monkeypatch.setattr(os, "access", lambda path, mode: False)
    rows = findings(tmp_path, JETSON_ORIN_NANO, **(OK_JETSON | {"gpu": None, "why_no_gpu": "no"}))
    assert rows["NVIDIA GPU"].detail == f"this user may not open {tmp_path}/dev/nvhost-gpu"
    assert problems(rows)["NVIDIA GPU"] == "sudo usermod -aG video,render $USER   # then log out and in"


def test_a_jetson_whose_driver_is_missing(tmp_path: Path) -> None:
    files = {name: text for name, text in JETSON_ORIN_NANO.items() if not name.startswith("proc/driver")}
    rows = findings(tmp_path, files, **(OK_JETSON | {"gpu": None, "why_no_gpu": "there is no NVIDIA driver"}))
    assert problems(rows)["NVIDIA GPU"] == "sudo apt-get install nvidia-jetpack && sudo reboot"


@pytest.mark.parametrize(
    ("toolkit", "mend"),
    [
        (True, f"EDGEVISION_CUDA=ON {PIP} install --force-reinstall"),
        (
            False,
            f"sudo apt-get install cuda-toolkit-12-2 && EDGEVISION_CUDA=ON {PIP} install --force-reinstall",
        ),
    ],
)
def test_a_gpu_without_the_extension(toolkit: bool, mend: str, tmp_path: Path) -> None:
    files = {name: text for name, text in DESKTOP.items() if toolkit or "cuda" not in name}
    rows = findings(tmp_path, files, **(OK_DESKTOP | {"modules": ()}))
    assert rows["CUDA extension"].detail.startswith("edgevision._cuda is not built: engines cannot be run")
    assert ("NVIDIA's package source" in rows["CUDA extension"].detail) != toolkit
    assert problems(rows)["CUDA extension"].startswith(mend)
    assert rows["CUDA toolkit"].status == ("ok" if toolkit else "missing")


def test_a_jetson_without_the_toolkit(tmp_path: Path) -> None:
    files = {name: text for name, text in JETSON_ORIN_NANO.items() if "usr/local/cuda" not in name}
    rows = findings(tmp_path, files, **(OK_JETSON | {"modules": ("tensorrt",)}))
    assert problems(rows)["CUDA extension"].startswith("sudo apt-get install nvidia-jetpack && ")


# Reading


@pytest.mark.parametrize(
    ("place", "version"),
    [("usr/lib/python3.10/dist-packages", ""), ("home/me/.venv/lib/python3.10/site-packages", "10.3.0")],
)
def test_what_jetpack_brought_is_not_of_pip(
    place: str, version: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    folder = tmp_path / place / "tensorrt-10.3.0.dist-info"
    folder.mkdir(parents=True)
    (folder / "METADATA").write_text("Metadata-Version: 2.1\nName: tensorrt\nVersion: 10.3.0\n")
    monkeypatch.syspath_prepend(str(tmp_path / place))
    machine = Machine(root=tmp_path)
    assert machine.package_version("tensorrt") == "10.3.0"
    assert machine.pip_version("tensorrt") == version


@pytest.mark.parametrize(
    ("text", "version"),
    [
        (
            "NVRM version: NVIDIA UNIX x86_64 Kernel Module  535.183.01  Sun May 12 19:39:15 UTC 2024\n",
            "535.183.01",
        ),
        (
            "NVRM version: NVIDIA UNIX Open Kernel Module for x86_64  580.65.06  Release Build  (dvs@U)\n",
            "580.65.06",
        ),
        ("NVRM version: NVIDIA UNIX Open Kernel Module for aarch64  540.4.0  Release Build\n", "540.4.0"),
        ("something else\n", ""),
    ],
)
def test_the_drivers_version_is_read(text: str, version: str, tmp_path: Path) -> None:
    assert make_machine(tmp_path, {"proc/driver/nvidia/version": text}).driver == version


@pytest.mark.parametrize(
    ("release", "deb", "jetpack"),
    [
        ("# R36 (release), REVISION: 4.3, GCID: 1, BOARD: generic", "6.2.1+b38", "6.2.1"),
        ("# R36 (release), REVISION: 4.0, GCID: 1, BOARD: generic", "", "6.1"),
        ("# R35 (release), REVISION: 4.1, GCID: 1, BOARD: t186ref", "", "5.1.2"),
        ("# R99 (release), REVISION: 9.9, GCID: 1, BOARD: generic", "", ""),
        ("", "", ""),
    ],
)
def test_jetpack_is_the_packages_or_the_releases(
    release: str, deb: str, jetpack: str, tmp_path: Path
) -> None:
    files = {"etc/nv_tegra_release": release}
    if deb:
        files["var/lib/dpkg/status"] = DPKG.format(name="nvidia-jetpack", version=deb)
    assert make_machine(tmp_path, files).jetpack == jetpack


def test_an_unknown_jetpack_is_said_to_be_so(tmp_path: Path) -> None:
    files = {"etc/nv_tegra_release": "# R99 (release), REVISION: 9.9, GCID: 1"}
    rows = findings(tmp_path, files, gpu=ORIN, modules=("tensorrt", "edgevision._cuda"))
    assert rows["jetson"].detail == "Jetson, JetPack of unknown version, Jetson Linux 99.9.9"


def test_a_package_that_was_removed_is_not_installed(tmp_path: Path) -> None:
    text = DPKG.format(name="nvidia-jetpack", version="6.2").replace(
        "install ok installed", "deinstall ok config-files"
    )
    machine = make_machine(tmp_path, {"var/lib/dpkg/status": text})
    assert machine.deb("nvidia-jetpack") == ""


def test_the_power_mode_is_read(tmp_path: Path) -> None:
    machine = make_machine(tmp_path, JETSON_ORIN_NANO)
    assert machine.power_mode == PowerMode(1, "25W", {0: "15W", 1: "25W", 2: "MAXN_SUPER"})
    assert make_machine(tmp_path / "x", {"var/lib/nvpmodel/status": "pmode:0007"}).power_mode == PowerMode(
        7, "", {}
    )
    assert make_machine(tmp_path / "y", {}).power_mode is None


@pytest.mark.parametrize("text", ["", "No devices were found\n", "a, b\n", "[N/A]\n"])
def test_what_nvidia_smi_does_not_tell_is_left_out(text: str, tmp_path: Path) -> None:
    rows = findings(tmp_path, DESKTOP, **(OK_DESKTOP | {"smi": text}))
    assert rows["NVIDIA GPU"].detail == "NVIDIA GeForce RTX 3060, compute capability 8.6, 28 multiprocessors"
    assert "GPU clocks" not in rows


def test_a_toolkit_of_cuda_10_is_read(tmp_path: Path) -> None:
    machine = make_machine(tmp_path, {"usr/local/cuda/version.txt": "CUDA Version 10.2.300\n"})
    assert machine.toolkit == "10.2.300"
    assert make_machine(tmp_path / "x", {"usr/local/cuda/version.json": "{}"}).toolkit == ""


def test_this_machine_can_be_looked_at() -> None:
    names = {row.name for row in examine_gpu(Machine())}
    assert "NVIDIA GPU" in names
