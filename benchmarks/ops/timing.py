"""Times calls in turn: a figure a round, warm, or each out of memory."""

from __future__ import annotations

import gc
import math
import random
import time
from collections.abc import Callable

from case import Call

__all__ = ["Samples", "Skip", "interleave"]

Samples = dict[str, list[float]]
"""Microseconds a call by the name of what was called."""
Skip = Callable[[int, Samples], set[str]]

_SAMPLE_US = 50.0
"""A sample is of at least so long: several calls where one is shorter, as reading the clock takes 0.1 us."""


def interleave(
    calls: dict[str, Call],
    seconds: float,
    rng: random.Random,
    *,
    rounds: int,
    skip: Skip = lambda index, samples: set(),
    evict: Call | None = None,
    clock: Callable[[], int] = time.perf_counter_ns,
) -> Samples:
    """Microseconds a call, {name: one figure a round}: all in turn, in another order each round.

    It lasts `seconds` and at least so many rounds. skip: names to leave out of a round, from its number and the
    samples so far. evict: called ahead of each sample, which then is a single call. clock: nanoseconds.
    """
    counts = {name: _calls_a_sample(call, clock) if evict is None else 1 for name, call in calls.items()}
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
                if name in left_out:
                    continue
                if evict is not None:
                    evict()
                samples[name].append(_sample(calls[name], counts[name], clock))
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
