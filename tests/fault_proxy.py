"""A TCP proxy on this machine that does to a connection what networks do, when a test says so.

    async with fault_proxy(service.port) as line:
        session = await connect(base_url=line.url, ...)
        line.freeze()        # half open: nothing passes, nobody is told
        line.thaw()
        await line.cut()     # an orderly end of TCP, with no goodbye of the WebSocket
        await line.reset()   # a TCP reset

`latency_s`, `slice_bytes` and `bytes_per_s` may be set at any time. Nothing is ever reordered or lost on a
connection that lives; what was under way when it ends is gone, as it would be.
"""

from __future__ import annotations

from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from math import inf

import anyio
from anyio.abc import ByteStream, SocketAttribute, SocketStream
from attrs import define, field

from tests.realtime_server import linger_not, opened

__all__ = ["FaultProxy", "fault_proxy"]

ENDED = (anyio.EndOfStream, anyio.BrokenResourceError, anyio.ClosedResourceError)


@define(eq=False)
class Line:
    """One connection through the proxy, and how many bytes have passed each way."""

    client: SocketStream
    server: SocketStream
    up_bytes: int = 0
    down_bytes: int = 0
    ended: anyio.Event = field(factory=anyio.Event)

    async def end(self) -> None:
        for side in (self.client, self.server):
            await anyio.aclose_forcefully(side)


@define(eq=False)
class FaultProxy:
    """The proxy. `lines` are the connections it has had, the latest last."""

    port: int
    target_port: int
    latency_s: float = 0.0
    """How long everything is under way."""
    slice_bytes: int | None = None
    """The most that is handed on at once: 1 splits every frame at every byte."""
    bytes_per_s: float = inf
    """How fast the server reads: what is more piles up, in the end at the client."""
    cut_after_up_bytes: int | None = None
    """Cut the latest connection once so much has gone up; then never again, unless it is set again."""
    refusing: bool = False
    """New connections are reset at once."""
    refused: int = field(init=False, default=0)
    """How many were."""
    lines: list[Line] = field(factory=list)
    _flowing: anyio.Event = field(init=False, factory=opened)

    @property
    def url(self) -> str:
        return f"ws://127.0.0.1:{self.port}"

    def freeze(self) -> None:
        """Nothing passes any more, either way, on connections old and new, and nobody is told."""
        self._flowing = anyio.Event()

    def thaw(self) -> None:
        """All that has waited passes."""
        self._flowing.set()

    async def cut(self) -> None:
        """End all connections; new ones are possible."""
        for line in self._alive():
            await line.end()

    async def reset(self) -> None:
        """End all connections by a TCP reset; new ones are possible."""
        for line in self._alive():
            linger_not(line.client)
            linger_not(line.server)
            await line.end()

    def _alive(self) -> list[Line]:
        return [line for line in self.lines if not line.ended.is_set()]

    async def _serve(self, client: SocketStream) -> None:
        async with client:
            if self.refusing:
                self.refused += 1
                linger_not(client)
                return
            async with await anyio.connect_tcp("127.0.0.1", self.target_port) as server:
                line = Line(client, server)
                self.lines.append(line)
                async with anyio.create_task_group() as group:
                    group.start_soon(self._pump, line, client, server, True)
                    group.start_soon(self._pump, line, server, client, False)
                line.ended.set()

    async def _pump(self, line: Line, source: ByteStream, sink: ByteStream, up: bool) -> None:
        """Carry bytes one way until the line ends. A side that ends its half ends the line."""
        arrivals, departures = anyio.create_memory_object_stream[tuple[float, bytes]](64)
        async with anyio.create_task_group() as group:
            group.start_soon(self._take, source, arrivals)
            with departures:
                try:
                    async for due, data in departures:
                        await anyio.sleep_until(due)
                        for piece in self._slices(data):
                            await self._hand_on(line, sink, piece, up)
                except ENDED:
                    pass
            group.cancel_scope.cancel()
        await line.end()

    async def _take(self, source: ByteStream, arrivals: anyio.abc.ObjectSendStream[tuple[float, bytes]]) -> None:
        async with arrivals:
            try:
                while True:
                    data = await source.receive(4096)
                    await arrivals.send((anyio.current_time() + self.latency_s, data))
            except ENDED:
                pass

    def _slices(self, data: bytes) -> list[bytes]:
        step = self.slice_bytes or len(data)
        return [data[begin : begin + step] for begin in range(0, len(data), step)]

    async def _hand_on(self, line: Line, sink: ByteStream, piece: bytes, up: bool) -> None:
        await self._flowing.wait()
        if up and self.bytes_per_s != inf:
            await anyio.sleep(len(piece) / self.bytes_per_s)
        await sink.send(piece)
        if not up:
            line.down_bytes += len(piece)
            return
        line.up_bytes += len(piece)
        if self.cut_after_up_bytes is not None and line.up_bytes >= self.cut_after_up_bytes:
            self.cut_after_up_bytes = None
            await line.end()


@asynccontextmanager
async def fault_proxy(target_port: int) -> AsyncIterator[FaultProxy]:
    """A proxy on 127.0.0.1 to `target_port`."""
    async with await anyio.create_tcp_listener(local_host="127.0.0.1") as listener:
        proxy = FaultProxy(listener.extra(SocketAttribute.local_port), target_port)
        async with anyio.create_task_group() as group:
            group.start_soon(listener.serve, proxy._serve)
            yield proxy
            group.cancel_scope.cancel()
