"""Timing and statistics of the kernels' benchmarks, by a clock that the tests move; no time is asserted."""

from __future__ import annotations

import random
from typing import Any

import numpy as np
import pytest
from case import Case, Contender, Row
from harness import OURS, check, interleave, leave_out_slow, run_row, summarize
from tolerance import MismatchError, apart, apart_on_average, differing, unlike

SAME = apart(0.0, "the same numbers")


class Clock:
    """Nanoseconds that pass only when a call says so."""

    def __init__(self) -> None:
        self.now = 0
        self.calls: list[str] = []

    def __call__(self) -> int:
        return self.now

    def lasting(self, name: str, *times_us: float) -> Any:
        """A call that takes these times in turn."""
        count = 0

        def call() -> None:
            nonlocal count
            self.now += round(times_us[count % len(times_us)] * 1000)
            self.calls.append(name)
            count += 1

        return call


def contender(name: str, value: Any, kind: str = "peer", tolerance: Any = SAME) -> Contender:
    return Contender(name, lambda: value, tolerance, kind)


def case_of(*others: Contender, ours: Any = 0, moved_bytes: int = 1) -> Case:
    return Case(lambda: ours, others, moved_bytes)


# ---- Equality

NEAR = [
    # tolerance, ours, theirs, distance
    pytest.param(apart(0.5, ""), [1.0, 2.0], [1.0, 2.5], 0.5, id="largest"),
    pytest.param(apart(9, ""), np.uint8([3]), np.uint8([5]), 2.0, id="unsigned"),
    pytest.param(apart_on_average(0.5, ""), [1.0, 2.0], [1.0, 1.0], 0.5, id="mean"),
    pytest.param(differing(0.25, ""), [1, 2, 3, 4], [1, 2, 3, 9], 0.25, id="share"),
    pytest.param(unlike(0.5, ""), [1, 1, 0], [1, 0, 0], 0.5, id="masks"),
    pytest.param(apart(0.0, ""), np.empty(0), np.empty(0), 0.0, id="nothing"),
]


@pytest.mark.parametrize(("tolerance", "ours", "theirs", "distance"), NEAR)
def test_what_is_near_enough_passes_with_its_distance(
    tolerance: Any, ours: Any, theirs: Any, distance: float
) -> None:
    found = check(case_of(contender("peer", theirs, tolerance=tolerance), ours=ours))
    assert found == {"peer": distance}


FAR = [
    # tolerance, ours, theirs, message
    pytest.param(apart(0.4, "the reason"), [1.0], [1.5], r"peer is 0.5 away.*0.4.*the reason", id="too-far"),
    pytest.param(apart(9, ""), [1.0], [float("nan")], "nan away", id="nan"),
    pytest.param(differing(0.2, ""), [1, 2], [1, 3], "0.5 away", id="share"),
    pytest.param(unlike(0.2, ""), [1, 1], [1, 0], "0.5 away", id="masks"),
    pytest.param(unlike(0.2, ""), [0, 0], [0, 0], "prove nothing", id="empty-masks"),
    pytest.param(SAME, [1.0], [[1.0]], "shapes differ", id="shape"),
]


@pytest.mark.parametrize(("tolerance", "ours", "theirs", "message"), FAR)
def test_what_is_too_far_is_never_timed(tolerance: Any, ours: Any, theirs: Any, message: str) -> None:
    case = case_of(contender("peer", theirs, tolerance=tolerance), ours=ours)
    with pytest.raises(MismatchError, match=message):
        run_row(Row("row", "", None, lambda small: case), 0.0, 1.0)


def test_a_result_that_changes_with_the_buffer_is_caught() -> None:
    buffer = np.zeros(2)

    def theirs() -> np.ndarray:
        buffer[:] = 7
        return np.zeros(2)

    # Ours returns a buffer that the peer overwrites: the comparison sees it.
    with pytest.raises(MismatchError):
        check(Case(lambda: buffer, (Contender("peer", theirs, SAME),), 1))


# ---- Timing


def test_all_are_timed_in_turn_and_each_round_in_an_order_of_its_own() -> None:
    clock = Clock()
    calls = {name: clock.lasting(name, 100) for name in "abc"}
    samples = interleave(calls, 0.0, random.Random(0), rounds=20, clock=clock)
    assert samples == {name: [100.0] * 20 for name in "abc"}
    rounds = ["".join(clock.calls[start : start + 3]) for start in range(9, len(clock.calls), 3)]
    assert len(rounds) == 20
    assert all(sorted(one) == ["a", "b", "c"] for one in rounds)
    assert len(set(rounds)) > 3


