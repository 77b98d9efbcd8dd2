"""One session over one socket, from its opening to its end, and why it could not be opened or has ended."""

from __future__ import annotations

from collections import deque
from collections.abc import AsyncIterator, Callable
from contextlib import AbstractAsyncContextManager, asynccontextmanager

import anyio
from attrs import define, field

from stages.translate.realtime.backoff import Pace
from stages.translate.realtime.events import (
    SAMPLE_RATE_HZ,
    Append,
    Closed,
    ErrorEvent,
    Event,
    Payload,
    Resume,
    SessionConfig,
    SessionStarting,
    SessionUpdate,
)
from stages.translate.realtime.link import SessionRefused
from stages.translate.realtime.protocol import ClientProtocol
from stages.translate.realtime.transport import ServiceUnreachable, Socket, SocketClosed, SocketOptions

__all__ = ["Interrupted", "Line", "Opener", "Refused", "open_line"]

Opener = Callable[[str, SocketOptions], AbstractAsyncContextManager[Socket]]
"""What opens a socket: `transport.open_socket`."""

AHEAD_S = 45.0
"""How far ahead of real time a session may be sent what the last one had: our own server takes 60 s."""
BROKEN, POLICY, PRIVATE = 1006, 1008, 4000
"""Close codes (RFC 6455, 7.4): no goodbye at all, against the rules, and the first of a service's own."""
PASSING = frozenset({1001, 1005, 1006, 1011, 1012, 1013, 1014})
"""Close codes of a service in trouble (RFC 6455 7.4.1 and IANA's registry): the next try may go well."""
PASSING_ERRORS = frozenset({"server_error", "rate_limit_error", "overloaded_error"})
FATAL_ERRORS = frozenset({"authentication_error", "billing_error"})
FATAL_CODES = frozenset({"insufficient_credits"})
KEY_LENGTH = 8


class Refused(Exception):
    """There will be no session, however often one asks. `exit_code` as in `StageError`."""

    def __init__(self, message: str, exit_code: int = 69) -> None:
        super().__init__(message)
        self.exit_code = exit_code


class Interrupted(Exception):
    """There is no session (any more), in one line why; the next try may go well.

    `unreachable`: nothing answered at the address at all; `broken`: the connection ended, and nobody ended it;
    `silent`: there was one, and the service said nothing.
    """

    def __init__(
        self, reason: str, *, unreachable: bool = False, broken: bool = False, silent: bool = False
    ) -> None:
        super().__init__(reason)
        self.unreachable = unreachable
        self.broken = broken
        self.silent = silent


@asynccontextmanager
async def open_line(
    opener: Opener,
    url: str,
    options: SocketOptions,
    config: SessionConfig,
    key: str,
    ready_within_s: float,
    starting: Callable[[], None],
    resume: Resume | None = None,
) -> AsyncIterator[Line]:
    """A session that is ready for audio; `starting` is called when the service says that it boots.

    With `resume` the one that was lost, where the service still has it (`received`), else another.

    Raises: Refused, Interrupted, both while it opens and out of what is done with it.
    """
    try:
        async with opener(url, options) as socket:
            line = Line(socket, ClientProtocol(config, resume), key)
            try:
                with anyio.fail_after(ready_within_s):
                    await line.open(starting)
            except TimeoutError:
                raise Interrupted(f"the service was not ready within {ready_within_s:g} s") from None
            yield line
    except ServiceUnreachable as failed:
        if failed.permanent:
            raise Refused(str(failed)) from failed
        raise Interrupted(str(failed), unreachable=True) from failed


