"""What a benchmark row is: our call, its peers, and how near each peer's result must come to ours."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

import numpy as np

__all__ = [
    "Case",
    "Contender",
    "MismatchError",
    "Row",
    "Tolerance",
    "apart",
    "apart_on_average",
    "differing",
    "unlike",
]

Call = Callable[[], Any]


class MismatchError(Exception):
    """A contender computed something else than ours did: its time would mean nothing."""


@dataclass(frozen=True)
class Tolerance:
    """How far a peer's result may be from ours, and why it is not 0.

    measure: the distance of (our result, the peer's), 0 for equal ones. limit: the largest accepted.
    """

    measure: Callable[[Any, Any], float]
    limit: float
    why: str


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


def apart(limit: float, why: str) -> Tolerance:
    """Accepts arrays whose elements lie up to `limit` apart."""
    return Tolerance(_largest_difference, limit, why)


def apart_on_average(limit: float, why: str) -> Tolerance:
    """Accepts arrays whose elements lie up to `limit` apart on average."""
    return Tolerance(_mean_difference, limit, why)


def differing(limit: float, why: str) -> Tolerance:
    """Accepts arrays of which up to this share of the elements differs."""
    return Tolerance(_share_differing, limit, why)


def unlike(limit: float, why: str) -> Tolerance:
    """Accepts masks whose intersection over union is at least 1 - limit."""
    return Tolerance(_one_minus_iou, limit, why)


def _check_shapes(ours: np.ndarray, theirs: np.ndarray) -> None:
    if ours.shape != theirs.shape:
        raise MismatchError(f"the shapes differ: ours {ours.shape}, the peer's {theirs.shape}")


def _largest_difference(ours: Any, theirs: Any) -> float:
    ours, theirs = np.asarray(ours), np.asarray(theirs)
    _check_shapes(ours, theirs)
    return float(np.abs(ours.astype(np.float64) - theirs.astype(np.float64)).max(initial=0.0))


def _mean_difference(ours: Any, theirs: Any) -> float:
    ours, theirs = np.asarray(ours), np.asarray(theirs)
    _check_shapes(ours, theirs)
    return float(np.abs(ours.astype(np.float64) - theirs.astype(np.float64)).mean())


def _share_differing(ours: Any, theirs: Any) -> float:
    ours, theirs = np.asarray(ours), np.asarray(theirs)
    _check_shapes(ours, theirs)
    return float(np.count_nonzero(ours != theirs) / max(1, ours.size))


def _one_minus_iou(ours: Any, theirs: Any) -> float:
    ours, theirs = np.asarray(ours, bool), np.asarray(theirs, bool)
    _check_shapes(ours, theirs)
    union = np.count_nonzero(ours | theirs)
    if not union:
        raise MismatchError("both masks are empty: they prove nothing")
    return 1.0 - float(np.count_nonzero(ours & theirs) / union)
