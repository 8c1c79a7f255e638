"""A network of the user's own: a function of theirs that builds it. Their code is imported and run, knowingly."""

from __future__ import annotations

import importlib
import sys
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import torch

from edgevision.errors import InputError

__all__ = ["TensorOutput", "build_user_module"]


class TensorOutput(torch.nn.Module):
    """The first tensor that `body` returns, alone, in a tuple or in a dict ("out" of torchvision's)."""

    def __init__(self, body: torch.nn.Module) -> None:
        super().__init__()
        self.body = body

    def forward(self, images: torch.Tensor) -> torch.Tensor:
        found = self.body(images)
        while not isinstance(found, torch.Tensor):
            found = next(iter(found.values() if isinstance(found, Mapping) else found))
        return found


def build_user_module(name: str, options: Mapping[str, Any]) -> torch.nn.Module:
    """What `package.module:factory` returns for these keyword arguments; also looked for in the current folder.

    Raises InputError when it cannot be imported or called, or returns no module.
    """
    module_name, _, factory_name = name.partition(":")
    if not module_name or not factory_name:
        raise InputError(f"module must be package.module:factory, got {name!r}")
    folder = str(Path.cwd())
    sys.path.insert(0, folder)
    try:
        factory = getattr(importlib.import_module(module_name), factory_name)
    except ImportError as error:
        raise InputError(f"cannot import {module_name} for module {name!r}: {error}") from error
    except AttributeError:
        raise InputError(f"{module_name} has no {factory_name}") from None
    finally:
        sys.path.remove(folder)
    try:
        built = factory(**options)
    except Exception as error:  # the user's code raises what it likes
        raise InputError(f"{name} cannot be called with {dict(options)}: {error}") from error
    if not isinstance(built, torch.nn.Module):
        raise InputError(f"{name} must return a torch.nn.Module, got {type(built).__name__}")
    return built
