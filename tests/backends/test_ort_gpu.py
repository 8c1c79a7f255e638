"""ONNX Runtime on a GPU: providers, their options, memory of ours, what falls back; on a stand-in for its GPU build."""

from __future__ import annotations

import gc
import sys
import warnings
from collections.abc import Iterator
from pathlib import Path

import numpy as np
import pytest
import tiny_networks as tiny

pytest.importorskip("onnxruntime", reason="onnxruntime is not installed")

import test_conformance as conformance
from fake_cuda import FakeCuda
from fake_ort import CPU, CUDA, TENSORRT, FakeOnnxRuntime
from test_trt_session import check_lent_inputs

import edgevision as ev
from edgevision.backends import OnnxRuntimeOptions, Session, open_session
from edgevision.backends.gpu import Gpu
from edgevision.backends.onnxruntime import load_onnxruntime, open_onnxruntime
from edgevision.backends.registry import networks_run_on_cuda
from edgevision.errors import BackendError, EdgeVisionWarning, InputError, ModelFileError

RTX_3060 = Gpu("NVIDIA GeForce RTX 3060", "8.6", 28)
RTX = "NvTensorRTRTXExecutionProvider"
ONES = np.ones((2, 3), np.float32)


class Machine:
    """One GPU; the extension unless `cuda` is None."""

    def __init__(self, monkeypatch: pytest.MonkeyPatch, cuda: FakeCuda | None) -> None:
        self.gpu: Gpu | None = RTX_3060
        self.cuda = cuda
        self.ort = FakeOnnxRuntime(cuda)
        monkeypatch.setattr(
            "edgevision.backends.ort_providers.find_gpu",
            lambda driver=None, index=0: self.gpu if index == 0 else None,
        )
        monkeypatch.setattr(
            "edgevision.backends.ort_providers.explain_no_gpu",
            lambda driver=None, index=0: f"there is no GPU {index}",
        )
        monkeypatch.setattr("edgevision.backends.onnxruntime.load_onnxruntime", lambda: self.ort)
        if cuda is not None:
            monkeypatch.setattr("edgevision.backends.onnxruntime.load_cuda", lambda: cuda)
        else:
            monkeypatch.setitem(sys.modules, "edgevision._cuda", None)

    def open(self, model: bytes, device: str = "auto", **options: object) -> Session:
        return open_onnxruntime(model, device, OnnxRuntimeOptions(**options))


MEMORY = {
    "staged": lambda: FakeCuda(),
    "mapped": lambda: FakeCuda(integrated=True),
    "no extension": lambda: None,
}


@pytest.fixture(params=MEMORY.values(), ids=MEMORY.keys())
def any_machine(request: pytest.FixtureRequest, monkeypatch: pytest.MonkeyPatch) -> Machine:
    return Machine(monkeypatch, request.param())


@pytest.fixture
def machine(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> Machine:
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path / "cache"))
    return Machine(monkeypatch, FakeCuda())


@pytest.fixture
def opened(any_machine: Machine) -> Iterator[object]:
    sessions: list[Session] = []

    def open_one(model: bytes, **options: object) -> Session:
        sessions.append(any_machine.open(model, **options))
        return sessions[-1]

    yield open_one
    for session in sessions:
        session.close()


# What every runtime must do

test_outputs_are_those_of_numpy = conformance.test_outputs_are_those_of_numpy
test_an_output_that_is_an_input_follows_it = conformance.test_an_output_that_is_an_input_follows_it
test_runtime_reads_the_buffer_itself = conformance.test_runtime_reads_the_buffer_itself
test_buffer_is_aligned_contiguous_and_zero = conformance.test_buffer_is_aligned_contiguous_and_zero
test_same_shape_gives_the_same_buffer = conformance.test_same_shape_gives_the_same_buffer
test_outputs_keep_their_memory = conformance.test_outputs_keep_their_memory
test_shape_may_change_and_change_back = conformance.test_shape_may_change_and_change_back
test_outputs_of_another_shape_leave_earlier_arrays_alone = (
    conformance.test_outputs_of_another_shape_leave_earlier_arrays_alone
)
test_earlier_outputs_outlive_the_session = conformance.test_earlier_outputs_outlive_the_session
test_own_buffer_may_be_fed = conformance.test_own_buffer_may_be_fed
test_bad_feeds_are_refused = conformance.test_bad_feeds_are_refused
test_ridiculous_shape_is_refused = conformance.test_ridiculous_shape_is_refused
test_clone_has_its_own_buffers = conformance.test_clone_has_its_own_buffers
test_clone_goes_on_when_the_original_is_closed = conformance.test_clone_goes_on_when_the_original_is_closed
test_closed_session_refuses = conformance.test_closed_session_refuses
test_failing_run_is_one_line_that_names_the_model = (
    conformance.test_failing_run_is_one_line_that_names_the_model
)


