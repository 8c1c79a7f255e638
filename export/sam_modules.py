"""A promptable model, read: its modules, how an image is prepared for it, and what its decoder in the spec says."""

from __future__ import annotations

import copy
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Any

import torch

from edgevision.errors import ModelFileError
from edgevision.export.sam_encoder import Sam2Encoder, TinyVitEncoder, VitEncoder
from edgevision.export.sam_images import Preprocess, image_of_processor, preprocess_of
from edgevision.spec import ImageInput, Source

__all__ = ["SamModules", "modules_of_mobile_sam", "modules_of_sam", "modules_of_sam2"]

_SAM_PARAMS = {"via_canvas": True}


@dataclass(frozen=True, slots=True, eq=False, kw_only=True)
class SamModules:
    """The parts of a promptable model.

    encoder:    from the input tensor to the embeddings; half_encoder makes its float16 copy, None: plain halving does.
    prompt_encoder, mask_decoder: of transformers; image_positions: of their model, see PromptDecoder.
    image:      its preprocessing; preprocess: the source's own.
    params:     of the spec's decoder.
    """

    encoder: torch.nn.Module
    half_encoder: Callable[[], torch.nn.Module] | None = None
    prompt_encoder: Any
    mask_decoder: Any
    image_positions: torch.Tensor | None = None
    image: ImageInput
    preprocess: Preprocess
    params: Mapping[str, Any]
    source: Source


def modules_of_sam(model: Any, processor: Any, source: Source) -> SamModules:
    """Those of a transformers SamModel and a SamImageProcessor. Raises ModelFileError when their sizes differ."""
    return SamModules(
        encoder=VitEncoder(model.vision_encoder),
        prompt_encoder=model.prompt_encoder,
        mask_decoder=model.mask_decoder,
        image_positions=model.get_image_wide_positional_embeddings(),
        image=_image(processor, model.prompt_encoder),
        preprocess=preprocess_of(processor),
        params=_SAM_PARAMS,
        source=source,
    )


def modules_of_mobile_sam(
    encoder: TinyVitEncoder, prompt_encoder: Any, mask_decoder: Any, processor: Any, source: Source
) -> SamModules:
    """Those of MobileSAM, its decoder in transformers' modules. Raises as `modules_of_sam` does."""
    return SamModules(
        encoder=encoder,
        half_encoder=lambda: _half_tiny_vit(encoder),
        prompt_encoder=prompt_encoder,
        mask_decoder=mask_decoder,
        image=_image(processor, prompt_encoder),
        preprocess=preprocess_of(processor),
        params=_SAM_PARAMS,
        source=source,
    )


def modules_of_sam2(model: Any, processor: Any, source: Source) -> SamModules:
    """Those of a transformers Sam2Model and a Sam2ImageProcessor. Raises as `modules_of_sam` does."""
    params: dict[str, Any] = {"pad_boxes": True}
    decoder = model.mask_decoder
    if decoder.dynamic_multimask_via_stability:
        params["stability_delta"] = float(decoder.dynamic_multimask_stability_delta)
        params["stability_threshold"] = float(decoder.dynamic_multimask_stability_thresh)
    return SamModules(
        encoder=Sam2Encoder(model),
        prompt_encoder=model.prompt_encoder,
        mask_decoder=decoder,
        image_positions=model.get_image_wide_positional_embeddings(),
        image=_image(processor, model.prompt_encoder),
        preprocess=preprocess_of(processor),
        params=params,
        source=source,
    )


def _image(processor: Any, prompt_encoder: Any) -> ImageInput:
    image, size = image_of_processor(processor), int(prompt_encoder.input_image_size)
    if image.size_hw != (size, size):
        raise ModelFileError(
            f"the image processor makes {image.size_hw[0]}x{image.size_hw[1]} and the network takes {size}x{size}; "
            f"correct size and pad_size in preprocessor_config.json"
        )
    return image


def _half_tiny_vit(encoder: TinyVitEncoder) -> torch.nn.Module:
    """A float16 copy that takes and gives float32.

    timm's attention remembers its biases from the last pass: they would stay float32.
    """
    twin = copy.deepcopy(encoder).half()
    for layer in twin.modules():
        if hasattr(layer, "attention_bias_cache"):
            layer.attention_bias_cache = {}
    return _HalfInside(twin)


class _HalfInside(torch.nn.Module):
    def __init__(self, module: torch.nn.Module) -> None:
        super().__init__()
        self.module = module

    def forward(self, images: torch.Tensor) -> torch.Tensor:
        embeddings: torch.Tensor = self.module(images.half())
        return embeddings.float()
