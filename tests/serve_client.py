"""A plain client of the realtime protocol for the server's tests: `websockets`, on asyncio and on trio."""

from __future__ import annotations

import sys
from collections.abc import AsyncIterator, Awaitable, Callable, Mapping
from contextlib import asynccontextmanager
from typing import Any, TypeVar

import numpy as np
from attrs import define, field

from stages.translate.realtime.codec import dump_client, parse_server
from stages.translate.realtime.events import (
    Append,
    AudioDelta,
    AudioDone,
    ErrorEvent,
    Payload,
    Resume,
    SessionConfig,
    SessionCreated,
    SessionUpdate,
    SessionUpdated,
    TextDelta,
    TextDone,
)

PATH = "/v1/realtime"
CONFIG = SessionConfig("en-us", "pt-br")
Wanted = TypeVar("Wanted")


@define(eq=False)
class Client:
    """One connection. `next` gives what the server says; everything stays in `events`."""

    connection: Any
    events: list[Payload] = field(factory=list)

    async def open(
        self, config: SessionConfig = CONFIG, key: str | None = None, resume: Resume | None = None
    ) -> None:
        await self.connection.send(dump_client(SessionUpdate(opening=config, api_key=key, resume=resume)))

    async def ready(
        self, config: SessionConfig = CONFIG, key: str | None = None, resume: Resume | None = None
    ) -> SessionCreated:
        await self.open(config, key, resume)
        created = await self.find(SessionCreated)
        await self.find(SessionUpdated)
        return created

    async def next(self) -> Payload:
        event = parse_server(await self.connection.recv())
        assert not isinstance(event.payload, Mapping), event
        self.events.append(event.payload)
        return event.payload

    async def find(self, kind: type[Wanted]) -> Wanted:
        """The next event of `kind`; an error in its place fails."""
        while not isinstance(event := await self.next(), kind):
            assert not isinstance(event, ErrorEvent), event
        return event

    async def say(self, samples: np.ndarray[Any, Any] | bytes) -> None:
        data = samples if isinstance(samples, bytes) else samples.astype("<i2").tobytes()
        for begin in range(0, len(data), 4800):
            await self.connection.send(dump_client(Append(data[begin : begin + 4800])))

    async def cut(self) -> None:
        """End the connection without a goodbye."""
        if hasattr(self.connection, "transport"):
            self.connection.transport.abort()
        else:
            await self.connection.stream.aclose()

    async def closed(self) -> int:
        """The code that the server closes with, after whatever it still says."""
        return await close_code(self.next)

    async def refused(self) -> tuple[str | None, int]:
        """The code of the error that comes first, and the code that the socket closes with."""
        error = await self.next()
        assert isinstance(error, ErrorEvent), error
        return error.code, await self.closed()


@asynccontextmanager
async def client(base_url: str, path: str = PATH, **options: Any) -> AsyncIterator[Client]:
    """A connection to a server's `base_url`."""
    trio = sys.modules.get("trio")
    if trio is not None and trio.lowlevel.in_trio_task():
        from websockets.trio.client import connect as connect_trio

        async with connect_trio(base_url + path, proxy=None, compression=None, **options) as connection:
            yield Client(connection)
    else:
        from websockets.asyncio.client import connect

        async with connect(base_url + path, proxy=None, compression=None, **options) as connection:
            yield Client(connection)


def texts_of(events: list[Payload]) -> list[str]:
    """The whole texts, each of which is what its deltas add up to."""
    deltas, found = "", list[str]()
    for event in events:
        if isinstance(event, TextDelta):
            deltas += event.delta
        elif isinstance(event, TextDone):
            assert event.text == deltas
            found.append(event.text)
            deltas = ""
    assert not deltas
    return found


def sounds_of(events: list[Payload]) -> list[bytes]:
    """The sound of each response."""
    data, found = b"", list[bytes]()
    for event in events:
        if isinstance(event, AudioDelta):
            assert len(event.data) % 2 == 0
            assert len(event.data) <= 19_200
            data += event.data
        elif isinstance(event, AudioDone):
            found.append(data)
            data = b""
    assert not data
    return found


async def close_code(next_: Callable[[], Awaitable[object]]) -> int:
    """The code that a connection is closed with, after whatever still comes out of `next_`."""
    from websockets.exceptions import ConnectionClosed

    try:
        while True:
            await next_()
    except ConnectionClosed as closed:
        return closed.rcvd.code if closed.rcvd is not None else 1006
