"""`edgevision.load` with engines: found, refused, built; on stand-ins for TensorRT and CUDA that compute."""

from __future__ import annotations

import os
import shutil
import sys
import warnings
from collections.abc import Iterator
from pathlib import Path

import numpy as np
import pytest
from cuda_modules import emulated_or_skip
from engine_networks import FLOAT, network, node
from fake_cuda import FakeCuda
from late_cuda import LateCuda
from trt_bench import Machine

import edgevision as ev
from edgevision.backends.gpu import Gpu, find_gpu
from edgevision.cli.main import main
from edgevision.engines import BuildOptions, ShapeRange, build_engine, build_engines
from edgevision.engines.choose import choose_engine
from edgevision.errors import (
    BackendError,
    EdgeVisionWarning,
    EngineMismatchError,
    InputError,
    ModelFileError,
)
from edgevision.spec import Decoder, ImageInput, ModelSpec, write_spec
from edgevision.spec.bundle import describe_file, write_manifest

SPEC = ModelSpec(
    task="classify",
    inputs=(ImageInput(name="images", size_hw=(4, 4), resize="stretch", batch=None),),
    decoder=Decoder(name="scores"),
    labels=("red", "green", "blue"),
)
RUNTIMES = ("onnxruntime", "tensorrt", "tensorrt_rtx")
FRAME = np.random.default_rng(5).integers(0, 256, (8, 8, 3), np.uint8)
RTX_3090 = Gpu("NVIDIA GeForce RTX 3090", "8.6", 82)


def write_network(path: Path, bias: float) -> Path:
    """Scores (N, 3): the mean of each channel plus `bias`."""
    network(
        path,
        [
            node("ReduceMean", ["images", "axes"], ["means"], keepdims=0),
            node("Add", ["means", "bias"], ["scores"]),
        ],
        [("images", FLOAT, ["batch", 3, 4, 4])],
        [("scores", FLOAT, ["batch", 3])],
        {"axes": np.array([2, 3], np.int64), "bias": np.array([bias], np.float32)},
    )
    write_spec(path, SPEC)
    return path


@pytest.fixture
def machine(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> Machine:
    pytest.importorskip("onnxruntime", reason="onnxruntime is not installed")
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path / "cache"))
    # The other runtime of engines is not there.
    monkeypatch.setitem(sys.modules, "tensorrt_rtx", None)
    monkeypatch.setattr("edgevision.engine_loading.installed_backends", lambda: ("onnxruntime", "tensorrt"))
    return Machine(monkeypatch, tmp_path, "10.3.0", integrated=False)


@pytest.fixture
def machine_with_kernels(machine: Machine) -> Machine:
    """The same, on which models prepare frames and decode results, too."""
    machine.cuda = machine.trt.cuda = LateCuda(emulated_or_skip())
    return machine


@pytest.fixture
def bundle(tmp_path: Path) -> Path:
    """Two forms, told apart by their scores: 1 is added in fp32, 2 in fp16."""
    folder = tmp_path / "b"
    folder.mkdir()
    write_network(folder / "model.onnx", 1.0)
    write_network(folder / "model.fp16.onnx", 2.0)
    write_manifest(
        folder,
        [
            describe_file(folder, "model.onnx", "model", "fp32", RUNTIMES),
            describe_file(folder, "model.fp16.onnx", "model", "fp16", RUNTIMES),
        ],
    )
    return folder


@pytest.fixture(autouse=True)
def strict_warnings() -> Iterator[None]:
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        yield


def builds(machine: Machine) -> int:
    return len(machine.trt.told("create_network"))


def scores(model: ev.Model) -> np.ndarray:
    return model.session.run({"images": np.zeros((1, 3, 4, 4), np.float32)})["scores"][0]


def cached(tmp_path: Path) -> list[str]:
    folder = tmp_path / "cache" / "edgevision" / "engines"
    return sorted(path.name for path in folder.glob("*.engine")) if folder.is_dir() else []


# Built


def test_an_engine_is_built_where_it_is_allowed_and_only_once(
    machine_with_kernels: Machine, bundle: Path, tmp_path: Path
) -> None:
    told: list[float] = []
    with ev.load(bundle, "cuda", build=True, progress=lambda share, note: told.append(share)) as model:
        assert (model.device, model.form) == (
            "cuda:0",
            "fp32",
        )  # what the weights are, not what the file is called
        assert model.session.runtime == "TensorRT 10.3.0"
        assert (scores(model) == 2).all()
        frame = list(model(FRAME).top(3))
        # And never for a frame.
        for size in (4, 9, 640):
            model(np.zeros((size, size, 3), np.uint8))
        assert builds(machine_with_kernels) == 1
    assert told[-1] == 1.0
    with ev.load(bundle, "cpu", form="fp16") as reference:
        assert frame == list(reference(FRAME).top(3))
    for device in ("cuda", "auto", "cuda:0"):
        with ev.load(bundle, device) as again:
            assert again.device == "cuda:0"
    assert builds(machine_with_kernels) == 1
    assert len(cached(tmp_path)) == 1
    assert sorted(os.listdir(bundle)) == ["bundle.json", "model.fp16.onnx", "model.onnx"]


