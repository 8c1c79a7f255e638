"""A promptable model: an image is encoded once, then asked for masks as often as there are prompts."""

from __future__ import annotations

import warnings
from collections.abc import Sequence
from time import perf_counter_ns
from types import TracebackType
from typing import Any, NoReturn

import numpy as np
from numpy.typing import NDArray

from edgevision.backends.base import Session
from edgevision.errors import EdgeVisionWarning, InputError
from edgevision.frame_graph import ImageEncoder, NoFixedOutputsError, check_frame, device_session
from edgevision.geometry import Placement
from edgevision.results import PromptMasks
from edgevision.spec import ModelSpec
from edgevision.tasks.promptable import PromptableTask
from edgevision.tasks.prompts import Prompt, check_boxes, check_prompt
from edgevision.tasks.tensors import check_tensors
from edgevision.timings import Timings

__all__ = ["PromptableModel"]

_MAX_PROMPTS = 16
"""Prompts a run of a decoder that takes any number: more gain nothing on a CPU and cost memory."""


class PromptableModel:
    """Segments what it is pointed at: `set_image` once, then `predict` for each prompt.

        sam = edgevision.load("models/sam_vit_b")
        sam.set_image(frame)
        result = sam.predict(points=[[320, 200]])
        result = sam.predict(points=[[320, 200]], mask=result.best().low_res_logits, multimask=False)

    One model serves one thread; `clone` gives another thread its own, sharing the weights and knowing the same image.
    """

    def __init__(
        self, spec: ModelSpec, encoder: Session, decoder: Session, *, frame_format: str = "bgr"
    ) -> None:
        """spec: of the encoder. Raises SpecError when the networks do not fit it or each other."""
        check_tensors(spec, encoder.inputs)
        self.spec = spec
        self.encoder = encoder
        self.decoder = decoder
        self.form = ""
        self.timings = Timings()
        self._frame_format = frame_format
        self._task = PromptableTask(
            spec,
            [tensor.name for tensor in encoder.outputs],
            decoder.inputs,
            [tensor.name for tensor in decoder.outputs],
            frame_format,
        )
        self._placement: Placement | None = None
        self._embedding: dict[str, NDArray[Any]] = {}
        self._graph = self._open_graph()

    @property
    def task(self) -> str:
        """ "promptable"."""
        return self.spec.task

    @property
    def labels(self) -> tuple[str, ...]:
        """Class names: a promptable network usually has none."""
        return self.spec.labels

    @property
    def device(self) -> str:
        """Where the networks really run."""
        encoder, decoder = self.encoder.device, self.decoder.device
        return encoder if encoder == decoder else f"{encoder}, decoder on {decoder}"

    @property
    def image_hw(self) -> tuple[int, int] | None:
        """(H, W) of the image that prompts refer to, pixels; None before `set_image`."""
        return None if self._placement is None else self._placement.image_hw

    def set_image(self, image: Any) -> None:
        """Encode the image that the next prompts refer to.

        image: uint8 (H, W, 3) in the model's frame_format (BGR unless `load` was told otherwise), (H, W, 4) with
            alpha last, or (H, W) grey; with both networks on a GPU also such an array there, with `__dlpack__` or
            `__cuda_array_interface__`.
        Raises InputError for anything else, BackendError when the runtime fails; then no image is set.
        """
        self._check(image)
        self._placement = None
        if self._graph is not None:
            try:
                placement = self._graph.encode(image)
            except NoFixedOutputsError as error:
                self._graph.close()
                self._graph = None
                message = f"images are prepared on the processor: {error}"
                warnings.warn(message, EdgeVisionWarning, stacklevel=2)
                self._check(image)  # it may be on the GPU
            else:
                self._placement, self.timings = placement, self._graph.timings
                return
        self._set_on_processor(image)

    def frame_buffer(self, shape: Sequence[int]) -> NDArray[np.uint8]:
        """uint8 of this shape to write the next image to, (H, W, 3), (H, W, 4) or (H, W).

        On a GPU it is memory that the GPU reads itself: `capture.read(sam.frame_buffer((1080, 1920, 3)))` saves a copy.
        It belongs to the next `set_image`: ask anew for each.
        """
        sides = tuple(shape)
        return np.empty(sides, np.uint8) if self._graph is None else self._graph.frame_buffer(sides)

    def _check(self, image: Any) -> None:
        check_frame(image, "image", "" if self._graph is not None else self.device)

    def _set_on_processor(self, image: NDArray[Any]) -> None:
        """All but the encoder on the processor."""
        start = perf_counter_ns()
        placement = self._task.preparation.write([image], self.encoder.input_buffer, 1)[0]
        prepared = perf_counter_ns()
        outputs = self.encoder.run()
        inferred = perf_counter_ns()
        self._embedding = self._task.embed(outputs, self.decoder.input_buffer)
        self._placement = placement
        self.timings = _timings(start, prepared, inferred, perf_counter_ns())

    def reset_image(self) -> None:
        """Forget the image: `predict` then asks for another."""
        self._placement = None

    def predict(
        self,
        *,
        points: Any = None,
        labels: Any = None,
        box: Any = None,
        mask: NDArray[Any] | None = None,
        multimask: bool = True,
    ) -> PromptMasks:
        """The masks of the object that a prompt means, in the image of `set_image`.

        points: (N, 2), x, y in image pixels (a pixel's index names its centre).
        labels: (N,), 1 for a point of the object and 0 for one that is not of it; None: all are of it.
        box:    (4,), x1, y1, x2, y2 around the object, image pixels.
        mask:   float (h, w), `low_res_logits` of an earlier answer, to refine it together with points or a box.
        multimask: True gives every candidate, for a prompt of several readings (one point on a shirt: shirt or
            person). False gives one mask, better for a prompt that leaves no doubt. A network of one mask gives that.
        Raises InputError for a prompt that does not fit, or before `set_image`; BackendError when the runtime fails.
        """
        placement = self._image()
        _check_flag(multimask)
        prompt = check_prompt(
            points, labels, box, mask, image_hw=placement.image_hw, mask_hw=self._task.mask_hw
        )
        return self._run([prompt], placement, multimask)[0]

    def predict_boxes(self, boxes: Any, *, multimask: bool = False) -> list[PromptMasks]:
        """The masks of the object in each box, e.g. of a detector's: as `predict` for each, in as few runs as it takes.

        boxes: (P, 4), x1, y1, x2, y2 in image pixels, inside the image.
        Raises as `predict` does.
        """
        placement = self._image()
        _check_flag(multimask)
        array = check_boxes(boxes, "boxes", (None, 4), placement.image_hw)
        no_points, no_labels = np.zeros((0, 2), np.float32), np.zeros(0, np.float32)
        prompts = [Prompt(no_points, no_labels, box) for box in array]
        return self._run(prompts, placement, multimask)

    def _run(self, prompts: Sequence[Prompt], placement: Placement, multimask: bool) -> list[PromptMasks]:
        size = self._task.prompts_a_run or _MAX_PROMPTS
        answers: list[PromptMasks] = []
        preprocess = inference = postprocess = 0
        for start in range(0, len(prompts), size):
            begun = perf_counter_ns()
            chunk, decoder = prompts[start : start + size], self.decoder
            if self._graph is not None:
                decoder = self._graph.decoder_for(self._task.count_points(chunk))
            self._task.ask(chunk, placement, decoder.input_buffer)
            asked = perf_counter_ns()
            outputs = decoder.run()
            inferred = perf_counter_ns()
            answers += self._task.finish(outputs, placement, multimask=multimask)
            preprocess, inference = preprocess + asked - begun, inference + inferred - asked
            postprocess += perf_counter_ns() - inferred
        self.timings = Timings(preprocess / 1e6, inference / 1e6, postprocess / 1e6)
        return answers

    def __call__(self, *_: Any, **__: Any) -> NoReturn:
        """Raises InputError: a promptable model is not called, it is asked."""
        raise InputError(
            "a promptable model needs a prompt: model.set_image(image), then model.predict(points=[[x, y]]) or "
            "model.predict(box=[x1, y1, x2, y2])"
        )

    def warmup(self, runs: int = 3) -> PromptableModel:
        """This model after `runs` images and prompts of its own, so that the first real ones are no slower.

        No image is set afterwards.
        """
        height, width = self.spec.inputs[0].size_hw
        frame = np.zeros((height, width, 3), np.uint8)
        for _ in range(runs):
            self.set_image(frame)
            self.predict(points=[[width / 2, height / 2]])
        self.reset_image()
        return self

    def clone(self) -> PromptableModel:
        """A model for another thread: the weights are shared, the buffers are its own; an image that is set stays set."""
        encoder = self.encoder.clone()
        try:
            twin = PromptableModel(self.spec, encoder, self.decoder.clone(), frame_format=self._frame_format)
        except BaseException:
            encoder.close()
            raise
        twin.form = self.form
        try:
            self._copy_image_to(twin)
        except BaseException:
            twin.close()
            raise
        return twin

    def _copy_image_to(self, twin: PromptableModel) -> None:
        if self._placement is None:
            return
        if self._graph is None:
            twin._embedding = twin._task.embed(self._embedding, twin.decoder.input_buffer)
        else:
            assert twin._graph is not None, "its sessions are of the same kind"
            twin._graph.copy_from(self._graph)
        twin._placement = self._placement

    def close(self) -> None:
        """Give back the networks and their buffers; the model cannot be used afterwards."""
        self._placement = None
        self._embedding = {}
        if self._graph is not None:
            self._graph.close()
        self.encoder.close()
        self.decoder.close()

    def __enter__(self) -> PromptableModel:
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
        return f"PromptableModel(input={height}x{width}, device={self.device!r})"

    def _open_graph(self) -> ImageEncoder | None:
        """The whole way of an image on the GPU, where both networks are on one and are not told otherwise."""
        encoder, decoder = device_session(self.encoder), device_session(self.decoder)
        if encoder is None or decoder is None or not (encoder.slots and decoder.slots):
            return None
        if encoder.device.split()[0] != decoder.device.split()[0]:
            return None
        return ImageEncoder(encoder, decoder, self._task)

    def _image(self) -> Placement:
        if self._placement is None:
            raise InputError("there is no image to segment; call set_image(image) first")
        return self._placement


def _check_flag(multimask: Any) -> None:
    if not isinstance(multimask, bool):
        raise InputError(f"multimask must be True or False, got {multimask!r}")


def _timings(start: int, prepared: int, inferred: int, end: int) -> Timings:
    return Timings((prepared - start) / 1e6, (inferred - prepared) / 1e6, (end - inferred) / 1e6)
