"""Whose weights a state_dict holds, told by the names of its tensors."""

from __future__ import annotations

from collections.abc import Iterable

__all__ = ["name_owner"]

# (parts of names that must all occur, what it is and what to do). The first that fits is told.
_OWNERS: tuple[tuple[tuple[str, ...], str], ...] = (
    (("image_encoder.", "mask_decoder."), "these are Segment Anything's: edgevision export sam"),
    (("vision_encoder.", "mask_decoder."), "these are Segment Anything's: edgevision export sam"),
    (("model.0.conv.weight", "model.1.conv.weight"), "these are a YOLO's: edgevision export yolo"),
    (("backbone.dark", "head.cls_preds"), "these are a YOLOX's: edgevision export yolo"),
    (("segmentation_head.",), "these are of segmentation-models-pytorch: edgevision export unet"),
    (
        ("visual.transformer.resblocks.",),
        "these are CLIP as OpenAI and open_clip name it: convert it to a transformers folder first",
    ),
    (
        ("vision_model.", "text_model."),
        "these are transformers' CLIP or SigLIP: pass the folder that holds config.json and this file",
    ),
    (
        (".embeddings.cls_token", ".encoder.layer"),
        "these are transformers': pass the folder that holds config.json and this file",
    ),
    (
        (".embedder.", ".encoder.stages."),
        "these are transformers': pass the folder that holds config.json and this file",
    ),
)


def name_owner(names: Iterable[str]) -> str:
    """What weights with these names are of, and what to do with them; empty where that cannot be told."""
    joined = "\n".join(f"\n{name}" for name in names)
    for parts, owner in _OWNERS:
        if all(part in joined for part in parts):
            return owner
    return ""
