"""SAM 2's published networks, and checkpoints of its own repository as a transformers Sam2Model (single images)."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from os import PathLike
from typing import Any

import torch

from edgevision.errors import ModelFileError
from edgevision.export.sam_weights import DECODER_NAMES, PROMPT_NAMES, StateDict, rename_keys
from edgevision.export.weights import load_weights

__all__ = ["HIERAS", "Hiera", "is_sam2", "sam2_config", "sam2_from"]


@dataclass(frozen=True, slots=True)
class Hiera:
    """What tells the published image encoders apart (the yaml files of SAM 2's repository).

    width:   channels of the first stage; each stage doubles them.
    heads:   of attention in the first stage; each stage doubles them.
    blocks:  of each stage. windows: pixels a side of each stage's attention.
    everywhere: blocks whose attention knows no windows.
    grid:    of the position embedding that is stretched over the image.
    """

    width: int
    heads: int
    blocks: tuple[int, ...]
    everywhere: tuple[int, ...]
    windows: tuple[int, ...] = (8, 4, 14, 7)
    grid: int = 7


HIERAS: dict[str, Hiera] = {
    "tiny": Hiera(96, 1, (1, 2, 7, 2), (5, 7, 9)),
    "small": Hiera(96, 1, (1, 2, 11, 2), (7, 10, 13)),
    "base_plus": Hiera(112, 2, (2, 3, 16, 3), (12, 16, 20), grid=14),
    "large": Hiera(144, 2, (2, 6, 36, 4), (23, 33, 43), (8, 4, 16, 8)),
}

_TRUNK_NAMES = (
    (r"^image_encoder\.trunk\.", "vision_encoder.backbone."),
    (r"\.patch_embed\.proj\.", ".patch_embed.projection."),
    (r"\.norm(\d)\.", r".layer_norm\1."),
    (r"^image_encoder\.neck\.convs\.(\d+)\.conv\.", r"vision_encoder.neck.convs.\1."),
)
_SAM2_DECODER_NAMES = ((r"^sam_", ""), (r"\.out_proj\.", ".o_proj."), *DECODER_NAMES)
_SAM2_PROMPT_NAMES = ((r"^sam_", ""), *PROMPT_NAMES)

_PREFIXES = ("image_encoder.", "sam_prompt_encoder.", "sam_mask_decoder.")
"""What a single image needs; the rest of a checkpoint is the memory of videos."""


def is_sam2(state: Mapping[str, Any]) -> bool:
    """Whether these are the weights of SAM 2's own repository."""
    return (
        "image_encoder.trunk.patch_embed.proj.weight" in state
        and "sam_mask_decoder.iou_token.weight" in state
    )


def sam2_config(hiera: Hiera) -> Any:
    """The transformers Sam2Config of a published network."""
    from transformers import Sam2Config

    widths = [hiera.width * 2**stage for stage in range(len(hiera.blocks))]
    backbone = {
        "model_type": "sam2_hiera_det_model",
        "hidden_size": hiera.width,
        "num_attention_heads": hiera.heads,
        "blocks_per_stage": list(hiera.blocks),
        "embed_dim_per_stage": widths,
        "num_attention_heads_per_stage": [hiera.heads * 2**stage for stage in range(len(hiera.blocks))],
        "window_size_per_stage": list(hiera.windows),
        "global_attention_blocks": list(hiera.everywhere),
        "window_positional_embedding_background_size": [hiera.grid, hiera.grid],
    }
    vision = {"backbone_config": backbone, "backbone_channel_list": widths[::-1]}
    return Sam2Config(vision_config=vision)


def sam2_from(state: StateDict, path: str | PathLike[str]) -> Any:
    """A transformers Sam2Model with the weights of a checkpoint of SAM 2's or 2.1's own repository.

    path: named in messages. Raises ModelFileError when they are those of no published network.
    """
    from transformers import Sam2Model

    model = Sam2Model(sam2_config(_published(state))).eval()
    parts = [{k: v for k, v in state.items() if k.startswith(prefix)} for prefix in _PREFIXES]
    renamed = rename_keys(parts[0], _TRUNK_NAMES)
    renamed |= rename_keys(_join_point_embeddings(parts[1]), _SAM2_PROMPT_NAMES)
    renamed |= rename_keys(
        {key: value for key, value in parts[2].items() if "pred_obj_ptr" not in key}, _SAM2_DECODER_NAMES
    )
    renamed["shared_image_embedding.positional_embedding"] = renamed[
        "prompt_encoder.shared_embedding.positional_embedding"
    ]
    renamed["no_memory_embedding"] = state["no_mem_embed"]
    load_weights(model, renamed, path, "SAM 2")
    return model


def _published(state: StateDict) -> Hiera:
    width = state["image_encoder.trunk.patch_embed.proj.weight"].shape[0]
    blocks = {key.split(".")[3] for key in state if key.startswith("image_encoder.trunk.blocks.")}
    for hiera in HIERAS.values():
        if (hiera.width, sum(hiera.blocks)) == (width, len(blocks)):
            return hiera
    raise ModelFileError(
        f"the image encoder has {width} channels and {len(blocks)} blocks, as no published SAM 2 "
        f"({', '.join(HIERAS)}); save it as a transformers Sam2Model, whose configuration says the rest"
    )


def _join_point_embeddings(state: StateDict) -> StateDict:
    """The four layers of kinds of points as the one that transformers has."""
    stem = "sam_prompt_encoder.point_embeddings"
    kinds = [f"{stem}.{kind}.weight" for kind in range(4)]
    joined = {key: value for key, value in state.items() if key not in kinds}
    joined[f"{stem}.weight"] = torch.cat([state[key] for key in kinds])
    return joined
