"""Tiny CLIP and SigLIP checkpoints with a tokenizer of their own, written as `save_pretrained` writes them."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest

torch = pytest.importorskip("torch", reason="torch is not installed")
transformers = pytest.importorskip("transformers", "5", reason="transformers 5 is not installed")
tokenizers = pytest.importorskip("tokenizers", reason="tokenizers is not installed")

from edgevision.export.random_weights import randomize  # noqa: E402

SIDE, LENGTH, VOCABULARY = 32, 16, 300
WORDS = [
    "a photo of a cat",
    "a blurry picture of two dogs",
    "one red part on a belt",
    "Nothing at all, really!",
]


def make_tokenizer() -> Any:
    """Byte-pair encoding of lower-case words, trained on a few sentences, with a begin and an end as CLIP's has."""
    alone = tokenizers.Tokenizer(tokenizers.models.BPE(unk_token="<unk>"))
    alone.normalizer = tokenizers.normalizers.Lowercase()
    alone.pre_tokenizer = tokenizers.pre_tokenizers.ByteLevel(add_prefix_space=True)
    trainer = tokenizers.trainers.BpeTrainer(
        vocab_size=VOCABULARY,
        special_tokens=["<unk>", "<pad>", "<begin>", "<end>"],
        initial_alphabet=tokenizers.pre_tokenizers.ByteLevel.alphabet(),
        show_progress=False,
    )
    alone.train_from_iterator(WORDS * 3, trainer)
    ids = [(name, alone.token_to_id(name)) for name in ("<begin>", "<end>")]
    alone.post_processor = tokenizers.processors.TemplateProcessing(
        single="<begin> $A <end>", special_tokens=ids
    )
    return transformers.PreTrainedTokenizerFast(
        tokenizer_object=alone,
        bos_token="<begin>",
        eos_token="<end>",
        pad_token="<end>",
        unk_token="<unk>",
        model_max_length=LENGTH,
    )


def _text_settings(tokenizer: Any) -> dict[str, Any]:
    return {
        "vocab_size": len(tokenizer),
        "max_position_embeddings": LENGTH,
        "eos_token_id": tokenizer.eos_token_id,
        "bos_token_id": tokenizer.bos_token_id,
        "pad_token_id": tokenizer.pad_token_id,
        "hidden_size": 24,
        "intermediate_size": 48,
        "num_hidden_layers": 2,
        "num_attention_heads": 2,
    }


_VISION = {
    "hidden_size": 32,
    "intermediate_size": 64,
    "num_hidden_layers": 2,
    "num_attention_heads": 2,
    "image_size": SIDE,
    "patch_size": 8,
}


class _Both(torch.nn.Module):
    def __init__(self, model: Any, tokens: Any) -> None:
        super().__init__()
        self.model, self.tokens = model, tokens

    def forward(self, images: Any) -> Any:
        return self.model(pixel_values=images, input_ids=self.tokens).logits_per_image


def save(kind: str, folder: Path, seed: int = 0) -> Any:
    """A "clip" or "siglip" in `folder`; the model itself, in evaluation mode."""
    transformers.logging.disable_progress_bar()
    torch.manual_seed(seed)
    tokenizer = make_tokenizer()
    text = _text_settings(tokenizer)
    if kind == "clip":
        config = transformers.CLIPConfig(text_config=text, vision_config=_VISION, projection_dim=20)
        model = transformers.CLIPModel(config)
        processor = transformers.CLIPImageProcessor(
            size={"shortest_edge": SIDE}, crop_size={"height": SIDE, "width": SIDE}
        )
    else:
        config = transformers.SiglipConfig(text_config={**text, "projection_size": 32}, vision_config=_VISION)
        model = transformers.SiglipModel(config)
        processor = transformers.SiglipImageProcessor(size={"height": SIDE, "width": SIDE})
    tokens = torch.tensor(
        tokenizer(WORDS, padding="max_length", truncation=True, max_length=LENGTH)["input_ids"]
    )
    randomize(_Both(model, tokens), (SIDE, SIDE), seed=seed)
    with torch.no_grad():
        model.logit_scale.fill_(3.0)  # exp(3) = 20
        if kind == "siglip":
            model.logit_bias.fill_(-2.0)
    model.save_pretrained(folder)
    processor.save_pretrained(folder)
    tokenizer.save_pretrained(folder)
    return model
