"""An open session without its users: one socket, the protocol's state, and a task that reads.

What comes goes into a backlog, so that reading does not wait for whoever handles it, until more than
`backlog_bytes` wait there; then nothing more is read, and the service has to wait. It does not wait for ever:
while nothing is read, its answers to our pings are not either, and after `ping_timeout_s` the connection ends.
"""

from __future__ import annotations

from collections.abc import AsyncIterator, Callable, Coroutine
from contextlib import asynccontextmanager, suppress
from typing import Any
from weakref import WeakSet

import anyio
from anyio import CancelScope
from attrs import define, field

from stages.translate.realtime.backlog import Backlog
from stages.translate.realtime.events import ClientMessage, Closed, ErrorEvent, Event
from stages.translate.realtime.outstanding import Outstanding
from stages.translate.realtime.protocol import ClientProtocol
from stages.translate.realtime.transport import RealtimeError, Socket, SocketClosed, SocketOptions, open_socket

__all__ = ["Link", "SessionEnded", "SessionNotReady", "SessionRefused"]

_KEY_LENGTH = 8


class SessionRefused(RealtimeError):
    """The service said no, or ended the connection, before the session was ready.

    `code` and `param` are those of its error, where it sent one; `close_code` that of its goodbye, likewise.
    """

    def __init__(self, error: ErrorEvent | None, closed: Closed | None) -> None:
        super().__init__(_refusal(error, closed))
        self.code = error.code if error else None
        self.param = error.param if error else None
        self.close_code = closed.code if closed else None


class SessionNotReady(RealtimeError, TimeoutError):
    """The service took too long to be ready."""


class SessionEnded(SocketClosed):
    """The connection has ended, and the session with it: what was not answered by then never will be."""

    def __init__(self, closed: Closed) -> None:
        super().__init__(closed.code, closed.reason)
        self.args = (f"the session has ended: {self}; connect again for another",)


def _refusal(error: ErrorEvent | None, closed: Closed | None) -> str:
    if error is None:
        how = f"{closed.code} {closed.reason}".strip() if closed else ""
        return f"the service ended the connection before the session was ready: {how}"
    details = ", ".join(filter(None, (error.code, error.param)))
    return f"the service refused the session: {error.message}" + (f" ({details})" if details else "")


@define(eq=False)
class Link:
    """One connection to `url`, opened once. `arrived` holds the events that came."""

    protocol: ClientProtocol
    url: str
    api_key: str = field(repr=False)
    options: SocketOptions
    arrived: Backlog
    ended: Closed | None = field(init=False, default=None)
    """How the connection ended."""
    leaving: bool = field(init=False, default=False)
    """It ends because we wanted it to."""
    last_sign: float = field(init=False, default=0.0)
    """When something was last sent or received, on the event loop's clock."""
    outstanding: Outstanding = field(init=False, factory=Outstanding)
    """What the service has begun to answer."""
    _socket: Socket | None = field(init=False, default=None)
    _settled: anyio.Event = field(init=False, factory=anyio.Event)
    """The session is ready, or it never will be."""
    _was_ready: bool = field(init=False, default=False)
    _scopes: WeakSet[CancelScope] = field(init=False, factory=WeakSet)

    @asynccontextmanager
    async def open(self, beside: Callable[[], Coroutine[Any, Any, None]]) -> AsyncIterator[None]:
        """Connect, and say what is wanted; `beside` runs as long as the block does.

        What the block raises comes out as it is. Raises: ServiceUnreachable on entering.
        """
        failure: Exception | None = None
        async with open_socket(self.url, self.options) as socket, anyio.create_task_group() as group:
            self._socket = socket
            self.last_sign = anyio.current_time()
            group.start_soon(self._read, socket)
            group.start_soon(beside)
            try:
                yield
            except Exception as error:  # noqa: BLE001 - raised again below: a task group would wrap it
                failure = error
            finally:
                group.cancel_scope.cancel()
                self._end(Closed(1000))
        if failure is not None:
            raise failure

    async def close(self) -> None:
        """Say goodbye. What the service has not sent by then is lost."""
        if self._socket is not None:
            self.leaving = True
            await self._socket.close()

    async def send(self, message: ClientMessage) -> None:
        """Raises LocalProtocolError where the session does not take it (now), SessionEnded."""
        socket = self.check_open()
        frame = self.protocol.send(message)
        self.last_sign = anyio.current_time()
        try:
            await socket.send(frame)
        except SocketClosed as closed:
            raise SessionEnded(Closed(closed.code, self._masked(closed.reason))) from None

    async def wait_until_ready(self, timeout_s: float | None) -> None:
        """Raises SessionRefused, SessionEnded for a session that was ready once, SessionNotReady."""
        self._check_entered()
        with anyio.move_on_after(timeout_s):
            await self._settled.wait()
        if self._was_ready:
            self.check_open()
        elif self.ended is not None or self.protocol.refused is not None:
            raise SessionRefused(self.protocol.refused, self.ended)
        else:
            boots = ": it is still starting" if self.protocol.state == "starting" else ""
            raise SessionNotReady(f"the service was not ready after {timeout_s:g} s{boots}")

    def while_open(self) -> CancelScope:
        """A scope that is cancelled when the connection ends."""
        self._check_entered()
        scope = CancelScope()
        self._scopes.add(scope)
        if self.ended is not None:
            scope.cancel()
        return scope

    def check_open(self) -> Socket:
        """The socket. Raises SessionEnded where the connection has ended, RuntimeError where it never began."""
        socket = self._check_entered()
        if self.ended is not None:
            raise SessionEnded(self.ended)
        return socket

    def _check_entered(self) -> Socket:
        if self._socket is None:
            raise RuntimeError("enter the session first: `async with session:`")
        return self._socket

    async def _read(self, socket: Socket) -> None:
        with suppress(SocketClosed):  # what the service had to say before it closed is still to be read
            await socket.send(self.protocol.open(self.api_key))
        try:
            while True:
                frame = await socket.receive()
                event = self._understood(frame)
                if not self.arrived.offer(event, len(frame)):
                    await self.arrived.put(event, len(frame))
        except SocketClosed as closed:
            last = self._end(Closed(closed.code, self._masked(closed.reason)))
        if last is not None:
            await self.arrived.put(last, 0)
            self.arrived.close()

    def _understood(self, frame: str | bytes) -> Event:
        self.last_sign = anyio.current_time()
        event = self.protocol.receive(self._masked(frame) if isinstance(frame, str) else frame)
        self.outstanding.hear(event, self.protocol.config)
        if self.protocol.state == "ready" and not self._was_ready:
            self._was_ready = True
            self._settled.set()
        return event

    def _end(self, closed: Closed) -> Event | None:
        """Let go of all who wait for the connection; gives the event that tells of it, the first time."""
        event = self.protocol.closed(closed.code, closed.reason)
        if event is not None:
            self.ended = closed
            self._settled.set()
            for scope in list(self._scopes):
                scope.cancel()
        return event

    def _masked(self, text: str) -> str:
        """`text` without the key: a service may quote it when it refuses it. A short one may be any word."""
        return text.replace(self.api_key, "***") if len(self.api_key) >= _KEY_LENGTH else text
