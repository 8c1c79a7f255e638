"""Promptable segmentation: an image once, then masks for as many prompts as are asked."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np
from numpy.typing import NDArray

from edgevision.errors import SpecError
from edgevision.geometry import Placement
from edgevision.ops.masks import upsample_masks
from edgevision.results import PromptMasks
from edgevision.spec import ModelSpec, TensorInfo, decoder_params
from edgevision.tasks.outputs import select_outputs
from edgevision.tasks.preparation import Buffers, ImagePreparation
from edgevision.tasks.prompts import Prompt, layout_points

__all__ = ["PromptableTask"]

_POINTS, _LABELS, _MASK, _HAS_MASK = "point_coords", "point_labels", "mask_input", "has_mask_input"


class PromptableTask:
    """What lies between an image, prompts and `PromptMasks` on one side and two networks on the other.

    embedding:      names of the encoder's outputs that the decoder takes.
    prompts_a_run:  prompts that the decoder takes at once; None: any number.
    mask_hw:        the size that the decoder takes a mask in; None: it takes none.
    """

    def __init__(
        self,
        spec: ModelSpec,
        encoder_outputs: Sequence[str],
        decoder_inputs: Sequence[TensorInfo],
        decoder_outputs: Sequence[str],
        frame_format: str = "bgr",
    ) -> None:
        """Raises SpecError when the two networks do not fit each other or the spec."""
        inputs = {tensor.name: tensor for tensor in decoder_inputs}
        self.embedding = _check_inputs(inputs, encoder_outputs)
        self.prompts_a_run = inputs[_POINTS].shape[0]
        self.mask_hw = _mask_size(inputs.get(_MASK))
        self._flags_a_run = inputs[_HAS_MASK].shape[0] if self.mask_hw else None
        self._logits, self._iou = select_outputs(spec, decoder_outputs, 2)
        params: dict[str, Any] = decoder_params(spec.decoder)
        self._threshold: float = params["mask_threshold"]
        self._stability: tuple[float, float] = params["stability_delta"], params["stability_threshold"]
        self._single_first: bool = params["single_first"]
        self._pad_boxes: bool = params["pad_boxes"]
        self._via_canvas: bool = params["via_canvas"]
        self.preparation = ImagePreparation(spec.inputs[0], frame_format)

    def embed(self, outputs: Mapping[str, NDArray[Any]], buffers: Buffers) -> dict[str, NDArray[Any]]:
        """The decoder's own input buffers, once what the encoder made of the image is copied into them."""
        filled: dict[str, NDArray[Any]] = {}
        for name in self.embedding:
            value = outputs[name]
            filled[name] = buffers(name, value.shape)
            filled[name][...] = value
        return filled

    def count_points(self, prompts: Sequence[Prompt]) -> tuple[int, int]:
        """How many prompts these are, and points of each in the decoder's input."""
        first = prompts[0]
        box = first.box_xyxy is not None
        return len(prompts), len(first.points_xy) + 2 * box + (not box or self._pad_boxes)

    def ask(self, prompts: Sequence[Prompt], placement: Placement, buffers: Buffers) -> None:
        """Write prompts of equally many points into the decoder's inputs, at most `prompts_a_run`."""
        laid = [layout_points(prompt, placement, pad_boxes=self._pad_boxes) for prompt in prompts]
        rows, points = len(prompts), len(laid[0][1])
        buffers(_POINTS, (rows, points, 2))[...] = np.stack([coords for coords, _ in laid])
        buffers(_LABELS, (rows, points))[...] = np.stack([labels for _, labels in laid])
        if self.mask_hw is None:
            return
        masks = buffers(_MASK, (rows, 1, *self.mask_hw))
        flags = buffers(_HAS_MASK, (rows if self._flags_a_run is None else self._flags_a_run,))
        for index, prompt in enumerate(prompts):
            # A mask that does not count may hold any numbers, but not NaN: the graph multiplies it by 0.
            masks[index] = 0 if prompt.mask is None else prompt.mask
            flags[index] = prompt.mask is not None

    def finish(
        self, outputs: Mapping[str, NDArray[Any]], placement: Placement, *, multimask: bool
    ) -> list[PromptMasks]:
        """The answer to each prompt of the run; nothing in it refers to the outputs' memory."""
        logits, iou = outputs[self._logits], outputs[self._iou]
        if logits.ndim != 4 or iou.shape != logits.shape[:2]:
            raise SpecError(
                f"outputs {self._logits!r} and {self._iou!r} must be (P, M, h, w) logits and (P, M) expected "
                f"overlaps, got {logits.shape} and {iou.shape}; correct the spec's decoder"
            )
        return [
            self._answer(maps, scores, placement, multimask) for maps, scores in zip(logits, iou, strict=True)
        ]

    def _answer(
        self, logits: NDArray[Any], iou: NDArray[Any], placement: Placement, multimask: bool
    ) -> PromptMasks:
        chosen = self._choose(logits, iou, multimask)
        # Copies, by a list of indices.
        kept = logits[chosen].astype(np.float32, copy=False)
        via_hw = placement.canvas_hw if self._via_canvas else None
        masks = upsample_masks(
            kept,
            placement.image_hw,
            placement.roi_in(via_hw or kept.shape[1:]),
            via_hw=via_hw,
            threshold=self._threshold,
        )
        return PromptMasks(masks, iou[chosen].astype(np.float32, copy=False), kept, placement.image_hw)

    def _choose(self, logits: NDArray[Any], iou: NDArray[Any], multimask: bool) -> list[int]:
        """Indices of the masks to give."""
        count = len(iou)
        first_candidate = 1 if self._single_first and count > 1 else 0
        if multimask:
            return list(range(first_candidate, count))
        best = first_candidate + int(np.argmax(iou[first_candidate:]))
        if first_candidate == 0:
            return [best]
        return [0 if self._is_stable(logits[0]) else best]

    def _is_stable(self, logits: NDArray[Any]) -> bool:
        """Whether mask 0 hardly changes with the threshold, as SAM 2 measures it."""
        delta, least = self._stability
        if least == 0.0:
            return True
        wide = int(np.count_nonzero(logits > self._threshold - delta))
        narrow = int(np.count_nonzero(logits > self._threshold + delta))
        return wide == 0 or narrow / wide >= least


