"""Kernels that TensorRT-RTX compiles are kept from one process to the next, on a stand-in; and what the real module has."""

from __future__ import annotations

import os
import re
import sys
import warnings
from pathlib import Path

import numpy as np
import pytest
import tiny_networks as tiny
from fake_rtx import MAGIC, Diagnostics, FakeTensorRtRtx, Strategy
from trt_bench import Machine

from edgevision.backends.gpu import Gpu
from edgevision.backends.options import TensorRtOptions
from edgevision.backends.tensorrt import TensorRtSession, open_tensorrt
from edgevision.errors import BackendError, EdgeVisionWarning, InputError
from edgevision.spec import write_engine_sidecar
from edgevision.spec.lock import hold_lock

ONES = np.ones((2, 3), np.float32)


class RtxMachine(Machine):
    """A GPU with TensorRT-RTX. path: of its engine."""

    trt: FakeTensorRtRtx

    def __init__(self, monkeypatch: pytest.MonkeyPatch, folder: Path) -> None:
        super().__init__(monkeypatch, folder, "1.7.1.116", integrated=False)
        self.driver = "13.0"
        monkeypatch.setattr("edgevision.backends.trt_jit_cache.driver_cuda_version", lambda: self.driver)
        self._monkeypatch = monkeypatch
        self.restart()
        self.path = folder / "m.engine"
        self.write(tiny.doubling(["n", 3]))

    def restart(self) -> None:
        """A new process: nothing is compiled yet."""
        self.trt = FakeTensorRtRtx(self.version)
        self.trt.cuda = self.cuda
        self._monkeypatch.setitem(sys.modules, "tensorrt_rtx", self.trt)

    def write(self, network: bytes) -> None:
        self.path.write_bytes(self.plan(network))
        write_engine_sidecar(self.path, None, self.key(backend="tensorrt_rtx"))

    def start(self, **options: object) -> TensorRtSession:
        return open_tensorrt(self.path, options=TensorRtOptions(**options), module="tensorrt_rtx")

    def compiled_by(self, *shapes: tuple[int, int], **options: object) -> list[str]:
        """The shapes for which a new process compiles kernels while it runs at these."""
        self.restart()
        session = self.start(**options)
        for shape in shapes or [(2, 3)]:
            x = np.ones(shape, np.float32)
            assert (session.run({"x": x})["y"] == 2).all()
        session.close()
        return [kernel.partition("@")[2] for kernel in self.trt.compiled]


@pytest.fixture
def machine(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> RtxMachine:
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path / "cache"))
    return RtxMachine(monkeypatch, tmp_path)


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    return tmp_path / "cache" / "edgevision" / "engines"


def jit_files(folder: Path) -> list[Path]:
    return sorted(folder.glob("*.jit"))


def test_what_one_process_compiles_the_next_one_has(machine: RtxMachine, folder: Path) -> None:
    assert machine.compiled_by() == ["2x3"]
    assert machine.compiled_by() == []
    (file,) = jit_files(folder)
    assert re.fullmatch(r"m\.[0-9a-f]{16}\.jit", file.name)
    assert sorted(os.listdir(folder)) == [file.name, file.name + ".lock"]


def test_kernels_are_kept_after_the_first_run_and_when_the_session_is_closed(
    machine: RtxMachine, folder: Path
) -> None:
    session = machine.start()
    session.input_buffer("x", (2, 3))
    assert jit_files(folder) == []
    session.run({"x": ONES})
    (file,) = jit_files(folder)
    first = file.read_bytes()
    session.run({"x": np.ones((5, 3), np.float32)})
    assert file.read_bytes() == first, "no frame but the first waits for the disk"
    session.close()
    assert b"@5x3" in file.read_bytes()
    assert machine.compiled_by((2, 3), (5, 3), (7, 3)) == ["7x3"]
    assert machine.compiled_by((2, 3), (5, 3), (7, 3)) == []


def test_the_runtime_is_asked_first_whether_it_takes_an_engine(machine: RtxMachine) -> None:
    machine.trt.invalid = Diagnostics.VERSION_MISMATCH | Diagnostics.OLD_CUDA_DRIVER
    with pytest.raises(
        BackendError,
        match=r"refuses .*: it was built by another version and it needs a newer driver than the one here",
    ):
        machine.start()
    assert "deserialize" not in [name for name, _ in machine.trt.calls]


