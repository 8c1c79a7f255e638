"""Engines kept in the user's cache folder: found, built once among processes, built again after a killed build."""

from __future__ import annotations

import json
import os
import signal
import subprocess
import sys
import threading
from dataclasses import replace
from pathlib import Path

import pytest

pytest.importorskip("tensorrt_rtx", reason="tensorrt_rtx is not installed")

import numpy as np
import tensorrt_rtx
from engine_networks import FLOAT, conv_relu, network, node

from edgevision.backends.engine_fit import Target
from edgevision.backends.gpu import Gpu
from edgevision.engines import BUILDERS, BuildOptions, ShapeRange
from edgevision.engines.cache import cache_path, find_cached, get_cached
from edgevision.errors import InputError, ModelFileError
from edgevision.spec import read_engine_header
from edgevision.spec.lock import hold_lock

RTX = BUILDERS["tensorrt-rtx"]
RTX_3060 = Target("tensorrt_rtx", tensorrt_rtx.__version__, Gpu("NVIDIA GeForce RTX 3060", "8.6", 28))
PLAIN = BuildOptions()


@pytest.fixture(autouse=True)
def folder(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> Path:
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path / "cache"))
    return tmp_path / "cache" / "edgevision" / "engines"


@pytest.fixture
def onnx(tmp_path: Path) -> Path:
    return conv_relu(tmp_path / "m.fp16.onnx", half=True)


def test_an_engine_is_built_once_for_the_gpu_and_then_found(onnx: Path, folder: Path) -> None:
    assert find_cached(onnx, RTX, RTX_3060, PLAIN) is None
    told: list[float] = []
    made = get_cached(onnx, RTX, RTX_3060, PLAIN, lambda share, note: told.append(share))
    assert made.built
    assert made.path.parent == folder
    assert made.path.name.startswith("m.fp16.rtx-")
    assert told[-1] == 1.0
    header = read_engine_header(made.path)
    assert header.key is not None
    assert (header.key.compute_capability, header.key.precision) == ("8.6", "fp16")
    told.clear()
    again = get_cached(onnx, RTX, RTX_3060, PLAIN, lambda share, note: told.append(share))
    assert (again.path, again.built, told) == (made.path, False, [])
    assert find_cached(onnx, RTX, RTX_3060, PLAIN) == made.path
    assert sorted(os.listdir(folder)) == sorted(made.path.name + end for end in ("", ".json", ".lock"))


def test_all_that_an_engine_depends_on_is_in_its_name(onnx: Path, tmp_path: Path) -> None:
    names = {
        cache_path(onnx, RTX, target, options).name
        for target, options in [
            (RTX_3060, PLAIN),
            (replace(RTX_3060, version="1.8.0"), PLAIN),
            (replace(RTX_3060, gpu=Gpu("NVIDIA GeForce RTX 3050", "8.6", 28)), PLAIN),
            (replace(RTX_3060, gpu=Gpu("NVIDIA GeForce RTX 3060", "8.9", 28)), PLAIN),
            (replace(RTX_3060, gpu=Gpu("NVIDIA GeForce RTX 3060", "8.6", 30)), PLAIN),
            (replace(RTX_3060, platform="linux-aarch64"), PLAIN),
            (replace(RTX_3060, platform="windows-x86_64"), PLAIN),
            (RTX_3060, BuildOptions(tf32=False)),
            (RTX_3060, BuildOptions(workspace=1 << 30)),
            (
                RTX_3060,
                BuildOptions(profiles={"images": ShapeRange((1, 3, 16, 16), (1, 3, 16, 16), (2, 3, 16, 16))}),
            ),
        ]
    }
    assert len(names) == 10
    assert cache_path(onnx, BUILDERS["tensorrt"], RTX_3060, PLAIN).name not in names
    # Where the timing cache lies changes no engine.
    assert cache_path(onnx, RTX, RTX_3060, BuildOptions(timing_cache="x")).name in names
    conv_relu(onnx, half=False)
    assert cache_path(onnx, RTX, RTX_3060, PLAIN).name not in names


def test_weights_beside_the_graph_are_part_of_the_name(tmp_path: Path) -> None:
    def write(value: float) -> Path:
        return network(
            tmp_path / "big.onnx",
            [node("MatMul", ["x", "w"], ["y"], name="m")],
            [("x", FLOAT, [1, 32])],
            [("y", FLOAT, [1, 32])],
            {"w": np.full((32, 32), value, "f4")},
            save_as_external_data=True,
            location="big.onnx.data",
            size_threshold=0,
        )

    first = cache_path(write(1.0), RTX, RTX_3060, PLAIN)
    (tmp_path / "big.onnx.data").unlink()
    assert cache_path(write(2.0), RTX, RTX_3060, PLAIN) != first


@pytest.mark.parametrize("damage", ["truncated plan", "no sidecar", "malformed sidecar", "of another GPU"])
def test_a_damaged_engine_is_built_again(damage: str, onnx: Path) -> None:
    path = get_cached(onnx, RTX, RTX_3060, PLAIN).path
    whole = path.read_bytes()
    sidecar = path.with_name(path.name + ".json")
    if damage == "truncated plan":
        path.write_bytes(whole[:1000])
    elif damage == "no sidecar":
        sidecar.unlink()
    elif damage == "malformed sidecar":
        sidecar.write_text("{")
    else:
        document = json.loads(sidecar.read_text())
        document["key"]["compute_capability"] = "7.5"
        sidecar.write_text(json.dumps(document))
    assert find_cached(onnx, RTX, RTX_3060, PLAIN) is None
    assert get_cached(onnx, RTX, RTX_3060, PLAIN).built
    assert find_cached(onnx, RTX, RTX_3060, PLAIN) == path
    assert path.stat().st_size == len(whole)


