"""Shows what a graph gives to people in a room: captions, and voices, in their browsers."""

from __future__ import annotations

import sys
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from functools import partial
from pathlib import Path
from socket import socket as SystemSocket
from ssl import SSLContext
from typing import Any, TypeVar

import anyio
from anyio import to_thread
from attrs import Factory, define, evolve, field

from pipeline.caps import TEXT, AudioCaps, Caps, Port
from pipeline.items import Audio, Mark, MarkKind, Text
from pipeline.stage import Inbox, Outbox, Pausable, Run, Stage, StageError, between, option
from stages.languages import canonical, checked
from stages.out_file import print_line
from stages.room.audience import Audience, AudienceLimits
from stages.room.board import Board, original, translated
from stages.room.keys import RoomKeys, default_path, kept_keys, read_rooms
from stages.room.operators import Operators
from stages.room.order import Order, Stretch, voice
from stages.room.pages import answer, is_name, place_of
from stages.room.qr import MISSING, can_draw, qr_code
from stages.room.room import Room
from stages.room.watching import Watching
from stages.sockets import Answer, Listener, Socket, bound, is_loopback, listening, reachable
from stages.tls import server_context

__all__ = ["RoomSink"]

T = TypeVar("T")

SPOKEN = AudioCaps(24000, 1)
CONNECTING_LIMIT = 256
UNKNOWN = "und"
"""The tag of texts that name no language (BCP 47: undetermined)."""


def _name(name: str) -> str | None:
    return None if is_name(name) else "small letters, digits and hyphens, 80 at most"


def _tag_or_nothing(tag: str) -> str | None:
    return None if not tag else checked(tag)


def _tags(tags: Sequence[str]) -> str | None:
    return next((wanted for tag in tags if (wanted := checked(tag)) is not None), None)