# Providers


@pytest.mark.parametrize("device", ["auto", "cuda", "cuda:0"])
def test_the_gpu_is_taken(device: str, machine: Machine) -> None:
    session = machine.open(tiny.relu(), device)
    assert (session.device, session.runtime) == ("cuda:0", f"onnxruntime {machine.ort.__version__} (cuda)")
    networks, _ = machine.cuda.streams  # the second is the session's own
    assert machine.ort.opened == [
        {
            CUDA: {
                "device_id": "0",
                "has_user_compute_stream": "1",
                "user_compute_stream": str(networks),
                "use_tf32": "0",
            },
            CPU: {},
        }
    ]


@pytest.mark.parametrize("tf32", [False, True])
def test_products_are_rounded_where_that_is_asked_for(tf32: bool, machine: Machine) -> None:
    machine.open(tiny.relu(), tf32=tf32)
    assert machine.ort.opened[0][CUDA]["use_tf32"] == str(int(tf32))


def test_further_options_go_to_the_first_provider(machine: Machine) -> None:
    machine.ort.providers = machine.ort.started = (TENSORRT, CUDA)
    given = {"trt_fp16_enable": True, "trt_max_workspace_size": 1 << 30, "trt_op_types_to_exclude": "NonZero"}
    machine.open(tiny.relu(), provider="tensorrt", provider_options=given, engine_cache="")
    opened = machine.ort.opened[0]
    got = {name: value for name, value in opened[TENSORRT].items() if name.startswith("trt_")}
    assert got == {
        "trt_fp16_enable": "1",
        "trt_max_workspace_size": "1073741824",
        "trt_op_types_to_exclude": "NonZero",
    }
    assert not set(given) & set(opened[CUDA])
    machine.open(tiny.relu(), provider="cuda", provider_options={"prefer_nhwc": 1, "gpu_mem_limit": False})
    assert machine.ort.opened[1][CUDA].items() >= {"prefer_nhwc": "1", "gpu_mem_limit": "0"}.items()


def test_without_the_extension_onnxruntime_copies_by_itself(monkeypatch: pytest.MonkeyPatch) -> None:
    machine = Machine(monkeypatch, None)
    session = machine.open(tiny.relu())
    assert (session.run({"x": -ONES})["y"] == 0).all()
    assert machine.ort.opened[0][CUDA] == {"device_id": "0", "use_tf32": "0"}
    with pytest.raises(BackendError, match="EDGEVISION_CUDA=ON"):
        machine.open(tiny.relu(), memory="mapped")


def test_so_it_does_where_it_is_too_old_to_tell_whose_memory_it_reads(machine: Machine) -> None:
    machine.ort = FakeOnnxRuntime(machine.cuda, tells_places=False)
    session = machine.open(tiny.relu())
    assert (session.run({"x": -ONES})["y"] == 0).all()
    assert not machine.cuda.streams
    with pytest.raises(BackendError, match=r"memory='staged' needs onnxruntime 1\.23, this is"):
        machine.open(tiny.relu(), memory="staged")


@pytest.mark.parametrize("held", [("a",), ("d",), ("a", "b", "s", "d")])
def test_tensors_of_the_processor_are_bound_there(held: tuple[str, ...], machine: Machine) -> None:
    machine.ort.in_processors_memory = held
    session = machine.open(tiny.two_by_two())
    for value in range(4):
        a, b = np.full((4, 3), value, np.float32), np.ones((4, 3), np.float32)
        results = session.run({"a": a, "b": b})
        np.testing.assert_array_equal(results["s"], a + b)
        np.testing.assert_array_equal(results["d"], a - b)
    assert "launch" not in machine.cuda.counts, "a graph would keep what it read"
    assert not session.has_fixed_outputs()
    if "d" in held:
        with pytest.raises(BackendError, match="'d' has no fixed place on the GPU"):
            session.output_address("d")


@pytest.mark.parametrize("integrated", [False, True])
def test_an_input_may_lie_in_memory_of_another(integrated: bool, monkeypatch: pytest.MonkeyPatch) -> None:
    check_lent_inputs(Machine(monkeypatch, FakeCuda(integrated=integrated)))


