"""One update of a demo network, and what an update needs: schedule, moving average, team, checkpoint."""

from __future__ import annotations

import copy
import math
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import torch
import torch.distributed as dist
from torch import Tensor, nn

__all__ = ["Loss", "Schedule", "Team", "Trainer", "save_atomically"]

EMA_DECAY = 0.998
LAST_RATE = 0.02  # of the peak rate, at the end of the cosine

# The network and a batch (a named tuple of tensors) to the batch's loss, a scalar, and its parts for the log.
Loss = Callable[[Any, Any], tuple[Tensor, dict[str, float]]]


@dataclass(frozen=True)
class Schedule:
    """How long and how fast to train. minutes: of training time, or epochs when that is above 0. rate: peak learning
    rate of AdamW. decay: weight decay, of matrices and filters alone. warm_steps: the rate rises over so many.
    bfloat16: convolutions and matrix products in bfloat16, twice as fast on processors that have it."""

    minutes: float
    epochs: float = 0.0
    rate: float = 2e-3
    decay: float = 0.02
    warm_steps: int = 150
    bfloat16: bool = True


def save_atomically(value: object, path: Path) -> None:
    """`value` in `path`, which holds the old or the new content whenever the machine stops."""
    partial = path.with_suffix(".partial")
    torch.save(value, partial)
    partial.replace(path)


class Team:
    """Trainers that average their gradients after each step.

    One single-threaded process a core is much faster than one process with a thread a core: layers this small
    leave the threads waiting for each other, most of all on a machine that is not idle.
    """

    def __init__(self, rank: int, size: int, folder: Path) -> None:
        self.rank, self.size = rank, size
        if size > 1:
            torch.set_num_threads(1)
            meeting = (folder / "rendezvous").resolve()
            dist.init_process_group("gloo", init_method=meeting.as_uri(), rank=rank, world_size=size)

    def average(self, parameters: Sequence[Tensor], leader_time_s: float) -> float:
        """The leader's time, after replacing each gradient by the mean over the team."""
        if self.size == 1:
            return leader_time_s
        grads = [p.grad for p in parameters if p.grad is not None]
        mine = leader_time_s if self.rank == 0 else 0.0
        flat = torch.cat([*(g.reshape(-1) for g in grads), torch.tensor([mine * self.size])])
        dist.all_reduce(flat)
        flat /= self.size
        for grad, mean in zip(grads, flat[:-1].split([g.numel() for g in grads]), strict=True):
            grad.copy_(mean.view_as(grad))
        return float(flat[-1])

    def close(self) -> None:
        """Leaves the team."""
        if self.size > 1:
            dist.destroy_process_group()


class Trainer:
    """The model, its moving average, the optimizer and the schedule.

    frozen: children of the model that stay as they are, batch norms included.
    """

    def __init__(
        self,
        model: nn.Module,
        loss: Loss,
        schedule: Schedule,
        team: Team,
        device: str = "auto",
        frozen: Sequence[str] = (),
    ) -> None:
        self.team, self.loss, self.schedule = team, loss, schedule
        auto = "cuda" if torch.cuda.is_available() else "cpu"
        self.device = torch.device(auto if device == "auto" else device)
        self.model = model.to(self.device, memory_format=torch.channels_last)
        self._frozen = [self.model.get_submodule(name).requires_grad_(False) for name in frozen]
        self.average = copy.deepcopy(self.model).eval().requires_grad_(False)
        self._learning = [p for p in self.model.parameters() if p.requires_grad]
        # Norms and biases are not decayed.
        groups = [
            {"params": [p for p in self._learning if p.ndim > 1], "weight_decay": schedule.decay},
            {"params": [p for p in self._learning if p.ndim <= 1], "weight_decay": 0.0},
        ]
        self.optimizer = torch.optim.AdamW(groups, lr=schedule.rate, betas=(0.9, 0.98))
        self.step, self.elapsed_s = 0, 0.0

    def progress(self, steps_per_epoch: int) -> float:
        """How much of the training is done, 0-1."""
        if self.schedule.epochs > 0:
            return self.step / (self.schedule.epochs * steps_per_epoch)
        return self.elapsed_s / (60 * self.schedule.minutes)

    def train_step(self, batch: Any, progress: float) -> dict[str, float]:
        """One update; the parts of its loss. Sets `elapsed_s` to the leader's, so that the team stays in step.

        batch: a named tuple of tensors. Raises FloatingPointError when the loss is no longer finite.
        """
        warm = min(1.0, (self.step + 1) / self.schedule.warm_steps)
        cosine = LAST_RATE + (1 - LAST_RATE) * 0.5 * (1 + math.cos(math.pi * min(progress, 1.0)))
        rate = self.schedule.rate * warm * cosine
        for group in self.optimizer.param_groups:
            group["lr"] = rate
        self.model.train()
        for module in self._frozen:
            module.eval()
        batch = type(batch)(*(part.to(self.device) for part in batch))
        with torch.autocast(self.device.type, torch.bfloat16, enabled=self.schedule.bfloat16):
            loss, parts = self.loss(self.model, batch)
        if not torch.isfinite(loss):
            raise FloatingPointError(f"the loss became {loss.item()} at step {self.step}; lower --rate")
        self.optimizer.zero_grad(set_to_none=True)
        loss.backward()
        self.elapsed_s = self.team.average(self._learning, self.elapsed_s)
        torch.nn.utils.clip_grad_norm_(self._learning, 10.0)
        self.optimizer.step()
        self.step += 1
        self._update_average()
        return parts | {"loss": loss.item(), "rate": rate}

    @torch.no_grad()
    def _update_average(self) -> None:
        # Young averages follow faster, or they would remember the random start.
        decay = min(EMA_DECAY, (1 + self.step) / (10 + self.step))
        for mine, theirs in zip(
            self.average.state_dict().values(), self.model.state_dict().values(), strict=True
        ):
            if mine.is_floating_point():
                mine.lerp_(theirs, 1 - decay)
            else:
                mine.copy_(theirs)

    def save(self, path: Path) -> None:
        """Everything needed to go on, loadable with `weights_only=True`."""
        state = {name: getattr(self, name).state_dict() for name in ("model", "average", "optimizer")}
        save_atomically(state | {"step": self.step, "elapsed_s": self.elapsed_s}, path)

    def load(self, path: Path) -> None:
        """The state that `save` wrote."""
        state = torch.load(path, map_location=self.device, weights_only=True)
        for name in ("model", "average", "optimizer"):
            getattr(self, name).load_state_dict(state[name])
        self.step, self.elapsed_s = state["step"], state["elapsed_s"]
