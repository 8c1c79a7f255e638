"""Tiny promptable networks of segment-anything and transformers, with weights that make structured masks."""

from __future__ import annotations

from functools import partial
from pathlib import Path
from typing import Any

import torch

SIZE, WIDTH = 128, 32


def segment_anything_sam(size: int = SIZE) -> Any:
    """A segment_anything Sam: two ViT blocks, one with windows and one without."""
    from segment_anything.modeling import ImageEncoderViT, MaskDecoder, PromptEncoder, Sam, TwoWayTransformer

    torch.manual_seed(0)
    encoder = ImageEncoderViT(
        img_size=size,
        embed_dim=32,
        depth=2,
        num_heads=2,
        out_chans=WIDTH,
        norm_layer=partial(torch.nn.LayerNorm, eps=1e-6),
        use_rel_pos=True,
        window_size=3,  # does not divide 8 embeddings: windows are padded
        global_attn_indexes=(1,),
    )
    side = size // 16
    prompts = PromptEncoder(
        embed_dim=WIDTH, image_embedding_size=(side, side), input_image_size=(size, size), mask_in_chans=16
    )
    decoder = MaskDecoder(
        transformer_dim=WIDTH,
        transformer=TwoWayTransformer(depth=1, embedding_dim=WIDTH, num_heads=8, mlp_dim=64),
        iou_head_hidden_dim=24,
    )
    return enliven(Sam(encoder, prompts, decoder).eval())


