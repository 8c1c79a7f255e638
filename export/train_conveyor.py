"""Train the demo's models from nothing but rendered pictures, judge them on held-out scenes, write their ONNX files.

    python -m edgevision.export.train_conveyor --output runs/conveyor
    python -m edgevision.export.train_conveyor unet vit --minutes 20 --output runs/conveyor

The detector comes first: the other networks for whole frames start from its weights, from the file in the output folder
or else from the shipped one. Two CPU cores are enough. The output folder gets conveyor_NAME.onnx (a bundle for
promptable) and the report conveyor_NAME.json, beside conveyor_NAME.pt, NAME.last.pt (resumable) and the rendered
pictures, which are kept for the next run.
"""

from __future__ import annotations

import argparse
import json
import time
from pathlib import Path

from edgevision.export.conveyor_cache import render_cache
from edgevision.export.conveyor_recipes import RECIPES
from edgevision.export.conveyor_release import release_model, released_path
from edgevision.export.conveyor_training import TrainOptions, train_model

__all__ = ["main", "parse_arguments"]


def parse_arguments(arguments: list[str] | None = None) -> argparse.Namespace:
    """The command line."""
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument(
        "models",
        nargs="*",
        metavar="MODEL",
        help=f"some of {', '.join(RECIPES)} (default: all, in this order)",
    )
    parser.add_argument("--output", type=Path, default=Path("runs/conveyor"))
    parser.add_argument(
        "--minutes", type=float, default=0.0, help="training time of each; the schedule fits itself to it"
    )
    parser.add_argument("--epochs", type=float, default=0.0, help="train this long instead")
    parser.add_argument("--rate", type=float, default=0.0, help="peak learning rate instead of the recipe's")
    parser.add_argument("--pictures", type=int, default=4000, help="pictures to render for training")
    parser.add_argument(
        "--processes", type=int, default=2, help="on the CPU: single-threaded trainers, one a core"
    )
    parser.add_argument("--seed", type=int, default=1)
    parser.add_argument("--device", default="auto", help="auto, cpu, cuda, cuda:1 ...")
    parser.add_argument("--workers", type=int, default=2, help="processes that render")
    parser.add_argument("--stills", type=int, default=100, help="held-out stills of the final evaluation")
    parser.add_argument(
        "--clips", type=int, default=10, help="held-out clips of the final evaluation, 10 frames each"
    )
    parser.add_argument("--resume", action="store_true", help="go on from NAME.last.pt in the output folder")
    parser.add_argument(
        "--judge-only", action="store_true", help="export and judge conveyor_NAME.pt as it is"
    )
    options = parser.parse_args(arguments)
    unknown = [name for name in options.models if name not in RECIPES]
    if unknown:
        parser.error(f"no model {', '.join(unknown)}; accepted: {', '.join(RECIPES)}")
    return options


def main(arguments: list[str] | None = None) -> None:
    """Renders, trains, exports, evaluates."""
    options = parse_arguments(arguments)
    options.output.mkdir(parents=True, exist_ok=True)
    started = time.perf_counter()

    def tell(done: int) -> None:
        print(f"rendered {done} of {options.pictures} in {time.perf_counter() - started:.0f} s", flush=True)

    files = []
    if not options.judge_only:
        files = render_cache(
            options.output / "pictures", options.pictures, options.seed, options.workers, tell
        )
    detector = released_path("yolo", options.output)
    for name in [name for name in RECIPES if name in options.models or not options.models]:
        checkpoint = options.output / f"conveyor_{name}.pt"
        if not options.judge_only:
            settings = TrainOptions(
                options.output, options.minutes, options.epochs, options.rate, options.processes, options.device,
                options.seed, detector if detector.is_file() else None, options.resume,
            )  # fmt: skip
            checkpoint = train_model(name, files, settings)
        report = release_model(checkpoint, options.output, stills=options.stills, clips=options.clips)
        print(json.dumps(report["held_out"], indent=2), flush=True)


if __name__ == "__main__":
    main()