def test_an_input_that_the_processor_reads_may_not(machine: Machine) -> None:
    machine.ort.in_processors_memory = ("a",)
    session = machine.open(tiny.two_by_two())
    memory = machine.cuda.DeviceBuffer(48)
    assert not session.lend_input("a", (4, 3), memory.pointer, memory)
    assert (session.run({"a": np.ones((4, 3), np.float32), "b": np.ones((4, 3), np.float32)})["s"] == 2).all()


def test_a_closed_session_keeps_no_memory(machine: Machine) -> None:
    session = machine.open(tiny.doubling(["n", 3]))
    for _ in range(3):
        assert (session.run({"x": ONES})["y"] == 2).all()
    session.close()
    gc.collect()
    assert not machine.cuda.regions
    assert not machine.cuda.pinned
    with pytest.raises(BackendError, match="closed"):
        session.input_address("x")


def test_copies_and_network_are_one_launch(machine: Machine) -> None:
    session = machine.open(tiny.doubling(["n", 3]))
    for value in range(4):
        assert (session.run({"x": value * ONES})["y"] == 2 * value).all()
    counts = dict(machine.cuda.counts)
    session.run({"x": ONES})
    new = {name: machine.cuda.counts[name] - counts[name] for name in counts}
    assert {name: count for name, count in new.items() if count} == {"launch": 1, "synchronize": 1}


def test_the_processor_is_taken_where_there_is_no_gpu(machine: Machine) -> None:
    machine.gpu = None
    assert machine.open(tiny.relu()).device == "cpu"
    for device in ("cuda", "cuda:0"):
        with pytest.raises(
            BackendError, match=rf"cannot run on device '{device}': there is no GPU 0; device='cpu' it can"
        ):
            machine.open(tiny.relu(), device)
    assert machine.open(tiny.relu(), "cpu").device == "cpu"


def test_a_build_without_providers_says_what_to_install(machine: Machine) -> None:
    machine.ort.providers = ("AzureExecutionProvider",)
    assert machine.open(tiny.relu()).device == "cpu"
    with pytest.raises(
        BackendError,
        match=r"it can on 'cpu': .*; for a GPU install the other package: .*'edgevision\[cuda\]'",
    ):
        machine.open(tiny.relu(), "cuda")


def test_a_second_gpu_that_is_not_there_is_told(machine: Machine) -> None:
    with pytest.raises(BackendError, match="cannot run on device 'cuda:1': there is no GPU 1"):
        machine.open(tiny.relu(), "cuda:1")


def test_tensorrt_keeps_its_engines_and_leaves_the_rest_to_cuda(machine: Machine, tmp_path: Path) -> None:
    machine.ort.providers = machine.ort.started = (TENSORRT, CUDA)
    session = machine.open(tiny.relu(), provider="tensorrt")
    folder = tmp_path / "cache" / "edgevision" / "onnxruntime-tensorrt"
    assert folder.is_dir()
    assert session.runtime.endswith(" (tensorrt)")
    assert list(machine.ort.opened[0]) == [TENSORRT, CUDA, CPU]
    options = machine.ort.opened[0][TENSORRT]
    assert {name: value for name, value in options.items() if name.startswith("trt_")} == {
        "trt_engine_cache_enable": "1",
        "trt_engine_cache_path": str(folder),
        "trt_timing_cache_enable": "1",
        "trt_timing_cache_path": str(folder),
    }
    machine.open(tiny.relu(), provider="tensorrt", engine_cache=tmp_path / "own")
    assert machine.ort.opened[1][TENSORRT]["trt_engine_cache_path"] == str(tmp_path / "own")
    machine.open(tiny.relu(), provider="tensorrt", engine_cache="")
    assert "trt_engine_cache_path" not in machine.ort.opened[2][TENSORRT]
    (tmp_path / "file").write_text("")
    with pytest.raises(ModelFileError, match="cannot make the engine cache"):
        machine.open(tiny.relu(), provider="tensorrt", engine_cache=tmp_path / "file" / "x")
    # Without a choice CUDA computes: nothing is built while a network loads.
    machine.open(tiny.relu())
    assert list(machine.ort.opened[-1]) == [CUDA, CPU]


