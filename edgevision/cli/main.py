"""The command `edgevision`."""

from __future__ import annotations

import argparse
import os
import sys
import warnings
from collections.abc import Callable, Sequence
from typing import Any

from edgevision import __version__
from edgevision.cli import build, demo, doctor, export, inspect, run
from edgevision.errors import EdgeVisionError, EdgeVisionWarning

__all__ = ["main"]

_COMMANDS = (run, inspect, doctor, demo, export, build)


def build_parser() -> argparse.ArgumentParser:
    """The parser of every command."""
    parser = argparse.ArgumentParser(
        prog="edgevision", description="Run vision models on the machine you have.", allow_abbrev=False
    )
    parser.add_argument("--version", action="version", version=f"edgevision {__version__}")
    commands = parser.add_subparsers(dest="command", metavar="COMMAND", required=True)
    for command in _COMMANDS:
        command.add_parser(commands)
    return parser


def main(arguments: Sequence[str] | None = None) -> int:
    """The exit status: 0 done, 1 failed with a message on stderr, 2 wrong usage, 130 interrupted."""
    given = list(sys.argv[1:] if arguments is None else arguments)
    with warnings.catch_warnings():
        shown = warnings.showwarning
        warnings.showwarning = lambda *what: _show_warning(shown, *what)
        return _run(given)


def _show_warning(
    shown: Callable[..., None], message: Warning | str, category: type[Warning], *where: Any
) -> None:
    """Our own warnings are words to the user; a place in our source would only hide them."""
    if issubclass(category, EdgeVisionWarning):
        print(f"edgevision: warning: {message}", file=sys.stderr)
    else:
        shown(message, category, *where)


def _run(given: list[str]) -> int:
    try:
        if given[:1] == ["export"]:
            return export.run_export(given[1:])
        options = build_parser().parse_args(given)
        return int(options.handler(options))
    except KeyboardInterrupt:
        print("edgevision: interrupted", file=sys.stderr)
        return 130
    except BrokenPipeError:
        # The reader of our output (head, less) went away: not an error, but nothing more can be written.
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
        return 1
    except (EdgeVisionError, OSError) as error:
        if os.environ.get("EDGEVISION_TRACEBACK"):
            raise
        print(f"edgevision: {error}", file=sys.stderr)
        return 1


if __name__ == "__main__":
    sys.exit(main())
