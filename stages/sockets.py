"""Listening for WebSockets, on asyncio and on trio: what differs between the two, and nothing of what is said.

`websockets` brings a server for each. At DEBUG it prints headers and frames, and both hold keys: so it is given
a logger that lets none of that through.
"""

from __future__ import annotations

import ipaddress
import logging
import socket
import ssl as tls
import sys
from collections.abc import AsyncIterator, Awaitable, Callable, Mapping
from contextlib import asynccontextmanager, suppress
from functools import partial
from typing import Any

import anyio
from attrs import define, field, frozen
from websockets.exceptions import ConnectionClosed

from stages.translate.realtime.codec import MESSAGE_LIMIT_BYTES
from stages.translate.realtime.discreet import Discreet

__all__ = ["Answer", "Listener", "Socket", "SocketGone", "bound", "is_loopback", "listening", "reachable"]

HANDSHAKE_S = 10.0
CLOSING_S = 10.0
PING_S = 20.0
"""All three: websockets' own, and the vendor's SDK has them too."""
BUFFER_BYTES = 30_000
"""What fits into an empty buffer of websockets, which takes 32 KiB before one who sends has to wait."""
REASON_LIMIT_BYTES = 123
"""What a close frame has room for (RFC 6455, 5.5)."""


class SocketGone(Exception):
    """The connection has ended, with `code`: 1006 where it broke, 1009 where a message was too large."""

    def __init__(self, code: int) -> None:
        super().__init__(f"closed with {code}")
        self.code = code


@define(eq=False)
class Socket:
    """An open connection of `websockets`. One task may receive while others send."""

    _connection: Any
    address: str = field(init=False)
    """The client's, without its port; empty where it has gone already."""

    def __attrs_post_init__(self) -> None:
        try:
            self.address = str(self._connection.remote_address[0])
        except OSError:
            self.address = ""

    @property
    def path(self) -> str:
        """Where it was opened, without the query."""
        return _path(self._connection.request)

    @property
    def foreign(self) -> bool:
        """Whether a page of another site has opened it. What is no browser does not say where it comes from."""
        origin = self.header("origin")
        return origin is not None and origin.rpartition("//")[2].lower() != (self.header("host") or "").lower()

    def header(self, name: str) -> str | None:
        """The header of the upgrade; the first one where there are several."""
        values: list[str] = self._connection.request.headers.get_all(name)
        return values[0] if values else None

    def known(self) -> None:
        """It has said who it is: it counts no longer as one that opens."""
        self._connection.uncount()

    def hold_little(self, size: int) -> None:
        """Let about `size` bytes, and no more, lie in the system while the other side does not read."""
        with suppress(OSError, AttributeError):  # it may have gone already, and have no socket any more
            _system_socket(self._connection).setsockopt(socket.SOL_SOCKET, socket.SO_SNDBUF, size)

    async def receive(self) -> str | bytes:
        """The next message. Raises SocketGone. Cancelled, nothing is lost."""
        try:
            message: str | bytes = await self._connection.recv()
        except ConnectionClosed as closed:
            raise SocketGone(_code(closed)) from None
        return message

    async def send(self, frame: str | bytes, timeout_s: float) -> None:
        """Hand over `frame`, which is done even where the caller is cancelled meanwhile. Raises SocketGone.

        A client that does not read for `timeout_s` is cut off: half a frame may be out.
        """
        if self._flows(frame):
            await self._send(frame)
            return
        with anyio.move_on_after(timeout_s, shield=True) as sending:
            await self._send(frame)
        if sending.cancelled_caught:
            await self.cut()
            raise SocketGone(1006)

    def _flows(self, frame: str | bytes) -> bool:
        """Whether `frame` is sent without waiting, so that it needs neither a shield nor a deadline.

        On asyncio it only waits behind a full buffer. A scope for each send costs as much as the sending.
        """
        transport = getattr(self._connection, "transport", None)
        if transport is None or transport.get_write_buffer_size():
            return False
        most = len(frame) if isinstance(frame, bytes) or frame.isascii() else 4 * len(frame)
        return most < BUFFER_BYTES

    async def _send(self, frame: str | bytes) -> None:
        try:
            await self._connection.send(frame)
        except ConnectionClosed as closed:
            raise SocketGone(_code(closed)) from None

    async def close(self, code: int, reason: str = "") -> None:
        """Say goodbye and wait a while for the answer, which comes behind all that was sent before it."""
        shut = self._connection.aclose if _on_trio() else self._connection.close
        fitting = reason.encode()[:REASON_LIMIT_BYTES].decode(errors="ignore")
        with anyio.CancelScope(shield=True):  # it has a time limit of its own
            async with anyio.create_task_group() as tasks:
                tasks.start_soon(self._discard)
                await shut(code, fitting)
                tasks.cancel_scope.cancel()

    async def _discard(self) -> None:
        """Read on, so that the other side is not stuck in sending."""
        with suppress(SocketGone):
            while True:
                await self.receive()

    async def cut(self) -> None:
        """End the connection at once."""
        if _on_trio():
            import trio

            await trio.aclose_forcefully(self._connection.stream)
        else:
            self._connection.transport.abort()


