"""Both directions of a call: two sessions, each translating into what the other side speaks."""

from __future__ import annotations

from collections.abc import Sequence
from contextlib import AsyncExitStack, suppress
from types import TracebackType
from typing import Any, Literal

import anyio
from attrs import define, evolve, field, frozen

from stages.translate.realtime.config import AUTO
from stages.translate.realtime.events import (
    Closed,
    Payload,
    SessionCreated,
    SessionUpdated,
    SourceLanguageChanged,
)
from stages.translate.realtime.link import SessionRefused
from stages.translate.realtime.session import RealtimeSession, connect
from stages.translate.realtime.transport import DEFAULT_BASE_URL, SocketClosed, SocketOptions

__all__ = ["RealtimePair", "Side", "Speaker", "Targets", "connect_pair"]

Side = Literal["local", "other"]


@frozen
class Speaker:
    """One side of a call. What is spoken there is found out, unless `source_language` says it.

    `speaker_setup` None: the local side is one known speaker, whose language only switches after sustained
    speech, for the other side may be heard through the loudspeaker; there, speakers change.
    """

    source_language: str = AUTO
    target_language: str | None = None
    voice_id: int | None = None
    speaker_setup: str | None = None
    source_language_candidates: Sequence[str] = ()


@define
class _State:
    source: str = ""
    target: str = ""
    ready: bool = False


@define
class Targets:
    """Which target language to set where, by what the two sessions tell. No socket in it."""

    _sides: dict[Side, _State] = field(init=False, factory=lambda: {"local": _State(), "other": _State()})

    def hear(self, side: Side, payload: Payload | Any) -> list[tuple[Side, str]]:
        """The targets to set now that the session of `side` has told `payload`.

        What one side speaks becomes the other's target as soon as that one can take it, unless it is already.
        """
        told = self._sides[side]
        match payload:
            case SessionCreated(session=session):
                told.ready, told.target = True, session.target_language
                if session.source_language != AUTO:
                    told.source = session.source_language
            case SessionUpdated(session=session):
                told.target = session.target_language
                return []
            case SourceLanguageChanged(language=language):
                told.source = language
            case Closed():
                told.ready = False
        return [*self._set("other", self._sides["local"].source), *self._set("local", self._sides["other"].source)]

    def _set(self, listening: Side, language: str) -> list[tuple[Side, str]]:
        state = self._sides[listening]
        if not language or not state.ready or _folded(language) == _folded(state.target):
            return []
        state.target = language
        return [(listening, language)]


def _folded(tag: str) -> str:
    return tag.lower().replace("_", "-")


async def connect_pair(
    *,
    local: Speaker | None = None,
    other: Speaker | None = None,
    output_modalities: Sequence[str] = ("text", "audio"),
    mode: str = "slow",
    api_key: str | None = None,
    base_url: str = DEFAULT_BASE_URL,
    options: SocketOptions | None = None,
) -> RealtimePair:
    """Two sessions of a call, to register handlers on and then to enter. Finding out languages needs mode `slow`.

    Raises: what `connect` raises.
    """
    sessions = [
        await connect(
            source_language=speaker.source_language,
            target_language=speaker.target_language,
            voice_id=speaker.voice_id,
            speaker_setup=speaker.speaker_setup,
            source_language_candidates=speaker.source_language_candidates,
            output_modalities=output_modalities,
            mode=mode,
            api_key=api_key,
            base_url=base_url,
            options=options,
        )
        for speaker in (
            _usual(local or Speaker(), "single_known_speaker"),
            _usual(other or Speaker(), "changing_speakers"),
        )
    ]
    return RealtimePair(*sessions)


def _usual(speaker: Speaker, setup: str) -> Speaker:
    if speaker.source_language.lower() != AUTO or speaker.speaker_setup is not None:
        return speaker
    return evolve(speaker, speaker_setup=setup)


@define(eq=False)
class RealtimePair:
    """The sessions `local` and `other`, entered together. Audio, handlers and confirmations are theirs."""

    local: RealtimeSession
    other: RealtimeSession
    _targets: Targets = field(init=False, factory=Targets)
    _entered: AsyncExitStack = field(init=False, factory=AsyncExitStack)

    def __attrs_post_init__(self) -> None:
        self.local.on_any(lambda _, payload: self._pass_on("local", payload))
        self.other.on_any(lambda _, payload: self._pass_on("other", payload))

    async def __aenter__(self) -> RealtimePair:
        """Open both connections, or none. Raises ServiceUnreachable."""
        async with AsyncExitStack() as stack:
            await stack.enter_async_context(self.local)
            await stack.enter_async_context(self.other)
            self._entered = stack.pop_all()
        return self

    async def __aexit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> bool | None:
        return await self._entered.__aexit__(kind, error, trace)

    async def wait_until_ready(self, timeout_s: float | None = 90.0) -> None:
        """Wait until both take audio. Raises what the first one that will not raises."""
        failures: list[Exception] = []

        async def wait(session: RealtimeSession) -> None:
            try:
                await session.wait_until_ready(timeout_s)
            except (SessionRefused, SocketClosed, TimeoutError) as failure:
                failures.append(failure)
                group.cancel_scope.cancel()

        async with anyio.create_task_group() as group:
            group.start_soon(wait, self.local)
            group.start_soon(wait, self.other)
        if failures:
            raise failures[0]

    async def _pass_on(self, side: Side, payload: Any) -> None:
        for listening, language in self._targets.hear(side, payload):
            session = self.local if listening == "local" else self.other
            with suppress(SocketClosed):  # its own Closed event tells of it
                await session.update_languages(target_language=language)