@define(eq=False)
class Line:
    """A session and its socket. One task may `send` while another `receive`s."""

    socket: Socket
    protocol: ClientProtocol
    key: str = field(repr=False)
    target: str = field(init=False, default="")
    """The target language that was asked for last."""
    done: anyio.Event = field(init=False, factory=anyio.Event)
    """Set by who took over a spare line, once it has no more use for it."""
    _pace: Pace = field(init=False, factory=lambda: Pace(SAMPLE_RATE_HZ, AHEAD_S, credit_s=0))
    _error: ErrorEvent | None = field(init=False, default=None)
    _idle: anyio.CancelScope | None = field(init=False, default=None)
    _idled: anyio.Event = field(init=False, factory=anyio.Event)
    _sent: deque[tuple[float, int]] = field(init=False, factory=deque)
    _settled: int = field(init=False, default=0)

    async def open(self, starting: Callable[[], None]) -> None:
        """Say what is wanted, and wait until the service is ready. Raises Refused, Interrupted."""
        try:
            await self.socket.send(self.protocol.open(self.key))
            while self.protocol.state != "ready":
                if isinstance((await self._next_event()).payload, SessionStarting):
                    starting()
        except SocketClosed as closed:
            raise self._not_opened(closed) from closed
        self.target = self.protocol.config.target_language

    @property
    def received(self) -> int | None:
        """How many frames the service has got already, where it goes on with a session that was lost."""
        return None if self.protocol.resumption is None else self.protocol.resumption.received

    def wait_s(self, frames: int) -> float:
        """Seconds until `frames` more may be sent."""
        return self._pace.wait_s(frames, anyio.current_time())

    async def send(self, pcm: bytes, position: int) -> None:
        """Send PCM16, up to `position` of the replay window. Raises Refused, Interrupted."""
        self._sent.append((anyio.current_time(), position))
        told = self.protocol.acknowledge()
        try:
            if told is not None:
                await self.socket.send(told)
            await self.socket.send(self.protocol.send(Append(pcm)))
        except SocketClosed as closed:
            raise self._ended(closed) from closed

    async def translate_into(self, target: str) -> None:
        """Ask for another target language, from the next utterance on. Raises Refused, Interrupted."""
        self.target = target
        try:
            await self.socket.send(self.protocol.send(SessionUpdate(target_language=target)))
        except SocketClosed as closed:
            raise self._ended(closed) from closed

    async def receive(self) -> Payload | None:
        """What came; None for an event that we do not know. Raises Refused, Interrupted."""
        try:
            event = await self._next_event()
        except SocketClosed as closed:
            raise self._ended(closed) from closed
        if isinstance(event.payload, ErrorEvent):
            self._error = event.payload
        return event.payload if isinstance(event.payload, Payload) else None

    async def _next_event(self) -> Event:
        frame = await self.socket.receive()
        return self.protocol.receive(self._masked(frame) if isinstance(frame, str) else frame)

    def _masked(self, text: str) -> str:
        """`text` without the key, which a service may quote when it refuses it; a short one may be any word."""
        return text.replace(self.key, "***") if len(self.key) >= KEY_LENGTH else text

    def settled(self, age_s: float) -> int:
        """The position up to which everything was sent more than `age_s` ago."""
        by = anyio.current_time() - age_s
        while self._sent and self._sent[0][0] <= by:
            self._settled = self._sent.popleft()[1]
        return self._settled

    def say_again(self) -> None:
        """What is sent from now on lies before what was sent so far."""
        self._sent.clear()
        self._settled = 0

    # --- as a spare

    async def idle(self) -> None:
        """Listen to nothing in particular until somebody takes over. Raises Refused, Interrupted."""
        try:
            with anyio.CancelScope() as self._idle:
                while True:
                    await self.receive()
        finally:
            self._idled.set()

    async def take_over(self) -> None:
        """From now on the caller's: wait until nobody else listens."""
        if self._idle is not None:
            self._idle.cancel()
            await self._idled.wait()

    # --- why it is over

    def _not_opened(self, closed: SocketClosed) -> Refused | Interrupted:
        error = self.protocol.refused
        message = str(SessionRefused(error, Closed(closed.code, self._masked(closed.reason))))
        if error is not None and "language" in f"{error.code} {error.param}":
            return Refused(message, exit_code=2)
        passing = closed.code in PASSING or (error is not None and error.error_type in PASSING_ERRORS)
        refused = error is not None or closed.code == POLICY or closed.code >= PRIVATE
        return Refused(message) if refused and not passing else Interrupted(message)

    def _ended(self, closed: SocketClosed) -> Refused | Interrupted:
        error, how = self._error, self._masked(str(closed))
        if error is not None and (error.error_type in FATAL_ERRORS or error.code in FATAL_CODES):
            return Refused(f"the service ended the session: {error.message} ({error.code})")
        return Interrupted(f"{how}: {error.message}" if error is not None else how, broken=closed.code == BROKEN)
