"""SAM's prompt encoder and mask decoder as one network: image embeddings and prompts to masks and their quality."""

from __future__ import annotations

import copy
import math
from collections.abc import Sequence
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray

from edgevision.export.network import Axis, Feeds, Part

__all__ = ["EMBEDDINGS", "HIGH_RES", "PromptDecoder", "decoder_part"]

EMBEDDINGS = "image_embeddings"
HIGH_RES = ("high_res_features_0", "high_res_features_1")
"""What the encoder gives: SAM 2 adds features of a quarter and an eighth of the image's size."""

_PROMPTS = ("point_coords", "point_labels", "mask_input", "has_mask_input")
_OUTPUTS = ("low_res_masks", "iou_predictions")
_MAX_PROMPTS, _MAX_POINTS = 64, 64


class PromptDecoder(torch.nn.Module):
    """The layers of transformers' SAM and SAM 2 decoders, put together so that one graph serves every prompt.

    The libraries' own forward passes branch on which prompts there are and leave out masks as they are asked; here
    absent prompts are arithmetic (no NonZero, no shape that depends on values), and all M masks are given: 0 is the
    single answer, the rest are the candidates.
    """

    def __init__(
        self, prompt_encoder: Any, mask_decoder: Any, image_positions: torch.Tensor | None = None
    ) -> None:
        """prompt_encoder, mask_decoder: a Sam(2)PromptEncoder and a Sam(2)MaskDecoder of transformers.

        image_positions: (1, C, h, w), what the model adds to the embeddings' keys; None: as the prompt encoder encodes
            their centres, which is what trained models hold.
        """
        super().__init__()
        self.layers = mask_decoder
        self.mask_embed = prompt_encoder.mask_embed
        self.input_size = int(prompt_encoder.input_image_size)
        self.embedding_hw = tuple(prompt_encoder.image_embedding_size)
        self.has_high_res = hasattr(mask_decoder, "conv_s0")
        frequencies = prompt_encoder.shared_embedding.positional_embedding.detach()
        self.register_buffer("frequencies", frequencies.float().clone())
        positions = self._encode_grid() if image_positions is None else image_positions.detach().float()
        self.register_buffer("image_positions", positions)
        self.register_buffer("kinds", torch.arange(4.0))
        tables = prompt_encoder.point_embed  # SAM: one layer a kind of point; SAM 2: one for all
        rows = [tables.weight] if isinstance(tables, torch.nn.Embedding) else [one.weight for one in tables]
        self.register_buffer("kind_embeddings", torch.cat([row.detach() for row in rows]))
        self.register_buffer("padding_embedding", prompt_encoder.not_a_point_embed.weight.detach().clone())
        self.register_buffer(
            "no_mask", prompt_encoder.no_mask_embed.weight.detach().reshape(1, -1, 1, 1).clone()
        )
        tokens = [mask_decoder.iou_token.weight, mask_decoder.mask_tokens.weight]
        if self.has_high_res:
            tokens.insert(0, mask_decoder.obj_score_token.weight)
        self.register_buffer("tokens", torch.cat([token.detach() for token in tokens]))

    def forward(self, *inputs: torch.Tensor) -> tuple[torch.Tensor, torch.Tensor]:
        """Masks (P, M, 4h, 4w) and their expected overlaps (P, M), from an image's embeddings and P prompts.

        inputs: image_embeddings (1, C, h, w); SAM 2's two feature maps; point_coords (P, N, 2) in pixels of the input;
            point_labels (P, N); mask_input (P, 1, 4h, 4w); has_mask_input (P,). See docs/spec.md for what they mean.
        """
        image_embeddings, *features, coords, labels, mask, has_mask = inputs
        dtype = self.tokens.dtype
        prompts = len(coords)
        points = self._embed_points(coords, labels).to(dtype)
        tokens = torch.cat([self.tokens.expand(prompts, -1, -1), points], dim=1)
        dense = torch.where(
            has_mask.reshape(-1, 1, 1, 1) > 0.5, self.mask_embed(mask.to(dtype)), self.no_mask
        )
        image = image_embeddings.to(dtype) + dense
        queries, keys = self.layers.transformer(
            point_embeddings=tokens[:, None],
            image_embeddings=image,
            image_positional_embeddings=self.image_positions,
            attention_similarity=None,
        )
        first = 1 if self.has_high_res else 0
        count = self.layers.num_mask_tokens
        queries = queries[:, 0]
        masks = self._draw_masks(
            queries[:, first + 1 : first + 1 + count], keys, [f.to(dtype) for f in features]
        )
        return masks.float(), self.layers.iou_prediction_head(queries[:, first]).float()

    def half_copy(self) -> PromptDecoder:
        """A copy that computes in float16 and takes and gives float32.

        Points are encoded in float32: float16 has steps of half a pixel near 1024, and sines are taken of large angles.
        """
        twin = copy.deepcopy(self).half()
        twin.frequencies = self.frequencies.clone()
        twin.kinds = self.kinds.clone()
        return twin

    def _embed_points(self, coords: torch.Tensor, labels: torch.Tensor) -> torch.Tensor:
        labels = labels.unsqueeze(-1)
        positions = self._encode((coords.float() + 0.5) / self.input_size)  # a pixel's index names its centre
        padding = self.padding_embedding.float().expand_as(positions)
        of_kind = (labels == self.kinds).float() @ self.kind_embeddings.float()
        return torch.where(labels < 0, padding, positions) + of_kind

    def _encode(self, fractions: torch.Tensor) -> torch.Tensor:
        """Random Fourier features (Tancik et al. 2020) of positions (..., 2), 0-1 of the input."""
        angles = 2 * math.pi * ((2 * fractions - 1) @ self.frequencies)
        return torch.cat([torch.sin(angles), torch.cos(angles)], dim=-1)

    def _encode_grid(self) -> torch.Tensor:
        """(1, C, h, w): the encoding of each embedding's centre."""
        height, width = self.embedding_hw
        y, x = torch.meshgrid(
            (torch.arange(height) + 0.5) / height, (torch.arange(width) + 0.5) / width, indexing="ij"
        )
        return self._encode(torch.stack([x, y], dim=-1)).permute(2, 0, 1)[None]

    def _draw_masks(
        self, mask_tokens: torch.Tensor, keys: torch.Tensor, features: Sequence[torch.Tensor]
    ) -> torch.Tensor:
        height, width = self.embedding_hw
        layers = self.layers
        pixels = keys[:, 0].transpose(1, 2).unflatten(2, (height, width))
        pixels = layers.upscale_conv1(pixels)
        if self.has_high_res:
            pixels = pixels + features[1]
        pixels = layers.upscale_conv2(layers.activation(layers.upscale_layer_norm(pixels)))
        if self.has_high_res:
            pixels = pixels + features[0]
        pixels = layers.activation(pixels)
        weights = [mlp(mask_tokens[:, index]) for index, mlp in enumerate(layers.output_hypernetworks_mlps)]
        masks = torch.stack(weights, dim=1) @ pixels.flatten(2)
        return masks.unflatten(2, (4 * height, 4 * width))


