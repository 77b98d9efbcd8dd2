"""A socket to the service: what it carries, how it ends, and that no secret gets out by it."""

from __future__ import annotations

import logging
import ssl
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager

import anyio
import pytest
import trustme
from hypothesis import given
from hypothesis import strategies as st

from stages.translate.realtime.transport import (
    ServiceUnreachable,
    Socket,
    SocketClosed,
    SocketOptions,
    open_socket,
    service_url,
)
from tests.fault_proxy import FaultProxy, fault_proxy
from tests.realtime_server import Peer, Script, hang_up, refuse, scripted

pytestmark = pytest.mark.anyio
KEY = "k-canary-4711"
QUICK = SocketOptions(ping_interval_s=0.05, ping_timeout_s=0.5, close_timeout_s=0.1)


# --- addresses


@pytest.mark.parametrize(
    ("base", "url"),
    [
        ("wss://realtime.camb.ai", "wss://realtime.camb.ai/v1/realtime?mode=fast"),
        ("https://realtime.camb.ai/", "wss://realtime.camb.ai/v1/realtime?mode=fast"),
        ("HTTP://localhost:8000/a/b//", "ws://localhost:8000/a/b/v1/realtime?mode=fast"),
        ("ws://[::1]:80/v1/realtime", "ws://[::1]:80/v1/realtime?mode=fast"),
    ],
)
def test_the_address_of_a_session(base: str, url: str) -> None:
    assert service_url(base, "fast") == url


@pytest.mark.parametrize(
    "base", ["", "realtime.camb.ai", "ftp://x", "ws://", "ws://h:99999", "ws://h/?a=1", "ws://a b"]
)
def test_what_is_no_address_is_told_in_one_line(base: str) -> None:
    with pytest.raises(ValueError, match=r"\Awanted an address such as wss://realtime.camb.ai, came '.*'\Z"):
        service_url(base, "fast")


@given(st.text())
def test_any_text_is_an_address_or_a_value_error(base: str) -> None:
    try:
        assert service_url(base, "fast").startswith("ws")
    except ValueError as wrong:
        assert "\n" not in str(wrong)


def test_secrets_in_addresses_and_options_do_not_show() -> None:
    options = SocketOptions(headers={"x-api-key": KEY}, proxy=f"http://me:{KEY}@proxy")
    assert KEY not in repr(options)
    with pytest.raises(ValueError) as caught:
        service_url(f"ftp://me:{KEY}@host", "fast")
    assert KEY not in str(caught.value)
    with pytest.raises(ValueError, match="no header can hold") as caught:
        SocketOptions(headers={"x-api-key": f"{KEY}\r\nx: y"})
    assert KEY not in str(caught.value)


# --- what it carries


async def echo(peer: Peer) -> None:
    while True:
        await peer.send(await peer.receive())


@asynccontextmanager
async def echo_by_proxy() -> AsyncIterator[tuple[FaultProxy, Socket]]:
    """A socket with quick keep-alive to an echoing service, and the line between them."""
    async with (
        scripted(echo) as service,
        fault_proxy(service.port) as line,
        open_socket(line.url, QUICK) as socket,
    ):
        yield line, socket


async def test_frames_go_both_ways() -> None:
    async with scripted(echo) as service, open_socket(service_url(service.url, "fast")) as socket:
        for frame in ("hello", b"\0\1{", "", "ü\U0001f600"):
            await socket.send(frame)
            assert await socket.receive() == frame
    assert service.peers[0].path == "/v1/realtime?mode=fast"
    assert service.peers[0].close_code == 1000
    assert "Sec-WebSocket-Extensions" not in service.peers[0].headers


async def test_headers_go_with_the_upgrade() -> None:
    options = SocketOptions(headers={"x-api-key": KEY})
    async with scripted(echo) as service, open_socket(service.url, options):
        assert service.peers[0].headers["x-api-key"] == KEY


async def test_slices_latency_and_big_frames_change_nothing() -> None:
    async with scripted(echo) as service, fault_proxy(service.port) as line:
        line.slice_bytes, line.latency_s = 700, 0.001
        async with open_socket(line.url) as socket:
            for frame in ("a" * 70_000, bytes(100_000)):
                await socket.send(frame)
                assert await socket.receive() == frame


async def test_tls_with_options_of_ones_own() -> None:
    authority = trustme.CA()
    ours, theirs = ssl.create_default_context(), ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    authority.configure_trust(ours)
    authority.issue_cert("127.0.0.1").configure_cert(theirs)
    async with scripted(echo, tls=theirs) as service:
        async with open_socket(service.url, SocketOptions(ssl=ours)) as socket:
            await socket.send("hello")
            assert await socket.receive() == "hello"
        with pytest.raises(ServiceUnreachable, match="certificate is not trusted"):
            async with open_socket(service.url):
                pass


# --- how it ends


