"""Checks that everybody computes the same, then times them: all in turn, ours and the fastest alone, and cold."""

from __future__ import annotations

import copy
import random
from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from case import Call, Case, Row
from entry import Cold, Entry, Other, Percentiles
from timing import Samples, Skip, interleave
from tolerance import MismatchError

from edgevision.bench import percentile

__all__ = ["OURS", "WORTH_COLD_US", "Timings", "check", "leave_out_slow", "run_row", "summarize", "time_case"]

OURS = "edgevision"
WORTH_COLD_US = 20.0
"""A call that takes less warm is not timed cold: what a network leaves of the interpreter would be most of it."""

_SLOW = 4.0
"""Contenders so many times slower than the fastest peer are timed in every tenth round only."""
_FEWEST = 7
"""Rounds that everybody is timed in."""
_ROUNDS = 31
"""Rounds of ours and the fastest peer that there are at least, however long they take."""

# Of a row's seconds.
_IN_TURN, _PAIR, _RIVAL, _COLD = 0.25, 0.4, 0.1, 0.25


@dataclass(frozen=True)
class Timings:
    """Samples of a row.

    in_turn: of everybody, each of whom leaves the caches full of its own to the next. pairs: of ours and one other
    alone, by the other's name. cold: of ours and the fastest peer out of memory, or None.
    """

    in_turn: Samples
    pairs: dict[str, Samples]
    cold: Samples | None


def check(case: Case) -> dict[str, float]:
    """How far each contender's result is from ours. Raises MismatchError where that is more than its tolerance."""
    found = {}
    for other in case.others:
        # Ours anew for each: either may write to a buffer that the other reads.
        ours = case.ours()
        kept = copy.deepcopy(ours)
        theirs = other.call()
        distance = other.tolerance.measure(kept if _is_same_memory(ours, theirs) else ours, theirs)
        if not distance <= other.tolerance.limit:
            raise MismatchError(
                f"{other.name} is {distance:.3g} away from ours, accepted are {other.tolerance.limit:.3g} "
                f"({other.tolerance.why})"
            )
        found[other.name] = distance
    return found


def _is_same_memory(ours: object, theirs: object) -> bool:
    """Whether a contender means to write where ours does."""
    both_arrays = isinstance(ours, np.ndarray) and isinstance(theirs, np.ndarray)
    return both_arrays and np.shares_memory(ours, theirs)


def leave_out_slow(case: Case) -> Skip:
    """Leaves out, nine rounds of ten, what is far slower than the fastest peer: nobody will compare with it."""
    others = [other.name for other in case.others]
    peers = _peers(case)

    def skip(index: int, samples: Samples) -> set[str]:
        if index < _FEWEST or index % 10 == 0:
            return set()
        fastest = min(min(samples[name]) for name in peers)
        return {name for name in others if min(samples[name]) > _SLOW * fastest}

    return skip


def run_row(
    row: Row,
    seconds: float,
    copy_gb_s: float,
    *,
    rounds: int = _ROUNDS,
    small: bool = False,
    evict: Call | None = None,
) -> Entry:
    """The row's entry in the JSON: equality checked, then timed for `seconds` or more.

    rounds: of ours and the fastest peer, at least. evict: empties the caches; None leaves the cold times out.
    """
    case = row.make(small)
    distances = check(case)
    return summarize(row, case, distances, time_case(case, row, seconds, rounds, evict), copy_gb_s)


def time_case(case: Case, row: Row, seconds: float, rounds: int, evict: Call | None) -> Timings:
    """All in turn, which shows who is fastest, then pairs. Of a single contender the pair is all there is."""
    rng = random.Random(row.name)
    calls = {OURS: case.ours, **{other.name: other.call for other in case.others}}

    def pair(name: str, share: float, rounds: int, evict: Call | None = None) -> Samples:
        both = {OURS: calls[OURS], name: calls[name]}
        return interleave(both, share * seconds, rng, rounds=rounds, evict=evict)

    if len(case.others) == 1:
        in_turn = pair(case.others[0].name, _IN_TURN + _PAIR, rounds)
        fastest = case.others[0].name
        pairs = {fastest: in_turn}
    else:
        fewer = min(rounds, 2 * _FEWEST)
        in_turn = interleave(calls, _IN_TURN * seconds, rng, rounds=fewer, skip=leave_out_slow(case))
        fastest = min(_peers(case), key=lambda name: percentile(in_turn[name], 50))
        pairs = {fastest: pair(fastest, _PAIR, rounds)}
        if row.rival not in ("", fastest):
            pairs[row.rival] = pair(row.rival, _RIVAL, min(rounds, _FEWEST))
    if evict is None or percentile(pairs[fastest][OURS], 50) < WORTH_COLD_US:
        return Timings(in_turn, pairs, None)
    return Timings(in_turn, pairs, pair(fastest, _COLD, min(rounds, 2 * _FEWEST), evict))


def summarize(row: Row, case: Case, distances: dict[str, float], timings: Timings, copy_gb_s: float) -> Entry:
    """Percentiles, ratios and the limit out of the samples."""
    # The first pair is with the fastest peer, the last with the rival: often it is the same.
    fastest, rival = next(iter(timings.pairs)), list(timings.pairs)[-1]
    pair, in_turn = timings.pairs[fastest], _percentiles(timings.in_turn[OURS])
    cold = None if timings.cold is None else _cold(timings.cold, fastest)
    limit_us = case.moved_bytes / copy_gb_s / 1e3
    return {
        "name": row.name,
        "what": row.what,
        "fastest": fastest,
        "ours": _percentiles(pair[OURS]),
        "peer": _percentiles(pair[fastest]),
        "ratio": _ratio(pair, fastest),
        "goal": row.goal,
        "rival": rival,
        "reached": _ratio(timings.pairs[rival], rival),
        "cold": cold,
        "in_turn": in_turn,
        "others": [
            Other(
                name=other.name,
                kind=other.kind,
                **_percentiles(timings.in_turn[other.name]),
                ratio=_ratio(timings.in_turn, other.name),
                distance=distances[other.name],
                accepted=other.tolerance.limit,
                why=other.tolerance.why,
            )
            for other in case.others
        ],
        "moved_bytes": case.moved_bytes,
        "limit_us": limit_us,
        "share_of_limit": None if cold is None else limit_us / cold["ours"]["p50_us"],
    }


def _peers(case: Case) -> list[str]:
    return [other.name for other in case.others if other.kind == "peer"]


def _cold(samples: Samples, fastest: str) -> Cold:
    ratio = _ratio(samples, fastest)
    return {"ours": _percentiles(samples[OURS]), "peer": _percentiles(samples[fastest]), "ratio": ratio}


def _ratio(samples: Samples, other: str) -> float:
    return percentile(samples[other], 50) / percentile(samples[OURS], 50)


def _percentiles(samples: Sequence[float]) -> Percentiles:
    return {
        "min_us": min(samples),
        "p50_us": percentile(samples, 50),
        "p90_us": percentile(samples, 90),
        "p99_us": percentile(samples, 99),
        "n": len(samples),
    }
