"""One session: a client on one side, an interpretation on the other, and the rules between them.

Three tasks, and one end: one listens to the client, one watches the clock, one interprets. Whichever finds the
end first says why (`_end`) and cancels the others. The last words are said after that, when nobody else speaks.
"""

from __future__ import annotations

import logging

import anyio
from anyio.lowlevel import checkpoint
from attrs import Factory, define, field

from pipeline.serve.hosts import Host, Public, Work
from pipeline.serve.limits import GOING_AWAY, Pace, Refusal, full
from pipeline.serve.line import Line
from pipeline.serve.service import Service
from pipeline.serve.wires import Wire, Wires
from pipeline.stage import StageError
from stages.patience import Manners
from stages.sockets import SocketGone
from stages.translate.realtime.events import (
    SAMPLE_RATE_HZ,
    Append,
    ClientMessage,
    ErrorEvent,
    IgnoreForDetection,
    Payload,
    RemoteProtocolError,
    Resume,
    Resumption,
    SessionConfig,
    SessionCreated,
    SessionStarting,
    SessionUpdate,
    SessionUpdated,
    TranscriptCompleted,
)
from stages.translate.realtime.protocol import ServerProtocol

__all__ = ["Session"]

log = logging.getLogger(__name__)

INTERNAL = 1011
"""Close code: the server has met what it did not expect (RFC 6455, 7.4.1)."""


