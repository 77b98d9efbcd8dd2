"""Ways of looking at a run: plain lines for a log, JSON Lines for a program, nothing for who wants quiet.

The terminal's own view is in `pipeline.cli.screen`, which needs rich.
"""

from __future__ import annotations

import sys
from collections.abc import Mapping
from typing import ClassVar

from attrs import asdict, define, field

from pipeline.caps import TEXT, Caps, Port
from pipeline.cli.json_lines import JsonLines
from pipeline.cli.watch import Snapshot
from pipeline.cli.words import clock, times
from pipeline.graph import Graph
from pipeline.items import Text
from pipeline.node import Read
from pipeline.stage import Inbox, Outbox, StageError

__all__ = ["JsonView", "PlainView", "QuietView", "with_texts_told"]

LOG_EVERY_S = 5.0
"""How often a run tells a log where it is, if nothing else happens."""


@define
class QuietView:
    """Says only what must be said."""

    every_s: float = 3600.0

    def __enter__(self) -> QuietView:
        return self

    def __exit__(self, *_: object) -> None:
        pass

    def look(self, shot: Snapshot) -> None:
        pass

    def say(self, text: str) -> None:
        print(f"dragoman: {text}", file=sys.stderr)


@define
class PlainView(QuietView):
    """A line when a stage has something to say, and every `log_every_s` where the run is.

    Of a live run nobody wants to know where it is: only what it drops, and what it waits for in the end.
    """

    every_s: float = 0.5
    log_every_s: float = LOG_EVERY_S
    _told_s: float = field(init=False, default=0.0)
    _dropped_s: float = field(init=False, default=0.0)
    _statuses: Mapping[str, str] = field(init=False, factory=dict)

    def look(self, shot: Snapshot) -> None:
        for stage, status in shot.statuses.items():
            if self._statuses.get(stage) != status:
                self.say(f"{stage}: {status}")
        self._statuses = shot.statuses
        if shot.wall_s - self._told_s >= self.log_every_s:
            self._told_s = shot.wall_s
            if not shot.live or shot.stopping or shot.dropped_s > self._dropped_s:
                self.say(", ".join(part for part in _progress(shot) if part))
            self._dropped_s = shot.dropped_s


def _progress(shot: Snapshot) -> list[str]:
    total = f" of {clock(shot.total_s)}" if shot.total_s is not None else ""
    left = shot.left_s
    return [
        f"{clock(shot.done_s)}{total}",
        f"{times(shot.times_realtime)} real time" if shot.done_s > 0 and not shot.live else "",
        f"{clock(left)} left" if left is not None else "",
        f"{shot.dropped_s:.1f} s dropped" if shot.dropped_s else "",
        f"waiting for {', '.join(shot.waiting_for)}" if shot.stopping and shot.waiting_for else "",
    ]


# --- for programs


@define
class JsonView(QuietView):
    """The run as JSON Lines: `progress` every second, and `state` when it is told to stop."""

    lines: JsonLines = field(kw_only=True)
    every_s: float = 1.0

    def look(self, shot: Snapshot) -> None:
        self.lines.write(
            "progress",
            done_s=round(shot.done_s, 3),
            total_s=shot.total_s and round(shot.total_s, 3),
            wall_s=round(shot.wall_s, 3),
            times_realtime=round(shot.times_realtime, 3),
            dropped_s=round(shot.dropped_s, 3),
            queues=[asdict(queue) for queue in shot.queues],
            statuses=dict(shot.statuses),
            waiting_for=list(shot.waiting_for),
        )

    def say(self, text: str) -> None:
        self.lines.write("state", text=text)


@define(kw_only=True)
class TextsAsJson:
    """Writes every text that `output` gives as a JSON line."""

    lines: JsonLines
    output: str

    accepts: ClassVar[Mapping[str, Port]] = {"in": Port(TEXT)}

    def gives(self, caps: Mapping[str, Caps]) -> Mapping[str, Caps]:
        return {}

    async def run(self, inbox: Inbox, outbox: Outbox) -> None:
        async for item in inbox:
            if isinstance(item, Text):
                self._write(item)

    def _write(self, text: Text) -> None:
        try:
            self.lines.write("text", output=self.output, **asdict(text))
        except BrokenPipeError:
            raise StageError("nobody reads standard output any more") from None


def with_texts_told(graph: Graph, lines: JsonLines) -> Graph:
    """`graph` with every text that somebody in it reads also written to `lines`."""
    outputs = {(edge.producer, edge.out_port): None for edge in graph.edges() if edge.caps == TEXT}
    told = Graph(graph.name, dict(graph.nodes))
    for stage, port in outputs:
        name = f"json/{stage}-{port}"
        told.add(name, TextsAsJson(lines=lines, output=f"{stage}.{port}"), Read(stage, port), kind="json")
    return told