def test_an_engine_that_says_it_cannot_be_recorded_is_not(machine: RtxMachine) -> None:
    machine.trt.capturable = False
    session = machine.start()
    session.run({"x": ONES})
    with pytest.warns(EdgeVisionWarning, match="without a CUDA graph: the engine cannot be recorded"):
        assert (session.run({"x": ONES})["y"] == 2).all()
    assert session.device == "cuda:0 (without a CUDA graph)"
    assert "capture" not in machine.cuda.counts


def test_a_network_put_on_the_stream_for_others_keeps_its_kernels_too(
    machine: RtxMachine, folder: Path
) -> None:
    session = machine.start()
    session.input_buffer("x", (2, 3))[:] = ONES
    session.enqueue()
    assert len(jit_files(folder)) == 1
    session.stream.synchronize()


def test_clones_share_the_kernels(machine: RtxMachine) -> None:
    session = machine.start()
    session.run({"x": ONES})
    clone = session.clone()
    clone.run({"x": ONES})
    assert len(machine.trt.compiled) == 1
    session.close()
    clone.run({"x": np.ones((4, 3), np.float32)})
    clone.close()
    assert machine.compiled_by((2, 3), (4, 3)) == []


def test_nothing_is_written_where_nothing_was_compiled(machine: RtxMachine, folder: Path) -> None:
    machine.compiled_by()
    (file,) = jit_files(folder)
    before = file.stat()
    assert machine.compiled_by() == []
    assert (file.stat().st_ino, file.stat().st_mtime_ns) == (before.st_ino, before.st_mtime_ns)


@pytest.mark.parametrize("change", ["network", "driver", "GPU", "version"])
def test_other_circumstances_have_another_file(change: str, machine: RtxMachine, folder: Path) -> None:
    machine.compiled_by()
    if change == "network":
        machine.write(tiny.doubling(["m", 3]))
    elif change == "driver":
        machine.driver = "13.2"
    elif change == "GPU":
        machine.gpu = Gpu("NVIDIA GeForce RTX 3050", "8.6", 20)
        machine.write(tiny.doubling(["n", 3]))
    else:
        machine.version = "1.8.0"
        machine.restart()
        machine.write(tiny.doubling(["n", 3]))
    assert machine.compiled_by() == ["2x3"]
    assert len(jit_files(folder)) == 2
    assert machine.compiled_by() == []


@pytest.mark.parametrize(
    "damage", [lambda data: b"", lambda data: data[:7], lambda data: b"what" + data * 9, lambda data: MAGIC + b"1.0 on\n"],
    ids=["empty", "truncated", "larger rubbish", "refused by the runtime"],
)  # fmt: skip
def test_a_damaged_file_is_not_used_and_replaced(damage: object, machine: RtxMachine, folder: Path) -> None:
    machine.compiled_by()
    (file,) = jit_files(folder)
    whole = file.read_bytes()
    file.write_bytes(damage(whole))
    with warnings.catch_warnings():
        warnings.simplefilter("ignore" if not file.stat().st_size else "error")
        assert machine.compiled_by() == ["2x3"]
    assert file.read_bytes() == whole
    assert machine.compiled_by() == []


def test_what_another_process_wrote_meanwhile_stays_where_it_has_more(
    machine: RtxMachine, folder: Path
) -> None:
    slow = machine.start()
    machine.compiled_by((2, 3), (3, 3), (4, 3))
    slow.run({"x": ONES})
    slow.close()
    assert machine.compiled_by((2, 3), (3, 3), (4, 3)) == []


def test_what_a_killed_process_left_half_written_is_removed(machine: RtxMachine, folder: Path) -> None:
    machine.compiled_by()
    (file,) = jit_files(folder)
    (folder / f".{file.name[:48]}.0123456789ab.tmp").write_bytes(b"half of them")
    (folder / ".another.jit.0123456789ab.tmp").write_bytes(b"half of them")
    assert machine.compiled_by((8, 3)) == ["8x3"]
    assert sorted(os.listdir(folder)) == [".another.jit.0123456789ab.tmp", file.name, file.name + ".lock"]


def test_a_session_does_not_wait_for_a_process_that_writes(machine: RtxMachine, folder: Path) -> None:
    machine.compiled_by()
    (file,) = jit_files(folder)
    before = file.read_bytes()
    with hold_lock(file.with_name(file.name + ".lock")):
        assert machine.compiled_by((9, 3)) == ["9x3"]
    assert file.read_bytes() == before
    assert machine.compiled_by((9, 3)) == ["9x3"]
    assert machine.compiled_by((9, 3)) == []


