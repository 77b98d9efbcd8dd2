"""What whoever runs a room sees of it, twice a second: everything that goes on; and what it may do.

It says `{"type":"hello","key":...}` first. Then `{"type":"pause","paused":true}`, or false, is for a microphone of
this machine; each snapshot tells as `microphone` whether one speaks, whether it is paused, and what is lost.
"""

from __future__ import annotations

import json
from collections.abc import Iterator, Mapping, Sequence
from functools import partial
from typing import Any, Protocol

import anyio
from attrs import define, field, frozen

from stages.patience import Patience
from stages.room.hello import message, presented
from stages.room.visits import LATER, Excluded, Visits, at_once
from stages.sockets import Socket

__all__ = ["Look", "Operators", "Watchable"]

SNAPSHOT_S = 0.5


@frozen
class Look:
    """A room at one moment, as plain data: its `figures`, and its `graphs` that run.

    `ledgers`, each with the graph's name, are of those that have ended since the last look.
    """

    figures: Mapping[str, Any]
    graphs: Sequence[Mapping[str, Any]]
    ledgers: Sequence[tuple[str, Mapping[str, Any]]] = ()


class Watchable(Protocol):
    """A room that can be watched."""

    def may_watch(self, key: str | None) -> bool:
        """Whether that is the operator's key."""

    def looks(self) -> Iterator[Look]:
        """Looks from now on, without end, each taken when it is asked for: one iterator for each operator."""

    def pause_microphone(self, paused: bool) -> None:
        """Have the microphones of this machine that speak here hear nothing, or hear again."""


@define(eq=False)
class Operators:
    """The operators of `room`."""

    room: Watchable
    patience: Patience = field(factory=Patience)
    limit: int = 8
    _here: int = field(init=False, default=0)
    _visits: Visits = field(init=False)
    _closing: anyio.Event = field(init=False, factory=anyio.Event)

    def __attrs_post_init__(self) -> None:
        self._visits = Visits(self.patience.send_s)

    async def serve(self, socket: Socket) -> int:
        """One operator, to its end; the close code. Raises nothing but cancellation."""
        return await self._visits.receive(socket, self._admit)

    async def close(self) -> None:
        """Tell everybody how it has ended, send them home, and return when they have gone."""
        self._closing.set()
        await self._visits.see_off()

    def cut(self) -> None:
        self._visits.cut()

    async def _admit(self, socket: Socket) -> None:
        await presented(socket, self.room.may_watch, "operator", self.patience.first_message_s)
        if self._here >= self.limit:
            raise Excluded("too_many_operators", f"{self.limit} operators watch this room already", LATER)
        socket.known()
        self._here += 1
        try:
            await at_once(partial(self._obey, socket), partial(self._tell, socket))
        finally:
            self._here -= 1

    async def _obey(self, socket: Socket) -> None:
        """Pause the room's microphone when the operator says so; all else is passed over. Raises: SocketGone."""
        while True:
            paused = message("pause", await socket.receive()).get("paused")
            if isinstance(paused, bool):
                self.room.pause_microphone(paused)

    async def _tell(self, socket: Socket) -> None:
        """Tell what there is now, again and again, and ledgers of graphs that end, until the room does.

        Raises: SocketGone.
        """
        send_s, begun = self.patience.send_s, anyio.current_time()
        looks = self.room.looks()
        over = False
        while not over:
            over = self._closing.is_set()
            look = next(looks)
            for graph, report in look.ledgers:
                await socket.send(_dump({"type": "ledger", "graph": graph, "report": report}), send_s)
            at_s = round(anyio.current_time() - begun, 2)
            snapshot = {"type": "snapshot", "at_s": at_s, "graphs": look.graphs, **look.figures}
            await socket.send(_dump(snapshot), send_s)
            with anyio.move_on_after(SNAPSHOT_S):
                await self._closing.wait()


def _dump(told: Mapping[str, Any]) -> str:
    """What JSON does not know, such as numpy's numbers that a stage counts with, as text."""
    return json.dumps(told, default=str)