async def test_the_others_goodbye_has_its_code_and_reason() -> None:
    async with scripted(lambda peer: peer.close(1008, "no credit")) as service, open_socket(service.url) as socket:
        for _ in range(2):
            with pytest.raises(SocketClosed) as caught:
                await socket.receive()
            assert (caught.value.code, caught.value.reason) == (1008, "no credit")
        with pytest.raises(SocketClosed):
            await socket.send("late")


async def test_our_own_goodbye_has_ours() -> None:
    async with scripted(echo) as service, open_socket(service.url) as socket:
        await socket.close(1001, "ü" * 100)
        await socket.close()
        await service.peers[0].closed.wait()
        assert service.peers[0].close_code == 1001
        with pytest.raises(SocketClosed) as caught:
            await socket.receive()
        assert caught.value.code == 1001


@pytest.mark.parametrize("end", [Peer.cut, Peer.reset])
async def test_a_line_that_breaks_is_1006(end: Script) -> None:
    async with scripted(end) as service, open_socket(service.url) as socket:
        with pytest.raises(SocketClosed) as caught:
            await socket.receive()
        assert caught.value.code == 1006
        assert caught.value.reason


async def test_too_large_a_frame_ends_it() -> None:
    options = SocketOptions(max_size_bytes=1000)
    async with (
        scripted(lambda peer: peer.send(bytes(2000))) as service,
        open_socket(service.url, options) as socket,
    ):
        with pytest.raises(SocketClosed) as caught:
            await socket.receive()
        assert (caught.value.code, caught.value.reason) == (
            1006,
            "frame with 2000 bytes exceeds limit of 1000 bytes",
        )


async def test_a_half_open_connection_is_noticed_while_nothing_is_sent() -> None:
    async with echo_by_proxy() as (line, socket):
        line.freeze()
        with pytest.raises(SocketClosed) as caught:
            await socket.receive()
        assert (caught.value.code, caught.value.reason) == (1006, "keepalive ping timeout")


async def test_a_half_open_connection_is_noticed_while_much_is_sent() -> None:
    async with echo_by_proxy() as (line, socket):
        line.freeze()
        with pytest.raises(SocketClosed) as caught:
            while True:
                await socket.send(bytes(1 << 20))
        assert caught.value.code == 1006


async def test_a_send_that_is_cancelled_while_it_waits_cuts_the_line() -> None:
    """Half a frame may be out: what is sent after it would be taken for its other half."""
    async with scripted(echo) as service, open_socket(service.url) as socket:
        service.peers[0].deafen()
        with anyio.CancelScope() as scope:
            scope.deadline = anyio.current_time() + 0.1
            while True:
                await socket.send(bytes(1 << 20))
        with pytest.raises(SocketClosed) as caught:
            await socket.receive()
        assert caught.value.code == 1006


async def test_leaving_does_not_wait_long_for_a_dead_service() -> None:
    async with scripted(echo) as service:
        began = anyio.current_time()
        async with open_socket(service.url, QUICK):
            service.peers[0].deafen()
        assert anyio.current_time() - began < 2


async def test_cancelled_the_connection_ends_at_once(anyio_backend: str) -> None:
    """On trio maybe without a goodbye: the tasks of `websockets` that would see to it are cancelled too."""
    async with scripted(echo) as service:
        with anyio.CancelScope() as scope:
            async with open_socket(service.url) as socket:
                scope.cancel()
                await socket.receive()
        await service.peers[0].closed.wait()
        assert service.peers[0].close_code in ([1000] if anyio_backend == "asyncio" else [1000, None])


async def test_a_user_that_fails_still_says_goodbye() -> None:
    async with scripted(echo) as service:
        with pytest.raises(ZeroDivisionError):
            async with open_socket(service.url):
                raise ZeroDivisionError
        await service.peers[0].closed.wait()
        assert service.peers[0].close_code == 1000


# --- what cannot be opened


@pytest.mark.parametrize(
    ("status", "permanent"),
    [(401, True), (403, True), (404, True), (408, False), (425, False), (429, False), (503, False)],
)
async def test_a_refusal_tells_its_status_and_whether_to_try_again(status: int, permanent: bool) -> None:
    async with scripted(refuse(status)) as service:
        with pytest.raises(
            ServiceUnreachable, match=f"{service.url} refused the connection: HTTP {status}"
        ) as caught:
            async with open_socket(service.url):
                pass
        assert (caught.value.status, caught.value.permanent) == (status, permanent)


async def test_a_redirect_is_not_followed() -> None:
    """It would take the headers, and after them the key, to wherever it likes."""
    async with scripted(echo) as elsewhere:
        async with scripted(refuse(307, {"Location": elsewhere.url})) as service:
            with pytest.raises(ServiceUnreachable, match="HTTP 307") as caught:
                async with open_socket(service.url, SocketOptions(headers={"x-api-key": KEY})):
                    pass
        assert caught.value.permanent
        assert elsewhere.attempts == 0


