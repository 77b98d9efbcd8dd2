"""The room of a graph as its operators see it: the graph drawn live, who listens, and at the end the ledger."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping, Sequence
from typing import Any

import anyio
from attrs import define, field

from pipeline.stage import Pausable, Run
from stages.room.figures import figures, microphone_of
from stages.room.keys import RoomKeys
from stages.room.lag import Delays
from stages.room.operators import Look
from stages.room.room import Room

__all__ = ["Watching"]


@define(eq=False)
class Watching:
    """What is known beside `room` itself. Without a `run` nothing is known of a graph."""

    room: Room
    keys: RoomKeys | None = None
    """None: nobody may watch."""
    run: Run | None = None
    microphones: Sequence[Pausable] = ()
    """Those of the graph."""
    delays: Delays = field(init=False)

    def __attrs_post_init__(self) -> None:
        self.delays = Delays(lambda end_ms: None if self.run is None else self.run.behind_s(end_ms))

    def figures(self) -> Mapping[str, Any]:
        """What there is to tell beside the graph. Of a graph there are no sessions."""
        told = figures(self.room, self.delays, anyio.current_time())
        return {**told, "microphone": microphone_of(self.microphones), "sessions": []}

    @property
    def paused(self) -> bool:
        """Whether nothing is heard, since all microphones are paused, or lost."""
        return bool(self.microphones) and all(each.paused or each.lost for each in self.microphones)

    def notice_changes(self, notice: Callable[[], None]) -> None:
        """Have `notice` called whenever one is paused or lost, or goes on; who was called before still is."""
        for microphone in self.microphones:
            microphone.when_changed = _both(microphone.when_changed, notice)

    # --- for operators

    def may_watch(self, key: str | None) -> bool:
        return self.keys is not None and self.keys.may_watch(key)

    def looks(self) -> Iterator[Look]:
        """The ledger comes when the room has ended, which is when all that it gets has come."""
        run = self.run
        while run is None:
            yield Look(self.figures(), [])
        for graph in run.looks():
            ended = self.room.board.state == "ended"
            yield Look(self.figures(), [graph], [(graph["name"], run.ledger())] if ended else [])

    def pause_microphone(self, paused: bool) -> None:
        for microphone in self.microphones:
            microphone.paused = paused


def _both(one: Callable[[], None] | None, other: Callable[[], None]) -> Callable[[], None]:
    def call() -> None:
        if one is not None:
            one()
        other()

    return call
