"""People in a room for the tests: listeners, a speaker and an operator, each a plain WebSocket."""

from __future__ import annotations

import json
from collections.abc import AsyncIterator, Mapping
from contextlib import asynccontextmanager
from typing import Any

import anyio
from attrs import define, field

from pipeline.serve.listener import Server, serving
from pipeline.serve.room.hall import Hall, Settings
from stages.room.keys import RoomKeys
from stages.translate.realtime.codec import dump_client
from stages.translate.realtime.events import ErrorEvent, SessionConfig, SessionUpdate
from tests.serve_client import Client, client, close_code
from tests.serve_server import SOON_S, service

KEYS = RoomKeys("hall-of-tests", "canary-speaker", "canary-operator")
ROOM = f"/r/{KEYS.name}"


@asynccontextmanager
async def room(settings: Settings | None = None, **changes: Any) -> AsyncIterator[Server]:
    """A server with a room, whose engine gives back what it hears."""
    with anyio.fail_after(60):
        ssl = changes.pop("ssl", None)
        hall = Hall(service(**changes), KEYS, settings or Settings(source="en-us", languages=("pt-br", "es-es")))
        async with serving(hall.service, hall=hall, ssl=ssl) as running:
            yield running


@define(eq=False)
class Listener:
    """A phone. Everything that it was told stays in `told`, and its sound in `sound`."""

    connection: Any
    told: list[Mapping[str, Any]] = field(factory=list)
    sound: bytearray = field(factory=bytearray)

    async def say(self, kind: str = "hello", **fields: Any) -> None:
        await self.connection.send(json.dumps({"type": kind, **fields}))

    async def next(self) -> Mapping[str, Any] | bytes:
        frame = await self.connection.recv()
        if isinstance(frame, bytes):
            self.sound += frame
            return frame
        self.told.append(json.loads(frame))
        return self.told[-1]

    async def find(self, kind: str, **fields: Any) -> Mapping[str, Any]:
        """The next message of `kind` with these fields; an error in its place fails."""
        while True:
            message = await self.next()
            if isinstance(message, bytes):
                continue
            if message["type"] == kind and fields.items() <= message.items():
                return message
            assert message["type"] != "error", message

    async def has(self, kind: str, **fields: Any) -> Mapping[str, Any]:
        """As `find`, but it may have been told before."""
        wanted = {"type": kind, **fields}.items()
        return next((each for each in self.told if wanted <= each.items()), None) or await self.find(
            kind, **fields
        )

    async def closed(self) -> int:
        """The code that the room closes with, after whatever it still says."""
        return await close_code(self.next)

    def captions(self, language: str) -> list[Mapping[str, Any]]:
        return [each for each in self.told if each["type"] == "caption" and each["language"] == language]


@asynccontextmanager
async def listener(running: Server, *languages: str, **wish: Any) -> AsyncIterator[Listener]:
    """A phone whose hello has been answered; without languages, one that says nothing yet."""
    async with client(running.base_url, f"{ROOM}/listen-socket") as connected:
        phone = Listener(connected.connection)
        if languages:
            await phone.say(languages=languages, **wish)
            await phone.find("room")
        yield phone


@define(eq=False)
class RoomSpeaker(Client):
    """A speaker; what the room tells beside the protocol is passed over by `find`, and seen by `status`."""

    statuses: list[Mapping[str, Any]] = field(factory=list)

    async def next(self) -> Any:
        while True:
            event = await self._next()
            if event is not None:
                return event

    async def _next(self) -> Any:
        from stages.translate.realtime.codec import parse_server

        event = parse_server(await self.connection.recv())
        if isinstance(event.payload, Mapping):
            assert event.type == "room.status", event
            self.statuses.append(event.payload)
            return None
        self.events.append(event.payload)
        return event.payload

    async def refused_later(self) -> tuple[str | None, int]:
        """The code of the error that comes after whatever else, and the code that the socket closes with."""
        while not isinstance(error := await self.next(), ErrorEvent):
            pass
        return error.code, await self.closed()

    async def status(self, **fields: Any) -> Mapping[str, Any]:
        """Wait for a status with these fields."""
        while True:
            if self.statuses and fields.items() <= self.statuses[-1].items():
                return self.statuses[-1]
            await self._next()

    async def pause(self, paused: bool = True) -> None:
        await self.connection.send(json.dumps({"type": "room.pause", "paused": paused}))

    async def speak_in(self, language: str) -> None:
        await self.connection.send(dump_client(SessionUpdate(source_language=language)))


@asynccontextmanager
async def speaker(
    running: Server, source: str = "en-us", key: str | None = KEYS.speaker, *, ready: bool = True, **options: Any
) -> AsyncIterator[RoomSpeaker]:
    with anyio.fail_after(SOON_S * 3):
        async with client(running.base_url, f"{ROOM}/speak-socket", **options) as connected:
            person = RoomSpeaker(connected.connection)
            if ready:
                await person.ready(SessionConfig(source), key)
            yield person
