"""What whoever runs a room sees of it, twice a second: everything that goes on; and what it may do.

It says `{"type":"hello","key":...}` first. Then `{"type":"pause","paused":true}`, or false, is for a microphone of
this machine; each snapshot tells as `microphone` whether one speaks, and whether it is paused.
"""

from __future__ import annotations

import json
from functools import partial
from typing import TYPE_CHECKING

import anyio
from attrs import define, field

from pipeline.serve.room.figures import figures
from pipeline.serve.room.hello import message, presented
from pipeline.snapshot import GraphSnapshot, take
from stages.room.visits import LATER, Excluded, Visits, at_once
from stages.sockets import Socket

if TYPE_CHECKING:
    from pipeline.serve.room.hall import Hall

__all__ = ["GRAPHS", "Operators"]

GRAPHS = "room "
"""What the names of a room's graphs begin with, among all of the server's."""

SNAPSHOT_S = 0.5


@define(eq=False)
class Operators:
    """The operators of a hall."""

    hall: Hall
    limit: int = 8
    _here: int = field(init=False, default=0)
    _visits: Visits = field(init=False)
    _closing: anyio.Event = field(init=False, factory=anyio.Event)

    def __attrs_post_init__(self) -> None:
        self._visits = Visits(self.hall.service.limits.send_s)

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
        await presented(socket, self.hall.keys.may_watch, "operator", self.hall.service.limits.first_message_s)
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
                self.hall.pause_microphone(paused)

    async def _tell(self, socket: Socket) -> None:
        """Tell what there is now, again and again, and ledgers of graphs that end, until the room does.

        Raises: SocketGone.
        """
        send_s, watched = self.hall.service.limits.send_s, self.hall.service.watched
        begun, told = anyio.current_time(), watched.ended
        graphs: dict[str, GraphSnapshot] = {}
        over = False
        while not over:
            over = self._closing.is_set()
            for ended in watched.ended_since(told):
                if ended.name.startswith(GRAPHS):
                    ledger = {"type": "ledger", "graph": _short(ended.name), "report": ended.report.as_json()}
                    await socket.send(json.dumps(ledger), send_s)
                told = ended.number
            now = anyio.current_time()
            graphs = {
                name: take(execution, graphs.get(name), name=_short(name))
                for name, execution in watched.graphs.items()
                if name.startswith(GRAPHS)
            }
            snapshot = {
                "type": "snapshot",
                "at_s": round(now - begun, 2),
                "graphs": [graph.as_json() for graph in graphs.values()],
                **figures(self.hall, now),
            }
            await socket.send(json.dumps(snapshot), send_s)
            with anyio.move_on_after(SNAPSHOT_S):
                await self._closing.wait()


def _short(name: str) -> str:
    return name.removeprefix(GRAPHS)
