"""Whose sessions they are: who lets a client in, and what its audio goes into."""

from __future__ import annotations

from collections.abc import Awaitable, Callable, Iterator
from contextlib import AbstractContextManager, contextmanager
from typing import ClassVar, Protocol

from attrs import define

from pipeline.serve.intake import Intake
from pipeline.serve.interpretation import Interpretation
from pipeline.serve.line import Line
from pipeline.serve.opening import changed, opened
from pipeline.serve.service import Service
from stages.translate.realtime.events import Payload, SessionConfig, SessionUpdate

__all__ = ["Host", "Public", "Work"]


class Work(Protocol):
    """What the audio of a session goes into."""

    @property
    def config(self) -> SessionConfig: ...

    @property
    def intake(self) -> Intake: ...

    @property
    def heard_s(self) -> float:
        """Seconds of this session's audio that were listened to."""

    @property
    def dropped_s(self) -> float:
        """Seconds of audio that were taken from the client, and nobody has listened to."""

    @property
    def busy_s(self) -> float | None:
        """How long the engine worked for this session; None where it works for several at once."""

    async def run(self) -> None:
        """Until it is closed and all that it held is told. Raises what a stage raises."""

    def change(self, config: SessionConfig) -> Iterator[Payload]:
        """Have other languages from the next utterance on. What is to be told of it at once."""

    def ignore(self, item_id: str) -> None:
        """Do not count the utterance for the detection of a language."""

    def close(self) -> None:
        """Nothing more comes from the client."""


class Host(Protocol):
    """Whose sessions they are."""

    @property
    def resumes(self) -> bool:
        """Whether a session of a client that was cut off waits for it to come back."""

    @property
    def idle_s(self) -> float:
        """How long nothing may be said."""

    def name_of(self, update: SessionUpdate, socket: Line) -> str | None:
        """Whose key a client has that asks for `update`; None where none is needed. Raises: Refusal."""

    def let_in(
        self, update: SessionUpdate, key: str | None, socket: Line
    ) -> AbstractContextManager[SessionConfig]:
        """What the client gets, while it is there. Raises: Refusal."""

    def changed(self, config: SessionConfig, update: SessionUpdate) -> SessionConfig:
        """What it gets that asks for something else later. Raises: Refusal."""

    def work(self, config: SessionConfig, tell: Callable[[Payload], Awaitable[None]], name: str) -> Work:
        """What the audio of the session `name` goes into."""


@define
class Public:
    """Sessions of anybody who has an API key: each is an interpretation of its own."""

    service: Service

    resumes: ClassVar[bool] = True

    @property
    def idle_s(self) -> float:
        return self.service.limits.idle_s

    def name_of(self, update: SessionUpdate, socket: Line) -> str | None:
        return self.service.name_of(socket.header("x-api-key") or update.api_key)

    @contextmanager
    def let_in(self, update: SessionUpdate, key: str | None, socket: Line) -> Iterator[SessionConfig]:
        service = self.service
        assert update.opening is not None
        config = opened(update.opening, service.engine)
        service.spare()
        service.admission.admit(key, socket.address)
        try:
            with service.metrics.sessions.track_inprogress():
                yield config
        finally:
            service.admission.leave(key, socket.address)

    def changed(self, config: SessionConfig, update: SessionUpdate) -> SessionConfig:
        return changed(config, update, self.service.engine)

    def work(self, config: SessionConfig, tell: Callable[[Payload], Awaitable[None]], name: str) -> Work:
        return Interpretation(self.service, config, tell, name)
