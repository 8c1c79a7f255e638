from __future__ import annotations

import numpy as np
import pytest

from edgevision import InputError, Timings
from edgevision.bench import StageTimes, percentile


@pytest.mark.parametrize(
    ("values", "percent", "expected"),
    [
        ([3.0], 50, 3.0),
        ([4.0, 1.0, 3.0, 2.0], 50, 2.0),
        ([4.0, 1.0, 3.0, 2.0], 90, 4.0),
        ([4.0, 1.0, 3.0, 2.0], 0, 1.0),
        ([4.0, 1.0, 3.0, 2.0], 100, 4.0),
        (list(range(1, 101)), 90, 90),
    ],
)
def test_percentile_is_a_measured_value(values: list[float], percent: float, expected: float) -> None:
    assert percentile(values, percent) == expected


def test_percentile_agrees_with_numpy() -> None:
    values = np.random.default_rng(0).random(237)
    for percent in (1, 50, 90, 99):
        assert percentile(list(values), percent) == np.percentile(values, percent, method="inverted_cdf")


@pytest.mark.parametrize(("values", "percent"), [([], 50), ([1.0], 101), ([1.0], -1)])
def test_percentile_of_nothing_is_an_input_error(values: list[float], percent: float) -> None:
    with pytest.raises(InputError):
        percentile(values, percent)


def test_stage_times_sum_up() -> None:
    times = StageTimes()
    assert times.summary() == {}
    for value in (1.0, 2.0, 3.0):
        times.add_timings(Timings(value, 10 * value, 0.5))
    assert times.count == 3
    assert times.summary()["inference"] == {"p50": 20.0, "p90": 30.0, "max": 30.0}
    assert times.summary()["total"]["p50"] == 22.5
    assert "preprocess" in times.table()
