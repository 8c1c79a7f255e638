"""Reading and writing the header of ONNX files, friendly and hostile, without the onnx package."""

from __future__ import annotations

import contextlib
import os
import stat
from collections.abc import Iterator
from pathlib import Path
from typing import BinaryIO

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from edgevision.errors import InputError, ModelFileError
from edgevision.spec import files, read_onnx_header, read_onnx_io, write_onnx_metadata
from edgevision.spec.protobuf import MAX_READ_BYTES

from . import wire
from .wire import BYTES, bytes_field, entry, graph, model, number_field, tag, varint


def write(folder: Path, data: bytes) -> Path:
    path = folder / "model.onnx"
    path.write_bytes(data)
    return path


def test_the_header_is_read_and_the_graph_skipped(tmp_path: Path) -> None:
    data = model(entry("a", "1"), entry("\xe9", "two\nlines"), entry("empty", ""))
    header = read_onnx_header(write(tmp_path, data))
    assert (header.ir_version, header.opsets, header.size) == (8, {"": 17}, len(data))
    assert (header.producer_name, header.producer_version) == ("maker", "1.0")
    assert header.metadata == {"a": "1", "\xe9": "two\nlines", "empty": ""}


MERGED: dict[str, tuple[bytes, dict[str, str]]] = {
    "the last of two equal keys counts": (
        model(entry("a", "1"), entry("b", "2"), entry("a", "3")),
        {"a": "3", "b": "2"},
    ),
    "the last value in an entry counts": (
        model(bytes_field(14, bytes_field(2, "x") + bytes_field(1, "k") + bytes_field(2, "y"))),
        {"k": "y"},
    ),
    "an empty entry has an empty key": (model(bytes_field(14, b"")), {"": ""}),
    "metadata before the graph": (entry("a", "1") + model(), {"a": "1"}),
    "unknown fields are skipped": (
        number_field(999, 2**64 - 1)
        + tag(1000, wire.FIXED32)
        + b"1234"
        + tag(1001, wire.FIXED64)
        + b"12345678"
        + model(bytes_field(14, number_field(9, 1) + bytes_field(1, "a") + bytes_field(77, "?")))
        + bytes_field((1 << 29) - 1, "last"),
        {"a": ""},
    ),
    "a length of more bytes than it needs": (
        model(tag(14, BYTES) + b"\x86\x80\x80\x80\x00" + bytes_field(1, "a") + bytes_field(2, "1")),
        {"a": "1"},
    ),
    "a value that is not UTF-8 is shown escaped": (model(entry("a", b"\xff\x00")), {"a": "\\xff\x00"}),
}


@pytest.mark.parametrize("case", MERGED.values(), ids=MERGED.keys())
def test_fields_merge_as_protocol_buffers_has_it(case: tuple[bytes, dict[str, str]], tmp_path: Path) -> None:
    data, metadata = case
    assert read_onnx_header(write(tmp_path, data)).metadata == metadata


