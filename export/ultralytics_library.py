"""Import Ultralytics' library without what its import does to the machine."""

from __future__ import annotations

import atexit
import os
import shutil
import sys
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from types import ModuleType

from edgevision.errors import MissingDependencyError

__all__ = ["import_ultralytics"]

# Left alone, its import makes a settings file with an identifier in the user's home, asks the network whether it is
# there, prints, and from then on installs packages that it misses. These are the switches that it documents.
_QUIET = {"YOLO_OFFLINE": "true", "YOLO_AUTOINSTALL": "false", "YOLO_VERBOSE": "false"}


def import_ultralytics(purpose: str) -> ModuleType:
    """The library's top module; its first import in this process writes nothing at home and calls nobody.

    Its settings then live in a temporary folder, unless YOLO_CONFIG_DIR names another. A program that imported the
    library before keeps it as it is. The variables it reads are as they were once this returns.
    Raises MissingDependencyError, which says `purpose`, when it or a library it needs is not installed.
    """
    if "ultralytics" in sys.modules:
        return sys.modules["ultralytics"]
    try:
        with _environment(_QUIET | _settings_folder()):
            # Its parts are imported on first use, and read the variables then.
            import ultralytics
            import ultralytics.nn.tasks
            import ultralytics.utils.downloads
    except ImportError as error:
        if not error.name:
            raise
        raise MissingDependencyError(error.name.split(".")[0], "export", purpose) from None
    return ultralytics


def _settings_folder() -> dict[str, str]:
    if os.environ.get("YOLO_CONFIG_DIR"):
        return {}
    folder = tempfile.mkdtemp(prefix="edgevision-")
    atexit.register(shutil.rmtree, folder, ignore_errors=True)
    return {"YOLO_CONFIG_DIR": folder}


@contextmanager
def _environment(variables: dict[str, str]) -> Iterator[None]:
    before = {name: os.environ.get(name) for name in variables}
    os.environ.update(variables)
    try:
        yield
    finally:
        for name, value in before.items():
            if value is None:
                del os.environ[name]
            else:
                os.environ[name] = value
