"""Find a state_dict in what a checkpoint holds, and load it into a network that it must fit exactly."""

from __future__ import annotations

from collections.abc import Mapping
from os import PathLike
from typing import Any

import torch

from edgevision.errors import ModelFileError

__all__ = ["drop_prefix", "find_weights", "load_weights"]

_WEIGHT_KEYS = (
    "ema",
    "ema_state_dict",
    "state_dict_ema",
    "model_ema",
    "model",
    "model_state_dict",
    "state_dict",
    "net",
    "params",
    "weights",
)
"""Under which training loops keep the weights, those averaged over training first."""
_SHOWN = 4
"""Names of a list that an error shows."""


def find_weights(content: object, path: str | PathLike[str]) -> dict[str, torch.Tensor]:
    """The state_dict in a checkpoint: the content itself, or what a training loop keeps beside its optimizer.

    content: what checkpoint.load_checkpoint gave; a module's own state_dict is taken as well.
    Raises ModelFileError when nothing in it is a state_dict.
    """
    found = _as_weights(content)
    if found is None and isinstance(content, Mapping):
        found = next((w for key in _WEIGHT_KEYS if (w := _as_weights(content.get(key)))), None)
    if found is None:
        raise ModelFileError(
            f"{path} holds no state_dict, neither itself nor under {', '.join(_WEIGHT_KEYS)}; it holds {_held(content)}"
        )
    return found


def load_weights(
    module: torch.nn.Module, weights: Mapping[str, torch.Tensor], path: str | PathLike[str], network: str
) -> None:
    """Copy `weights` into `module`, which they must fit name by name and shape by shape.

    A wrapper's prefix ("module." of DataParallel, "model." of Lightning, "_orig_mod." of torch.compile) is dropped, with
    what the wrapper holds beside the network. BatchNorm's count of batches may be missing: evaluation does not use it.
    network: what the module is, for the message.
    Raises ModelFileError that names what does not fit.
    """
    wanted = module.state_dict()
    given = drop_prefix(weights, wanted)
    lacking = [n for n in wanted if n not in given and not n.endswith(".num_batches_tracked")]
    unknown = [name for name in given if name not in wanted]
    reshaped = [
        f"{name} is {tuple(given[name].shape)} and should be {tuple(wanted[name].shape)}"
        for name in wanted
        if name in given and given[name].shape != wanted[name].shape
    ]
    faults = (("lacks", lacking), ("has no place for", unknown), ("differs in", reshaped))
    said = [f"{fault} {_first(names)}" for fault, names in faults if names]
    if said:
        raise ModelFileError(f"{path} does not fit {network}: it {'; it '.join(said)}")
    module.load_state_dict(given, strict=not any(name not in given for name in wanted))


def drop_prefix(
    weights: Mapping[str, torch.Tensor], wanted: Mapping[str, torch.Tensor]
) -> dict[str, torch.Tensor]:
    """`weights` without a wrapper's prefix: those under the one that gives most of the wanted names.

    As they are where a name is a wanted one already, or no prefix gives half of them.
    """
    if any(name in wanted for name in weights):
        return dict(weights)
    counts: dict[str, int] = {}
    for name in weights:
        parts = name.split(".")
        for cut in range(1, len(parts)):
            if ".".join(parts[cut:]) in wanted:
                prefix = ".".join(parts[:cut]) + "."
                counts[prefix] = counts.get(prefix, 0) + 1
    best = max(counts, key=lambda one: (counts[one], -len(one)), default="")
    if 2 * counts.get(best, 0) < len(wanted):
        return dict(weights)
    return {name.removeprefix(best): value for name, value in weights.items() if name.startswith(best)}


def _as_weights(value: object) -> dict[str, torch.Tensor] | None:
    if isinstance(value, torch.nn.Module):
        value = value.state_dict()
    if not isinstance(value, Mapping) or not value:
        return None
    if not all(isinstance(k, str) and isinstance(v, torch.Tensor) for k, v in value.items()):
        return None
    return dict(value)


def _first(names: list[str]) -> str:
    more = len(names) - _SHOWN
    return ", ".join(names[:_SHOWN]) + (f" and {more} more" if more > 0 else "")


def _held(content: Any) -> str:
    if isinstance(content, Mapping):
        return _first(sorted(map(str, content))) or "an empty dict"
    return f"a {type(content).__name__}"
