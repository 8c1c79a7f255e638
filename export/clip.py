"""Image and text networks that share a space: CLIP and SigLIP, as transformers has them.

Exported as they are, the bundle embeds images, and its text network and tokenizer stand ready for prompts at run time.
Exported with prompts, the texts are encoded here and now, and one graph classifies by similarity to them.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass, replace
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray

from edgevision.errors import InputError
from edgevision.export.clip_tokenizer import Tokenize, bundle_tokenizer, sample_tokens, tokenize_with
from edgevision.export.network import Axis, Feeds, Network, Part
from edgevision.export.preprocess import check_preprocess
from edgevision.export.random_weights import randomize
from edgevision.export.request import Request
from edgevision.export.transformers_checkpoint import Checkpoint, import_transformers, load_network
from edgevision.spec import Decoder, ImageInput, ModelSpec
from edgevision.texts import TOKENIZER_NAME, fill_templates

__all__ = ["is_dual_encoder", "read_clip"]

_TEXT_RUNS = 4


@dataclass(frozen=True, slots=True, eq=False)
class _Towers:
    """Both networks of a checkpoint, and how their similarity becomes a logit: cosine * scale + bias.

    length: tokens of a text, padded or cut to it.
    """

    image: torch.nn.Module
    text: torch.nn.Module
    length: int
    scale: float
    bias: float
    activation: str


def is_dual_encoder(config: Any) -> bool:
    """Whether a configuration of transformers is of an image and a text network that share a space."""
    if any(name.endswith("ForImageClassification") for name in config.architectures or ()):
        return False
    kind = import_transformers().AutoModel._model_mapping.get(type(config), None)
    return hasattr(kind, "get_text_features") and hasattr(kind, "get_image_features")


def read_clip(
    checkpoint: Checkpoint,
    request: Request,
    *,
    prompts: Sequence[str] | None = None,
    templates: Sequence[str] = ("{}",),
    dynamic_batch: bool = False,
) -> Network:
    """The Network of a CLIP or SigLIP checkpoint.

    prompts: None: an embedder, with its text network and its tokenizer beside it. Else a classifier of one class a
        prompt; the labels of `request` name them, and stand for the prompts when there are none.
    templates: each with one {} for a prompt; with several, their embeddings are averaged.
    Raises InputError for prompts or templates that do not fit, ModelFileError when the tokenizer cannot be had.
    """
    check_preprocess(checkpoint.image, checkpoint.preprocess, f"the preprocessing of {checkpoint.name}")
    towers = _load_towers(checkpoint, request)
    labels = () if request.names is None else request.names
    image = replace(checkpoint.image, batch=None if dynamic_batch else 1)
    if prompts is None and not labels:
        return _embedder(checkpoint, towers, image)
    texts = fill_templates(labels if prompts is None else prompts, templates)
    names = labels or tuple(prompts or ())
    if len(names) != len(texts):
        raise InputError(f"labels must name the {len(texts)} prompts one by one, got {len(names)}")
    module = _ZeroShot(towers, _encode_texts(towers, tokenize_with(checkpoint, towers.length), texts))
    spec = ModelSpec(
        task="classify",
        inputs=(image,),
        decoder=Decoder(name="scores", params={"activation": towers.activation}),
        labels=names,
        source=checkpoint.source,
    )
    said = ", ".join(repr(text) for text in texts[0][:3])
    notes = (f"Classifies by similarity to {len(texts)} texts, the first of them {said}.",)
    return Network(
        spec=spec, parts=(_image_part(module, spec, "logits"),), preprocess=checkpoint.preprocess, notes=notes
    )


def _embedder(checkpoint: Checkpoint, towers: _Towers, image: ImageInput) -> Network:
    params = {
        "normalize": True,
        "logit_scale": towers.scale,
        "logit_bias": towers.bias,
        "activation": towers.activation,
    }
    spec = ModelSpec(
        task="embed",
        inputs=(image,),
        decoder=Decoder(name="embedding", params=params),
        source=checkpoint.source,
    )
    tokenizer = bundle_tokenizer(checkpoint, towers.length)
    files = {} if tokenizer is None else {TOKENIZER_NAME: tokenizer}
    notes = () if files else ("Without a tokenizer its text network takes token ids only.",)
    tokenize = None if tokenizer is None else tokenize_with(checkpoint, towers.length)
    parts = (_image_part(towers.image, spec, "image_embeds"), _text_part(checkpoint, towers, tokenize))
    return Network(spec=spec, parts=parts, preprocess=checkpoint.preprocess, files=files, notes=notes)


def _image_part(module: torch.nn.Module, spec: ModelSpec, output: str) -> Part:
    image = spec.inputs[0]
    return Part(
        module=module.eval(),
        example=(torch.zeros(1, 3, *image.size_hw),),
        inputs=(image.name,),
        outputs=(output,),
    )


def _text_part(checkpoint: Checkpoint, towers: _Towers, tokenize: Tokenize | None) -> Part:
    tokens = sample_tokens(checkpoint.config.text_config, towers.length, tokenize, _TEXT_RUNS)

    def feeds(_: Sequence[Any]) -> list[Feeds]:
        return [{"input_ids": row[None]} for row in tokens]

    return Part(
        role="text",
        module=towers.text.eval(),
        example=(torch.from_numpy(tokens[:1]),),
        inputs=("input_ids",),
        outputs=("text_embeds",),
        dynamic={"input_ids": {0: Axis("texts", high=4096)}},
        feeds=feeds,
        precisions=("fp32", "fp16"),  # it runs once a prompt: int8 would cost accuracy and save nothing
    )


class _Tower(torch.nn.Module):
    """One of the two networks: its pooled output, projected into the shared space."""

    def __init__(self, network: torch.nn.Module, projection: torch.nn.Module | None) -> None:
        super().__init__()
        self.network = network
        self.projection = torch.nn.Identity() if projection is None else projection

    def forward(self, values: torch.Tensor) -> torch.Tensor:
        # The first argument of both: pixel_values, input_ids.
        return self.projection(self.network(values).pooler_output)


class _ZeroShot(torch.nn.Module):
    """Images to one logit a text: the scaled cosine of both embeddings."""

    def __init__(self, towers: _Towers, texts: torch.Tensor) -> None:
        """texts: (N, D), each of length 1."""
        super().__init__()
        self.tower = towers.image
        self.scale, self.bias = towers.scale, towers.bias
        self.register_buffer("texts", texts.t().contiguous())

    def forward(self, images: torch.Tensor) -> torch.Tensor:
        # In float32 whatever the tower computes with: squares overflow half precision, and a logit of 100 would be
        # rounded to 1/16.
        vectors = self.tower(images).float()
        vectors = vectors / vectors.norm(dim=-1, keepdim=True)
        return vectors @ self.texts.float() * self.scale + self.bias


def _load_towers(checkpoint: Checkpoint, request: Request) -> _Towers:
    model = load_network(checkpoint, import_transformers().AutoModel, random=request.random)
    text = _Tower(model.text_model, getattr(model, "text_projection", None))
    image = _Tower(model.vision_model, getattr(model, "visual_projection", None))
    length = int(checkpoint.config.text_config.max_position_embeddings)
    if request.random:
        randomize(image, checkpoint.image.size_hw, seed=request.seed)
        tokens = torch.from_numpy(sample_tokens(checkpoint.config.text_config, length, None, _TEXT_RUNS))
        randomize(text, checkpoint.image.size_hw, seed=request.seed + 1, example=tokens)
    bias = getattr(model, "logit_bias", None)
    return _Towers(
        image=image.eval(),
        text=text.eval(),
        length=length,
        scale=math.exp(float(model.logit_scale.detach().flatten()[0])),
        bias=0.0 if bias is None else float(bias.detach().flatten()[0]),
        # SigLIP alone learns a bias, for a loss of independent questions.
        activation="softmax" if bias is None else "sigmoid",
    )


def _encode_texts(towers: _Towers, tokenize: Tokenize, texts: Sequence[Sequence[str]]) -> torch.Tensor:
    """(N, D), of length 1: of each class the mean of its texts' directions."""
    rows = []
    with torch.no_grad():
        for variants in texts:
            ids: NDArray[np.int64] = tokenize(variants)
            vectors = torch.nn.functional.normalize(towers.text(torch.from_numpy(ids)), dim=-1)
            rows.append(torch.nn.functional.normalize(vectors.mean(0), dim=0))
    return torch.stack(rows)
