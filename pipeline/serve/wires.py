"""What a session speaks over: one connection after the other, where a client that was cut off comes back.

Only a client of ours comes back, and it says so by acknowledging the events that it has got (see `Resumption`).
For any other nothing is kept, and its session ends with its connection. Else the events that are told wait here,
numbered, until they are acknowledged. When the connection is lost the session goes on: what it has to tell is
held. Who then asks for the session's token takes it over, over another connection: he is told what the server has
heard, and gets the events that he has not had. A token is of no use to anybody with another API key.
"""

from __future__ import annotations

import secrets
from collections import deque
from collections.abc import Callable, Iterable

import anyio
from attrs import define, field

from pipeline.serve.limits import Limits
from pipeline.serve.line import Line
from stages.sockets import SocketGone
from stages.translate.realtime.events import TOLD, Acknowledge, ClientMessage, Payload
from stages.translate.realtime.protocol import ServerProtocol

__all__ = ["Kept", "Told", "Wire", "Wires"]

GOODBYES = frozenset({1000, 1001})
"""Close codes of a client that has left for good (RFC 6455, 7.4.1)."""
_OBJECT_BYTES = 100
"""About what a frame costs beside its data, so that many small ones are bounded too."""


@define
class Told:
    """Frames that were told and not acknowledged, with their numbers; at most `limit_bytes` of them. Pure."""

    limit_bytes: int
    first: int = field(init=False, default=0)
    """The number of the oldest one that is held."""
    _frames: deque[str | bytes] = field(init=False, factory=deque)
    _bytes: int = field(init=False, default=0)

    def pass_by(self) -> None:
        """One is told that nobody will ask for again."""
        self.first += 1

    def clear(self) -> None:
        self.acknowledge(self.end)

    @property
    def end(self) -> int:
        """The number that the next one gets."""
        return self.first + len(self._frames)

    @property
    def full(self) -> bool:
        return self._bytes > self.limit_bytes

    def add(self, frame: str | bytes) -> None:
        self._frames.append(frame)
        self._bytes += len(frame) + _OBJECT_BYTES

    def acknowledge(self, events: int) -> None:
        """Let go of the first `events`; of those that were not told there is nothing to let go."""
        while self._frames and self.first < events:
            self._bytes -= len(self._frames.popleft()) + _OBJECT_BYTES
            self.first += 1

    def since(self, events: int) -> list[str | bytes]:
        """What comes behind the first `events`."""
        return list(self._frames)[max(0, events - self.first) :]


@define(eq=False)
class Wire:
    """One connection, and what the client of it has got of the session's events."""

    socket: Line
    protocol: ServerProtocol
    events: int = 0
    taken: bool = field(init=False, default=False)
    """A session speaks over it."""
    left: anyio.Event = field(init=False, factory=anyio.Event)
    """No session does, or will any more."""