def test_a_folder_that_cannot_be_written_is_told_once_and_stops_nothing(
    machine: RtxMachine, tmp_path: Path
) -> None:
    (tmp_path / "file").write_text("")
    session = machine.start(runtime_cache=tmp_path / "file")
    with pytest.warns(EdgeVisionWarning, match=r"kernels compiled .* are not kept: cannot lock .*file"):
        outputs = session.run({"x": ONES})
    assert (outputs["y"] == 2).all()
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        session.close()


def test_a_runtime_that_takes_no_cache_is_told(machine: RtxMachine) -> None:
    machine.trt.fail = "set_runtime_cache"
    with pytest.warns(EdgeVisionWarning, match="the runtime takes no cache for them"):
        session = machine.start()
    assert (session.run({"x": ONES})["y"] == 2).all()


def test_the_folder_may_be_chosen_or_none(machine: RtxMachine, folder: Path, tmp_path: Path) -> None:
    assert machine.compiled_by(runtime_cache="") == ["2x3"]
    assert not folder.exists()
    assert machine.compiled_by(runtime_cache=tmp_path / "mine") == ["2x3"]
    assert machine.compiled_by(runtime_cache=str(tmp_path / "mine")) == []
    assert len(jit_files(tmp_path / "mine")) == 1
    assert not folder.exists()


@pytest.mark.parametrize(("graph", "strategy"), [(True, Strategy.EAGER), (False, Strategy.LAZY)])
def test_a_recorded_run_has_the_kernels_of_its_shape(
    graph: bool, strategy: Strategy, machine: RtxMachine
) -> None:
    session = machine.start(cuda_graph=graph)
    assert session._config.dynamic_shapes_kernel_specialization_strategy == strategy
    session.run({"x": ONES})
    assert [kernel.partition("@")[2] for kernel in machine.trt.compiled] == ["2x3" if graph else "any"]


@pytest.mark.parametrize("value", [1, True, b"folder"])
def test_a_folder_of_another_type_is_refused(value: object) -> None:
    with pytest.raises(InputError, match=r"runtime_cache must be a folder's path, '' or None, got"):
        TensorRtOptions(runtime_cache=value)


def test_tensorrt_has_no_runtime_cache(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path / "cache"))
    machine = Machine(monkeypatch, tmp_path, "11.4.0.106", integrated=False)
    with pytest.raises(
        InputError, match=r"runtime_cache is for TensorRT-RTX, .* those of TensorRT are in its engines"
    ):
        machine.open(tiny.relu(), runtime_cache="x")
    session = machine.open(tiny.doubling(["n", 3]), runtime_cache="")
    session.run({"x": ONES})
    session.close()
    assert not (tmp_path / "cache").exists()


def test_the_real_module_has_every_call_that_is_made() -> None:
    # Without a GPU none can be made: an engine is deserialised by the driver.
    trt = pytest.importorskip("tensorrt_rtx", reason="tensorrt_rtx is not installed")
    for owner, name, signature in [
        (trt.ICudaEngine, "create_runtime_config", r"\(self: \S+ICudaEngine\) -> \S+IRuntimeConfig"),
        (
            trt.ICudaEngine,
            "create_execution_context",
            r"runtime_config: \S+IRuntimeConfig = None\) -> \S+IExecutionC",
        ),
        (trt.IRuntimeConfig, "create_runtime_cache", r"\(self: \S+IRuntimeConfig\) -> \S+IRuntimeCache"),
        (trt.IRuntimeConfig, "set_runtime_cache", r"cache: \S+IRuntimeCache = None\) -> bool"),
        (trt.IRuntimeCache, "serialize", r"\(self: \S+IRuntimeCache\) -> \S+IHostMemory"),
        (trt.IRuntimeCache, "deserialize", r"blob: \S+\) -> bool"),
    ]:
        assert re.search(signature, getattr(owner, name).__doc__), name
    assert isinstance(trt.IRuntimeConfig.dynamic_shapes_kernel_specialization_strategy, property)
    assert "EAGER" in trt.DynamicShapesKernelSpecializationStrategy.__members__
    assert trt.IHostMemory.nbytes is not None
