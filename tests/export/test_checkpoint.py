"""Checkpoints are read without running what a pickle can carry."""

from __future__ import annotations

import os
import pickle
from pathlib import Path

import pytest

torch = pytest.importorskip("torch", reason="torch is not installed")

from edgevision.errors import ModelFileError  # noqa: E402
from edgevision.export.checkpoint import load_checkpoint  # noqa: E402
from edgevision.export.ultralytics_library import import_ultralytics  # noqa: E402
from edgevision.spec.files import file_sha256  # noqa: E402


class RunsCode:
    """Unpickling it makes a file: what a hostile checkpoint would do, made harmless."""

    def __init__(self, path: Path) -> None:
        self.path = path

    def __reduce__(self):
        return os.mkdir, (str(self.path),)


def test_plain_tensors_and_layers_are_read(tmp_path: Path) -> None:
    module = torch.nn.Sequential(torch.nn.Conv2d(3, 4, 3), torch.nn.BatchNorm2d(4), torch.nn.SiLU())
    torch.save({"weights": module.state_dict(), "module": module, "epoch": 3}, tmp_path / "a.pt")
    found = load_checkpoint(tmp_path / "a.pt")
    assert found["epoch"] == 3
    image = torch.rand(1, 3, 8, 8)
    assert torch.equal(found["module"].eval()(image), module.eval()(image))


@pytest.mark.parametrize("zipped", [True, False], ids=["zip", "old format"])
def test_a_checkpoint_that_runs_code_is_refused_and_nothing_runs(tmp_path: Path, zipped: bool) -> None:
    victim = tmp_path / "made by the checkpoint"
    torch.save({"model": RunsCode(victim)}, tmp_path / "a.pt", _use_new_zipfile_serialization=zipped)
    with pytest.raises(ModelFileError, match="--trust-checkpoint"):
        load_checkpoint(tmp_path / "a.pt")
    assert not victim.exists()
    load_checkpoint(tmp_path / "a.pt", trust=True)
    assert victim.exists(), "the test's pickle does run code when it is trusted"


def test_a_layer_that_is_called_is_refused(tmp_path: Path) -> None:
    class Calls:
        def __reduce__(self):
            return torch.nn.Linear, (3, 4)

    torch.save({"model": Calls()}, tmp_path / "a.pt")
    with pytest.raises(
        ModelFileError, match=r"calls torch.nn.modules.linear.Linear, which a checkpoint has no need of"
    ):
        load_checkpoint(tmp_path / "a.pt")


def test_a_constructor_that_evaluates_text_is_not_called(tmp_path: Path) -> None:
    pytest.importorskip("ultralytics", reason="ultralytics is not installed")
    import_ultralytics("this test")
    from ultralytics.nn.tasks import DetectionModel

    victim = tmp_path / "made by the checkpoint"
    definition = {
        "nc": 1,
        "activation": f"__import__('os').mkdir({str(victim)!r})",
        "backbone": [[-1, 1, "Conv", [8, 3, 2]]],
        "head": [],
    }

    class Builds:
        def __reduce__(self):
            return DetectionModel, (definition,)

    torch.save({"model": Builds()}, tmp_path / "a.pt")
    with pytest.raises(ModelFileError, match=r"calls ultralytics\.nn\.tasks\.DetectionModel"):
        load_checkpoint(tmp_path / "a.pt")
    assert not victim.exists()


def test_a_function_in_an_admitted_package_is_refused(tmp_path: Path) -> None:
    class CallsFunction:
        def __reduce__(self):
            return torch.nn.modules.utils.consume_prefix_in_state_dict_if_present, ({}, "")

    torch.save({"model": CallsFunction()}, tmp_path / "a.pt")
    with pytest.raises(ModelFileError, match="which is no layer"):
        load_checkpoint(tmp_path / "a.pt")


@pytest.mark.parametrize(
    "content",
    [b"", b"not a checkpoint", b"PK\x03\x04 broken", pickle.dumps({"a": 1})[:-2], b"\x80\x02}q"],
    ids=["empty", "text", "broken zip", "broken pickle", "cut pickle"],
)
def test_a_broken_file_is_a_model_file_error(tmp_path: Path, content: bytes) -> None:
    (tmp_path / "a.pt").write_bytes(content)
    with pytest.raises(ModelFileError, match=r"a\.pt"):
        load_checkpoint(tmp_path / "a.pt")


def test_a_file_of_another_kind_is_named(tmp_path: Path) -> None:
    path = tmp_path / "best.pt"
    path.write_bytes(b"\x89PNG\r\n\x1a\n" + bytes(100))
    with pytest.raises(ModelFileError, match=r"best\.pt is no PyTorch checkpoint: it is a PNG image"):
        load_checkpoint(path)


def test_safetensors_are_read_as_a_state_dict(tmp_path: Path) -> None:
    safetensors = pytest.importorskip("safetensors.torch", reason="safetensors is not installed")
    weights = torch.nn.Linear(2, 3).state_dict()
    safetensors.save_file(weights, tmp_path / "a.safetensors")
    found = load_checkpoint(tmp_path / "a.safetensors")
    assert sorted(found) == ["bias", "weight"]
    assert torch.equal(found["weight"], weights["weight"])
    (tmp_path / "b.safetensors").write_bytes(b"nothing of the kind")
    with pytest.raises(ModelFileError, match=r"b\.safetensors is no safetensors file"):
        load_checkpoint(tmp_path / "b.safetensors")


def test_a_missing_file_is_a_model_file_error(tmp_path: Path) -> None:
    with pytest.raises(ModelFileError, match="there is no checkpoint"):
        load_checkpoint(tmp_path / "none.pt")


def test_a_class_that_is_not_installed_is_named(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    import sys
    import types

    module = types.ModuleType("ultralytics.nn.modules.imagined")
    module.Layer = type("Layer", (torch.nn.Module,), {"__module__": module.__name__})
    monkeypatch.setitem(sys.modules, module.__name__, module)
    torch.save({"model": module.Layer()}, tmp_path / "a.pt")
    monkeypatch.undo()
    pytest.importorskip("ultralytics", reason="ultralytics is not installed")
    with pytest.raises(
        ModelFileError, match=r"imagined\.Layer, which the installed ultralytics does not have"
    ):
        load_checkpoint(tmp_path / "a.pt")


def test_sha256_is_the_files(tmp_path: Path) -> None:
    (tmp_path / "a").write_bytes(b"abc")
    # The example of FIPS 180-4.
    assert file_sha256(tmp_path / "a") == "ba7816bf8f01cfea414140de5dae2223b00361a396177a9cb410ff61f20015ad"
