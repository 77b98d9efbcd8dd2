"""A session with the realtime service, for any Python program: audio in, events out, on asyncio and on trio.

    session = await connect(source_language="en-us", target_language="pt-br")

    @session.on(ServerEventType.TEXT_DONE)
    def show(event):
        print(event.text)

    async with session:
        await session.stream_audio(FileAudio("talk.wav"))
        await session.wait_until_quiet()

The connection is opened on entering the session and closed on leaving it, and only in between do tasks run: one
reads, the other calls the handlers, so that a slow handler does not stop the reading. Where the connection ends
before, so has the session: a `Closed` event says how, and whoever still sends gets `SessionEnded`. All that the
service, or the way to it, can do to a session is a `RealtimeError`. (The stage `realtime` goes on by itself, and
keeps what was not answered until it is.)
"""

from __future__ import annotations

import inspect
import logging
from collections.abc import AsyncIterable, AsyncIterator, Callable, Sequence
from contextlib import AbstractAsyncContextManager, asynccontextmanager
from types import TracebackType
from typing import Any, overload

import anyio
from attrs import define, field

from pipeline.items import Audio
from stages.translate.realtime.backlog import Backlog
from stages.translate.realtime.codec import APPEND_LIMIT_BYTES
from stages.translate.realtime.config import api_key_or_env, language_change, session_config
from stages.translate.realtime.events import (
    SAMPLE_RATE_HZ,
    Append,
    Event,
    IgnoreForDetection,
    SessionConfig,
)
from stages.translate.realtime.handlers import AnyHandler, Handler, Handlers
from stages.translate.realtime.link import Link
from stages.translate.realtime.protocol import ClientProtocol
from stages.translate.realtime.transport import DEFAULT_BASE_URL, SocketClosed, SocketOptions, service_url

__all__ = ["RealtimeSession", "connect"]

BACKLOG_BYTES = 32 << 20
"""Eleven minutes of speech."""
LEAVE_S = 5.0
"""How long handlers may still take, when a session is left, for what has come; and a source, to close."""
_LOOK_S = 0.1
"""How often, at most, it is looked whether an answer that was owed has come."""

_log = logging.getLogger(__name__)


async def connect(
    *,
    source_language: str,
    target_language: str | None = None,
    output_modalities: Sequence[str] = ("text", "audio"),
    voice_id: int | None = None,
    mode: str = "fast",
    speaker_setup: str | None = None,
    source_language_candidates: Sequence[str] = (),
    api_key: str | None = None,
    base_url: str = DEFAULT_BASE_URL,
    options: SocketOptions | None = None,
    backlog_bytes: int = BACKLOG_BYTES,
) -> RealtimeSession:
    """A session to register handlers on and then to enter, which is when the connection is opened.

    So a session that is never entered holds nothing open. `api_key` is `CAMB_API_KEY` of the environment where it
    is not given. With source language `auto`, which needs mode `slow`, the target can be set later. Where more
    than `backlog_bytes` of events wait for a handler, the service has to wait, see `Link`.

    Raises: ValueError in one line, for what the service cannot do, for a missing key, for a wrong address.
    """
    config = session_config(
        source_language=source_language,
        target_language=target_language,
        output_modalities=output_modalities,
        mode=mode,
        voice_id=voice_id,
        speaker_setup=speaker_setup,
        source_language_candidates=source_language_candidates,
    )
    url, key = service_url(base_url, mode), api_key_or_env(api_key)
    link = Link(ClientProtocol(config), url, key, options or SocketOptions(), Backlog(backlog_bytes))
    return RealtimeSession(link, Backlog(backlog_bytes))


