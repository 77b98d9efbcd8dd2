"""A run with captions on a terminal: they settle above a block of what is being said, the levels, and the state.

The block goes with the lines that settle: whatever is printed, it is drawn anew below that, as things are then.
Its lines have no spaces at their ends, which a terminal that is made narrower would break into lines of their own.
"""

from __future__ import annotations

import math
import sys
from collections.abc import Iterator, Mapping, Sequence
from contextlib import suppress
from typing import ClassVar

import numpy as np
from attrs import define, evolve, field
from rich.console import Console, Group, RenderableType
from rich.live import Live
from rich.text import Text as Styled

from pipeline.caps import AUDIO, TEXT, Caps, Port
from pipeline.cli.keyboard import HINT, pausing
from pipeline.cli.screen import ROOM_FOR_ECHO, figures, live_block, states
from pipeline.cli.watch import Snapshot
from pipeline.cli.words import clock
from pipeline.graph import Graph
from pipeline.items import Audio, Text
from pipeline.stage import Inbox, Outbox, StageError
from stages.console import Captions
from stages.devices.portaudio import find
from stages.microphone import Microphone
from stages.out_file import sayable
from stages.speaker import Speaker

__all__ = ["Level", "LiveScreen", "render_live"]

_STEPS = 20
_QUIETEST_DB = -60.0
_FALLS_DB_A_LOOK = 2.5
"""A peak is seen for a while, as on any meter."""


@define(kw_only=True)
class LiveScreen:
    """Draws a run with captions eight times a second on standard error, which is the same terminal as output."""

    every_s: float = 0.125
    console: Console = field(factory=lambda: Console(stderr=True, highlight=False, soft_wrap=True))
    captions: Captions = field(factory=Captions)
    levels: Mapping[str, Level] = field(factory=dict)
    """What is heard at each microphone, by the stage's name."""
    devices: Mapping[str, str] = field(factory=dict)
    """What microphones and speakers are called by the system, by the stage's name."""
    keys: bool = True
    """Whether keys are listened to, and so worth a hint."""
    _live: Live = field(init=False)
    _shot: Snapshot | None = field(init=False, default=None)

    @classmethod
    def of(cls, graph: Graph, *, keys: bool = True) -> tuple[LiveScreen, Graph]:
        """The screen, and `graph` with its captions shown on it and its microphones measured."""
        screen = cls(keys=keys)
        nodes = {
            name: evolve(node, stage=_Shown(screen=screen)) if node.kind == "console" else node
            for name, node in graph.nodes.items()
        }
        shown = Graph(graph.name, nodes)
        levels = {name: Level() for name, node in nodes.items() if pausing([node.stage])}
        for name, level in levels.items():
            shown.add(f"level/{name}", level, name, kind="tap")
        screen.levels = levels
        screen.devices = {name: told for name, node in nodes.items() if (told := _device_of(node.stage))}
        return screen, shown

    def __enter__(self) -> LiveScreen:
        self._live = live_block(self.console, redirect_stdout=True)
        self._live.start()
        return self

    def __exit__(self, *_: object) -> None:
        self._live.stop()

    def look(self, shot: Snapshot) -> None:
        for level in self.levels.values():
            level.fall()
        self._shot = shot
        self._draw()

    def say(self, text: str) -> None:
        self._settle(Styled(f"dragoman: {text}", style="yellow"))

    def caption(self, text: Text) -> None:
        """A text that is being said, or that is complete: then it settles into a line."""
        if line := self.captions.feed(text):
            self._settle(_labelled(sayable(sys.stderr, line)))

    def _settle(self, line: Styled) -> None:
        """Print above the block, which no longer shows what has settled."""
        with self.console:  # which writes both at once
            self._draw()
            self.console.print(line, soft_wrap=False)

    def _draw(self) -> None:
        """Draw the block as things are now."""
        if self._shot is None:
            return
        width = max(self.console.width - ROOM_FOR_ECHO, 20)
        lines = [sayable(sys.stderr, line) for line in self.captions.growing(width)]
        hint = HINT if self.keys else ""
        block = render_live(self._shot, width, self.levels, self.devices, lines, hint)
        self._live.update(block, refresh=True)


