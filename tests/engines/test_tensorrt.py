"""The branch of TensorRT proper, against a stand-in: its builder needs a GPU."""

from __future__ import annotations

import gc
import os
import re
import sys
from pathlib import Path
from types import SimpleNamespace

import pytest
from engine_networks import conv_relu
from fake_tensorrt import CACHE_HEADER, GPU_ERROR, FakeTensorRT

from edgevision.backends.engine_fit import name_platform
from edgevision.backends.gpu import Gpu
from edgevision.engines import BuildOptions, available_builders, build_engine
from edgevision.errors import BackendError, InputError, ModelFileError
from edgevision.spec import read_engine_header

ORIN = Gpu("Orin (nvgpu)", "8.7", 8)
VERSIONS = ["10.3.0", "11.4.0.106"]


@pytest.fixture(params=VERSIONS)
def trt(
    request: pytest.FixtureRequest, monkeypatch: pytest.MonkeyPatch, tmp_path_factory: pytest.TempPathFactory
) -> FakeTensorRT:
    """The stand-in, installed, on a Jetson Orin."""
    fake = FakeTensorRT(request.param)
    monkeypatch.setitem(sys.modules, "tensorrt", fake)
    monkeypatch.setattr("edgevision.engines.build.find_gpu", lambda: ORIN)
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path_factory.mktemp("cache")))
    return fake


@pytest.fixture
def path(tmp_path: Path) -> Path:
    return conv_relu(tmp_path / "m.fp16.onnx", half=True)


def cache_file(trt: FakeTensorRT) -> Path:
    folder = Path(os.environ["XDG_CACHE_HOME"]) / "edgevision" / "timing"
    return folder / f"tensorrt-{trt.__version__}-orin-nvgpu-8sm.cache"


def test_an_engine_is_for_the_gpu_here(trt: FakeTensorRT, path: Path) -> None:
    built = build_engine(path)
    assert built.path == path.with_name("m.fp16.trt-sm87.engine")
    assert built.path.read_bytes() == trt.plan
    key = read_engine_header(built.path).key
    assert key == built.key
    assert (key.backend, key.backend_version) == ("tensorrt", trt.__version__)
    assert (key.gpu_name, key.compute_capability, key.multiprocessors) == ("Orin (nvgpu)", "8.7", 8)
    assert key.platform == name_platform()
    assert key.precision == "fp16"
    assert key.options == {
        "tf32": True,
        "version_compatible": False,
        "profile.images": "1x3x16x16:1x3x16x16:8x3x16x16",
    }
    assert trt.told("set_shape") == [("images", (1, 3, 16, 16), (1, 3, 16, 16), (8, 3, 16, 16))]
    assert built.inputs[0].dtype == "float16"
    assert built.warnings == ("warns",)


def test_networks_are_strongly_typed_in_every_version(trt: FakeTensorRT, path: Path) -> None:
    build_engine(path)
    flag = trt.NetworkDefinitionCreationFlag.STRONGLY_TYPED
    assert trt.told("create_network") == [1 << flag]
    # Should a version drop the flag, as 11 did EXPLICIT_BATCH, its networks are strongly typed without it.
    del trt.NetworkDefinitionCreationFlag
    build_engine(path)
    assert trt.told("create_network") == [1 << flag, 0]


def test_nothing_is_told_that_was_not_asked_for(trt: FakeTensorRT, path: Path) -> None:
    build_engine(path, options=BuildOptions(timing_cache=""))
    assert [name for name, _ in trt.calls] == ["create_network", "set_shape", "progress_monitor"]
    assert not cache_file(trt).exists()


def test_every_option_reaches_the_config_and_the_key(trt: FakeTensorRT, path: Path) -> None:
    options = BuildOptions(
        workspace=1 << 30,
        optimization_level=5,
        tf32=False,
        version_compatible=True,
        hardware_compatible="ampere+",
    )
    built = build_engine(path, options=options)
    assert trt.told("set_memory_pool_limit WORKSPACE") == [1 << 30]
    assert trt.told("builder_optimization_level") == [5]
    assert trt.told("clear_flag") == ["TF32"]
    # Not EXCLUDE_LEAN_RUNTIME: the plan brings the runtime that it needs.
    assert trt.told("set_flag") == ["VERSION_COMPATIBLE"]
    assert trt.told("hardware_compatibility_level") == [trt.HardwareCompatibilityLevel.AMPERE_PLUS]
    assert built.path.name == "m.fp16.trt-ampere+.engine"
    assert built.key.options == {
        "tf32": False,
        "version_compatible": True,
        "workspace": 1 << 30,
        "optimization_level": 5,
        "hardware_compatible": "ampere+",
        "profile.images": "1x3x16x16:1x3x16x16:8x3x16x16",
    }


