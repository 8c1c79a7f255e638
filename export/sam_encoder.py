"""The image encoders of the SAM family, each as a module from the input tensor to the bundle's embeddings."""

from __future__ import annotations

from typing import Any

import torch

from edgevision.export.sam_decoder import EMBEDDINGS, HIGH_RES

__all__ = ["Sam2Encoder", "TinyVitEncoder", "VitEncoder", "encoder_outputs"]


def encoder_outputs(encoder: torch.nn.Module) -> tuple[str, ...]:
    """The names of what an encoder of this module gives."""
    return (EMBEDDINGS, *HIGH_RES) if isinstance(encoder, Sam2Encoder) else (EMBEDDINGS,)


class VitEncoder(torch.nn.Module):
    """SAM's ViT: (1, 3, S, S) to embeddings (1, C, S / 16, S / 16)."""

    def __init__(self, vision_encoder: Any) -> None:
        """vision_encoder: of a transformers SamModel."""
        super().__init__()
        self.vision_encoder = vision_encoder

    def forward(self, images: torch.Tensor) -> torch.Tensor:
        """See the class."""
        embeddings: torch.Tensor = self.vision_encoder(images).last_hidden_state
        return embeddings


class Sam2Encoder(torch.nn.Module):
    """SAM 2's Hiera with its feature pyramid, for single images.

    (1, 3, S, S) to embeddings (1, C, S / 16, S / 16), and features (1, C / 8, S / 4, S / 4) and (1, C / 4, S / 8, S / 8).
    """

    def __init__(self, model: Any) -> None:
        """model: a transformers Sam2Model."""
        super().__init__()
        self.vision_encoder = model.vision_encoder
        self.projections = torch.nn.ModuleList([model.mask_decoder.conv_s0, model.mask_decoder.conv_s1])
        # What SAM 2 adds to the features of a frame that has no memory of earlier ones.
        self.register_buffer("no_memory", model.no_memory_embedding.detach().reshape(1, -1, 1, 1).clone())

    def forward(self, images: torch.Tensor) -> tuple[torch.Tensor, ...]:
        """See the class."""
        quarter, eighth, embeddings = self.vision_encoder(images).fpn_hidden_states
        return embeddings + self.no_memory, self.projections[0](quarter), self.projections[1](eighth)


class TinyVitEncoder(torch.nn.Module):
    """MobileSAM's TinyViT: (1, 3, S, S) to embeddings (1, C, S / 16, S / 16).

    The classifier's body without its last halving, and SAM's neck on top (Zhang et al. 2023).
    """

    def __init__(self, tiny_vit: Any, channels: int) -> None:
        """tiny_vit: a TinyVit of timm; its head is dropped. channels: C."""
        super().__init__()
        from timm.layers import LayerNorm2d

        self.patch_embed = tiny_vit.patch_embed
        self.stages = tiny_vit.stages
        self.stages[-1].downsample.conv2.conv.stride = (1, 1)
        self.neck = torch.nn.Sequential(
            torch.nn.Conv2d(tiny_vit.num_features, channels, 1, bias=False),
            LayerNorm2d(channels, eps=1e-6),
            torch.nn.Conv2d(channels, channels, 3, padding=1, bias=False),
            LayerNorm2d(channels, eps=1e-6),
        )

    def forward(self, images: torch.Tensor) -> torch.Tensor:
        """See the class."""
        embeddings: torch.Tensor = self.neck(self.stages(self.patch_embed(images)))
        return embeddings
