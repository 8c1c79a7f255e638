"""A model ready to be called: spec + session + task."""

from __future__ import annotations

import warnings
from collections.abc import Iterator, Sequence
from functools import partial
from time import perf_counter_ns
from types import TracebackType
from typing import Any, overload

import numpy as np
from numpy.typing import NDArray

from edgevision.backends.base import Session
from edgevision.errors import EdgeVisionWarning
from edgevision.frame_graph import FrameGraph, NoFixedOutputsError, Pending, check_images, device_session
from edgevision.results import Result
from edgevision.spec import ModelSpec
from edgevision.submission import Submission
from edgevision.tasks.base import Task, TaskFactory
from edgevision.tasks.options import RunOptions, override_options
from edgevision.tasks.registry import open_task
from edgevision.tasks.tensors import check_tensors
from edgevision.tasks.zero_shot import ZeroShotTask, zero_shot_spec
from edgevision.texts import OpenTexts, encode_prompts
from edgevision.timings import Timings

__all__ = ["Model"]

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
        make_task: TaskFactory = open_task,
        texts: OpenTexts | None = None,
    ) -> None:
        """spec, session: as `load` opens them, which also sets `form`: the numbers that the network computes with,
        "fp32", "fp16", "int8" or "int8-trt", or "" where nothing tells. options: None takes the spec's thresholds.
        make_task: how to use the network otherwise than the spec's decoder says. texts: opens the text network
        beside it, for `zero_shot`."""
        check_tensors(spec, session.inputs)
        self.spec = spec
        self.session = session
        self.form = ""
        self.timings = Timings()
        self.options = options or _default_options(spec)
        self._frame_format = frame_format
        self._make_task = make_task
        self._task: Task = make_task(spec, [tensor.name for tensor in session.outputs], frame_format)
        self._texts = texts
        self._batch = next(t for t in session.inputs if t.name == spec.inputs[0].name).shape[0]
        self._graph = self._open_graph()
        self._chunk = min(session.largest_batch(spec.inputs[0].name) or _MAX_BATCH, _MAX_BATCH)

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
        checked = self._check(images)
        results = self._run(checked, options) if checked else []
        return results if isinstance(images, (list, tuple)) else results[0]

    def submit(self, images: Any, **options: Any) -> Submission:
        """The image or the list of images, on its way: `.result()` gives what a call would have given.

            ahead = model.submit(next(frames))
            for frame in frames:
                result, ahead = ahead.result(), model.submit(frame)

        On a GPU it returns at once, and the next image goes up while this one is computed: as many at once as the
        session has slots (an option of `load`). Elsewhere it computes first. images, options: as a call takes them. An
        image must not change before its result is there. Raises as a call does.
        """
        chosen = self._override(**options) if options else self.options
        checked = self._check(images)
        single = not isinstance(images, (list, tuple))
        if self._graph is not None and checked:
            pending = self._submit(checked, chosen)
            if pending is not None:
                return Submission(single=single, pending=pending)
        results = self._run(checked, chosen) if checked else []
        return Submission(single=single, results=results, timings=self.timings)

    def frame_buffer(self, shape: Sequence[int], index: int = 0) -> NDArray[np.uint8]:
        """uint8 of this shape to write the next frame to, (H, W, 3), (H, W, 4) or (H, W).

        On a GPU it is memory that the GPU reads itself, so that a frame which a camera writes here need not be copied:
        `capture.read(model.frame_buffer((1080, 1920, 3)))`. It belongs to the next call or `submit`: ask anew for each.
        index: of the image in the list of that call.
        """
        sides = tuple(shape)
        if self._graph is None:
            return np.empty(sides, np.uint8)
        return self._graph.frame_buffer(sides, index)

    def _check(self, images: Any) -> Sequence[Any]:
        """The images that were given, checked."""
        return check_images(images, "" if self._graph is not None else self.device)

    def _submit(self, images: Sequence[Any], options: RunOptions) -> list[Pending] | None:
        """The batches on their way over the GPU; None where the network turns out not to allow it."""
        assert self._graph is not None
        try:
            return [
                self._graph.submit(chunk, options) for chunk in _chunks(images, self._batch or self._chunk)
            ]
        except NoFixedOutputsError as error:
            self._graph.close()
            self._graph = None
            message = f"frames are prepared and results decoded on the processor: {error}"
            warnings.warn(message, EdgeVisionWarning, stacklevel=4)
        self._check(images)  # one may be on the GPU
        return None

    def _run(self, images: Sequence[Any], options: RunOptions) -> list[Result]:
        if self._graph is not None:
            pending = self._submit(images, options)
            if pending is not None:
                done = Submission(single=False, pending=pending)
                found: list[Result] = done.result()
                self.timings = done.timings
                return found
        return self._run_on_processor(images, options)

    def _run_on_processor(self, images: Sequence[NDArray[Any]], options: RunOptions) -> list[Result]:
        """All but the network on the processor."""
        task, session = self._task, self.session
        results: list[Result] = []
        preprocess = inference = postprocess = 0
        for chunk in _chunks(images, self._batch or self._chunk):
            start = perf_counter_ns()
            placements = task.preparation.write(chunk, session.input_buffer, self._batch)
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
        made = Model(
            self.spec,
            self.session.clone(),
            options=self.options,
            frame_format=self._frame_format,
            make_task=self._make_task,
            texts=self._texts,
        )
        made.form = self.form
        return made

    def zero_shot(
        self,
        prompts: Sequence[str],
        *,
        labels: Sequence[str] | None = None,
        templates: Sequence[str] | str = "{}",
    ) -> Model:
        """A classifier of images by similarity to texts, beside this model and sharing its weights (CLIP, SigLIP).

            clip = edgevision.load("models/clip")
            model = clip.zero_shot(["a cat", "a dog"], templates="a photo of a {}")
            result = model(frame)                       # Classification of "a cat" and "a dog"

        prompts: one a class; encoded here, once. labels: what to call the classes; None: the prompts.
        templates: one or several, each with {} for a prompt; the embeddings of several are averaged.
        Needs the extra `clip`. Raises SpecError when the model has no text network, InputError for prompts that do not
        fit, ModelFileError when the bundle lacks a file.
        """
        spec = zero_shot_spec(self.spec, prompts if labels is None else labels)
        texts = encode_prompts(self._texts, prompts, templates, len(spec.labels))
        made = Model(
            spec,
            self.session.clone(),
            frame_format=self._frame_format,
            make_task=partial(ZeroShotTask, embedder=self.spec, texts=texts),
        )
        made.form = self.form
        return made

    def close(self) -> None:
        """Give back the network and its buffers; the model cannot be called afterwards."""
        if self._graph is not None:
            self._graph.close()
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

    def set_options(self, **changes: Any) -> None:
        """Replace the thresholds that a call without its own uses; the names and errors are those of a call."""
        self.options = self._override(**changes)

    def _open_graph(self) -> FrameGraph | None:
        """The whole way of a frame on the GPU, where the session is on one and is not told otherwise."""
        session = device_session(self.session)
        if session is None or session.slots == 0:
            return None
        return FrameGraph(session, self.spec, self._task, self._batch, slots=session.slots)

    def _override(self, **changes: Any) -> RunOptions:
        return override_options(
            self.options, changes, accepted=self._task.options, task=self.task, labels=self.labels
        )


def _default_options(spec: ModelSpec) -> RunOptions:
    options = RunOptions.from_thresholds(spec.thresholds)
    if spec.task == "classify":
        # A classifier's scores are all wanted: its threshold is only what a caller asks for.
        return RunOptions(confidence=0.0)
    return options


def _chunks(images: Sequence[NDArray[Any]], size: int) -> Iterator[Sequence[NDArray[Any]]]:
    for start in range(0, len(images), size):
        yield images[start : start + size]