def _code(closed: Any) -> int:
    """The code of the side that closed first; 1006 where there was no close frame."""
    first = closed.rcvd if closed.rcvd_then_sent or closed.sent is None else closed.sent
    return first.code if first is not None else 1006


# --- listening ----------------------------------------------------------------------------------------------


@frozen
class Answer:
    """A plain HTTP answer; `headers` beside those that say what and how long it is."""

    status: int
    content_type: str
    body: bytes
    headers: Mapping[str, str] = field(factory=dict)


@frozen(kw_only=True)
class Listener:
    """What is done with connections: `serve` those that are upgraded, `answer` the requests before that.

    `answer(path)` gives a plain HTTP answer, or None for the upgrade.
    `enter` is asked for each connection that is accepted; one that it says no to is cut at once, any other
    `leave`s when it is `known`, or ends.
    """

    serve: Callable[[Socket], Awaitable[None]]
    answer: Callable[[str], Answer | None]
    enter: Callable[[], bool]
    leave: Callable[[], None]


def bound(host: str, port: int) -> socket.socket:
    """A socket that listens at `host` and `port` (0: a free one). Raises: OSError."""
    family, _, _, _, address = socket.getaddrinfo(host, port, type=socket.SOCK_STREAM)[0]
    listener = socket.create_server(address[:2], family=family, backlog=512)
    listener.setblocking(False)
    return listener


def is_loopback(host: str) -> bool:
    """Whether only this machine reaches `host`."""
    try:
        return ipaddress.ip_address(host).is_loopback
    except ValueError:
        return host == "localhost"


def reachable(host: str) -> str:
    """What other machines put into an address for `host`: one that stands for all of ours becomes the LAN's."""
    try:
        address = ipaddress.ip_address(host)
    except ValueError:
        return host
    if address.is_unspecified:
        return _lan_address()
    return f"[{host}]" if address.version == 6 else host


def _lan_address() -> str:
    """The address by which this machine would reach others; nothing is sent to find that out."""
    with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as probe:
        try:
            probe.connect(("192.0.2.1", 9))  # an address that is nobody's (RFC 5737)
        except OSError:
            return "127.0.0.1"
        return str(probe.getsockname()[0])


@asynccontextmanager
async def listening(listener: socket.socket, what: Listener, ssl: tls.SSLContext | None) -> AsyncIterator[None]:
    """Serve the connections that come to `listener`. On leaving, those that are left are closed with 1001."""
    if _on_trio():
        async with _trio(listener, what, ssl):
            yield
    else:
        async with _asyncio(listener, what, ssl):
            yield


