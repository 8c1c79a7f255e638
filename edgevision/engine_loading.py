"""Whether a load runs an engine, and which."""

from __future__ import annotations

import dataclasses
import warnings
from collections.abc import Mapping
from dataclasses import dataclass
from os import PathLike
from pathlib import Path
from typing import Any

from edgevision.backends.gpu import find_gpu
from edgevision.backends.options import TensorRtOptions
from edgevision.backends.registry import (
    ENGINE_BACKENDS,
    check_backend,
    engine_backend,
    installed_backends,
    networks_run_on_cuda,
)
from edgevision.engines.choose import choose_engine
from edgevision.engines.monitor import ProgressFn
from edgevision.engines.options import BuildOptions
from edgevision.errors import EdgeVisionError, EdgeVisionWarning, EngineMismatchError, InputError
from edgevision.spec.load import ENGINE_SUFFIXES

__all__ = ["ChosenEngine", "find_engine"]


@dataclass(frozen=True, slots=True)
class ChosenEngine:
    """An engine to load.

    home:    the model's file that it belongs to. common: the arguments of `choose_engine` that its other parts share.
    """

    path: Path
    home: Path
    backend: str
    model: Path
    common: Mapping[str, Any]

    def find_part(self, part: str) -> Path:
        """The engine of a further network of the model. Raises as `choose_engine` does."""
        model = self.model.parent if self.model.suffix.lower() in ENGINE_SUFFIXES else self.model
        return choose_engine(model, part=part, **self.common).path


def find_engine(
    path: str | PathLike[str],
    device: str,
    *,
    backend: str | None,
    form: str | None,
    build: bool | BuildOptions,
    progress: ProgressFn | None,
    session_options: Mapping[str, Any],
) -> ChosenEngine | None:
    """The engine that a load with these arguments runs; None: it runs the network with another runtime.

    Warns (EdgeVisionWarning) where engines are there, none fits, and another runtime takes their place.
    Raises as `choose_engine` does where the arguments leave nothing but an engine.
    """
    model = Path(path)
    is_engine = model.suffix.lower() in ENGINE_SUFFIXES
    if is_engine and form is not None:
        raise InputError(
            f"form={form!r} chooses among the forms of a bundle, and {model} is one file; leave it out"
        )
    if not isinstance(build, (bool, BuildOptions)):
        raise InputError(f"build must be True, False or BuildOptions, got {build!r:.80}")
    names, only = _candidates(model, device, backend, session_options, is_engine)
    common: dict[str, Any] = {"device": device, "form": form, "progress": progress}
    common["options"] = build if isinstance(build, BuildOptions) else None
    errors: list[EdgeVisionError] = []
    # An engine that any of the runtimes has goes before one that has to be built.
    for allowed in (False, True) if build is not False else (False,):
        errors.clear()
        for name in names:
            arguments = {**common, "backend": name, "build": allowed}
            try:
                chosen = choose_engine(model, **arguments)
            except EdgeVisionError as error:
                errors.append(error)
                continue
            return ChosenEngine(chosen.path, chosen.home, name, model, arguments)
    if errors and (only or build is not False):
        raise errors[0]
    unfit = next((error for error in errors if isinstance(error, EngineMismatchError)), None)
    if unfit is not None:
        warnings.warn(f"{unfit}; until then the model runs without it", EdgeVisionWarning, stacklevel=3)
    return None


def _candidates(
    model: Path, device: str, backend: str | None, session_options: Mapping[str, Any], is_engine: bool
) -> tuple[list[str], bool]:
    """The runtimes of engines to try, and whether there is nothing else to try."""
    if backend is not None:
        name = check_backend(backend)
        return ([name] if name in ENGINE_BACKENDS else []), True
    if is_engine:
        return [engine_backend(model)], True
    installed = [name for name in installed_backends() if name in ENGINE_BACKENDS]
    if device == "auto":
        known = {field.name for field in dataclasses.fields(TensorRtOptions)} - {"threads"}
        if not installed or not set(session_options) <= known or find_gpu() is None:
            return [], False
        return installed, False
    if not str(device).startswith("cuda"):
        return [], False
    return installed, not networks_run_on_cuda()
