"""How a classifier or embedder is to be read."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import TypeAlias

from edgevision.errors import InputError

__all__ = ["FILE_SUFFIXES", "LIBRARIES", "Labels", "Request"]

LIBRARIES = ("torchvision", "timm", "transformers")
Labels: TypeAlias = Sequence[str] | str | None
"""Class names by class id; () for none; "default" for those of the architecture's published weights; None for those
that the checkpoint names."""

FILE_SUFFIXES = (".pt", ".pth", ".bin", ".ckpt", ".safetensors")
"""Of files of weights."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Request:
    """How a source is to be read.

    model:   the architecture of a file of weights.
    library: one of LIBRARIES; None: the first that knows the name.
    labels:  see Labels.
    classes: with `random`, how many; None: as many as published weights have.
    size_hw: of the input; None: as trained.
    embed:   True for embeddings, False for classes; None: what the weights are for.
    random:  untrained weights, by `seed`.
    trust:   see checkpoint.load_checkpoint.
    """

    model: str | None = None
    library: str | None = None
    labels: Labels = None
    classes: int | None = None
    size_hw: tuple[int, int] | None = None
    embed: bool | None = None
    random: bool = False
    seed: int = 0
    trust: bool = False

    def __post_init__(self) -> None:
        if self.library is not None and self.library not in LIBRARIES:
            raise InputError(f"library must be one of {', '.join(LIBRARIES)}, got {self.library!r}")
        if isinstance(self.labels, str) and self.labels != "default":
            raise InputError(f"labels must be class names, 'default' or None, got the text {self.labels!r}")
        if self.classes is not None and not self.random:
            raise InputError("classes is for random weights; those of a checkpoint are read from it")
        if self.classes is not None and self.classes < 1:
            raise InputError(f"classes must be at least 1, got {self.classes}")

    @property
    def names(self) -> tuple[str, ...] | None:
        """The class names given; None where they are to be found."""
        return None if self.labels is None or isinstance(self.labels, str) else tuple(self.labels)
