"""The speaker of a room: a session of the realtime protocol whose audio goes to the hall.

What the hall has to tell a speaker is put down here without waiting, up to a bound: a speaker's phone that reads
nothing must not hold up what its listeners get.
"""

from __future__ import annotations

import json
from collections import deque
from collections.abc import Awaitable, Callable, Iterator
from contextlib import contextmanager
from typing import TYPE_CHECKING, ClassVar

import anyio
from attrs import define, evolve, field

from pipeline.serve.hosts import Work
from pipeline.serve.intake import Intake
from pipeline.serve.limits import Refusal
from pipeline.serve.line import Line
from pipeline.serve.opening import spoken
from pipeline.serve.session import Session
from stages.sockets import Socket, SocketGone
from stages.translate.realtime.events import (
    SAMPLE_RATE_HZ,
    ErrorEvent,
    Payload,
    SessionConfig,
    SessionUpdate,
)

if TYPE_CHECKING:
    from pipeline.serve.room.hall import Hall

__all__ = ["Speaker", "speaker_session"]

BACKLOG_LIMIT = 1000
STATUS_S = 0.5
"""A status is told at most twice a second."""
NORMAL = 1000
"""Close code: what the connection was for is done (RFC 6455, 7.4.1)."""


def speaker_session(socket: Socket, hall: Hall) -> Session:
    """A session for whoever shows the speaker's key."""
    speaker = Speaker(hall)
    heeding = Heeding(socket, speaker)
    speaker.session = session = Session(heeding, hall.service, speaker)
    speaker.say = heeding.say
    return session


