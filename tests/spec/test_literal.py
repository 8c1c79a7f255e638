from __future__ import annotations

import contextlib
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from edgevision.errors import SpecError
from edgevision.spec.literal import parse_literal

PLAIN = st.recursive(
    st.none() | st.booleans() | st.integers(-(10**12), 10**12) | st.text() | st.floats(-1e9, 1e9, width=32),
    lambda inner: (
        st.lists(inner, max_size=4)
        | st.tuples(inner)
        | st.tuples(inner, inner)
        | st.just(())
        | st.dictionaries(st.integers() | st.text(max_size=5), inner, max_size=4)
    ),
    max_leaves=8,
)


def depth(value: Any) -> int:
    inner = value.values() if isinstance(value, dict) else value if isinstance(value, list | tuple) else None
    return 0 if inner is None else 1 + max(map(depth, inner), default=0)


@settings(deadline=None)
@given(PLAIN.filter(lambda value: depth(value) <= 8))
def test_what_str_writes_is_read_back(value: Any) -> None:
    back = parse_literal(repr(value), "it")
    assert back == value
    assert type(back) is type(value)


@pytest.mark.parametrize(
    ("text", "value"),
    [
        ("[640, 640]", [640, 640]),
        (" { 0 : 'a' , 1 : \"b's\" } ", {0: "a", 1: "b's"}),
        ("{0: 'a\\n\\u00e9',}", {0: "a\n\xe9"}),
        ("(1)", 1),
        ("-.5e3", -500.0),
        ("True", True),
    ],
)
def test_literals_are_read_as_python_reads_them(text: str, value: object) -> None:
    assert parse_literal(text, "it") == value


@pytest.mark.parametrize(
    "text",
    [
        "",
        "   ",
        "[",
        "[1",
        "[1 2]",
        "[,]",
        "[1,,2]",
        "]",
        "1 2",
        "{1}",
        "{1: }",
        "{[1]: 2}",
        "(]",
        "'a",
        "'a\nb'",
        "'\\x'",
        "'\\N{no such name}'",
        "1-1",
        "1+1j",
        "--1",
        "b'a'",
        "__import__('os').system('true')",
        "[x for x in ()]",
        "Truer",
        "1_000",
        "0x10",
        "9" * 50,
        "[" * 9 + "]" * 9,
        "[" * 1_000_000,
        "-" * 1_000_000 + "1",
        "{1:" * 100_000,
        "'" * 100_001,
    ],
    ids=lambda text: text[:20] or "empty",
)
def test_other_text_is_refused(text: str) -> None:
    with pytest.raises(SpecError, match=r"^it must be (a|one) Python literal"):
        parse_literal(text, "it")


def test_text_of_more_than_4_mib_is_refused() -> None:
    with pytest.raises(SpecError, match=r"^it must be at most 4194304 characters, got 5000000"):
        parse_literal("[1]" + " " * 4_999_997, "it")


@settings(deadline=None, max_examples=300)
@given(st.text("[](){}:,'\"\\ 0123456789.eE+-TrueFalsNo\n", max_size=40))
def test_arbitrary_text_raises_nothing_but_spec_errors(text: str) -> None:
    with contextlib.suppress(SpecError):
        parse_literal(text, "it")
