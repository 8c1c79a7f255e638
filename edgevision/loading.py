"""A model out of its file: spec, network and task put together."""

from __future__ import annotations

import warnings
from collections.abc import Sequence
from contextlib import ExitStack
from functools import partial
from os import PathLike
from pathlib import Path
from typing import Any

from edgevision.backends.base import Session
from edgevision.backends.registry import ENGINE_BACKENDS, check_backend, installed_backends, open_session
from edgevision.engine_loading import find_engine
from edgevision.engines.monitor import ProgressFn
from edgevision.engines.options import BuildOptions
from edgevision.errors import RandomWeightsWarning
from edgevision.model import Model
from edgevision.promptable import PromptableModel
from edgevision.spec import ModelFile, ModelSpec, find_part, resolve_model
from edgevision.tasks.options import RunOptions, override_options
from edgevision.texts import open_texts

__all__ = ["load"]


def load(
    path: str | PathLike[str],
    device: str = "auto",
    *,
    backend: str | None = None,
    form: str | None = None,
    spec: ModelSpec | str | PathLike[str] | None = None,
    frame_format: str = "bgr",
    confidence: float | None = None,
    iou: float | None = None,
    max_detections: int | None = None,
    classes: Sequence[int | str] | int | str | None = None,
    class_agnostic: bool | None = None,
    build: bool | BuildOptions = False,
    progress: ProgressFn | None = None,
    **session_options: Any,
) -> Model | Any:  # Any: a caller knows which kind its file holds, and should not have to say so twice
    """A model ready to be called; for task "promptable" a `PromptableModel`, ready for `set_image` and `predict`.

    path:    a bundle folder, a .onnx file or an engine, with edgevision's or Ultralytics' metadata.
    device:  "cpu"; "cuda" or "cuda:1"; "auto": the first GPU where an engine for it is there, else the processor.
    backend: "onnxruntime", "openvino", "tensorrt" or "tensorrt_rtx"; None: TensorRT where an engine fits the GPU, else
        the first that is installed, in this order.
    form:    which of a bundle's files: "fp32", "fp16" or "int8"; None takes the fastest that runs well on the device (see
        docs/bundle.md). `Model.form` tells which it is.
    spec:    how to use a network that does not say it itself: a ModelSpec, or a JSON file that holds one.
    frame_format: "bgr" (OpenCV's order) or "rgb": the channel order of the frames that will be given.
    confidence, iou, max_detections, classes, class_agnostic: replace the spec's thresholds.
    build:   where no engine fits the GPU: False refuses, True builds one, which takes minutes, and keeps it in the user's
        cache folder; engines.BuildOptions builds so. progress: is told how far a build is (engines.ProgressFn).
    session_options: fields of backends.OnnxRuntimeOptions, OpenVinoOptions or TensorRtOptions (threads, memory, ...).
    Raises ModelFileError, SpecError, InputError, MissingDependencyError or BackendError (EngineMismatchError for an engine
    of another GPU or version), each saying what to do.
    """
    thresholds = {
        "confidence": confidence,
        "iou": iou,
        "max_detections": max_detections,
        "classes": classes,
        "class_agnostic": class_agnostic,
    }
    engine = find_engine(
        path,
        device,
        backend=backend,
        form=form,
        build=build,
        progress=progress,
        session_options=session_options,
    )
    file: ModelFile
    if engine is not None:
        file = resolve_model(engine.path, spec=spec)
        backend = engine.backend
    else:
        others = [name for name in installed_backends() if name not in ENGINE_BACKENDS]
        file = resolve_model(
            path,
            spec=spec,
            form=form,
            runtimes=others if backend is None else [check_backend(backend)],
            device="cuda" if str(device).startswith("cuda") else "cpu",
        )
        backend = backend or file.runtime or None
    with ExitStack() as opened:

        def open_network(network: Path) -> Session:
            session = open_session(network, backend=backend, device=device, **session_options)
            opened.callback(session.close)
            return session

        session = open_network(file.path)
        model: Model | PromptableModel
        if file.spec.task == "promptable":
            override_options(RunOptions(), thresholds, accepted=frozenset(), task="promptable", labels=())
            part = engine.find_part("decoder") if engine else find_part(file.path, "decoder")
            model = PromptableModel(file.spec, session, open_network(part), frame_format=frame_format)
        else:
            if engine is not None:  # prompts are encoded once: the processor will do
                texts = partial(open_texts, engine.home, device="cpu")
            else:
                texts = partial(open_texts, file.path, backend=backend, device=device, **session_options)
            model = Model(file.spec, session, frame_format=frame_format, texts=texts)
            model.set_options(**thresholds)
        model.form = file.form
        opened.pop_all()
    if file.spec.source.random_weights:
        warnings.warn(
            f"the weights of {file.path} are random: it serves to measure time, its results mean nothing",
            RandomWeightsWarning,
            stacklevel=2,
        )
    return model