@define(eq=False)
class Speaker:
    """One speaker's session, as its host and as its work."""

    hall: Hall
    session: Session | None = field(init=False, default=None)
    say: Callable[[dict[str, object]], Awaitable[None]] | None = field(init=False, default=None)
    """Sends what the realtime protocol has no event for."""
    config: SessionConfig = field(init=False, factory=lambda: SessionConfig("auto"))
    paused: bool = field(init=False, default=False)
    """What it says itself; one that comes back in a pause says so before anything else."""
    _deaf: Intake = field(init=False, factory=Intake)
    """Where audio goes in a pause: nothing said then is kept."""
    _began: int = field(init=False, default=0)
    _since: float = field(init=False, factory=anyio.current_time)
    _backlog: deque[Payload] = field(init=False, factory=deque)
    _news: anyio.Event = field(init=False, factory=anyio.Event)
    _over: anyio.Event = field(init=False, factory=anyio.Event)
    _tell: Callable[[Payload], Awaitable[None]] | None = field(init=False, default=None)

    def __attrs_post_init__(self) -> None:
        self._deaf.close()

    # --- as a host

    resumes: ClassVar[bool] = False
    """Whoever comes back goes on in the hall, where the audio stopped."""

    def name_of(self, update: SessionUpdate, socket: Line) -> str | None:
        if socket.foreign:
            raise Refusal.of("foreign_origin", "another site has opened this: open the speaker's link itself")
        if not self.hall.keys.may_speak(update.api_key):
            code = "invalid_api_key" if update.api_key else "missing_api_key"
            message = "this is not the speaker's key of this room: open the speaker's link again"
            raise Refusal(ErrorEvent(message, code, "authentication_error", "auth.api_key"))
        return "the room's speaker"

    @contextmanager
    def let_in(self, update: SessionUpdate, key: str | None, socket: Line) -> Iterator[SessionConfig]:
        assert update.opening is not None
        config = spoken(update.opening)
        self.hall.take(self)
        try:
            yield config
        finally:
            self.hall.release(self)
            if self._deaf.unheard_s:
                self.hall.service.metrics.dropped_s.labels("paused").inc(self._deaf.unheard_s)

    def changed(self, config: SessionConfig, update: SessionUpdate) -> SessionConfig:
        """Only what is spoken is for the speaker to say."""
        source = update.source_language
        return config if source is None else spoken(evolve(config, source_language=source))

    def work(self, config: SessionConfig, tell: Callable[[Payload], Awaitable[None]], name: str) -> Work:
        self.config, self._tell = config, tell
        return self

    @property
    def idle_s(self) -> float:
        """A pause may be long, and pings tell whether anybody is there."""
        return self.hall.service.limits.session_s

    # --- as the work

    @property
    def intake(self) -> Intake:
        return self._deaf if self.hall.paused or self.hall.speaker is not self else self.hall.intake

    @property
    def heard_s(self) -> float:
        return (self.hall.intake.position - self._began) / SAMPLE_RATE_HZ

    @property
    def dropped_s(self) -> float:
        """What waits in the hall when this session is over is still listened to."""
        return 0.0

    @property
    def busy_s(self) -> float | None:
        """What the engine does for a room is not one session's."""
        return None

    async def run(self) -> None:
        """Until it is closed, or the hall hears no more."""
        self._began, self._since = self.hall.intake.position, anyio.current_time()
        self.hall.hear(self.config)
        async with anyio.create_task_group() as tasks:
            tasks.start_soon(self._tell_events)
            tasks.start_soon(self._tell_status)
            await self._over.wait()
            tasks.cancel_scope.cancel()

    def change(self, config: SessionConfig) -> Iterator[Payload]:
        self.config = config
        yield from self.hall.change(config)

    def ignore(self, item_id: str) -> None:
        self.hall.ignore(item_id)

    def close(self) -> None:
        self._over.set()

    # --- what the hall does to it

    def told(self, payload: Payload) -> None:
        """Tell it `payload`, soon."""
        if len(self._backlog) >= BACKLOG_LIMIT:
            self.dismiss("not_reading", "too much waits to be read")
            return
        self._backlog.append(payload)
        self._news.set()

    def pause(self, paused: bool) -> None:
        """It sends nothing meanwhile, and nothing is heard."""
        self.paused = paused
        if self.hall.speaker is self:
            self.hall.notice()

    def figures(self, now: float) -> dict[str, object]:
        """What an operator is told of it."""
        assert self.session is not None
        state = self.hall.room.board.state
        return {"name": self.session.name, "state": state, "since_s": round(now - self._since, 1)}

    def dismiss(self, code: str, message: str, close_code: int = 1008) -> None:
        assert self.session is not None
        self.session.dismiss(Refusal(ErrorEvent(message, code, "invalid_request_error"), close_code))

    def taken_over(self) -> None:
        """Somebody else speaks from now on."""
        self.dismiss("taken_over", "somebody else speaks now, with the same key", NORMAL)

    def failed(self) -> None:
        """The engine hears no more."""
        assert self.session is not None
        error = ErrorEvent("the engine cannot recognise speech now", "engine_failed", "server_error")
        self.session.dismiss(Refusal(error, 1011))

    # --- telling

    async def _tell_events(self) -> None:
        assert self._tell is not None
        while True:
            while self._backlog:
                await self._tell(self._backlog.popleft())
            self._news = anyio.Event()
            await self._news.wait()

    async def _tell_status(self) -> None:
        """Tell of the room whenever it changes, until the socket has gone."""
        assert self.say is not None
        assert self.session is not None
        told: dict[str, object] = {}
        try:
            while True:
                changed = self.hall.changed
                if (status := self.hall.status()) != told:
                    told = status
                    await self.say({"type": "room.status", **status})
                await anyio.sleep(STATUS_S)
                await changed.wait()
        except SocketGone as gone:
            self.session.dismiss(gone)


@define(eq=False)
class Heeding:
    """A speaker's socket, which heeds what the realtime protocol does not know: `room.pause`."""

    _socket: Socket
    _speaker: Speaker

    @property
    def address(self) -> str:
        return self._socket.address

    @property
    def foreign(self) -> bool:
        return self._socket.foreign

    def header(self, name: str) -> str | None:
        return self._socket.header(name)

    def known(self) -> None:
        self._socket.known()

    async def receive(self) -> str | bytes:
        while True:
            frame = await self._socket.receive()
            if (paused := _pause(frame)) is None:
                return frame
            self._speaker.pause(paused)

    async def send(self, frame: str | bytes, timeout_s: float) -> None:
        await self._socket.send(frame, timeout_s)

    async def close(self, code: int, reason: str = "") -> None:
        await self._socket.close(code, reason)

    async def cut(self) -> None:
        await self._socket.cut()

    async def say(self, message: dict[str, object]) -> None:
        await self._socket.send(json.dumps(message), self._speaker.hall.service.limits.send_s)


def _pause(frame: str | bytes) -> bool | None:
    """Whether a pause begins (True) or ends with `frame`; None where it says nothing of pauses."""
    if isinstance(frame, bytes) or '"room.pause"' not in frame[:200]:
        return None
    try:
        raw = json.loads(frame)
    except (ValueError, RecursionError):
        return None
    is_pause = isinstance(raw, dict) and raw.get("type") == "room.pause" and isinstance(raw.get("paused"), bool)
    return bool(raw["paused"]) if is_pause else None
