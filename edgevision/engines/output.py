"""Where an engine goes, and how it gets there: plan and sidecar whole, and the bundle's manifest naming them."""

from __future__ import annotations

import os
from pathlib import Path
from typing import BinaryIO

from edgevision.backends.gpu import Gpu
from edgevision.engines.builders import Builder
from edgevision.engines.options import BuildOptions
from edgevision.engines.plan import Plan
from edgevision.engines.source import EngineSource
from edgevision.errors import InputError, ModelFileError
from edgevision.spec import EngineKey, engine_sidecar_path
from edgevision.spec.bundle import describe_file, read_bundle, write_manifest
from edgevision.spec.engine import engine_sidecar_text
from edgevision.spec.files import atomic_writer, file_sha256

__all__ = ["engine_label", "engine_path", "list_in_manifest", "write_engine"]


def engine_label(targets: tuple[str, ...], gpu: Gpu | None, options: BuildOptions) -> str:
    """What an engine is for, in its file's name: "-sm86", "-sm80+86+89", "-ampere+"."""
    if targets:
        return "-sm" + "+".join(name.removeprefix("sm") for name in targets)
    if options.hardware_compatible == "ampere+":
        return "-ampere+"
    return "-sm" + gpu.compute_capability.replace(".", "") if gpu else ""


def engine_path(output: str | os.PathLike[str] | None, onnx: Path, label: str) -> Path:
    """Where the engine goes, known to be writable before a build that may take minutes."""
    path = onnx.with_name(f"{onnx.stem}.{label}.engine") if output is None else Path(output)
    if path.suffix not in (".engine", ".plan", ".trt"):
        raise InputError(f"the engine's name must end in .engine, .plan or .trt, got {str(path)!r}")
    if path.is_dir():
        raise InputError(f"{path} is a folder; name a file in it")
    folder = path.absolute().parent
    if not folder.is_dir():
        raise ModelFileError(f"the folder {folder} does not exist; make it first")
    if not os.access(folder, os.W_OK):
        raise ModelFileError(f"no permission to write to the folder {folder}; give another output")
    return path


def write_engine(path: Path, plan: Plan, key: EngineKey, source: EngineSource) -> Path:
    """The sidecar's path, once both files are in place.

    Both are complete under temporary names before either takes its own, and an older sidecar goes before the new plan
    comes: a failure leaves the older pair as it was, and no sidecar ever lies beside another plan than its own.
    """
    sidecar = engine_sidecar_path(path)
    text = engine_sidecar_text(
        source.spec,
        key,
        len(plan.data),
        onnx_sha256=file_sha256(source.path),
        inputs=plan.inputs,
        outputs=plan.outputs,
    )
    with atomic_writer(sidecar) as beside:
        _write_out(beside, text)
        with atomic_writer(path) as file:
            _write_out(file, plan.data)
            sidecar.unlink(missing_ok=True)
    return sidecar


def _write_out(file: BinaryIO, data: bytes | memoryview) -> None:
    """Writes to the disk itself, which may be full."""
    file.write(data)
    file.flush()
    os.fsync(file.fileno())


def list_in_manifest(source: EngineSource, path: Path, builder: Builder) -> None:
    """Adds the engine and its sidecar to the bundle's manifest, as it is now."""
    if source.bundle is None or source.entry is None:
        return
    folder = source.bundle.folder
    name = path.relative_to(folder).as_posix()
    entries = [
        describe_file(folder, name, source.entry.role, source.entry.form, (builder.module,)),
        describe_file(folder, f"{name}.json", "sidecar"),
    ]
    new = {one.file for one in entries}
    kept = [one for one in read_bundle(folder).files if one.file not in new]
    write_manifest(folder, [*kept, *entries])
