"""Checkpoints of the SAM family's own repositories, as modules of transformers and timm.

Sizes are read from the weights' shapes. What shapes do not tell (heads of attention) is what the published networks
have.
"""

from __future__ import annotations

import math
import re
from collections.abc import Mapping
from os import PathLike
from typing import Any, TypeAlias

import torch

from edgevision.errors import ModelFileError
from edgevision.export.sam_encoder import TinyVitEncoder
from edgevision.export.weights import load_weights

__all__ = [
    "DECODER_NAMES",
    "MOBILE_SAM",
    "PROMPT_NAMES",
    "StateDict",
    "is_mobile_sam",
    "is_segment_anything",
    "mobile_sam_from",
    "mobile_sam_modules",
    "rename_keys",
    "sam_from",
]

StateDict: TypeAlias = Mapping[str, torch.Tensor]
Names: TypeAlias = tuple[tuple[str, str], ...]

_MOBILE_SAM_SIZE, _MOBILE_SAM_STRIDE = 1024, 16
"""Of MobileSAM's input, and pixels of it an embedding: its convolutions do not tell."""

_DECODER_HEADS = 8
"""Attention heads of every published mask decoder (segment-anything, MobileSAM)."""

_DECODER_EPS = 1e-5
"""Of segment-anything's layer norms; transformers' own default of 1e-6 gives slightly other numbers."""

MOBILE_SAM: dict[str, dict[str, Any]] = {
    "tiny_vit": {
        "embed_dims": (64, 128, 160, 320),
        "depths": (2, 2, 6, 2),
        "num_heads": (2, 4, 5, 10),
        "window_sizes": (7, 7, 14, 7),
    },
    "prompt": {"hidden_size": 256, "image_size": _MOBILE_SAM_SIZE, "patch_size": _MOBILE_SAM_STRIDE},
    "decoder": {"layer_norm_eps": _DECODER_EPS},
}
"""Arguments of `mobile_sam_modules` for the published network; the rest is transformers' default."""

DECODER_NAMES: Names = (
    (r"\.norm(\d)\.", r".layer_norm\1."),
    (r"\.norm_final_attn\.", ".layer_norm_final_attn."),
    (r"\.output_upscaling\.0\.", ".upscale_conv1."),
    (r"\.output_upscaling\.1\.", ".upscale_layer_norm."),
    (r"\.output_upscaling\.3\.", ".upscale_conv2."),
)
"""Patterns of segment-anything's mask decoder -> transformers' names; perceptrons are numbered, see rename_keys."""

PROMPT_NAMES: Names = (
    (r"\.pe_layer\.positional_encoding_gaussian_matrix$", ".shared_embedding.positional_embedding"),
    (r"\.point_embeddings\.", ".point_embed."),
    (r"\.mask_downscaling\.0\.", ".mask_embed.conv1."),
    (r"\.mask_downscaling\.1\.", ".mask_embed.layer_norm1."),
    (r"\.mask_downscaling\.3\.", ".mask_embed.conv2."),
    (r"\.mask_downscaling\.4\.", ".mask_embed.layer_norm2."),
    (r"\.mask_downscaling\.6\.", ".mask_embed.conv3."),
)

_VIT_NAMES: Names = (
    (r"^image_encoder\.blocks\.", "vision_encoder.layers."),
    (r"^image_encoder\.", "vision_encoder."),
    (r"\.patch_embed\.proj\.", ".patch_embed.projection."),
    (r"\.neck\.0\.", ".neck.conv1."),
    (r"\.neck\.1\.", ".neck.layer_norm1."),
    (r"\.neck\.2\.", ".neck.conv2."),
    (r"\.neck\.3\.", ".neck.layer_norm2."),
    (r"\.norm(\d)\.", r".layer_norm\1."),
)

_TINY_VIT_NAMES: Names = (
    (r"^image_encoder\.", ""),
    (r"^patch_embed\.seq\.0\.", "patch_embed.conv1."),
    (r"^patch_embed\.seq\.2\.", "patch_embed.conv2."),
    (r"\.c\.weight$", ".conv.weight"),
    (r"^layers\.0\.downsample\.", "stages.1.downsample."),
    (r"^layers\.1\.downsample\.", "stages.2.downsample."),
    (r"^layers\.2\.downsample\.", "stages.3.downsample."),
    (r"^layers\.", "stages."),
)
"""The original halves the image at the end of a stage, timm at the start of the next."""

_PERCEPTRON = re.compile(
    r"^(.*(?:output_hypernetworks_mlps\.\d+|iou_prediction_head|pred_obj_score_head|\.mlp))\.layers\.(\d+)\.(.*)$"
)


