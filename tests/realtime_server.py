"""A realtime service for tests that does exactly what a test says: real sockets, and a script a connection.

A script is a coroutine that plays the service's side with a `Peer`; the first connection gets the first script,
and the last script serves every connection after it. What an assertion in a script finds fails the test.

    async def hello(peer):
        await peer.ready()
        await peer.heard(4800)
        await peer.send(TextDone("Olá."))
        await peer.close(1000)

    async with scripted(hello) as service:
        session = await connect(base_url=service.url, ...)

`websockets`' own sans-I/O server does the framing, so a script can also do what no proper server would: fall
silent, cut the line, send half a frame.
"""

from __future__ import annotations

import json
import logging
import socket
import ssl
import struct
from collections.abc import AsyncIterator, Awaitable, Callable, Mapping
from contextlib import asynccontextmanager
from typing import Any

import anyio
from anyio.abc import ByteStream, SocketAttribute
from anyio.streams.tls import TLSStream
from attrs import define, evolve, field
from websockets.frames import Frame, Opcode
from websockets.http11 import Request
from websockets.protocol import State
from websockets.server import ServerProtocol

from stages.translate.realtime.codec import dump_server, parse_client
from stages.translate.realtime.events import (
    Append,
    Payload,
    SessionConfig,
    SessionCreated,
    SessionUpdate,
    SessionUpdated,
)

__all__ = ["Peer", "Script", "Service", "hang_up", "refuse", "scripted"]

Script = Callable[["Peer"], Awaitable[None]]


@define(eq=False)
class Bell:
    """Wakes all who wait for it, again and again."""

    _rung: anyio.Event = field(init=False, factory=anyio.Event)

    def ring(self) -> None:
        self._rung.set()
        self._rung = anyio.Event()

    async def wait(self) -> None:
        await self._rung.wait()


def opened() -> anyio.Event:
    """An event that has happened."""
    event = anyio.Event()
    event.set()
    return event


@define(eq=False)
class Peer:
    """The service's side of one connection. `received` has every frame that came, in order."""

    stream: ByteStream
    protocol: ServerProtocol
    path: str = ""
    headers: Mapping[str, str] = field(factory=dict)
    received: list[str | bytes] = field(factory=list)
    audio: bytearray = field(factory=bytearray)
    """All audio appended so far."""
    closed: anyio.Event = field(factory=anyio.Event)
    """The connection has ended, from whichever side."""
    _taken: int = 0
    _news: Bell = field(init=False, factory=Bell)
    _reading: anyio.Event = field(init=False, factory=opened)
    _lock: anyio.Lock = field(init=False, factory=anyio.Lock)

    # --- what came

    @property
    def messages(self) -> list[dict[str, Any]]:
        """The text frames that came, as objects."""
        return [json.loads(frame) for frame in self.received if isinstance(frame, str)]

    @property
    def close_code(self) -> int | None:
        """The code in the client's close frame, once it has come."""
        return None if self.protocol.close_rcvd is None else int(self.protocol.close_rcvd.code)

    async def receive(self) -> str | bytes:
        """The next frame. Raises anyio.EndOfStream once the connection has ended."""
        while self._taken == len(self.received):
            if self.closed.is_set():
                raise anyio.EndOfStream
            await self._news.wait()
        self._taken += 1
        return self.received[self._taken - 1]

    async def expect(self, kind: str) -> dict[str, Any]:
        """The next message, which must be of this type."""
        frame = await self.receive()
        assert isinstance(frame, str), "a client sends no binary frames"
        message: dict[str, Any] = json.loads(frame)
        assert message["type"] == kind, f"expected {kind}, came {frame[:200]}"
        return message

    async def until(self, kind: str) -> dict[str, Any]:
        """The next message of this type; others before it are passed over."""
        while True:
            frame = await self.receive()
            if isinstance(frame, str) and json.loads(frame)["type"] == kind:
                return dict(json.loads(frame))

    async def heard(self, audio_bytes: int) -> bytes:
        """Wait until so many bytes of audio have come in all; gives all of them."""
        while len(self.audio) < audio_bytes:
            if self.closed.is_set():
                raise anyio.EndOfStream
            await self._news.wait()
        return bytes(self.audio)

    # --- what to do

    async def ready(self, session_id: str = "s-1", **changes: Any) -> SessionConfig:
        """Take the opening message and tell that the session is ready; `changes` to what was asked for."""
        message = parse_client(await self.receive(), opening=True)
        assert isinstance(message, SessionUpdate)
        assert message.opening is not None
        config = evolve(message.opening, **changes)
        await self.send(SessionCreated(session_id, config), SessionUpdated(config))
        return config

    async def send(self, *payloads: Payload | str | bytes) -> None:
        """Send events; a str or bytes goes out as a frame as it is."""
        for payload in payloads:
            frame = payload if isinstance(payload, str | bytes) else dump_server(payload)
            if isinstance(frame, str):
                self.protocol.send_text(frame.encode("utf-8", "surrogatepass"))
            else:
                self.protocol.send_binary(frame)
        await self._flush()

    async def send_bytes(self, data: bytes) -> None:
        """Send bytes as they are, framed or not."""
        await self.stream.send(data)

    async def close(self, code: int = 1000, reason: str = "") -> None:
        """Say goodbye, and wait until the connection has ended."""
        if self.protocol.state is State.OPEN:
            self.protocol.send_close(code, reason)
            await self._flush()
        await self.closed.wait()

    async def cut(self) -> None:
        """End the connection with no goodbye."""
        await anyio.aclose_forcefully(self.stream)

    async def reset(self) -> None:
        """End the connection as a crashed machine does, with a TCP reset."""
        linger_not(self.stream)
        await anyio.aclose_forcefully(self.stream)

    def deafen(self) -> None:
        """Read nothing more, so answer no ping: what a half-open connection looks like."""
        self._reading = anyio.Event()

    def listen(self) -> None:
        """Read again."""
        self._reading.set()

    # --- the wire

    async def _flush(self) -> None:
        async with self._lock:
            for data in self.protocol.data_to_send():
                if data:
                    await self.stream.send(data)
                elif isinstance(self.stream, TLSStream):
                    await self.stream.aclose()
                else:
                    await self.stream.send_eof()

    async def _read(self) -> None:
        """Read until the connection ends."""
        try:
            while self.protocol.state is not State.CLOSED:
                await self._reading.wait()
                self.protocol.receive_data(await self.stream.receive())
                await self._take()
        except (anyio.EndOfStream, anyio.BrokenResourceError, anyio.ClosedResourceError):
            self.protocol.receive_eof()
        finally:
            self.closed.set()
            self._news.ring()

    async def _take(self) -> None:
        for event in self.protocol.events_received():
            if isinstance(event, Frame) and event.opcode in (Opcode.TEXT, Opcode.BINARY):
                frame = bytes(event.data)
                self._keep(frame.decode() if event.opcode is Opcode.TEXT else frame)
        await self._flush()

    def _keep(self, frame: str | bytes) -> None:
        self.received.append(frame)
        if isinstance(frame, str) and '"input_audio_buffer.append"' in frame:
            message = parse_client(frame)
            assert isinstance(message, Append)
            self.audio += message.audio
        self._news.ring()


