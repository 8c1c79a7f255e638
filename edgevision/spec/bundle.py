"""Bundles: a folder with the forms of one model, and `bundle.json`, which says what each file is.

docs/bundle.md describes the folder in prose. Nothing in it is trusted: names stay inside the folder, sizes are
compared before a file is used, hashes when asked.
"""

from __future__ import annotations

import dataclasses
import os
import re
from collections.abc import Iterable
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from edgevision.errors import ModelFileError, SpecError
from edgevision.spec import checks
from edgevision.spec.checks import fail
from edgevision.spec.files import atomic_writer, file_sha256, read_small
from edgevision.spec.onnx_data import DATA_SUFFIX
from edgevision.spec.strict_json import MAX_TEXT_BYTES, check_header, check_keys, dump_json, parse_json

__all__ = [
    "BUNDLE_FORMAT",
    "BUNDLE_VERSION",
    "MANIFEST_NAME",
    "Bundle",
    "BundleFile",
    "bundle_part",
    "describe_file",
    "is_bundle",
    "read_bundle",
    "write_manifest",
]

BUNDLE_FORMAT = "edgevision.bundle"
BUNDLE_VERSION = 1
MANIFEST_NAME = "bundle.json"

MAX_FILES = 4096
MAX_BYTES = 1 << 40
_NAME = re.compile(r"[A-Za-z0-9_][A-Za-z0-9_.+-]{0,199}")
"""One component of a file's path: no separator, no leading dot, nothing that a file system might read otherwise."""
_WORD = re.compile(r"[a-z][a-z0-9_-]{0,63}")
_FIELDS = ("file", "role", "form", "runtimes", "sha256", "bytes")


@dataclass(frozen=True, slots=True, kw_only=True)
class BundleFile:
    """One file of a bundle. Raises SpecError for a value of the wrong type or out of range."""

    file: str
    """Its path in the folder, with forward slashes; at most one subfolder."""
    role: str
    """Of a network: the part it is ("model" takes the image; "decoder", "text", ...). Else what it is for: "golden",
    "report", "picture", "data"."""
    form: str = ""
    """Of a network: the numbers it computes with ("fp32", "fp16", "int8", "int8-trt"). Empty: no network."""
    runtimes: tuple[str, ...] = ()
    """Names of the backends that run this file, the network's only."""
    sha256: str
    bytes: int

    def __post_init__(self) -> None:
        parts = checks.check_string("file", self.file, empty=False).split("/")
        if len(parts) > 2 or not all(_NAME.fullmatch(part) for part in parts):
            fail("file", "a plain name, or one behind a folder's, of letters, digits and _.+-", self.file)
        _check_word("role", self.role)
        if self.form != "":
            _check_word("form", self.form)
        runtimes = checks.check_tuple("runtimes", self.runtimes, "a list of names")
        for index, name in enumerate(runtimes):
            _check_word(f"runtimes[{index}]", name)
        if bool(runtimes) != bool(self.form):
            fail("runtimes", "of one name or more for a network, empty for another file", self.runtimes)
        if not isinstance(self.sha256, str) or not re.fullmatch("[0-9a-f]{64}", self.sha256):
            fail("sha256", "64 lower-case hexadecimal digits", self.sha256)
        checks.check_int("bytes", self.bytes, 0, MAX_BYTES)
        checks.set_fields(self, runtimes=tuple(runtimes))


@dataclass(frozen=True, slots=True)
class Bundle:
    """What a bundle's manifest says: the folder, and its files in the manifest's order."""

    folder: Path
    files: tuple[BundleFile, ...]

    def path_of(self, file: BundleFile) -> Path:
        """Where the file lies. Raises ModelFileError when it, or the weights beside it that the manifest lists, are missing
        or of another size than was written."""
        for one in self.files:
            if one.file == file.file + DATA_SUFFIX:
                self.path_of(one)
        path = self.folder / file.file
        try:
            size = path.stat().st_size if path.is_file() else -1
        except OSError as error:
            raise ModelFileError(f"cannot look at {path}: {error.strerror or error}") from error
        if size < 0:
            raise ModelFileError(
                f"the bundle {self.folder} names {file.file}, which is not in it; copy the whole folder again"
            )
        if size != file.bytes:
            raise ModelFileError(
                f"{path} is {size} bytes and the bundle was written with {file.bytes}: it was cut off or changed; "
                f"copy or export it again"
            )
        return path

    def forms(self, role: str = "model") -> tuple[str, ...]:
        """The forms that the bundle has of a part, in the manifest's order."""
        return tuple(dict.fromkeys(one.form for one in self.files if one.role == role and one.form))

    def networks(self, role: str = "model", form: str | None = None) -> tuple[BundleFile, ...]:
        """The files of a part, of one form or of any, in the manifest's order."""
        return tuple(one for one in self.files if one.role == role and one.form and form in (None, one.form))

    def verify(self) -> None:
        """Reads every file. Raises ModelFileError for the first that is missing or not as it was written."""
        for one in self.files:
            path = self.path_of(one)
            if file_sha256(path) != one.sha256:
                raise ModelFileError(
                    f"{path} has another SHA-256 than the bundle was written with: it was changed or damaged; "
                    f"copy or export it again"
                )