@define(eq=False)
class Session:
    """A connection from its first message to its close. `run` it; meanwhile `stop`, then perhaps `cut` it.

    One whose client was cut off may go on over another connection, and that one's session is none of its own.
    """

    socket: Line
    service: Service
    host: Host = field(default=Factory(lambda self: Public(self.service), takes_self=True))
    name: str = field(init=False)
    _wires: Wires = field(init=False)
    _token: str = field(init=False, default="", repr=False)
    _taken_over: bool = field(init=False, default=False)
    """Its connection is that of another session, which says when it ends."""
    _manners: Manners = field(init=False)
    _pace: Pace = field(init=False)
    _scope: anyio.CancelScope = field(init=False, factory=anyio.CancelScope)
    _work: Work | None = field(init=False, default=None)
    _why: Refusal | SocketGone | None = field(init=False, default=None)
    _active: float = field(init=False, factory=anyio.current_time)
    """When anything was said last, by either side."""

    def __attrs_post_init__(self) -> None:
        self.name = self.service.new_id()
        self._manners = Manners(self.service.limits.mistakes)
        self._pace = Pace(self.service.limits.ahead_s)
        wire = Wire(self.socket, ServerProtocol())
        self._wires = Wires(wire, self.service.limits, self._greeting, self._moved)

    async def run(self) -> int | None:
        """Serve the client until one of the two ends it; the close code. Raises nothing but cancellation.

        None for a connection over which another session went on.
        """
        try:
            return await self._run()
        finally:
            self._wires.close()

    async def _run(self) -> int | None:
        try:
            with self._scope:
                await self._open()
            if self._taken_over:
                return None
            if self._why is not None:
                raise self._why
            await self._wires.wire.socket.close(GOING_AWAY, "the server ends")
            return GOING_AWAY
        except Refusal as refusal:
            return await self._part(refusal)
        except SocketGone as gone:
            return gone.code
        except Exception:
            log.exception("session %s failed", self.name)
            return await self._part(_internal("internal_error", "the server has met what it did not expect"))

    def stop(self) -> None:
        """Take no more from the client; when all is told, say goodbye."""
        if self._work is None:
            self.cut()
        else:
            self._wires.give_up()
            self._work.close()

    def cut(self) -> None:
        """Say goodbye now."""
        if not self._taken_over:
            self._scope.cancel()

    def dismiss(self, why: Refusal | SocketGone) -> None:
        """End it for `why`, now."""
        self._end(why)

    # --- the beginning

    async def _open(self) -> None:
        """From the first message to the end. Raises: Refusal, SocketGone."""
        update = await self._first_message()
        key = self.host.name_of(update, self.socket)
        if self.host.resumes and update.resume is not None and await self._go_on(update.resume, key):
            return
        with self.host.let_in(update, key, self.socket) as config:
            self.socket.known()
            log.info("session %s: %s to %s for %s", self.name, *_pair(config), key or "anybody")
            if self.host.resumes:
                self._token = self.service.kept.offer(key, self._wires)
            try:
                await self._talk(config)
            finally:
                self.service.kept.forget(self._token)

    async def _go_on(self, resume: Resume, key: str | None) -> bool:
        """Let the session that the client has lost go on over this connection; False where there is none."""
        lost = self.service.kept.find(resume.token, key)
        if lost is None:
            return False
        self.socket.known()
        self._taken_over = True
        wire = self._wires.wire
        wire.events, wire.taken = resume.events, False
        self._taken_over = await lost.take_over(wire)
        return self._taken_over

    async def _first_message(self) -> SessionUpdate:
        limit_s = self.service.limits.first_message_s
        with anyio.move_on_after(limit_s):
            try:
                message = await self._wires.receive()
            except RemoteProtocolError as wrong:
                raise Refusal(_event(wrong)) from None
            assert isinstance(message, SessionUpdate)
            return message
        raise Refusal.of("session_not_started", f"no session.update came within {limit_s:g} s")

    async def _talk(self, config: SessionConfig) -> None:
        """All of a session that is let in."""
        work = self._work = self.host.work(config, self._tell, self.name)
        try:
            async with anyio.create_task_group() as tasks:
                tasks.start_soon(self._listen, work)
                tasks.start_soon(self._watch, work)
                await self._interpret(work)
                tasks.cancel_scope.cancel()
        finally:
            self._sum_up(work)

    async def _interpret(self, work: Work) -> None:
        config, engine = work.config, self.service.engine
        try:
            if not engine.ready(config):
                await self._tell(SessionStarting())
                await engine.load(config)
            self._wires.offered = self.host.resumes
            for payload in self._created(work, None):
                await self._tell(payload)
            await work.run()
        except StageError as error:
            log.error("session %s: %s", self.name, error)
            self._end(_internal("engine_failed", "the engine cannot translate now"))

    def _created(self, work: Work, received: int | None) -> tuple[Payload, Payload]:
        resumption = Resumption(self._token, received) if self.host.resumes else None
        return SessionCreated(self.name, work.config, resumption), SessionUpdated(work.config)

    # --- a client that was cut off

    def _greeting(self) -> tuple[Payload, Payload]:
        """What a client is told that is back."""
        assert self._work is not None
        log.info("session %s: goes on", self.name)
        self.service.metrics.resumed.inc()
        return self._created(self._work, self._work.intake.end)

    def _moved(self, away: bool) -> None:
        if self._work is not None:
            log.info("session %s: %s", self.name, "its client was cut off" if away else "its client is back")
            self._work.intake.move(away)

    # --- the client

    async def _listen(self, work: Work) -> None:
        """Take what the client says until it goes, or is too much."""
        try:
            while True:
                try:
                    message = await self._wires.receive()
                except RemoteProtocolError as wrong:
                    if self._manners.bad():
                        most = f"more than {self._manners.limit} messages could not be understood"
                        raise Refusal.of("too_many_errors", most) from None
                    await self._complain(_event(wrong))
                    continue
                self._active = anyio.current_time()
                self._manners.good()
                await self._take(message, work)
        except (Refusal, SocketGone) as why:
            self._end(why)

    async def _take(self, message: ClientMessage | None, work: Work) -> None:
        """Raises: Refusal where the audio comes too fast, or cannot be heard fast enough."""
        match message:
            case Append(audio):
                self._pace.add(len(audio) / 2, self._active)
                self.service.metrics.audio_s.inc(len(audio) / 2 / SAMPLE_RATE_HZ)
                work.intake.put(audio, self._active)
                await self._wait_for_room(work)
            case SessionUpdate():
                await self._change(message, work)
            case IgnoreForDetection(item_id):
                work.ignore(item_id)

    async def _wait_for_room(self, work: Work) -> None:
        limits, intake = self.service.limits, work.intake
        if intake.held_s <= limits.behind_s:
            return
        with anyio.move_on_after(limits.patience_s) as waiting:
            await intake.room(limits.behind_s)
        if waiting.cancelled_caught:
            raise full("server_busy", f"the engine is {intake.held_s:.0f} s behind, and gets no further")

    async def _change(self, update: SessionUpdate, work: Work) -> None:
        try:
            config = self.host.changed(work.config, update)
        except Refusal as refusal:
            await self._complain(refusal.event)
            return
        told = list(work.change(config))
        for payload in (SessionUpdated(config), *told):
            await self._tell(payload)

    # --- the clock

    async def _watch(self, work: Work) -> None:
        """End a session that says nothing for long, or is long."""
        limits = self.service.limits
        expires = anyio.current_time() + limits.session_s
        while (now := anyio.current_time()) < expires:
            idle_at = self._active + self.host.idle_s
            if now >= idle_at:
                self._end(Refusal.of("session_idle", f"nothing was said for {self.host.idle_s:g} s"))
                return
            await anyio.sleep_until(min(idle_at, expires))
        over = ErrorEvent(f"a session lasts {limits.session_s:g} s at most", "session_expired", "server_error")
        self._why = Refusal(over, GOING_AWAY)
        work.close()
        await anyio.sleep(limits.drain_s)
        self._scope.cancel()

    # --- telling

    async def _tell(self, payload: Payload) -> None:
        """Send `payload`, or end the session where that cannot be."""
        self._active = anyio.current_time()
        if isinstance(payload, TranscriptCompleted):
            self.service.metrics.utterances.inc()
        try:
            await self._wires.tell(payload)
        except SocketGone as gone:
            self._end(gone)
            await checkpoint()

    async def _complain(self, error: ErrorEvent) -> None:
        await self._tell(self.service.complain(error))

    async def _part(self, refusal: Refusal) -> int:
        """The last words."""
        error, wire = self.service.complain(refusal.event), self._wires.wire
        try:
            await wire.socket.send(wire.protocol.send(error), self.service.limits.send_s)
            await wire.socket.close(refusal.close_code, error.code or "")
        except SocketGone as gone:
            return gone.code
        return refusal.close_code

    def _end(self, why: Refusal | SocketGone) -> None:
        if self._why is None:
            self._why = why
        self._scope.cancel()

    def _sum_up(self, work: Work) -> None:
        metrics, heard_s = self.service.metrics, work.heard_s
        log.info("session %s: over after %.1f s of audio (%s)", self.name, heard_s, self._why or "stopped")
        if heard_s and (busy_s := work.busy_s) is not None:
            metrics.realtime.observe(busy_s / heard_s)
        if work.dropped_s:
            why = "client left" if isinstance(self._why, SocketGone) else "session ended"
            metrics.dropped_s.labels(why).inc(work.dropped_s)


def _pair(config: SessionConfig) -> tuple[str, str]:
    return config.source_language, config.target_language or "nothing yet"


def _event(wrong: RemoteProtocolError) -> ErrorEvent:
    return ErrorEvent(str(wrong), wrong.code, "invalid_request_error", wrong.param)


def _internal(code: str, message: str) -> Refusal:
    return Refusal(ErrorEvent(message, code, "server_error"), INTERNAL)
