"""What `top` and `tap` have in common: which process is meant, and talking with it until somebody has enough."""

from __future__ import annotations

import os
import signal
import sys
from collections.abc import Awaitable, Callable, Iterator, Sequence
from contextlib import suppress

import anyio
import click
from attrs import frozen

from pipeline.cli.columns import columns
from pipeline.cli.exits import Exit, refuse
from pipeline.control.client import Message, Process, processes, readable
from pipeline.control.messages import PROTOCOL
from pipeline.control.places import NoControl, control_folder, supported
from pipeline.problems import did_you_mean

__all__ = [
    "Chosen",
    "all_meant",
    "attend_until_interrupted",
    "choose",
    "meant",
    "running_names",
    "running_outputs",
]

NAMED = 2
"""Graphs of a process that are named where there is a choice."""


@frozen
class Chosen:
    """A process, and the one of its graphs that is meant: None for all of them; and which edge of that."""

    process: Process
    graph: str | None
    edge: str | None = None

    @property
    def graphs(self) -> list[Message]:
        """The graphs that are meant, as the process tells of them."""
        return [graph for graph in self.process.graphs if self.graph in (None, graph["name"])]


def choose(wanted: str | None, edge: str | None = None) -> Chosen:
    """What `wanted` means (see `all_meant`); of several, the one that has `edge`; and else a terminal is asked.

    Exits where there is none, and where there is nobody to be asked.
    """
    found = all_meant(wanted, edge)
    if edge is not None:
        found = _having(found, edge)
    chosen = found[0] if len(found) == 1 else _asked(found)
    if chosen.process.protocol != PROTOCOL:
        raise refuse(f"process {chosen.process.place.pid} runs another version of dragoman than this", Exit.FAILED)
    return chosen


def all_meant(wanted: str | None, edge: str | None = None) -> list[Chosen]:
    """All that `wanted` can mean: by number, command or graph (or a part of its name); None: all that runs.

    Graphs are asked for `edge`. Exits where there is none.
    """
    if not supported():
        raise refuse("this platform has no Unix sockets, by which to look into a running graph", Exit.FAILED)
    try:
        there = anyio.run(processes, control_folder(os.environ), edge)
    except NoControl as why:
        raise refuse(str(why), Exit.FAILED) from None
    if not there:
        raise refuse("nothing runs that can be looked into: `dragoman run GRAPH` starts something", Exit.FAILED)
    found = meant(there, wanted)
    if not found:
        known = [name for process in there for name in (str(process.place.pid), *process.names)]
        hint = did_you_mean(wanted or "", map(readable, known))
        raise refuse(f"nothing that runs is {wanted!r}{f'; {hint}' if hint else ''}\n{_table(meant(there, None))}")
    return found


def running_names() -> list[str]:
    """The graphs that run, for a shell to complete."""
    return [graph["name"] for graph in _running()]


def running_outputs() -> list[str]:
    """The outputs that are read in the graphs that run, likewise."""
    edges = [edge for graph in _running() for edge in graph["edges"]]
    return list(dict.fromkeys(edge.partition(" -> ")[0] for edge in edges))


def _running() -> list[Message]:
    with suppress(NoControl):
        there = anyio.run(processes, control_folder(os.environ)) if supported() else []
        return [graph for process in there for graph in process.graphs]
    return []


def meant(there: Sequence[Process], wanted: str | None) -> list[Chosen]:
    """What `wanted` can mean: the nearest that there is, of process, name, and part of a name."""
    if wanted is None:
        busy = [process for process in there if process.names]
        return [Chosen(process, None) for process in busy or there]
    whole = [Chosen(process, None) for process in there if wanted in (str(process.place.pid), process.command)]
    graphs = [Chosen(process, name) for process in there for name in process.names]
    by_name = [each for each in graphs if each.graph == wanted]
    return whole or by_name or [each for each in graphs if each.graph and wanted and wanted in each.graph]


def _having(found: Sequence[Chosen], edge: str) -> list[Chosen]:
    """The graphs that have an edge of that name. Exits where of several none has; a single one says so itself."""
    graphs = [Chosen(each.process, graph["name"], graph.get("edge")) for each in found for graph in each.graphs]
    having = [each for each in graphs if each.edge is not None]
    if not having and len(graphs) > 1:
        raise refuse(f"of {len(graphs)} graphs none has an edge {edge!r}: `dragoman tap` lists them", Exit.FAILED)
    return having or list(found)


def _asked(found: Sequence[Chosen]) -> Chosen:
    if not (sys.stdin.isatty() and sys.stderr.isatty()):
        raise refuse(
            f"{'several have it' if found[0].edge else 'several run'}: say which, by the process's number or the "
            f"graph's name{' (--of)' if found[0].edge else ''}\n{_table(found)}"
        )
    rows = _table(found).splitlines()
    for number, row in enumerate(rows, start=1):
        click.echo(f"{number:>3}  {row}", err=True)
    choice: int = click.prompt("Which", type=click.IntRange(1, len(rows)), default=1, err=True)
    return found[choice - 1]


def _table(found: Sequence[Chosen]) -> str:
    return "\n".join(columns(list(_rows(found))))


def _rows(found: Sequence[Chosen]) -> Iterator[Sequence[str]]:
    for each in found:
        graphs = each.process.names if each.graph is None else [each.graph]
        shown = ", ".join(map(readable, graphs[:NAMED])) or "no graph"
        more = f" and {len(graphs) - NAMED} more" if len(graphs) > NAMED else ""
        edge = f": {readable(each.edge)}" if each.edge else ""
        yield str(each.process.place.pid), readable(each.process.command), shown + more + edge


def attend_until_interrupted(tell: Callable[[], Awaitable[int]]) -> int:
    """What `tell` returns, or that it was interrupted. That nobody reads what it prints any more is an end too."""
    return anyio.run(_attend, tell)


async def _attend(tell: Callable[[], Awaitable[int]]) -> int:
    code = int(Exit.INTERRUPTED)
    async with anyio.create_task_group() as tasks:

        async def until_told() -> None:
            nonlocal code
            try:
                code = await tell()
            except BrokenPipeError:
                os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())  # nothing more to say at exit
                code = int(Exit.OK)
            tasks.cancel_scope.cancel()

        with anyio.open_signal_receiver(signal.SIGINT, signal.SIGTERM) as signals:
            tasks.start_soon(until_told)
            async for _ in signals:
                tasks.cancel_scope.cancel()
    return code
