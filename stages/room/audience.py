"""The listeners' end of a room on the network: lets phones in, up to a number, and keeps each one up to date.

Each has a task of its own that sends what comes next and waits for more. A phone that does not read holds up that
task alone; after `send_s` it is cut off, connects again by itself, and is given the lines that it has missed.
"""

from __future__ import annotations

from collections import Counter
from functools import partial

import anyio
from anyio.lowlevel import checkpoint
from attrs import define, field, frozen

from pipeline.bell import Bell
from stages.patience import Manners, Patience
from stages.room.listener import Listener
from stages.room.room import Room
from stages.room.visits import LATER, Excluded, Visits, at_once
from stages.room.wire import WireError, parse_wish
from stages.sockets import Socket

__all__ = ["Audience", "AudienceLimits"]

SYSTEM_BYTES = 65_536
"""What may lie in the system for a phone that does not read: a second of sound, and all its captions."""


@frozen(kw_only=True)
class AudienceLimits(Patience):
    """How many may listen."""

    listeners: int = 500
    listeners_per_address: int = 500
    """A hall full of phones may share one address."""


@define(eq=False)
class Audience:
    """All who listen in `room`."""

    room: Room
    limits: AudienceLimits = field(factory=AudienceLimits)
    _visits: Visits = field(init=False)
    _addresses: Counter[str] = field(init=False, factory=Counter)
    _closing: bool = field(init=False, default=False)

    def __attrs_post_init__(self) -> None:
        self._visits = Visits(self.limits.send_s)

    @property
    def size(self) -> int:
        return self._addresses.total()

    async def serve(self, socket: Socket) -> int:
        """One listener, to its end; the close code. Raises nothing but cancellation."""
        return await self._visits.receive(socket, self._admit)

    async def close(self) -> None:
        """Give everybody what there still is, send them home, and return when they have gone."""
        self._closing = True
        for listener in self.room.listeners:
            listener.ring()
        await self._visits.see_off()

    def cut(self) -> None:
        self._visits.cut()

    # --- one listener

    async def _admit(self, socket: Socket) -> None:
        limits, address = self.limits, socket.address
        if self.size >= limits.listeners:
            raise Excluded("room_full", f"all {limits.listeners} places of this room are taken", LATER)
        if self._addresses[address] >= limits.listeners_per_address:
            most = limits.listeners_per_address
            raise Excluded("too_many_listeners_for_address", f"this address has {most} listeners already", LATER)
        self._addresses[address] += 1
        try:
            await self._attend(socket)
        finally:
            self._addresses[address] -= 1
            if not self._addresses[address]:
                del self._addresses[address]

    async def _attend(self, socket: Socket) -> None:
        bell = Bell()
        listener = Listener(self.room.board, bell.ring)
        await self._hello(socket, listener)
        socket.known()
        socket.hold_little(SYSTEM_BYTES)
        self.room.join(listener)
        try:
            await at_once(partial(self._listen, socket, listener), partial(self._tell, socket, listener, bell))
        finally:
            self.room.leave(listener)

    async def _hello(self, socket: Socket, listener: Listener) -> None:
        limit_s = self.limits.first_message_s
        with anyio.move_on_after(limit_s):
            try:
                listener.choose(parse_wish(await socket.receive()), anyio.current_time())
            except WireError as wrong:
                raise Excluded(wrong.code, str(wrong)) from None
            return
        raise Excluded("no_hello", f"no hello came within {limit_s:g} s")

    async def _listen(self, socket: Socket, listener: Listener) -> None:
        """Take its wishes. Raises: SocketGone, and Excluded where too little of what it says can be understood."""
        manners = Manners(self.limits.mistakes)
        while True:
            frame = await socket.receive()
            try:
                self.room.choose(listener, parse_wish(frame), anyio.current_time())
                manners.good()
            except WireError as wrong:
                if manners.bad():
                    raise Excluded("too_many_errors", "too many messages could not be understood") from None
                listener.complain(wrong.code, str(wrong))

    async def _tell(self, socket: Socket, listener: Listener, bell: Bell) -> None:
        """Send what there is, and wait for more; return when the room ends. Raises: SocketGone."""
        while True:
            while (frame := listener.next(anyio.current_time())) is not None:
                if isinstance(frame, bytes):
                    await checkpoint()  # everybody's captions come before anybody's sound
                await socket.send(frame, self.limits.send_s)
            if self._closing:
                return
            await bell.wait()