def is_segment_anything(state: Mapping[str, Any]) -> bool:
    """Whether these are the weights of a Sam with a ViT, of the package segment-anything."""
    return "image_encoder.pos_embed" in state and "mask_decoder.iou_token.weight" in state


def is_mobile_sam(state: Mapping[str, Any]) -> bool:
    """Whether these are MobileSAM's weights: a TinyViT, and segment-anything's prompt encoder and mask decoder."""
    return "image_encoder.patch_embed.seq.0.c.weight" in state and "mask_decoder.iou_token.weight" in state


def rename_keys(state: StateDict, names: Names) -> dict[str, torch.Tensor]:
    """The weights under the names that the patterns give, applied in order; perceptrons get transformers' names.

    A perceptron's layers 0 to n are proj_in, layers.0 to layers.n-2 and proj_out there.
    """
    last: dict[str, int] = {}
    for key in state:
        found = _PERCEPTRON.match(key)
        if found:
            last[found[1]] = max(last.get(found[1], 0), int(found[2]))
    renamed = {}
    for key, value in state.items():
        found = _PERCEPTRON.match(key)
        if found:
            stem, number, rest = found[1], int(found[2]), found[3]
            inner = {0: "proj_in", last[stem]: "proj_out"}.get(number, f"layers.{number - 1}")
            key = f"{stem}.{inner}.{rest}"
        for pattern, name in names:
            key = re.sub(pattern, name, key)
        renamed[key] = value
    return renamed


def sam_from(state: StateDict, path: str | PathLike[str]) -> Any:
    """A transformers SamModel with the weights of a segment-anything checkpoint.

    path: named in messages. Raises ModelFileError when they are not those of such a network.
    """
    from transformers import SamConfig, SamModel

    vision = _vit_sizes(state)
    config = SamConfig(
        vision_config=vision,
        prompt_encoder_config=_prompt_sizes(state, vision["image_size"], vision["patch_size"]),
        mask_decoder_config=_decoder_sizes(state),
    )
    model = SamModel(config).eval()
    renamed = rename_keys(_part(state, "image_encoder"), _VIT_NAMES)
    renamed |= rename_keys(_part(state, "prompt_encoder"), PROMPT_NAMES)
    renamed |= rename_keys(_part(state, "mask_decoder"), DECODER_NAMES)
    positions = renamed["prompt_encoder.shared_embedding.positional_embedding"]
    renamed["shared_image_embedding.positional_embedding"] = positions
    load_weights(model, renamed, path, "segment-anything's Sam")
    return model


def mobile_sam_from(state: StateDict, path: str | PathLike[str]) -> tuple[TinyVitEncoder, Any, Any]:
    """The encoder, and transformers' prompt encoder and mask decoder, with MobileSAM's weights.

    path: named in messages. Raises ModelFileError when they are not those of such a network.
    """
    tiny = {
        key: value
        for key, value in rename_keys(_part(state, "image_encoder"), _TINY_VIT_NAMES).items()
        # The classifier's head goes unused; the table of offsets follows from the window's size.
        if not key.startswith(("head.", "norm_head.")) and not key.endswith("attention_bias_idxs")
    }
    encoder, prompt_encoder, mask_decoder = mobile_sam_modules(
        _tiny_vit_sizes(tiny),
        _prompt_sizes(state, _MOBILE_SAM_SIZE, _MOBILE_SAM_STRIDE),
        _decoder_sizes(state),
    )
    load_weights(encoder, tiny, path, "MobileSAM")
    for prefix, module, names in (
        ("prompt_encoder", prompt_encoder, PROMPT_NAMES),
        ("mask_decoder", mask_decoder, DECODER_NAMES),
    ):
        renamed = rename_keys(_part(state, prefix), names)
        inner = {key.removeprefix(f"{prefix}."): value for key, value in renamed.items()}
        load_weights(module, inner, path, "MobileSAM")
    return encoder, prompt_encoder, mask_decoder


