from __future__ import annotations

import os
from pathlib import Path

import pytest

import edgevision.spec
from edgevision.errors import ModelFileError, SpecError
from edgevision.spec import (
    METADATA_KEY,
    Decoder,
    EngineKey,
    ModelSpec,
    load_spec,
    resolve_model,
    spec_to_json,
    write_engine_sidecar,
    write_spec,
)

from .wire import entry, model

SPEC = ModelSpec(task="detect", decoder=Decoder(name="yolo"), labels=("spec",))
OTHER = SPEC.replace(labels=("other",))
TEXT = spec_to_json(SPEC)
ULTRALYTICS = [
    entry("task", "detect"),
    entry("stride", "32"),
    entry("imgsz", "[64, 64]"),
    entry("names", str({index: f"class{index}" for index in range(80)})),
]


def put(path: Path, data: bytes | str) -> Path:
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_bytes(data.encode() if isinstance(data, str) else data)
    return path


@pytest.mark.parametrize("name", edgevision.spec.__all__)
def test_every_public_name_exists(name: str) -> None:
    assert hasattr(edgevision.spec, name)


def test_public_names_are_sorted_and_listed_once() -> None:
    assert len(set(edgevision.spec.__all__)) == len(edgevision.spec.__all__)


def test_the_metadata_key_comes_before_a_spec_beside_and_that_before_ultralytics(tmp_path: Path) -> None:
    path = put(tmp_path / "m.onnx", model(*ULTRALYTICS))
    assert load_spec(path).labels[:2] == ("class0", "class1")
    put(tmp_path / "m.json", spec_to_json(OTHER, indent=2))
    assert load_spec(path) == OTHER
    write_spec(path, SPEC)
    assert load_spec(path) == SPEC
    assert resolve_model(path, spec=tmp_path / "m.json").spec == OTHER
    assert resolve_model(path, spec=OTHER).spec == OTHER


def test_a_model_with_nothing_to_go_by_says_how_to_give_a_spec(tmp_path: Path) -> None:
    path = put(tmp_path / "m.onnx", model())
    with pytest.raises(SpecError) as caught:
        load_spec(path)
    assert str(caught.value) == (
        f"{path} has no spec: its metadata holds neither the key edgevision.spec nor Ultralytics' keys, and "
        "m.json "
        "beside it is not there; give one: ev.load(path, spec='spec.json'), or export the checkpoint with "
        "edgevision export"
    )
    put(tmp_path / "m.json", '{"layers": []}')
    with pytest.raises(SpecError, match=r"m.json beside it is no spec; give one"):
        load_spec(path)


def test_a_json_that_is_no_spec_is_passed_over_a_malformed_spec_is_not(tmp_path: Path) -> None:
    path = put(tmp_path / "m.onnx", model(*ULTRALYTICS))
    put(tmp_path / "m.json", "not even JSON")
    assert load_spec(path).labels[0] == "class0"
    put(tmp_path / "m.json", TEXT[:-1])
    with pytest.raises(SpecError, match=r"m.json is not valid JSON: Expecting ',' delimiter"):
        load_spec(path)
    put(tmp_path / "m.json", " " * (4 << 20) + TEXT)
    assert load_spec(path).labels[0] == "class0"


def test_a_malformed_spec_in_the_metadata_names_file_and_key(tmp_path: Path) -> None:
    path = put(tmp_path / "m.onnx", model(entry(METADATA_KEY, TEXT.replace('"detect"', '"find"'))))
    with pytest.raises(SpecError) as caught:
        load_spec(path)
    assert str(caught.value).startswith(f"{path}, metadata key edgevision.spec: task must be one of classify")


def test_ultralytics_metadata_that_makes_no_spec_names_the_file(tmp_path: Path) -> None:
    path = put(tmp_path / "m.onnx", model(entry("task", "tracking"), *ULTRALYTICS[1:]))
    with pytest.raises(SpecError, match=r"m.onnx: the Ultralytics task must be one of detect, segment"):
        load_spec(path)


def test_a_bundle_is_its_model_onnx_else_its_only_model(tmp_path: Path) -> None:
    bundle = tmp_path / "bundle"
    only = put(bundle / "yolo.onnx", model(entry(METADATA_KEY, TEXT)))
    put(bundle / "golden.npz", "x")
    found = resolve_model(bundle)
    assert (found.path, found.kind, found.spec) == (only, "onnx", SPEC)
    whole = put(bundle / "model.onnx", model(entry(METADATA_KEY, spec_to_json(OTHER))))
    put(bundle / "model.fp16.onnx", b"")
    assert resolve_model(str(bundle)).path == whole
    assert load_spec(bundle) == OTHER


def test_an_engine_alone_in_a_folder_is_the_model(tmp_path: Path) -> None:
    engine = put(tmp_path / "m.engine", b"ftrt1234")
    write_engine_sidecar(engine, SPEC, EngineKey(backend="tensorrt", backend_version="10"))
    found = resolve_model(tmp_path)
    assert (found.path, found.kind, found.spec) == (engine, "engine", SPEC)