HOSTILE: dict[str, tuple[bytes, str]] = {
    "graph longer than the file": (
        number_field(1, 8) + tag(7, BYTES) + varint(1 << 20),
        "needs 1048576 bytes, 0 are left",
    ),
    "length 2^63": (
        number_field(1, 8) + tag(7, BYTES) + varint(1 << 63) + b"xx",
        "needs 9223372036854775808 bytes",
    ),
    "length 2^64-1": (
        number_field(1, 8) + tag(7, BYTES) + varint((1 << 64) - 1),
        "needs 18446744073709551615 bytes",
    ),
    "number of 11 bytes": (
        tag(1, 0) + b"\x80" * 10 + b"\x01",
        "the number at byte 1 is longer than 10 bytes",
    ),
    "tag of 11 bytes": (b"\xff" * 10 + b"\x01", "the number at byte 0 is longer than 10 bytes"),
    "number cut off": (model() + tag(1, 0) + b"\x80\x80", "ends inside a number"),
    "tag cut off": (model() + b"\x80", "ends inside a number"),
    "fixed64 cut off": (model() + tag(50, 1) + b"1234567", "field 50 at byte"),
    "fixed32 cut off": (model() + tag(50, 5) + b"123", "needs 4 bytes, 3 are left"),
    "group": (model() + tag(50, 3) + tag(50, 4), "field 50 at byte 101 is a group"),
    "wire type 6": (model() + tag(50, 6), "unknown wire type 6"),
    "wire type 7": (model() + tag(50, 7), "unknown wire type 7"),
    "field number 0": (model() + b"\x00\x00", "field number 0 at byte"),
    "field number 2^29": (model() + varint((1 << 29) * 8) + b"\x00", "field number 536870912 at byte"),
    "key not UTF-8": (model(entry(b"\xff\xfe", "x")), "the metadata key at byte 101 is not UTF-8"),
    "key beyond its entry": (
        model(bytes_field(14, tag(1, BYTES) + varint(100))),
        "needs 100 bytes, 0 are left",
    ),
    "entry that is a number": (model(number_field(14, 3)), "has wire type 0, not 2"),
    "graph that is a number": (
        number_field(1, 8) + number_field(7, 3),
        "field 7 at byte 2 has wire type 0, not 2",
    ),
    "ir_version that is a string": (bytes_field(1, "8") + model(), "has wire type 2, not 0"),
    "no graph": (number_field(1, 8) + bytes_field(8, number_field(2, 17)), "it has no graph"),
    "no ir_version": (bytes_field(7, graph()) + bytes_field(8, b""), "it has no ir_version"),
    "cut off behind the graph": (number_field(1, 8) + bytes_field(7, graph()), "it has no opset_import"),
    "too much metadata": (model(entry("a", b"x" * MAX_READ_BYTES)), "exceed 16777216 bytes"),
}


@pytest.mark.parametrize("case", HOSTILE.values(), ids=HOSTILE.keys())
def test_a_damaged_file_is_refused_saying_where(case: tuple[bytes, str], tmp_path: Path) -> None:
    data, reason = case
    path = write(tmp_path, data)
    for read in (read_onnx_header, read_onnx_io):
        with pytest.raises(ModelFileError) as caught:
            read(path)
        message = str(caught.value)
        assert message.startswith(f"{path} is not a readable ONNX model: ")
        assert reason in message
        assert message.endswith("it is truncated or damaged: copy or export it again")
    before = path.read_bytes()
    with pytest.raises(ModelFileError):
        write_onnx_metadata(path, {"a": "b"})
    assert path.read_bytes() == before
    assert os.listdir(tmp_path) == ["model.onnx"]


def test_a_file_cut_off_at_any_byte_is_refused_or_lacks_only_its_last_entries(tmp_path: Path) -> None:
    entries = [entry("a", "1"), entry("b", "22"), entry("c", "333")]
    whole = model(*entries)
    # Cut exactly between two entries, the file is a whole model with fewer of them: nothing can tell.
    ends = {len(model(*entries[:count])): count for count in range(4)}
    assert ends[len(whole)] == 3
    read = 0
    for length in range(1, len(whole) + 1):
        path = write(tmp_path, whole[:length])
        if length in ends:
            assert len(read_onnx_header(path).metadata) == ends[length]
            read += 1
        else:
            with pytest.raises(ModelFileError):
                read_onnx_header(path)
            with pytest.raises(ModelFileError):
                read_onnx_io(path)
    assert read == 4


