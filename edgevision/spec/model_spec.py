"""The dataclasses that describe a model's pre- and postprocessing: the only description there is.

Each checks its own fields when it is made and raises SpecError; a spec that exists is valid. Lists are taken
for tuples and integers for floats, so that a document read from JSON needs no conversion.
"""

from __future__ import annotations

import dataclasses
import re
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any, TypeVar

from edgevision.errors import SpecError
from edgevision.spec import checks
from edgevision.spec.checks import fail
from edgevision.spec.decoders import DECODERS, TASKS, Param, check_params, check_task
from edgevision.spec.image_input import ImageInput

__all__ = ["Decoder", "ImageInput", "ModelSpec", "Source", "Thresholds"]

MAX_INPUTS = 16
_T = TypeVar("_T")


def _strings(path: str, value: object, *, empty: bool) -> tuple[str, ...]:
    entries = checks.check_tuple(path, value, "a list of strings")
    return tuple(checks.check_string(f"{path}[{i}]", entry, empty=empty) for i, entry in enumerate(entries))


@dataclass(frozen=True, slots=True, kw_only=True)
class Decoder:
    """How output tensors become results: a decoder's name, the tensors it reads and its parameters.

    Raises SpecError for an unknown name or parameter, or one out of range.
    """

    name: str
    """A key of decoders.DECODERS."""
    outputs: tuple[str, ...] = ()
    """Names of the output tensors in the order the decoder reads them; empty: the network's own order."""
    params: Mapping[str, Param] = field(default_factory=dict, hash=False)
    """Checked against the decoder's table in decoders.DECODERS and copied; `decoders.decoder_params` adds the
    defaults. Not to be changed in place."""

    def __post_init__(self) -> None:
        name = checks.check_choice("name", self.name, tuple(DECODERS))
        outputs = _strings("outputs", self.outputs, empty=False)
        if len(set(outputs)) != len(outputs):
            fail("outputs", "different names", outputs)
        checks.set_fields(self, name=name, outputs=outputs, params=check_params(name, self.params))


@dataclass(frozen=True, slots=True, kw_only=True)
class Thresholds:
    """Defaults that `load` and each call may override. Raises SpecError for one out of range."""

    confidence: float = 0.25
    """Keep scores strictly greater, 0-1."""
    iou: float = 0.7
    """Suppress a box whose overlap with a better one is strictly greater, 0-1."""
    max_detections: int = 300
    """The best so many are kept, 1-100000 an image."""
    class_agnostic: bool = False
    """True: a box may be suppressed by one of another class."""

    def __post_init__(self) -> None:
        checks.set_fields(
            self,
            confidence=checks.check_number("confidence", self.confidence, 0.0, 1.0),
            iou=checks.check_number("iou", self.iou, 0.0, 1.0),
            max_detections=checks.check_int("max_detections", self.max_detections, 1, 100_000),
            class_agnostic=checks.check_bool("class_agnostic", self.class_agnostic),
        )


@dataclass(frozen=True, slots=True, kw_only=True)
class Source:
    """Where the model comes from: told by `inspect`, never used to compute."""

    framework: str = ""
    framework_version: str = ""
    model: str = ""
    weights_sha256: str = ""
    """Of the checkpoint's file: 64 lower-case hexadecimal digits, or empty."""
    license: str = ""
    description: str = ""
    random_weights: bool = False
    """True: the weights were never trained; results mean nothing."""

    def __post_init__(self) -> None:
        for name in ("framework", "framework_version", "model", "weights_sha256", "license", "description"):
            checks.set_fields(self, **{name: checks.check_string(name, getattr(self, name))})
        if self.weights_sha256 and not re.fullmatch("[0-9a-f]{64}", self.weights_sha256):
            fail("weights_sha256", "64 lower-case hexadecimal digits or empty", self.weights_sha256)
        checks.check_bool("random_weights", self.random_weights)


@dataclass(frozen=True, slots=True, kw_only=True)
class ModelSpec:
    """Everything the runtime needs to know of a model beside its graph.

    Raises SpecError when the task is unknown, the decoder does not serve it, or inputs share a name.
    """

    task: str
    """One of decoders.TASKS."""
    inputs: tuple[ImageInput, ...] = (ImageInput(),)
    """1-16, with different names."""
    decoder: Decoder
    labels: tuple[str, ...] = ()
    """Class names by class id; empty: unknown. A name may occur twice."""
    thresholds: Thresholds = Thresholds()
    source: Source = Source()

    def __post_init__(self) -> None:
        inputs = checks.check_tuple("inputs", self.inputs, f"1-{MAX_INPUTS} image inputs")
        if not 1 <= len(inputs) <= MAX_INPUTS:
            fail("inputs", f"1-{MAX_INPUTS} image inputs", self.inputs)
        clean = tuple(_instance(f"inputs[{i}]", one, ImageInput) for i, one in enumerate(inputs))
        names = [one.name for one in clean]
        if len(set(names)) != len(names):
            fail("inputs", "of different names", names)
        checks.set_fields(
            self,
            task=checks.check_choice("task", self.task, TASKS),
            inputs=clean,
            decoder=_instance("decoder", self.decoder, Decoder),
            labels=_strings("labels", self.labels, empty=True),
            thresholds=_instance("thresholds", self.thresholds, Thresholds),
            source=_instance("source", self.source, Source),
        )
        check_task(self.task, self.decoder)

    def replace(self, **changes: Any) -> ModelSpec:
        """A copy with the given fields changed; a mapping changes fields of a nested object.

        `spec.replace(labels=("cat",), thresholds={"iou": 0.5})`. Raises SpecError for an unknown field or a
        value that does not fit.
        """
        fields = {one.name: getattr(self, one.name) for one in dataclasses.fields(self)}
        for name, value in changes.items():
            if name not in fields:
                raise SpecError(f"unknown field {name!r}; a spec has {', '.join(fields)}")
            if dataclasses.is_dataclass(fields[name]) and isinstance(value, Mapping):
                fields[name] = _replace_nested(name, fields[name], value)
            else:
                fields[name] = value
        return ModelSpec(**fields)


def _instance(path: str, value: object, kind: type[_T]) -> _T:
    if not isinstance(value, kind):
        fail(path, f"a {kind.__name__}", value)
    return value


def _replace_nested(path: str, current: Any, changes: Mapping[str, Any]) -> Any:
    known = [one.name for one in dataclasses.fields(current)]
    for name in changes:
        if name not in known:
            raise SpecError(f"unknown field {path}.{name}; accepted: {', '.join(known)}")
    try:
        return dataclasses.replace(current, **changes)
    except SpecError as error:
        raise SpecError(f"{path}.{error}") from error