@define(eq=False)
class Wires:
    """Receives and tells over the connection that there is. `away` while there is none, and one may come.

    `greeting` gives what a client that comes back is told first, and `moved` hears that `away` has changed.
    """

    wire: Wire
    limits: Limits
    greeting: Callable[[], Iterable[Payload]]
    moved: Callable[[bool], None]
    offered: bool = field(init=False, default=False)
    """The client has been given a token."""
    returns: bool = field(init=False, default=False)
    """It will come back when it is cut off: it has acknowledged something."""
    away: bool = field(init=False, default=False)
    closing: bool = field(init=False, default=False)
    """The session ends: nobody is waited for any more."""
    told: Told = field(init=False)
    _coming: Wire | None = field(init=False, default=None)
    _telling: anyio.Lock = field(init=False, factory=lambda: anyio.Lock(fast_acquire=True))
    _news: anyio.Event = field(init=False, factory=anyio.Event)

    def __attrs_post_init__(self) -> None:
        self.told = Told(self.limits.resume_bytes)
        self.wire.taken = True

    async def receive(self) -> ClientMessage | None:
        """What the client says next, over whichever connection; None for what is not for the session.

        Raises: SocketGone where it has gone for good; RemoteProtocolError.
        """
        while True:
            try:
                if self.away:
                    await self._return()
                frame = await self.wire.socket.receive()
            except SocketGone as gone:
                self._lose(gone)
                continue
            message = self.wire.protocol.receive(frame)
            if isinstance(message, Acknowledge):
                self._acknowledge(message.events)
                return None
            return message

    async def tell(self, payload: Payload) -> None:
        """Tell `payload`, now or when the client comes back. Raises SocketGone where it has gone for good."""
        if not self.returns:
            if type(payload) in TOLD:
                self.told.pass_by()
            await self._send(self.wire.protocol.send(payload))
            return
        while self.away and self.told.full:
            await self._change()
        async with self._telling:
            frame = self.wire.protocol.send(payload)
            if type(payload) in TOLD:
                self._hold(frame)
            if self.away:
                return
            try:
                await self._send(frame)
            except SocketGone as gone:
                self._lose(gone)

    async def take_over(self, wire: Wire) -> bool:
        """Go on over `wire`, until that is lost as well; False where this session cannot, or ends first."""
        if self.closing or not self.returns or not self.told.first <= wire.events <= self.told.end:
            self.give_up()
            return False
        if self._coming is not None:
            self._coming.left.set()
        self._coming = wire
        if not self.away:  # half open: nobody has told the server yet
            await self.wire.socket.cut()
        self._ring()
        await wire.left.wait()
        return wire.taken

    def give_up(self) -> None:
        """Wait for nobody any more, and keep nothing."""
        self.returns = False
        self.told.clear()
        self._ring()

    def close(self) -> None:
        """The session is over: let go of the connections."""
        self.closing = True
        for wire in (self.wire, self._coming):
            if wire is not None:
                wire.left.set()
        self._ring()

    async def _return(self) -> None:
        """Wait until the client is back, and tell it what it has missed. Raises SocketGone."""
        with anyio.move_on_after(self.limits.resume_s):
            while self._coming is None and self.returns:
                await self._change()
        wire, self._coming = self._coming, None
        if wire is None:
            self.give_up()
            raise SocketGone(1006)
        async with self._telling:
            self.wire.left.set()
            self.wire, wire.taken = wire, True
            for payload in self.greeting():
                await self._send(wire.protocol.send(payload))
            self.told.acknowledge(wire.events)
            for frame in self.told.since(wire.events):
                await self._send(frame)
            self._move(away=False)

    def _lose(self, gone: SocketGone) -> None:
        """The connection is lost. Raises `gone` where the client will not come back."""
        expected = self.returns and gone.code not in GOODBYES and not self.closing
        if self._coming is None and not expected:
            raise gone
        self._move(away=True)

    def _acknowledge(self, events: int) -> None:
        self.returns = self.offered and not self.closing
        self.told.acknowledge(events)

    def _hold(self, frame: str | bytes) -> None:
        """Hold `frame` for a client that may come back; one that acknowledges nothing any more may not."""
        self.told.add(frame)
        if self.told.full and not self.away:
            self.give_up()

    async def _send(self, frame: str | bytes) -> None:
        await self.wire.socket.send(frame, self.limits.send_s)

    def _move(self, *, away: bool) -> None:
        if away != self.away:
            self.away = away
            self.moved(away)
            self._ring()

    async def _change(self) -> None:
        await self._news.wait()

    def _ring(self) -> None:
        self._news.set()
        self._news = anyio.Event()


@define(eq=False)
class Kept:
    """The sessions that can be gone on with, by token, each for the API key that it began with."""

    _sessions: dict[str, tuple[str | None, Wires]] = field(init=False, factory=dict)

    def offer(self, key: str | None, wires: Wires) -> str:
        """A token for a session of `key`, which nobody can guess."""
        token = secrets.token_urlsafe(24)
        self._sessions[token] = key, wires
        return token

    def find(self, token: str, key: str | None) -> Wires | None:
        owner, wires = self._sessions.get(token, (None, None))
        return wires if owner == key else None

    def forget(self, token: str) -> None:
        self._sessions.pop(token, None)
