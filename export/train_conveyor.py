"""Train the conveyor detector from nothing but rendered pictures, judge it on held-out scenes, write its ONNX file.

    python -m edgevision.export.train_conveyor --output runs/conveyor --minutes 40

Two CPU cores are enough. Writes last.pt (resumable), the averaged weights as conveyor_yolo.pt, conveyor_yolo.onnx and
conveyor_yolo.json (the report) into the output folder; rendered pictures are kept there for the next run.
"""

from __future__ import annotations

import argparse
import json
import time
from dataclasses import asdict
from pathlib import Path

import numpy as np
import torch
import torch.multiprocessing
from torch import Tensor

import edgevision as ev
from edgevision.demo.scene import CLASS_NAMES, Scene
from edgevision.export.conveyor_data import (
    FRAME_HW,
    HELD_OUT_CLIPS,
    HELD_OUT_STILLS,
    INPUT_HW,
    Samples,
    held_out_frames,
    load_cache,
    render_cache,
)
from edgevision.export.conveyor_eval import (
    CONFIDENCE,
    NMS_IOU,
    evaluate,
    file_detector,
    find_all,
    summarise,
    torch_predictor,
)
from edgevision.export.conveyor_loss import Targets
from edgevision.export.conveyor_trainer import Team, Trainer, save_atomically
from edgevision.export.conveyor_yolo import checkpoint_of
from edgevision.export.pipeline import ExportResult
from edgevision.export.yolo import export_yolo

VALIDATION_SEED = 3_000_000  # first seed of the scenes looked at while training


def parse_arguments() -> argparse.Namespace:
    """The command line."""
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--output", type=Path, default=Path("runs/conveyor"))
    parser.add_argument(
        "--minutes", type=float, default=40.0, help="training time; the schedule fits itself to it"
    )
    parser.add_argument("--epochs", type=float, default=0.0, help="train this long instead of --minutes")
    parser.add_argument("--pictures", type=int, default=4000, help="pictures to render for training")
    parser.add_argument("--batch", type=int, default=8, help="pictures a step and process")
    parser.add_argument(
        "--processes", type=int, default=2, help="on the CPU: single-threaded trainers, one a core"
    )
    parser.add_argument("--rate", type=float, default=2e-3, help="peak learning rate of AdamW")
    parser.add_argument("--seed", type=int, default=1)
    parser.add_argument("--device", default="auto", help="auto, cpu, cuda, cuda:1 ...")
    parser.add_argument("--workers", type=int, default=2, help="processes that render")
    parser.add_argument("--stills", type=int, default=100, help="held-out stills of the final evaluation")
    parser.add_argument(
        "--clips", type=int, default=10, help="held-out clips of the final evaluation, 10 frames each"
    )
    parser.add_argument("--resume", action="store_true", help="go on from last.pt in the output folder")
    return parser.parse_args()


def make_batch(samples: Samples, rows: np.ndarray, rng: np.random.Generator) -> tuple[Tensor, Targets]:
    """Input float32 (B, 3, H, W) RGB 0-1 and targets, with random mirroring and colour."""
    height, width = samples.images.shape[1:3]
    most = max(len(samples.boxes[row]) for row in rows)
    objects = np.zeros((len(rows), max(most, 1), 7), np.float32)
    images = np.empty((len(rows), height, width, 3), np.float32)
    for i, row in enumerate(rows):
        image, boxes = samples.images[row], samples.boxes[row].copy()
        if rng.random() < 0.5:
            image, boxes[:, [0, 2]] = image[:, ::-1], width - boxes[:, [2, 0]]
        if rng.random() < 0.5:
            image, boxes[:, [1, 3]] = image[::-1], height - boxes[:, [3, 1]]
        gain = rng.uniform(0.8, 1.2) * rng.uniform(0.94, 1.06, 3)
        np.multiply(image[:, :, ::-1], (gain / 255).astype(np.float32), out=images[i], casting="unsafe")
        objects[i, : len(boxes), :6] = boxes
        objects[i, : len(boxes), 6] = 1
    rows_t = torch.from_numpy(objects)
    ignored = rows_t[..., 5] > 0
    real = rows_t[..., 6] > 0
    targets = Targets(rows_t[..., :4], rows_t[..., 4].long(), real & ~ignored, real & ignored)
    return torch.from_numpy(images).clamp_(0, 1).permute(0, 3, 1, 2), targets