def test_tensorrt_rtx_has_its_own_options(machine: Machine, tmp_path: Path) -> None:
    machine.ort.providers = machine.ort.started = (RTX,)
    session = machine.open(tiny.relu(), engine_cache=tmp_path)
    assert machine.ort.opened[0][RTX]["nv_runtime_cache_path"] == str(tmp_path)
    for _ in range(4):
        session.run({"x": ONES})
    assert "capture" not in machine.cuda.counts


@pytest.mark.parametrize(
    ("device", "options", "words"),
    [
        (
            "auto",
            {"provider": "rocm"},
            "provider must be one of 'auto', 'cuda', 'tensorrt', 'tensorrt-rtx', got 'rocm'",
        ),
        (
            "auto",
            {"provider": "tensorrt"},
            "has no provider 'tensorrt'; it has cuda: pass one of these or 'auto'",
        ),
        ("cpu", {"provider": "cuda"}, "provider='cuda' computes on a GPU, and device is 'cpu'; leave it out"),
        ("auto", {"memory": "fast"}, "memory must be one of 'auto', 'mapped', 'staged', got 'fast'"),
        ("auto", {"cuda_graph": 1}, "cuda_graph must be True or False, got 1"),
        ("auto", {"tf32": "no"}, "tf32 must be True or False, got 'no'"),
        ("auto", {"engine_cache": 5}, "engine_cache must be a folder's path, '' or None, got 5"),
        (
            "auto",
            {"provider_options": ["prefer_nhwc"]},
            r"provider_options must map names to texts, numbers, True or False, got \['prefer_nhwc'\]",
        ),
        ("auto", {"provider_options": {1: 1}}, "provider_options must map names"),
        ("auto", {"provider_options": {"prefer_nhwc": None}}, "provider_options must map names"),
        (
            "auto",
            {"provider_options": {"use_tf32": 1}},
            "provider_options must leave 'use_tf32' to edgevision: pass tf32",
        ),
        (
            "cpu",
            {"provider_options": {"prefer_nhwc": 1}},
            "provider_options are for one that computes on a GPU, and device is 'cpu'; leave it out",
        ),
        ("tpu", {}, "device must be 'auto', 'cpu', 'cuda' or 'cuda:<number>', got 'tpu'"),
    ],
)
def test_bad_options_are_refused(device: str, options: dict, words: str, machine: Machine) -> None:
    with pytest.raises(InputError, match=words):
        machine.open(tiny.relu(), device, **options)


def test_memory_is_chosen_by_the_device_and_may_be_forced(machine: Machine) -> None:
    machine.open(tiny.relu()).run({"x": ONES})
    assert machine.cuda.counts["copy"] > 0
    copies = machine.cuda.counts["copy"]
    machine.open(tiny.relu(), memory="mapped").run({"x": ONES})
    machine.cuda.info.integrated = True
    machine.open(tiny.relu()).run({"x": ONES})
    assert machine.cuda.counts["copy"] == copies
    machine.cuda.info.can_map_host = False
    with pytest.raises(BackendError, match="fake GPU cannot use mapped memory"):
        machine.open(tiny.relu(), memory="mapped")


# CUDA graphs


def test_a_graph_is_recorded_at_the_second_run_at_a_shape(machine: Machine) -> None:
    session = machine.open(tiny.doubling(["n", 3]))
    done = []
    for rows in (2, 2, 2, 2, 4, 4, 4, 4, 2):
        assert (session.run({"x": np.ones((rows, 3), np.float32)})["y"] == 2).all()
        done.append((machine.cuda.counts.get("capture", 0), machine.cuda.counts.get("launch", 0)))
    # The first run at a shape finds out what its outputs are, the second writes them into memory of ours.
    assert done == [(0, 0), (0, 0), (1, 1), (1, 2), (1, 2), (1, 2), (2, 3), (2, 4), (2, 4)]
    clone = session.clone()
    for value in range(5):
        assert (clone.run({"x": value * ONES})["y"] == 2 * value).all()
        assert (session.run({"x": ONES})["y"] == 2).all()
    assert machine.cuda.counts["capture"] == 4, "a clone has memory, so a graph, of its own"
    session.close()
    assert (clone.run({"x": 9 * ONES})["y"] == 18).all()


def test_no_graph_is_recorded_where_none_is_wanted_or_the_processor_computes(machine: Machine) -> None:
    sessions = [machine.open(tiny.relu(), cuda_graph=False)]
    machine.ort.on_cpu = ("Relu",)
    with pytest.warns(EdgeVisionWarning, match="nodes on cpu"):
        sessions.append(machine.open(tiny.relu()))
    for session in sessions:
        for _ in range(4):
            session.run({"x": ONES})
    assert "capture" not in machine.cuda.counts


