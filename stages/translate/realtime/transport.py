"""One open WebSocket, on asyncio and on trio, and nothing of what is said over it.

What `websockets` raises comes out as one of two errors: `ServiceUnreachable` where no connection could be
opened, `SocketClosed` where one has ended. A key never gets into either of them, nor into a log: `websockets`
prints headers and first messages at DEBUG, so it is given a logger that lets none of that through.

Keep-alive pings find a half-open connection while nothing is sent. While something is, they wait behind it, so
a connection that takes nothing for `ping_timeout_s` is ended too.
"""

from __future__ import annotations

import logging
import os
import re
import socket
import ssl as tls
import sys
from collections.abc import AsyncIterator, Awaitable, Callable, Iterator, Mapping
from contextlib import AsyncExitStack, asynccontextmanager, contextmanager
from typing import Any, Protocol
from urllib.parse import urlencode, urlsplit

from anyio import CancelScope, create_task_group, current_time, get_cancelled_exc_class, move_on_after, sleep
from attrs import define, field, frozen

from stages.translate.realtime.discreet import Discreet

__all__ = [
    "DEFAULT_BASE_URL",
    "ServiceUnreachable",
    "Socket",
    "SocketClosed",
    "SocketOptions",
    "open_socket",
    "service_url",
]

DEFAULT_BASE_URL = "wss://realtime.camb.ai"
PATH = "/v1/realtime"
BROKEN = 1006
"""The code of a connection that ended without a close frame (RFC 6455, 7.1.5)."""
REASON_LIMIT_BYTES = 123
"""What a close frame has room for (RFC 6455, 5.5)."""
PARTING_S = 1.0
"""How long a socket whose user was cancelled, or failed, may take to say goodbye."""


class RealtimeError(Exception):
    """What the service, or the way to it, does to a session; each says it in one line."""


class SocketClosed(RealtimeError):
    """The connection has ended: the other side's `code` and `reason`, or 1006 and ours where it broke."""

    def __init__(self, code: int, reason: str = "") -> None:
        super().__init__(f"closed with {code}: {reason}" if reason else f"closed with {code}")
        self.code = code
        self.reason = reason


class ServiceUnreachable(RealtimeError):
    """No connection could be opened: one line that says where, and why.

    `status` is the HTTP status where the upgrade was refused. What is `permanent` is refused again next time.
    """

    def __init__(self, message: str, status: int | None = None, *, permanent: bool = False) -> None:
        super().__init__(message)
        self.status = status
        self.permanent = permanent


class Socket(Protocol):
    """An open WebSocket. One task may receive while others send."""

    async def send(self, frame: str | bytes) -> None:
        """Hand over `frame`, waiting while the other side reads too slowly. Raises SocketClosed.

        Cancelled while it waits, the connection is cut: half a frame may be out.
        """

    async def receive(self) -> str | bytes:
        """The next frame, text or binary. Raises SocketClosed. Cancelled, nothing is lost."""

    async def close(self, code: int = 1000, reason: str = "") -> None:
        """Say goodbye and wait for the answer, `close_timeout_s` at most. Closing again does nothing."""


def _plain_headers(_instance: object, _attribute: object, headers: Mapping[str, str]) -> None:
    for name, value in headers.items():
        if not (name + value).isprintable() or ":" in name:
            raise ValueError(f"headers: {name!r} has a character that no header can hold")


@frozen
class SocketOptions:
    """How a connection is opened and kept. `proxy`: True for the system's, None for none, or its address.

    `ssl` replaces the usual checking of certificates. `headers` go with the upgrade; their values never show.
    A connection that is half open is noticed within `ping_interval_s + ping_timeout_s + close_timeout_s`.
    """

    open_timeout_s: float = 10.0
    ping_interval_s: float = 20.0
    ping_timeout_s: float = 20.0
    close_timeout_s: float = 5.0
    max_size_bytes: int = 16 << 20
    proxy: str | bool | None = field(default=True, repr=lambda proxy: _without_user(repr(proxy)))
    ssl: tls.SSLContext | None = None
    headers: Mapping[str, str] = field(
        factory=dict,
        validator=_plain_headers,
        repr=lambda headers: repr(dict.fromkeys(headers, "***")),
    )