def sam2_model(size: int = SIZE) -> Any:
    """A transformers Sam2Model: a Hiera of four stages."""
    from transformers import Sam2Config, Sam2Model

    side = size // 4
    backbone = {
        "model_type": "sam2_hiera_det_model",
        "hidden_size": 16,
        "image_size": [size, size],
        "blocks_per_stage": [1, 1, 2, 1],
        "embed_dim_per_stage": [16, 32, 64, 128],
        "num_attention_heads_per_stage": [1, 2, 4, 8],
        "window_size_per_stage": [4, 2, 4, 2],
        "global_attention_blocks": [3],
    }
    vision = {
        "backbone_config": backbone,
        "backbone_channel_list": [128, 64, 32, 16],
        "backbone_feature_sizes": [[side, side], [side // 2, side // 2], [side // 4, side // 4]],
        "fpn_hidden_size": WIDTH,
    }
    prompts = {"hidden_size": WIDTH, "image_size": size}
    decoder = {"hidden_size": WIDTH, "mlp_dim": 64, "iou_head_hidden_dim": 24}
    torch.manual_seed(0)
    config = Sam2Config(vision_config=vision, prompt_encoder_config=prompts, mask_decoder_config=decoder)
    return enliven(Sam2Model(config).eval())


def save_sam2(folder: Path, size: int = SIZE) -> Any:
    """`sam2_model`, once it and its image processor are saved in the folder as transformers does."""
    from transformers import Sam2ImageProcessor

    model = sam2_model(size)
    model.save_pretrained(folder)
    Sam2ImageProcessor(size={"height": size, "width": size}).save_pretrained(folder)
    return model


def enliven(module: Any) -> Any:
    """The module with weights that neither vanish nor stand at zero: libraries start heads and positions there."""
    with torch.no_grad():
        for parameter in module.parameters():
            if parameter.ndim > 1:
                parameter.normal_(std=parameter[0].numel() ** -0.5)
            else:
                parameter.add_(0.1 * torch.randn_like(parameter))
        # Logits of several units, as trained networks have them: a mask is then no matter of rounding.
        for name, layer in module.named_modules():
            if name.endswith(("mlps.0", "mlps.1", "mlps.2", "mlps.3")):
                for parameter in list(layer.parameters())[-2:]:
                    parameter.mul_(4)
    return module


def mobile_sam_state() -> tuple[tuple[Any, Any, Any], dict[str, Any]]:
    """Tiny modules of MobileSAM, and their weights under the names of its own repository."""
    from edgevision.export.sam_weights import mobile_sam_modules

    torch.manual_seed(0)
    sizes = {"embed_dims": (8, 16, 16, 32), "depths": (1, 1, 2, 1), "num_heads": (1, 2, 2, 4)}
    parts = mobile_sam_modules(
        sizes | {"window_sizes": (1, 7, 14, 7)},
        {"hidden_size": WIDTH, "image_size": 1024, "patch_size": 16},
        {"hidden_size": WIDTH, "mlp_dim": 64, "iou_head_hidden_dim": 24, "layer_norm_eps": 1e-5},
    )
    for part in parts:
        enliven(part)
    names = {"patch_embed.conv1": "patch_embed.seq.0", "patch_embed.conv2": "patch_embed.seq.2"}
    for stage in (1, 2, 3):
        names[f"stages.{stage}.downsample"] = f"layers.{stage - 1}.downsample"
    names["stages"] = "layers"
    state = {}
    for key, value in parts[0].state_dict().items():
        stem = next((stem for stem in names if key.startswith(f"{stem}.")), "")
        key = names[stem] + key.removeprefix(stem) if stem else key
        state[f"image_encoder.{key.replace('.conv.weight', '.c.weight')}"] = value
    state["image_encoder.norm_head.weight"] = state["image_encoder.norm_head.bias"] = torch.ones(32)
    state |= _original_names("prompt_encoder", parts[1]) | _original_names("mask_decoder", parts[2])
    return parts, state


def sam2_state(hiera: Any) -> tuple[Any, dict[str, Any]]:
    """A transformers Sam2Model of these sizes, and its weights under the names of SAM 2's own repository."""
    from transformers import Sam2Model

    from edgevision.export.sam2_weights import sam2_config

    torch.manual_seed(0)
    model = enliven(Sam2Model(sam2_config(hiera)).eval())
    # One table serves points and image in every trained model.
    model.shared_image_embedding.load_state_dict(model.prompt_encoder.shared_embedding.state_dict())
    state = {"no_mem_embed": model.no_memory_embedding.detach(), "memory_encoder.proj.weight": torch.ones(2)}
    for key, value in model.vision_encoder.state_dict().items():
        key = (
            key.replace("backbone.", "trunk.")
            .replace(".projection.", ".proj.")
            .replace(".layer_norm", ".norm")
        )
        key = key.replace("mlp.proj_in", "mlp.layers.0").replace("mlp.proj_out", "mlp.layers.1")
        parts = key.split(".")
        if parts[:2] == ["neck", "convs"]:
            parts.insert(3, "conv")
        state["image_encoder." + ".".join(parts)] = value
    prompts = _original_names("sam_prompt_encoder", model.prompt_encoder)
    table = prompts.pop("sam_prompt_encoder.point_embeddings.weight")
    for kind in range(4):
        prompts[f"sam_prompt_encoder.point_embeddings.{kind}.weight"] = table[kind : kind + 1]
    return model, state | prompts | _original_names("sam_mask_decoder", model.mask_decoder)


def _original_names(prefix: str, module: Any) -> dict[str, Any]:
    """The weights of transformers' prompt encoder or mask decoder as Meta's repositories name them."""
    upscaling = {"upscale_conv1": 0, "upscale_layer_norm": 1, "upscale_conv2": 3}
    downscaling = {"conv1": 0, "layer_norm1": 1, "conv2": 3, "layer_norm2": 4, "conv3": 6}
    state = {}
    for key, value in module.state_dict().items():
        parts = key.split(".")
        if parts[0] in upscaling:
            parts[:1] = ["output_upscaling", str(upscaling[parts[0]])]
        elif parts[0] == "mask_embed":
            parts[:2] = ["mask_downscaling", str(downscaling[parts[1]])]
        elif parts[0] == "point_embed":
            parts[0] = "point_embeddings"
        elif parts[0] == "shared_embedding":
            parts = ["pe_layer", "positional_encoding_gaussian_matrix"]
        elif parts[0] in ("output_hypernetworks_mlps", "iou_prediction_head", "pred_obj_score_head"):
            at = 2 if parts[0] == "output_hypernetworks_mlps" else 1
            inner = {"proj_in": 0, "layers": 1, "proj_out": 2}[parts[at]]
            parts[at:-1] = ["layers", str(inner)]
        elif parts[0] == "transformer":
            key = (
                ".".join(parts)
                .replace("layer_norm_final_attn", "norm_final_attn")
                .replace("layer_norm", "norm")
            )
            key = key.replace("o_proj", "out_proj")
            key = key.replace("mlp.proj_in", "mlp.layers.0").replace("mlp.proj_out", "mlp.layers.1")
            parts = key.split(".")
        state[".".join([prefix, *parts])] = value
    return state
