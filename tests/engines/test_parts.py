"""The small parts of a build: profiles, targets, progress, the GPU, the options."""

from __future__ import annotations

import ctypes
import platform
import sys
from pathlib import Path
from typing import Any

import pytest

from edgevision.backends.gpu import Gpu, driver_cuda_version, explain_no_gpu, find_gpu
from edgevision.backends.trt_install import mend_tensorrt
from edgevision.backends.trt_words import clean_reason
from edgevision.engines import BuildOptions, ShapeRange, available_builders, parse_profile
from edgevision.engines.builders import BUILDERS, choose_builder
from edgevision.engines.monitor import BuildMonitor
from edgevision.engines.profiles import default_range
from edgevision.engines.targets import capabilities_text, parse_targets, resolve_targets
from edgevision.errors import InputError, MissingDependencyError
from edgevision.spec import Decoder, ImageInput, ModelSpec
from edgevision.spec.plan_header import PlanHeader, check_plan, parse_plan_header

KNOWN = ("sm75", "sm80", "sm86", "sm89", "sm120")


def spec(**fields: Any) -> ModelSpec:
    return ModelSpec(task="detect", inputs=(ImageInput(**fields),), decoder=Decoder(name="yolo"))


def test_a_profile_is_read_and_written_alike() -> None:
    text = "1x3x640x640:4x3x640x640:8x3x640x640"
    name, one = parse_profile(f"images={text}")
    assert (name, str(one)) == ("images", text)
    assert one == ShapeRange((1, 3, 640, 640), (4, 3, 640, 640), (8, 3, 640, 640))
    assert parse_profile("a=b=5") == ("a=b", ShapeRange((5,), (5,), (5,)))


@pytest.mark.parametrize(
    "text", ["images", "=1x3", "images=", "images=1x3:2x3", "images=1x-3", "images=1:2:3:4", "images=1xx3"]
)
def test_another_text_is_no_profile(text: str) -> None:
    with pytest.raises(
        InputError, match=r"a profile must be INPUT=LEAST:BEST:GREATEST, e\.g\. images=1x3x640x640"
    ):
        parse_profile(text)


@pytest.mark.parametrize(
    "shapes",
    [
        pytest.param(((1, 3), (1, 3), (1,)), id="another number of dimensions"),
        pytest.param(((2,), (1,), (3,)), id="best below least"),
        pytest.param(((1,), (3,), (2,)), id="best above greatest"),
        pytest.param(((0,), (1,), (1,)), id="nothing"),
    ],
)
def test_the_shapes_of_a_profile_are_in_order(shapes: tuple[Any, Any, Any]) -> None:
    with pytest.raises(InputError, match="a profile's three shapes must have as many dimensions"):
        ShapeRange(*shapes)


ANY = -1
# Each case: the input's name, its dimensions, the spec, the profile that they suggest.
DEFAULTS: dict[str, tuple[str, list[tuple[int, str]], ModelSpec | None, str]] = {
    "any batch": (
        "images", [(ANY, "N"), (3, ""), (64, ""), (64, "")], spec(batch=None, size_hw=(64, 64)),
        "1x3x64x64:1x3x64x64:8x3x64x64",
    ),
    "the spec's own batch": (
        "images", [(ANY, "what"), (3, ""), (64, ""), (64, "")], spec(batch=4, size_hw=(64, 64)),
        "4x3x64x64:4x3x64x64:4x3x64x64",
    ),
    "any size: the spec's": (
        "images", [(1, ""), (3, ""), (ANY, "h"), (ANY, "w")], spec(size_hw=(48, 64)), "1x3x48x64:1x3x48x64:1x3x48x64"
    ),
    "any size up to the spec's": (
        "images", [(1, ""), (3, ""), (ANY, "h"), (ANY, "w")], spec(size_hw=(384, 640), multiple=32),
        "1x3x32x32:1x3x384x640:1x3x384x640",
    ),
    "channels last": (
        "images", [(1, ""), (ANY, "h"), (ANY, "w"), (3, "")], spec(size_hw=(48, 64), layout="nhwc"),
        "1x48x64x3:1x48x64x3:1x48x64x3",
    ),
    "a decoder's prompts": ("points", [(ANY, "batch"), (ANY, "num_points"), (2, "")], None, "1x1x2:1x1x2:8x16x2"),
    "a text tower's batch": ("tokens", [(ANY, "texts"), (77, "")], None, "1x77:1x77:16x77"),
}  # fmt: skip