@define(kw_only=True)
class RoomSink:
    """Show texts to people in a room: captions in their browsers, each in the language that it chooses.

    `text` takes transcripts and translations of any languages, told apart by the language they carry; `audio`
    what the interpreter says, for those who press its button, and where there are interpreters into several
    languages, each of `voices` is an input of its own.

    When the graph runs, the listeners' address and the operator's, who sees the graph at work and can pause its
    microphones, are told on standard error. They are the same next time. One speaker with a browser, and
    translations that run only while somebody wants them, has `dragoman serve --room`.
    """

    name: str = option("room", help="the room's name, in its address", check=_name)
    title: str = option("", help="what listeners see above the captions; left out: the name")
    source_language: str = option("", help="the language of the original, if that is shown", check=_tag_or_nothing)
    language: str = option("", help="the language that `audio` speaks", check=_tag_or_nothing)
    voices: list[str] = option(
        Factory(list),
        help="languages that are spoken besides, each an input by its tag: `{stage: STAGE, into: es-es}`",
        check=_tags,
    )
    host: str = option("127.0.0.1", help="where to listen; 0.0.0.0 for other machines")
    port: int = option(8766, help="the port; 0 for any that is free", check=between(0, 65535))
    tls_cert: Path | None = option(None, help="encrypt, with this certificate (PEM)", opens="reads")
    tls_key: Path | None = option(None, help="its private key (PEM), if it is in another file", opens="reads")
    open: bool = option(
        False, help="let the address be the bare name, which anybody can guess; else it ends in a secret"
    )
    rooms_file: Path | None = option(
        None,
        help="where rooms' names and keys are kept, so that links stay the same; left out: where "
        "`dragoman serve` keeps them, too",
        opens="reads",
    )
    qr: bool | None = option(
        None, help="draw a QR code of the address; left out: on a terminal, where `dragoman[serve]` is installed"
    )
    max_listeners: int = option(500, help="how many may listen", check=between(1, 100_000))

    address: str = field(init=False, default="")
    """The page's, once it runs."""
    room: Room = field(init=False, repr=False)
    _watching: Watching = field(init=False, repr=False)
    _orders: Mapping[str, Order] = field(init=False, repr=False)
    """Of each language that is spoken, which texts are spoken next."""
    _connecting: int = field(init=False, default=0)
    _most: int = field(init=False, default=0)
    _captions: int = field(init=False, default=0)

    def __attrs_post_init__(self) -> None:
        self.language = canonical(self.language) if self.language else ""
        self.voices = [canonical(tag) for tag in self.voices]
        spoken = [self.language, *self.voices] if self.language else self.voices
        if len(set(spoken)) < len(spoken):
            raise ValueError(f"voices: wanted each language once, came {', '.join(spoken)}")
        if self.tls_key is not None and self.tls_cert is None:
            raise ValueError("tls_key: wanted `tls_cert` too, came a key alone")
        source = canonical(self.source_language) if self.source_language else None
        offers = [] if source is None else [evolve(original(source), voice=source in spoken)]
        offers += [translated(tag, "good", voice=True) for tag in spoken if tag != source]
        self.room = Room(Board(self.title or self.name, source=source, languages=offers), self._count)
        self._watching = Watching(self.room)
        self._orders = {tag: Order() for tag in spoken}

    @property
    def accepts(self) -> Mapping[str, Port]:
        spoken = {tag: Port(SPOKEN) for tag in self.voices}
        return {"text": Port(TEXT, many=True, optional=True), "audio": Port(SPOKEN, optional=True), **spoken}

    def gives(self, caps: Mapping[str, Caps]) -> Mapping[str, Caps]:
        """Nothing. Raises ValueError where there is sound and nobody says in which language."""
        if "audio" in caps and not self.language:
            raise ValueError("audio needs `language`: the one that it speaks")
        return {}

    # --- what it is told, and tells

    def oversee(self, run: Run) -> None:
        self._watching.run = run

    def meet(self, stages: Mapping[str, Stage]) -> None:
        """Find the microphones that an operator can pause."""
        self._watching.microphones = [stage for stage in stages.values() if isinstance(stage, Pausable)]
        self._watching.notice_changes(self._notice)

    def probe(self) -> None:
        """Find out whether the port is free, and whether there is what was asked for."""
        self._encryption()
        self._from_file(read_rooms)
        if self.qr and not can_draw():
            raise StageError(MISSING)
        with self._bound():
            pass

    @property
    def status(self) -> str:
        count = len(self.room.listeners)
        return f"{count} listener{'s' if count > 1 else ''}" if count else ""

    def counts(self) -> Mapping[str, int]:
        return {
            "captions": self._captions,
            "listeners at most": self._most,
            "ms of sound that stalled listeners lost": sum(self.room.dropped_ms().values()),
        }

    def figures(self) -> Mapping[str, Any]:
        """Who listens, and how late they are: see `stages.room.figures`."""
        return self._watching.figures()

    # --- work

    async def run(self, inbox: Inbox, outbox: Outbox) -> None:
        keys = await to_thread.run_sync(self._from_file, partial(kept_keys, wish=self.name, is_open=self.open))
        self._watching.keys = keys
        audience = Audience(self.room, AudienceLimits(listeners=self.max_listeners))
        operators = Operators(self._watching)
        what = Listener(
            serve=partial(_serve, keys.name, audience, operators),
            answer=partial(_answer, keys.name),
            enter=self._enter,
            leave=self._leave,
        )
        with self._bound() as listener:
            async with listening(listener, what, self._encryption()):
                self._tell(keys, listener.getsockname()[1])
                await self._show(inbox)
                await audience.close()
                await operators.close()  # who have seen how the last listeners fared

    def _tell(self, keys: RoomKeys, port: int) -> None:
        """Say where the room is. The operator's link holds a key: it is for the terminal alone."""
        scheme = "http" if self.tls_cert is None else "https"
        self.address = f"{scheme}://{reachable(self.host)}:{port}/r/{keys.name}"
        print_line(sys.stderr, f"room {self.name}, listeners: {self.address}")
        print_line(sys.stderr, f"room {self.name}, operator:  {self.address}/watch?key={keys.operator}")
        if is_loopback(self.host):
            print_line(sys.stderr, "only this machine can open them: for the phones in the room set host: 0.0.0.0")
        if self.qr or (self.qr is None and sys.stderr.isatty() and can_draw()):
            print_line(sys.stderr, qr_code(self.address))

    # --- what comes

    async def _show(self, inbox: Inbox) -> None:
        self._go_on()
        async with anyio.create_task_group() as tasks:
            tasks.start_soon(self._read, inbox["text"])
            for port in inbox.ports:
                if port != "text":
                    tasks.start_soon(self._hear, self.language if port == "audio" else port, inbox[port])
        self.room.change(state="ended")

    async def _read(self, inbox: Inbox) -> None:
        growing = ""
        async for item in inbox:
            if isinstance(item, Text):
                growing = item.language or UNKNOWN
                self._offer(growing)
                if growing in self._orders:
                    self._orders[growing].note(item)
                caption = self.room.publish(growing, evolve(item, language=growing), anyio.current_time())
                if caption is not None:
                    self._captions += 1
                    self._watching.delays.show(item)
            elif isinstance(item, Mark) and item.kind is MarkKind.UTTERANCE_END and growing:
                self.room.over(growing)

    async def _hear(self, tag: str, inbox: Inbox) -> None:
        delays = self._watching.delays

        def sound(audio: Audio, stretch: Stretch) -> None:
            sent = delays.sound(tag, audio, stretch)
            self.room.sound(tag, stretch.utterance, audio, sent, delays.spoken_at(stretch))

        await voice(inbox, self._orders[tag], sound, partial(self.room.silence, tag))

    def _offer(self, tag: str) -> None:
        """Offer a language that has come for the first time."""
        if not self.room.board.knows(tag):
            offer = translated(tag, "good", voice=tag in self._orders)
            self.room.change(languages=[*self.room.board.languages, offer])

    def _go_on(self) -> None:
        self.room.change(state="paused" if self._watching.paused else "live")

    def _notice(self) -> None:
        """A pause has begun, or is over; or a microphone is lost, or back."""
        if self.room.board.state in ("live", "paused"):
            self._go_on()

    # --- who comes

    def _from_file(self, read: Callable[[Path], T]) -> T:
        """What there is in the file of rooms. Raises: StageError where it is none of ours, or out of reach."""
        try:
            return read(self.rooms_file or default_path())
        except ValueError as wrong:
            raise StageError(f"rooms_file: {wrong}") from None

    def _encryption(self) -> SSLContext | None:
        try:
            return None if self.tls_cert is None else server_context(self.tls_cert, self.tls_key)
        except ValueError as wrong:
            raise StageError(f"tls_cert: {wrong}") from None

    @contextmanager
    def _bound(self) -> Iterator[SystemSocket]:
        try:
            listener = bound(self.host, self.port)
        except OSError as error:
            why = (error.strerror or str(error)).partition(" (")[0].lower()
            raise StageError(f"cannot listen at {self.host}:{self.port}: {why}; give another `port`") from error
        with listener:
            yield listener

    def _enter(self) -> bool:
        free = self._connecting < max(CONNECTING_LIMIT, self.max_listeners)  # all may come at once
        self._connecting += free
        return free

    def _leave(self) -> None:
        self._connecting -= 1

    def _count(self) -> None:
        self._most = max(self._most, len(self.room.listeners))


async def _serve(name: str, audience: Audience, operators: Operators, socket: Socket) -> None:
    place = place_of(socket.path, [name])
    await (operators if place is not None and place.part == "watch" else audience).serve(socket)


def _answer(name: str, path: str) -> Answer | None:
    """A page, or None for a socket. Nobody speaks here, nor waits to."""
    place = place_of(path, [name])
    return answer(path, [] if place is not None and place.part in ("speak", "meet") else [name])
