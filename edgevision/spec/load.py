"""From a path to a model file and its spec: bundles, ONNX files, engines, spec files."""

from __future__ import annotations

import os
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from stat import S_ISDIR

from edgevision.errors import InputError, ModelFileError, SpecError
from edgevision.spec.bundle import MANIFEST_NAME, bundle_part, is_bundle, read_bundle
from edgevision.spec.engine import (
    ENGINE_FORMAT,
    PART_ENGINE,
    engine_document_spec,
    engine_sidecar_path,
    read_engine_header,
)
from edgevision.spec.files import check_exists, read_small
from edgevision.spec.forms import choose_file
from edgevision.spec.json_codec import SPEC_FORMAT, spec_from_dict, spec_to_json
from edgevision.spec.model_spec import ModelSpec
from edgevision.spec.onnx_data import check_onnx_data
from edgevision.spec.onnx_io import read_onnx_io
from edgevision.spec.onnx_metadata import read_onnx_header, write_onnx_metadata
from edgevision.spec.onnx_numbers import read_onnx_numbers
from edgevision.spec.strict_json import MAX_TEXT_BYTES, parse_json
from edgevision.spec.ultralytics import is_ultralytics, spec_from_ultralytics

__all__ = ["METADATA_KEY", "ModelFile", "find_model", "find_part", "load_spec", "resolve_model", "write_spec"]

METADATA_KEY = "edgevision.spec"
"""The ONNX metadata key that holds the spec's JSON."""
ENGINE_SUFFIXES = (".engine", ".plan", ".trt")
_BUNDLE_MODEL = "model.onnx"
_GIVE_ONE = "give one: ev.load(path, spec='spec.json'), or export the checkpoint with edgevision export"


@dataclass(frozen=True, slots=True)
class ModelFile:
    """A model found: the file to run, its spec, and its kind, "onnx" or "engine".

    form:    what it computes with: "fp32", "fp16", "int8", "int8-trt"; "" where nothing tells.
    runtime: the backend to run it with; "" where the bundle leaves the choice open.
    """

    path: Path
    spec: ModelSpec
    kind: str
    form: str = ""
    runtime: str = ""


def resolve_model(
    path: str | os.PathLike[str],
    *,
    spec: ModelSpec | str | os.PathLike[str] | None = None,
    form: str | None = None,
    runtimes: Sequence[str] = (),
    device: str = "cpu",
) -> ModelFile:
    """The model that a path means: a bundle folder, a .onnx file or an engine.

    spec: the spec to use instead of the file's own, or the path of one.
    form, runtimes, device: which of a bundle's forms, see forms.choose_file; a lone file has no choice of forms.
    Raises ModelFileError when there is no such file, no model in the folder, it is of another kind, or the weights that it
    has in a file beside it are missing or cut off;
    SpecError when the model has no spec, or a malformed one; InputError for a form that is not there.
    """
    file, entry, runtime = _find(Path(path), form, runtimes, device)
    kind = "engine" if file.suffix in ENGINE_SUFFIXES else "onnx"
    if kind == "onnx":
        check_onnx_data(file)
    if spec is None:
        spec = _engine_spec(file) if kind == "engine" else _onnx_spec(file)
    elif not isinstance(spec, ModelSpec):
        spec = load_spec(spec)
    return ModelFile(file, spec, kind, entry or _form_of(file, kind), runtime)


def load_spec(path: str | os.PathLike[str]) -> ModelSpec:
    """The spec of a bundle folder, an ONNX file, an engine, or in a .json file.

    An ONNX file's is, in this order: its metadata key `edgevision.spec`; the file `<name>.json` beside it, if
    that is a spec; what Ultralytics' metadata says. Raises as `resolve_model` does.
    """
    path = Path(path)
    if path.suffix == ".json" and not S_ISDIR(check_exists(path).st_mode):
        return _read_spec_file(path)
    return resolve_model(path).spec


def write_spec(
    onnx_path: str | os.PathLike[str], spec: ModelSpec, *, out: str | os.PathLike[str] | None = None
) -> None:
    """Writes the spec into the metadata of an ONNX file, as `write_onnx_metadata` does."""
    write_onnx_metadata(onnx_path, {METADATA_KEY: spec_to_json(spec)}, out=out)


def find_model(path: str | os.PathLike[str]) -> tuple[Path, str]:
    """The file that a path means, and its kind, "onnx" or "engine"; its spec is not read. Of a bundle, its float form.

    Raises ModelFileError as `resolve_model` does.
    """
    file, _, _ = _find(Path(path), None, (), "cpu")
    return file, "engine" if file.suffix in ENGINE_SUFFIXES else "onnx"