def _check_inputs(inputs: Mapping[str, TensorInfo], encoder_outputs: Sequence[str]) -> tuple[str, ...]:
    """The decoder's inputs that the encoder fills."""
    ranks = {_POINTS: 3, _LABELS: 2, _MASK: 4, _HAS_MASK: 1}
    missing = [name for name in (_POINTS, _LABELS) if name not in inputs]
    if (_MASK in inputs) != (_HAS_MASK in inputs):
        missing += [name for name in (_MASK, _HAS_MASK) if name not in inputs]
    if missing:
        raise SpecError(
            f"the decoder has no input {', '.join(missing)}; its inputs: {', '.join(inputs)}; "
            f"it must take what docs/spec.md says of promptable networks"
        )
    for name, rank in ranks.items():
        if name in inputs and len(inputs[name].shape) != rank:
            raise SpecError(
                f"the decoder's input {name!r} must have {rank} dimensions, got {inputs[name].shape}"
            )
    embedding = tuple(name for name in inputs if name not in ranks)
    strange = [name for name in embedding if name not in encoder_outputs]
    if strange or not embedding:
        raise SpecError(
            f"the decoder takes {', '.join(strange) or 'nothing'} from the encoder, whose outputs are "
            f"{', '.join(encoder_outputs)}; export both from one checkpoint"
        )
    return embedding


def _mask_size(tensor: TensorInfo | None) -> tuple[int, int] | None:
    if tensor is None:
        return None
    height, width = tensor.shape[2:]
    if height is None or width is None:
        raise SpecError(
            f"the decoder's input {_MASK!r} must be of a fixed height and width, got {tensor.shape}"
        )
    return height, width
