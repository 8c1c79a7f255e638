"""JSON read strictly: no duplicate keys, no NaN, bounded size and depth; written canonically."""

from __future__ import annotations

import json
from collections.abc import Iterable, Mapping
from typing import Any, NoReturn

from edgevision.errors import SpecError
from edgevision.spec.checks import show

__all__ = ["MAX_TEXT_BYTES", "check_header", "check_keys", "dump_json", "parse_json"]

MAX_TEXT_BYTES = 4 << 20
"""A spec with 20,000 labels takes 0.5 MiB; the sidecar of an engine little more than its spec."""


class _RefusedError(ValueError):
    """Something the json module would accept; caught in `parse_json`, never seen outside."""


def parse_json(text: str | bytes, what: str) -> dict[str, Any]:
    """The JSON object in `text` (UTF-8 where it is bytes).

    what: the document's name in messages.
    Raises SpecError when it is not valid JSON, not an object, larger than MAX_TEXT_BYTES, nested too deep, or
    holds a duplicate key, NaN or an infinity (which the json module would take).
    """
    size = len(text)
    if size > MAX_TEXT_BYTES:
        raise SpecError(f"{what} is {size} bytes, at most {MAX_TEXT_BYTES} are read; shorten its labels")
    try:
        decoded = text.decode("utf-8") if isinstance(text, bytes) else text
        value = json.loads(
            decoded, object_pairs_hook=_unique_keys, parse_constant=_refuse_constant, parse_int=_short_int
        )
    except UnicodeDecodeError as error:
        raise SpecError(f"{what} is not UTF-8 text: {error.reason} at byte {error.start}") from error
    except json.JSONDecodeError as error:
        at = f"line {error.lineno}, column {error.colno}"
        raise SpecError(f"{what} is not valid JSON: {error.msg} at {at}") from error
    except RecursionError as error:
        raise SpecError(f"{what} is nested too deep") from error
    except _RefusedError as error:
        raise SpecError(f"{what} is not acceptable JSON: {error}") from error
    if not isinstance(value, dict):
        raise SpecError(f"{what} must be a JSON object, got {show(value)}")
    return value


def dump_json(value: Mapping[str, Any], what: str, indent: int | None = None) -> str:
    """Canonical JSON: sorted keys, ASCII, shortest exact floats; compact unless `indent` is given.

    Raises SpecError when the text would be larger than MAX_TEXT_BYTES, so that what is written can be read.
    """
    separators = (",", ":") if indent is None else (",", ": ")
    text = json.dumps(value, sort_keys=True, allow_nan=False, separators=separators, indent=indent)
    if len(text) > MAX_TEXT_BYTES:
        raise SpecError(
            f"{what} would be {len(text)} bytes, at most {MAX_TEXT_BYTES} are read; shorten its labels"
        )
    return text


def check_header(document: Mapping[str, Any], what: str, form: str, version: int) -> None:
    """Raises SpecError unless the document says that it is `form` in a version that this code reads."""
    if document.get("format") != form:
        got = show(document["format"]) if "format" in document else "no such key"
        raise SpecError(f"{what} is not of the format {form!r}: its key `format` must be {form!r}, got {got}")
    got_version = document.get("version")
    if isinstance(got_version, bool) or not isinstance(got_version, int) or got_version < 1:
        got = show(got_version) if "version" in document else "no such key"
        raise SpecError(f"{what}: version must be a positive integer, got {got}")
    if got_version > version:
        raise SpecError(
            f"{what} was written by a newer edgevision (version {got_version} of {form}, this one reads "
            f"{version}); upgrade: pip install -U edgevision"
        )


def check_keys(
    path: str, value: object, required: Iterable[str], optional: Iterable[str] = ()
) -> dict[str, Any]:
    """The value, an object with every required key and none that is not known; SpecError otherwise."""
    where = path or "the document"
    if not isinstance(value, dict):
        raise SpecError(f"{where} must be an object, got {show(value)}")
    known = [*required, *optional]
    for key in value:
        if key not in known:
            full = f"{path}.{key}" if path else str(key)
            raise SpecError(f"unknown key {show(full)}; accepted in {where}: {', '.join(known)}")
    for key in required:
        if key not in value:
            full = f"{path}.{key}" if path else key
            raise SpecError(f"required key {full} is missing; {where} needs {', '.join(required)}")
    return value


def _unique_keys(pairs: list[tuple[str, Any]]) -> dict[str, Any]:
    result = dict(pairs)
    if len(result) != len(pairs):
        seen: set[str] = set()
        for key, _ in pairs:
            if key in seen:
                raise _RefusedError(f"duplicate key {show(key)}")
            seen.add(key)
    return result


def _refuse_constant(name: str) -> NoReturn:
    raise _RefusedError(f"{name} is not a number that JSON has")


def _short_int(digits: str) -> int:
    """The integer; older Pythons take minutes over millions of digits, newer ones raise."""
    if len(digits) > 20:
        raise _RefusedError(f"the integer {digits[:20]}... has {len(digits)} digits, at most 20 are read")
    return int(digits)