@pytest.mark.parametrize(("version", "recorded"), [("1.30.2", False), ("1.31.0", True), ("2.0.0+gpu", True)])
def test_graphs_take_a_library_that_keeps_what_they_read(
    version: str, recorded: bool, machine: Machine
) -> None:
    machine.ort.__version__ = version
    session = machine.open(tiny.relu())
    for _ in range(4):
        assert (session.run({"x": -ONES})["y"] == 0).all()
    assert ("launch" in machine.cuda.counts) == recorded
    assert session.device == "cuda:0"


def test_runs_that_are_not_recorded_wait(machine: Machine) -> None:
    """Of those that do not, ONNX Runtime keeps memory for good."""
    session = machine.open(tiny.relu(), cuda_graph=False)
    for _ in range(4):
        session.run({"x": ONES})
    session.enqueue()
    assert machine.ort.unwaited == 0
    session = machine.open(tiny.relu())
    for _ in range(4):
        session.run({"x": ONES})
    assert machine.ort.unwaited == 1, "the recording"


def test_a_graph_that_needs_the_processor_is_refused_and_the_network_goes_on(machine: Machine) -> None:
    machine.cuda.host_work = 2
    session = machine.open(tiny.doubling(["n", 3]))
    session.run({"x": ONES})
    session.run({"x": ONES})
    with pytest.warns(EdgeVisionWarning, match="without a CUDA graph: 2 of its steps are the processor's"):
        session.run({"x": ONES})
    assert session.device == "cuda:0 (without a CUDA graph)"
    other = machine.open(tiny.doubling(["n", 3]))
    other.run({"x": ONES})
    other.run({"x": ONES})
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        with pytest.raises(EdgeVisionWarning, match="without a CUDA graph"):
            other.run({"x": ONES})
    for value in range(3):
        assert (session.run({"x": value * ONES})["y"] == 2 * value).all()
    assert "launch" not in machine.cuda.counts
    strict = machine.open(tiny.doubling(["n", 3]), strict=True)
    strict.run({"x": ONES})
    strict.run({"x": ONES})
    with pytest.raises(BackendError, match=r"cannot be launched as a CUDA graph: .*; pass cuda_graph=False"):
        strict.run({"x": ONES})


def test_a_network_that_cannot_be_recorded_goes_on(machine: Machine) -> None:
    session = machine.open(tiny.doubling(["n", 3]))
    session.run({"x": ONES})
    session.run({"x": ONES})
    real = session._run_bound

    def unsupported(binding: object, options: object) -> None:
        if next(iter(machine.cuda.streams.values())).capturing:
            raise RuntimeError("CUDA failure 900: operation not permitted when stream is capturing")
        real(binding, options)

    session._run_bound = unsupported
    with pytest.warns(EdgeVisionWarning, match="without a CUDA graph: CUDA failure 900"):
        session.run({"x": ONES})
    assert not any(stream.capturing for stream in machine.cuda.streams.values())
    for value in range(3):
        assert (session.run({"x": value * ONES})["y"] == 2 * value).all()


# Nodes that the processor computes


@pytest.mark.parametrize("tells", [True, False])
def test_nodes_on_the_processor_are_said(tells: bool, machine: Machine) -> None:
    machine.ort = FakeOnnxRuntime(machine.cuda, tells=tells)
    machine.ort.on_cpu = ("Conv", "Resize")
    said = "3 of 5 nodes on cpu: 2 Conv, Resize" if tells else "some nodes on cpu"
    with pytest.warns(EdgeVisionWarning, match=f"cannot run all of the model of .* bytes on the GPU: {said}"):
        session = machine.open(tiny.relu())
    assert session.device == f"cuda:0 ({said})"
    assert session.clone().device == session.device
    assert (session.run({"x": -ONES})["y"] == 0).all()
    with pytest.raises(BackendError, match=f"{said}; pass strict=False to run it so"):
        machine.open(tiny.relu(), strict=True)


@pytest.mark.parametrize("tells", [True, False])
def test_nodes_that_all_run_on_the_gpu_are_no_news(tells: bool, machine: Machine) -> None:
    machine.ort = FakeOnnxRuntime(machine.cuda, tells=tells)
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        assert machine.open(tiny.relu(), strict=True).device == "cuda:0"