def render_live(
    shot: Snapshot,
    width: int,
    levels: Mapping[str, Level],
    devices: Mapping[str, str],
    growing: Sequence[str],
    hint: str = "",
) -> RenderableType:
    """The block for one moment: what is being said, each device, microphones with their level, what stages say."""
    rows: list[tuple[str, Styled]] = []
    for name in dict.fromkeys([*levels, *devices]):
        told = Styled()
        if shot.statuses.get(name) == "paused":
            told.append("paused, nothing is heard", "bold yellow")
        elif name in levels:
            told.append(levels[name].shown, "green")
        rows.append((name, told.append(f"{'  ' if told else ''}{devices.get(name, '')}")))
    rows += [(label, said) for label, said in states(shot) if label not in levels or said.plain != "paused"]
    rows.append(_foot(shot, hint))
    return Group(*(_cut(Styled(line, style="dim"), width) for line in growing), *_lines(rows, width))


def _lines(rows: Sequence[tuple[str, Styled]], width: int) -> Iterator[Styled]:
    """Labels, and behind them what is said of each."""
    most = min(max(len(label) for label, _ in rows), max(width // 4, 10))
    for label, told in rows:
        name = Styled(label, style="dim")
        name.truncate(most, overflow="ellipsis", pad=True)
        yield _cut(Styled.assemble(name, "  ", told), width)


def _cut(line: Styled, width: int) -> Styled:
    """`line`, as much of it as goes onto one line."""
    line.rstrip()
    line.truncate(width, overflow="ellipsis")
    line.no_wrap = True
    return line


def _labelled(line: str) -> Styled:
    """`[00:01.2] en-us: words`, of which the words stand out."""
    styled = Styled(line)
    styled.highlight_regex(r"^\[[0-9:.]+\]( [\w-]+:)?", "dim")
    return styled


def _foot(shot: Snapshot, hint: str) -> tuple[str, Styled]:
    """How far it is, where anybody can tell; else how long it goes on, what keys there are, and what was lost."""
    if shot.total_s is not None:
        return shot.graph, figures(shot)
    told = Styled(hint, style="dim")
    if shot.dropped_s:
        told.append(f"{'  ' if hint else ''}{shot.dropped_s:.1f} s dropped", style="bold red not dim")
    return clock(shot.wall_s), told


def _device_of(stage: object) -> str:
    """What the system calls a microphone's or speaker's device; empty where it has none, which is told later."""
    if not isinstance(stage, Microphone | Speaker):
        return ""
    with suppress(StageError):
        return find(stage.device, "input" if isinstance(stage, Microphone) else "output").name
    return ""


@define(kw_only=True)
class Level:
    """Hears how loud it is, and shows it: a tap, which never slows what it hears."""

    peak_db: float = field(init=False, default=_QUIETEST_DB)

    accepts: ClassVar[Mapping[str, Port]] = {"in": Port(AUDIO)}
    watches: ClassVar[bool] = True

    def gives(self, caps: Mapping[str, Caps]) -> Mapping[str, Caps]:
        return {}

    async def run(self, inbox: Inbox, outbox: Outbox) -> None:
        async for item in inbox:
            if isinstance(item, Audio) and item.frames:
                peak = float(np.abs(item.samples.astype(np.int32)).max()) / 32768
                self.peak_db = max(self.peak_db, 20 * math.log10(peak) if peak else _QUIETEST_DB)

    def fall(self) -> None:
        """Time goes by."""
        self.peak_db = max(self.peak_db - _FALLS_DB_A_LOOK, _QUIETEST_DB)

    @property
    def shown(self) -> str:
        """`=====-----  -31 dB`."""
        full = round((1 - self.peak_db / _QUIETEST_DB) * _STEPS)
        return f"{'=' * full}{'-' * (_STEPS - full)} {self.peak_db:4.0f} dB"


@define(kw_only=True)
class _Shown:
    """In place of `console`: shows captions on the screen that the run is drawn on."""

    screen: LiveScreen

    accepts: ClassVar[Mapping[str, Port]] = {"in": Port(TEXT, many=True)}

    def gives(self, caps: Mapping[str, Caps]) -> Mapping[str, Caps]:
        return {}

    async def run(self, inbox: Inbox, outbox: Outbox) -> None:
        async for item in inbox:
            if isinstance(item, Text):
                self.screen.caption(item)

    def counts(self) -> Mapping[str, int]:
        return {"captions": self.screen.captions.settled}
