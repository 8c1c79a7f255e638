"""Checks that everybody computes the same, then times them in turn."""

from __future__ import annotations

import gc
import math
import random
import time
from collections.abc import Callable, Sequence
from typing import Any

from case import Call, Case, Row
from tolerance import MismatchError

from edgevision.bench import percentile

__all__ = ["OURS", "check", "interleave", "leave_out_slow", "run_row", "summarize"]

Samples = dict[str, list[float]]
Skip = Callable[[int, Samples], set[str]]

OURS = "edgevision"
_SAMPLE_US = 50.0
"""A sample is of at least so long: several calls where one is shorter, as reading the clock takes 0.1 us."""
_SLOW = 4.0
"""Contenders so many times slower than the fastest peer are timed in every tenth round only."""
_FEWEST = 7
"""Rounds that everybody is timed in."""
_ROUNDS = 31
"""Rounds that there are at least, however long they take."""


def check(case: Case) -> dict[str, float]:
    """How far each contender's result is from ours. Raises MismatchError where that is more than its tolerance."""
    found = {}
    for other in case.others:
        # Ours anew for each: either may write to a buffer that the other reads.
        distance = other.tolerance.measure(case.ours(), other.call())
        if not distance <= other.tolerance.limit:
            raise MismatchError(
                f"{other.name} is {distance:.3g} away from ours, accepted are {other.tolerance.limit:.3g} "
                f"({other.tolerance.why})"
            )
        found[other.name] = distance
    return found


def interleave(
    calls: dict[str, Call],
    seconds: float,
    rng: random.Random,
    skip: Skip = lambda index, samples: set(),
    rounds: int = _ROUNDS,
    clock: Callable[[], int] = time.perf_counter_ns,
) -> Samples:
    """Microseconds a call, {name: one figure a round}: all in turn, in another order each round.

    It lasts `seconds` and at least so many rounds. skip: names to leave out of a round, from its number and the
    samples so far. clock: nanoseconds.
    """
    inner = {name: _calls_a_sample(call, clock) for name, call in calls.items()}
    samples: Samples = {name: [] for name in calls}
    order = list(calls)
    collecting = gc.isenabled()
    gc.disable()
    try:
        start, index = clock(), 0
        while index < rounds or clock() - start < seconds * 1e9:
            left_out = skip(index, samples)
            rng.shuffle(order)
            for name in order:
                if name not in left_out:
                    samples[name].append(_sample(calls[name], inner[name], clock))
            index += 1
    finally:
        if collecting:
            gc.enable()
    return samples


def _sample(call: Call, count: int, clock: Callable[[], int]) -> float:
    start = clock()
    for _ in range(count):
        call()
    return (clock() - start) / count / 1e3


def _calls_a_sample(call: Call, clock: Callable[[], int]) -> int:
    """Warms up, and tells how many calls last long enough to be timed."""
    shortest = min(_sample(call, 1, clock) for _ in range(3))
    return max(1, math.ceil(_SAMPLE_US / max(shortest, 0.05)))


def leave_out_slow(case: Case) -> Skip:
    """Leaves out, nine rounds of ten, what is far slower than the fastest peer: nobody will compare with it."""
    others = [other.name for other in case.others]
    peers = [other.name for other in case.others if other.kind == "peer"]

    def skip(index: int, samples: Samples) -> set[str]:
        if index < _FEWEST or index % 10 == 0:
            return set()
        fastest = min(min(samples[name]) for name in peers)
        return {name for name in others if min(samples[name]) > _SLOW * fastest}

    return skip


def run_row(
    row: Row, seconds: float, copy_gb_s: float, *, rounds: int = _ROUNDS, small: bool = False
) -> dict[str, Any]:
    """The row's entry in the JSON: equality checked, everybody timed in turn for `seconds` or more."""
    case = row.make(small)
    distances = check(case)
    calls = {OURS: case.ours, **{other.name: other.call for other in case.others}}
    samples = interleave(calls, seconds, random.Random(row.name), leave_out_slow(case), rounds)
    return summarize(row, case, distances, samples, copy_gb_s)


def summarize(
    row: Row, case: Case, distances: dict[str, float], samples: Samples, copy_gb_s: float
) -> dict[str, Any]:
    """Percentiles, ratios and the limit out of the samples, microseconds."""
    ours = _percentiles(samples[OURS])
    others = [
        {
            "name": other.name,
            "kind": other.kind,
            **_percentiles(samples[other.name]),
            "ratio": percentile(samples[other.name], 50) / ours["p50_us"],
            "distance": distances[other.name],
            "accepted": other.tolerance.limit,
            "why": other.tolerance.why,
        }
        for other in case.others
    ]
    peers = [other for other in others if other["kind"] == "peer"]
    fastest = min(peers, key=lambda other: other["p50_us"])
    rival = next((other for other in others if other["name"] == row.rival), fastest)
    limit_us = case.moved_bytes / copy_gb_s / 1e3
    return {
        "name": row.name,
        "what": row.what,
        "fastest": fastest["name"],
        "ratio": fastest["ratio"],
        "goal": row.goal,
        "rival": rival["name"],
        "reached": rival["ratio"],
        "ours": ours,
        "others": others,
        "moved_bytes": case.moved_bytes,
        "limit_us": limit_us,
        "share_of_limit": limit_us / ours["p50_us"],
    }


def _percentiles(samples: Sequence[float]) -> dict[str, Any]:
    return {
        "min_us": min(samples),
        "p50_us": percentile(samples, 50),
        "p90_us": percentile(samples, 90),
        "p99_us": percentile(samples, 99),
        "n": len(samples),
    }
