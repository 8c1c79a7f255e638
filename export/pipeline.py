"""A network that a family's script has read, to files on the disk: traced, compared with PyTorch, written whole."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from os import PathLike
from pathlib import Path
from typing import Any

from edgevision.errors import InputError
from edgevision.export.build import BuiltForm, PartBuilder
from edgevision.export.forms import FORMS, forms_of
from edgevision.export.golden import PartReference, run_network
from edgevision.export.judge import FormParity
from edgevision.export.network import Network
from edgevision.export.onnx_write import data_path
from edgevision.export.options import ExportOptions, Progress, quiet
from edgevision.export.pictures import Pictures, share_out
from edgevision.export.preprocessing import compare_preprocessing
from edgevision.export.report import write_report
from edgevision.export.staging import staged_folder
from edgevision.spec import ModelSpec
from edgevision.spec.bundle import BundleFile, describe_file, write_manifest

__all__ = ["ExportResult", "export_network"]


@dataclass(frozen=True, slots=True, eq=False)
class ExportResult:
    """What was written: the file or the bundle's folder, the model's spec, how far each form lies from PyTorch, and the
    content of report.json."""

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

    output: a name ending in .onnx: one file that describes itself, of the one precision asked for, with its weights in
        `<output>.data` where one file cannot hold them. Any other: a bundle folder. It appears whole or not at all; an
        older bundle of that name is replaced.
    Raises ExportError when the network cannot be traced or a form does not compute what PyTorch computes, InputError
    for options that do not fit, ModelFileError when the disk refuses.
    """
    options = options or ExportOptions()
    target = Path(output)
    single = target.suffix == ".onnx"
    forms = forms_of(options.precisions)
    if single:
        forms = forms[:1]
    _check_request(network, options, single)
    pictures = share_out(options, network.spec.source.random_weights)
    file = target.name if single else None
    with staged_folder(target, file=file) as folder:
        progress("running PyTorch", 0, 1)
        preprocessing = compare_preprocessing(network, pictures.golden)
        references = run_network(network, pictures.golden)
        judged = references
        if pictures.judged:
            judged = run_network(network, [*pictures.golden, *pictures.judged])
        progress("running PyTorch", 1, 1)
        built = _build_parts(network, forms, references, judged, pictures, folder, options, progress, file)
        report = write_report(
            network, built, references, pictures, preprocessing, options, None if single else folder
        )
        if not single:
            _write_manifest(network, built, folder)
    parity = tuple(row for one in built for row in one.parity)
    return ExportResult(target, built[0].spec, parity, report)


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
    if options.precisions[0] not in network.parts[0].precisions:
        raise InputError(
            f"this network is not exported in {options.precisions[0]}; its precisions: "
            f"{', '.join(network.parts[0].precisions)}"
        )


def _build_parts(
    network: Network,
    forms: Sequence[str],
    references: Sequence[PartReference],
    judged: Sequence[PartReference],
    pictures: Pictures,
    folder: Path,
    options: ExportOptions,
    progress: Progress,
    file: str | None,
) -> list[BuiltForm]:
    built: list[BuiltForm] = []
    model_outputs: list[dict[str, Any]] | None = None
    for reference, more in zip(references, judged, strict=True):
        part = reference.part
        builder = PartBuilder(network.spec, reference, more, pictures, folder, options, progress)
        builder.file = file
        wanted = [form for form in forms if FORMS[form].precision in part.precisions]
        if len(wanted) < len(forms) and "fp32" not in wanted:
            wanted.insert(0, "fp32")  # the form that stands in for those this part is not worth having in
        if part.feeds is not None and model_outputs is not None:
            builder.model_calibration = part.feeds(model_outputs)
        built += [builder.build(form) for form in wanted]
        others_need_it = any("int8" in other.precisions for other in network.parts[1:])
        if part.role == "model" and others_need_it and "int8" in options.precisions:
            model_outputs = builder.run_calibration()
    return built


def _write_manifest(network: Network, built: Sequence[BuiltForm], folder: Path) -> None:
    files: list[BundleFile] = [
        describe_file(folder, one.path.name, one.role, one.form, one.runtimes) for one in built
    ]
    data = [data_path(one.path) for one in built]
    files += [describe_file(folder, path.name, "data") for path in data if path.exists()]
    for name, content in network.files.items():
        (folder / name).write_bytes(content)
        files.append(describe_file(folder, name, "data"))
    roles = {"golden.npz": "golden", "report.json": "report", "report.md": "report"}
    known = {one.file for one in files}
    for path in sorted(folder.rglob("*")):
        name = path.relative_to(folder).as_posix()
        if path.is_file() and name not in known:
            files.append(describe_file(folder, name, roles.get(name, "picture")))
    write_manifest(folder, files)
