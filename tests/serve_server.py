"""A server for the tests: the echo engine, or one that does what the test says."""

from __future__ import annotations

import json
from collections.abc import AsyncIterator, Awaitable, Callable, Mapping
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Any, ClassVar

import anyio
import numpy as np
from anyio.lowlevel import checkpoint
from attrs import define, field

from pipeline.caps import TEXT, AudioCaps, Caps, Port
from pipeline.serve.engine import Echo
from pipeline.serve.keys import Keys, read_keys
from pipeline.serve.listener import Server, serving
from pipeline.serve.service import Service
from pipeline.stage import Inbox, Outbox, Stage
from stages.translate.realtime.events import (
    SessionConfig,
)
from tests.serve_client import CONFIG, Client, client

SOON_S = 10.0
SECOND = 24000


def service(**changes: Any) -> Service:
    return Service(changes.pop("engine", Echo()), **{"silence_s": 0.05, **changes})


@asynccontextmanager
async def server(**changes: Any) -> AsyncIterator[Server]:
    with anyio.fail_after(60):
        async with serving(service(**changes)) as running:
            yield running


@asynccontextmanager
async def session(
    running: Server, config: SessionConfig = CONFIG, key: str | None = None, **options: Any
) -> AsyncIterator[Client]:
    """A client that is ready."""
    with anyio.fail_after(SOON_S):
        async with client(running.base_url, **options) as speaker:
            await speaker.ready(config, key)
            yield speaker


async def http(running: Server, request: str) -> tuple[int, str]:
    """The status and the body of the answer to a plain HTTP request."""
    async with await anyio.connect_tcp("127.0.0.1", running.port) as stream:
        await stream.send(f"{request} HTTP/1.1\r\nHost: here\r\n\r\n".encode())
        answer = b""
        try:
            while True:
                answer += await stream.receive()
        except anyio.EndOfStream:
            head, _, body = answer.decode().partition("\r\n\r\n")
            return int((head.split() or ["", "0"])[1]), body


def keys_in(folder: Path) -> Keys:
    """Alice's and Bob's, read from a file."""
    path = folder / "keys"
    path.write_text("alice:canary-alice\nbob:canary-bob\n")
    return read_keys(path)


def ramp(frames: int) -> np.ndarray[Any, Any]:
    return np.arange(frames, dtype=np.int16)


def asking(**changes: Any) -> str:
    """A first message; None leaves a field out."""
    wish = {"source_language": "en-us", "target_language": "pt", **changes}
    present = {name: value for name, value in wish.items() if value is not None}
    return json.dumps({"type": "session.update", "session": present})


async def wait_until(true: Callable[[], bool]) -> None:
    """Let the others run until it is `true`."""
    while not true():
        await checkpoint()


def masked(text: str) -> bytes:
    """A client's text frame, masked with zeros."""
    data = text.encode()
    size = bytes([0x80 | len(data)]) if len(data) < 126 else b"\xfe" + len(data).to_bytes(2, "big")
    return b"\x81" + size + bytes(4) + data


Script = Callable[[Inbox, Outbox], Awaitable[None]]


@define(kw_only=True)
class Scripted:
    """A stage with the ports of `translate` that does what the test says."""

    script: Script
    speaking: bool = False
    limiter: object = None

    accepts: ClassVar[Mapping[str, Port]] = {"in": Port(AudioCaps(24000, 1))}

    def gives(self, caps: Mapping[str, Caps]) -> Mapping[str, Caps]:
        return {"audio": AudioCaps(24000, 1), "text": TEXT, "transcript": TEXT}

    async def run(self, inbox: Inbox, outbox: Outbox) -> None:
        await self.script(inbox, outbox)


@define
class Engine(Echo):
    """An engine of scripted stages; `stages` are those of the sessions so far."""

    script: Script
    stages: list[Scripted] = field(factory=list)

    def interpreter(self, session: SessionConfig) -> Stage:
        self.stages.append(Scripted(script=self.script))
        return self.stages[-1]


@define
class Slow(Echo):
    """An engine whose models take as long to load as the test wants."""

    gate: anyio.Event = field(factory=anyio.Event)

    def ready(self, session: SessionConfig) -> bool:
        return False

    async def load(self, session: SessionConfig) -> None:
        await self.gate.wait()
