"""Our own server in memory, for virtual time: a real `Server` and its sessions, over connections that tests cut.

`SlowEcho` is an engine that takes as long as a test wants: it hears utterances as the toy service does, and
answers them one after the other.
"""

from __future__ import annotations

import math
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import asynccontextmanager
from typing import Any

import anyio
import anyio.abc
import anyio.lowlevel
import numpy as np
from attrs import define, field

from pipeline.items import Audio, Item, Mark, MarkKind, Text
from pipeline.serve.engine import Echo
from pipeline.serve.listener import Server
from pipeline.serve.service import Service
from pipeline.stage import Inbox, Outbox, Stage
from stages.sockets import SocketGone
from stages.translate.realtime.events import SessionConfig
from stages.translate.realtime.transport import ServiceUnreachable, SocketClosed, SocketOptions
from tests.serve_server import Scripted
from tests.toy_service import RATE, Ear, Heard, said_at

__all__ = ["MemoryServer", "SlowEcho", "memory_server"]

Stream = tuple[anyio.abc.ObjectSendStream[str | bytes], anyio.abc.ObjectReceiveStream[str | bytes]]


class Link:
    """A connection: `client` and `server` are its two ends. What is under way when it is cut is gone."""

    def __init__(self) -> None:
        self.alive, self.frozen, self.lost = True, False, False
        self.code = 1006
        self._up: Stream = anyio.create_memory_object_stream(math.inf)
        self._down: Stream = anyio.create_memory_object_stream(math.inf)
        self.client, self.server = ClientEnd(self), ServerEnd(self)

    def end(self, code: int, *, drop: bool) -> None:
        """No more from either side; with `drop`, not even what is under way."""
        if self.alive:
            self.alive, self.code = False, code
            for send, receive in (self._up, self._down):
                send.close()
                if drop:
                    receive.close()

    def lose_client(self) -> None:
        """The client finds out that nothing passes; nobody tells the server."""
        self.lost = True
        self._down[1].close()

    def dispose(self) -> None:
        self.end(1000, drop=False)
        for _, receive in (self._up, self._down):
            receive.close()

    async def put(self, stream: Stream, frame: str | bytes) -> bool:
        await anyio.lowlevel.checkpoint()
        if self.alive and not self.frozen:
            stream[0].send_nowait(frame)
        return self.alive and not (self.lost and stream is self._up)

    async def get(self, stream: Stream) -> str | bytes | None:
        try:
            return await stream[1].receive()
        except (anyio.EndOfStream, anyio.ClosedResourceError):
            return None


@define(eq=False)
class ClientEnd:
    """What `open_socket` gives."""

    link: Any

    async def send(self, frame: str | bytes) -> None:
        if not await self.link.put(self.link._up, frame):
            raise SocketClosed(self.link.code, "cut")

    async def receive(self) -> str | bytes:
        frame: str | bytes | None = await self.link.get(self.link._down)
        if frame is None:
            raise SocketClosed(self.link.code, "cut")
        return frame

    async def close(self, code: int = 1000, reason: str = "") -> None:
        self.link.end(code, drop=False)


@define(eq=False)
class ServerEnd:
    """What `stages.sockets.Socket` is."""

    link: Any
    address: str = "memory"

    def header(self, name: str) -> str | None:
        return None

    def known(self) -> None:
        pass

    async def receive(self) -> str | bytes:
        frame: str | bytes | None = await self.link.get(self.link._up)
        if frame is None:
            raise SocketGone(self.link.code)
        return frame

    async def send(self, frame: str | bytes, timeout_s: float) -> None:
        if not await self.link.put(self.link._down, frame):
            raise SocketGone(self.link.code)

    async def close(self, code: int, reason: str = "") -> None:
        self.link.end(code, drop=False)

    async def cut(self) -> None:
        self.link.end(1006, drop=False)


@define(eq=False)
class MemoryServer:
    """`opener` is for an interpreter; `cut` ends the connection there is, and what is under way on it."""

    server: Server
    tasks: anyio.abc.TaskGroup
    links: list[Link] = field(factory=list)
    """Of clients that hold them."""
    opened: int = 0
    down: bool = False
    """Nothing answers at the address."""

    @asynccontextmanager
    async def opener(self, url: str, options: SocketOptions) -> AsyncIterator[ClientEnd]:
        await anyio.sleep(0.03)
        if self.down:
            raise ServiceUnreachable("cannot reach the server")
        self.opened += 1
        link = Link()
        self.links.append(link)
        self.tasks.start_soon(self._serve, link)
        try:
            yield link.client
        finally:
            self.links.remove(link)
            if not link.frozen:
                link.end(1000, drop=False)

    def cut(self) -> None:
        for link in self.links:
            link.end(1006, drop=True)

    async def _serve(self, link: Link) -> None:
        await self.server.serve(link.server)  # type: ignore[arg-type]
        link.dispose()


@asynccontextmanager
async def memory_server(service: Service) -> AsyncIterator[MemoryServer]:
    server = Server(service, "memory", 0, False)
    async with anyio.create_task_group() as tasks:
        yield MemoryServer(server, tasks)
        await server.stop()


@define
class SlowEcho(Echo):
    """Hears utterances that end at a pause, and works `answer_s` on each, one after the other.

    `heard` has the frames of what its graphs heard: from where to where.
    """

    answer_s: float = 0.0
    pause_frames: int = RATE * 2 // 5
    heard: list[tuple[int, int]] = field(factory=list)

    speaks: Callable[[SessionConfig], str] = lambda session: ""
    """What is spoken in a session."""

    def interpreter(self, session: SessionConfig) -> Stage:
        language = self.speaks(session)
        stage = Scripted(script=lambda inbox, outbox: self._interpret(stage, language, inbox, outbox))
        return stage

    async def _interpret(self, stage: Scripted, language: str, inbox: Inbox, outbox: Outbox) -> None:
        ear, place, number = Ear(self.pause_frames), -1, 0
        async for item in inbox:
            if not isinstance(item, Audio):
                continue
            if place < 0:
                place = len(self.heard)
                self.heard.append((item.start, item.start))
                ear.begin(item.start)
            begin, end = self.heard[place]
            assert item.start == end, "a client that was cut off leaves no hole, and says nothing twice"
            self.heard[place] = begin, item.end
            for utterance in ear.hear(item.samples):
                number += 1
                await anyio.sleep(self.answer_s)
                for port, given in answers_in(utterance, number, language):
                    await outbox.send(given, port)
            stage.speaking = ear.hears_speech


def answers_in(heard: Heard, number: int, language: str = "") -> list[tuple[str, Item]]:
    """What a graph gives for an utterance that was spoken in `language`, on its ports."""
    start, end, samples = heard
    said = f"from {said_at(int(samples[0, 0]))} to {said_at(int(samples[-1, 0]))}"
    told = said.replace("from", "de").replace("to", "a")
    items: list[tuple[str, Item]] = []
    for port, text in (("transcript", said), ("text", told)):
        items.append((port, Mark(MarkKind.UTTERANCE_START, start, RATE)))
        items.append((port, Text(text, start * 1000 // RATE, end * 1000 // RATE, language, number, True, 0)))
        items.append((port, Mark(MarkKind.UTTERANCE_END, end, RATE)))
    items.append(("audio", Audio(np.ascontiguousarray(samples), start, RATE)))
    items.append(("audio", Mark(MarkKind.UTTERANCE_END, start + len(samples), RATE)))
    return items


Plan = Callable[[MemoryServer], Awaitable[None]]
