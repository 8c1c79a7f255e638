"""Timing and statistics of the kernels' benchmarks, by a clock that the tests move; no time is asserted."""

from __future__ import annotations

import functools
import random
from contextlib import nullcontext
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from case import Case, Contender, Row
from cold import bytes_to_evict, make_eviction
from entry import Cold, Entry, Figures, Other, Percentiles, Run
from harness import OURS, WORTH_COLD_US, Timings, check, leave_out_slow, run_row, summarize, time_case
from timing import interleave
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


def test_a_peer_that_writes_where_ours_does_is_compared_with_what_ours_wrote() -> None:
    buffer = np.zeros(2)

    def write(value: float) -> np.ndarray:
        buffer[:] = value
        return buffer

    for value, differs in ((3.0, False), (7.0, True)):
        case = Case(lambda: write(3.0), (Contender("peer", lambda value=value: write(value), SAME),), 1)
        with pytest.raises(MismatchError) if differs else nullcontext():
            check(case)


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
        calls,
        0.0,
        random.Random(0),
        rounds=10,
        skip=lambda index, _: {"b"} if index % 2 else set(),
        clock=clock,
    )
    assert {name: len(times) for name, times in samples.items()} == {"a": 10, "b": 5}


def test_slow_contenders_are_timed_in_every_tenth_round_after_the_first() -> None:
    case = case_of(*(contender(name, 0) for name in ("fast", "near", "slow")), contender("mine", 0, "own"))
    skip = leave_out_slow(case)
    samples = {OURS: [1.0], "fast": [20.0, 10.0], "near": [40.0], "slow": [41.0, 90.0], "mine": [41.0]}
    assert skip(6, samples) == set()
    assert [index for index in range(7, 32) if skip(index, samples) == set()] == [10, 20, 30]
    assert skip(7, samples) == skip(15, samples) == {"slow", "mine"}


def test_a_cold_sample_is_one_call_after_the_caches_were_emptied() -> None:
    clock = Clock()
    # Of a warm call of 10 us, five would make a sample; emptying the caches takes time that is not the call's.
    calls = {"a": clock.lasting("a", 10, 30), "b": clock.lasting("b", 20)}
    evict = clock.lasting("evict", 5000)
    samples = interleave(calls, 0.0, random.Random(0), rounds=4, evict=evict, clock=clock)
    assert samples == {"a": [10.0, 30.0, 10.0, 30.0], "b": [20.0] * 4}
    assert clock.calls[::2] == ["evict"] * 8
    assert sorted(clock.calls[1::2]) == ["a"] * 4 + ["b"] * 4


CACHES = [
    # {index: (level, size)}, bytes to read and write
    pytest.param({0: ("1", "32K"), 2: ("2", "1024K"), 3: ("3", "32768K")}, 64 << 20, id="twice-the-last"),
    pytest.param({0: ("1", "48K"), 2: ("2", "2M")}, 4 << 20, id="two-levels"),
    pytest.param({3: ("3", "1G")}, 256 << 20, id="bounded"),
    pytest.param({0: ("1", "32K"), 3: ("3", "")}, 64 << 10, id="one-without-a-size"),
    pytest.param({0: ("", "32K"), 1: ("1", "huge")}, 64 << 20, id="nonsense"),
    pytest.param({}, 64 << 20, id="unknown"),
]


@pytest.mark.parametrize(("caches", "nbytes"), CACHES)
def test_the_bytes_to_evict_follow_the_last_cache(
    caches: dict[int, tuple[str, str]], nbytes: int, tmp_path: Path
) -> None:
    for index, (level, size) in caches.items():
        folder = tmp_path / f"index{index}"
        folder.mkdir()
        (folder / "level").write_text(f"{level}\n", encoding="ascii")
        (folder / "size").write_text(f"{size}\n", encoding="ascii")
    assert bytes_to_evict(tmp_path) == nbytes