def test_any_flipped_bit_leaves_a_result_or_a_model_file_error(tmp_path: Path) -> None:
    whole = model(entry("a", "1"), entry("b", "22"))
    refused = 0
    for position in range(len(whole) * 8):
        damaged = bytearray(whole)
        damaged[position // 8] ^= 1 << position % 8
        path = write(tmp_path, bytes(damaged))
        try:
            read_onnx_header(path)
            read_onnx_io(path)
        except ModelFileError:
            refused += 1
    # Most bits lie in names and numbers, where any value is a valid one; those in tags and lengths are
    # caught.
    assert refused > 100


@settings(deadline=None, max_examples=200)
@given(data=st.binary(min_size=1, max_size=80), front=st.booleans())
def test_arbitrary_bytes_raise_nothing_but_model_file_errors(
    tmp_path_factory: pytest.TempPathFactory, data: bytes, front: bool
) -> None:
    path = write(tmp_path_factory.getbasetemp(), data if front else model() + data)
    for read in (read_onnx_header, read_onnx_io):
        with contextlib.suppress(ModelFileError):
            assert read(path) is not None


def test_many_entries_are_read_and_more_fields_than_any_model_has_are_not(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    path = write(tmp_path, model(*(entry(str(index), "x") for index in range(5000))))
    assert len(read_onnx_header(path).metadata) == 5000
    monkeypatch.setattr("edgevision.spec.protobuf.MAX_FIELDS", 1000)
    with pytest.raises(ModelFileError, match="it has more than 1000 fields"):
        read_onnx_header(path)


class CountingFile:
    """A file that adds up the bytes asked of it."""

    asked = 0

    def __init__(self, file: BinaryIO) -> None:
        self._file = file

    def read(self, size: int) -> bytes:
        CountingFile.asked += size
        return self._file.read(size)

    def seek(self, position: int) -> int:
        return self._file.seek(position)


def test_three_gigabytes_of_graph_are_skipped_not_read(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    path = tmp_path / "large.onnx"
    length = 2_900_000_000
    # The graph is one weight, a hole in a sparse file, and an output behind it.
    rows = bytes_field(12, wire.ROWS)
    weight = tag(5, BYTES) + varint(length - 6 - len(rows))
    assert len(weight) == 6
    head = number_field(1, 8) + tag(7, BYTES) + varint(length)
    tail = bytes_field(8, number_field(2, 17)) + entry("k", "v")
    with path.open("wb") as file:
        file.write(head + weight)
        file.seek(length - 6 - len(rows), os.SEEK_CUR)
        file.write(rows + tail)
    assert path.stat().st_size == len(head) + length + len(tail)

    @contextlib.contextmanager
    def counting(path: Path) -> Iterator[tuple[CountingFile, int]]:
        with files.open_binary(path) as (file, size):
            yield CountingFile(file), size

    monkeypatch.setattr("edgevision.spec.onnx_file.open_binary", counting)
    CountingFile.asked = 0
    assert read_onnx_header(path).metadata == {"k": "v"}
    assert [one.name for one in read_onnx_io(path)[1]] == ["output0"]
    assert 0 < CountingFile.asked < 2000
    with pytest.raises(ModelFileError, match="has at most 2147483647; save its weights as external data"):
        write_onnx_metadata(path, {"a": "b"})


def test_entries_are_replaced_removed_and_added_and_all_else_stays(tmp_path: Path) -> None:
    path = write(tmp_path, model(entry("a", "1"), entry("b", "2"), entry("a", "3"), entry("c", "4")))
    write_onnx_metadata(path, {"a": "new", "\xe9": ""}, remove=["c", "never there"])
    assert path.read_bytes() == model(entry("b", "2"), entry("a", "new"), entry("\xe9", ""))


def test_a_value_that_is_not_utf8_survives_another_entrys_change(tmp_path: Path) -> None:
    path = write(tmp_path, model(entry("raw", b"\xff\xfe")))
    write_onnx_metadata(path, {"a": "1"})
    assert path.read_bytes() == model(entry("raw", b"\xff\xfe"), entry("a", "1"))


@settings(deadline=None, max_examples=50)
@given(
    old=st.lists(st.tuples(st.sampled_from("abc"), st.text(st.characters(exclude_categories=["Cs"])))),
    new=st.dictionaries(
        st.sampled_from("abcd"), st.text(st.characters(exclude_categories=["Cs"]), max_size=300)
    ),
    remove=st.sets(st.sampled_from("abcd")),
)
def test_what_is_written_is_read(
    tmp_path_factory: pytest.TempPathFactory,
    old: list[tuple[str, str]],
    new: dict[str, str],
    remove: set[str],
) -> None:
    path = write(tmp_path_factory.getbasetemp(), model(*(entry(key, value) for key, value in old)))
    write_onnx_metadata(path, new, remove=remove)
    kept = {key: value for key, value in old if key not in remove}
    assert read_onnx_header(path).metadata == {**kept, **new}


def test_out_leaves_the_source_and_takes_its_permissions(tmp_path: Path) -> None:
    path, out = write(tmp_path, model()), tmp_path / "out.onnx"
    path.chmod(0o640)
    write_onnx_metadata(path, {"a": "1"}, out=out)
    assert path.read_bytes() == model()
    assert read_onnx_header(out).metadata == {"a": "1"}
    assert stat.S_IMODE(out.stat().st_mode) == 0o640


def test_permission_bits_and_links_stay(tmp_path: Path) -> None:
    path = write(tmp_path, model())
    path.chmod(0o604)
    link = tmp_path / "link.onnx"
    link.symlink_to(path)
    write_onnx_metadata(link, {"a": "1"})
    assert link.is_symlink()
    assert read_onnx_header(path).metadata == {"a": "1"}
    assert stat.S_IMODE(path.stat().st_mode) == 0o604


@pytest.mark.parametrize("failing", ["os.fsync", "os.replace", "shutil.copymode"])
@pytest.mark.parametrize(
    "error", [OSError(28, "No space left on device"), KeyboardInterrupt()], ids=["disk", "ctrl-c"]
)
def test_an_interrupted_write_leaves_the_old_file_and_nothing_else(
    failing: str, error: BaseException, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    path = write(tmp_path, model(entry("a", "1")))

    def fail(*_: object, **__: object) -> None:
        raise error

    monkeypatch.setattr(failing, fail)
    with pytest.raises((ModelFileError, KeyboardInterrupt)) as caught:
        write_onnx_metadata(path, {"a": "2"})
    monkeypatch.undo()
    if isinstance(error, OSError):
        assert str(caught.value) == f"cannot write {path}: No space left on device"
    assert path.read_bytes() == model(entry("a", "1"))
    assert os.listdir(tmp_path) == ["model.onnx"]


def test_a_file_that_changes_meanwhile_is_not_half_copied(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    path = write(tmp_path, model())
    out = tmp_path / "out.onnx"
    original = os.open

    def lengthen(*args: object, **kwargs: object) -> int:
        path.write_bytes(model(entry("late", "1")))
        return original(*args, **kwargs)  # type: ignore[arg-type]

    monkeypatch.setattr("os.open", lengthen)
    with pytest.raises(ModelFileError, match="changed while it was read"):
        write_onnx_metadata(path, {"a": "2"}, out=out)
    assert not out.exists()


def test_a_folder_that_cannot_be_written_is_named(tmp_path: Path) -> None:
    with pytest.raises(
        ModelFileError, match=r"^cannot write to the folder .*missing: No such file or directory"
    ):
        write_onnx_metadata(write(tmp_path, model()), {"a": "1"}, out=tmp_path / "missing" / "out.onnx")


@pytest.mark.parametrize(
    ("entries", "remove", "message"),
    [
        ({"a": 1}, (), "entries must hold strings, got 1"),
        ({1: "a"}, (), "entries must hold strings, got 1"),
        ({"": "a"}, (), "a metadata key must not be empty"),
        ({"a": "\ud800"}, (), "entries must hold valid Unicode"),
        ({}, "abc", "remove must be a list of keys, got the string 'abc'"),
    ],
    ids=["value", "key", "empty key", "surrogate", "remove a string"],
)
def test_entries_that_no_file_could_hold_are_refused(
    entries: dict[str, str], remove: str, message: str, tmp_path: Path
) -> None:
    path = write(tmp_path, model())
    with pytest.raises(InputError) as caught:
        write_onnx_metadata(path, entries, remove=remove)
    assert str(caught.value).startswith(message)
    assert path.read_bytes() == model()


def test_more_metadata_than_is_read_is_not_written(tmp_path: Path) -> None:
    with pytest.raises(
        ModelFileError, match="at most 8388608 are written; shorten the entries or remove others"
    ):
        write_onnx_metadata(write(tmp_path, model()), {"a": "x" * (8 << 20)})
