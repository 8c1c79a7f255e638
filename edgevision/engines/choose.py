"""Which engine of a model runs on the GPU here: one that lies with it, one in the cache, or one built now if allowed.

This is the only place where a load may build. It is over before the first frame: a session never builds.
"""

from __future__ import annotations

import glob
import os
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from edgevision.backends.engine_fit import Target, check_fit, describe_gpu
from edgevision.backends.gpu import explain_no_gpu, find_gpu
from edgevision.backends.trt_engine import gpu_index, import_tensorrt
from edgevision.engines.build import key_options
from edgevision.engines.builders import BUILDERS, Builder
from edgevision.engines.cache import find_cached, get_cached
from edgevision.engines.monitor import ProgressFn
from edgevision.engines.options import BuildOptions, check_offered
from edgevision.engines.source import EngineSource, find_source
from edgevision.errors import BackendError, EdgeVisionError, EngineMismatchError, ModelFileError
from edgevision.spec import FORM_ORDER, is_bundle, read_bundle, read_engine_header
from edgevision.spec.files import file_sha256
from edgevision.spec.load import ENGINE_SUFFIXES

__all__ = ["EngineChoice", "choose_engine"]


@dataclass(frozen=True, slots=True)
class EngineChoice:
    """The engine to run. home: the file of the model that it belongs to, beside which its other parts lie.
    built: whether it was built just now."""

    path: Path
    home: Path
    built: bool = False


def choose_engine(
    model: str | os.PathLike[str],
    *,
    backend: str,
    device: str = "auto",
    form: str | None = None,
    part: str = "model",
    build: bool = False,
    options: BuildOptions | None = None,
    progress: ProgressFn | None = None,
) -> EngineChoice:
    """The engine of a bundle, an ONNX file, or an engine's file, that fits the GPU here.

    backend: "tensorrt" or "tensorrt_rtx". form, part: of a bundle, as `build_engine` has them.
    build:   False: raises EngineMismatchError, or BackendError where the model has no engine at all; True: builds one
        from the ONNX file into the user's cache folder.
    options: how it is built, and how an engine that is there already must have been built; None: anyhow.
    Raises BackendError without a GPU, and as `build_engine` does.
    """
    index = gpu_index(device)
    trt = import_tensorrt(backend)
    gpu = find_gpu(index=index)
    if gpu is None:
        raise BackendError(f"{model} cannot run on {device!r}: {explain_no_gpu(index=index)}")
    target = Target(backend, trt.__version__, gpu)
    builder = BUILDERS[backend.replace("_", "-")]
    asked: dict[str, Any] = {}
    if options is not None:
        check_offered(options, builder)
        asked = dict(key_options(options, options.profiles))
    options = options or BuildOptions()
    path = Path(model)
    source, fault = _find_onnx(path, builder, form, part)
    refused: list[EdgeVisionError] = []
    for engine in _engines_of(path, builder, source, form, part):
        try:
            _check_engine(engine, builder, target, asked)
        except EdgeVisionError as error:
            refused.append(error)
            continue
        return EngineChoice(engine, source.path if source else engine)
    if source is not None:
        cached = find_cached(source.path, builder, target, options)
        if cached is not None:
            return EngineChoice(cached, source.path)
        if build:
            _check_first(index, builder)
            made = get_cached(source.path, builder, target, options, progress)
            return EngineChoice(made.path, source.path, made.built)
    if fault is not None and (build or not refused):
        raise fault
    if refused:
        raise refused[0]
    raise BackendError(
        f"{path} has no engine for {target}; have it built: ev.load(MODEL, 'cuda', build=True), or "
        f"edgevision build {path} --backend {builder.name}"
    )


def _check_first(index: int, builder: Builder) -> None:
    """TensorRT builds on the current GPU, which is the first."""
    first, wanted = find_gpu(index=0), find_gpu(index=index)
    if builder.ahead or first is None or wanted is None or first == wanted:
        return
    # What is visible already is counted anew: of "2,3", GPU 1 is the one that the system calls 3.
    visible = os.environ.get("CUDA_VISIBLE_DEVICES", "").split(",")
    number = visible[index].strip() if index < len(visible) else str(index)
    raise BackendError(
        f"{builder.title} builds on the first GPU, {describe_gpu(first)}, and GPU {index} is another, "
        f"{describe_gpu(wanted)}; make it the first: CUDA_VISIBLE_DEVICES={number}, with device='cuda'"
    )


def _find_onnx(
    path: Path, builder: Builder, form: str | None, part: str
) -> tuple[EngineSource | None, EdgeVisionError | None]:
    """What an engine of the model is or would be built from; None and the reason where there is nothing."""
    try:
        if path.suffix.lower() not in ENGINE_SUFFIXES:
            return find_source(path, builder, form=form, part=part), None
        if is_bundle(path.parent):
            for one in read_bundle(path.parent).files:
                if one.file == path.name and one.form:
                    return find_source(path.parent, builder, form=one.form, part=one.role), None
        # model.fp16.trt-sm87.engine was built from model.fp16.onnx.
        for stem in (path.name.partition(f".{builder.tag}-")[0], path.stem):
            if path.with_name(f"{stem}.onnx").is_file():
                return find_source(path.with_name(f"{stem}.onnx"), builder), None
        return None, ModelFileError(f"{path} has no .onnx file beside it to build a fitting engine from")
    except EdgeVisionError as error:
        return None, error


def _engines_of(
    path: Path, builder: Builder, source: EngineSource | None, form: str | None, part: str
) -> list[Path]:
    """The engines that lie with the model, those to be preferred first."""
    if path.suffix.lower() in ENGINE_SUFFIXES:
        return [path]
    if not is_bundle(path):
        if source is None:
            return []
        name = f"{glob.escape(source.path.stem)}.{builder.tag}-*.engine"
        return sorted(source.path.parent.glob(name))
    bundle = read_bundle(path)
    order: tuple[str, ...] = FORM_ORDER["cuda"] if form is None else (form, f"{form}-trt")
    if source is not None and source.entry is not None and part != "model":
        order = (source.entry.form,)  # a part that has not every form runs in the one it has
    found = [
        one
        for one in bundle.networks(part)
        if builder.module in one.runtimes and one.file.endswith(ENGINE_SUFFIXES) and one.form in order
    ]
    return [bundle.path_of(one) for one in sorted(found, key=lambda one: order.index(one.form))]


def _check_engine(engine: Path, builder: Builder, target: Target, asked: Mapping[str, Any]) -> None:
    """Raises EngineMismatchError for an engine of something else, ModelFileError or SpecError for a damaged one. One
    without a key is left to the runtime to judge."""
    header = read_engine_header(engine)
    if header.key is None:
        return
    check_fit(engine, header.key, target, asked)
    stem, tag, _ = engine.name.partition(f".{builder.tag}-")
    onnx = engine.with_name(f"{stem}.onnx")
    if tag and header.onnx_sha256 and onnx.is_file() and file_sha256(onnx) != header.onnx_sha256:
        raise EngineMismatchError(
            str(engine), (f"it was built from another {onnx.name} than lies beside it",)
        )
