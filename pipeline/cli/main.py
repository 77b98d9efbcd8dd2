"""The command line: the commands, and how a process begins and ends with one of them."""

from __future__ import annotations

import os
import sys
from pathlib import Path
from typing import Any, TextIO

import click

from pipeline.cli.command import Commands
from pipeline.cli.commands.look import devices, doctor, draw, languages, list_kinds, params, validate
from pipeline.cli.commands.make import completion, new, schema
from pipeline.cli.commands.run import listen, run, translate
from pipeline.cli.commands.serve import serve
from pipeline.cli.commands.watch import pause, tap, top
from pipeline.cli.exits import Exit, unwritable

__all__ = ["cli", "main"]


def main() -> None:
    """Run the command line, and exit."""
    # A shell's `>&-` has closed what is None.
    sys.stdout, sys.stderr = sys.stdout or _nowhere(), sys.stderr or _nowhere()
    for stream in (sys.stdout, sys.stderr):
        if hasattr(stream, "reconfigure"):
            stream.reconfigure(errors="replace")  # a terminal that is not UTF-8 shows `?` instead of failing
    try:
        cli(prog_name="dragoman")
    except SystemExit as end:
        sys.exit(_written_out(end.code))


def _nowhere() -> TextIO:
    return Path(os.devnull).open("w", encoding="utf-8")


def _written_out(code: Any) -> Any:
    """Have all of standard output written, and return the exit code: `code`, or 1 where that failed unsaid.

    That nobody reads it any more is no failure: the work was done.
    """
    try:
        sys.stdout.flush()
    except OSError as wrong:
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())  # else the interpreter fails at it again
        if not code and not isinstance(wrong, BrokenPipeError):
            return unwritable(wrong).exit_code
    return code


@click.group(
    cls=Commands,
    exits=tuple(Exit),
    context_settings={"help_option_names": ["-h", "--help"], "max_content_width": 100},
)
@click.version_option(
    None, "-V", "--version", package_name="dragoman", prog_name="dragoman", message="%(prog)s %(version)s"
)
def cli() -> None:
    """Live speech translation, as a graph of small stages that a person can read aloud.

    Begin with: dragoman translate talk.flac --from en-us --to pt-br
    """


cli.add_under("Run", translate, listen, run, serve, pause)
cli.add_under("Look", validate, draw, params, list_kinds, languages, devices, doctor, top, tap)
cli.add_under("Make", new, schema, completion)
