"""`dragoman top` on a terminal: one picture of what goes on, drawn again at every look, fitted to any size."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from types import TracebackType

from attrs import define, field
from rich.console import Console, Group, RenderableType
from rich.live import Live
from rich.table import Table
from rich.text import Text as Styled

from pipeline.cli.seen import LOOKS, Row, Seen, act, headline, room_lines, rows
from pipeline.cli.words import clock, times
from pipeline.control.client import Message

__all__ = ["Screen", "picture"]

STYLES = {"busy": "green", "waits": "dim", "held up": "yellow", "failed": "bold red", "cut off": "yellow"}
SIGNS = {"busy": "#", "waits": ".", "held up": "="}
BLOCKS = {"busy": "█", "waits": "·", "held up": "▒"}
"""What a stage did at a look."""
QUEUE_CELLS = 8
COMPACT, NARROW, WIDE = 80, 90, 130
"""Columns at which there is room for more: bars and rates, from where, and what kind of stage with its figures."""
NAME_CELLS = 12
"""Of a name, at the least: without it nothing else says anything."""
HEADS = 2
"""Lines above the stages."""
STATUSES = 3


@define
class Screen:
    """The terminal, until it is left; `title` says whose graphs they are."""

    title: str
    console: Console = field(factory=lambda: Console(highlight=False))
    _live: Live = field(init=False)

    def __attrs_post_init__(self) -> None:
        self._live = Live(console=self.console, screen=True, auto_refresh=False)

    def __enter__(self) -> Screen:
        self._live.start()
        return self

    def __exit__(self, kind: type[BaseException] | None, fault: object, trace: TracebackType | None) -> None:
        self._live.stop()

    def draw(self, seen: Seen) -> None:
        self._live.update(picture(seen, self.title, self.console), refresh=True)


def picture(seen: Seen, title: str, console: Console) -> RenderableType:
    """What has been seen, on exactly the lines that `console` has."""
    width, height = console.width, max(console.height - 1, 4)  # the last line is for how to leave
    show = _one if len(seen.graphs) == 1 else _several
    parts: list[RenderableType] = []
    left = height
    for part in show(seen, title, console, height):
        if _lines(part) > left:
            break
        parts.append(part)
        left -= _lines(part)
    hint = "Ctrl-C leaves; what runs runs on" + (
        "" if len(seen.graphs) == 1 else "   dragoman top NAME shows one graph"
    )
    return Group(*parts, *[Styled("")] * left, _one_line(hint, width, "dim"))


def _lines(part: RenderableType) -> int:
    return part.row_count + part.show_header if isinstance(part, Table) else 1


def _one_line(text: str | Styled, width: int, style: str = "") -> Styled:
    line = text if isinstance(text, Styled) else Styled(text, style=style)
    line.no_wrap = True
    line.truncate(width, overflow="ellipsis")
    return line


def _title(name: str, told: str, title: str, width: int) -> Styled:
    line = Styled.assemble((name, "bold"), f"  {told}")
    gap = width - line.cell_len - len(title)
    if gap >= 2:
        line.append(" " * gap)
        line.append(title, style="dim")
    return _one_line(line, width)


# --- one graph


def _one(seen: Seen, title: str, console: Console, height: int) -> Iterator[RenderableType]:
    (graph,), width = seen.graphs, console.width
    statuses = [(stage["name"], stage["status"]) for stage in graph["stages"] if stage["status"]][:STATUSES]
    newest = len(graph["texts"])
    rooms = [line for room in seen.rooms for line in room_lines(room)]
    spare = height - HEADS - len(rooms) - len(statuses) - (newest + 1 if newest else 0)
    shown, hidden = _fitting(list(rows(graph)), spare)
    yield _title(graph["name"], headline(graph), title, width)
    yield _stages(seen, graph, shown, console)
    if hidden:
        yield _one_line(f"and {hidden} more, for which this window is too low", width, "dim")
    for name, status in statuses:
        yield _one_line(f"{name}: {status}", width, "yellow")
    for line in rooms:
        yield _one_line(line, width, "cyan")
    left = height - HEADS - len(shown) - bool(hidden) - len(statuses) - len(rooms) - 1
    if newest and left > 0:
        yield Styled("")
        yield from list(_texts(seen.texts(graph["name"]), console))[-left:]


def _fitting(all_rows: Sequence[Row], room: int) -> tuple[Sequence[Row], int]:
    """The rows for which there is room, and how many are left out: first those that only follow another."""
    shown = list(all_rows)
    if len(shown) > room:  # and a line to say so
        shown = [row for row in shown if not row.fused][: max(room - 1, 1)]
    return shown, len(all_rows) - len(shown)


def _stages(seen: Seen, graph: Message, shown: Sequence[Row], console: Console) -> Table:
    width = console.width
    table = Table(box=None, padding=(0, 2, 0, 0), pad_edge=False, expand=True, header_style="dim")
    table.add_column("STAGE", no_wrap=True, overflow="ellipsis", ratio=3, min_width=NAME_CELLS)
    if width >= WIDE:
        table.add_column("KIND", no_wrap=True, overflow="ellipsis", ratio=2, style="dim")
    table.add_column("DOES", no_wrap=True, min_width=LOOKS + 10)
    if width >= NARROW:
        table.add_column("FROM", no_wrap=True, overflow="ellipsis", ratio=3)
    table.add_column("QUEUE", no_wrap=True, min_width=6 if width < COMPACT else QUEUE_CELLS + 9)
    for head, least in (("PEAK", 6), ("DROPPED", 7), ("RATE", 6)):
        if width >= COMPACT or head == "DROPPED":
            table.add_column(head, no_wrap=True, justify="right", min_width=least)
    if width >= WIDE:
        table.add_column("COUNTED", no_wrap=True, overflow="ellipsis", ratio=4, style="dim")
    most_s = max((edge["peak_queue_s"] for edge in graph["edges"]), default=0.0)
    others = sum((column.min_width or 0) + 2 for column in table.columns[1:])
    short = any(len(row.name) > width - others for row in shown) and width < NARROW
    for row in shown:
        name = Styled(row.short_name if short else row.name, "dim" if row.fused else "")
        table.add_row(name, *_cells(seen, graph, row, most_s, console))
    return table


def _cells(seen: Seen, graph: Message, row: Row, most_s: float, console: Console) -> Iterator[Styled | str]:
    quiet = "dim" if row.fused else ""
    if console.width >= WIDE:
        yield str(row.stage["kind"]) if row.stage else ""
    yield _does(seen.acts(graph["name"], row.stage["name"]), row.stage, console) if row.stage else ""
    if console.width >= NARROW:
        yield Styled(row.source, style=quiet)
    dropped = Styled(row.dropped, style="bold red" if row.edge and not row.edge["tap"] else "yellow")
    if console.width < COMPACT:
        yield from (row.queue, dropped)
    else:
        yield from (_queue(row, most_s, console), Styled(row.peak, quiet), dropped, Styled(row.rate, quiet))
    if console.width >= WIDE:
        counts = row.stage["counts"] if row.stage else {}
        yield ", ".join(f"{what} {number:,}" for what, number in counts.items() if number)


def _does(acts: Sequence[str], stage: Message, console: Console) -> Styled:
    signs = BLOCKS if console.encoding.lower().startswith("utf") else SIGNS
    now = act(stage)
    if not now:
        return Styled("")
    line = Styled(" " * (LOOKS - len(acts)))
    for past in acts:
        line.append(signs.get(past, " "), style=STYLES.get(past, ""))
    return line.append(f" {now}", style=STYLES.get(now, ""))


def _queue(row: Row, most_s: float, console: Console) -> Styled:
    """A bar against the longest queue of the graph so far, of a second at least, and the figure."""
    if row.edge is None or not row.edge["sent_s"]:
        return Styled(f"{row.queue:>{QUEUE_CELLS + 1 + len(row.queue)}}" if row.queue else "")
    if not row.queue:
        return Styled("")
    full, empty = ("█", "─") if console.encoding.lower().startswith("utf") else ("#", "-")
    cells = min(round(QUEUE_CELLS * row.edge["queue_s"] / max(most_s, 1.0)), QUEUE_CELLS)
    held = row.edge["queue_s"] > 0.9 * max(most_s, 1.0)
    bar = Styled(full * cells, style="yellow" if held else "cyan")
    return bar.append(empty * (QUEUE_CELLS - cells), style="dim").append(f" {row.queue}", style="default")


def _texts(texts: Sequence[Message], console: Console) -> Iterator[RenderableType]:
    """The newest texts, the newest last, broken into lines."""
    label = max(len(_label(text)) for text in texts)
    for text in texts:
        words = Styled(text["text"], style="" if text["final"] else "italic")
        for number, line in enumerate(words.wrap(console, max(console.width - label - 2, 20))):
            head = f"{_label(text) if number == 0 else '':<{label}}  "
            yield _one_line(Styled.assemble((head, "cyan"), line), console.width)


def _label(text: Message) -> str:
    lag = f" {text['lag_s']:.1f} s behind" if text["lag_s"] is not None else ""
    return f"{text['language'] or text['output']}{lag}"


# --- several


def _several(seen: Seen, title: str, console: Console, height: int) -> Iterator[RenderableType]:
    ledgers = list(seen.ledgers)[-3:]
    rooms = [line for room in seen.rooms for line in room_lines(room)]
    room = max(height - 2 - len(rooms) - len(ledgers), 1)
    count = len(seen.graphs) + seen.more
    shown = seen.graphs[: room if count <= room else room - 1]
    yield _title(f"{count or 'no'} graphs", "", title, console.width)
    table = Table(box=None, padding=(0, 2, 0, 0), pad_edge=False, expand=True, header_style="dim")
    table.add_column("GRAPH", no_wrap=True, overflow="ellipsis", ratio=2, min_width=NAME_CELLS)
    table.add_column("STATE", no_wrap=True, min_width=8)
    for head, least in (("HEARD", 7), ("PACE", 6), ("QUEUE", 6), ("DROPPED", 7), ("BEHIND", 6)):
        if console.width >= COMPACT or head not in ("PACE", "QUEUE"):
            table.add_column(head, no_wrap=True, justify="right", min_width=least)
    if console.width >= COMPACT:
        table.add_column("NEWEST", no_wrap=True, overflow="ellipsis", ratio=3)
    for graph in shown:
        table.add_row(*_graph_cells(graph, compact=console.width < COMPACT))
    yield table
    if count > len(shown):
        yield _one_line(f"and {count - len(shown)} more", console.width, "dim")
    for line in rooms:
        yield _one_line(line, console.width, "cyan")
    for ledger in ledgers:
        yield _one_line(ledger.headline, console.width, "red" if ledger.report.lost else "dim")


def _graph_cells(graph: Message, *, compact: bool) -> Iterator[Styled | str]:
    edges = [edge for edge in graph["edges"] if not edge["tap"]]
    queue_s = max((edge["queue_s"] for edge in edges), default=0.0)
    dropped_s = sum(edge["dropped_s"] for edge in edges)
    newest = max(graph["texts"], key=lambda text: text["end_ms"], default=None)
    yield Styled(graph["name"], style="bold")
    yield Styled(graph["state"], style={"running": "green", "failed": "bold red"}.get(graph["state"], "yellow"))
    yield clock(graph["done_s"])
    if not compact:
        yield times(graph["done_s"] / graph["at_s"]) if graph["at_s"] > 0 else ""
        yield f"{queue_s:.1f} s"
    yield Styled(f"{dropped_s:.1f} s" if dropped_s else "", style="bold red")
    yield f"{newest['lag_s']:.1f} s" if newest and newest["lag_s"] is not None else ""
    if not compact:
        yield newest["text"] if newest else ""