def test_batches_go_to_the_engine_in_runs_that_it_takes(machine_with_kernels: Machine, bundle: Path) -> None:
    frames = [np.full((4, 4, 3), value, np.uint8) for value in range(21)]
    with ev.load(bundle, "cuda", build=True) as model, ev.load(bundle, "cpu", form="fp16") as reference:
        got, expected = model(frames), reference(frames)
    assert [list(one) for one in got] == [list(one) for one in expected]


def test_the_form_is_chosen(machine: Machine, bundle: Path) -> None:
    with ev.load(bundle, "cuda", form="fp32", build=True) as model:
        assert (scores(model) == 1).all()
    with pytest.raises(InputError, match="has no form 'int8'"):
        ev.load(bundle, "cuda", form="int8", build=True)


def test_a_lone_network_is_built_too(machine: Machine, tmp_path: Path) -> None:
    path = write_network(tmp_path / "m.onnx", 3.0)
    with pytest.raises(
        BackendError, match=r"m\.onnx has no engine for TensorRT 10\.3\.0 on NVIDIA .*build=True"
    ):
        ev.load(path, backend="tensorrt")
    with ev.load(path, backend="tensorrt", build=True) as model:
        assert (scores(model) == 3).all()
    with ev.load(path, backend="tensorrt") as model:
        assert (scores(model) == 3).all()
    write_network(path, 4.0)
    with pytest.raises(BackendError, match="has no engine for"):
        ev.load(path, backend="tensorrt")
    with ev.load(path, backend="tensorrt", build=True) as model:
        assert (scores(model) == 4).all()


def test_options_are_those_of_the_build(machine: Machine, bundle: Path, tmp_path: Path) -> None:
    build_engine(bundle, form="fp16")
    plain = BuildOptions()
    with ev.load(bundle, "cuda", build=plain) as model:
        assert model.device == "cuda:0"
    assert cached(tmp_path) == []
    exact = BuildOptions(
        tf32=False, profiles={"images": ShapeRange((1, 3, 4, 4), (2, 3, 4, 4), (2, 3, 4, 4))}
    )
    with ev.load(bundle, "cuda", build=exact) as model:
        assert model.session.input_buffer("images", (2, 3, 4, 4)).shape == (2, 3, 4, 4)
        with pytest.raises(InputError, match="was built for input 'images' of 1-2x3x4x4, got 3x3x4x4"):
            model.session.input_buffer("images", (3, 3, 4, 4))
    assert len(cached(tmp_path)) == 1
    assert builds(machine) == 2


def test_a_build_that_fails_is_told(machine: Machine, bundle: Path, tmp_path: Path) -> None:
    machine.trt.fail, machine.trt.says = "build", ["Error Code 2: OutOfMemory (out of memory)"]
    for device in ("cuda", "auto"):
        with pytest.raises(BackendError, match=r"cannot build .*model\.fp16\.onnx: .*out of memory"):
            ev.load(bundle, device, build=True)
    assert cached(tmp_path) == []


@pytest.mark.parametrize("build", ["yes", 1, None])
def test_what_is_no_permission_is_refused(build: object, machine: Machine, bundle: Path) -> None:
    with pytest.raises(InputError, match="build must be True, False or BuildOptions, got"):
        ev.load(bundle, "cuda", build=build)  # type: ignore[arg-type]


# Found


def test_the_bundles_engine_is_taken_where_it_fits(machine: Machine, bundle: Path, tmp_path: Path) -> None:
    build_engine(bundle, form="fp32")
    for arguments in ({}, {"device": "cuda"}, {"backend": "tensorrt"}, {"build": True}):
        with ev.load(bundle, **arguments) as model:
            assert (model.device, model.form) == ("cuda:0", "fp32")
            assert (scores(model) == 1).all()
    build_engine(bundle, form="fp16")
    with ev.load(bundle) as model:  # fp16 is the faster one
        assert (model.form, scores(model)[0]) == ("fp16", 2)
    with ev.load(bundle, form="fp32") as model:
        assert (model.form, scores(model)[0]) == ("fp32", 1)
    assert cached(tmp_path) == []
    assert builds(machine) == 2


def test_options_of_another_runtime_choose_that_one(machine: Machine, bundle: Path) -> None:
    build_engine(bundle, form="fp16")
    with ev.load(bundle, threads=1) as model:
        assert model.device == "cpu"
    with ev.load(bundle, memory="mapped") as model:
        assert model.device == "cuda:0"
    with ev.load(bundle, "cpu") as model:
        assert model.device == "cpu"


