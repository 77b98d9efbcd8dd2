"""Commands that make files: `new`, `schema`, `completion`."""

from __future__ import annotations

from pathlib import Path

import click
from click.shell_completion import get_completion_class

from pipeline.cli.command import Command
from pipeline.cli.exits import Exit
from pipeline.cli.options import output_option

__all__ = ["completion", "new", "schema"]


@click.command(
    cls=Command,
    exits=(Exit.OK, Exit.FAILED, Exit.USAGE),
    short_help="Write a graph from a few words: file//translate//wav.",
)
@click.argument("words", metavar="WORDS")
@output_option
def new(words: str, output: Path | None) -> None:
    """Write a graph from a few words with // between them.

    A word is a kind of stage (see `dragoman list`), a kind with options (gain:-6, chunk:ms=100), or the name
    of a file. What must stand between two of them, such as a resample, is put in.

    \b
    Example: dragoman new talk.wav//translate:pt-br//out.wav//out.srt
    """
    from pipeline.cli.new import graph_from
    from pipeline.cli.output import write

    write(graph_from(words).as_yaml(), output)


@click.command(cls=Command, short_help="The JSON Schema of graph files, for editors.")
@output_option
def schema(output: Path | None) -> None:
    """The JSON Schema of graph files, for editors to complete and check by."""
    import json

    from pipeline.cli.output import write
    from pipeline.loading.schema import schema as schema_of
    from stages import KINDS

    write(json.dumps(schema_of(KINDS), indent=2) + "\n", output)


@click.command(cls=Command, short_help="The script that completes commands in a shell.")
@click.argument("shell", metavar="SHELL", type=click.Choice(["bash", "zsh", "fish"]))
@click.pass_context
def completion(ctx: click.Context, shell: str) -> None:
    """The script that completes commands in SHELL, which is bash, zsh or fish.

    To have it in every new shell, put the line for yours where it belongs:

    \b
    ~/.bashrc                   eval "$(dragoman completion bash)"
    ~/.zshrc                    eval "$(dragoman completion zsh)"
    ~/.config/fish/config.fish  dragoman completion fish | source
    """
    from pipeline.cli.completing import Bash

    complete = Bash if shell == "bash" else get_completion_class(shell)
    assert complete is not None
    click.echo(complete(ctx.find_root().command, {}, "dragoman", "_DRAGOMAN_COMPLETE").source())
