"""`edgevision run`: a model on pictures or a video."""

from __future__ import annotations

import argparse
import sys
import time
from contextlib import ExitStack
from pathlib import Path
from typing import Any

import edgevision as ev
from edgevision.bench.timing import StageTimes
from edgevision.cli.options import add_model_options, fraction, model_options, parse_classes, positive_int
from edgevision.cli.progress import Progress
from edgevision.cli.prompts import add_prompt_options, prompt_model
from edgevision.errors import EdgeVisionError, InputError
from edgevision.stream.runner import RunOutputs, run_source
from edgevision.stream.sources import open_source

__all__ = ["add_parser"]


def add_parser(commands: Any) -> None:
    """Add the command to an argparse subparsers object."""
    parser = commands.add_parser(
        "run",
        help="run a model on a picture, a folder, a glob or a video",
        description="Run a model on a picture, a folder, a glob or a video file.",
    )
    parser.add_argument("model", metavar="MODEL", help="a .onnx file or a bundle folder")
    parser.add_argument("source", metavar="SOURCE", help="a picture, a video, a folder, or a quoted glob")
    parser.add_argument("--conf", type=fraction, metavar="P", help="keep scores above P")
    parser.add_argument(
        "--iou", type=fraction, metavar="P", help="suppress boxes that overlap a better one by more"
    )
    parser.add_argument(
        "--max-detections", type=positive_int, metavar="N", help="objects per picture at most"
    )
    parser.add_argument("--classes", type=parse_classes, metavar="A,B", help="class names or ids to keep")
    parser.add_argument(
        "--prompts", nargs="+", metavar="TEXT", help="CLIP, SigLIP: classify by similarity to these texts"
    )
    parser.add_argument(
        "--template", default="{}", metavar="TEXT", help='with {} for a prompt, e.g. "a photo of a {}"'
    )
    parser.add_argument(
        "--save",
        nargs="?",
        const="",
        metavar="PATH",
        help="write annotated pictures to a folder, or a video to a .mp4 or .avi file (default: beside you, in runs/)",
    )
    parser.add_argument(
        "--json",
        nargs="?",
        const="-",
        metavar="FILE",
        help="write one line of JSON a frame (default: to stdout)",
    )
    parser.add_argument(
        "--show", action="store_true", help="show frames in a window (extra `gui`); q or Esc ends"
    )
    parser.add_argument("--limit", type=positive_int, metavar="N", help="stop after N frames")
    add_prompt_options(parser)
    add_model_options(parser)
    parser.set_defaults(handler=_run)


def _run(options: argparse.Namespace) -> int:
    source = open_source(options.source)
    with ExitStack() as stack:
        stack.callback(source.close)
        model = _open_model(options)
        stack.callback(model.close)
        runner = prompt_model(model, options)
        outputs = RunOutputs(save=options.save, json_path=options.json, show=options.show, source=source)
        total = min(filter(None, (source.count, options.limit)), default=None)
        progress = Progress(Path(options.source).name, total)
        stack.callback(progress.close)
        start = time.perf_counter()
        report = run_source(
            runner, source, outputs, limit=options.limit, on_frame=progress.advance, on_error=_tell
        )
        elapsed_s = time.perf_counter() - start
    _print_summary(model, report.times, elapsed_s, report.counts)
    for path in report.written:
        print(f"wrote {path}", file=sys.stderr)
    if report.interrupted:
        print("edgevision: interrupted; what was done is saved", file=sys.stderr)
        return 130
    return 1 if report.failed or report.times.count == 0 else 0


def _open_model(options: argparse.Namespace) -> ev.Model | ev.PromptableModel:
    thresholds = {
        "confidence": options.conf,
        "iou": options.iou,
        "max_detections": options.max_detections,
        "classes": options.classes,
    }
    if options.prompts is None:
        model: ev.Model | ev.PromptableModel = ev.load(options.model, **model_options(options), **thresholds)
        return model
    with ev.load(options.model, **model_options(options)) as embedder:
        if not isinstance(embedder, ev.Model):
            raise InputError(
                f"--prompts is for models that read texts; {options.model} is a {embedder.task} model"
            )
        # Its weights are shared and stay when the embedder is closed.
        classifier = embedder.zero_shot(options.prompts, templates=options.template)
    classifier.set_options(**thresholds)
    return classifier


def _tell(path: Path, error: EdgeVisionError) -> None:
    print(f"\nedgevision: skipped {path}: {error}", file=sys.stderr)


def _print_summary(
    model: ev.Model | ev.PromptableModel, times: StageTimes, elapsed_s: float, counts: dict[str, int]
) -> None:
    """On stderr: stdout belongs to --json."""
    if not times.count:
        return
    lines = [
        f"{times.count} frames in {elapsed_s:.2f} s, everything included ({times.count / elapsed_s:.1f}/s)"
    ]
    session = model.encoder if isinstance(model, ev.PromptableModel) else model.session
    lines.append(f"{model!r}, {session.runtime}")
    lines.append(times.table())
    if counts:
        found = sorted(counts.items(), key=lambda item: (-item[1], item[0]))
        lines.append("found: " + ", ".join(f"{name} {count}" for name, count in found[:20]))
    print("\n".join(lines), file=sys.stderr)
