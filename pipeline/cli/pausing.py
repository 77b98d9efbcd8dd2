"""`dragoman pause`: what can be paused in a graph that another process runs, which is its microphones."""

from __future__ import annotations

import anyio

from pipeline.cli.exits import Exit, say_error
from pipeline.cli.looking import Chosen, choose
from pipeline.control.client import Refused, connected, readable

__all__ = ["pause"]


def pause(which: str | None, paused: bool) -> int:
    """Pause, or go on with, everything that can be paused in what is meant by `which`; the exit code."""
    chosen = choose(which)
    able = [(graph["name"], stage) for graph in chosen.graphs for stage in graph["pausable"]]
    if not able:
        say_error("nothing in it can be paused: only a microphone can")
        return Exit.FAILED
    return anyio.run(_set, chosen, able, paused)


async def _set(chosen: Chosen, able: list[tuple[str, str]], paused: bool) -> int:
    try:
        async with connected(chosen.process.place.path) as conversation:
            for graph, stage in able:
                await conversation.ask("set", graph=graph, stage=stage, attribute="paused", value=paused)
                print(f"{readable(graph)}: {readable(stage)} {'is paused' if paused else 'goes on'}")
    except (Refused, OSError) as why:
        say_error(str(why))
        return Exit.FAILED
    return Exit.OK
