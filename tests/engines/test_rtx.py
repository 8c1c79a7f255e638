"""Engines that TensorRT-RTX really builds, without a GPU."""

from __future__ import annotations

import hashlib
import json
import os
import subprocess
import sys
import textwrap
import threading
from pathlib import Path

import pytest

pytest.importorskip("tensorrt_rtx", reason="tensorrt_rtx is not installed")

import numpy as np
from engine_networks import conv_relu, product, quantised

import edgevision as ev
from edgevision.backends.gpu import find_gpu
from edgevision.engines import BuildOptions, ShapeRange, build_engine
from edgevision.errors import BackendError, InputError, ModelFileError, SpecError
from edgevision.spec import (
    Decoder,
    ImageInput,
    ModelSpec,
    TensorInfo,
    load_spec,
    read_engine_header,
    write_spec,
)
from edgevision.spec.plan_header import HEADER_BYTES, PlanHeader, parse_plan_header

SPEC = ModelSpec(
    task="classify",
    inputs=(ImageInput(name="images", size_hw=(16, 16), batch=None),),
    decoder=Decoder(name="scores"),
    labels=("a", "b", "c", "d"),
)


@pytest.fixture
def path(tmp_path: Path) -> Path:
    """A network of any batch with a spec."""
    write_spec(conv_relu(tmp_path / "m.onnx"), SPEC)
    return tmp_path / "m.onnx"


def test_an_engine_and_its_sidecar_say_the_same(path: Path) -> None:
    built = build_engine(path, backend="tensorrt-rtx", targets="sm86")
    assert built.path == path.with_name("m.rtx-sm86.engine")
    assert built.sidecar == path.with_name("m.rtx-sm86.engine.json")
    data = built.path.read_bytes()
    header = read_engine_header(built.path)
    assert parse_plan_header(data) == PlanHeader(len(data), built.key.backend_version)
    assert (header.plan_size, built.bytes) == (len(data), len(data))
    assert header.spec == SPEC
    assert header.key == built.key
    assert header.onnx_sha256 == hashlib.sha256(path.read_bytes()).hexdigest()
    assert header.inputs == built.inputs == (TensorInfo("images", (None, 3, 16, 16), "float32"),)
    assert header.outputs == built.outputs == (TensorInfo("y", (None, 4, 16, 16), "float32"),)
    assert built.key.backend == "tensorrt_rtx"
    assert (built.key.gpu_name, built.key.compute_capability, built.key.multiprocessors) == ("", "8.6", 0)
    assert built.key.precision == "fp32"
    assert built.key.options == {
        "tf32": True,
        "version_compatible": False,
        "profile.images": "1x3x16x16:1x3x16x16:8x3x16x16",
    }
    assert built.ranges == {"images": ShapeRange((1, 3, 16, 16), (1, 3, 16, 16), (8, 3, 16, 16))}
    assert built.warnings == ()
    assert sorted(os.listdir(path.parent)) == ["m.onnx", "m.rtx-sm86.engine", "m.rtx-sm86.engine.json"]


def test_the_same_build_gives_the_same_bytes(path: Path) -> None:
    # In processes of their own: within one, TensorRT-RTX goes on counting the names that it makes up.
    for name in ("first.engine", "again.engine"):
        command = [sys.executable, "-m", "edgevision", "build", str(path), "--target", "sm86"]
        subprocess.run([*command, "--output", str(path.with_name(name))], check=True, capture_output=True)
    assert path.with_name("first.engine").read_bytes() == path.with_name("again.engine").read_bytes()
    sidecars = [json.loads(path.with_name(f"{name}.engine.json").read_text()) for name in ("first", "again")]
    assert sidecars[0] == sidecars[1]


def test_every_target_alone_and_together(path: Path) -> None:
    import tensorrt_rtx

    targets = [name.lower() for name in tensorrt_rtx.ComputeCapability.__members__ if name.startswith("SM")]
    assert {"sm75", "sm80", "sm86", "sm89", "sm120", "sm121"} <= set(targets)
    sizes = {one: build_engine(path, targets=one).bytes for one in targets}
    together = build_engine(path, targets=["sm120", "SM80,8.6", "89"])
    assert together.path.name == "m.rtx-sm80+86+89+120.engine"
    assert together.key.compute_capability == "8.0 8.6 8.9 12.0"
    # One engine for all costs next to nothing: the GPU's own code is compiled where it runs.
    assert together.bytes < 1.05 * max(sizes.values())


