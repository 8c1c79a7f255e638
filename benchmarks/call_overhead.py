"""What `model(frame)` costs beyond its three stages run by hand.

    python benchmarks/call_overhead.py [--model FILE] [--calls N] [--json FILE]

Both ways run alternately in one process on the same frame, and must give equal boxes before anything is timed.
The network's own time varies by more than the overhead, so its outputs are recorded once and replayed: what is timed
is real preprocessing, real postprocessing, and the call around them. The overhead is the difference of the medians:
checks, stage times and the chunking of lists.
"""

from __future__ import annotations

import argparse
import json
import time
from pathlib import Path

import numpy as np

import edgevision as ev
from edgevision.backends.base import Session
from edgevision.bench import percentile, processor_name
from edgevision.demo.scene import Scene
from edgevision.demo.showcase import demo_model_path


class Replay:
    """A session that writes its inputs as ever and gives the outputs of its last real run again."""

    def __init__(self, session: Session, frame: np.ndarray, spec: ev.ModelSpec) -> None:
        self.inputs, self.outputs = session.inputs, session.outputs
        self.device, self.runtime = session.device, session.runtime
        self.input_buffer, self.largest_batch = session.input_buffer, session.largest_batch
        ev.Model(spec, session)(frame)
        self._outputs = {name: np.array(value) for name, value in session.run().items()}

    def run(self, feeds: None = None) -> dict[str, np.ndarray]:
        return self._outputs


def by_hand(model: ev.Model, frame: np.ndarray) -> ev.Detections:
    """The three stages, with nothing around them."""
    task, session = model._task, model.session
    placements = task.preparation.write([frame], session.input_buffer, 1)
    return task.finish(session.run(), placements, model.options)[0]


def measure(model: ev.Model, calls: int) -> dict[str, object]:
    """Percentiles of both ways, microseconds, and their difference."""
    frame = Scene(11).render(30).image
    real = model(frame)
    model = ev.Model(model.spec, Replay(model.session, frame, model.spec))
    ours, theirs = model(frame), by_hand(model, frame)
    assert len(real) > 0
    for name in ("xyxy", "confidence", "class_id"):
        assert np.array_equal(getattr(ours, name), getattr(theirs, name))
        assert np.array_equal(getattr(ours, name), getattr(real, name))
    called, manual = [], []
    for index in range(calls):
        for way, times in (
            ((model, called), (by_hand, manual)) if index % 2 else ((by_hand, manual), (model, called))
        ):
            start = time.perf_counter_ns()
            _ = way(frame) if way is model else way(model, frame)
            times.append((time.perf_counter_ns() - start) / 1e3)
    return {
        "benchmark": "call_overhead",
        "processor": processor_name(),
        "runtime": model.session.runtime,
        "n": calls,
        "call_us": {f"p{p}": percentile(called, p) for p in (50, 90, 99)},
        "by_hand_us": {f"p{p}": percentile(manual, p) for p in (50, 90, 99)},
        "overhead_us": percentile(called, 50) - percentile(manual, 50),
    }


def main() -> None:
    """Parse arguments, measure, print."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--model", type=Path, help="default: the demo's detector")
    parser.add_argument("--calls", type=int, default=2000)
    parser.add_argument("--threads", type=int, default=1)
    parser.add_argument("--json", type=Path)
    options = parser.parse_args()
    with ev.load(options.model or demo_model_path(), threads=options.threads) as model:
        model.warmup(20)
        found = measure(model, options.calls)
    text = json.dumps(found, indent=2)
    print(text)
    if options.json:
        options.json.write_text(text + "\n")


if __name__ == "__main__":
    main()
