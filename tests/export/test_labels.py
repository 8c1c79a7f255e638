from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest

pytest.importorskip("torch", reason="torch is not installed")

from edgevision.errors import InputError, ModelFileError
from edgevision.export.labels import choose_labels, labels_in_checkpoint, read_labels

ABC = ("ant", "bee", "cat fish")


@pytest.mark.parametrize(
    ("name", "text"),
    [
        ("a.txt", "ant\nbee\ncat fish\n"),
        ("a.txt", "\ufeffant\r\nbee \r\ncat fish\r\n\r\n"),  # as Windows' editors write it
        ("a.json", json.dumps(ABC)),
        ("a.json", json.dumps({"0": "ant", "2": "cat fish", "1": "bee"})),
        ("a.json", json.dumps({"bee": 1, "ant": 0, "cat fish": 2})),
    ],
    ids=["lines", "windows", "list", "by id", "ids by name"],
)
def test_a_file_of_labels_is_read(tmp_path: Path, name: str, text: str) -> None:
    (tmp_path / name).write_bytes(text.encode())
    assert read_labels(tmp_path / name) == ABC


@pytest.mark.parametrize(
    ("name", "data", "error", "text"),
    [
        ("a.txt", b"ant\n\nbee\n", InputError, "blank line 2"),
        ("a.txt", b"\xff\xfe\x00", ModelFileError, "not UTF-8"),
        ("a.txt", b"", ModelFileError, "is empty"),
        ("a.json", b"[1, 2]", InputError, "holds no class names"),
        ("a.json", b'{"ant": 0, "bee": 2}', InputError, "holds no class names"),
        ("a.json", b"[", InputError, "is not JSON"),
    ],
    ids=["blank", "bytes", "empty", "numbers", "a gap", "broken"],
)
def test_a_file_without_labels_is_refused(
    tmp_path: Path, name: str, data: bytes, error: type[Exception], text: str
) -> None:
    (tmp_path / name).write_bytes(data)
    with pytest.raises(error, match=text):
        read_labels(tmp_path / name)


@pytest.mark.parametrize(
    ("content", "expected"),
    [
        ({"state_dict": {}, "classes": list(ABC)}, ABC),
        ({"class_to_idx": {"bee": 1, "ant": 0, "cat fish": 2}}, ABC),
        ({"names": {0: "ant", 1: "bee", 2: "cat fish"}}, ABC),
        ({"classes": 3, "names": ["x"]}, ("x",)),
        ({"epoch": 3}, ()),
        ([1, 2], ()),
    ],
    ids=["list", "ids by name", "by id", "a count is no name", "none", "no dict"],
)
def test_labels_in_a_checkpoint(content: Any, expected: tuple[str, ...]) -> None:
    assert labels_in_checkpoint(content) == expected


def test_given_labels_go_before_known_ones_and_empty_ones_are_a_choice() -> None:
    assert choose_labels(None, ABC, 3, "a.pt") == ABC
    assert choose_labels(["x", "y", "z"], ABC, 3, "a.pt") == ("x", "y", "z")
    assert choose_labels((), ABC, 3, "a.pt") == ()


@pytest.mark.parametrize(
    ("given", "known", "text"),
    [
        (None, (), r"a.pt names none of its 4 classes; pass labels= \(--labels FILE, one name a line\)"),
        (None, ABC, "a.pt names 3 classes and the network has 4"),
        (ABC, (), "the labels given names 3 classes and the network has 4"),
    ],
    ids=["missing", "too few in the file", "too few given"],
)
def test_labels_that_do_not_fit_say_what_to_do(given: Any, known: tuple[str, ...], text: str) -> None:
    with pytest.raises(InputError, match=text):
        choose_labels(given, known, 4, "a.pt")
