"""Measurement: stage times and facts about the machine."""

from __future__ import annotations

from edgevision.bench.system import processor_name
from edgevision.bench.timing import StageTimes, percentile

__all__ = ["StageTimes", "percentile", "processor_name"]
