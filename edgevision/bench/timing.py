"""Stage times of many calls, summed up as percentiles."""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence

from edgevision.errors import InputError
from edgevision.timings import Timings

__all__ = ["StageTimes", "percentile"]


def percentile(values: Sequence[float], percent: float) -> float:
    """The smallest value that at least `percent` of the values do not exceed (nearest rank, no interpolation).

    A latency that was never measured is never reported. Raises InputError for no values or a percent outside 0-100.
    """
    if not values:
        raise InputError("percentile needs at least one value, got none")
    if not 0.0 <= percent <= 100.0:
        raise InputError(f"percent must be from 0 to 100, got {percent}")
    ordered = sorted(values)
    return ordered[max(0, math.ceil(percent / 100.0 * len(ordered)) - 1)]


class StageTimes:
    """Times of each stage, ms, gathered call by call."""

    def __init__(self) -> None:
        self._samples: dict[str, list[float]] = {}

    def add(self, stages: Mapping[str, float]) -> None:
        """One call's stages, ms."""
        for name, value in stages.items():
            self._samples.setdefault(name, []).append(value)

    def add_timings(self, timings: Timings) -> None:
        """One call's `Model.timings`, with their total."""
        self.add(
            {
                "preprocess": timings.preprocess,
                "inference": timings.inference,
                "postprocess": timings.postprocess,
                "total": timings.total,
            }
        )

    @property
    def count(self) -> int:
        """Calls gathered."""
        return max((len(values) for values in self._samples.values()), default=0)

    def summary(self) -> dict[str, dict[str, float]]:
        """{stage: {"p50", "p90", "max"}}, ms; empty before the first call."""
        return {
            name: {
                "p50": percentile(values, 50),
                "p90": percentile(values, 90),
                "max": max(values),
            }
            for name, values in self._samples.items()
        }

    def table(self) -> str:
        """The summary as lines of text."""
        lines = [f"{'stage':<12} {'p50 ms':>9} {'p90 ms':>9} {'max ms':>9}"]
        for name, row in self.summary().items():
            lines.append(f"{name:<12} {row['p50']:>9.2f} {row['p90']:>9.2f} {row['max']:>9.2f}")
        return "\n".join(lines)
