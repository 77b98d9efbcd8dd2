"""The exit codes, and how a command ends with one line instead of a traceback."""

from __future__ import annotations

import sys
from enum import IntEnum

from click.exceptions import Exit as ClickExit

from pipeline.cli.paint import paint

__all__ = ["EXIT_CODES", "Exit", "refuse", "say_error", "say_warning", "unwritable"]


class Exit(IntEnum):
    """What `dragoman` tells the shell. 64 to 78 are those of BSD's sysexits."""

    OK = 0
    FAILED = 1
    USAGE = 2
    LOSS = 3
    UNREACHABLE = 69
    BAD_GRAPH = 78
    INTERRUPTED = 130


EXIT_CODES = {
    Exit.OK: "done",
    Exit.FAILED: "failed",
    Exit.USAGE: "wrong usage",
    Exit.LOSS: "finished, but sound or text was lost on the way",
    Exit.UNREACHABLE: "a service is out of reach",
    Exit.BAD_GRAPH: "the graph is wrong",
    Exit.INTERRUPTED: "interrupted, even where all that was under way was delivered",
}


_SIGPIPE = 128 + 13
"""As the shell tells of a tool that wrote on when its reader had gone."""


def say_error(message: str) -> None:
    """One line on standard error."""
    print(f"dragoman: {paint('error:', 'bold red', sys.stderr)} {message}", file=sys.stderr)


def say_warning(message: str) -> None:
    """Likewise, of what does not stop anything."""
    print(f"dragoman: {paint('warning:', 'bold yellow', sys.stderr)} {message}", file=sys.stderr)


def refuse(message: str, code: int = Exit.USAGE) -> ClickExit:
    """Say what is wrong, in one line; raise what this returns."""
    say_error(message)
    return ClickExit(int(code))


def unwritable(wrong: OSError) -> ClickExit:
    """What to raise where standard output cannot be written, which it says; silent where its reader has gone."""
    if isinstance(wrong, BrokenPipeError):
        return ClickExit(_SIGPIPE)
    return refuse(f"standard output: {(wrong.strerror or str(wrong)).lower()}", Exit.FAILED)