def service_url(base: str, mode: str) -> str:
    """The address of a session: `https://host/x/` and `fast` give `wss://host/x/v1/realtime?mode=fast`.

    Raises: ValueError, in one line, where `base` is no address.
    """
    wanted = f"wanted an address such as {DEFAULT_BASE_URL}, came {_without_user(base)!r}"
    try:
        parts = urlsplit(base.strip())
        valid = parts.port != 0 and bool(parts.hostname)
    except ValueError:
        raise ValueError(wanted) from None
    scheme = {"http": "ws", "https": "wss"}.get(parts.scheme, parts.scheme)
    if not valid or scheme not in ("ws", "wss") or parts.query or parts.fragment or " " in parts.netloc:
        raise ValueError(wanted)
    path = parts.path.rstrip("/").removesuffix(PATH)
    return f"{scheme}://{parts.netloc}{path}{PATH}?{urlencode({'mode': mode})}"


@asynccontextmanager
async def open_socket(url: str, options: SocketOptions | None = None) -> AsyncIterator[Socket]:
    """An open connection to `url`, closed on leaving. Redirects are not followed: a key goes where it was sent.

    Raises: ServiceUnreachable on entering; ValueError where `url` and `options` cannot go together.
    """
    options = options or SocketOptions()
    connect, shut, cut = _trio_client() if _on_trio() else _asyncio_client()
    failure: Exception | None = None
    async with AsyncExitStack() as stack:
        with _refusals(url, options):
            connection = await stack.enter_async_context(connect(url, **_arguments(options)))
        opened = _WebSocket(connection, options, shut, cut)
        async with create_task_group() as group:
            group.start_soon(opened.watch)
            try:
                yield opened
            except Exception as error:  # noqa: BLE001 - raised again below: a task group would wrap it
                failure = error
            except BaseException:
                with CancelScope(shield=True):
                    await opened.leave(PARTING_S)
                raise
            await (opened.close() if failure is None else opened.leave(PARTING_S))
            group.cancel_scope.cancel()
    if failure is not None:
        raise failure


@define(eq=False)
class _WebSocket:
    """A connection of `websockets`. `shut` and `cut` end it, with and without a goodbye."""

    connection: Any
    options: SocketOptions
    shut: Callable[[Any, int, str], Awaitable[None]]
    cut: Callable[[Any], Awaitable[None]]
    _sending: int = field(init=False, default=0)
    _progress: float = field(init=False, default=0.0)
    """When a send last began with none before it, or was done."""
    _stuck: bool = field(init=False, default=False)
    _ended: type[Exception] = field(init=False, factory=lambda: _connection_closed())

    async def send(self, frame: str | bytes) -> None:
        if not self._sending:
            self._progress = current_time()
        self._sending += 1
        try:
            await self.connection.send(frame)
        except self._ended as closed:
            raise self._closed(closed) from None
        except get_cancelled_exc_class():
            await self._cut()
            raise
        finally:
            self._sending -= 1
            self._progress = current_time()

    async def receive(self) -> str | bytes:
        try:
            frame: str | bytes = await self.connection.recv()
        except self._ended as closed:
            raise self._closed(closed) from None
        return frame

    async def watch(self) -> None:
        """Cut the connection when it takes nothing any more.

        This looks now and then, because a deadline on every `send` costs as much as the sending.
        """
        limit = self.options.ping_timeout_s
        while True:
            await sleep(limit / 8)
            if self._sending and current_time() - self._progress > limit:
                self._stuck = True
                await self._cut()

    async def close(self, code: int = 1000, reason: str = "") -> None:
        await self.leave(self.options.close_timeout_s, code, reason)

    async def leave(self, timeout_s: float, code: int = 1000, reason: str = "") -> None:
        """Close, and cut where that takes more than `timeout_s`."""
        try:
            with move_on_after(timeout_s):
                await self.shut(self.connection, code, _fitting(reason))
        finally:
            await self._cut()

    async def _cut(self) -> None:
        with CancelScope(shield=True):
            await self.cut(self.connection)

    def _closed(self, closed: Any) -> SocketClosed:
        """What `websockets` says of a connection that has ended."""
        if closed.rcvd is not None:
            return SocketClosed(closed.rcvd.code, closed.rcvd.reason)
        if self._stuck:
            return SocketClosed(BROKEN, f"nothing could be sent for {self.options.ping_timeout_s:g} s")
        ours = closed.sent.reason if closed.sent is not None else ""
        return SocketClosed(BROKEN, ours or _why(closed.__cause__) or "the connection broke")


def _fitting(reason: str) -> str:
    return reason.encode()[:REASON_LIMIT_BYTES].decode(errors="ignore")


def _connection_closed() -> type[Exception]:
    from websockets.exceptions import ConnectionClosed

    return ConnectionClosed


# --- the two clients of websockets -----------------------------------------------------------------------

_Client = tuple[Any, Callable[[Any, int, str], Awaitable[None]], Callable[[Any], Awaitable[None]]]


def _on_trio() -> bool:
    trio = sys.modules.get("trio")
    return trio is not None and trio.lowlevel.in_trio_task()


