"""A spec as JSON text and back: strict, versioned, exact. docs/spec.md describes the format in prose."""

from __future__ import annotations

import dataclasses
from typing import Any, TypeVar

from edgevision.errors import SpecError
from edgevision.spec.checks import fail
from edgevision.spec.image_input import ImageInput
from edgevision.spec.model_spec import Decoder, ModelSpec, Source, Thresholds
from edgevision.spec.strict_json import check_header, check_keys, dump_json, parse_json

__all__ = ["SPEC_FORMAT", "SPEC_VERSION", "spec_from_dict", "spec_from_json", "spec_to_dict", "spec_to_json"]

SPEC_FORMAT = "edgevision.spec"
SPEC_VERSION = 1

_T = TypeVar("_T")


def spec_to_json(spec: ModelSpec, *, indent: int | None = None) -> str:
    """Canonical JSON text of the spec: equal specs give equal text, and every field is written.

    indent: spaces a level, for people; None: one line.
    Raises SpecError when the text would exceed the 4 MiB that `spec_from_json` reads.
    """
    return dump_json(spec_to_dict(spec), "the spec", indent)


def spec_from_json(text: str | bytes) -> ModelSpec:
    """The spec in the JSON text; a missing optional key takes its default.

    Raises SpecError naming the path of the first unknown, missing, ill-typed or ill-valued key, and for text
    that is not JSON, repeats a key, exceeds 4 MiB, or was written in a newer version of the format.
    """
    return spec_from_dict(parse_json(text, "the spec"))


def spec_to_dict(spec: ModelSpec) -> dict[str, Any]:
    """The document that `spec_to_json` writes: plain dicts, lists, strings and numbers."""
    document = dataclasses.asdict(spec)
    return {"format": SPEC_FORMAT, "version": SPEC_VERSION, **document}


def spec_from_dict(document: dict[str, Any], path: str = "") -> ModelSpec:
    """The spec in a parsed document; `path` leads to it in messages. Raises as `spec_from_json` does."""
    try:
        return _read_document(document)
    except SpecError as error:
        raise SpecError(f"{path}: {error}" if path else str(error)) from error


def _read_document(document: dict[str, Any]) -> ModelSpec:
    check_header(document, "the spec", SPEC_FORMAT, SPEC_VERSION)
    body = {key: value for key, value in document.items() if key not in ("format", "version")}
    required, optional = _keys(ModelSpec)
    # format and version are named too, for the list of accepted keys in a message.
    check_keys("", document, ["format", "version", *required], optional)
    if "inputs" in body:
        inputs = body["inputs"]
        if not isinstance(inputs, list):
            fail("inputs", "a list of objects", inputs)
        body["inputs"] = [_read(ImageInput, f"inputs[{i}]", one) for i, one in enumerate(inputs)]
    body["decoder"] = _read(Decoder, "decoder", body["decoder"])
    if "thresholds" in body:
        body["thresholds"] = _read(Thresholds, "thresholds", body["thresholds"])
    if "source" in body:
        body["source"] = _read(Source, "source", body["source"])
    return ModelSpec(**body)


def _read(kind: type[_T], path: str, value: object) -> _T:
    """The dataclass made from a JSON object; its own checks refuse wrong types, here they get their path."""
    fields = check_keys(path, value, *_keys(kind))
    try:
        return kind(**fields)
    except SpecError as error:
        raise SpecError(f"{path}.{error}") from error


def _keys(kind: type[Any]) -> tuple[list[str], list[str]]:
    """The required and the optional fields of a dataclass."""
    fields = dataclasses.fields(kind)
    missing = dataclasses.MISSING
    required = [one.name for one in fields if one.default is missing and one.default_factory is missing]
    return required, [one.name for one in fields if one.name not in required]
