"""Class names: of a file, of a checkpoint, of a published model; as many as the network has classes."""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from os import PathLike
from pathlib import Path
from typing import Any

from edgevision.errors import InputError, ModelFileError
from edgevision.spec.files import read_small

__all__ = ["choose_labels", "labels_in_checkpoint", "read_labels"]

_MAX_BYTES = 4 << 20
_KEYS = (
    "labels",
    "classes",
    "class_names",
    "names",
    "categories",
    "id2label",
    "idx_to_class",
    "class_to_idx",
)
"""What trainers call the class names in their checkpoints."""


def read_labels(path: str | PathLike[str]) -> tuple[str, ...]:
    """Class names by class id, of a text file with one a line, or a JSON file: a list, {id: name} or {name: id}.

    Raises ModelFileError for a missing or unreadable file, InputError for one that holds no class names.
    """
    source = Path(path)
    try:
        text = read_small(source, _MAX_BYTES).decode("utf-8-sig")
    except UnicodeDecodeError:
        raise ModelFileError(f"{source} is not UTF-8 text; give class names, one a line") from None
    if source.suffix != ".json":
        # A blank line inside would shift every name behind it; at the end it is only the file's last line break.
        names = tuple(line.strip() for line in text.rstrip().splitlines())
        if not all(names):
            line = names.index("") + 1
            raise InputError(f"{source} has a blank line {line}; give one class name a line, by class id")
        return names
    try:
        content = json.loads(text)
    except ValueError as error:
        raise InputError(f"{source} is not JSON: {error}") from None
    found = _as_labels(content)
    if found is None:
        raise InputError(
            f"{source} holds no class names; accepted: a list of names, {{id: name}} or {{name: id}}"
        )
    return found


def labels_in_checkpoint(content: Any) -> tuple[str, ...]:
    """The class names that a checkpoint's dict holds under one of the usual keys, at its top; else none."""
    if isinstance(content, Mapping):
        for key in _KEYS:
            found = _as_labels(content.get(key))
            if found:
                return found
    return ()


def choose_labels(
    given: Sequence[str] | None, known: Sequence[str], classes: int, where: str
) -> tuple[str, ...]:
    """The class names of a network with so many classes.

    given: by the user; empty: none are wanted; None: take the known ones. where: what they were looked for in.
    Raises InputError when there are none, or not one a class.
    """
    names = tuple(known if given is None else given)
    if len(names) == classes or (given is not None and not names):
        return names
    origin = where if given is None else "the labels given"
    if names:
        raise InputError(
            f"{origin} names {len(names)} classes and the network has {classes}; give one name a class"
        )
    raise InputError(
        f"{where} names none of its {classes} classes; pass labels= (--labels FILE, one name a line), "
        f"labels='default' (--default-labels) for those of the architecture's published weights, or labels=() "
        f"(--no-labels) to do without"
    )


def _as_labels(value: Any) -> tuple[str, ...] | None:
    """Names by class id out of a list of names, {id: name} or {name: id}; None for anything else."""
    if isinstance(value, Mapping):
        pairs = [(key, name) for key, name in value.items()]
        if all(isinstance(name, int) and not isinstance(name, bool) for _, name in pairs):
            pairs = [(index, name) for name, index in pairs]
        try:
            by_id = {int(index): name for index, name in pairs}
        except (TypeError, ValueError):
            return None
        if sorted(by_id) != list(range(len(pairs))):
            return None
        value = [by_id[index] for index in range(len(pairs))]
    if isinstance(value, (list, tuple)) and value and all(isinstance(name, str) for name in value):
        return tuple(value)
    return None