@pytest.mark.parametrize(("name", "dimensions", "model", "expected"), DEFAULTS.values(), ids=DEFAULTS.keys())
def test_the_spec_and_the_symbols_suggest_a_profile(
    name: str, dimensions: list[tuple[int, str]], model: ModelSpec | None, expected: str
) -> None:
    assert str(default_range(name, dimensions, model)) == expected


def test_a_symbol_that_tells_nothing_asks_for_a_profile() -> None:
    with pytest.raises(
        InputError, match=r"'x' is 1x\?xs0, and the length of the 2th, s0 is known at run time only"
    ):
        default_range("x", [(1, ""), (ANY, ""), (ANY, "s0")], None)


@pytest.mark.parametrize(
    ("given", "expected"),
    [
        ("sm86", ("sm86",)),
        ("SM_86,8.9 , 120", ("sm86", "sm89", "sm120")),
        (["12.0", "sm80"], ("sm80", "sm120")),
        ("sm86,86,8.6", ("sm86",)),
        ("", ()),
    ],
)
def test_targets_are_read_in_every_usual_spelling(given: Any, expected: tuple[str, ...]) -> None:
    assert parse_targets(given, KNOWN) == expected


@pytest.mark.parametrize(
    ("word", "hint"),
    [
        ("sm87", "; Jetsons run TensorRT"),
        ("9.0", "; data-centre GPUs run TensorRT"),
        ("rtx", ""),
        ("sm8.6.1", ""),
    ],
)
def test_an_unknown_target_lists_the_known_ones(word: str, hint: str) -> None:
    with pytest.raises(InputError) as caught:
        parse_targets(word, KNOWN)
    assert str(caught.value).startswith(
        f"there is no target {word!r}; the targets are sm75, sm80, sm86, sm89, sm120{hint}"
    )


