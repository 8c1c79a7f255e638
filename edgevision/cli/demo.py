"""`edgevision demo`: the shipped detector on a synthetic conveyor."""

from __future__ import annotations

import argparse
from pathlib import Path
from typing import Any

from edgevision.cli.options import positive_int
from edgevision.cli.progress import Progress

__all__ = ["add_parser"]


def add_parser(commands: Any) -> None:
    """Add the command to an argparse subparsers object."""
    parser = commands.add_parser(
        "demo",
        help="detect parts on a synthetic conveyor",
        description="Render a clip of a synthetic conveyor, detect its parts with the shipped model, compare with "
        "the ground truth, and write an annotated picture and video, and a contact sheet of every task on one frame. "
        "Needs the extras `cpu` and `video`.",
    )
    parser.add_argument(
        "--seconds", type=float, default=4.0, metavar="S", help="length of the clip (default: 4)"
    )
    parser.add_argument("--seed", type=int, metavar="N", help="another scene")
    parser.add_argument(
        "--output",
        type=Path,
        default=Path("edgevision-demo"),
        metavar="DIR",
        help="folder (default: edgevision-demo)",
    )
    parser.add_argument("--backend", help="onnxruntime or openvino (default: the first installed)")
    parser.add_argument("--threads", type=positive_int, metavar="N", help="threads of the runtime")
    parser.set_defaults(handler=_demo)


def _demo(options: argparse.Namespace) -> int:
    from edgevision.demo.showcase import DEMO_SEED, run_demo

    seed = DEMO_SEED if options.seed is None else options.seed
    frames = max(1, round(options.seconds * 30))
    print(f"conveyor scene {seed}, {frames} frames of 1280x720")
    chosen = {"backend": options.backend}
    if options.threads is not None:
        chosen["threads"] = options.threads
    progress = Progress("detecting", frames)
    try:
        report = run_demo(
            options.output, seconds=options.seconds, seed=seed, on_frame=progress.advance, **chosen
        )
    finally:
        progress.close()
    print(report.table())
    print(f"picture  {report.picture.resolve()}")
    print(f"video    {report.video.resolve()}")
    print(f"sheet    {report.sheet.resolve()}")
    return 0
