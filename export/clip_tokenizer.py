"""Texts to the token ids that a text network takes, at export and, by a file in the bundle, at run time."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any, TypeAlias

import numpy as np
from numpy.typing import NDArray

from edgevision.errors import MissingDependencyError, ModelFileError
from edgevision.export.transformers_checkpoint import Checkpoint, import_transformers, quietly

__all__ = ["Tokenize", "bundle_tokenizer", "sample_tokens", "tokenize_with"]

Tokenize: TypeAlias = Callable[[Sequence[str]], NDArray[np.int64]]
"""Texts to token ids, int64 (N, length)."""

_FILES = ("tokenizer.json", "vocab.json", "vocab.txt", "spiece.model", "tokenizer.model")
_SAMPLES = (
    "a photo of a cat",
    "A blurry photo of two dogs, running!",
    "x",
    "a very long description of a small thing that goes on and on, " * 12,
)


def tokenize_with(checkpoint: Checkpoint, length: int) -> Tokenize:
    """The checkpoint's own tokenizer, padding and cutting texts to `length` tokens.

    Raises ModelFileError when the checkpoint has none.
    """
    tokenizer = _load_tokenizer(checkpoint)
    if tokenizer is None:
        raise ModelFileError(
            f"{checkpoint.name} has no tokenizer, which prompts need; pass a folder that holds its tokenizer.json"
        )

    def tokenize(texts: Sequence[str]) -> NDArray[np.int64]:
        found = tokenizer(
            list(texts), padding="max_length", truncation=True, max_length=length, return_tensors="np"
        )
        return np.asarray(found["input_ids"], np.int64)

    known = int(checkpoint.config.text_config.vocab_size)
    highest = int(tokenize(_SAMPLES).max())
    if highest >= known:
        raise ModelFileError(
            f"the tokenizer of {checkpoint.name} gives ids up to {highest} and its text network knows {known}; they are "
            f"not of one model"
        )
    return tokenize


def bundle_tokenizer(checkpoint: Checkpoint, length: int) -> bytes | None:
    """A tokenizer.json that pads and cuts by itself, so that the runtime needs to know nothing; None without one.

    Raises ModelFileError when the tokenizers library would not give what the checkpoint's own tokenizer gives.
    """
    own = _load_tokenizer(checkpoint)
    if own is None:
        return None
    try:
        from tokenizers import Tokenizer
    except ImportError:
        raise MissingDependencyError("tokenizers", "clip", "exporting a text network") from None
    alone = Tokenizer.from_str(own.backend_tokenizer.to_str())
    alone.enable_truncation(max_length=length)
    alone.enable_padding(length=length, pad_id=int(own.pad_token_id), pad_token=str(own.pad_token))
    wanted = tokenize_with(checkpoint, length)(_SAMPLES)
    found = np.array([one.ids for one in alone.encode_batch(list(_SAMPLES))], np.int64)
    if not np.array_equal(wanted, found):
        raise ModelFileError(
            f"the tokenizer of {checkpoint.name} does more than its tokenizer.json says, so that its texts could not "
            f"be told to the text network at run time; export it with prompts"
        )
    return alone.to_str().encode()


def sample_tokens(config: Any, length: int, tokenize: Tokenize | None, count: int) -> NDArray[np.int64]:
    """Token ids to trace, compare and randomise with, (count, length): of texts, else random ones that end."""
    if tokenize is not None:
        return tokenize(_SAMPLES[:count])
    rng = np.random.default_rng(0)
    # The last id of a vocabulary is the end of the text in CLIP's, where the pooled token is.
    last = config.vocab_size - 1
    end = config.eos_token_id if 2 < (config.eos_token_id or 0) <= last else last
    tokens = rng.integers(3, last, (count, length))
    tokens[tokens == end] = 3
    for row, stop in zip(tokens, rng.integers(length // 2, length, count), strict=True):
        row[stop:] = end
    return tokens


def _load_tokenizer(checkpoint: Checkpoint) -> Any:
    """The checkpoint's tokenizer; None where there is none: a model type, or a folder without its files."""
    if checkpoint.origin is None:
        return None
    folder = Path(checkpoint.origin)
    # From its version 5 on transformers makes an empty tokenizer up where a folder holds none.
    if folder.is_dir() and not any((folder / name).is_file() for name in _FILES):
        return None
    with quietly():
        try:
            found = import_transformers().AutoTokenizer.from_pretrained(checkpoint.origin)
        except (OSError, ValueError):
            return None
    if not hasattr(found, "backend_tokenizer"):
        raise ModelFileError(
            f"the tokenizer of {checkpoint.name} is written in Python alone; save it with its tokenizer.json"
        )
    return found
