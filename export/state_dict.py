"""A user's trained weights, fitted to an architecture or refused with the reason."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from os import PathLike
from pathlib import Path

import torch

from edgevision.errors import ModelFileError
from edgevision.export.architecture import Architecture, find_head
from edgevision.export.checkpoint import load_checkpoint
from edgevision.export.foreign_weights import name_owner
from edgevision.export.labels import labels_in_checkpoint
from edgevision.export.weights import drop_prefix, find_weights, load_weights
from edgevision.spec.files import check_exists

__all__ = ["StateDict", "build_from_state", "read_state_dict"]


@dataclass(frozen=True, slots=True, eq=False)
class StateDict:
    """The tensors of a checkpoint by name, and the class names it holds."""

    path: Path
    tensors: dict[str, torch.Tensor]
    labels: tuple[str, ...] = ()


def read_state_dict(path: str | PathLike[str], *, trust: bool = False) -> StateDict:
    """The weights in a .pt, .pth or .safetensors file: a state_dict, a dict that holds one, or a pickled module.

    trust: see checkpoint.load_checkpoint. Raises ModelFileError for a file that is missing, refused, or holds none.
    """
    source = Path(path)
    check_exists(source)
    content = load_checkpoint(source, trust=trust)
    return StateDict(source, find_weights(content, source), labels_in_checkpoint(content))


def build_from_state(architecture: Architecture, state: StateDict) -> tuple[torch.nn.Module, int]:
    """The architecture with the state's weights, every one of them used, and the number of classes its head has.

    Raises ModelFileError that names missing, unexpected and misshapen tensors, and whose they seem to be.
    """
    module = architecture.build(None)
    tensors = drop_prefix(state.tensors, module.state_dict())
    classes = architecture.classes
    for name in find_head(module, classes)[-1:]:
        weight = tensors.get(f"{name}.weight")
        if weight is not None and weight.ndim >= 2 and weight.shape[0] != classes:
            classes = int(weight.shape[0])
            module = architecture.build(classes)
    try:
        load_weights(module, tensors, state.path.name, f"{architecture.library}'s {architecture.name}")
    except ModelFileError as error:
        raise ModelFileError(f"{error}; {_advise(architecture, tensors)}") from None
    return module.eval(), classes


def _advise(architecture: Architecture, tensors: Mapping[str, torch.Tensor]) -> str:
    """What the weights seem to be of, and what to do; where that cannot be told, only what to check."""
    owner = name_owner(tensors)
    if owner:
        return owner
    for name in architecture.lookalikes(list(tensors)):
        if name != architecture.name and _fits(architecture.build_other, name, tensors):
            return f"its tensors are those of {name}: pass --model {name}"
    return "check --model, --library and --size"


def _fits(build: Callable[[str], torch.nn.Module], name: str, tensors: Mapping[str, torch.Tensor]) -> bool:
    """Whether the tensors have the names and, but for the head's, the shapes of an architecture."""
    try:
        with torch.device("meta"):
            wanted = build(name).state_dict()
    except Exception:  # architectures that compute while they are built cannot be built without memory
        return False
    tensors = drop_prefix(tensors, wanted)
    same = {key for key in wanted if not key.endswith("num_batches_tracked")}
    if not same <= set(tensors) or any(key not in wanted for key in tensors):
        return False
    return sum(tensors[key].shape != wanted[key].shape for key in same) <= 2  # a head's weight and bias