def is_bundle(path: str | os.PathLike[str]) -> bool:
    """Whether the path is a folder with a manifest."""
    return (Path(path) / MANIFEST_NAME).is_file()


def read_bundle(path: str | os.PathLike[str]) -> Bundle:
    """What the manifest in the folder says. Raises ModelFileError when there is none, SpecError when malformed."""
    folder = Path(path)
    manifest = folder / MANIFEST_NAME
    document = parse_json(read_small(manifest, MAX_TEXT_BYTES), str(manifest))
    try:
        return Bundle(folder, _read_files(document))
    except SpecError as error:
        raise SpecError(f"{manifest}: {error}") from error


def _read_files(document: dict[str, Any]) -> tuple[BundleFile, ...]:
    check_header(document, "the manifest", BUNDLE_FORMAT, BUNDLE_VERSION)
    check_keys("", document, ["format", "version", "files"])
    entries = document["files"]
    if not isinstance(entries, list) or len(entries) > MAX_FILES:
        fail("files", f"a list of at most {MAX_FILES} objects", entries)
    files = []
    for index, entry in enumerate(entries):
        fields = check_keys(f"files[{index}]", entry, _FIELDS)
        try:
            files.append(BundleFile(**fields))
        except SpecError as error:
            raise SpecError(f"files[{index}].{error}") from error
    names = [one.file for one in files]
    if len(set(names)) != len(names):
        fail("files", "of different names", names)
    return tuple(files)


def write_manifest(folder: str | os.PathLike[str], files: Iterable[BundleFile]) -> Bundle:
    """The bundle, once its manifest is written (atomically) into the folder."""
    listed = tuple(files)
    document = {
        "format": BUNDLE_FORMAT,
        "version": BUNDLE_VERSION,
        "files": [dataclasses.asdict(one) for one in listed],
    }
    _read_files(document)  # what is written can be read: names apart, not too many
    with atomic_writer(Path(folder) / MANIFEST_NAME) as file:
        file.write(dump_json(document, "the manifest", 2).encode("ascii") + b"\n")
    return Bundle(Path(folder), listed)


def describe_file(
    folder: str | os.PathLike[str], file: str, role: str, form: str = "", runtimes: Iterable[str] = ()
) -> BundleFile:
    """The manifest's entry of a file that lies in the folder: its size and hash are read here."""
    path = Path(folder) / file
    return BundleFile(
        file=file,
        role=role,
        form=form,
        runtimes=tuple(runtimes),
        sha256=file_sha256(path),
        bytes=path.stat().st_size,
    )


def bundle_part(
    path: str | os.PathLike[str], role: str, form: str = "fp32", *, suffix: str = ".onnx"
) -> Path:
    """The file of a bundle's further network, in this form, or in fp32 where the bundle has no other.

    suffix: of the file's name; an engine's part is an engine where there is one.
    Raises ModelFileError when the bundle has no such part, or its file is missing or of another size.
    """
    bundle = read_bundle(path)
    found = bundle.networks(role, form) or bundle.networks(role, "fp32")
    if not found:
        roles = ", ".join(dict.fromkeys(one.role for one in bundle.files if one.form))
        raise ModelFileError(f"the bundle {bundle.folder} has no network {role!r}; it has: {roles or 'none'}")
    alike = [one for one in found if one.file.endswith(suffix)]
    return bundle.path_of((alike or list(found))[0])


def _check_word(path: str, value: object) -> None:
    if not isinstance(value, str) or not _WORD.fullmatch(value):
        fail(path, "a word of lower-case letters, digits, _ and -", value)