@define(eq=False)
class Service:
    """A running service: its base address, and the connections it has had."""

    port: int
    secure: bool
    peers: list[Peer] = field(factory=list)
    attempts: int = 0
    """Connections asked for, the refused ones too."""
    _news: Bell = field(init=False, factory=Bell)

    @property
    def url(self) -> str:
        return f"{'wss' if self.secure else 'ws'}://127.0.0.1:{self.port}"

    async def peer(self, index: int = 0) -> Peer:
        """The connection of that number, once it is there."""
        while len(self.peers) <= index:
            await self._news.wait()
        return self.peers[index]

    def _add(self, peer: Peer) -> None:
        self.peers.append(peer)
        self._news.ring()


def refuse(status: int, headers: Mapping[str, str] | None = None) -> Script:
    """A script that refuses the upgrade with this HTTP status."""

    async def script(peer: Peer) -> None:
        raise AssertionError("a refused connection runs no script")

    script.refusal = (status, headers or {})  # type: ignore[attr-defined]
    return script


async def hang_up(peer: Peer) -> None:
    """A script that ends the connection as soon as it is open, with no goodbye."""
    await peer.cut()


@asynccontextmanager
async def scripted(
    *scripts: Script, tls: ssl.SSLContext | None = None, deadline_s: float = 30
) -> AsyncIterator[Service]:
    """A service on 127.0.0.1 that runs `scripts`; it ends, whatever they do, when the block is left.

    Raises: TimeoutError after `deadline_s`, so that no test hangs.
    """
    async with await anyio.create_tcp_listener(local_host="127.0.0.1") as listener:
        service = Service(listener.extra(SocketAttribute.local_port), tls is not None)

        async def serve(stream: ByteStream) -> None:
            script = scripts[min(service.attempts, len(scripts) - 1)]
            service.attempts += 1
            async with stream:
                await _play(service, script, stream, tls)

        with anyio.fail_after(deadline_s):
            async with anyio.create_task_group() as group:
                group.start_soon(listener.serve, serve)
                yield service
                group.cancel_scope.cancel()


async def _play(service: Service, script: Script, stream: ByteStream, tls: ssl.SSLContext | None) -> None:
    protocol = ServerProtocol(logger=_quiet(), max_size=None)
    try:
        if tls is not None:
            stream = await TLSStream.wrap(stream, server_side=True, ssl_context=tls, standard_compatible=False)
        request = await _request(stream, protocol)
    except (anyio.EndOfStream, anyio.BrokenResourceError, ssl.SSLError):
        return
    peer = Peer(stream, protocol, request.path, dict(request.headers))
    refusal = getattr(script, "refusal", None)
    response = protocol.accept(request) if refusal is None else protocol.reject(refusal[0], "no\n")
    response.headers.update(refusal[1] if refusal else {})
    protocol.send_response(response)
    if refusal is None:
        service._add(peer)
    await peer._flush()
    if refusal is not None:
        return
    async with anyio.create_task_group() as group:
        group.start_soon(peer._read)
        try:
            await script(peer)
        except (anyio.EndOfStream, anyio.BrokenResourceError, anyio.ClosedResourceError):
            assert peer.closed.is_set() or protocol.state is not State.OPEN, "the script lost its connection"
        await peer.closed.wait()


async def _request(stream: ByteStream, protocol: ServerProtocol) -> Request:
    while True:
        protocol.receive_data(await stream.receive())
        for event in protocol.events_received():
            assert isinstance(event, Request)
            return event


def linger_not(stream: ByteStream) -> None:
    """Have `stream` reset its connection when it is closed."""
    raw = stream.extra(SocketAttribute.raw_socket)
    raw.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))


def _quiet() -> logging.Logger:
    """A logger of its own, that says nothing: what the client logs is what the tests look at."""
    logger = logging.Logger("scripted")
    logger.addHandler(logging.NullHandler())
    return logger
