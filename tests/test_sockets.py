"""Sending over a connection whose other side does not read."""

from __future__ import annotations

import anyio
import pytest

from stages.sockets import Listener, Socket, SocketGone, bound, listening

pytestmark = pytest.mark.anyio

FRAME_BYTES = 32 << 20
"""More than any system holds for a connection."""


async def test_a_frame_that_is_too_large_to_lie_anywhere_has_its_deadline_as_well() -> None:
    gone = list[int]()
    over = anyio.Event()

    async def serve(connection: Socket) -> None:
        try:
            await connection.send(bytes(FRAME_BYTES), 0.05)
        except SocketGone as cut:
            gone.append(cut.code)
        over.set()

    what = Listener(serve=serve, answer=lambda _: None, enter=lambda: True, leave=lambda: None)
    with anyio.fail_after(10), bound("127.0.0.1", 0) as listener:
        async with listening(listener, what, None), await anyio.connect_tcp(*listener.getsockname()) as raw:
            head = "GET / HTTP/1.1\r\nHost: x\r\nUpgrade: websocket\r\nConnection: Upgrade\r\n"
            key = "Sec-WebSocket-Key: AAAAAAAAAAAAAAAAAAAAAA==\r\nSec-WebSocket-Version: 13\r\n\r\n"
            await raw.send((head + key).encode())
            await over.wait()
    assert gone == [1006]
