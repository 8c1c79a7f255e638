"""What benchmarks/ops/figures.json holds: its schema."""

from __future__ import annotations

from typing import Any, TypedDict

__all__ = ["Cold", "Entry", "Figures", "Other", "Percentiles", "Run"]


class Percentiles(TypedDict):
    """Of the samples of one call, microseconds, and how many samples there are."""

    min_us: float
    p50_us: float
    p90_us: float
    p99_us: float
    n: int


class Other(Percentiles):
    """A contender while all ran in turn. kind: case.Contender's."""

    name: str
    kind: str
    ratio: float  # its p50 over that of ours in turn
    distance: float  # of its result from ours, by the row's measure
    accepted: float  # the largest distance accepted
    why: str  # it is not 0


class Cold(TypedDict):
    """Ours and the fastest peer alone, out of memory: a single call a sample, after the caches were emptied."""

    ours: Percentiles
    peer: Percentiles
    ratio: float


class Entry(TypedDict):
    """A row: the times of ours and the fastest peer are of the two alone, in turn."""

    name: str
    what: str
    fastest: str  # the peer whose p50 was least while all ran in turn
    ours: Percentiles
    peer: Percentiles  # the fastest
    ratio: float  # the fastest's p50 over ours
    goal: float | None  # the ratio that was to be reached
    rival: str  # whom the goal is about: the fastest, or who has a pair with ours of its own
    reached: float  # the ratio of that pair
    cold: Cold | None  # None where a call is too short for it
    in_turn: Percentiles  # ours while all ran in turn
    others: list[Other]
    moved_bytes: int  # what must be read once and written once
    limit_us: float  # moved_bytes over the speed of a long copy
    share_of_limit: float | None  # limit_us over ours cold; None without cold


class Run(TypedDict):
    """The rows with one instruction set and number of threads."""

    isa: str
    threads: int
    bandwidth_gb_s: dict[str, float]  # copy, write, read
    evicted_bytes: int  # read and written by each thread ahead of a cold call
    cases: list[dict[str, Any]]  # Entry, and "family"


class Figures(TypedDict):
    """The file."""

    benchmark: str  # "ops"
    machine: dict[str, Any]  # machine.describe_machine's
    seconds_a_row: float
    runs: list[Run]