def test_an_engine_may_be_loaded_by_its_path(machine: Machine, bundle: Path) -> None:
    path = build_engine(bundle, form="fp16").path
    with ev.load(path) as model:
        assert (scores(model) == 2).all()
    with pytest.raises(InputError, match="form='fp16' chooses among the forms of a bundle"):
        ev.load(path, form="fp16")
    with pytest.raises(BackendError, match=r"engines run on a GPU; for the processor load the .onnx file"):
        ev.load(path, "cpu")
    with pytest.raises(ModelFileError, match="is an engine, which onnxruntime does not run"):
        ev.load(path, backend="onnxruntime")


# Refused


def test_an_engine_of_another_gpu_is_refused_and_built_anew_where_allowed(
    machine: Machine, bundle: Path, tmp_path: Path
) -> None:
    path = build_engine(bundle, form="fp16").path
    before = path.read_bytes()
    machine.gpu = RTX_3090
    said = r"model\.fp16\.trt-sm86\.engine does not fit: it was built for the GPU 'NVIDIA GeForce RTX 3060', here is"
    for arguments in ({"backend": "tensorrt"}, {"path": path}, {"path": path, "backend": "tensorrt"}):
        with pytest.raises(EngineMismatchError, match=said):
            ev.load(**({"path": bundle} | arguments))
    assert machine.trt.told("deserialize") == []
    # Without a choice the processor takes it, and that is said.
    with pytest.warns(EdgeVisionWarning, match=f"{said}.*until then the model runs without it"):
        model = ev.load(bundle)
    assert model.device == "cpu"
    for arguments in ({"path": path, "build": True}, {"build": True}):
        with ev.load(**({"path": bundle, "device": "cuda"} | arguments)) as model:
            assert (model.device, scores(model)[0]) == ("cuda:0", 2)
    assert builds(machine) == 2
    assert len(cached(tmp_path)) == 1
    assert path.read_bytes() == before, "the bundle is left as it was"


def test_an_engine_of_an_older_network_is_refused(machine: Machine, bundle: Path) -> None:
    build_engine(bundle, form="fp16")
    write_network(bundle / "model.fp16.onnx", 7.0)
    with pytest.raises(
        EngineMismatchError, match=r"it was built from another model\.fp16\.onnx than lies beside it"
    ):
        choose_engine(bundle / "model.fp16.onnx", backend="tensorrt")


def test_a_truncated_engine_is_refused_and_built_anew_where_allowed(machine: Machine, tmp_path: Path) -> None:
    onnx = write_network(tmp_path / "m.onnx", 1.0)
    path = build_engine(onnx).path
    path.write_bytes(path.read_bytes()[:-5])
    with pytest.raises(ModelFileError, match="the engine was truncated or built again by another tool"):
        ev.load(path)
    with ev.load(path, build=True) as model:
        assert (scores(model) == 1).all()


def test_without_its_network_nothing_can_be_built(machine: Machine, bundle: Path, tmp_path: Path) -> None:
    path = build_engine(bundle, form="fp16").path
    alone = tmp_path / "alone"
    alone.mkdir()
    for file in (path, path.with_name(path.name + ".json")):
        shutil.copy(file, alone)
    lone = alone / path.name
    with ev.load(lone) as model:
        assert (scores(model) == 2).all()
    machine.gpu = RTX_3090
    with pytest.raises(EngineMismatchError, match="does not fit: it was built for the GPU"):
        ev.load(lone)
    with pytest.raises(ModelFileError, match=r"has no \.onnx file beside it to build a fitting engine from"):
        ev.load(lone, build=True)