def train(trainer: Trainer, samples: Samples, options: argparse.Namespace) -> None:
    """Runs the schedule to its end; the team's leader logs, validates and saves now and then."""
    leader = trainer.team.rank == 0
    validation = [
        Scene(VALIDATION_SEED + i, FRAME_HW).frame(float(i % 29)) for i in range(40 if leader else 0)
    ]
    per_epoch = len(samples.images) // (options.batch * trainer.team.size)
    rng = np.random.default_rng([options.seed, trainer.step, trainer.team.rank])
    mark, checkpoint_s = time.perf_counter(), trainer.elapsed_s
    order = rng.permutation(len(samples.images))
    while (progress := trainer.progress(per_epoch)) < 1:
        if len(order) < options.batch:
            order = rng.permutation(len(samples.images))
        rows, order = order[: options.batch], order[options.batch :]
        images, targets = make_batch(samples, rows, rng)
        parts = trainer.train_step(images, targets, progress)
        now = time.perf_counter()
        trainer.elapsed_s, mark = trainer.elapsed_s + now - mark, now
        if leader and trainer.step % 50 == 0:
            numbers = " ".join(f"{name} {value:.4g}" for name, value in parts.items())
            print(
                f"step {trainer.step} {trainer.elapsed_s / 60:.1f} min {progress:.0%} {numbers}", flush=True
            )
        if leader and trainer.elapsed_s - checkpoint_s > 300:
            checkpoint_s = trainer.elapsed_s
            trainer.save(options.output / "last.pt")
            result = evaluate(torch_predictor(trainer.average), validation)
            print(f"validation mAP50-95 {result.map50_95:.4f} mAP50 {result.map50:.4f}", flush=True)
            mark = time.perf_counter()  # validation is not training time
    if leader:
        trainer.save(options.output / "last.pt")


def write_report(trainer: Trainer, options: argparse.Namespace, pictures: int, done: ExportResult) -> None:
    """conveyor_yolo.json: what was trained, how, and how well the exported file does on held-out scenes."""
    team = trainer.team.size
    with ev.load(done.path) as model:
        detector = file_detector(model)
        stills = find_all(detector, held_out_frames(options.stills, 0))
        clips = find_all(detector, held_out_frames(0, options.clips))
    report = {
        "model": "conveyor_yolo",
        "classes": list(CLASS_NAMES),
        "input_hw": list(INPUT_HW),
        "parameters": sum(p.numel() for p in trainer.average.parameters()),
        "training": {
            "pictures": pictures,
            "pictures_seen": trainer.step * options.batch * team,
            "steps": trainer.step,
            "batch": options.batch * team,
            "processes": team,
            "minutes": round(trainer.elapsed_s / 60, 1),
            "seed": options.seed,
            "device": trainer.device.type,
            "torch": torch.__version__,
        },
        "held_out": {
            "frame_hw": list(FRAME_HW),
            "confidence": CONFIDENCE,
            "nms_iou": NMS_IOU,
            "still_seeds": [HELD_OUT_STILLS, HELD_OUT_STILLS + options.stills - 1],
            "clip_seeds": [HELD_OUT_CLIPS, HELD_OUT_CLIPS + options.clips - 1],
            "all": summarise(stills[0] + clips[0], stills[1] + clips[1]),
            "stills": summarise(*stills),
            "clips": summarise(*clips),
        },
        "onnx_against_torch": [asdict(tensor) for row in done.parity for tensor in row.tensors],
    }
    text = json.dumps(report, indent=2) + "\n"
    (options.output / "conveyor_yolo.json").write_text(text, encoding="ascii")
    print(text)


def run(rank: int, options: argparse.Namespace, size: int, files: list[Path]) -> None:
    """One trainer of a team of `size`; the leader (rank 0) exports and evaluates."""
    samples = load_cache(files)
    trainer = Trainer(options, Team(rank, size, options.output))
    if options.resume:
        trainer.load(options.output / "last.pt")
    train(trainer, samples, options)
    if rank == 0:
        checkpoint = options.output / "conveyor_yolo.pt"
        save_atomically(checkpoint_of(trainer.average, CLASS_NAMES), checkpoint)
        done = export_yolo(checkpoint, checkpoint.with_suffix(".onnx"), dynamic_batch=True)
        write_report(trainer, options, len(samples.images), done)
    trainer.team.close()


def main() -> None:
    """Renders, trains, exports, evaluates."""
    options = parse_arguments()
    options.output.mkdir(parents=True, exist_ok=True)
    (options.output / "rendezvous").unlink(missing_ok=True)
    started = time.perf_counter()

    def tell(done: int) -> None:
        print(f"rendered {done} of {options.pictures} in {time.perf_counter() - started:.0f} s", flush=True)

    files = render_cache(options.output / "pictures", options.pictures, options.seed, options.workers, tell)
    on_cpu = options.device == "cpu" or (options.device == "auto" and not torch.cuda.is_available())
    size = options.processes if on_cpu else 1
    if size == 1:
        run(0, options, 1, files)
    else:
        torch.multiprocessing.start_processes(run, (options, size, files), nprocs=size, start_method="spawn")


if __name__ == "__main__":
    main()