def _asyncio_client() -> _Client:
    from websockets.asyncio.client import connect

    async def shut(connection: Any, code: int, reason: str) -> None:
        await connection.close(code, reason)

    async def cut(connection: Any) -> None:
        connection.transport.abort()

    return _staying(connect), shut, cut


def _trio_client() -> _Client:
    import trio
    from websockets.trio.client import connect

    async def shut(connection: Any, code: int, reason: str) -> None:
        await connection.aclose(code, reason)

    async def cut(connection: Any) -> None:
        await trio.aclose_forcefully(connection.stream)

    return _staying(connect), shut, cut


def _staying(connect: Any) -> Any:
    """`connect`, but it follows no redirect: it would take the headers along, and the key after them."""

    class Staying(connect):  # type: ignore[misc]
        def process_redirect(self, exc: Exception) -> Exception:
            return exc

    return Staying


def _arguments(options: SocketOptions) -> dict[str, Any]:
    arguments = {
        "open_timeout": options.open_timeout_s,
        "ping_interval": options.ping_interval_s,
        "ping_timeout": options.ping_timeout_s,
        "close_timeout": options.close_timeout_s,
        "max_size": options.max_size_bytes,
        "proxy": options.proxy or None,
        "additional_headers": dict(options.headers),
        "compression": None,  # PCM hardly shrinks, and trying costs 250 µs a message
        "logger": Discreet(logging.getLogger(__name__), {}),
    }
    return arguments if options.ssl is None else {**arguments, "ssl": options.ssl}


# --- errors, told plainly -----------------------------------------------------------------------------------


@contextmanager
def _refusals(url: str, options: SocketOptions) -> Iterator[None]:
    """What may be raised while a connection is opened, as ServiceUnreachable."""
    from websockets.exceptions import (
        ConnectionClosed,
        InvalidHandshake,
        InvalidProxy,
        InvalidProxyStatus,
        InvalidStatus,
        InvalidURI,
    )

    place = _place(url)
    try:
        yield
    except InvalidURI:
        raise ServiceUnreachable(f"{place!r} is no address of a WebSocket", permanent=True) from None
    except InvalidProxy:
        raise ServiceUnreachable("the proxy's address is no address", permanent=True) from None
    except InvalidProxyStatus as refused:
        raise _refused(f"the proxy refused to connect to {place}", refused.response.status_code) from refused
    except InvalidStatus as refused:
        raise _refused(f"{place} refused the connection", refused.response.status_code) from refused
    except TimeoutError as late:
        raise ServiceUnreachable(f"{place} did not answer within {options.open_timeout_s:g} s") from late
    except ImportError as missing:
        raise ServiceUnreachable(f"cannot use this proxy: {missing}", permanent=True) from missing
    except ConnectionClosed as cut:  # trio's client, where the handshake cannot be sent any more
        raise ServiceUnreachable(f"cannot reach {place}: {_why(cut.__cause__) or 'the connection broke'}") from cut
    except InvalidHandshake as wrong:
        raise ServiceUnreachable(f"{place} does not answer as a WebSocket service: {_why(wrong)}") from wrong
    except _network_errors() as failed:
        raise ServiceUnreachable(f"cannot reach {place}: {_why(failed)}") from failed


def _network_errors() -> tuple[type[Exception], ...]:
    """Trio has its own error for a connection that breaks, in a TLS handshake for one."""
    if not _on_trio():
        return (OSError,)
    import trio

    return (OSError, trio.BrokenResourceError)


def _refused(what: str, status: int) -> ServiceUnreachable:
    return ServiceUnreachable(
        f"{what}: HTTP {status}", status, permanent=300 <= status < 500 and status not in (408, 425, 429)
    )


def _why(error: BaseException | None) -> str:
    """The root of `error` in a few words."""
    while error is not None:
        match error:
            case BaseExceptionGroup(exceptions=(first, *_)):
                error = first
            case tls.SSLCertVerificationError():
                return f"its certificate is not trusted: {error.verify_message}"
            case tls.SSLError(reason=str(reason)):
                return f"TLS failed: {reason.replace('_', ' ').lower()}"
            case socket.gaierror(strerror=str(said)):
                return said.lower()
            case OSError(errno=int(number)):
                return os.strerror(number).lower()
            case _ if error.__cause__ is None:
                return str(error) or type(error).__name__
            case _:
                error = error.__cause__
    return ""


def _place(url: str) -> str:
    """The scheme, host and port of `url`, which is what may be shown of it."""
    return "/".join(_without_user(url).split("/", 3)[:3])


def _without_user(url: str) -> str:
    return re.sub(r"(^|//)[^/]*@", r"\1***@", url)
