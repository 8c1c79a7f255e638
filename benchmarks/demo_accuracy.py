"""What half and quarter precision cost the demo's models in accuracy, and save in bytes and milliseconds.

    python benchmarks/demo_accuracy.py --checkpoints output/conveyor [--models unet vit] [--json FILE] [--markdown FILE]

Takes the networks that train_conveyor.py wrote, exports each as fp32, fp16 and int8 (calibrated on validation scenes),
and judges every form on held-out scenes through every runtime that is installed, as `edgevision.load` runs it. Latency:
all forms and runtimes of a model take turns on the same frame in one process, one thread each; a call is a whole
one, with pre- and postprocessing (promptable: the image and one click).
"""

from __future__ import annotations

import argparse
import json
import time
from collections.abc import Callable
from contextlib import ExitStack
from pathlib import Path
from typing import Any

import numpy as np

import edgevision as ev
from edgevision.backends.registry import installed_backends
from edgevision.bench import percentile, processor_name
from edgevision.demo.clicks import middle_point
from edgevision.demo.crops import crop_part
from edgevision.demo.scene import Frame
from edgevision.export.conveyor_data import crop_samples, held_out_frames, validation_frames
from edgevision.export.conveyor_instances import TRUNK
from edgevision.export.conveyor_judge import HEADLINES, JUDGES, headline
from edgevision.export.conveyor_network import network_of, read_conveyor
from edgevision.export.conveyor_recipes import RECIPES
from edgevision.export.conveyor_start import start_from_detector
from edgevision.export.conveyor_training import Trained
from edgevision.export.network import Network
from edgevision.export.options import ExportOptions
from edgevision.export.pipeline import export_network
from edgevision.spec.bundle import read_bundle

FORMS = ("fp32", "fp16", "int8")
CALIBRATION_FRAMES = 48


def read_network(name: str, folder: Path) -> Network:
    """The trained network; the detector, where there is no checkpoint of it, from the shipped file's weights."""
    path = folder / f"conveyor_{name}.pt"
    if path.is_file() or name != "yolo":
        return read_conveyor(path)
    module = RECIPES[name].make()
    start_from_detector(module, TRUNK)
    return network_of(Trained(name, module.eval(), {}))


def export_forms(network: Network, bundle: Path) -> None:
    """The bundle of a network in every form; a bundle that is there already is kept."""
    if bundle.is_dir():
        return
    frames = validation_frames(CALIBRATION_FRAMES)
    pictures: list[Any] = [frame.image for frame in frames]
    if network.spec.task == "classify":  # its pictures are crops
        pictures = [crop for frame in frames for crop in crop_samples(frame)[0]]
    golden, calibration = pictures[:4], pictures[4:]
    options = ExportOptions(precisions=FORMS, images=golden, calibration=calibration)
    export_network(network, bundle, options)


def call_of(name: str, model: Any, frame: Frame) -> Callable[[], Any]:
    """What is timed of a model."""
    truth = frame.truth.counted()
    if name == "promptable":
        point = middle_point(truth.masks[0])[None]

        def ask() -> Any:
            model.set_image(frame.image)
            return model.predict(points=point, multimask=False)

        return ask
    image = crop_part(frame.image, truth.boxes[0]) if RECIPES[name].size > 8 else frame.image
    return lambda: model(np.ascontiguousarray(image))


def measure(
    name: str, bundle: Path, backends: list[str], frames: list[Frame], options: argparse.Namespace
) -> list[dict[str, Any]]:
    """A row a form and runtime: accuracy on the frames, bytes, milliseconds."""
    sizes = {form: form_bytes(bundle, form) for form in FORMS}
    rows, calls = [], []
    with ExitStack() as opened:
        for form in FORMS:
            for backend in backends:
                settings = {"backend": backend, "form": form, "threads": options.threads}
                model = opened.enter_context(ev.load(bundle, **settings))
                figures = JUDGES[name](model, frames)
                rows.append(
                    {
                        "model": f"conveyor_{name}",
                        "form": form,
                        "runtime": backend,
                        "accuracy": headline(name, figures),
                        "bytes": sizes[form],
                        "figures": figures,
                    }
                )
                calls.append(call_of(name, model, validation_frames(1)[0]))
                print(
                    f"{name} {form} {backend}: {' '.join(HEADLINES[name])} {rows[-1]['accuracy']:.4f}",
                    flush=True,
                )
        for row, times in zip(rows, take_turns(calls, options.calls), strict=True):
            row["latency_ms"] = {f"p{p}": percentile(times, p) for p in (50, 90, 99)}
    return rows


