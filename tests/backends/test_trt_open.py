"""Opening an engine: what is refused before it is deserialised, and what the runtime refuses."""

from __future__ import annotations

import gc
import json
import struct
import sys
import threading
from pathlib import Path

import numpy as np
import pytest
import tiny_networks as tiny
from fake_runtime import TensorFormat
from trt_bench import Machine

from edgevision.backends import open_session
from edgevision.backends.gpu import Gpu
from edgevision.backends.options import TensorRtOptions
from edgevision.backends.tensorrt import open_tensorrt
from edgevision.backends.trt_log import TrtLog
from edgevision.errors import (
    BackendError,
    EngineMismatchError,
    InputError,
    MissingDependencyError,
    ModelFileError,
)
from edgevision.spec import write_engine_sidecar

ONES = np.ones((2, 3), np.float32)


@pytest.fixture(params=["10.3.0", "11.4.0.106"])
def machine(request: pytest.FixtureRequest, monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> Machine:
    return Machine(monkeypatch, tmp_path, request.param, integrated=False)


def untouched(machine: Machine) -> bool:
    """Whether no plan was given to the runtime."""
    return machine.trt.told("deserialize") == []


# What opens


def test_the_registry_opens_an_engine(machine: Machine) -> None:
    session = open_session(machine.engine(tiny.doubling(["n", 3])), memory="mapped")
    assert (session.run({"x": ONES})["y"] == 2).all()
    assert session.device == "cuda:0"


def test_a_raw_plan_needs_no_sidecar(machine: Machine) -> None:
    path = machine.engine(tiny.doubling(["n", 3]), key=False)
    assert (open_tensorrt(path).run({"x": ONES})["y"] == 2).all()
    assert (open_tensorrt(path.read_bytes()).run({"x": ONES})["y"] == 2).all()


def test_the_header_that_ultralytics_puts_in_front_is_skipped(machine: Machine) -> None:
    header = json.dumps({"task": "detect", "names": {"0": "a"}}).encode()
    path = machine.folder / "yolo.engine"
    path.write_bytes(struct.pack("<i", len(header)) + header + machine.plan(tiny.doubling(["n", 3])))
    assert (open_session(path).run({"x": ONES})["y"] == 2).all()


def test_a_plan_with_code_of_its_own_is_run_where_allowed(machine: Machine) -> None:
    machine.trt.needs_host_code = True
    path = machine.engine(tiny.relu())
    with pytest.raises(
        BackendError, match=r"could not load .*host code.*where you trust it: allow_host_code=True"
    ):
        open_tensorrt(path)
    session = open_tensorrt(path, options=TensorRtOptions(allow_host_code=True))
    assert (session.run({"x": -ONES})["y"] == 0).all()


# What is refused before the runtime sees it


@pytest.mark.parametrize(
    ("changes", "said"),
    [
        pytest.param(
            {"multiprocessors": 30}, "it was built for 30 multiprocessors of .*, here are 28", id="part"
        ),
        pytest.param(
            {"platform": "solaris-sparc"}, "it was built on solaris-sparc, here is .*-", id="platform"
        ),
        pytest.param({"gpu_name": "NVIDIA T4"}, "for the GPU 'NVIDIA T4', here is 'NVIDIA GeForce", id="GPU"),
        pytest.param({"compute_capability": "7.5"}, r"compute capability 7\.5\), here is", id="capability"),
        pytest.param(
            {"backend_version": "8.6.1"}, r"it was built by TensorRT 8\.6\.1, here is 1", id="version"
        ),
        pytest.param(
            {"backend": "tensorrt_rtx"}, "it was built by TensorRT-RTX .*, here is TensorRT 1", id="runtime"
        ),
    ],
)
def test_an_engine_of_something_else_is_not_deserialised(changes: dict, said: str, machine: Machine) -> None:
    path = machine.engine(tiny.relu())
    write_engine_sidecar(path, None, machine.key(**changes))
    with pytest.raises(EngineMismatchError, match=rf"m\.engine does not fit: .*{said}.*build=True"):
        open_tensorrt(path)
    assert untouched(machine)


def test_a_truncated_plan_with_a_sidecar_is_not_deserialised(machine: Machine) -> None:
    path = machine.engine(tiny.relu())
    path.write_bytes(path.read_bytes()[:-1])
    with pytest.raises(ModelFileError, match="the engine was truncated or built again by another tool"):
        open_tensorrt(path)
    assert untouched(machine)


@pytest.mark.parametrize("device", ["cpu", "tpu", "cuda:", "cuda:x", 0])
def test_a_device_that_is_no_gpu_is_refused(device: object, machine: Machine) -> None:
    kind = BackendError if device == "cpu" else InputError
    with pytest.raises(
        kind, match=r"engines run on a GPU|device must be 'auto', 'cpu', 'cuda' or 'cuda:<number>'"
    ):
        open_tensorrt(machine.engine(tiny.relu()), device)  # type: ignore[arg-type]
    assert untouched(machine)


def test_without_a_gpu_it_says_why(machine: Machine, monkeypatch: pytest.MonkeyPatch) -> None:
    machine.gpu = None
    monkeypatch.setattr(
        "edgevision.backends.trt_engine.explain_no_gpu", lambda index: f"there is no driver for {index}"
    )
    path = machine.folder / "m.engine"
    path.write_bytes(machine.plan(tiny.relu()))
    with pytest.raises(BackendError, match=r"m\.engine cannot run here: there is no driver for 3$"):
        open_tensorrt(path, "cuda:3")
    assert untouched(machine)


def test_without_the_extension_it_says_how_to_build_it(
    machine: Machine, monkeypatch: pytest.MonkeyPatch
) -> None:
    from edgevision.backends import cuda

    monkeypatch.setattr("edgevision.backends.trt_engine.load_cuda", cuda.load_cuda)
    monkeypatch.setitem(sys.modules, "edgevision._cuda", None)
    with pytest.raises(BackendError, match=r"CUDA extension, which .* EDGEVISION_CUDA=ON pip install"):
        open_tensorrt(machine.engine(tiny.relu()))
    machine.cuda.devices = 0
    monkeypatch.setitem(sys.modules, "edgevision._cuda", machine.cuda)
    with pytest.raises(BackendError, match="CUDA finds no device: no CUDA-capable device is detected"):
        open_tensorrt(machine.engine(tiny.relu()))
    assert untouched(machine)


def test_without_tensorrt_it_says_how_to_install_it(
    machine: Machine, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setitem(sys.modules, "tensorrt", None)
    with pytest.raises(MissingDependencyError, match=r"running TensorRT engines needs tensorrt, .*; run: "):
        open_tensorrt(machine.engine(tiny.relu()))


@pytest.mark.parametrize(
    ("options", "words"),
    [
        ({"threads": 2}, "threads is for processors, and engines run on a GPU"),
        ({"memory": "fast"}, "memory must be one of 'auto', 'mapped', 'staged', got 'fast'"),
        ({"cuda_graph": 1}, "cuda_graph must be True or False"),
        ({"allow_host_code": "yes"}, "allow_host_code must be True or False"),
        (
            {"spin": True},
            "tensorrt has no option 'spin'; its options are allow_host_code, cuda_graph, memory, runtime_cache, slots",
        ),
    ],
)
def test_bad_options_are_refused(options: dict, words: str, machine: Machine) -> None:
    with pytest.raises(InputError, match=words):
        open_session(machine.engine(tiny.relu()), **options)


# What the runtime refuses


def test_a_truncated_plan_without_a_sidecar_is_told(machine: Machine) -> None:
    plan = machine.plan(tiny.relu())
    with pytest.raises(
        BackendError, match=rf"could not load the model of {len(plan) - 9} bytes: .*cut off; copy or"
    ):
        open_tensorrt(plan[:-9])


def test_what_is_no_plan_is_told(machine: Machine) -> None:
    with pytest.raises(
        BackendError, match=r"could not load .*magicTag.*; it was built by another version, or is no plan"
    ):
        open_tensorrt(b"garbage" * 9)


def test_a_plan_of_another_version_without_a_sidecar_is_told(machine: Machine) -> None:
    path = machine.engine(tiny.relu(), key=False)
    machine.trt.__version__ = "10.9.9"
    with pytest.raises(
        BackendError, match=r"expecting library version 10\.9\.9 got .*built by another version"
    ):
        open_tensorrt(path)


@pytest.mark.parametrize(
    ("call", "says", "words"),
    [
        pytest.param(
            "runtime",
            ["CUDA initialization failure with error: 35"],
            r"could not load .*m\.engine: CUDA initialization failure with error: 35; .*upgrade the driver",
            id="no runtime",
        ),
        pytest.param("runtime", [], "factory function returned nullptr", id="no runtime, no words"),
        pytest.param(
            "runtime, told only",
            [
                "createInferRuntime: Error Code 6: API Usage Error (CUDA initialization failure with error: 35 In "
                "checkCudaInstallation at /_src/runtime/dispatch/runtime.cpp:960)",
                "[checkMacros.cpp::catchCudaError::250] Error Code 1: Cuda Runtime (In catchCudaError at "
                "/_src/common/dispatch/checkMacros.cpp:250 (cudaError 35: CUDA driver version is insufficient for CUDA "
                "runtime version))",
            ],
            "CUDA initialization failure with error: 35.*; the driver is missing or older .* serves CUDA 12.2",
            id="a runtime that is none",
        ),
        pytest.param(
            "deserialize",
            [
                "IRuntime::deserializeCudaEngine: Error Code 1: Cuda Runtime (In ScopedCudaStream at /_src/a.cpp:25 "
                "(cudaError 35: CUDA driver version is insufficient for CUDA runtime version))"
            ],
            r"cudaError 35: CUDA driver version is insufficient.*upgrade the driver.*\(the driver here serves CUDA 12\.2\)$",
            id="driver too old",
        ),
        pytest.param(
            "deserialize",
            [
                "[virtualMemoryBuffer.cpp::resizePhysical::154] Error Code 2: OutOfMemory "
                "(Requested size was 2097152 bytes.)"
            ],
            "OutOfMemory .*; the GPU's memory is full: end other programs",
            id="out of memory",
        ),
        pytest.param(
            "deserialize",
            [
                "IPluginRegistry::getCreator: Error Code 4: API Usage Error (Cannot find plugin: NMS, version: 1)"
            ],
            "Cannot find plugin: NMS, version: 1; it needs a plugin that is not registered",
            id="plugin",
        ),
        pytest.param("deserialize", [], r"could not load .*m\.engine: it gives no reason$", id="no reason"),
    ],
)
def test_a_refusal_is_one_line_that_says_what_to_do(
    call: str, says: list[str], words: str, machine: Machine, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("edgevision.backends.trt_engine.driver_cuda_version", lambda: "12.2")
    path = machine.engine(tiny.relu())
    machine.trt.fail, machine.trt.says = call, says
    with pytest.raises(BackendError, match=words) as caught:
        open_tensorrt(path)
    assert "\n" not in str(caught.value)
    assert len(str(caught.value)) < 700
    del caught
    gc.collect()
    assert not machine.trt.freed


@pytest.mark.parametrize(
    ("change", "words"),
    [
        pytest.param(
            lambda trt: trt.odd_types.update(y="BF16"),
            "tensor 'y' is of type BF16, which NumPy does not have; accepted are bool, float16",
            id="type",
        ),
        pytest.param(
            lambda trt: trt.formats.update(x=TensorFormat.CHW4),
            r"tensor 'x' is not laid out in rows \(CHW4\); build the engine without --inputIOFormats",
            id="layout",
        ),
        pytest.param(
            lambda trt: trt.on_host.add("x"), "the values of input 'x' are sizes of other tensors", id="sizes"
        ),
    ],
)
def test_tensors_that_cannot_be_given_are_refused(change, words: str, machine: Machine) -> None:
    change(machine.trt)
    with pytest.raises(BackendError, match=words):
        open_tensorrt(machine.engine(tiny.relu()))


def test_what_is_freed_while_the_log_is_read_may_log() -> None:
    log = TrtLog()

    class Dying:
        def __del__(self) -> None:
            log.add("Cuda Runtime (an illegal memory access was encountered)", error=True)

    def read() -> None:
        for _ in range(2000):
            dying = Dying()
            dying.itself = dying
            del dying
            log.errors_since(0)

    reader = threading.Thread(target=read, daemon=True)
    reader.start()
    reader.join(30)
    assert not reader.is_alive()


# The real runtime of TensorRT-RTX, on a machine without a GPU


@pytest.fixture
def rtx(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> Path:
    """A real engine for compute capability 8.6; the machine claims to have such a GPU, and has none."""
    pytest.importorskip("tensorrt_rtx", reason="tensorrt_rtx is not installed")
    from engine_networks import conv_relu
    from fake_cuda import FakeCuda

    from edgevision.engines import build_engine

    monkeypatch.setattr(
        "edgevision.backends.trt_engine.find_gpu", lambda index=0: Gpu("NVIDIA GeForce RTX 3060", "8.6", 28)
    )
    monkeypatch.setattr("edgevision.backends.trt_engine.load_cuda", FakeCuda)
    return build_engine(conv_relu(tmp_path / "m.fp16.onnx", half=True), targets="sm86").path


def has_gpu() -> bool:
    from edgevision.backends.gpu import find_gpu

    return find_gpu() is not None


@pytest.mark.skipif(has_gpu(), reason="there is a GPU, and these tests are of machines without")
def test_the_real_runtime_refuses_without_a_driver_and_says_so(rtx: Path) -> None:
    with pytest.raises(
        BackendError,
        match=r"TensorRT-RTX \S+ could not load .*m\.fp16\.rtx-sm86\.engine: cudaError 35: .*upgrade the driver",
    ) as caught:
        open_session(rtx)
    assert "/_src/" not in str(caught.value)


def test_the_real_runtime_tells_a_truncated_plan_before_it_wants_a_gpu(rtx: Path) -> None:
    plan = rtx.read_bytes()
    with pytest.raises(
        ModelFileError, match=rf"cut off or damaged: its plan says that it has {len(plan)} bytes"
    ):
        open_tensorrt(plan[:-100], module="tensorrt_rtx")
    rtx.write_bytes(plan[:-100])
    with pytest.raises(ModelFileError, match="truncated or built again by another tool"):
        open_session(rtx)


def test_the_real_runtime_tells_what_is_no_plan(rtx: Path) -> None:
    with pytest.raises(
        BackendError, match="refuses the model of 630 bytes: it is damaged, or no plan of this runtime"
    ):
        open_tensorrt(b"garbage" * 90, module="tensorrt_rtx")


def test_a_real_engine_for_another_gpu_is_refused_by_its_key(
    rtx: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(
        "edgevision.backends.trt_engine.find_gpu", lambda index=0: Gpu("NVIDIA GeForce RTX 4090", "8.9", 128)
    )
    with pytest.raises(
        EngineMismatchError,
        match=r"it was built for compute capability 8\.6, here is NVIDIA GeForce RTX 4090 \(compute",
    ):
        open_session(rtx)


def test_without_any_gpu_a_real_engine_says_why(rtx: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("edgevision.backends.trt_engine.find_gpu", lambda index=0: None)
    monkeypatch.setattr("edgevision.backends.gpu._load_driver", lambda: None)
    with pytest.raises(BackendError, match=r"sm86\.engine cannot run here: there is no NVIDIA driver"):
        open_session(rtx)
