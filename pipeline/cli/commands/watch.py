"""Commands about graphs that another process runs: `top`, `tap`, `pause`."""

from __future__ import annotations

import sys

import click

from pipeline.cli.command import Command, option
from pipeline.cli.exits import Exit
from pipeline.cli.options import complete_edge, complete_running

__all__ = ["pause", "tap", "top"]

running_argument = click.argument("which", metavar="[NAME|PID]", required=False, shell_complete=complete_running)


@click.command(
    cls=Command,
    exits=(Exit.OK, Exit.FAILED, Exit.USAGE),
    short_help="Pause the microphones of a graph that runs.",
)
@running_argument
@option("--off", is_flag=True, help="Listen again.")
def pause(which: str | None, off: bool) -> None:
    """Pause the microphones of a graph that runs in another process, or with --off listen again.

    For a key of the desktop, or a pedal: what is said meanwhile is not heard.

    Example: dragoman pause listen
    """
    from pipeline.cli.pausing import pause as set_paused

    sys.exit(set_paused(which, not off))


@click.command(
    cls=Command,
    exits=(Exit.OK, Exit.FAILED, Exit.USAGE),
    short_help="Watch graphs that run: queues, drops, the newest captions.",
)
@running_argument
@option("--once", is_flag=True, help="One look, as plain lines; so it is anyway where there is no terminal.")
@option("--json", "as_json", is_flag=True, help="JSON Lines: a snapshot each half second, then the ledger.")
def top(which: str | None, once: bool, as_json: bool) -> None:
    """Watch the graphs that run: what each stage does, what waits on each edge, the newest captions.

    Another process runs them: `dragoman run`, `translate`, `listen` or `serve`, of the same user. NAME is the
    name of a graph, a part of it, or `serve`. When the graph ends, its ledger says what became of everything.
    Ctrl-C ends the watching, and not the graph.

    Example: dragoman run realtime & dragoman top realtime
    """
    from pipeline.cli.top import top as watch

    sys.exit(watch(which, once, as_json))


@click.command(
    cls=Command,
    exits=(Exit.OK, Exit.FAILED, Exit.USAGE, Exit.INTERRUPTED),
    short_help="Print what passes along an edge of a graph that runs.",
)
@click.argument("edge", metavar="[EDGE]", required=False, shell_complete=complete_edge)
@option("--of", metavar="NAME|PID", help="Of which graph or process.", shell_complete=complete_running)
@option("--json", "as_json", is_flag=True, help="JSON Lines, as the stage jsonl writes them.")
@option("--count", metavar="N", type=click.IntRange(min=1), help="Only the next N items.")
def tap(edge: str | None, of: str | None, as_json: bool, count: int | None) -> None:
    """Print the items that pass along EDGE, from now on, without slowing the graph that runs.

    An edge goes by the name that reports have for it, `interpreter.text -> captions`, by its ends
    (`talk>pcm`), by its output (`interpreter.text`), or by the name of a stage. Where only one of the graphs
    that run has it, --of need not say which. Without EDGE: the edges there are.

    Texts and marks are printed as they come, of audio the level in each second. What this end is too slow for
    is left out, and counted.

    Example: dragoman tap interpreter.text
    """
    from pipeline.cli.tap import tap as print_items

    sys.exit(print_items(edge, of, as_json, count))