def take_turns(calls: list[Callable[[], Any]], rounds: int) -> list[list[float]]:
    """Milliseconds of each call, made in turn, forwards and backwards alternately."""
    for call in calls:
        for _ in range(5):
            call()
    times: list[list[float]] = [[] for _ in calls]
    for index in range(rounds):
        order = range(len(calls)) if index % 2 == 0 else reversed(range(len(calls)))
        for which in order:
            start = time.perf_counter_ns()
            calls[which]()
            times[which].append((time.perf_counter_ns() - start) / 1e6)
    return times


def form_bytes(bundle: Path, form: str) -> int:
    """The bytes of a form's files; a part that has no such form counts with the one that runs instead, fp32."""
    files = read_bundle(bundle).files
    total = 0
    for role in {one.role for one in files if one.form}:
        sizes = {one.form: one.bytes for one in files if one.role == role and one.form}
        total += sizes.get(form, sizes["fp32"])
    return total


def markdown(rows: list[dict[str, Any]]) -> str:
    """The rows as a table."""
    lines = [
        "| model | figure | form | runtime | accuracy | against fp32, points | size, MB | p50, ms | p90, ms |",
        "|---|---|---|---|---|---|---|---|---|",
    ]
    for row in rows:
        name = row["model"].removeprefix("conveyor_")
        whole = next(
            one["accuracy"] for one in rows
            if (one["model"], one["runtime"], one["form"]) == (row["model"], row["runtime"], "fp32")
        )  # fmt: skip
        times = row["latency_ms"]
        lines.append(
            f"| {name} | {' '.join(HEADLINES[name])} | {row['form']} | {row['runtime']} | {row['accuracy']:.4f} "
            f"| {100 * (row['accuracy'] - whole):+.2f} | {row['bytes'] / 1e6:.2f} "
            f"| {times['p50']:.2f} | {times['p90']:.2f} |"
        )
    return "\n".join(lines) + "\n"


def main() -> None:
    """Parse arguments, export, measure, print."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--checkpoints", type=Path, required=True, help="folder with conveyor_NAME.pt")
    parser.add_argument(
        "--bundles", type=Path, help="folder for the exported forms (default: beside the checkpoints)"
    )
    parser.add_argument("--models", nargs="*", default=list(RECIPES), choices=list(RECIPES), metavar="MODEL")
    parser.add_argument("--stills", type=int, default=100, help="held-out stills")
    parser.add_argument("--clips", type=int, default=10, help="held-out clips, 10 frames each")
    parser.add_argument("--calls", type=int, default=200, help="timed calls of each form and runtime")
    parser.add_argument("--threads", type=int, default=1, help="of each runtime")
    parser.add_argument("--json", type=Path)
    parser.add_argument("--markdown", type=Path)
    options = parser.parse_args()
    bundles = options.bundles or options.checkpoints / "forms"
    backends = [name for name in installed_backends() if name in ("onnxruntime", "openvino")]
    frames = list(held_out_frames(options.stills, options.clips))
    rows: list[dict[str, Any]] = []
    for name in options.models:
        checkpoint = options.checkpoints / f"conveyor_{name}.pt"
        if not checkpoint.is_file() and name != "yolo":
            parser.error(f"{checkpoint} is missing; train it with train_conveyor.py {name}, or name --models")
        export_forms(read_network(name, options.checkpoints), bundles / f"conveyor_{name}")
        rows += measure(name, bundles / f"conveyor_{name}", backends, frames, options)
    document = {
        "benchmark": "demo_accuracy",
        "processor": processor_name(),
        "threads": options.threads,
        "n": options.calls,
        "calibration_frames": CALIBRATION_FRAMES,
        "held_out": {"stills": options.stills, "clips": options.clips},
        "rows": rows,
    }
    if options.json:
        options.json.write_text(json.dumps(document, indent=2) + "\n", encoding="ascii")
    table = markdown(rows)
    if options.markdown:
        options.markdown.write_text(table, encoding="ascii")
    print(table)


if __name__ == "__main__":
    main()