@pytest.mark.parametrize("suffix", [".engine", ".plan", ".trt"])
def test_engines_are_known_by_their_suffix(suffix: str, tmp_path: Path) -> None:
    found = resolve_model(put(tmp_path / f"m{suffix}", b"ftrt1234"), spec=SPEC)
    assert found.kind == "engine"


def test_a_spec_file_is_a_spec_but_no_model(tmp_path: Path) -> None:
    path = put(tmp_path / "spec.json", TEXT)
    assert load_spec(path) == SPEC
    with pytest.raises(
        ModelFileError, match=r"spec.json is a JSON file, not a model; load the .onnx or .engine"
    ):
        resolve_model(path)
    put(path, "{}")
    with pytest.raises(SpecError, match=r"spec.json: the spec is not of the format 'edgevision.spec'"):
        load_spec(path)


MISSING: dict[str, tuple[str, str]] = {
    "a typing error": ("yolo11.onnx", "does not exist; in {folder} there is yolo11n.onnx"),
    "another suffix": ("yolo11n.engine", "does not exist; in {folder} there is yolo11n.onnx"),
    "nothing alike": ("zzz", "does not exist; in {folder} there is yolo11n.onnx"),
    "no folder": (
        "models/m.onnx",
        "does not exist; the folder {folder}/models does not exist or cannot be listed",
    ),
    "below a file": (
        "yolo11n.onnx/m.onnx",
        "does not exist; the folder {folder}/yolo11n.onnx does not exist",
    ),
    "a spec": ("spec.json", "does not exist; in {folder} there is yolo11n.onnx"),
}


@pytest.mark.parametrize("case", MISSING.values(), ids=MISSING.keys())
def test_a_missing_path_is_met_with_the_nearest_names(case: tuple[str, str], tmp_path: Path) -> None:
    name, message = case
    put(tmp_path / "yolo11n.onnx", model())
    for find in (resolve_model, load_spec):
        with pytest.raises(ModelFileError) as caught:
            find(tmp_path / name)
        assert str(caught.value).startswith(f"{tmp_path / name} {message.format(folder=tmp_path)}")


def test_a_missing_path_in_a_folder_without_models_says_so(tmp_path: Path) -> None:
    put(tmp_path / "notes.txt", "x")
    with pytest.raises(ModelFileError, match=r"m.onnx does not exist; the folder .* holds no model"):
        load_spec(tmp_path / "m.onnx")


def test_a_path_that_no_system_takes_is_a_model_file_error() -> None:
    with pytest.raises(ModelFileError, match=r"^cannot look at a\x00b: "):
        load_spec("a\0b")
    with pytest.raises(ModelFileError, match=r"^cannot look at aaa"):
        load_spec("a" * 5000)


def test_folders_without_exactly_one_model_are_refused(tmp_path: Path) -> None:
    with pytest.raises(
        ModelFileError, match=r"is no bundle: it needs a model.onnx, got nothing; make one with"
    ):
        resolve_model(tmp_path)
    put(tmp_path / "notes.txt", "x")
    with pytest.raises(ModelFileError, match=r"is no bundle: it needs a model.onnx, got notes.txt"):
        resolve_model(tmp_path)
    put(tmp_path / "a.onnx", "x")
    put(tmp_path / "b.onnx", "x")
    with pytest.raises(ModelFileError, match=r"holds 2 models and no model.onnx; load one: a.onnx, b.onnx"):
        resolve_model(tmp_path)


def test_an_empty_file_is_called_empty(tmp_path: Path) -> None:
    for name in ("m.onnx", "m.engine", "m.json"):
        path = put(tmp_path / name, b"")
        with pytest.raises(ModelFileError) as caught:
            load_spec(path)
        assert str(caught.value) == f"{path} is empty (0 bytes); copy or export it again"


@pytest.mark.skipif(not hasattr(os, "mkfifo"), reason="needs named pipes")
def test_a_pipe_is_refused_without_waiting_for_it(tmp_path: Path) -> None:
    os.mkfifo(tmp_path / "m.onnx")
    with pytest.raises(ModelFileError, match=r"is not a regular file"):
        load_spec(tmp_path / "m.onnx")


def test_a_file_that_may_not_be_read_says_how_to_allow_it(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    path = put(tmp_path / "m.onnx", model())

    # Taking the permission away would not stop the superuser, whom containers often run tests as.
    def refuse(self: Path, mode: str) -> None:
        raise PermissionError(13, "Permission denied")

    monkeypatch.setattr(Path, "open", refuse)
    with pytest.raises(ModelFileError) as caught:
        load_spec(path)
    assert str(caught.value) == f"no permission to read {path}; allow it with: chmod u+r {path}"