def test_it_goes_on_for_the_time_it_is_given() -> None:
    clock = Clock()
    samples = interleave({"a": clock.lasting("a", 1000)}, 0.1, random.Random(0), rounds=3, clock=clock)
    assert len(samples["a"]) == 100


def test_a_sample_of_short_calls_is_their_mean() -> None:
    clock = Clock()
    # 10 us warm, so 5 calls make a sample of 50 us: one of 20 us among them is shared by all.
    call = clock.lasting("a", 10, 10, 10, 10, 10, 10, 10, 20)
    samples = interleave({"a": call}, 0.0, random.Random(0), rounds=1, clock=clock)
    assert samples == {"a": [12.0]}


def test_what_is_left_out_of_a_round_is_not_called() -> None:
    clock = Clock()
    calls = {"a": clock.lasting("a", 100), "b": clock.lasting("b", 100)}
    samples = interleave(
        calls, 0.0, random.Random(0), lambda index, _: {"b"} if index % 2 else set(), 10, clock
    )
    assert {name: len(times) for name, times in samples.items()} == {"a": 10, "b": 5}


def test_slow_contenders_are_timed_in_every_tenth_round_after_the_first() -> None:
    case = case_of(*(contender(name, 0) for name in ("fast", "near", "slow")), contender("mine", 0, "own"))
    skip = leave_out_slow(case)
    samples = {OURS: [1.0], "fast": [20.0, 10.0], "near": [40.0], "slow": [41.0, 90.0], "mine": [41.0]}
    assert skip(6, samples) == set()
    assert [index for index in range(7, 32) if skip(index, samples) == set()] == [10, 20, 30]
    assert skip(7, samples) == skip(15, samples) == {"slow", "mine"}


# ---- Statistics


def test_percentiles_ratios_and_limit_are_those_of_the_samples() -> None:
    row = Row("row", "what", 3, lambda small: case_of(), rival="mine")
    case = case_of(
        contender("a", 0),
        contender("b", 0, tolerance=apart(2.0, "b's reason")),
        contender("mine", 0, "own"),
        contender("variant", 0, "variant"),
        moved_bytes=80_000,
    )
    samples = {
        OURS: [float(value) for value in range(1, 101)],
        "a": [200.0, 100.0, 300.0],
        "b": [150.0, 149.0, 151.0],
        "mine": [25.0],
        "variant": [10.0],
    }
    entry = summarize(row, case, {"a": 0.0, "b": 1.5, "mine": 0.0, "variant": 0.0}, samples, copy_gb_s=4.0)
    assert entry["ours"] == {"min_us": 1.0, "p50_us": 50.0, "p90_us": 90.0, "p99_us": 99.0, "n": 100}
    # The variant is faster, but computes something else; ours in another form is no peer.
    assert (entry["fastest"], entry["ratio"]) == ("b", 3.0)
    assert (entry["goal"], entry["rival"], entry["reached"]) == (3, "mine", 0.5)
    assert (entry["moved_bytes"], entry["limit_us"], entry["share_of_limit"]) == (80_000, 20.0, 0.4)
    second = entry["others"][1]
    assert (second["p50_us"], second["ratio"], second["n"]) == (150.0, 3.0, 3)
    assert (second["distance"], second["accepted"], second["why"]) == (1.5, 2.0, "b's reason")


def test_without_a_rival_the_goal_is_about_the_fastest_peer() -> None:
    row = Row("row", "what", 4, lambda small: case_of())
    case = case_of(contender("a", 0), contender("b", 0))
    entry = summarize(row, case, {"a": 0.0, "b": 0.0}, {OURS: [10.0], "a": [30.0], "b": [20.0]}, 1.0)
    assert (entry["rival"], entry["reached"]) == ("b", 2.0)


def test_a_row_is_checked_timed_and_summed_up() -> None:
    asked = []

    def make(small: bool) -> Case:
        asked.append(small)
        return case_of(contender("peer", 0))

    entry = run_row(Row("row", "what", None, make), 0.0, 1.0, rounds=3, small=True)
    assert asked == [True]
    assert entry["ours"]["n"] == entry["others"][0]["n"] == 3
    assert entry["fastest"] == "peer"
