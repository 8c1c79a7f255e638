"""Python literals as `str()` writes plain containers, read without evaluating anything.

`ast.literal_eval` would do for friendly text; on hostile text it recurses as deep as the text nests, and
CPython warns that this can crash the interpreter. This reader has a depth and a length instead.
"""

from __future__ import annotations

import ast
import re
from typing import Any, TypeAlias

from edgevision.errors import SpecError
from edgevision.spec.checks import show

__all__ = ["parse_literal"]

MAX_LITERAL = 4 << 20
MAX_DEPTH = 8

_TOKEN = re.compile(
    r"\s*(?:(?P<string>'(?:[^'\\\n]|\\.)*'|\"(?:[^\"\\\n]|\\.)*\")"
    r"|(?P<number>[-+]?(?:\d{1,40}(?:\.\d{0,40})?|\.\d{1,40})(?:[eE][-+]?\d{1,4})?(?![\w.]))"
    r"|(?P<word>True|False|None)\b"
    r"|(?P<mark>[\[\](){},:]))"
)
_CLOSING = {"[": "]", "(": ")", "{": "}"}
_WORDS = {"True": True, "False": False, "None": None}

Token: TypeAlias = tuple[str, str]


def parse_literal(text: str, what: str) -> Any:
    """The value of a literal: dict, list, tuple, str, int, float, bool or None.

    what: the text's name in messages. Raises SpecError for any other text, more than 4 MiB of it, or more
    than 8 levels of nesting.
    """
    if len(text) > MAX_LITERAL:
        raise SpecError(f"{what} must be at most {MAX_LITERAL} characters, got {len(text)}")
    tokens = _split(text, what)
    try:
        value = _read_value(tokens, 0)
    except (IndexError, _UnreadableError) as error:
        raise SpecError(
            f"{what} must be a Python literal of at most {MAX_DEPTH} levels, got {show(text)}"
        ) from error
    if tokens:
        raise SpecError(f"{what} must be one Python literal, got {show(text)}")
    return value


class _UnreadableError(ValueError):
    """Caught in `parse_literal`."""


def _split(text: str, what: str) -> list[Token]:
    """The tokens, last one first, so that reading them is popping."""
    tokens: list[Token] = []
    position, end, depth = 0, len(text.rstrip()), 0
    while position < end:
        match = _TOKEN.match(text, position)
        if match is None:
            raise SpecError(
                f"{what} must be a Python literal, got {show(text[position:])} at character {position}"
            )
        kind = match.lastgroup or ""
        if kind == "mark":
            depth += (match[kind] in "[({") - (match[kind] in "])}")
            if depth > MAX_DEPTH:
                break  # what is left makes no literal; splitting megabytes of brackets would take seconds
        tokens.append((kind, match[kind]))
        position = match.end()
    tokens.reverse()
    return tokens


def _read_value(tokens: list[Token], depth: int) -> Any:
    kind, text = tokens.pop()
    if kind == "string":
        try:
            return ast.literal_eval(text)  # one string token: nothing nests
        except (SyntaxError, ValueError) as error:  # a malformed escape, a NUL
            raise _UnreadableError(text) from error
    if kind == "number":
        return float(text) if set(text) & set(".eE") else int(text)
    if kind == "word":
        return _WORDS[text]
    if text not in _CLOSING or depth >= MAX_DEPTH:
        raise _UnreadableError(text)
    return _read_container(tokens, text, depth + 1)


def _read_container(tokens: list[Token], opening: str, depth: int) -> Any:
    closing = ("mark", _CLOSING[opening])
    items: list[Any] = []
    pairs: dict[Any, Any] = {}
    trailing_comma = False
    while tokens[-1] != closing:
        item = _read_value(tokens, depth)
        if opening == "{":
            if isinstance(item, list | dict | tuple) or tokens.pop() != ("mark", ":"):
                raise _UnreadableError("a dict needs plain keys and values")
            pairs[item] = _read_value(tokens, depth)
        else:
            items.append(item)
        trailing_comma = tokens[-1] == ("mark", ",")
        if trailing_comma:
            tokens.pop()
        elif tokens[-1] != closing:
            raise _UnreadableError("a comma is missing")
    tokens.pop()
    if opening == "{":
        return pairs
    if opening == "(":
        # (x) is x in brackets; only a comma makes a tuple.
        return items[0] if len(items) == 1 and not trailing_comma else tuple(items)
    return items