def test_without_a_gpu_nothing_is_built_and_it_says_why(
    machine: Machine, bundle: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    machine.gpu = None
    monkeypatch.setattr("edgevision.engines.choose.explain_no_gpu", lambda index: "there is no NVIDIA driver")
    for arguments in ({"backend": "tensorrt"}, {"device": "cuda"}, {"device": "cuda", "build": True}):
        with pytest.raises(BackendError, match=r"b cannot run on '(auto|cuda)': there is no NVIDIA driver"):
            ev.load(bundle, **arguments)
    with ev.load(bundle, build=True) as model:
        assert model.device == "cpu"
    assert builds(machine) == 0


def test_tensorrt_builds_on_the_first_gpu_alone(
    machine: Machine, bundle: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    machine.cuda.devices = 2
    gpus = [machine.gpu, RTX_3090]
    for module in ("backends.trt_engine", "engines.build", "engines.choose"):
        monkeypatch.setattr(f"edgevision.{module}.find_gpu", lambda driver=None, index=0: gpus[index])
    for visible, number in (("", "1"), ("2, 3", "3"), ("GPU-7f3c,GPU-5ed3", "GPU-5ed3")):
        monkeypatch.setenv("CUDA_VISIBLE_DEVICES", visible)
        with pytest.raises(BackendError) as refused:
            ev.load(bundle, "cuda:1", build=True)
        assert str(refused.value) == (
            "TensorRT builds on the first GPU, NVIDIA GeForce RTX 3060 (compute capability 8.6, 28 multiprocessors), "
            "and GPU 1 is another, NVIDIA GeForce RTX 3090 (compute capability 8.6, 82 multiprocessors); make it the "
            f"first: CUDA_VISIBLE_DEVICES={number}, with device='cuda'"
        )
    assert builds(machine) == 0
    gpus[1] = gpus[0]
    with ev.load(bundle, "cuda:1", build=True) as model:
        assert model.device == "cuda:1"


# Parts


def test_every_part_has_its_engine(machine: Machine, bundle: Path, tmp_path: Path) -> None:
    relu = [node("Relu", ["points"], ["y"], name="relu")]
    shape = ["batch", "num_points", 2]
    network(bundle / "decoder.onnx", relu, [("points", FLOAT, shape)], [("y", FLOAT, shape)])
    files = [
        describe_file(bundle, "model.onnx", "model", "fp32", RUNTIMES),
        describe_file(bundle, "model.fp16.onnx", "model", "fp16", RUNTIMES),
        describe_file(bundle, "decoder.onnx", "decoder", "fp32", RUNTIMES),
    ]
    write_manifest(bundle, files)
    made = choose_engine(bundle, backend="tensorrt", part="decoder", form="fp16", build=True)
    assert (made.built, made.home) == (True, bundle / "decoder.onnx")
    built = build_engines(bundle, form="fp16")
    chosen = [
        choose_engine(bundle, backend="tensorrt", part=part, form="fp16") for part in ("model", "decoder")
    ]
    assert [one.path for one in chosen] == [one.path for one in built]


# The command line


def test_run_builds_where_it_is_told_to(
    machine_with_kernels: Machine, bundle: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    ev.write_image(tmp_path / "frame.png", FRAME)
    arguments = ["run", str(bundle), str(tmp_path / "frame.png"), "--device", "cuda", "--json"]
    assert main(arguments) == 1
    assert "--build" in (said := capsys.readouterr().err) or "build=True" in said
    assert main([*arguments, "--build"]) == 0
    said = capsys.readouterr().err
    assert "device='cuda:0'" in said
    assert "TensorRT 10.3.0" in said
    assert main(arguments) == 0
    assert builds(machine_with_kernels) == 1


# The real builder and runtime of TensorRT-RTX, on a machine_with_kernels without a GPU


def test_the_real_builder_builds_into_the_cache_what_the_real_runtime_wants_a_driver_for(
    bundle: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    pytest.importorskip("tensorrt_rtx", reason="tensorrt_rtx is not installed")
    if find_gpu() is not None:
        pytest.skip("there is a GPU, and this is a test of machines without")
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path / "cache"))
    monkeypatch.setattr("edgevision.backends.trt_engine.load_cuda", FakeCuda)
    for module in ("backends.trt_engine", "engines.choose"):
        monkeypatch.setattr(f"edgevision.{module}.find_gpu", lambda driver=None, index=0: RTX_3090)
    times = []
    for _ in range(2):
        with pytest.raises(
            BackendError,
            match=r"could not load .*/engines/model\.fp16\.rtx-[0-9a-f]{16}\.engine: cudaError 35",
        ):
            ev.load(bundle, "cuda", backend="tensorrt-rtx", build=True)
        (name,) = cached(tmp_path)
        times.append((tmp_path / "cache" / "edgevision" / "engines" / name).stat().st_mtime_ns)
    assert times[0] == times[1], "built once"
    with pytest.raises(BackendError, match=r"b has no engine for TensorRT-RTX .*--backend tensorrt-rtx$"):
        ev.load(bundle, "cuda", backend="tensorrt-rtx", form="fp32")
    # Engines built ahead of time, for another GPU and for this one.
    build_engine(bundle, backend="tensorrt-rtx", form="fp32", targets="sm89")
    with pytest.raises(
        EngineMismatchError, match=r"built for compute capability 8\.9, here is NVIDIA GeForce RTX 3090"
    ):
        ev.load(bundle, "cuda", backend="tensorrt-rtx", form="fp32")
    build_engine(bundle, backend="tensorrt-rtx", form="fp32", targets="sm86,sm89")
    with pytest.raises(BackendError, match=r"could not load .*/b/model\.rtx-sm86\+89\.engine: cudaError 35"):
        ev.load(bundle, "cuda", backend="tensorrt-rtx", form="fp32")
