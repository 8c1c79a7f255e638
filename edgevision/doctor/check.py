"""One finding about a machine."""

from __future__ import annotations

from dataclasses import asdict, dataclass
from typing import Any

__all__ = ["Check"]


@dataclass(frozen=True, slots=True)
class Check:
    """One finding.

    name:   what was looked at.
    status: "ok", "missing" (optional and absent) or "problem" (present and not usable).
    detail: what was found.
    mend:   the command that mends it; "" when there is nothing to do or no command does.
    """

    name: str
    status: str
    detail: str
    mend: str = ""

    def to_dict(self) -> dict[str, Any]:
        """A JSON-ready dict of the fields."""
        return asdict(self)