def mobile_sam_modules(
    tiny_vit: Mapping[str, Any], prompt: Mapping[str, Any], decoder: Mapping[str, Any]
) -> tuple[TinyVitEncoder, Any, Any]:
    """The modules of `mobile_sam_from`, their weights still those of a new network.

    tiny_vit: arguments of timm's TinyVit. prompt, decoder: of transformers' SamPromptEncoderConfig, SamMaskDecoderConfig.
    """
    from timm.models.tiny_vit import TinyVit
    from transformers import SamConfig
    from transformers.models.sam.modeling_sam import SamMaskDecoder, SamPromptEncoder

    channels = prompt["hidden_size"]
    config = SamConfig(
        vision_config={"num_pos_feats": channels // 2, "hidden_size": channels},
        prompt_encoder_config=dict(prompt),
        mask_decoder_config=dict(decoder),
    )
    config.mask_decoder_config._attn_implementation = "sdpa"
    encoder = TinyVitEncoder(TinyVit(num_classes=0, drop_path_rate=0.0, **tiny_vit), channels)
    return encoder.eval(), SamPromptEncoder(config).eval(), SamMaskDecoder(config.mask_decoder_config).eval()


def _part(state: StateDict, prefix: str) -> StateDict:
    return {key: value for key, value in state.items() if key.startswith(f"{prefix}.")}


def _count(state: StateDict, stem: str) -> int:
    """How many numbered layers there are below `stem`."""
    pattern = re.compile(rf"^{re.escape(stem)}\.(\d+)\.")
    return len({found[1] for key in state if (found := pattern.match(key))})


def _vit_sizes(state: StateDict) -> dict[str, Any]:
    blocks = "image_encoder.blocks"
    count = _count(state, blocks)
    hidden, _, patch, _ = state["image_encoder.patch_embed.proj.weight"].shape
    tables = [state.get(f"{blocks}.{index}.attn.rel_pos_h") for index in range(count)]
    if any(table is None for table in tables):
        raise ModelFileError(
            "the image encoder has no relative positions, which tell how many heads its attention has; "
            "save it as a transformers SamModel, whose configuration says it"
        )
    # A table of relative positions has 2 S - 1 rows for a window of S, and a head's width of columns.
    sides = [(table.shape[0] + 1) // 2 for table in tables if table is not None]
    grid = state["image_encoder.pos_embed"].shape[1]
    return {
        "hidden_size": hidden,
        "num_hidden_layers": count,
        "num_attention_heads": hidden // state[f"{blocks}.0.attn.rel_pos_h"].shape[1],
        "mlp_dim": state[f"{blocks}.0.mlp.lin1.weight"].shape[0],
        "qkv_bias": f"{blocks}.0.attn.qkv.bias" in state,
        "window_size": min(sides),
        "global_attn_indexes": [index for index, side in enumerate(sides) if side == grid],
        "output_channels": state["image_encoder.neck.0.weight"].shape[0],
        "image_size": grid * patch,
        "patch_size": patch,
        "num_pos_feats": state["prompt_encoder.no_mask_embed.weight"].shape[1] // 2,
    }


def _prompt_sizes(state: StateDict, image_size: int, patch_size: int) -> dict[str, Any]:
    return {
        "hidden_size": state["prompt_encoder.no_mask_embed.weight"].shape[1],
        "mask_input_channels": state["prompt_encoder.mask_downscaling.3.weight"].shape[0],
        "image_size": image_size,
        "patch_size": patch_size,
    }


def _decoder_sizes(state: StateDict) -> dict[str, Any]:
    stem = "mask_decoder.transformer.layers"
    hidden = state["mask_decoder.iou_token.weight"].shape[1]
    return {
        "hidden_size": hidden,
        "mlp_dim": state[f"{stem}.0.mlp.lin1.weight"].shape[0],
        "num_hidden_layers": _count(state, stem),
        "num_attention_heads": _DECODER_HEADS,
        "num_multimask_outputs": state["mask_decoder.mask_tokens.weight"].shape[0] - 1,
        "iou_head_depth": _count(state, "mask_decoder.iou_prediction_head.layers"),
        "iou_head_hidden_dim": state["mask_decoder.iou_prediction_head.layers.0.weight"].shape[0],
        "layer_norm_eps": _DECODER_EPS,
    }


def _tiny_vit_sizes(tiny: StateDict) -> dict[str, Any]:
    """Arguments of timm's TinyVit, from weights under timm's names."""
    count = _count(tiny, "stages")
    biases = [tiny[f"stages.{index}.blocks.0.attn.attention_biases"] for index in range(1, count)]
    merged = [tiny[f"stages.{index}.downsample.conv1.conv.weight"].shape[0] for index in range(1, count)]
    return {
        "embed_dims": (tiny["patch_embed.conv2.conv.weight"].shape[0], *merged),
        "depths": tuple(_count(tiny, f"stages.{index}.blocks") for index in range(count)),
        # The first stage has no attention.
        "num_heads": (1, *(bias.shape[0] for bias in biases)),
        # One bias an offset (|dy|, |dx|) inside the window.
        "window_sizes": (1, *(math.isqrt(bias.shape[1]) for bias in biases)),
    }
