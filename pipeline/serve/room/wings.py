"""Who holds the speaker's key and does not speak yet: hears at once whether the key is right, and how the room is.

It says hello with its key. Then it is told the room, as listeners are, and as `room.status` who listens, whenever
that changes; at most twice a second.
"""

from __future__ import annotations

import json
from functools import partial
from typing import TYPE_CHECKING

import anyio
from attrs import define, field

from pipeline.serve.room.speaker import STATUS_S
from stages.room.hello import presented
from stages.room.visits import LATER, Excluded, Visits, at_once
from stages.sockets import Socket

if TYPE_CHECKING:
    from pipeline.serve.room.hall import Hall

__all__ = ["Wings"]


@define(eq=False)
class Wings:
    """Those who wait to speak in a hall."""

    hall: Hall
    limit: int = 32
    _here: int = field(init=False, default=0)
    _visits: Visits = field(init=False)

    def __attrs_post_init__(self) -> None:
        self._visits = Visits(self.hall.service.limits.send_s)

    async def serve(self, socket: Socket) -> int:
        """One of them, to its end; the close code. Raises nothing but cancellation."""
        return await self._visits.receive(socket, self._admit)

    def cut(self) -> None:
        """Send everybody home: a room that ends waits for nobody who only waits."""
        self._visits.cut()

    async def _admit(self, socket: Socket) -> None:
        await presented(socket, self.hall.keys.may_speak, "speaker", self.hall.service.limits.first_message_s)
        if self._here >= self.limit:
            raise Excluded("too_many_waiting", f"{self.limit} pages wait to speak in this room already", LATER)
        socket.known()
        self._here += 1
        try:
            await at_once(partial(self._pass_over, socket), partial(self._tell, socket))
        finally:
            self._here -= 1

    async def _pass_over(self, socket: Socket) -> None:
        """There is nothing to be said here. Raises: SocketGone."""
        while True:
            await socket.receive()

    async def _tell(self, socket: Socket) -> None:
        """Raises: SocketGone."""
        hall, told = self.hall, dict[str, str]()
        while True:
            changed = hall.changed
            status = json.dumps({"type": "room.status", **hall.status()})
            for kind, frame in (("room", hall.room.board.frame), ("status", status)):
                if told.get(kind) != frame:
                    told[kind] = frame
                    await socket.send(frame, hall.service.limits.send_s)
            await anyio.sleep(STATUS_S)
            await changed.wait()
