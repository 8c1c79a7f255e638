"""Whether an engine fits a machine, by its key alone."""

from __future__ import annotations

import dataclasses

import pytest

from edgevision.backends.engine_fit import Target, check_fit, find_differences, name_platform
from edgevision.backends.gpu import Gpu
from edgevision.errors import BackendError, EngineMismatchError
from edgevision.spec import EngineKey

ORIN_NX = Gpu("Orin (nvgpu)", "8.7", 8)
AGX_ORIN = Gpu("Orin (nvgpu)", "8.7", 16)
RTX_3060 = Gpu("NVIDIA GeForce RTX 3060", "8.6", 28)
RTX_3090 = Gpu("NVIDIA GeForce RTX 3090", "8.6", 82)
RTX_4090 = Gpu("NVIDIA GeForce RTX 4090", "8.9", 128)
TITAN = Gpu("NVIDIA TITAN RTX", "7.5", 72)

ON_ORIN = EngineKey(
    backend="tensorrt",
    backend_version="10.3.0",
    gpu_name=ORIN_NX.name,
    compute_capability="8.7",
    multiprocessors=8,
    precision="fp16",
    options={"tf32": True, "version_compatible": False, "workspace": 1 << 30},
)
AHEAD = EngineKey(
    backend="tensorrt_rtx",
    backend_version="1.7.1.116",
    compute_capability="8.6 8.9",
    options={"version_compatible": False},
)
ON_3060 = dataclasses.replace(ON_ORIN, gpu_name=RTX_3060.name, compute_capability="8.6", multiprocessors=28)


def options(key: EngineKey, **more: bool | int | str) -> EngineKey:
    return dataclasses.replace(key, options={**key.options, **more})


HERE = "linux-aarch64"


def platform(key: EngineKey, name: str) -> EngineKey:
    return dataclasses.replace(key, platform=name)


FITS = {
    "the same": (ON_ORIN, Target("tensorrt", "10.3.0", ORIN_NX)),
    "one version with the build's number": (ON_ORIN, Target("tensorrt", "10.3.0.30", ORIN_NX)),
    "a capability of several, built ahead": (AHEAD, Target("tensorrt_rtx", "1.7.1.116", RTX_4090)),
    "version-compatible, a later one": (
        options(ON_ORIN, version_compatible=True),
        Target("tensorrt", "10.16.1", ORIN_NX),
    ),
    "ampere+ on Ada": (
        options(ON_3060, hardware_compatible="ampere+"),
        Target("tensorrt", "10.3.0", RTX_4090),
    ),
    "its platform": (platform(ON_ORIN, HERE), Target("tensorrt", "10.3.0", ORIN_NX, HERE)),
    "a platform that nobody wrote down": (ON_ORIN, Target("tensorrt", "10.3.0", ORIN_NX, "windows-x86_64")),
    "TensorRT-RTX from Windows on Linux": (
        platform(AHEAD, "windows-x86_64"),
        Target("tensorrt_rtx", "1.7.1.116", RTX_4090, "linux-x86_64"),
    ),
    "same-capability on another card": (
        options(ON_3060, hardware_compatible="same-capability"),
        Target("tensorrt", "10.3.0", RTX_3090),
    ),
}


@pytest.mark.parametrize(("key", "target"), FITS.values(), ids=FITS.keys())
def test_an_engine_fits_what_it_was_built_for(key: EngineKey, target: Target) -> None:
    assert find_differences(key, target) == ()
    check_fit("m.engine", key, target)


