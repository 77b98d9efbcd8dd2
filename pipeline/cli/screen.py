"""A run on a terminal: one block of lines that is drawn over itself, and goes away at the end."""

from __future__ import annotations

import sys
from collections.abc import Iterator
from types import TracebackType

from attrs import define, field
from rich.console import Console, RenderableType
from rich.live import Live
from rich.progress_bar import ProgressBar
from rich.table import Table
from rich.text import Text as Styled

from pipeline.cli.watch import Queue, Snapshot
from pipeline.cli.words import clock, plural, times

__all__ = ["ROOM_FOR_ECHO", "ScreenView", "figures", "live_block", "render", "states"]

ROOM_FOR_ECHO = 4
"""Cells left free at the right: a terminal writes `^C` where the cursor is, and must not wrap the line."""
QUEUES_SHOWN = 3
TEXTS_SHOWN = 2


@define
class ScreenView:
    """Draws the run eight times a second on standard error.

    What stages print to standard output goes above the block where both are the terminal. Links in it stay whole:
    it is for the terminal to wrap them.
    """

    every_s: float = 0.125
    console: Console = field(factory=lambda: Console(stderr=True, highlight=False, soft_wrap=True))
    _live: Live = field(init=False)

    def __enter__(self) -> ScreenView:
        self._live = live_block(self.console, redirect_stdout=sys.stdout.isatty())
        self._live.start()
        return self

    def __exit__(self, kind: type[BaseException] | None, fault: object, trace: TracebackType | None) -> None:
        self._live.stop()

    def look(self, shot: Snapshot) -> None:
        self._live.update(render(shot, self.console.width), refresh=True)

    def say(self, text: str) -> None:
        self.console.print(Styled(f"dragoman: {text}", style="yellow"))


def live_block(console: Console, *, redirect_stdout: bool) -> Live:
    """What is drawn over itself on `console`. Once stopped it is done with: it would draw where it was."""
    return Live(console=console, auto_refresh=False, transient=True, redirect_stdout=redirect_stdout)


def render(shot: Snapshot, width: int) -> RenderableType:
    """The block for one moment: bar and figures, what stages say, the fullest queues, the newest texts."""
    width = max(width - ROOM_FOR_ECHO, 20)
    grid = Table.grid(padding=(0, 2, 0, 0), expand=True)
    grid.width = width
    grid.add_column(style="dim", no_wrap=True, max_width=max(width // 4, 10), overflow="ellipsis")
    grid.add_column(ratio=1, no_wrap=True, overflow="ellipsis")
    grid.add_row(Styled(shot.graph, style="bold not dim"), _bar(shot, width))
    for label, told in (*states(shot), *_rows(shot)):
        grid.add_row(label, told)
    return grid


def states(shot: Snapshot) -> Iterator[tuple[str, Styled]]:
    """Lines for a run that is stopping, and for every stage that has something to say."""
    if shot.stopping:
        waiting = ", ".join(shot.waiting_for)
        yield "stopping", Styled(f"waiting for {waiting}" if waiting else "", style="yellow")
    for stage, status in shot.statuses.items():
        yield stage, Styled(status, style="yellow")


def _bar(shot: Snapshot, width: int) -> RenderableType:
    row = Table.grid(padding=(0, 2, 0, 0), expand=True)
    told = figures(shot)
    if width >= 70:
        row.add_column(ratio=1)
    row.add_column(no_wrap=True, overflow="ellipsis", justify="right" if width >= 70 else "left")
    if width < 70:
        row.add_row(told)
    elif shot.total_s is None:
        row.add_row(ProgressBar(total=None, pulse=True, animation_time=shot.wall_s), told)
    else:
        row.add_row(ProgressBar(total=max(shot.total_s, 0.001), completed=shot.done_s), told)
    return row


def figures(shot: Snapshot) -> Styled:
    """How far a run is, how fast, and what it has dropped."""
    text = Styled(clock(shot.done_s), style="bold")
    if shot.total_s is not None:
        text.append(f" of {clock(shot.total_s)}", style="not bold")
    if shot.done_s > 0 and not shot.live:
        text.append(f"  {times(shot.times_realtime)} real time", style="not bold cyan")
    if (left := shot.left_s) is not None:
        text.append(f"  {clock(left)} left", style="not bold")
    if shot.dropped_s:
        text.append(f"  {shot.dropped_s:.1f} s dropped", style="bold red")
    return text


def _rows(shot: Snapshot) -> Iterator[tuple[str, Styled]]:
    if shot.queues:
        yield "queues", Styled("   ".join(_queue(queue) for queue in shot.queues[:QUEUES_SHOWN]))
    for output, text in list(shot.texts.items())[-TEXTS_SHOWN:]:
        yield text.language or output, Styled(" ".join(text.text.split()))


def _queue(queue: Queue) -> str:
    amount = [f"{queue.audio_s:.1f} s"] if queue.audio_s >= 0.05 else []
    texts = [plural(queue.texts, "text")] if queue.texts else []
    return f"{_short(queue.producer)} > {_short(queue.consumer)} {' '.join([*amount, *texts])}"


def _short(stage: str) -> str:
    """Without the assembly that it is a part of: the room is little."""
    return stage.rpartition("/")[2]
