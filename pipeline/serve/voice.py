"""The sinks of a session's graph: what comes out of the engine's ports, told to the client."""

from __future__ import annotations

from collections.abc import Awaitable, Callable, Mapping

import anyio
from attrs import define

from pipeline.caps import TEXT, AudioCaps, Caps, Port
from pipeline.serve.responses import Responses
from pipeline.stage import Inbox, Outbox
from stages.translate.realtime.events import SAMPLE_RATE_HZ, Payload

__all__ = ["Voice"]


@define(kw_only=True)
class Voice:
    """Tells what comes out of one `port`. A session's voices share `responses`, and a lock that keeps order."""

    port: str
    responses: Responses
    send: Callable[[Payload], Awaitable[None]]
    lock: anyio.Lock

    @property
    def accepts(self) -> Mapping[str, Port]:
        return {"in": Port(AudioCaps(SAMPLE_RATE_HZ, 1) if self.port == "audio" else TEXT)}

    def gives(self, caps: Mapping[str, Caps]) -> Mapping[str, Caps]:
        return {}

    async def run(self, inbox: Inbox, outbox: Outbox) -> None:
        async for item in inbox:
            async with self.lock:
                for payload in self.responses.feed(self.port, item):
                    await self.send(payload)
        async with self.lock:
            for payload in self.responses.end(self.port):
                await self.send(payload)
