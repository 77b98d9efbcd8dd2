"""A service that takes captions by HTTP, over real sockets, and does with each post what the test says."""

from __future__ import annotations

import re
import socket
import ssl
import threading
from collections import deque
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from urllib.parse import parse_qs, urlsplit

from attrs import define, field, frozen

__all__ = ["CANARY", "CaptionService", "Received", "caption_service"]

CANARY = "canary-0123-wxyz"
"""What is secret in an address: it must not sing."""
HANG, GARBAGE, CLOSE, TRICKLE = "hang", "garbage", "close", "trickle"


@frozen
class Received:
    """A post as it came: the number and the rest of the query, headers and body."""

    path: str
    query: dict[str, str]
    headers: str
    body: str

    @property
    def number(self) -> int:
        return int(self.query["seq"])


@define(eq=False)
class CaptionService:
    """What came in `received`. `script` has what to do with the next posts: a status, or a way to misbehave.

    Behind the script all are taken. `time` is the answer to what is taken.
    """

    port: int
    scheme: str = "http"
    script: deque[int | str] = field(factory=deque)
    time: str = "2012-12-24T00:00:06.873"
    location: str = ""
    received: list[Received] = field(factory=list)
    came: threading.Event = field(factory=threading.Event)
    """Set when something was received."""

    @property
    def address(self) -> str:
        return f"{self.scheme}://localhost:{self.port}/closedcaption?cid={CANARY}&sparams=id%2Cns"

    def posts(self) -> list[Received]:
        """Without the heartbeats."""
        return [post for post in self.received if post.body]

    def serve(self, connection: socket.socket) -> None:
        with connection, suppress(ConnectionError, ssl.SSLError):
            post = _read(connection)
            what = self.script.popleft() if self.script and (post.body or isinstance(self.script[0], int)) else 200
            self.received.append(post)
            self.came.set()
            match what:
                case int(status):
                    connection.sendall(self._answer(status, post))
                case "garbage":
                    connection.sendall(f"{CANARY} \x00 no HTTP\r\n\r\n".encode())
                case "trickle":
                    while True:
                        connection.sendall(b"H")
                        if not _still_there(connection, 0.02):
                            return
                case "hang":
                    while _still_there(connection, 1.0):
                        pass

    def _answer(self, status: int, post: Received) -> bytes:
        """As web servers like it, what is wrong repeats the address, in every place where it can."""
        told = self.time if status < 300 else f"{post.path} was not found"
        where = f"Location: {self.location}\r\n" if self.location else ""
        reason = "OK" if status < 300 else f"{CANARY} is wrong"
        return f"HTTP/1.1 {status} {reason}\r\n{where}Content-Length: {len(told) + 1}\r\n\r\n{told}\n".encode()


def _read(connection: socket.socket) -> Received:
    data = b""
    while b"\r\n\r\n" not in data:
        data += connection.recv(65536) or _gone()
        if data.startswith(b"\x16"):  # TLS, where none is spoken
            _gone()
    head, _, body = data.partition(b"\r\n\r\n")
    length = re.search(rb"content-length: (\d+)", head, re.I)
    while length is not None and len(body) < int(length[1]):
        body += connection.recv(65536) or _gone()
    method, path, _ = head.split(b"\r\n")[0].decode().split(" ")
    assert method == "POST"
    query = {name: values[0] for name, values in parse_qs(urlsplit(path).query).items()}
    return Received(path, query, head.decode(), body.decode())


def _gone() -> bytes:
    raise ConnectionError


def _still_there(connection: socket.socket, wait_s: float) -> bool:
    connection.settimeout(wait_s)
    try:
        return bool(connection.recv(1))
    except TimeoutError:
        return True


@contextmanager
def caption_service(*script: int | str, tls: ssl.SSLContext | None = None) -> Iterator[CaptionService]:
    """A service at work; at the end its threads must have ended."""
    threads: list[threading.Thread] = []
    with socket.create_server(("127.0.0.1", 0)) as listener:
        service = CaptionService(listener.getsockname()[1], "https" if tls else "http", deque(script))

        def accept() -> None:
            with suppress(OSError):
                while True:
                    connection, _ = listener.accept()
                    threads.append(threading.Thread(target=serve, args=(connection,)))
                    threads[-1].start()

        def serve(connection: socket.socket) -> None:
            try:
                service.serve(tls.wrap_socket(connection, server_side=True) if tls else connection)
            except (ssl.SSLError, ConnectionError):
                connection.close()

        accepting = threading.Thread(target=accept)
        accepting.start()
        try:
            yield service
        finally:
            listener.shutdown(socket.SHUT_RDWR)
            accepting.join(5)
            for thread in threads:
                thread.join(5)
            assert not any(thread.is_alive() for thread in [accepting, *threads])