def test_tf32_may_be_asked_for(trt: FakeTensorRT, path: Path) -> None:
    build_engine(path, options=BuildOptions(tf32=True))
    assert trt.told("set_flag") == ["TF32"]


def test_the_level_that_a_version_lacks_is_told(trt: FakeTensorRT, path: Path) -> None:
    options = BuildOptions(hardware_compatible="same-capability")
    if trt.__version__.startswith("10.3"):
        with pytest.raises(
            InputError, match=r"TensorRT 10\.3\.0 has no hardware_compatible 'same-capability'"
        ):
            build_engine(path, options=options)
    else:
        assert build_engine(path, options=options).path.name == "m.fp16.trt-sm87.engine"
        level = trt.HardwareCompatibilityLevel.SAME_COMPUTE_CAPABILITY
        assert trt.told("hardware_compatibility_level") == [level]


def test_targets_are_refused(trt: FakeTensorRT, path: Path) -> None:
    with pytest.raises(
        InputError, match="builds for the GPU that it runs on and takes no targets, got 'sm86'"
    ):
        build_engine(path, backend="tensorrt", targets="sm86")


def test_the_timing_cache_is_kept_and_given_to_the_next_build(trt: FakeTensorRT, path: Path) -> None:
    head = CACHE_HEADER + trt.__version__.encode()
    build_engine(path)
    assert trt.told("create_timing_cache") == [b""]
    assert cache_file(trt).read_bytes() == head + b"<new>"
    trt.new_entries = b"<more>"
    build_engine(path)
    assert trt.told("create_timing_cache")[1] == head + b"<new>"
    assert cache_file(trt).read_bytes() == head + b"<new><more>"
    assert sorted(os.listdir(cache_file(trt).parent)) == [
        cache_file(trt).name,
        cache_file(trt).name + ".lock",
    ]


def test_what_another_build_wrote_in_the_meantime_is_kept(trt: FakeTensorRT, path: Path) -> None:
    head = CACHE_HEADER + trt.__version__.encode()
    file = cache_file(trt)

    def progress(share: float, phase: str) -> None:
        file.write_bytes(head + b"<other>")  # as another process would, while this build runs

    build_engine(path, progress=progress)
    assert file.read_bytes() == head + b"<new><other>"


def test_a_cache_of_another_version_is_replaced(trt: FakeTensorRT, path: Path) -> None:
    file = path.with_name("own.cache")
    file.write_bytes(CACHE_HEADER + b"9.9<old>")
    build_engine(path, options=BuildOptions(timing_cache=file))
    assert file.read_bytes() == CACHE_HEADER + trt.__version__.encode() + b"<new>"


