"""Commands that look at graphs, and at what there is: from `validate` to `doctor`."""

from __future__ import annotations

import sys
from collections.abc import Sequence
from pathlib import Path

import click
from click.shell_completion import CompletionItem

from pipeline.cli.command import Command, option
from pipeline.cli.exits import Exit, refuse
from pipeline.cli.options import (
    beginning,
    complete_kind,
    deny_option,
    format_option,
    graph_argument,
    graph_arguments,
    json_option,
    output_option,
    setting_options,
    settings,
)

__all__ = ["devices", "doctor", "draw", "languages", "list_kinds", "params", "validate"]


@click.command(
    cls=Command,
    exits={Exit.OK: "all may run", Exit.USAGE: "wrong usage", Exit.BAD_GRAPH: "one of them is wrong"},
    short_help="Check graphs, and tell every mistake at once.",
)
@graph_arguments
@setting_options
@deny_option
@format_option()
def validate(
    graphs: Sequence[str], params: Sequence[str], options: Sequence[str], deny_warnings: bool, output_format: str
) -> None:
    """Check graphs without running them, and tell every mistake at once.

    A param that has no value yet is no mistake.
    """
    from pipeline.cli.validating import validate_all

    good = validate_all(graphs, *settings(params, options), deny_warnings, output_format == "json")
    sys.exit(Exit.OK if good else Exit.BAD_GRAPH)


@click.command(
    "graph",
    cls=Command,
    exits=(Exit.OK, Exit.FAILED, Exit.USAGE, Exit.BAD_GRAPH),
    short_help="Draw GRAPH as Mermaid, DOT or SVG; or tell how it runs.",
)
@graph_argument
@option(
    "--as",
    "way",
    type=click.Choice(["mermaid", "dot", "svg"]),
    help="The kind of drawing; if not given, by the suffix of -o, else mermaid.",
)
@option("--plan", is_flag=True, help="How it runs: which stages share a task. In words, if not drawn.")
@output_option
@setting_options
def draw(
    graph: str, way: str | None, plan: bool, output: Path | None, params: Sequence[str], options: Sequence[str]
) -> None:
    """Draw GRAPH: Mermaid, Graphviz' DOT, or an SVG that is complete in itself.

    Example: dragoman graph dub -o dub.svg
    """
    from pipeline.cli.graphs import checked, graph_to_draw
    from pipeline.cli.output import write
    from pipeline.cli.pictures import picture_of

    result = checked(graph, *settings(params, options))
    write(picture_of(graph_to_draw(result), way, plan, output), output)


@click.command(cls=Command, exits=(Exit.OK, Exit.USAGE, Exit.BAD_GRAPH))
@graph_argument
@json_option
def params(graph: str, as_json: bool) -> None:
    """What can be set on GRAPH with -p."""
    from pipeline.cli.graphs import checked, show_params

    show_params(checked(graph, {}, {}), as_json)


@click.command("list", cls=Command)
@click.argument("kinds", metavar="[STAGE]...", nargs=-1, shell_complete=complete_kind)
@option("--short", is_flag=True, help="One line each.")
@option("--markdown", is_flag=True, help="As a Markdown table.")
@json_option
def list_kinds(kinds: Sequence[str], short: bool, markdown: bool, as_json: bool) -> None:
    """The stages there are: ports, options, and an example of each."""
    from pipeline.cli.catalogue import catalogue, show_json, show_long, show_markdown, show_short

    entries = catalogue(kinds)
    (show_json if as_json else show_markdown if markdown else show_short if short else show_long)(entries)


@click.command(cls=Command, short_help="Which languages the offline engine translates, and how well.")
@json_option
def languages(as_json: bool) -> None:
    """Which languages the offline engine translates, how well, and what to install."""
    from pipeline.cli.languages import show

    show(as_json)


@click.command(
    cls=Command,
    exits=(Exit.OK, Exit.FAILED, Exit.USAGE),
    short_help="Which microphones and speakers there are; how loud it is at one.",
)
@option("--meter", is_flag=True, help="Show the level at a microphone, until Ctrl-C.")
@option("--device", metavar="NAME", help="--meter: its number or a part of its name; else the default.")
@option("--seconds", metavar="N", type=click.FloatRange(min=0.1), help="--meter: for so long.")
@json_option
def devices(meter: bool, device: str | None, seconds: float | None, as_json: bool) -> None:
    """Which microphones and speakers there are, the default marked, with the sample rates that each takes.

    With --meter, how loud it is at one of the microphones.
    """
    from pipeline.cli.devices import show, show_meter

    if not meter and (device is not None or seconds is not None):
        raise refuse("--device and --seconds are for --meter")
    if meter:
        show_meter(device, seconds, as_json)
    else:
        show(as_json)


def _complete_purpose(ctx: click.Context, param: click.Parameter, incomplete: str) -> list[CompletionItem]:
    from pipeline.cli.doctor import purposes

    return beginning(incomplete, purposes())


@click.command(
    cls=Command,
    exits={
        Exit.OK: "all that is needed works",
        Exit.FAILED: "something that is needed is missing",
        Exit.USAGE: "wrong usage",
    },
    short_help="What works on this machine, and how to install the rest.",
)
@click.argument("wanted", metavar="[WHAT]...", nargs=-1, shell_complete=_complete_purpose)
@json_option
def doctor(wanted: Sequence[str], as_json: bool) -> None:
    """What works on this machine, and the commands that install the rest.

    WHAT is a command that you want to use (translate, listen, serve), or a part of dragoman that can be
    installed (local, voices, media, piper, devices): only that is looked at, and all of it is needed. Without
    it everything is looked at, and only the core is needed.

    Example: dragoman doctor listen
    """
    from pipeline.cli.doctor import asked_for, examine, show

    findings = examine(asked_for(wanted))
    show(findings, as_json)
    sys.exit(Exit.OK if all(finding.good or not finding.needed for finding in findings) else Exit.FAILED)