def test_a_gpu_that_is_no_target_of_the_builder_is_told(onnx: Path) -> None:
    orin = replace(RTX_3060, gpu=Gpu("Orin", "8.7", 8))
    with pytest.raises(InputError, match=r"there is no target 'sm87'.*Jetsons run TensorRT"):
        get_cached(onnx, RTX, orin, PLAIN)


def test_a_cache_folder_that_cannot_be_made_is_told(
    onnx: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    (tmp_path / "file").write_text("")
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path / "file"))
    with pytest.raises(
        ModelFileError, match=r"cannot lock .*file/edgevision/engines/m\.fp16\.rtx-.*\.lock: "
    ):
        get_cached(onnx, RTX, RTX_3060, PLAIN)


# Two processes

WORKER = """
import os, signal, sys
from edgevision.backends.engine_fit import Target
from edgevision.backends.gpu import Gpu
from edgevision.engines import BUILDERS, BuildOptions
from edgevision.engines.cache import get_cached

onnx, version, what = sys.argv[1:]
target = Target("tensorrt_rtx", version, Gpu("NVIDIA GeForce RTX 3060", "8.6", 28))
stopped = False

def progress(share, note):
    global stopped
    if note.startswith("waiting"):
        print(note, flush=True)
    elif what == "hold" and not stopped:
        stopped = True
        print("building", flush=True)
        sys.stdin.readline()
    elif what == "die":
        os.kill(os.getpid(), signal.SIGKILL)

done = get_cached(__import__("pathlib").Path(onnx), BUILDERS["tensorrt-rtx"], target, BuildOptions(), progress)
print("built" if done.built else "found", done.path, flush=True)
"""


def start(onnx: Path, what: str) -> subprocess.Popen[str]:
    return subprocess.Popen(
        [sys.executable, "-c", WORKER, str(onnx), tensorrt_rtx.__version__, what],
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
        text=True,
        env={**os.environ, "PYTHONPATH": os.pathsep.join(filter(None, sys.path))},
    )


def test_of_two_processes_one_builds_and_the_other_waits(onnx: Path, folder: Path) -> None:
    with start(onnx, "hold") as first:
        assert first.stdout is not None
        assert first.stdout.readline() == "building\n"
        with start(onnx, "wait") as second:
            assert second.stdout is not None
            # The holder is named while it holds: it goes on only after this line was read.
            assert second.stdout.readline() == f"waiting for process {first.pid}, which builds this engine\n"
            told, _ = first.communicate("go on\n")
            found, _ = second.communicate()
    path = find_cached(onnx, RTX, RTX_3060, PLAIN)
    assert (first.returncode, told) == (0, f"built {path}\n")
    assert (second.returncode, found) == (0, f"found {path}\n")
    assert len(list(folder.glob("*.engine"))) == 1


def test_a_killed_build_leaves_nothing_in_the_way(onnx: Path, folder: Path) -> None:
    with start(onnx, "die") as killed:
        assert killed.communicate()[0] == ""
    assert killed.returncode == -signal.SIGKILL
    path = cache_path(onnx, RTX, RTX_3060, PLAIN)
    assert os.listdir(folder) == [path.name + ".lock"]
    # What one leaves that is killed while it writes, and what another engine's build is writing meanwhile.
    (folder / f".{path.name}.0123456789ab.tmp").write_bytes(b"half a plan")
    (folder / ".another.rtx-0000.engine.0123456789ab.tmp").write_bytes(b"half a plan")
    assert get_cached(onnx, RTX, RTX_3060, PLAIN).built
    assert sorted(os.listdir(folder)) == [
        ".another.rtx-0000.engine.0123456789ab.tmp",
        *(path.name + end for end in ("", ".json", ".lock")),
    ]


# The lock


def test_the_lock_keeps_threads_out_too(tmp_path: Path) -> None:
    waiting, entered = threading.Event(), threading.Event()
    holders: list[int] = []

    def work() -> None:
        def on_wait(pid: int) -> None:
            holders.append(pid)
            waiting.set()

        with hold_lock(tmp_path / "l", on_wait):
            entered.set()

    with hold_lock(tmp_path / "l"):
        thread = threading.Thread(target=work)
        thread.start()
        assert waiting.wait(60)
        assert not entered.is_set()
    thread.join()
    assert entered.is_set()
    assert holders == [os.getpid()]


def test_a_wait_ends_when_told_to(tmp_path: Path) -> None:
    def give_up(pid: int) -> None:
        raise KeyboardInterrupt

    with hold_lock(tmp_path / "l"), pytest.raises(KeyboardInterrupt), hold_lock(tmp_path / "l", give_up):
        pytest.fail("the lock was not held")
    with hold_lock(tmp_path / "l", give_up):  # free again: nobody is asked
        pass


@pytest.mark.parametrize("content", [b"", b"what", b"-5", b"9" * 30])
def test_a_lock_file_with_anything_in_it_is_taken(content: bytes, tmp_path: Path) -> None:
    (tmp_path / "l").write_bytes(content)
    with hold_lock(tmp_path / "l"):
        assert int((tmp_path / "l").read_bytes()[:20]) == os.getpid()