def _arguments(what: Listener, ssl: tls.SSLContext | None) -> dict[str, Any]:
    return {
        "process_request": partial(_process, what),
        "compression": None,  # PCM hardly shrinks, and trying costs 250 µs a message
        "open_timeout": HANDSHAKE_S,
        "close_timeout": CLOSING_S,
        "ping_interval": PING_S,
        "ping_timeout": PING_S,
        "max_size": MESSAGE_LIMIT_BYTES,
        "server_header": None,
        "logger": Discreet(logging.getLogger(__name__), {}),
        "ssl": ssl,
    }


def _process(what: Listener, connection: Any, request: Any) -> Any:
    """The answer to an HTTP request; None lets the upgrade happen."""
    answer = what.answer(_path(request))
    if answer is None:
        return None
    response = connection.respond(answer.status, "")
    response.body = answer.body
    told = {"Content-Length": str(len(answer.body)), "Content-Type": answer.content_type, **answer.headers}
    for name, value in told.items():
        response.headers.pop(name, None)  # one value each: setting adds another
        response.headers[name] = value
    return response


def _path(request: Any) -> str:
    return str(request.path).partition("?")[0]


@asynccontextmanager
async def _asyncio(listener: socket.socket, what: Listener, ssl: tls.SSLContext | None) -> AsyncIterator[None]:
    from websockets.asyncio.server import ServerConnection, serve

    class Counted(ServerConnection):
        """A connection that counts from when it is accepted until it is known, or lost."""

        counted = False

        def connection_made(self, transport: Any) -> None:
            super().connection_made(transport)
            self.counted = what.enter()
            if not self.counted:
                transport.abort()

        def connection_lost(self, exc: Exception | None) -> None:
            self.uncount()
            super().connection_lost(exc)

        def uncount(self) -> None:
            if self.counted:
                self.counted = False
                what.leave()

    server = await serve(
        lambda connection: what.serve(Socket(connection)),
        sock=listener,
        create_connection=Counted,
        **_arguments(what, ssl),
    )
    try:
        yield
    finally:
        with anyio.CancelScope(shield=True):
            server.close()
            await server.wait_closed()


@asynccontextmanager
async def _trio(listener: socket.socket, what: Listener, ssl: tls.SSLContext | None) -> AsyncIterator[None]:
    import trio
    from websockets.trio.server import ServerConnection, serve

    class Counted(ServerConnection):
        """A connection that counts from when it is accepted until it is known, or lost."""

        counted = False

        def __init__(self, nursery: Any, stream: Any, *rest: Any, **options: Any) -> None:
            if not what.enter():
                raise ConnectionRefusedError("there are too many connections")
            self.counted = True
            super().__init__(nursery, stream, *rest, **options)

        async def close_stream(self) -> None:
            self.uncount()
            await super().close_stream()

        def uncount(self) -> None:
            if self.counted:
                self.counted = False
                what.leave()

    over = trio.Event()

    async def serve_to_the_end(task_status: trio.TaskStatus[Any]) -> None:
        try:
            await start(task_status=task_status)
        finally:
            over.set()

    async with trio.open_nursery() as nursery:
        start = partial(
            serve,
            lambda connection: what.serve(Socket(connection)),
            listeners=[trio.SocketListener(trio.socket.from_stdlib_socket(listener))],
            create_connection=Counted,
            **_arguments(what, ssl),
        )
        server = await nursery.start(serve_to_the_end)
        try:
            yield
        finally:
            with anyio.move_on_after(2 * CLOSING_S, shield=True):
                async with trio.open_nursery() as closing:
                    closing.start_soon(server.aclose)
                    # Cancelled from outside, `aclose` would wait for ever: nobody tells it that all has ended.
                    await over.wait()
                    closing.cancel_scope.cancel()
            nursery.cancel_scope.cancel()


def _on_trio() -> bool:
    trio = sys.modules.get("trio")
    return trio is not None and trio.lowlevel.in_trio_task()


def _system_socket(connection: Any) -> Any:
    """The socket under a connection, encrypted or not."""
    if not _on_trio():
        return connection.transport.get_extra_info("socket")
    stream = connection.stream
    return getattr(stream, "transport_stream", stream).socket
