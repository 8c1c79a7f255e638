"""The class names that weights come without, and that an export therefore asks for."""

from __future__ import annotations

from collections.abc import Sequence

from edgevision.errors import InputError

__all__ = ["require_labels"]


def require_labels(labels: Sequence[str] | None, path: object, classes: int | None = None) -> tuple[str, ...]:
    """The labels; InputError when there are none, or not one for each of the `classes` that `path` tells apart."""
    if not labels:
        count = "" if classes is None else f" for its {classes} classes"
        raise InputError(
            f"{path} holds weights without class names{count}; pass them in the order of their ids: labels=[...] "
            f"(--labels FILE, one name a line)"
        )
    if classes is not None and len(labels) != classes:
        raise InputError(
            f"{path} tells {classes} classes apart, got {len(labels)} labels: {', '.join(labels[:8])}"
            + (", ..." if len(labels) > 8 else "")
        )
    return tuple(labels)
