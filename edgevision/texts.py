"""Texts to embeddings, by the text network and the tokenizer of a bundle."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from contextlib import AbstractContextManager, closing, contextmanager
from importlib import import_module
from pathlib import Path
from typing import Any, TypeAlias

import numpy as np
from numpy.typing import NDArray

from edgevision.backends.base import Session
from edgevision.backends.registry import open_session
from edgevision.errors import InputError, MissingDependencyError, ModelFileError, SpecError
from edgevision.spec import find_part
from edgevision.spec.files import read_small
from edgevision.tasks.embed import normalize_rows

__all__ = ["TOKENIZER_NAME", "OpenTexts", "TextEncoder", "encode_prompts", "fill_templates", "open_texts"]

TOKENIZER_NAME = "tokenizer.json"
"""In a bundle; it pads and cuts texts to the length that the text network takes."""
_MAX_TOKENIZER_BYTES = 64 << 20
_BATCH = 32
"""Texts a run: more gain nothing on a CPU and cost memory."""


class TextEncoder:
    """Callable on texts: their embeddings. One encoder serves one thread."""

    def __init__(self, session: Session, tokenizer: Path) -> None:
        """session: of the text network: one input of token ids (N, L), one output (N, D).

        Raises SpecError when it is another, ModelFileError for a missing or broken tokenizer, MissingDependencyError
        without the tokenizers library.
        """
        if len(session.inputs) != 1 or len(session.inputs[0].shape) != 2:
            shapes = ", ".join(f"{tensor.name} {tensor.shape}" for tensor in session.inputs)
            raise SpecError(f"a text network takes token ids (N, L), this one takes {shapes}")
        self._session = session
        self._input = session.inputs[0]
        self._tokenizer = _load_tokenizer(tokenizer)

    def __call__(self, texts: Sequence[str]) -> NDArray[np.float32]:
        """The embeddings of N texts, float32 (N, D), each of length 1. Raises InputError for what is no list of texts."""
        _check_texts("texts", texts)
        ids = np.array([one.ids for one in self._tokenizer.encode_batch(list(texts))])
        count, length = self._input.shape
        if ids.ndim != 2 or length not in (None, ids.shape[1]):
            raise SpecError(
                f"the tokenizer gives {ids.shape[1:]} tokens a text and the text network takes {length}; they are "
                f"not of one model"
            )
        return normalize_rows(
            self._run(ids.astype(self._input.dtype), count or _BATCH, fixed=count is not None)
        )

    def _run(self, ids: NDArray[Any], size: int, fixed: bool) -> NDArray[np.float32]:
        found = []
        for start in range(0, len(ids), size):
            rows = ids[start : start + size]
            # A network of a fixed batch is filled up with its last row.
            fed = np.concatenate([rows, np.repeat(rows[-1:], size - len(rows), axis=0)]) if fixed else rows
            (output,) = self._session.run({self._input.name: fed}).values()
            found.append(output[: len(rows)].astype(np.float32))
        return np.concatenate(found)


OpenTexts: TypeAlias = Callable[[], AbstractContextManager[TextEncoder]]
"""Opens a text encoder for the length of a with block."""


@contextmanager
def open_texts(
    model: Path, *, backend: str | None = None, device: str = "auto", **session_options: Any
) -> Iterator[TextEncoder]:
    """The text encoder of the bundle that a model's file belongs to, closed when the block ends.

    Raises ModelFileError when the bundle has no text network or tokenizer, and as `TextEncoder` does.
    """
    tokenizer = model.parent / TOKENIZER_NAME
    if not tokenizer.is_file():
        raise ModelFileError(
            f"{model.parent} holds no {TOKENIZER_NAME}, so that prompts cannot be read; export it from a folder with its "
            f"tokenizer, or with prompts"
        )
    network = find_part(model, "text")
    with closing(open_session(network, backend=backend, device=device, **session_options)) as session:
        yield TextEncoder(session, tokenizer)


def encode_prompts(
    texts: OpenTexts | None, prompts: Sequence[str], templates: Sequence[str] | str, count: int
) -> NDArray[np.float32]:
    """For each of `count` prompts the mean direction of its texts, one a template: float32 (count, D), of length 1.

    Raises InputError for another number of prompts, and as `fill_templates`, `open_texts` and `TextEncoder` do.
    """
    variants = fill_templates(prompts, templates)
    if len(variants) != count:
        raise InputError(f"labels must name the {len(variants)} prompts one by one, got {count}")
    if texts is None:
        raise InputError("this model does not know its text network: open its bundle with edgevision.load")
    with texts() as encode:
        means = [encode(variant).mean(axis=0) for variant in variants]
    return normalize_rows(np.stack(means))


def fill_templates(prompts: Sequence[str], templates: Sequence[str] | str) -> list[list[str]]:
    """For each prompt its texts, one a template, which has one {} for it.

    Raises InputError for no prompts, an empty one, or a template without its place.
    """
    templates = [templates] if isinstance(templates, str) else list(templates)
    _check_texts("prompts", prompts)
    wrong = [one for one in templates if not isinstance(one, str) or one.count("{}") != 1]
    if wrong or not templates:
        raise InputError(f"each template must hold one {{}} for the prompt, got {wrong[:3] or templates}")
    return [[template.replace("{}", prompt) for template in templates] for prompt in prompts]


def _check_texts(name: str, texts: Sequence[str]) -> None:
    listed = isinstance(texts, (list, tuple))
    if not listed or not texts or not all(isinstance(one, str) and one.strip() for one in texts):
        raise InputError(f"{name} must be a list of one text or more, none of them empty, got {texts!r:.200}")


def _load_tokenizer(path: Path) -> Any:
    try:
        tokenizers = import_module("tokenizers")
    except ImportError:
        raise MissingDependencyError("tokenizers", "clip", "reading prompts") from None
    text = read_small(path, _MAX_TOKENIZER_BYTES)
    try:
        return tokenizers.Tokenizer.from_buffer(text)
    except Exception as error:  # the library raises bare Exceptions
        raise ModelFileError(f"{path} is no tokenizer: {error}") from None