@asynccontextmanager
async def plain_listener(answer: bytes | None) -> AsyncIterator[int]:
    """A TCP service that answers every connection with `answer`, or never."""

    async def serve(stream: anyio.abc.SocketStream) -> None:
        async with stream:
            await stream.receive()
            await (anyio.sleep_forever() if answer is None else stream.send(answer))

    async with (
        await anyio.create_tcp_listener(local_host="127.0.0.1") as listener,
        anyio.create_task_group() as group,
    ):
        group.start_soon(listener.serve, serve)
        yield listener.extra(anyio.abc.SocketAttribute.local_port)
        group.cancel_scope.cancel()


async def test_nobody_there_is_one_line() -> None:
    async with plain_listener(None) as port:
        pass
    with pytest.raises(
        ServiceUnreachable, match=rf"\Acannot reach ws://127.0.0.1:{port}: connection refused\Z"
    ) as caught:
        async with open_socket(f"ws://127.0.0.1:{port}/v1/realtime"):
            pass
    assert (caught.value.status, caught.value.permanent) == (None, False)


@pytest.mark.parametrize(
    ("answer", "scheme", "message"),
    [
        (None, "ws", "did not answer within 0.2 s"),
        (b"220 mail.example.org ESMTP\r\n", "ws", "does not answer as a WebSocket service"),
        (b"HTTP/1.1 200 OK\r\nContent-Length: 0\r\n\r\n", "ws", "refused the connection: HTTP 200"),
        (b"", "ws", "does not answer as a WebSocket service"),
        (b"220 mail.example.org ESMTP\r\n", "wss", "TLS failed"),
        (b"", "wss", "cannot reach"),
    ],
)
async def test_a_service_of_another_kind_is_one_line(answer: bytes | None, scheme: str, message: str) -> None:
    async with plain_listener(answer) as port:
        with pytest.raises(ServiceUnreachable, match=message) as caught:
            options = SocketOptions(open_timeout_s=0.2 if answer is None else 10)
            async with open_socket(f"{scheme}://127.0.0.1:{port}", options):
                pass
        assert "\n" not in str(caught.value)


async def test_proxies_are_used_and_their_refusals_told() -> None:
    refusal = b"HTTP/1.1 407 Proxy Authentication Required\r\nContent-Length: 0\r\n\r\n"
    async with plain_listener(refusal) as port:
        with pytest.raises(
            ServiceUnreachable, match=r"the proxy refused to connect to ws://far\.example"
        ) as caught:
            async with open_socket("ws://far.example/x", SocketOptions(proxy=f"http://me:{KEY}@127.0.0.1:{port}")):
                pass
    assert (caught.value.status, caught.value.permanent) == (407, True)
    for proxy in (f"nonsense:{KEY}", f"socks5://me:{KEY}@127.0.0.1"):
        with pytest.raises(ServiceUnreachable, match="proxy") as caught:
            async with open_socket("ws://far.example/x", SocketOptions(proxy=proxy)):
                pass
        assert KEY not in str(caught.value)


async def test_what_is_no_websocket_address_is_refused() -> None:
    with pytest.raises(ServiceUnreachable, match="no address of a WebSocket") as caught:
        async with open_socket(f"http://me:{KEY}@host"):
            pass
    assert KEY not in str(caught.value)


# --- secrets


async def opening(socket: Socket) -> None:
    await socket.send(f'{{"type": "session.update", "auth": {{"api_key": "{KEY}"}}}}')
    await socket.receive()


async def parrot(peer: Peer) -> None:
    await peer.send(await peer.receive())
    await peer.close(1008, f"bad key {KEY}")


@pytest.mark.parametrize("script", [echo, parrot, refuse(401), refuse(503), hang_up, Peer.reset])
async def test_a_key_gets_into_no_log(script: Script, caplog: pytest.LogCaptureFixture) -> None:
    """`caplog` hangs on the root logger, like `logging.basicConfig(level=DEBUG)`."""
    caplog.set_level(logging.DEBUG)
    async with scripted(script) as service:
        try:
            async with open_socket(service.url, SocketOptions(headers={"x-api-key": KEY})) as socket:
                await opening(socket)
                await socket.receive() if script is parrot else None
        except (SocketClosed, ServiceUnreachable):
            pass
    assert KEY not in caplog.text
    assert "k-canary" not in "".join(repr(record.__dict__) for record in caplog.records)


async def test_a_key_gets_into_no_log_when_the_line_dies(caplog: pytest.LogCaptureFixture) -> None:
    caplog.set_level(logging.DEBUG)
    async with echo_by_proxy() as (line, socket):
        await opening(socket)
        line.freeze()
        with pytest.raises(SocketClosed):
            await socket.receive()
    assert KEY not in caplog.text
    assert not [record for record in caplog.records if record.levelno > logging.DEBUG]
