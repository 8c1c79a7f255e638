"""What a frame costs on a GPU beyond the network: the whole graph, the network alone, and the processor's kernels around it.

    python benchmarks/gpu_frame.py MODEL [--backend NAME] [--form NAME] [--tf32] [--provider-option NAME=VALUE]
                                         [--size HEIGHT WIDTH] [--json FILE]

All ways take turns in one process on one frame, after their results were compared:

    network    the network on the stream, input in place, and a wait
    frame      a call, the frame in the processor's memory
    buffer     a call, the frame written into the model's own pinned memory beforehand
    processor  a call of a model whose frames are prepared and results decoded by the processor (slots=0)
    submit     the time that `submit` and reading the result take of the thread, without the wait for the GPU
    streamed   a frame of many, the next one submitted before the last one's result is asked for
"""

from __future__ import annotations

import argparse
import random
import sys
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np

import edgevision as ev
from edgevision.backends.gpu import find_gpu
from edgevision.bench import percentile, processor_name
from edgevision.frame_graph import device_session

sys.path.insert(0, str(Path(__file__).parent / "ops"))
from report import write_json
from timing import interleave

_ROUNDS = 31
"""Of every way, at least."""
_IN_A_ROW = 50
"""Frames for the last figure."""


def check_equal(result: Any, other: Any) -> None:
    """Raises SystemExit unless two results say the same: numbers within 1e-3, as a GPU's exp may differ in its last bit."""
    for name in type(result).__dataclass_fields__:
        mine, theirs = getattr(result, name), getattr(other, name)
        if isinstance(mine, np.ndarray) and not (
            mine.shape == theirs.shape and np.allclose(mine, theirs, rtol=0, atol=1e-3)
        ):
            raise SystemExit(f"the GPU's {name} is not the processor's: nothing is timed")


def measure(
    model: ev.Model,
    on_processor: ev.Model,
    frame: np.ndarray,
    seconds: float,
    *,
    rounds: int = _ROUNDS,
    in_a_row: int = _IN_A_ROW,
) -> dict[str, Any]:
    """Percentiles of every way, microseconds, and the two ratios that matter. Raises SystemExit as `check_equal` does."""
    session = device_session(model.session)
    if session is None:
        raise SystemExit(f"the model runs on {model.device}; this measures a GPU")
    for _ in range(3):  # until everything is recorded
        check_equal(model(frame), on_processor(frame))
    buffer = model.frame_buffer(frame.shape)
    buffer[:] = frame
    check_equal(model(buffer), on_processor(frame))

    def network() -> None:
        session.enqueue()
        session.stream.synchronize()

    alone = session.record(session.enqueue) if session.recordable else None

    def recorded_network() -> None:
        alone.launch(session.stream)
        session.stream.synchronize()

    calls: dict[str, Callable[[], Any]] = {
        "network": network if alone is None else recorded_network,
        "frame": lambda: model(frame),
        "buffer": lambda: model(model.frame_buffer(frame.shape)),
        "processor": lambda: on_processor(frame),
    }
    samples = interleave(calls, seconds, random.Random(0), rounds=rounds)
    samples["submit"] = [_own_time_us(model, frame.shape) for _ in samples["frame"]]
    samples["streamed"] = [_streamed_us(model, frame.shape, in_a_row) for _ in range(rounds)]
    found = {
        name: {
            **{f"p{percent}_us": round(percentile(times, percent), 2) for percent in (50, 90, 99)},
            "n": len(times),
        }
        for name, times in samples.items()
    }
    medians = {name: row["p50_us"] for name, row in found.items()}
    return {
        "ways": found,
        "frame_over_network": round(medians["buffer"] / medians["network"], 3),
        "processor_over_frame": round(medians["processor"] / medians["frame"], 3),
    }


def _own_time_us(model: ev.Model, shape: tuple[int, ...]) -> float:
    """What a frame takes of the thread."""
    start = time.perf_counter()
    ahead = model.submit(model.frame_buffer(shape))
    submitted = time.perf_counter()
    ahead.wait()
    done = time.perf_counter()
    ahead.result()
    return (time.perf_counter() - done + submitted - start) * 1e6


def _streamed_us(model: ev.Model, shape: tuple[int, ...], count: int) -> float:
    start = time.perf_counter()
    ahead = model.submit(model.frame_buffer(shape))
    for _ in range(count - 1):
        following = model.submit(model.frame_buffer(shape))
        ahead.result()
        ahead = following
    ahead.result()
    return (time.perf_counter() - start) / count * 1e6


def table(found: dict[str, Any]) -> str:
    """The figures as text."""
    lines = [f"{'way':<10} {'p50 us':>9} {'p90 us':>9} {'p99 us':>9} {'n':>6}"]
    for name, row in found["ways"].items():
        lines.append(
            f"{name:<10} {row['p50_us']:>9.1f} {row['p90_us']:>9.1f} {row['p99_us']:>9.1f} {row['n']:>6}"
        )
    lines.append(f"a frame over the network alone: {found['frame_over_network']} (goal: at most 1.25)")
    lines.append(
        f"the processor's kernels over the graph: {found['processor_over_frame']} (goal: at least 1.5)"
    )
    return "\n".join(lines)


def _name_and_value(text: str) -> tuple[str, str]:
    name, separator, value = text.partition("=")
    if not separator:
        raise argparse.ArgumentTypeError(f"must be NAME=VALUE, got {text!r}")
    return name, value


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("model")
    parser.add_argument("--backend", choices=("tensorrt", "tensorrt_rtx", "onnxruntime"))
    parser.add_argument("--form", help="which of a bundle's files")
    parser.add_argument("--tf32", action="store_true", help="of onnxruntime: products may be rounded")
    parser.add_argument(
        "--provider-option",
        action="append",
        type=_name_and_value,
        metavar="NAME=VALUE",
        help="of onnxruntime's provider, such as prefer_nhwc=1",
    )
    parser.add_argument("--size", nargs=2, type=int, default=(1080, 1920), metavar=("HEIGHT", "WIDTH"))
    parser.add_argument("--seconds", type=float, default=10.0)
    parser.add_argument("--json", type=Path)
    arguments = parser.parse_args()
    common: dict[str, Any] = {"tf32": True} if arguments.tf32 else {}
    if arguments.provider_option:
        common["provider_options"] = dict(arguments.provider_option)
    opened = [
        ev.load(arguments.model, "cuda", backend=arguments.backend, form=arguments.form, **common, **options)
        for options in ({}, {"slots": 0})
    ]
    rng = np.random.default_rng(0)
    frame = rng.integers(0, 256, (*arguments.size, 3), np.uint8)
    found = measure(opened[0], opened[1], frame, arguments.seconds)
    print(f"{opened[0]!r} on {opened[0].session.runtime}, frames of {frame.shape}, {processor_name()}")
    print(table(found))
    if arguments.json is not None:
        about = {"model": arguments.model, "form": opened[0].form, "tf32": False, **common}
        gpu = find_gpu()
        about |= {"gpu": gpu and gpu.name, "device": opened[0].device, "runtime": opened[0].session.runtime}
        write_json(arguments.json, {**about, "size": arguments.size, **found})


if __name__ == "__main__":
    main()
