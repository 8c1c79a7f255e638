"""Which ONNX files of a model an engine is built from."""

from __future__ import annotations

import os
from dataclasses import dataclass
from pathlib import Path

from edgevision.engines.builders import Builder
from edgevision.errors import BackendError, InputError, ModelFileError
from edgevision.spec import (
    METADATA_KEY,
    ModelSpec,
    find_model,
    is_ultralytics,
    load_spec,
    read_onnx_header,
    read_onnx_numbers,
)
from edgevision.spec.bundle import Bundle, BundleFile, is_bundle, read_bundle
from edgevision.spec.onnx_data import check_onnx_data

__all__ = ["EngineSource", "bundle_roles", "find_source"]

_UNSIGNED = (
    "quantises to unsigned numbers, which is the form of int8 for ONNX Runtime; engines are built from the TensorRT "
    "form (signed, symmetric): model.int8-trt.onnx of a bundle exported with --precision int8"
)


@dataclass(frozen=True, slots=True)
class EngineSource:
    """An ONNX file to build from.

    spec:      None where the file has none: a part of a model, or a network of another tool.
    precision: "fp32", "fp16", "int8", ..., told from its tensors.
    bundle:    the bundle whose manifest lists it, and how; None for a lone file.
    """

    path: Path
    spec: ModelSpec | None
    precision: str
    bundle: Bundle | None = None
    entry: BundleFile | None = None


def find_source(
    model: str | os.PathLike[str], builder: Builder, *, form: str | None = None, part: str = "model"
) -> EngineSource:
    """The ONNX file of a bundle, or a lone one, to build with this builder.

    form: of a bundle: one of its forms; "int8" means the one for TensorRT. None: fp16 where it has that, else its
        first. A further part that has no such form is taken in fp32, as the runtime takes it.
    Raises InputError for a form or part that the bundle does not have, ModelFileError for a file that cannot be read,
    SpecError for a malformed spec, BackendError for int8 of the other form.
    """
    path = Path(model)
    if not is_bundle(path):
        if form is not None or part != "model":
            raise InputError(f"{path} is no bundle, so it has no forms or parts; name its .onnx file alone")
        file, kind = find_model(path)
        if kind == "engine":
            raise ModelFileError(f"{file} is an engine already; build from its .onnx file")
        return _examine(file, *_listed_in(file))
    bundle = read_bundle(path)
    entry = _choose_entry(bundle, builder, form, part)
    return _examine(bundle.path_of(entry), bundle, entry)


def bundle_roles(model: str | os.PathLike[str]) -> tuple[str, ...]:
    """The networks that a model consists of: "model" first, then "decoder", ...; only "model" of a lone file."""
    if not is_bundle(model):
        return ("model",)
    return tuple(dict.fromkeys(one.role for one in read_bundle(model).files if one.form))


def _listed_in(file: Path) -> tuple[Bundle | None, BundleFile | None]:
    """The bundle around a file that was named alone, and its entry there; None, None for a file of no bundle."""
    if is_bundle(file.parent):
        bundle = read_bundle(file.parent)
        for entry in bundle.files:
            if entry.form and entry.file == file.name:
                return bundle, entry
    return None, None


def _choose_entry(bundle: Bundle, builder: Builder, form: str | None, part: str) -> BundleFile:
    here = [
        one for one in bundle.networks(part) if builder.module in one.runtimes and one.file.endswith(".onnx")
    ]
    if not here:
        roles = ", ".join(bundle_roles(bundle.folder))
        raise InputError(f"{bundle.folder} has no part {part!r} for {builder.title}; its parts are {roles}")
    forms = {one.form: one for one in here}
    if form is None:
        return forms.get("fp16") or here[0]
    wanted = forms.get(form) or forms.get(f"{form}-trt")
    if wanted is None and part != "model":
        wanted = forms.get("fp32")
    if wanted is None:
        raise InputError(
            f"{bundle.folder} has no form {form!r} for {builder.title}; it has {', '.join(forms)}: export it with "
            f"--precision {form}"
        )
    return wanted


def _examine(path: Path, bundle: Bundle | None = None, entry: BundleFile | None = None) -> EngineSource:
    check_onnx_data(path)
    numbers = read_onnx_numbers(path)
    if numbers.unsigned:
        raise BackendError(f"{path}: node {numbers.unsigned[0]!r} {_UNSIGNED}")
    return EngineSource(path, _spec_of(path), numbers.precision, bundle, entry)


def _spec_of(path: Path) -> ModelSpec | None:
    metadata = read_onnx_header(path).metadata
    if METADATA_KEY in metadata or is_ultralytics(metadata) or path.with_suffix(".json").is_file():
        return load_spec(path)
    return None
