"""Field checks shared by the spec's dataclasses: each returns the clean value or raises SpecError.

Every message begins with the field's path ("size_hw must be ..."), so that whoever reads a larger document
can put the path of the enclosing object in front of it ("inputs[0].size_hw must be ...").
"""

from __future__ import annotations

import math
import numbers
import operator
import reprlib
from collections.abc import Sequence
from typing import NoReturn

from edgevision.errors import SpecError

__all__ = [
    "check_bool",
    "check_choice",
    "check_int",
    "check_number",
    "check_string",
    "check_tuple",
    "fail",
    "set_fields",
    "show",
]

MAX_STRING = 1 << 16
"""Characters in one string: far above any label or description."""

_short = reprlib.Repr()
_short.maxlevel = 2
_short.maxstring = _short.maxother = _short.maxlong = 60
_short.maxlist = _short.maxtuple = _short.maxdict = 4


def show(value: object) -> str:
    """The value's repr, cut to a length that fits a message, whatever its size or depth."""
    try:
        return _short.repr(value)
    # An int past Python's limit on digits; an object whose own repr recurses.
    except (ValueError, RecursionError):
        return f"a {type(value).__name__} too large to show"


def fail(path: str, accepted: str, got: object, hint: str = "") -> NoReturn:
    """Raises SpecError: the path, what is accepted, what was got and what to do."""
    raise SpecError(f"{path} must be {accepted}, got {show(got)}" + (f"; {hint}" if hint else ""))


def check_bool(path: str, value: object) -> bool:
    """A bool; 0 and 1 are not taken for one."""
    if not isinstance(value, bool):
        fail(path, "true or false", value)
    return value


def check_int(path: str, value: object, low: int, high: int, hint: str = "") -> int:
    """An int of `low`-`high`; a bool or a float is not taken for one."""
    if isinstance(value, bool) or not isinstance(value, numbers.Integral):
        fail(path, f"an integer {low}-{high}", value, hint)
    number = operator.index(value)
    if not low <= number <= high:
        fail(path, f"an integer {low}-{high}", number, hint)
    return number


def check_number(path: str, value: object, low: float, high: float, hint: str = "") -> float:
    """A finite float of `low`-`high`; an int is taken for one, a bool is not."""
    accepted = f"a finite number {low:g} to {high:g}"
    if isinstance(value, bool) or not isinstance(value, numbers.Real):
        fail(path, accepted, value, hint)
    try:
        number = float(value)
    except OverflowError:
        fail(path, accepted, value, hint)
    if not math.isfinite(number) or not low <= number <= high:
        fail(path, accepted, value, hint)
    return number


def check_string(path: str, value: object, *, empty: bool = True) -> str:
    """A string of valid Unicode, at most MAX_STRING characters."""
    accepted = f"a string of {0 if empty else 1}-{MAX_STRING} characters"
    if not isinstance(value, str) or len(value) > MAX_STRING or not (value or empty):
        fail(path, accepted, value)
    try:
        value.encode()
    except UnicodeEncodeError:  # a lone surrogate: it could be written to no file and shown on no screen
        fail(path, "valid Unicode", value)
    return str(value)


def check_choice(path: str, value: object, choices: Sequence[str]) -> str:
    """One of `choices`."""
    if not isinstance(value, str) or value not in choices:
        fail(path, "one of " + ", ".join(choices), value)
    return str(value)


def check_tuple(path: str, value: object, accepted: str, length: int | None = None) -> tuple[object, ...]:
    """A tuple from a list or tuple, of `length` entries where that is not None."""
    if not isinstance(value, list | tuple) or (length is not None and len(value) != length):
        fail(path, accepted, value)
    return tuple(value)


def set_fields(instance: object, **values: object) -> None:
    """Assigns the checked values to a frozen dataclass that is being made (from its __post_init__)."""
    for name, value in values.items():
        object.__setattr__(instance, name, value)