def test_a_relative_cache_home_is_ignored(
    trt: FakeTensorRT, path: Path, monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    monkeypatch.setenv("XDG_CACHE_HOME", "relative")
    monkeypatch.setenv("HOME", str(tmp_path / "home"))
    monkeypatch.setenv("USERPROFILE", str(tmp_path / "home"))
    build_engine(path)
    assert list((tmp_path / "home" / ".cache" / "edgevision" / "timing").glob("*.cache"))


def test_a_cache_that_cannot_be_used_is_told_before_the_build(trt: FakeTensorRT, path: Path) -> None:
    (path.parent / "file").write_text("")
    with pytest.raises(ModelFileError, match="cannot use the timing cache"):
        build_engine(path, options=BuildOptions(timing_cache=path.parent / "file" / "x.cache"))
    assert not trt.told("progress_monitor")


def refuse_parse(trt: FakeTensorRT, *errors: tuple[str, str, str]) -> None:
    trt.fail = "parse"
    trt.parser_errors = [
        SimpleNamespace(
            desc=lambda desc=desc: desc,
            node_name=lambda name=name: name,
            node_operator=lambda operator=operator: operator,
            node=lambda index=index: index,
        )
        for index, (name, operator, desc) in enumerate(errors)
    ]


def test_parser_errors_name_three_nodes_and_count_the_rest(trt: FakeTensorRT, path: Path) -> None:
    refuse_parse(trt, *[(f"n{i}" if i != 1 else "", "Magic", "Plugin not found") for i in range(5)])
    with pytest.raises(BackendError) as caught:
        build_engine(path)
    assert str(caught.value).startswith(
        f"TensorRT {trt.__version__} cannot take {path}: node 'n0' (Magic): Plugin"
    )
    assert "node 'number 1' (Magic)" in str(caught.value)
    assert "'n2'" in str(caught.value)
    assert "'n3'" not in str(caught.value)
    assert str(caught.value).endswith(" | and 2 more nodes")


def test_a_parser_without_errors_lets_the_logger_speak(trt: FakeTensorRT, path: Path) -> None:
    trt.fail, trt.says = "parse", ["the file is odd"]
    with pytest.raises(BackendError, match=r"cannot take .*: the file is odd$"):
        build_engine(path)
    trt.says = []
    with pytest.raises(BackendError, match=r"cannot take .*: the parser gave no reason$"):
        build_engine(path)


FAILURES = {
    "no GPU": ("builder", [], rf"gives no builder: {GPU_ERROR}; it builds only on a machine with an NVIDIA GPU"),
    "no GPU, told only": (
        "builder, told only", [], rf"gives no builder: .*{GPU_ERROR}.*; it builds only on a machine with an NVIDIA GPU"
    ),
    "shapes that do not fit": ("shape", [], r"cannot have the shapes images=1x3x16x16:1x3x16x16:8x3x16x16; give others"),
    "a profile refused": ("profile", [], r"cannot have the shapes images=1x3x16x16:1x3x16x16:8x3x16x16; give others"),
    "a layer": (
        "build",
        ["Error Code 10: Internal Error (Could not find any implementation for node conv_1.)", "later"],
        r"cannot build .*: Could not find any implementation for node conv_1 \(node '/stem/conv'\); allow more scratch",
    ),
    "memory": ("build", ["CUDA error: out of memory"], "out of memory; use a smaller batch or image"),
    "no reason": ("build", [], "cannot build .*: the builder gave no reason"),
}  # fmt: skip


@pytest.mark.parametrize(("call", "says", "message"), FAILURES.values(), ids=FAILURES.keys())
def test_a_failure_of_any_call_is_told_and_leaves_nothing(
    call: str, says: list[str], message: str, trt: FakeTensorRT, path: Path
) -> None:
    trt.fail, trt.says = call, says
    with pytest.raises((BackendError, InputError), match=message):
        build_engine(path)
    assert os.listdir(path.parent) == [path.name]
    gc.collect()
    assert not trt.freed


@pytest.mark.parametrize("plan", [b"PK\x03\x04" + bytes(99), b""], ids=["another file", "nothing"])
def test_what_is_no_plan_is_not_written(plan: bytes, trt: FakeTensorRT, path: Path) -> None:
    trt.plan = plan
    with pytest.raises(
        BackendError, match=rf"gave a plan that is not whole: it begins with {re.escape(repr(plan[:4]))}"
    ):
        build_engine(path)
    assert os.listdir(path.parent) == [path.name]


def test_a_cancelled_build_fails_with_what_cancelled_it(trt: FakeTensorRT, path: Path) -> None:
    seen = []

    def progress(share: float, phase: str) -> None:
        seen.append(share)
        if share >= 0.5:
            raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        build_engine(path, progress=progress)
    assert seen == pytest.approx([0.0, 0.1, 0.2, 0.3, 0.4, 0.5])  # tenths have no exact binary form
    assert os.listdir(path.parent) == [path.name]


def test_it_is_preferred_where_it_is_installed(trt: FakeTensorRT, path: Path) -> None:
    assert available_builders()[0].available
    assert build_engine(path).key.backend == "tensorrt"