def test_many_kinds_of_nodes_are_cut_short(machine: Machine) -> None:
    machine.ort.on_cpu = ("Conv", "Relu", "Resize", "NonZero")
    with pytest.warns(EdgeVisionWarning):
        session = machine.open(tiny.relu())
    assert session.device == "cuda:0 (5 of 5 nodes on cpu: 2 Conv, Relu, Resize, NonZero)"


@pytest.mark.parametrize("tells", [True, False])
def test_a_provider_that_does_not_start_is_told(tells: bool, machine: Machine) -> None:
    machine.ort = FakeOnnxRuntime(machine.cuda, tells=tells)
    machine.ort.started = ()
    with pytest.warns(
        EdgeVisionWarning, match="runs on the processor: its provider 'cuda' did not start: CUDA's"
    ):
        session = machine.open(tiny.relu())
    assert session.device == "cpu (the GPU's provider did not start)"
    assert (session.run({"x": -ONES})["y"] == 0).all()
    for device, strict in (("cuda", False), ("auto", True)):
        with pytest.raises(BackendError, match=r"could not start on cuda:0: .*onnxruntime-gpu\[cuda,cudnn\]"):
            machine.open(tiny.relu(), device, strict=strict)


def test_nothing_is_printed(machine: Machine, capsys: pytest.CaptureFixture[str]) -> None:
    machine.open(tiny.relu()).run({"x": ONES})
    assert capsys.readouterr() == ("", "")


def test_the_library_is_silenced_once(monkeypatch: pytest.MonkeyPatch) -> None:
    library = FakeOnnxRuntime(None)
    monkeypatch.setattr("edgevision.backends.onnxruntime.import_runtime", lambda *_: library)
    load_onnxruntime()
    assert library.severity == 4
    library.severity = 0
    load_onnxruntime()
    assert library.severity == 0, "who sets it afterwards keeps it"


@pytest.mark.parametrize("tells", [True, False])
def test_the_real_library_tells_its_nodes(
    tells: bool, machine: Machine, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The build for processors has one provider besides: it takes no node, and stands for a GPU that takes none."""
    import onnxruntime

    if "AzureExecutionProvider" not in onnxruntime.get_available_providers():
        pytest.skip("this build of onnxruntime has no second provider")
    can_tell = hasattr(onnxruntime.InferenceSession, "get_provider_graph_assignment_info")
    if tells and not can_tell:
        pytest.skip("this onnxruntime does not tell which provider has which node")
    monkeypatch.setattr("edgevision.backends.onnxruntime.load_onnxruntime", lambda: onnxruntime)
    monkeypatch.setattr("edgevision.backends.onnxruntime.can_tell_nodes", lambda library: tells)
    monkeypatch.setitem(
        sys.modules["edgevision.backends.ort_providers"].GPU_PROVIDERS, "cuda", "AzureExecutionProvider"
    )
    monkeypatch.setattr("edgevision.backends.ort_providers._provider_options", lambda *_: {})
    monkeypatch.setattr("edgevision.backends.onnxruntime._open_queue", lambda *_: None)
    said = "2 of 2 nodes on cpu: Conv, Relu" if tells else "some nodes on cpu"
    x = np.zeros((1, 3, 4, 4), np.float32)
    with pytest.warns(EdgeVisionWarning, match=said):
        session = machine.open(tiny.conv_relu(), "cuda", graph_optimization="none")
    assert session.device == f"cuda:0 ({said})"
    assert session.run({"x": x})["y"].shape == (1, 4, 4, 4)


# Loading


def test_a_model_is_loaded_on_the_gpu(
    machine: Machine, monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    monkeypatch.setattr("edgevision.engine_loading.installed_backends", lambda: ("onnxruntime",))
    monkeypatch.setattr("edgevision.engine_loading.find_gpu", lambda: machine.gpu)
    path = tmp_path / "m.onnx"
    path.write_bytes(tiny.relu(["n", 3]))
    assert networks_run_on_cuda()
    assert open_session(path, device="cuda").device == "cuda:0"
    spec = ev.ModelSpec(
        task="classify", inputs=(ev.ImageInput(name="x", size_hw=(1, 1)),), decoder=ev.Decoder(name="scores")
    )
    with pytest.raises(ev.SpecError, match="x"):  # the network is no image's, and was opened
        ev.load(path, "cuda", spec=spec)
    assert len(machine.ort.opened) == 2