DIFFERS = {
    "another runtime": (
        AHEAD,
        Target("tensorrt", "10.3.0", RTX_3060),
        ["it was built by TensorRT-RTX 1.7.1.116, here is TensorRT 10.3.0"],
    ),
    "an older version here": (
        ON_ORIN,
        Target("tensorrt", "10.2.0", ORIN_NX),
        ["it was built by TensorRT 10.3.0, here is 10.2.0"],
    ),
    "a later version here": (
        ON_ORIN,
        Target("tensorrt", "10.16.1", ORIN_NX),
        ["it was built by TensorRT 10.3.0, here is 10.16.1"],
    ),
    "version-compatible, an earlier one here": (
        options(ON_ORIN, version_compatible=True),
        Target("tensorrt", "10.2.9", ORIN_NX),
        ["it is version-compatible, but was built by TensorRT 10.3.0, here is 10.2.9"],
    ),
    "version-compatible, another major": (
        options(ON_ORIN, version_compatible=True),
        Target("tensorrt", "11.0.0", ORIN_NX),
        ["it is version-compatible, but was built by TensorRT 10.3.0, here is 11.0.0"],
    ),
    "a capability that none of the targets is": (
        AHEAD,
        Target("tensorrt_rtx", "1.7.1.116", TITAN),
        [
            "it was built for compute capability 8.6, 8.9, here is NVIDIA TITAN RTX (compute capability 7.5, "
            "72 multiprocessors)"
        ],
    ),
    "another GPU": (
        ON_3060,
        Target("tensorrt", "10.3.0", RTX_4090),
        [
            "it was built for NVIDIA GeForce RTX 3060 (compute capability 8.6), here is NVIDIA GeForce RTX 4090 "
            "(compute capability 8.9, 128 multiprocessors)"
        ],
    ),
    "another GPU of the same capability": (
        ON_3060,
        Target("tensorrt", "10.3.0", RTX_3090),
        ["it was built for the GPU 'NVIDIA GeForce RTX 3060', here is 'NVIDIA GeForce RTX 3090'"],
    ),
    "another Orin, which has the same name and capability": (
        ON_ORIN,
        Target("tensorrt", "10.3.0", AGX_ORIN),
        [
            "it was built for 8 multiprocessors of Orin (nvgpu), here are 16 (another module of the same name, or a "
            "power mode that switches some off)"
        ],
    ),
    "ampere+ on Turing": (
        options(ON_3060, hardware_compatible="ampere+"),
        Target("tensorrt", "10.3.0", TITAN),
        [
            "it is for GPUs of compute capability 8.0 and higher, here is NVIDIA TITAN RTX (compute capability 7.5, "
            "72 multiprocessors)"
        ],
    ),
    "ampere+ on a Jetson": (
        options(ON_3060, hardware_compatible="ampere+"),
        Target("tensorrt", "10.3.0", ORIN_NX),
        [
            "hardware-compatible engines do not run on Jetsons, here is Orin (nvgpu) (compute capability 8.7, "
            "8 multiprocessors)"
        ],
    ),
    "same-capability on another one": (
        options(ON_3060, hardware_compatible="same-capability"),
        Target("tensorrt", "10.3.0", RTX_4090),
        [
            "it was built for NVIDIA GeForce RTX 3060 (compute capability 8.6), here is NVIDIA GeForce RTX 4090 "
            "(compute capability 8.9, 128 multiprocessors)"
        ],
    ),
    "another platform": (
        platform(ON_ORIN, "linux-aarch64"),
        Target("tensorrt", "10.3.0", ORIN_NX, "linux-x86_64"),
        ["it was built on linux-aarch64, here is linux-x86_64"],
    ),
    "another platform, version-compatible and ampere+": (
        platform(options(ON_3060, version_compatible=True, hardware_compatible="ampere+"), "windows-x86_64"),
        Target("tensorrt", "10.3.0", RTX_4090, "linux-x86_64"),
        ["it was built on windows-x86_64, here is linux-x86_64"],
    ),
    "version and GPU": (
        ON_ORIN,
        Target("tensorrt", "10.16.1", AGX_ORIN),
        [
            "it was built by TensorRT 10.3.0, here is 10.16.1",
            "it was built for 8 multiprocessors of Orin (nvgpu), here are 16 (another module of the same name, or a "
            "power mode that switches some off)",
        ],
    ),
}  # fmt: skip


@pytest.mark.parametrize(("key", "target", "said"), DIFFERS.values(), ids=DIFFERS.keys())
def test_what_differs_is_said(key: EngineKey, target: Target, said: list[str]) -> None:
    assert list(find_differences(key, target)) == said
    with pytest.raises(EngineMismatchError) as caught:
        check_fit("m.engine", key, target)
    assert isinstance(caught.value, BackendError)
    assert caught.value.differences == tuple(said)
    assert str(caught.value) == (
        f"the engine m.engine does not fit: {'; '.join(said)}; build it anew from its bundle or .onnx file: "
        "ev.load(MODEL, 'cuda', build=True), or edgevision build MODEL"
    )


@pytest.mark.parametrize(
    ("system", "machine", "name"),
    [
        ("linux", "x86_64", "linux-x86_64"),
        ("linux", "aarch64", "linux-aarch64"),
        ("win32", "AMD64", "windows-x86_64"),
        ("win32", "ARM64", "windows-aarch64"),
        ("darwin", "arm64", "darwin-aarch64"),
    ],
)
def test_a_platform_has_one_name(
    system: str, machine: str, name: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("sys.platform", system)
    monkeypatch.setattr("platform.machine", lambda: machine)
    assert name_platform() == name
    assert Target("tensorrt", "10.3.0", ORIN_NX).platform == name


def test_options_that_were_asked_for_must_be_those_of_the_build() -> None:
    here = Target("tensorrt", "10.3.0", ORIN_NX)
    assert find_differences(ON_ORIN, here, {"tf32": True, "workspace": 1 << 30}) == ()
    assert find_differences(ON_ORIN, here, {"tf32": False, "optimization_level": 5}) == (
        "it was built with tf32 True, asked for is False",
        "it was built with optimization_level left to the builder, asked for is 5",
    )
