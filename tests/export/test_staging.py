"""A folder or a file appears whole or not at all."""

from __future__ import annotations

import errno
import os
from pathlib import Path

import pytest

pytest.importorskip("torch", reason="torch is not installed")

from edgevision.errors import InputError, ModelFileError
from edgevision.export import staging
from edgevision.export.staging import staged_folder
from edgevision.spec.bundle import write_manifest


def bundle(folder: Path, content: str = "old") -> Path:
    folder.mkdir(parents=True)
    (folder / "content").write_text(content)
    write_manifest(folder, [])
    return folder


def names(folder: Path) -> list[str]:
    return sorted(path.relative_to(folder).as_posix() for path in folder.rglob("*"))


def fail_half_way(folder: Path, error: BaseException) -> None:
    (folder / "model.onnx").write_text("half")
    raise error


def test_a_folder_takes_its_name_when_the_block_ends(tmp_path: Path) -> None:
    with staged_folder(tmp_path / "a" / "new") as folder:
        (folder / "content").write_text("new")
        assert not (tmp_path / "a" / "new").exists()
    assert names(tmp_path) == ["a", "a/new", "a/new/content"]


def test_an_older_bundle_is_replaced_whole(tmp_path: Path) -> None:
    target = bundle(tmp_path / "b")
    with staged_folder(target) as folder:
        (folder / "other").write_text("new")
    assert names(tmp_path) == ["b", "b/other"]


def test_a_file_takes_its_name_and_the_rest_is_dropped(tmp_path: Path) -> None:
    with staged_folder(tmp_path / "m.onnx", file="model.onnx") as folder:
        (folder / "model.onnx").write_text("graph")
        (folder / "scratch").write_text("x")
    assert names(tmp_path) == ["m.onnx"]
    assert (tmp_path / "m.onnx").read_text() == "graph"


@pytest.mark.parametrize("file", [None, "model.onnx"], ids=["folder", "file"])
@pytest.mark.parametrize(
    ("raised", "seen"),
    [
        (KeyboardInterrupt(), KeyboardInterrupt),
        (MemoryError(), MemoryError),
        (OSError(errno.ENOSPC, os.strerror(errno.ENOSPC)), ModelFileError),
        (FileNotFoundError(errno.ENOENT, "a picture"), FileNotFoundError),
    ],
    ids=["interrupted", "no memory", "disk full", "another file missing"],
)
def test_a_failure_leaves_everything_as_it_was(
    tmp_path: Path, file: str | None, raised: BaseException, seen: type[BaseException]
) -> None:
    if file is None:
        target = bundle(tmp_path / "b")
    else:
        target = tmp_path / "b.onnx"
        target.write_text("old")
    before = names(tmp_path)
    for one in (target, tmp_path / "deep" / "er" / "x"):
        with pytest.raises(seen), staged_folder(one, file=file) as folder:
            fail_half_way(folder, raised)
    assert names(tmp_path) == before


def test_a_failure_while_the_names_change_brings_the_old_bundle_back(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    target = bundle(tmp_path / "b")
    rename = Path.rename

    def fail(self: Path, other: Path) -> Path:
        if self.name.endswith(".tmp"):
            raise KeyboardInterrupt
        return rename(self, other)

    monkeypatch.setattr(staging.Path, "rename", fail)
    with pytest.raises(KeyboardInterrupt), staged_folder(target) as folder:
        (folder / "content").write_text("new")
    assert names(tmp_path) == ["b", "b/bundle.json", "b/content"]
    assert (target / "content").read_text() == "old"


def test_a_full_disk_is_said_and_nothing_is_left(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    def full(_: int) -> None:
        raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC))

    monkeypatch.setattr(staging.os, "fsync", full)
    said = "No space left on device; nothing was written"
    with pytest.raises(ModelFileError, match=said), staged_folder(tmp_path / "b") as folder:
        (folder / "content").write_text("new")
    assert names(tmp_path) == []


def test_what_is_no_bundle_is_not_replaced(tmp_path: Path) -> None:
    (tmp_path / "photos").mkdir()
    (tmp_path / "photos" / "a.jpg").write_text("x")
    (tmp_path / "plain").write_text("x")
    for target, file, text in (
        ("photos", None, "holds other things than a bundle"),
        ("plain", None, "is a file; name a folder"),
        ("photos", "model.onnx", "is a folder; name a file"),
    ):
        with pytest.raises(InputError, match=text), staged_folder(tmp_path / target, file=file):
            pass
    assert names(tmp_path) == ["photos", "photos/a.jpg", "plain"]


def test_an_empty_folder_is_filled(tmp_path: Path) -> None:
    (tmp_path / "b").mkdir()
    with staged_folder(tmp_path / "b") as folder:
        (folder / "content").write_text("new")
    assert names(tmp_path) == ["b", "b/content"]