def decoder_part(decoder: PromptDecoder) -> Part:
    """The bundle's part "decoder"."""
    channels = decoder.tokens.shape[1]
    rows, columns = decoder.embedding_hw
    embeddings = [torch.zeros(1, channels, rows, columns)]
    if decoder.has_high_res:
        embeddings.append(torch.zeros(1, channels // 8, 4 * rows, 4 * columns))
        embeddings.append(torch.zeros(1, channels // 4, 2 * rows, 2 * columns))
    names = (EMBEDDINGS, *HIGH_RES)[: len(embeddings)]
    height, width = 4 * rows, 4 * columns
    # Two prompts of three points: the exporter takes a length of 1 for fixed.
    prompts = (
        torch.zeros(2, 3, 2),
        torch.tensor([[1.0, 0.0, -1.0], [1.0, 2.0, 3.0]]),
        torch.zeros(2, 1, height, width),
        torch.zeros(2),
    )
    several = Axis("prompts", high=_MAX_PROMPTS)
    points = Axis("points", high=_MAX_POINTS)
    return Part(
        role="decoder",
        module=decoder,
        example=(*embeddings, *prompts),
        inputs=(*names, *_PROMPTS),
        outputs=_OUTPUTS,
        dynamic={
            "point_coords": {0: several, 1: points},
            "point_labels": {0: several, 1: points},
            "mask_input": {0: several},
            "has_mask_input": {0: several},
        },
        feeds=lambda frames: [
            {**{name: frame[name] for name in names}, **prompt}
            for frame in frames
            for prompt in _golden_prompts(decoder.input_size, (height, width))
        ],
        half=decoder.half_copy,
        precisions=("fp32", "fp16"),
    )


def _golden_prompts(size: int, mask_hw: tuple[int, int]) -> list[Feeds]:
    """A run each of a point, points of both kinds, a box, a box with a point, a point with a mask, and two boxes."""
    near, far, left, right = 0.42 * size, 0.7 * size, 0.25 * size, 0.6 * size
    y, x = np.mgrid[: mask_hw[0], : mask_hw[1]].astype(np.float32)
    blob = 10.0 - 40.0 * np.hypot(y / mask_hw[0] - 0.42, x / mask_hw[1] - 0.42)  # logits of a disk
    corners = [[left, left], [right, far]]
    others = [[near, left], [far, right]]
    runs: list[tuple[Any, Any, NDArray[np.float32] | None]] = [
        ([[[near, near], [0, 0]]], [[1, -1]], None),
        ([[[near, near], [far, left], [0, 0]]], [[1, 0, -1]], None),
        ([corners], [[2, 3]], None),
        ([[[near, near], *corners]], [[1, 2, 3]], None),
        ([[[near, near], [0, 0]]], [[1, -1]], blob),
        ([corners, others], [[2, 3], [2, 3]], None),
    ]
    return [_feeds(coords, labels, mask, mask_hw) for coords, labels, mask in runs]


def _feeds(coords: Any, labels: Any, mask: NDArray[np.float32] | None, mask_hw: tuple[int, int]) -> Feeds:
    count = len(labels)
    masks = np.zeros((count, 1, *mask_hw), np.float32)
    if mask is not None:
        masks[:] = mask
    return {
        "point_coords": np.array(coords, np.float32),
        "point_labels": np.array(labels, np.float32),
        "mask_input": masks,
        "has_mask_input": np.full(count, mask is not None, np.float32),
    }
