"""A model ready to be called: spec + session + task."""

from __future__ import annotations

import warnings
from collections.abc import Iterator, Sequence
from contextlib import ExitStack
from os import PathLike
from pathlib import Path
from time import perf_counter_ns
from types import TracebackType
from typing import Any, overload

import numpy as np
from numpy.typing import NDArray

from edgevision.backends.base import Session
from edgevision.backends.registry import check_backend, installed_backends, open_session
from edgevision.errors import InputError, RandomWeightsWarning
from edgevision.promptable import PromptableModel
from edgevision.results import Result
from edgevision.spec import ModelSpec, find_part, resolve_model
from edgevision.tasks.base import Task
from edgevision.tasks.options import RunOptions, override_options
from edgevision.tasks.registry import open_task
from edgevision.tasks.tensors import check_image, check_tensors
from edgevision.timings import Timings

__all__ = ["Model", "load"]

_MAX_BATCH = 16
"""Images per run of a network that takes any batch: larger ones gain nothing on a CPU and cost memory."""


class Model:
    """Callable on one image or a list of images; gives the spec's kind of result for each.

    One model serves one thread; `clone` gives another thread its own, sharing the weights.
    """

    def __init__(
        self,
        spec: ModelSpec,
        session: Session,
        *,
        options: RunOptions | None = None,
        frame_format: str = "bgr",
    ) -> None:
        """spec, session: as `load` opens them, which also sets `form`: the numbers that the network computes with,
        "fp32", "fp16", "int8" or "int8-trt", or "" where nothing tells. options: None takes the spec's thresholds."""
        check_tensors(spec, session.inputs)
        self.spec = spec
        self.session = session
        self.form = ""
        self.timings = Timings()
        self.options = options or _default_options(spec)
        self._frame_format = frame_format
        self._task: Task = open_task(spec, [tensor.name for tensor in session.outputs], frame_format)
        self._batch = next(t for t in session.inputs if t.name == spec.inputs[0].name).shape[0]

    @property
    def task(self) -> str:
        """The task's name, e.g. "detect"."""
        return self.spec.task

    @property
    def labels(self) -> tuple[str, ...]:
        """Class names by class id; empty when the model carries none."""
        return self.spec.labels

    @property
    def device(self) -> str:
        """Where the network really runs."""
        return self.session.device

    @overload
    def __call__(
        self,
        images: NDArray[Any],
        *,
        confidence: float | None = ...,
        iou: float | None = ...,
        max_detections: int | None = ...,
        classes: Sequence[int | str] | int | str | None = ...,
        class_agnostic: bool | None = ...,
    ) -> Any: ...

    @overload
    def __call__(
        self,
        images: Sequence[NDArray[Any]],
        *,
        confidence: float | None = ...,
        iou: float | None = ...,
        max_detections: int | None = ...,
        classes: Sequence[int | str] | int | str | None = ...,
        class_agnostic: bool | None = ...,
    ) -> list[Any]: ...

    def __call__(
        self,
        images: NDArray[Any] | Sequence[NDArray[Any]],
        *,
        confidence: float | None = None,
        iou: float | None = None,
        max_detections: int | None = None,
        classes: Sequence[int | str] | int | str | None = None,
        class_agnostic: bool | None = None,
    ) -> Any:
        """The result of one image, or the list of results of a list of images.

        images: uint8 (H, W, 3) in the model's frame_format (BGR unless `load` was told otherwise), (H, W, 4) with
            alpha last, or (H, W) grey; the images of a list may differ in size.
        confidence, iou, max_detections, classes, class_agnostic: override the model's own for this call.
        Raises InputError for anything else, BackendError when the runtime fails. `timings` tells the stages' time.
        """
        options = self.options
        if not (confidence is iou is max_detections is classes is class_agnostic is None):
            options = self._override(
                confidence=confidence,
                iou=iou,
                max_detections=max_detections,
                classes=classes,
                class_agnostic=class_agnostic,
            )
        if isinstance(images, np.ndarray):
            check_image(images, "image")
            return self._run([images], options)[0]
        if not isinstance(images, (list, tuple)):
            raise InputError(
                f"image must be a uint8 array (H, W, 3), or a list of them, got {type(images).__name__}"
                + ("; read a file with edgevision.read_image(path)" if _is_path(images) else "")
            )
        for index, image in enumerate(images):
            check_image(image, f"images[{index}]")
        return self._run(images, options) if images else []

    def _run(self, images: Sequence[NDArray[Any]], options: RunOptions) -> list[Result]:
        task, session = self._task, self.session
        results: list[Result] = []
        preprocess = inference = postprocess = 0
        for chunk in _chunks(images, self._batch or _MAX_BATCH):
            start = perf_counter_ns()
            placements = task.prepare(chunk, session.input_buffer, self._batch)
            prepared = perf_counter_ns()
            outputs = session.run()
            inferred = perf_counter_ns()
            results += task.finish(outputs, placements, options)
            postprocess += perf_counter_ns() - inferred
            preprocess += prepared - start
            inference += inferred - prepared
        self.timings = Timings(preprocess / 1e6, inference / 1e6, postprocess / 1e6)
        return results

    def warmup(self, runs: int = 3) -> Model:
        """This model after `runs` whole calls on a black frame, so that the first real one is no slower."""
        height, width = self.spec.inputs[0].size_hw
        frame = np.zeros((height, width, 3), np.uint8)
        for _ in range(runs):
            self(frame)
        return self

    def clone(self) -> Model:
        """A model for another thread: the weights are shared, the buffers and timings are its own."""
        made = Model(self.spec, self.session.clone(), options=self.options, frame_format=self._frame_format)
        made.form = self.form
        return made

    def close(self) -> None:
        """Give back the network and its buffers; the model cannot be called afterwards."""
        self.session.close()

    def __enter__(self) -> Model:
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        traceback: TracebackType | None,
    ) -> None:
        self.close()

    def __repr__(self) -> str:
        height, width = self.spec.inputs[0].size_hw
        form = f"form={self.form!r}, " if self.form else ""
        return f"Model(task={self.task!r}, input={height}x{width}, {form}device={self.device!r})"

    def _override(self, **changes: Any) -> RunOptions:
        return override_options(
            self.options, changes, accepted=self._task.options, task=self.task, labels=self.labels
        )


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
    **session_options: Any,
) -> Model | Any:  # Any: a caller knows which kind its file holds, and should not have to say so twice
    """A model ready to be called; for task "promptable" a `PromptableModel`, ready for `set_image` and `predict`.

    path:    a bundle folder or a .onnx file, with edgevision's or Ultralytics' metadata.
    device:  "auto" or "cpu".
    backend: "onnxruntime" or "openvino"; None takes the first that is installed, in this order.
    form:    which of a bundle's files: "fp32", "fp16" or "int8"; None takes the fastest that runs well on the device (see
        docs/bundle.md). `Model.form` tells which it is.
    spec:    how to use a network that does not say it itself: a ModelSpec, or a JSON file that holds one.
    frame_format: "bgr" (OpenCV's order) or "rgb": the channel order of the frames that will be given.
    confidence, iou, max_detections, classes, class_agnostic: replace the spec's thresholds.
    session_options: fields of backends.OnnxRuntimeOptions or backends.OpenVinoOptions (threads, spin, precision, ...).
    Raises ModelFileError, SpecError, InputError, MissingDependencyError or BackendError, each saying what to do.
    """
    thresholds = {
        "confidence": confidence,
        "iou": iou,
        "max_detections": max_detections,
        "classes": classes,
        "class_agnostic": class_agnostic,
    }
    file = resolve_model(
        path,
        spec=spec,
        form=form,
        runtimes=installed_backends() if backend is None else [check_backend(backend)],
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
            decoder = open_network(find_part(file.path, "decoder"))
            model = PromptableModel(file.spec, session, decoder, frame_format=frame_format)
        else:
            model = Model(file.spec, session, frame_format=frame_format)
            model.options = model._override(**thresholds)
        model.form = file.form
        opened.pop_all()
    if file.spec.source.random_weights:
        warnings.warn(
            f"the weights of {file.path} are random: it serves to measure time, its results mean nothing",
            RandomWeightsWarning,
            stacklevel=2,
        )
    return model


def _default_options(spec: ModelSpec) -> RunOptions:
    options = RunOptions.from_thresholds(spec.thresholds)
    if spec.task == "classify":
        # A classifier's scores are all wanted: its threshold is only what a caller asks for.
        return RunOptions(confidence=0.0)
    return options


def _is_path(value: object) -> bool:
    return isinstance(value, (str, PathLike))


def _chunks(images: Sequence[NDArray[Any]], size: int) -> Iterator[Sequence[NDArray[Any]]]:
    for start in range(0, len(images), size):
        yield images[start : start + size]