def test_without_a_target_it_is_the_gpu_here(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("edgevision.engines.targets.find_gpu", lambda: Gpu("RTX 4090", "8.9", 128))
    assert resolve_targets((), KNOWN) == ("sm89",)
    assert resolve_targets("sm86", KNOWN) == ("sm86",)
    monkeypatch.setattr("edgevision.engines.targets.find_gpu", lambda: Gpu("H100", "9.0", 132))
    with pytest.raises(
        InputError, match=r"\(H100, sm90\) is no target of this builder; name some: sm75, sm80"
    ):
        resolve_targets((), KNOWN)
    monkeypatch.setattr("edgevision.engines.targets.find_gpu", lambda: None)
    assert resolve_targets((), KNOWN) == ("sm80", "sm86", "sm89", "sm120")


def test_capabilities_are_written_as_nvidia_does() -> None:
    assert capabilities_text(("sm75", "sm86", "sm120")) == "7.5 8.6 12.0"


def test_nested_phases_make_one_rising_share() -> None:
    told: list[tuple[float, str]] = []
    monitor = BuildMonitor(lambda share, phase: told.append((share, phase)))
    monitor.phase_start("build", None, 2)
    assert monitor.step_complete("build", 0)
    monitor.phase_start("optimise", "build", 2)
    monitor.phase_start("time", "optimise", 4)
    monitor.step_complete("time", 0)
    monitor.phase_finish("time")
    monitor.step_complete("optimise", 0)
    monitor.phase_finish("optimise")
    monitor.step_complete("build", 1)
    monitor.phase_finish("build")
    # 1/2 + 1/2 * (0/2 + 1/2 * 1/4) = 0.5625: the parts are powers of two, so the sums are exact.
    assert told == [
        (0.0, "build"),
        (0.5, "build"),
        (0.5, "optimise"),
        (0.5, "time"),
        (0.5625, "time"),
        (0.75, "optimise"),
        (1.0, "build"),
        (1.0, "build"),
    ]


def test_a_second_tree_does_not_take_the_share_back() -> None:
    told: list[float] = []
    monitor = BuildMonitor(lambda share, phase: told.append(share))
    for name in ("first", "second"):
        monitor.phase_start(name, None, 1)
        monitor.step_complete(name, 0)
        monitor.phase_finish(name)
    assert told == sorted(told)


def test_odd_phases_are_survived() -> None:
    monitor = BuildMonitor()
    assert monitor.step_complete("never started", 3)
    monitor.phase_finish("never started")
    monitor.phase_start("no steps", "gone", 0)
    monitor.phase_start("its own parent", "its own parent", 1)
    assert monitor.step_complete("its own parent", 0)
    monitor.cancel()
    assert not monitor.step_complete("no steps", 0)


class FakeDriver:
    """libcuda's calls, of an RTX 3060; `count` GPUs."""

    def __init__(self, count: int = 1, status: int = 0, version: int = 12060) -> None:
        self.count, self.status, self.version = count, status, version

    def cuInit(self, flags: int) -> int:  # noqa: N802
        return self.status

    def cuDriverGetVersion(self, number: Any) -> int:  # noqa: N802
        number._obj.value = self.version
        return 0

    def cuDeviceGetCount(self, count: Any) -> int:  # noqa: N802
        count._obj.value = self.count
        return 0

    def cuDeviceGet(self, device: Any, index: int) -> int:  # noqa: N802
        return 0 if index < self.count else 101

    def cuDeviceGetName(self, buffer: Any, length: int, device: Any) -> int:  # noqa: N802
        buffer.value = b"NVIDIA GeForce RTX 3060"
        assert length == len(buffer)
        return 0

    def cuDeviceGetAttribute(self, value: Any, attribute: int, device: Any) -> int:  # noqa: N802
        value._obj.value = {16: 28, 75: 8, 76: 6}[attribute]
        assert isinstance(device, ctypes.c_int)
        return 0


def test_the_driver_tells_the_gpu() -> None:
    assert find_gpu(FakeDriver()) == Gpu("NVIDIA GeForce RTX 3060", "8.6", 28)  # type: ignore[arg-type]
    assert find_gpu(FakeDriver(count=0)) is None  # type: ignore[arg-type]
    assert find_gpu(FakeDriver(status=100)) is None  # type: ignore[arg-type]


def test_without_a_driver_there_is_no_gpu(monkeypatch: pytest.MonkeyPatch) -> None:
    def missing(name: str) -> None:
        raise OSError(name)

    monkeypatch.setattr(ctypes, "CDLL", missing)
    assert find_gpu() is None
    assert driver_cuda_version() == ""
    assert explain_no_gpu().startswith(
        "there is no NVIDIA driver (libcuda.so.1 is not found); install one: sudo"
    )


@pytest.mark.parametrize(
    ("driver", "index", "said"),
    [
        pytest.param(FakeDriver(), 0, "", id="there is one"),
        pytest.param(FakeDriver(2), 1, "", id="there is a second"),
        pytest.param(FakeDriver(2), 2, "there is no GPU 2; there are 2, counted from 0", id="no third"),
        pytest.param(FakeDriver(0), 0, "the driver sees no GPU: nvidia-smi lists them", id="none"),
        pytest.param(FakeDriver(status=100), 0, "the driver sees no GPU: nvidia-smi lists them", id="hidden"),
        pytest.param(FakeDriver(status=34), 0, "the toolkit's stub", id="stub library"),
        pytest.param(
            FakeDriver(status=803), 0, "different versions, as after an upgrade; reboot", id="upgraded"
        ),
        pytest.param(
            FakeDriver(status=999), 0, "does not start (CUDA error 999); after suspend", id="unknown"
        ),
    ],
)
def test_why_there_is_no_gpu_is_said(driver: FakeDriver, index: int, said: str) -> None:
    told = explain_no_gpu(driver, index)  # type: ignore[arg-type]
    assert (said in told) if said else told == ""
    assert (find_gpu(driver, index) is None) == bool(said)  # type: ignore[arg-type]


@pytest.mark.parametrize(("number", "version"), [(12060, "12.6"), (13020, "13.2"), (11080, "11.8"), (0, "")])
def test_the_driver_tells_which_cuda_it_runs(number: int, version: str) -> None:
    assert driver_cuda_version(FakeDriver(version=number)) == version  # type: ignore[arg-type]


@pytest.mark.parametrize(
    ("fields", "message"),
    [
        ({"workspace": 1000}, "workspace must be bytes, at least 1 MiB (1048576), got 1000"),
        ({"workspace": True}, "workspace must be bytes"),
        ({"optimization_level": 6}, "optimization_level must be an integer 0-5, got 6"),
        ({"optimization_level": 2.0}, "optimization_level must be an integer 0-5, got 2.0"),
        ({"tf32": 1}, "tf32 must be True or False, got 1"),
        ({"version_compatible": None}, "version_compatible must be True or False, got None"),
        ({"hardware_compatible": "all"}, "hardware_compatible must be one of ampere+, same-capability or None, got 'all'"),
        ({"profiles": {"x": "1x3"}}, "profiles must map input names to ShapeRange, got {'x': '1x3'}"),
        ({"profiles": []}, "profiles must map input names to ShapeRange, got []"),
    ],
)  # fmt: skip
def test_options_out_of_range_are_refused(fields: dict[str, Any], message: str) -> None:
    with pytest.raises(InputError) as caught:
        BuildOptions(**fields)
    assert str(caught.value).startswith(message)


def test_every_option_is_some_builders_and_none_is_unknown() -> None:
    offered = {name for builder in BUILDERS.values() for name in builder.options}
    assert offered == set(BuildOptions.__slots__)


@pytest.mark.parametrize("name", BUILDERS)
def test_a_missing_builder_says_what_installs_it(name: str, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("importlib.util.find_spec", lambda module: None)
    monkeypatch.setattr(platform, "machine", lambda: "x86_64")
    status = {one.name: one for one in available_builders()}[name]
    assert not status.available
    assert status.mend == f"pip install 'edgevision[{name}]'"
    with pytest.raises(
        MissingDependencyError, match=r"needs tensorrt_rtx, .*; run: pip install 'edgevision\[tensorrt-rtx\]'"
    ):
        choose_builder(None)


def test_on_a_jetson_pip_is_not_recommended(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("importlib.util.find_spec", lambda module: None)
    monkeypatch.setattr(platform, "machine", lambda: "aarch64")
    monkeypatch.setattr(sys, "platform", "linux")
    tensorrt, rtx = available_builders()
    assert tensorrt.mend.startswith("sudo apt-get install python3-libnvinfer")
    assert rtx.mend == "", "TensorRT-RTX is not made for it"
    with pytest.raises(
        MissingDependencyError, match="which is not installed; it is not made for this system"
    ):
        choose_builder(None, targets=True)


INSTALL = "sudo apt-get install python3-libnvinfer"
NEW_ENVIRONMENT = "/usr/bin/python3 -m venv --system-site-packages .venv"


@pytest.mark.parametrize(
    ("machine", "base", "installed", "mend"),
    [
        pytest.param("aarch64", None, False, INSTALL, id="the system's Python, nothing installed"),
        pytest.param("aarch64", "/usr", False, f"{INSTALL} && {NEW_ENVIRONMENT}", id="environment, nothing"),
        pytest.param(
            "aarch64",
            "/usr",
            True,
            "sed -i 's/^include-system-site-packages.*/include-system-site-packages = true/' /home/me/venv/pyvenv.cfg",
            id="environment without the system's packages",
        ),
        pytest.param("aarch64", "/opt/conda", True, NEW_ENVIRONMENT, id="environment of another Python"),
        pytest.param("aarch64", None, True, NEW_ENVIRONMENT, id="another Python"),
        pytest.param("x86_64", "/usr", True, "pip install 'edgevision[tensorrt]'", id="no Jetson"),
    ],
)
def test_the_command_that_makes_tensorrt_importable(
    machine: str,
    base: str | None,
    installed: bool,
    mend: str,
    monkeypatch: pytest.MonkeyPatch,
    tmp_path: Path,
) -> None:
    monkeypatch.setattr(platform, "machine", lambda: machine)
    monkeypatch.setattr(sys, "platform", "linux")
    monkeypatch.setattr(sys, "prefix", "/home/me/venv" if base else "/opt/python")
    monkeypatch.setattr(sys, "base_prefix", base or "/opt/python")
    if installed:
        (tmp_path / "usr/lib/python3.10/dist-packages/tensorrt").mkdir(parents=True)
    assert mend_tensorrt("tensorrt", tmp_path) == mend


HEAD = (
    b"vtrt"
    + bytes(4)
    + (2).to_bytes(8, "little")
    + (40).to_bytes(8, "little")
    + bytes([1, 7, 1, 116])
    + b"vtrt"
)


def test_a_plans_header_tells_version_and_length() -> None:
    plan = HEAD + bytes(8)
    assert parse_plan_header(plan) == PlanHeader(40, "1.7.1.116")
    assert check_plan(plan, "tensorrt_rtx", "1.7.1.116") == ""
    assert check_plan(plan[:-1], "tensorrt_rtx", "1.7.1.116") == "it is 39 bytes and says that it has 40"
    assert check_plan(plan[:-1], "tensorrt_rtx", "2.0.0.9") == "", (
        "another version may mean other things by it"
    )


@pytest.mark.parametrize("data", [b"", HEAD[:-1], b"ftrt" + HEAD[4:], HEAD[:8] + b"\x03" + HEAD[9:]])
def test_another_layout_is_not_read(data: bytes) -> None:
    assert parse_plan_header(data) is None


def test_a_long_reason_is_cut() -> None:
    assert clean_reason("word " * 100) == ("word " * 100)[:297] + "..."
    assert clean_reason("  a \n b.  ") == "a b"