def test_each_thread_empties_caches_with_memory_of_its_own(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("cold.bytes_to_evict", lambda: 4096)
    streamed: list[np.ndarray] = []

    def together(stream: Any, buffers: Any) -> None:
        for arguments in buffers:
            stream(*arguments)
            streamed.extend(arguments)

    monkeypatch.setattr("cold.time_together", together)
    eviction = make_eviction(3)
    eviction.call()
    assert eviction.nbytes == 4096
    assert [(buffer.nbytes, buffer.min(), buffer.max()) for buffer in streamed] == [(4096, 1, 1)] * 3
    assert not np.may_share_memory(streamed[0], streamed[1])


# ---- Who is timed beside whom


def row_of(rival: str = "") -> Row:
    return Row("row", "what", 3, lambda small: case_of(), rival=rival)


def counted(names: str, kinds: str, times_us: dict[str, float], monkeypatch: pytest.MonkeyPatch) -> Any:
    """A case whose calls take these times of a clock, and the order in which they were called."""
    clock = Clock()
    monkeypatch.setattr("harness.interleave", functools.partial(interleave, clock=clock))
    kind_of = {"p": "peer", "o": "own", "v": "variant"}
    calls = {name: clock.lasting(name, time_us) for name, time_us in times_us.items()}
    others = tuple(
        Contender(name, calls[name], SAME, kind_of[kind]) for name, kind in zip(names, kinds, strict=True)
    )
    return Case(calls[OURS], others, 1), clock


def test_ours_alternates_alone_with_the_fastest_peer_and_with_the_rival(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    times_us = {OURS: 100.0, "a": 300.0, "b": 200.0, "c": 50.0, "d": 150.0}
    case, clock = counted("abcd", "ppvo", times_us, monkeypatch)
    timings = time_case(case, row_of("d"), 0.0, 8, clock.lasting("evict", 1000))
    # The variant and our own code in another form are faster, but no peers.
    assert list(timings.pairs) == ["b", "d"]
    assert {name: set(samples) for name, samples in timings.pairs.items()} == {
        "b": {OURS, "b"},
        "d": {OURS, "d"},
    }
    assert set(timings.in_turn) == {OURS, *"abcd"}
    assert timings.cold == {OURS: [100.0] * 8, "b": [200.0] * 8}
    assert len(timings.pairs["b"][OURS]) == 8
    cold = clock.calls[clock.calls.index("evict") :]
    assert set(cold) == {"evict", OURS, "b"}


def test_of_a_single_contender_the_pair_is_all_there_is(monkeypatch: pytest.MonkeyPatch) -> None:
    case, clock = counted("a", "p", {OURS: 100.0, "a": 300.0}, monkeypatch)
    timings = time_case(case, row_of("a"), 0.0, 8, None)
    assert timings.pairs == {"a": timings.in_turn}
    assert timings.cold is None
    assert len(clock.calls) == 2 * (3 + 8)  # three calls to warm up


def test_a_short_call_is_not_timed_cold(monkeypatch: pytest.MonkeyPatch) -> None:
    times_us = {OURS: WORTH_COLD_US - 1, "a": 300.0, "b": 200.0}
    case, clock = counted("ab", "pp", times_us, monkeypatch)
    assert time_case(case, row_of(), 0.0, 8, clock.lasting("evict", 1000)).cold is None
    assert "evict" not in clock.calls


# ---- Statistics


def test_percentiles_ratios_and_limit_are_those_of_the_samples() -> None:
    case = case_of(
        contender("a", 0),
        contender("b", 0, tolerance=apart(2.0, "b's reason")),
        contender("mine", 0, "own"),
        contender("variant", 0, "variant"),
        moved_bytes=80_000,
    )
    in_turn = {
        OURS: [60.0, 50.0, 70.0],
        "a": [200.0, 100.0, 300.0],
        "b": [150.0, 149.0, 151.0],
        "mine": [30.0],
        "variant": [12.0],
    }
    pairs = {
        "b": {OURS: [float(value) for value in range(1, 101)], "b": [125.0, 126.0, 120.0]},
        "mine": {OURS: [40.0], "mine": [20.0]},
    }
    cold = {OURS: [80.0, 81.0, 79.0], "b": [160.0, 170.0, 150.0]}
    distances = {"a": 0.0, "b": 1.5, "mine": 0.0, "variant": 0.0}
    entry = summarize(row_of("mine"), case, distances, Timings(in_turn, pairs, cold), copy_gb_s=4.0)
    assert entry["ours"] == {"min_us": 1.0, "p50_us": 50.0, "p90_us": 90.0, "p99_us": 99.0, "n": 100}
    assert (entry["fastest"], entry["ratio"]) == ("b", 2.5)
    assert (entry["peer"]["p50_us"], entry["peer"]["n"]) == (125.0, 3)
    assert (entry["goal"], entry["rival"], entry["reached"]) == (3, "mine", 0.5)
    assert entry["cold"]["ours"]["p50_us"] == 80.0
    assert entry["cold"]["peer"]["p50_us"] == 160.0
    assert entry["cold"]["ratio"] == 2.0
    assert (entry["moved_bytes"], entry["limit_us"], entry["share_of_limit"]) == (80_000, 20.0, 0.25)
    assert entry["in_turn"]["p50_us"] == 60.0
    second = entry["others"][1]
    assert (second["p50_us"], second["ratio"], second["n"]) == (150.0, 2.5, 3)
    assert (second["distance"], second["accepted"], second["why"]) == (1.5, 2.0, "b's reason")


def test_without_a_rival_the_goal_is_about_the_fastest_peer_and_without_cold_there_is_no_share() -> None:
    case = case_of(contender("a", 0), contender("b", 0))
    in_turn = {OURS: [11.0], "a": [30.0], "b": [22.0]}
    timings = Timings(in_turn, {"b": {OURS: [10.0], "b": [20.0]}}, None)
    entry = summarize(row_of(), case, {"a": 0.0, "b": 0.0}, timings, 1.0)
    assert (entry["rival"], entry["reached"]) == ("b", 2.0)
    assert entry["cold"] is entry["share_of_limit"] is None


def test_a_row_is_checked_timed_and_summed_up() -> None:
    asked = []

    def make(small: bool) -> Case:
        asked.append(small)
        return case_of(contender("peer", 0))

    entry = run_row(Row("row", "what", None, make), 0.0, 1.0, rounds=3, small=True)
    assert asked == [True]
    assert entry["ours"]["n"] == entry["peer"]["n"] == entry["others"][0]["n"] == 3
    assert entry["fastest"] == "peer"


def test_figures_hold_what_their_schema_says(found: dict[str, Any], monkeypatch: pytest.MonkeyPatch) -> None:
    case, clock = counted("ab", "pp", {OURS: 100.0, "a": 300.0, "b": 200.0}, monkeypatch)
    timings = time_case(case, row_of(), 0.0, 8, clock.lasting("evict", 1000))
    entry = summarize(row_of(), case, {"a": 0.0, "b": 0.0}, timings, 1.0)
    # The figures that the other tests use are like those that are measured.
    for one in (
        entry,
        {key: value for key, value in found["runs"][0]["cases"][0].items() if key != "family"},
    ):
        assert one.keys() == Entry.__annotations__.keys()
        assert one["cold"].keys() == Cold.__annotations__.keys()
        assert all(other.keys() == Other.__annotations__.keys() for other in one["others"])
        for times in (one["ours"], one["peer"], one["in_turn"], one["cold"]["ours"], one["cold"]["peer"]):
            assert times.keys() == Percentiles.__annotations__.keys()
    assert found.keys() == Figures.__annotations__.keys()
    assert all(run.keys() == Run.__annotations__.keys() for run in found["runs"])