def _find(path: Path, form: str | None, runtimes: Sequence[str], device: str) -> tuple[Path, str, str]:
    """The file to run, its form and its runtime, as far as a bundle's manifest tells them."""
    is_folder = S_ISDIR(check_exists(path).st_mode)
    if is_folder and is_bundle(path):
        bundle = read_bundle(path)
        file, runtime = choose_file(bundle, form=form, runtimes=runtimes, device=device)
        return bundle.path_of(file), file.form, runtime
    if form is not None:
        what = f"a folder without {MANIFEST_NAME}" if is_folder else "one file"
        raise InputError(
            f"form={form!r} chooses among the forms of a bundle, and {path} is {what}; leave it out"
        )
    if is_folder:
        path = _find_in_folder(path)
    if path.suffix == ".json":
        raise ModelFileError(f"{path} is a JSON file, not a model; load the .onnx or .engine file beside it")
    return path, "", ""


def _form_of(file: Path, kind: str) -> str:
    """The form of a file: by the bundle that it lies in, else by its own content."""
    if is_bundle(file.parent):
        for one in read_bundle(file.parent).files:
            if one.file == file.name:
                return one.form
    if kind == "engine":
        key = read_engine_header(file).key
        return key.precision if key is not None else ""
    return read_onnx_numbers(file).precision


def find_part(model: str | os.PathLike[str], role: str) -> Path:
    """The file of a further network of the bundle that a model's file belongs to, in the model's own form.

    Without a manifest: `<role>.onnx` beside the model. Raises ModelFileError when there is none.
    """
    path = Path(model)
    if is_bundle(path.parent):
        forms = [one.form for one in read_bundle(path.parent).files if one.file == path.name]
        return bundle_part(path.parent, role, *forms, suffix=path.suffix)
    part = path.with_name(role + path.suffix)
    if not part.is_file():
        raise ModelFileError(
            f"{path.name} needs {part.name} beside it, and {path.parent} has none; copy the whole folder, or export again"
        )
    if part.suffix == ".onnx":
        check_onnx_data(part)
    return part


def _find_in_folder(folder: Path) -> Path:
    """The bundle's model.onnx; else the only ONNX file, else the only engine."""
    if (folder / _BUNDLE_MODEL).is_file():
        return folder / _BUNDLE_MODEL
    try:
        files = sorted(entry for entry in folder.iterdir() if entry.is_file())
    except OSError as error:
        raise ModelFileError(f"cannot list the folder {folder}: {error.strerror or error}") from error
    for suffixes in ((".onnx",), ENGINE_SUFFIXES):
        found = [file for file in files if file.suffix in suffixes]
        if len(found) == 1:
            return found[0]
        if found:
            names = ", ".join(file.name for file in found[:8])
            raise ModelFileError(
                f"{folder} holds {len(found)} models and no {_BUNDLE_MODEL}; load one: {names}"
            )
    names = ", ".join(file.name for file in files[:8]) or "nothing"
    raise ModelFileError(
        f"{folder} is no bundle: it needs a {_BUNDLE_MODEL}, got {names}; make one with edgevision export"
    )


def _onnx_spec(path: Path) -> ModelSpec:
    metadata = read_onnx_header(path).metadata
    if METADATA_KEY in metadata:
        where = f"{path}, metadata key {METADATA_KEY}"
        return spec_from_dict(parse_json(metadata[METADATA_KEY], where), where)
    beside = path.with_suffix(".json")
    if beside.is_file() and _mentions_spec(beside):
        return _read_spec_file(beside)
    if is_ultralytics(metadata):
        inputs, outputs = read_onnx_io(path)
        try:
            return spec_from_ultralytics(metadata, inputs=inputs, outputs=outputs)
        except SpecError as error:
            raise SpecError(f"{path}: {error}") from error
    raise SpecError(
        f"{path} has no spec: its metadata holds neither the key {METADATA_KEY} nor Ultralytics' keys, and "
        f"{beside.name} beside it is {'no spec' if beside.exists() else 'not there'}; {_GIVE_ONE}"
    )


def _engine_spec(path: Path) -> ModelSpec:
    header = read_engine_header(path)
    if header.spec is not None:
        return header.spec
    if header.key is not None:
        raise SpecError(f"{path} {PART_ENGINE}")
    if is_ultralytics(header.metadata):
        try:
            return spec_from_ultralytics(header.metadata)
        except SpecError as error:
            raise SpecError(f"{path}: {error}") from error
    raise SpecError(f"{path} has no spec: {engine_sidecar_path(path).name} is not beside it; {_GIVE_ONE}")


def _read_spec_file(path: Path) -> ModelSpec:
    """The spec in a JSON file: a spec, or an engine's sidecar."""
    document = parse_json(read_small(path, MAX_TEXT_BYTES), str(path))
    if document.get("format") == ENGINE_FORMAT:
        return engine_document_spec(document, str(path))
    return spec_from_dict(document, str(path))


def _mentions_spec(path: Path) -> bool:
    """Whether a JSON file means to be a spec, were it malformed; others may share the model's name."""
    if path.stat().st_size > MAX_TEXT_BYTES:
        return False
    return SPEC_FORMAT.encode() in read_small(path, MAX_TEXT_BYTES)
