"""A server whose rooms do what the test says: the real pages, real WebSockets, and a script on the other side."""

from __future__ import annotations

import json
import queue
import threading
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from http import HTTPStatus
from pathlib import Path
from typing import Any

from attrs import define, field
from playwright.sync_api import Page, expect
from websockets.datastructures import Headers
from websockets.exceptions import ConnectionClosed
from websockets.http11 import Request, Response
from websockets.sync.server import Server, ServerConnection, serve

PAGE = Path(__file__).parents[1] / "stages" / "room" / "page"
PATIENCE_S = 30.0
POLICY = (
    "default-src 'none'; script-src 'self'; style-src 'self'; img-src 'self' data:; connect-src 'self'; "
    "media-src 'self' blob:; worker-src 'self'; base-uri 'none'; form-action 'none'; frame-ancestors 'self'"
)
KINDS = {
    ".html": "text/html; charset=utf-8",
    ".css": "text/css; charset=utf-8",
    ".js": "text/javascript; charset=utf-8",
    ".svg": "image/svg+xml",
}
PAGES = {"": "listen.html", "speak": "speak.html", "watch": "watch.html"}


LANGUAGES = (
    ("en-us", "English (US)", "ltr", "original", False),
    ("pt-br", "Português (Brasil)", "ltr", "good", True),
    ("es-es", "Español", "ltr", "fair", False),
    ("ar-sa", "العربية", "rtl", "experimental", False),
)
HOSTILE = '<img src=x onerror="window.broken=1"><script>window.broken=1</script>\u202eevil\u2066 &lt;'


@define(eq=False)
class Peer:
    """The page's socket, seen from the server."""

    path: str
    connection: ServerConnection
    heard: queue.Queue[dict[str, Any]] = field(factory=queue.Queue)

    def say(self, *messages: Mapping[str, Any] | bytes) -> None:
        for message in messages:
            self.connection.send(message if isinstance(message, bytes) else json.dumps(message))

    def hear(self) -> dict[str, Any]:
        """The next thing that the page says."""
        return self.heard.get(timeout=PATIENCE_S)

    def wait_for(self, kind: str) -> dict[str, Any]:
        """The next thing of that type; what comes before it is passed over."""
        while (message := self.hear())["type"] != kind:
            pass
        return message

    def close(self, code: int = 1000) -> None:
        self.connection.close(code)

    def cut(self) -> None:
        """As a network does that breaks."""
        self.connection.socket.shutdown(2)


@define(eq=False)
class Rooms:
    """Every name is a room, but `missing`. Sockets come out of `peer` in the order in which pages open them."""

    _peers: queue.Queue[Peer] = field(init=False, factory=queue.Queue)
    _server: Server = field(init=False)

    @property
    def url(self) -> str:
        return f"http://127.0.0.1:{self._server.socket.getsockname()[1]}"

    def peer(self) -> Peer:
        return self._peers.get(timeout=PATIENCE_S)

    def forget(self) -> None:
        """Begin with no sockets, as a test does: those of pages that are gone are nobody's."""
        while not self._peers.empty():
            self._peers.get()

    def _serve(self, connection: ServerConnection) -> None:
        assert connection.request is not None
        peer = Peer(connection.request.path, connection)
        self._peers.put(peer)
        try:
            for message in connection:
                peer.heard.put(json.loads(message))
        except ConnectionClosed:
            pass  # the test's doing

    def _answer(self, connection: ServerConnection, request: Request) -> Response | None:
        path = request.path.partition("?")[0]
        if path.endswith("-socket"):
            return None
        kind, name, *rest = path.strip("/").split("/")
        if kind == "r" and name != "missing":
            file = PAGE / PAGES["/".join(rest)]
        elif kind == "room-assets":
            file = PAGE / name
        else:
            return _response(HTTPStatus.NOT_FOUND, PAGE / "missing.html")
        return _response(HTTPStatus.OK, file)


def _response(status: HTTPStatus, file: Path) -> Response:
    body = file.read_bytes()
    headers = Headers(
        {
            "Content-Type": KINDS[file.suffix],
            "Content-Length": str(len(body)),
            "Content-Security-Policy": POLICY,
            "X-Content-Type-Options": "nosniff",
            "Cache-Control": "no-store",
            "Connection": "close",
        }
    )
    return Response(status, status.phrase, headers, body)


@contextmanager
def rooms() -> Iterator[Rooms]:
    """Serve until the end of the block."""
    made = Rooms()
    with serve(made._serve, "127.0.0.1", 0, process_request=made._answer, compression=None) as server:
        made._server = server
        thread = threading.Thread(target=server.serve_forever)
        thread.start()
        try:
            yield made
        finally:
            server.shutdown()
            thread.join()


# --- what a room says to a listener's page


def room(**changes: Any) -> dict[str, Any]:
    names = ("tag", "name", "dir", "quality", "voice")
    languages = [dict(zip(names, language, strict=True)) for language in LANGUAGES]
    whole = {
        "title": "Sunday",
        "source": "en-us",
        "languages": languages,
        "state": "live",
        "replay_s": 600,
        "life": "a",
    }
    return {"type": "room", **whole, **changes}


def caption(seq: int, text: str, language: str = "pt-br", utterance: int | None = None) -> dict[str, Any]:
    times = {"start_ms": 1000 * seq, "end_ms": 1000 * seq + 900}
    number = seq if utterance is None else utterance
    return {"type": "caption", "language": language, "seq": seq, "utterance": number, "text": text, **times}


def partial(utterance: int, text: str, language: str = "pt-br") -> dict[str, Any]:
    return {"type": "partial", "language": language, "utterance": utterance, "text": text}


def joined(page: Page, server: Rooms, **changes: Any) -> Peer:
    """The page's socket, once it has chosen its language."""
    peer = server.peer()
    hello = peer.wait_for("hello")
    peer.say(room(**changes))
    if not hello["languages"]:
        peer.wait_for("choose")
    expect(page.locator("#language")).to_be_enabled()
    return peer
