"""What a benchmark row is: our call, and the others that do the same work."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

from tolerance import Tolerance

__all__ = ["Call", "Case", "Contender", "Row"]

Call = Callable[[], Any]


@dataclass(frozen=True)
class Contender:
    """Another way to do the row's work.

    kind: "peer"; "own", our own code in another form: a yardstick; or "variant", which by its nature computes something
        a little different, and so is checked as far as it can be and shown, but ours is not compared with it.
    """

    name: str
    call: Call
    tolerance: Tolerance
    kind: str = "peer"


@dataclass(frozen=True)
class Case:
    """One row at one size, ready to run. Calls may return the same buffer every time.

    others: at least one of kind "peer".
    moved_bytes: what must be read once and written once at least, for the limit that memory sets.
    """

    ours: Call
    others: tuple[Contender, ...]
    moved_bytes: int


@dataclass(frozen=True)
class Row:
    """A row of the table. Its inputs are made when it is run, and freed after it.

    make: the Case; True asks for small inputs, which tests check and nobody times.
    goal: the ratio to reach: the rival's p50 over ours. rival: a contender's name; "" is the fastest peer.
    """

    name: str
    what: str
    goal: float | None
    make: Callable[[bool], Case]
    rival: str = ""
