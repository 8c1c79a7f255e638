"""The training of one of the demo's models, from cached pictures to averaged weights."""

from __future__ import annotations

import time
from collections.abc import Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import numpy as np
import torch
import torch.multiprocessing
from torch import nn

from edgevision.demo.scene import CLASS_NAMES
from edgevision.errors import ModelFileError
from edgevision.export.conveyor_data import validation_frames
from edgevision.export.conveyor_recipes import RECIPES
from edgevision.export.conveyor_start import start_from_detector
from edgevision.export.conveyor_trainer import Team, Trainer, save_atomically

__all__ = ["TrainOptions", "Trained", "read_trained", "train_model"]

_LOG_STEPS = 50
_CHECKPOINT_S = 240.0
_VALIDATION_FRAMES = 20


@dataclass(frozen=True)
class TrainOptions:
    """output: folder. minutes, epochs, rate: instead of the recipe's, where above 0. processes: single-threaded trainers,
    on the CPU. device: auto, cpu, cuda, cuda:1 ... detector: the ONNX file to start from, None for the shipped one.
    resume: go on from the folder's NAME.last.pt."""

    output: Path
    minutes: float = 0.0
    epochs: float = 0.0
    rate: float = 0.0
    processes: int = 1
    device: str = "auto"
    seed: int = 1
    detector: Path | None = None
    resume: bool = False


@dataclass(frozen=True)
class Trained:
    """A network with its averaged weights, in evaluation mode, and how it came by them, for the report."""

    name: str
    module: nn.Module
    training: dict[str, Any]


def train_model(name: str, files: Sequence[Path], options: TrainOptions) -> Path:
    """The file of the trained network (see `read_trained`); files: the cache's (see `render_cache`)."""
    on_cpu = options.device == "cpu" or (options.device == "auto" and not torch.cuda.is_available())
    size = options.processes if on_cpu else 1
    (options.output / "rendezvous").unlink(missing_ok=True)
    if size == 1:
        _run(0, name, list(files), options, 1)
    else:
        arguments = (name, list(files), options, size)
        torch.multiprocessing.start_processes(_run, arguments, nprocs=size, start_method="spawn")
    return options.output / f"conveyor_{name}.pt"


def read_trained(path: Path) -> Trained:
    """What `train_model` wrote. Raises ModelFileError for a file of anything else."""
    content = torch.load(path, map_location="cpu", weights_only=True)
    name = str(content.get("architecture", "")).removeprefix("conveyor_") if isinstance(content, dict) else ""
    if name not in RECIPES or list(content.get("labels", ())) != list(CLASS_NAMES):
        raise ModelFileError(f"{path} is no network of the demo; accepted: what train_conveyor.py writes")
    module = RECIPES[name].make()
    try:
        module.load_state_dict(content["state_dict"])
    except (KeyError, RuntimeError) as error:
        raise ModelFileError(f"{path}: the weights are not those of conveyor_{name}: {error}") from None
    return Trained(name, module.eval(), dict(content.get("training", {})))


def _run(rank: int, name: str, files: list[Path], options: TrainOptions, size: int) -> None:
    """One trainer of a team of `size`; the leader (rank 0) logs, validates and saves."""
    recipe = RECIPES[name]
    torch.manual_seed(options.seed)  # the same start in the whole team
    model = recipe.make()
    if recipe.trunk:
        start_from_detector(model, recipe.trunk, options.detector)
    changed = {
        key: getattr(options, key) for key in ("minutes", "epochs", "rate") if getattr(options, key) > 0
    }
    schedule = replace(recipe.schedule, **changed)
    trainer = Trainer(
        model, recipe.loss, schedule, Team(rank, size, options.output), options.device, recipe.trunk
    )
    last = options.output / f"{name}.last.pt"
    if options.resume:
        trainer.load(last)
    data = recipe.load(files)
    _follow_schedule(trainer, name, data, options.seed, last)
    if rank == 0:
        training = {
            "rows": len(data),
            "rows_seen": trainer.step * recipe.size * size,
            "steps": trainer.step,
            "batch": recipe.size * size,
            "processes": size,
            "minutes": round(trainer.elapsed_s / 60, 1),
            "seed": options.seed,
            "device": trainer.device.type,
            "torch": str(torch.__version__),  # a plain string: loadable with weights_only=True
        }
        content = {
            "architecture": f"conveyor_{name}",
            "labels": list(CLASS_NAMES),
            "state_dict": {key: value.cpu() for key, value in trainer.average.state_dict().items()},
            "training": training,
        }
        save_atomically(content, options.output / f"conveyor_{name}.pt")
    trainer.team.close()


def _follow_schedule(trainer: Trainer, name: str, data: Any, seed: int, last: Path) -> None:
    recipe = RECIPES[name]
    leads = trainer.team.rank == 0
    frames = validation_frames(_VALIDATION_FRAMES) if leads else []
    rng = np.random.default_rng([seed, trainer.step, trainer.team.rank])
    order = np.zeros(0, np.int64)
    per_epoch = max(1, len(data) // (recipe.size * trainer.team.size))
    mark, saved_s = time.perf_counter(), trainer.elapsed_s
    while (progress := trainer.progress(per_epoch)) < 1:
        if len(order) < recipe.size:
            order = rng.permutation(len(data))
        rows, order = order[: recipe.size], order[recipe.size :]
        parts = trainer.train_step(recipe.batch(data, rows, rng), progress)
        now = time.perf_counter()
        trainer.elapsed_s, mark = trainer.elapsed_s + now - mark, now
        if leads and trainer.step % _LOG_STEPS == 0:
            numbers = " ".join(f"{key} {value:.4g}" for key, value in parts.items())
            print(
                f"{name} step {trainer.step} {trainer.elapsed_s / 60:.1f} min {progress:.0%} {numbers}",
                flush=True,
            )
        if leads and trainer.elapsed_s - saved_s > _CHECKPOINT_S:
            saved_s = trainer.elapsed_s
            _save_and_validate(trainer, name, frames, last)
            mark = time.perf_counter()  # validation is not training time
    if leads:
        _save_and_validate(trainer, name, frames, last)


def _save_and_validate(trainer: Trainer, name: str, frames: Sequence[Any], last: Path) -> None:
    trainer.save(last)
    figures = RECIPES[name].validate(trainer.average, frames)
    numbers = " ".join(f"{key} {value:.4f}" for key, value in figures.items())
    print(f"{name} step {trainer.step} validation {numbers}", flush=True)
