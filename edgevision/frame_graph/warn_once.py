"""What a GPU cannot do, told once."""

from __future__ import annotations

import warnings

from edgevision.errors import EdgeVisionWarning

__all__ = ["WarnOnce"]


class WarnOnce:
    """Warns of each message the first time only."""

    def __init__(self, stacklevel: int) -> None:
        """stacklevel: as warnings.warn takes it, counted from who calls this object."""
        self._stacklevel = stacklevel
        self._told: set[str] = set()

    def __call__(self, message: str) -> None:
        if message not in self._told:
            self._told.add(message)
            warnings.warn(message, EdgeVisionWarning, stacklevel=self._stacklevel + 1)
