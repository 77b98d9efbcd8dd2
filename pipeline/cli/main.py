"""The command line: the commands, and how a process begins and ends with one of them."""

from __future__ import annotations

import sys

import click

from pipeline.cli.command import Commands
from pipeline.cli.commands.look import devices, doctor, draw, languages, list_kinds, params, validate
from pipeline.cli.commands.make import completion, new, schema
from pipeline.cli.commands.run import listen, run, translate
from pipeline.cli.commands.serve import serve
from pipeline.cli.commands.watch import pause, tap, top
from pipeline.cli.exits import Exit

__all__ = ["cli", "main"]


def main() -> None:
    """Run the command line, and exit."""
    for stream in (sys.stdout, sys.stderr):
        if hasattr(stream, "reconfigure"):
            stream.reconfigure(errors="replace")  # a terminal that is not UTF-8 shows `?` instead of failing
    cli(prog_name="dragoman")


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