def test_without_a_target_and_a_gpu_it_is_for_all_from_ampere_on(
    path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("edgevision.engines.targets.find_gpu", lambda: None)
    built = build_engine(path)
    capabilities = built.key.compute_capability.split()
    assert capabilities[:5] == ["8.0", "8.6", "8.9", "12.0", "12.1"]
    assert "7.5" not in capabilities


def test_turing_is_refused_where_it_lacks_float32_products(tmp_path: Path) -> None:
    product(tmp_path / "m.onnx")
    with pytest.raises(BackendError) as caught:
        build_engine(tmp_path / "m.onnx", targets="sm75,sm86")
    text = str(caught.value)
    assert "'product'" in text
    assert "FP32 GEMM is not supported" in text
    assert text.endswith("; leave sm75 out of the targets, or build the fp16 form")
    assert build_engine(tmp_path / "m.onnx", targets="sm86").bytes > 0


def test_the_options_reach_the_plan_and_the_key(path: Path) -> None:
    plain = build_engine(path, path.with_name("plain.engine"), targets="sm86")
    options = BuildOptions(
        workspace=64 << 20,
        tf32=False,
        version_compatible=True,
        profiles={"images": ShapeRange((2, 3, 16, 16), (4, 3, 16, 16), (16, 3, 16, 16))},
    )
    built = build_engine(path, path.with_name("other.plan"), targets="sm86", options=options)
    assert built.path.name == "other.plan"
    assert built.key.options == {
        "tf32": False,
        "version_compatible": True,
        "workspace": 64 << 20,
        "profile.images": "2x3x16x16:4x3x16x16:16x3x16x16",
    }
    assert plain.key.differences(built.key)[0].startswith("options: built with")
    assert built.path.read_bytes() != plain.path.read_bytes()


def test_the_precision_is_read_from_the_tensors(tmp_path: Path) -> None:
    half = build_engine(conv_relu(tmp_path / "a.fp32.onnx", half=True), targets="sm86")
    int8 = build_engine(quantised(tmp_path / "b.onnx", np.int8(0)), targets="sm86")
    assert (half.key.precision, int8.key.precision) == ("fp16", "int8")
    assert half.inputs[0].dtype == half.outputs[0].dtype == "float16"
    assert read_engine_header(half.path).spec is None
    with pytest.raises(SpecError, match="has no spec: it is part of a model"):
        load_spec(half.path)


@pytest.mark.skipif(find_gpu() is not None, reason="there is a GPU, and this is a test of machines without")
def test_without_a_gpu_an_engine_says_why_it_does_not_run(path: Path) -> None:
    built = build_engine(path, targets="sm86")
    with pytest.raises(BackendError, match=r"m\.rtx-sm86\.engine cannot run on 'auto': .*driver"):
        ev.load(built.path)


@pytest.mark.parametrize(
    ("changes", "message"),
    [
        (
            {"targets": "sm87"},
            "there is no target 'sm87'; the targets are sm75, sm80, sm86, sm89, sm120, sm121; Jetsons run TensorRT",
        ),
        ({"targets": ["sm86", "gpu"]}, "there is no target 'gpu'; the targets are sm75, sm80"),
        ({"backend": "trt"}, "there is no engine builder 'trt'; the builders are tensorrt, tensorrt-rtx"),
        (
            {"options": BuildOptions(optimization_level=3)},
            "TensorRT-RTX has no option optimization_level; its options are profiles, workspace, tf32, version_comp",
        ),
        ({"options": BuildOptions(timing_cache="x")}, "TensorRT-RTX has no option timing_cache"),
        ({"options": BuildOptions(timing_cache="")}, "TensorRT-RTX has no option timing_cache"),
        ({"options": BuildOptions(hardware_compatible="ampere+")}, "TensorRT-RTX has no option hardware_compatible"),
        ({"form": "fp16"}, "is no bundle, so it has no forms or parts"),
        ({"part": "decoder"}, "is no bundle, so it has no forms or parts"),
        ({"output": "m.bin"}, "the engine's name must end in .engine, .plan or .trt, got 'm.bin'"),
        (
            {"options": BuildOptions(profiles={"x": ShapeRange((1,), (1,), (1,))})},
            "the network has no input 'x'; its inputs are images",
        ),
        (
            {"options": BuildOptions(profiles={"images": ShapeRange(*[(1, 3, 32, 16)] * 3)})},
            "the profile of 'images' must have shapes of batchx3x16x16, got 1x3x32x16:1x3x32x16:1x3x32x16",
        ),
    ],
)  # fmt: skip
def test_what_the_builder_or_the_model_does_not_have_is_refused(
    changes: dict[str, object], message: str, path: Path
) -> None:
    with pytest.raises(InputError) as caught:
        build_engine(path, **{"backend": "tensorrt-rtx", "targets": "sm86", **changes})
    assert message in str(caught.value)
    assert os.listdir(path.parent) == ["m.onnx"]


def test_a_missing_output_folder_is_told_before_the_build(path: Path) -> None:
    with pytest.raises(ModelFileError, match="none does not exist; make it first"):
        build_engine(path, path.parent / "none" / "m.engine", targets="sm86")


def test_a_bad_spec_is_refused_and_an_engine_is_no_source(path: Path) -> None:
    built = build_engine(path, targets="sm86")
    with pytest.raises(ModelFileError, match=r"is an engine already; build from its \.onnx file"):
        build_engine(built.path, targets="sm86")
    data = path.read_bytes().replace(b'"classify"', b'"classifx"')
    path.write_bytes(data)
    with pytest.raises(SpecError, match="task must be one of"):
        build_engine(path, targets="sm86")


def test_a_rebuild_replaces_both_files(path: Path) -> None:
    first = build_engine(path, path.with_name("m.engine"), targets="sm86")
    again = build_engine(path, path.with_name("m.engine"), targets="sm89")
    assert first.path == again.path
    assert json.loads(again.sidecar.read_text())["key"]["compute_capability"] == "8.9"
    assert read_engine_header(again.path).key == again.key


def test_progress_rises_to_one(path: Path) -> None:
    shares: list[float] = []
    phases: set[str] = set()

    def progress(share: float, phase: str) -> None:
        shares.append(share)
        phases.add(phase)

    build_engine(path, targets="sm86", progress=progress)
    assert shares == sorted(shares)
    assert shares[0] < 0.1
    assert shares[-1] == 1.0
    assert len(set(shares)) > 20
    assert len(phases) > 3


class StopError(Exception):
    pass


def test_what_progress_raises_ends_the_build_and_reaches_the_caller(path: Path) -> None:
    calls = []

    def progress(share: float, phase: str) -> None:
        calls.append(share)
        if share > 0.2:
            raise StopError

    with pytest.raises(StopError):
        build_engine(path, targets="sm86", progress=progress)
    assert calls[-1] < 0.9
    assert os.listdir(path.parent) == ["m.onnx"]
    assert build_engine(path, targets="sm86").bytes > 0, "the next build is not disturbed"


@pytest.mark.skipif(sys.platform == "win32", reason="POSIX signals")
def test_an_interrupt_ends_the_build_and_leaves_nothing(path: Path) -> None:
    # In a process of its own. The progress function sends the signal from the middle of the build, and holds the build
    # until the main thread has seen it, as a long build would.
    script = textwrap.dedent(f"""
        import os, signal, sys, threading
        from edgevision.engines import build as module

        # A shell that puts its commands in the background hands them SIGINT ignored.
        signal.signal(signal.SIGINT, signal.default_int_handler)
        seen = threading.Event()
        sent = []

        class Monitor(module.BuildMonitor):
            def cancel(self):
                super().cancel()
                seen.set()

        module.BuildMonitor = Monitor

        def progress(share, phase):
            if share > 0.2 and not sent:
                sent.append(share)
                os.kill(os.getpid(), signal.SIGINT)
                seen.wait(60)

        try:
            module.build_engine({str(path)!r}, targets="sm86", progress=progress)
        except KeyboardInterrupt:
            sys.exit(42 if seen.is_set() else 1)
    """)
    done = subprocess.run(
        [sys.executable, "-c", script], capture_output=True, text=True, check=False, timeout=120
    )
    assert done.returncode == 42, done.stderr
    assert os.listdir(path.parent) == ["m.onnx"]


@pytest.mark.parametrize("begun", [True, False], ids=["the thread lives", "the thread never came"])
def test_an_interrupt_while_the_build_starts_ends_it_too(
    begun: bool, path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    start = threading.Thread.start

    def interrupted(thread: threading.Thread) -> None:
        if begun:
            start(thread)
        raise KeyboardInterrupt

    monkeypatch.setattr(threading.Thread, "start", interrupted)
    with pytest.raises(KeyboardInterrupt):
        build_engine(path, targets="sm86")
    for one in threading.enumerate():
        if one.name == "edgevision-build":  # it may still be on its last lines
            one.join(30)
            assert not one.is_alive()
    assert os.listdir(path.parent) == ["m.onnx"]


@pytest.mark.skipif(sys.platform == "win32", reason="POSIX signals")
def test_a_killed_build_leaves_the_old_engine_as_it_was(path: Path) -> None:
    built = build_engine(path, targets="sm86")
    before = {file: file.read_bytes() for file in path.parent.iterdir()}
    script = (
        "import os, signal; from edgevision.engines import build_engine\n"
        "def progress(share, phase): share > 0.9 and os.kill(os.getpid(), signal.SIGKILL)\n"
        f"build_engine({str(path)!r}, targets='sm86', progress=progress)"
    )
    done = subprocess.run([sys.executable, "-c", script], check=False, timeout=120)
    assert done.returncode == -9
    assert {file: file.read_bytes() for file in path.parent.iterdir()} == before
    assert read_engine_header(built.path).key == built.key


def test_builds_in_several_threads_wait_for_each_other(path: Path) -> None:
    built = []
    threads = [
        threading.Thread(target=lambda name=name: built.append(build_engine(path, targets=name)))
        for name in ("sm86", "sm89", "sm120")
    ]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert sorted(one.key.compute_capability for one in built) == ["12.0", "8.6", "8.9"]


def test_a_truncated_engine_is_refused_by_its_sidecar_and_shows_in_its_header(path: Path) -> None:
    built = build_engine(path, targets="sm86")
    data = built.path.read_bytes()
    built.path.write_bytes(data[:-100])
    with pytest.raises(ModelFileError, match=r"its sidecar m\.rtx-sm86\.engine\.json was written for one of"):
        read_engine_header(built.path)
    header = parse_plan_header(data[:HEADER_BYTES])
    assert header is not None
    assert header.size == len(data)


class FullDisk:
    """os.fsync of a disk that is full once `room` files are written."""

    def __init__(self, room: int) -> None:
        self.room = room

    def __call__(self, handle: int) -> None:
        self.room -= 1
        if self.room < 0:
            raise OSError(28, "No space left on device")


@pytest.mark.parametrize("room", [0, 1], ids=["at the sidecar", "at the plan"])
@pytest.mark.parametrize("older", [False, True], ids=["no older engine", "an older engine"])
def test_a_full_disk_leaves_everything_as_it_was(
    room: int, older: bool, path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    if older:
        build_engine(path, path.with_name("m.engine"), targets="sm89")
    before = {file: file.read_bytes() for file in path.parent.iterdir()}
    monkeypatch.setattr("edgevision.engines.output.os.fsync", FullDisk(room))
    with pytest.raises(ModelFileError, match="No space left on device"):
        build_engine(path, path.with_name("m.engine"), targets="sm86")
    assert {file: file.read_bytes() for file in path.parent.iterdir()} == before


def test_an_older_sidecar_never_lies_beside_a_newer_plan(path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    engine = path.with_name("m.engine")
    build_engine(path, engine, targets="sm89")
    replace, moved = os.replace, []

    def watch(source: str, target: str) -> None:
        moved.append((Path(target).name, engine.with_name("m.engine.json").exists()))
        replace(source, target)

    monkeypatch.setattr("edgevision.spec.files.os.replace", watch)
    build_engine(path, engine, targets="sm86")
    assert moved == [("m.engine", False), ("m.engine.json", False)]