@define(eq=False)
class RealtimeSession:
    """One connection to the service, entered with `async with`, once. Made by `connect`.

    Handlers get the payloads of events, in order, one at a time. `async for event in session` gives whole events,
    ending with `Closed`: those that no handler was there to take, and all that come once it has begun. Whoever
    begins it reads on to the end or leaves the session, for events that are not read wait, and hold up the rest.
    """

    _link: Link
    _unread: Backlog
    """From the handlers to `async for`."""
    _handlers: Handlers = field(init=False, factory=Handlers)
    _iterated: bool = field(init=False, default=False)
    _running: AbstractAsyncContextManager[None] | None = field(init=False, default=None)
    _listened: anyio.Event = field(init=False, factory=anyio.Event)
    """Somebody wants to be told."""
    _told: anyio.Event = field(init=False, factory=anyio.Event)
    """Everything that came has been handed over."""
    _half_sample: bytes = field(init=False, default=b"")

    # --- what it is

    @property
    def is_ready(self) -> bool:
        """Whether the service takes audio."""
        return self._link.protocol.state == "ready"

    @property
    def is_closed(self) -> bool:
        return self._link.protocol.state == "closed"

    @property
    def id(self) -> str:
        """The service's name for the session, once it is ready."""
        return self._link.protocol.session_id

    @property
    def config(self) -> SessionConfig:
        """What was asked for and, once the service has said it, what is in force."""
        return self._link.protocol.config

    @property
    def stalls(self) -> int:
        """How often reading had to stop because handlers were too far behind."""
        return self._link.arrived.stalls

    # --- who is told

    @overload
    def on(self, event_type: str) -> Callable[[Handler], Handler]: ...

    @overload
    def on(self, event_type: str, handler: Handler) -> Handler: ...

    def on(self, event_type: str, handler: Handler | None = None) -> Any:
        """Call `handler`, plain or async, with the payload of every event of this type. Also a decorator.

        What it raises becomes an ERROR event, for the other handlers of those: the first time. How often it raised
        again is logged when the session ends.
        """
        if handler is None:
            return lambda decorated: self.on(event_type, decorated)
        self._handlers.add(event_type, handler)
        self._listened.set()
        return handler

    def on_any(self, handler: AnyHandler) -> AnyHandler:
        """Call `handler(event_type, payload)` for every event. Those of types that we do not know come raw."""
        self._handlers.add_any(handler)
        self._listened.set()
        return handler

    def off(self, event_type: str, handler: Handler) -> None:
        """Take `on` back."""
        self._handlers.remove(event_type, handler)

    def __aiter__(self) -> AsyncIterator[Event]:
        self._iterated = True
        self._listened.set()
        return self

    async def __anext__(self) -> Event:
        taken = await self._unread.take()
        if taken is None:
            raise StopAsyncIteration
        return taken[0]

    # --- its life

    async def __aenter__(self) -> RealtimeSession:
        """Open the connection. Raises ServiceUnreachable; RuntimeError the second time."""
        if self._running is not None:
            raise RuntimeError("a session is entered once: connect again for another")
        self._running = self._run()
        await self._running.__aenter__()
        return self

    async def __aexit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> bool | None:
        assert self._running is not None
        return await self._running.__aexit__(kind, error, trace)

    @asynccontextmanager
    async def _run(self) -> AsyncIterator[None]:
        async with self._link.open(self._tell):
            try:
                yield
            except Exception:
                await self._leave()
                raise
            else:
                await self._leave()
            finally:
                self._told.set()
                self._unread.close()

    async def _leave(self) -> None:
        await self.close()
        with anyio.move_on_after(LEAVE_S):
            await self.run_until_closed()
        if self._listened.is_set() and not self._told.is_set():
            _log.warning(
                "the session was left while handlers were at work, %d events behind", len(self._link.arrived)
            )

    async def close(self) -> None:
        """End the session. What the service has not sent by then is lost. Leaving does the same."""
        await self._link.close()

    async def run_until_closed(self) -> None:
        """Wait until the connection has ended and the handlers have had all that came."""
        with self._link.while_open():
            await anyio.sleep_forever()
        if self._listened.is_set():
            await self._told.wait()

    async def wait_until_ready(self, timeout_s: float | None = 90.0) -> None:
        """Wait until the service takes audio. A first session with a cloned voice may take minutes.

        Raises: SessionRefused, at once, where the connection ends before that; SessionNotReady, a TimeoutError.
        """
        await self._link.wait_until_ready(timeout_s)

    async def wait_until_quiet(
        self, quiet_s: float = 5.0, timeout_s: float = 300.0, *, answer_s: float = 60.0
    ) -> bool:
        """Wait until for `quiet_s` nothing was sent and nothing came: the service has answered what it got.

        The protocol has no end of input, so this is how to tell. What was transcribed and not translated yet, or
        written and not spoken, is waited for, too, until for `answer_s` nothing has come. False where that
        happened, where `timeout_s` passed, or where the connection ended: something may be missing.
        """
        with anyio.move_on_after(timeout_s), self._link.while_open():
            while True:
                owed, now = bool(self._link.outstanding), anyio.current_time()
                until = self._link.last_sign + (max(quiet_s, answer_s) if owed else quiet_s)
                if until <= now:
                    return not owed
                await anyio.sleep_until(min(until, now + max(quiet_s, _LOOK_S)))
        return False

    async def _tell(self) -> None:
        """Hand over what came, from the moment that somebody listens."""
        await self._listened.wait()
        try:
            await self._tell_all()
        finally:
            self._handlers.log_again()
        self._unread.close()
        self._told.set()

    async def _tell_all(self) -> None:
        while (taken := await self._link.arrived.take()) is not None:
            event, size_bytes = taken
            errors = await self._handlers.tell(event)
            if self._iterated:
                for told in (event, *errors):
                    await self._unread.put(told, size_bytes)

    # --- what is sent

    async def stream_audio(self, source: AsyncIterable[bytes | Audio]) -> None:
        """Send all of `source`, once the service is ready, and close it. Ends early where the session is left.

        Raises: what `wait_until_ready` and `send_audio` raise; SessionEnded as soon as the connection ends.
        """
        try:
            await self.wait_until_ready()
            with self._link.while_open() as scope:
                async for chunk in source:
                    await self.send_audio(chunk)
            if scope.cancelled_caught:
                self._link.check_open()
        except SocketClosed:
            if not self._link.leaving:
                raise
        finally:
            with anyio.move_on_after(LEAVE_S, shield=True):
                await _close(source)

    async def send_audio(self, audio: bytes | Audio) -> None:
        """Send PCM16 little-endian mono at 24 kHz, as bytes or as an item. Half a sample waits for the next call.

        Raises: ValueError for audio of another kind; LocalProtocolError before it is ready; SessionEnded.
        """
        data = self._half_sample + _pcm(audio)
        whole = len(data) - len(data) % 2
        self._half_sample = data[whole:]
        for begin in range(0, whole, APPEND_LIMIT_BYTES):
            await self._link.send(Append(data[begin : min(begin + APPEND_LIMIT_BYTES, whole)]))

    async def update_languages(
        self, *, source_language: str | None = None, target_language: str | None = None
    ) -> None:
        """Change the languages of an automatic session: the target from the next utterance on.

        A source language ends the detection, or confirms a switch that was asked about; `auto` begins it again.

        Raises: ValueError for an unknown language; LocalProtocolError before it is ready; SessionEnded.
        """
        await self._link.send(language_change(source_language, target_language))

    async def ignore_utterance_for_language_detection(self, item_id: str) -> None:
        """Do not count an utterance (an echo, somebody else) towards a change of the source language.

        Raises: LocalProtocolError before it is ready; SessionEnded.
        """
        await self._link.send(IgnoreForDetection(item_id))


def _pcm(audio: bytes | Audio) -> bytes:
    if not isinstance(audio, Audio):
        return bytes(audio)
    if (audio.rate, audio.channels) != (SAMPLE_RATE_HZ, 1):
        came = f"{audio.channels} channels at {audio.rate} Hz"
        raise ValueError(f"wanted mono audio at {SAMPLE_RATE_HZ} Hz, came {came}: resample it")
    return audio.samples.astype("<i2", copy=False).tobytes()


async def _close(source: object) -> None:
    """Close `source` if it can be closed, by whichever of the usual names."""
    shut = getattr(source, "aclose", None) or getattr(source, "close", None)
    if shut is not None and inspect.isawaitable(closing := shut()):
        await closing
