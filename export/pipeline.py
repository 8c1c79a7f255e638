"""A network that a family's script has read, to files on the disk: traced, compared with PyTorch, written whole."""

from __future__ import annotations

from contextlib import closing
from dataclasses import dataclass, replace
from os import PathLike
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from edgevision.backends.registry import open_session
from edgevision.errors import InputError
from edgevision.export.errors import ExportError
from edgevision.export.forms import FORMS, file_name, forms_of
from edgevision.export.golden import (
    GOLDEN_COUNT,
    Frame,
    PartReference,
    default_frames,
    read_frames,
    run_network,
)
from edgevision.export.network import Feeds, Network
from edgevision.export.onnx_graph import trace_part, write_model
from edgevision.export.options import ExportOptions, Progress, quiet
from edgevision.export.parity import TensorParity, check_parity, compare_outputs, run_session
from edgevision.export.precision import half_part
from edgevision.export.staging import staged_folder
from edgevision.spec import ModelSpec, write_spec
from edgevision.spec.bundle import BundleFile, describe_file, write_manifest

__all__ = ["ExportResult", "FormParity", "export_network"]

_LIMITS = {"fp32": 1e-4, "fp16": 2e-2}


@dataclass(frozen=True, slots=True)
class FormParity:
    """How far one file lies from PyTorch: a part in a form, run by a runtime."""

    role: str
    form: str
    file: str
    runtime: str
    tensors: tuple[TensorParity, ...]


@dataclass(frozen=True, slots=True, eq=False)
class ExportResult:
    """What was written: the file or the bundle's folder, its spec, and how far each form lies from PyTorch."""

    path: Path
    spec: ModelSpec
    parity: tuple[FormParity, ...]
    report: dict[str, Any]


def export_network(
    network: Network,
    output: str | PathLike[str],
    options: ExportOptions | None = None,
    progress: Progress = quiet,
) -> ExportResult:
    """The files of a network, written once every one of them agrees with PyTorch.

    output: a name ending in .onnx: one file that describes itself, of the one precision asked for. Any other: a bundle
        folder. Either appears whole or not at all; an older bundle of that name is replaced.
    Raises ExportError when the network cannot be traced or a form does not compute what PyTorch computes, InputError
    for options that do not fit, ModelFileError when the disk refuses.
    """
    options = options or ExportOptions()
    target = Path(output)
    single = target.suffix == ".onnx"
    forms = forms_of(options.precisions)
    _check_request(network, options, single)
    frames = _golden_frames(options)
    progress("PyTorch reference", 0, 1)
    references = run_network(network, frames)
    progress("PyTorch reference", 1, 1)
    parity: list[FormParity] = []
    files: list[BundleFile] = []
    spec = network.spec
    with staged_folder(target, file=file_name("model", forms[0]) if single else None) as folder:
        for index, form in enumerate(forms):
            for reference in references:
                progress(f"{form} of {reference.part.role}", index, len(forms))
                spec = _write_form(network, reference, form, options, folder)
                parity.append(_compare_form(network, reference, form, folder))
                name = file_name(reference.part.role, form)
                files.append(describe_file(folder, name, reference.part.role, form, FORMS[form].runtimes))
        if not single:
            for name, content in network.files.items():
                (folder / name).write_bytes(content)
                files.append(describe_file(folder, name, "data"))
            write_manifest(folder, files)
    return ExportResult(target, spec, tuple(parity), {})


def _check_request(network: Network, options: ExportOptions, single: bool) -> None:
    if not network.parts or network.parts[0].role != "model":
        raise InputError("the first part of a network must be 'model', the one that takes the image")
    if not single:
        return
    if len(network.parts) > 1:
        roles = ", ".join(part.role for part in network.parts)
        raise InputError(
            f"this model is {len(network.parts)} networks ({roles}); export a bundle: leave out .onnx"
        )
    if len(options.precisions) != 1:
        raise InputError(
            f"one .onnx file has one precision, got {', '.join(options.precisions)}; export a bundle: leave out .onnx"
        )


def _golden_frames(options: ExportOptions) -> list[Frame]:
    given = options.images
    if isinstance(given, (str, PathLike)) or len(given):
        return read_frames(given, GOLDEN_COUNT)
    return default_frames()


def _write_form(
    network: Network, reference: PartReference, form: str, options: ExportOptions, folder: Path
) -> ModelSpec:
    """The spec of the model in this form, once the part's file is written."""
    part, spec = reference.part, network.spec
    if FORMS[form].precision == "int8":
        raise ExportError("int8 is not part of this version; export fp32 or fp16")
    if FORMS[form].precision == "fp16":
        part = half_part(part, options.half_io)
        if options.half_io:
            spec = replace(spec, inputs=tuple(replace(one, dtype="float16") for one in spec.inputs))
    model = trace_part(part, batch=spec.inputs[0].batch, opset=options.opset)
    path = write_model(model, folder / file_name(part.role, form))
    if part.role == "model":
        write_spec(path, spec)
    return spec


def _compare_form(network: Network, reference: PartReference, form: str, folder: Path) -> FormParity:
    part = reference.part
    name = file_name(part.role, form)
    with closing(open_session(folder / name, backend="onnxruntime")) as session:
        found = run_session(session, reference.feeds)
        rows = compare_outputs(part.outputs, reference.outputs, found, reference.names, part.selected)
        check_parity(rows, _LIMITS[FORMS[form].precision])
        runtime = session.runtime
        if part.role == "model" and network.spec.inputs[0].batch is None:
            _check_batches(session, reference)
    return FormParity(part.role, form, name, runtime, tuple(rows))


def _check_batches(session: Any, reference: PartReference) -> None:
    """Batches of 1, 2 and 3 give what the images give one by one."""
    for count in (1, 2, 3):
        rows = [reference.feeds[i % len(reference.feeds)] for i in range(count)]
        first = rows[0]
        if any(one[name].shape != first[name].shape for one in rows for name in first):
            rows = [first] * count  # a canvas that follows the frame: only equal ones share a batch
        stacked: Feeds = {name: np.concatenate([one[name] for one in rows]) for name in first}
        wants = [
            {name: _stack(reference, name, rows) for name in reference.part.outputs},
        ]
        found = run_session(session, [stacked])
        label = [f"a batch of {count}"]
        check_parity(compare_outputs(reference.part.outputs, wants, found, label, reference.part.selected))


def _stack(reference: PartReference, name: str, rows: list[Feeds]) -> NDArray[Any]:
    index = {id(feed): i for i, feed in enumerate(reference.feeds)}
    return np.concatenate([reference.outputs[index[id(row)]][name] for row in rows])
