"""`dragoman top`: graphs that another process runs, as they run; at their end, the ledger."""

from __future__ import annotations

import sys
from collections.abc import Iterator, Sequence

from pipeline.cli.columns import columns
from pipeline.cli.exits import Exit, say_error
from pipeline.cli.json_lines import JsonLines
from pipeline.cli.looking import Chosen, attend_until_interrupted, choose
from pipeline.cli.seen import Row, Seen, act, headline, room_lines, rows
from pipeline.cli.summary import outcome, show
from pipeline.cli.words import plural
from pipeline.control.client import Conversation, Message, Refused, connected, readable
from stages.out_file import sayable

__all__ = ["plain", "top"]


def top(which: str | None, once: bool, as_json: bool) -> int:
    """Watch what is meant by `which`; the exit code."""
    chosen = choose(which)
    once = once or not (as_json or sys.stdout.isatty())
    code = attend_until_interrupted(lambda: _top(chosen, once, as_json))
    return Exit.OK if code == Exit.INTERRUPTED else code  # which is how one leaves it


async def _top(chosen: Chosen, once: bool, as_json: bool) -> int:
    try:
        async with connected(chosen.process.place.path) as conversation:
            await conversation.say("watch", graph=chosen.graph)
            if as_json:
                return await _write(conversation, chosen, once)
            if once:
                return await _tell(conversation, chosen)
            return await _draw(conversation, chosen)
    except BrokenPipeError:  # ours: nobody reads what is printed
        raise
    except (Refused, OSError) as why:
        say_error(str(why))
        return Exit.FAILED


# --- ways to show it


async def _write(conversation: Conversation, chosen: Chosen, once: bool) -> int:
    """As JSON Lines. One look is the second: the first has rates since the start."""
    lines, looks = JsonLines(sys.stdout), 0
    async for message in conversation:
        looks += message["type"] == "snapshot"
        if once and looks < 2 and message["type"] == "snapshot":
            continue
        lines.write(message["type"], **{key: told for key, told in message.items() if key != "type"})
        if once or _is_end(message, chosen):
            return Exit.OK
    return _vanished()


async def _tell(conversation: Conversation, chosen: Chosen) -> int:
    """One look, in plain lines."""
    seen = Seen()
    async for message in conversation:
        seen.feed(readable(message))
        if seen.looks == 2 or seen.over:
            for line in plain(seen, chosen.process.place.pid):
                print(sayable(sys.stdout, line))
            return Exit.OK
    return _vanished()


async def _draw(conversation: Conversation, chosen: Chosen) -> int:
    """On the whole terminal, until the graph ends, or the process where no graph was chosen."""
    from pipeline.cli.top_screen import Screen

    seen = Seen()
    with Screen(f"{readable(chosen.process.command)}, process {chosen.process.place.pid}") as screen:
        async for message in conversation:
            seen.feed(readable(message))
            screen.draw(seen)
            if _is_end(message, chosen):
                break
        else:
            seen.over = False
    for ledger in seen.ledgers:
        print(sayable(sys.stdout, f"{ledger.graph}: {ledger.state}; what became of everything"))
        show(outcome(ledger.report), sys.stdout)
    return Exit.OK if seen.over or seen.ledgers else _vanished()


def _is_end(message: Message, chosen: Chosen) -> bool:
    ended = message["type"] == "ledger" and message["graph"] == chosen.graph
    return bool(ended or message["type"] == "over")


def _vanished() -> int:
    say_error("the process has ended without a word")
    return Exit.FAILED


def plain(seen: Seen, pid: int) -> Iterator[str]:
    """All that is known, for a log."""
    if not seen.graphs:
        yield f"no graph runs (process {pid})"
    for graph in seen.graphs:
        yield f"{graph['name']}: {headline(graph)} (process {pid})"
        heads = ("stage", "does", "from", "queue", "peak", "dropped", "rate")
        table = [(row.name, act(row.stage) if row.stage else "", *_figures(row)) for row in rows(graph)]
        yield from (f"  {line}" for line in columns([heads, *table]))
        yield from (f"  {stage['name']}: {stage['status']}" for stage in graph["stages"] if stage["status"])
        for text in graph["texts"]:
            lag = f", {text['lag_s']:.1f} s behind" if text["lag_s"] is not None else ""
            yield f"  {text['output']}{lag}: {text['text']}"
    for room in seen.rooms:
        yield from room_lines(room)
    if seen.more:
        yield f"and {plural(seen.more, 'graph')} more"
    yield from (ledger.headline for ledger in seen.ledgers)


def _figures(row: Row) -> Sequence[str]:
    return row.source, row.queue, row.peak, row.dropped, row.rate
