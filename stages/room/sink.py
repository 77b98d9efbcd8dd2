"""Shows what a graph gives to people in a room: captions, and a voice, in their browsers."""

from __future__ import annotations

import secrets
import sys
from collections.abc import Awaitable, Callable, Iterator, Mapping
from contextlib import contextmanager
from functools import partial
from socket import socket as SystemSocket
from typing import ClassVar

import anyio
from attrs import define, evolve, field

from pipeline.caps import TEXT, AudioCaps, Caps, Port
from pipeline.items import Audio, Mark, MarkKind, Text
from pipeline.stage import Inbox, Outbox, StageError, between, option
from stages.languages import canonical, checked
from stages.out_file import print_line
from stages.room.audience import Audience, AudienceLimits
from stages.room.board import Board, original, translated
from stages.room.order import Order, Stretch, voice
from stages.room.pages import answer, is_name, place_of
from stages.room.room import Room
from stages.sockets import Answer, Listener, Socket, bound, listening, reachable

__all__ = ["RoomSink"]

RATE = 24000
CONNECTING_LIMIT = 256
UNKNOWN = "und"
"""The tag of texts that name no language (BCP 47: undetermined)."""


def _name(name: str) -> str | None:
    return None if is_name(name) else "small letters, digits and hyphens, 80 at most"


def _tag_or_nothing(tag: str) -> str | None:
    return None if not tag else checked(tag)


@define(kw_only=True)
class RoomSink:
    """Show texts to people in a room: captions in their browsers, each in the language that it chooses.

    `text` takes transcripts and translations of any languages, told apart by the language they carry; `audio`
    what the interpreter says, for those who press its button. The page's address is told on standard error when
    the graph runs. One speaker with a browser, and translations that run only while somebody wants them, has
    `dragoman serve --room`.
    """

    name: str = option("room", help="the room's name, in its address", check=_name)
    title: str = option("", help="what listeners see above the captions; left out: the name")
    source_language: str = option("", help="the language of the original, if that is shown", check=_tag_or_nothing)
    language: str = option("", help="the language that `audio` speaks", check=_tag_or_nothing)
    host: str = option("127.0.0.1", help="where to listen; 0.0.0.0 for other machines")
    port: int = option(8766, help="the port; 0 for any that is free", check=between(0, 65535))
    open: bool = option(
        False, help="let the address be the bare name, which anybody can guess; else it ends in a new secret"
    )
    max_listeners: int = option(500, help="how many may listen", check=between(1, 100_000))

    address: str = field(init=False, default="")
    """The page's, once it runs."""
    room: Room = field(init=False)
    _path: str = field(init=False)
    _connecting: int = field(init=False, default=0)
    _most: int = field(init=False, default=0)
    _captions: int = field(init=False, default=0)

    accepts: ClassVar[Mapping[str, Port]] = {
        "text": Port(TEXT, many=True, optional=True),
        "audio": Port(AudioCaps(RATE, 1), optional=True),
    }

    def __attrs_post_init__(self) -> None:
        if self.language:
            self.language = canonical(self.language)
        source = canonical(self.source_language) if self.source_language else None
        offers = [] if source is None else [original(source)]
        if self.language and self.language != source:
            offers.append(translated(self.language, "good", voice=True))
        self.room = Room(Board(self.title or self.name, source=source, languages=offers), self._count)
        self._path = self.name if self.open else f"{self.name}-{secrets.token_hex(6)}"

    def gives(self, caps: Mapping[str, Caps]) -> Mapping[str, Caps]:
        """Nothing. Raises ValueError where there is sound and nobody says in which language."""
        if "audio" in caps and not self.language:
            raise ValueError("audio needs `language`: the one that it speaks")
        return {}

    def probe(self) -> None:
        """Find out whether the port is free."""
        with self._bound():
            pass

    @property
    def status(self) -> str:
        return f"{len(self.room.listeners)} listeners" if self.room.listeners else ""

    def counts(self) -> Mapping[str, int]:
        return {
            "captions": self._captions,
            "listeners at most": self._most,
            "ms of sound that stalled listeners lost": sum(self.room.dropped_ms().values()),
        }

    async def run(self, inbox: Inbox, outbox: Outbox) -> None:
        audience = Audience(self.room, AudienceLimits(listeners=self.max_listeners))
        what = Listener(serve=_served(audience), answer=self._answer, enter=self._enter, leave=self._leave)
        with self._bound() as listener:
            async with listening(listener, what, None):
                self.address = f"http://{reachable(self.host)}:{listener.getsockname()[1]}/r/{self._path}"
                print_line(sys.stderr, f"room {self.name}: {self.address}")
                await self._show(inbox)
                await audience.close()

    # --- what comes

    async def _show(self, inbox: Inbox) -> None:
        self.room.change(state="live")
        order = Order()
        async with anyio.create_task_group() as tasks:
            tasks.start_soon(self._read, inbox["text"], order)
            if "audio" in inbox.ports:
                tasks.start_soon(self._hear, inbox["audio"], order)
        self.room.change(state="ended")

    async def _read(self, inbox: Inbox, order: Order) -> None:
        growing = ""
        async for item in inbox:
            if isinstance(item, Text):
                growing = item.language or UNKNOWN
                self._offer(growing)
                if growing == self.language:
                    order.note(item)
                caption = self.room.publish(growing, evolve(item, language=growing), anyio.current_time())
                self._captions += caption is not None
            elif isinstance(item, Mark) and item.kind is MarkKind.UTTERANCE_END and growing:
                self.room.over(growing)

    async def _hear(self, inbox: Inbox, order: Order) -> None:
        def sound(audio: Audio, stretch: Stretch) -> None:
            self.room.sound(self.language, stretch.utterance, audio)

        await voice(inbox, order, sound, partial(self.room.silence, self.language))

    def _offer(self, tag: str) -> None:
        """Offer a language that has come for the first time."""
        if not self.room.board.knows(tag):
            offer = translated(tag, "good", voice=tag == self.language)
            self.room.change(languages=[*self.room.board.languages, offer])

    # --- who comes

    @contextmanager
    def _bound(self) -> Iterator[SystemSocket]:
        try:
            listener = bound(self.host, self.port)
        except OSError as error:
            why = (error.strerror or str(error)).partition(" (")[0].lower()
            raise StageError(f"cannot listen at {self.host}:{self.port}: {why}; give another `port`") from error
        with listener:
            yield listener

    def _answer(self, path: str) -> Answer | None:
        """A listener's page and socket; nobody speaks here, and nobody watches."""
        place = place_of(path, [self._path])
        return answer(path, [self._path] if place is None or place.part == "listen" else [])

    def _enter(self) -> bool:
        free = self._connecting < CONNECTING_LIMIT
        self._connecting += free
        return free

    def _leave(self) -> None:
        self._connecting -= 1

    def _count(self) -> None:
        self._most = max(self._most, len(self.room.listeners))


def _served(audience: Audience) -> Callable[[Socket], Awaitable[None]]:
    async def serve(socket: Socket) -> None:
        await audience.serve(socket)

    return serve
