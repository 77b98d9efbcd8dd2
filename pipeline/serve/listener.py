"""A server at an address: lets connections in, answers what is no session, and stops in good order."""

from __future__ import annotations

import json
import socket
import ssl as tls
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from functools import partial

import anyio
from attrs import define, field

from pipeline.serve.metrics import CONTENT_TYPE
from pipeline.serve.room.figures import figures_of, measure
from pipeline.serve.room.hall import Hall
from pipeline.serve.service import Service
from pipeline.serve.session import Session
from stages.sockets import Answer, Listener, Socket, bound, listening, reachable

__all__ = ["PATH", "Server", "room_address", "serving"]

PATH = "/v1/realtime"
_JSON = "application/json"
_TEXT = "text/plain; charset=utf-8"


@define(eq=False)
class Server:
    """A service that listens. Its sessions are counted from their first message on."""

    service: Service
    host: str
    port: int
    secure: bool
    hall: Hall | None = None
    stopping: bool = field(init=False, default=False)
    _sessions: set[Session] = field(init=False, factory=set)
    _opening: int = field(init=False, default=0)
    _left: anyio.Event = field(init=False, factory=anyio.Event)

    @property
    def base_url(self) -> str:
        """What a client takes: the path comes behind it."""
        host = f"[{self.host}]" if ":" in self.host else self.host
        return f"{'wss' if self.secure else 'ws'}://{host}:{self.port}"

    @property
    def url(self) -> str:
        return self.base_url + PATH

    async def stop(self) -> None:
        """Let nobody in any more, and return when everybody has left: by themselves, or at the deadline."""
        self.stopping = True
        for session in self._sessions:
            session.stop()
        with anyio.move_on_after(self.service.limits.drain_s):
            async with anyio.create_task_group() as tasks:
                tasks.start_soon(self._emptied)
                if self.hall is not None:
                    tasks.start_soon(self.hall.stop)
        self.cut()
        await self._emptied()

    def cut(self) -> None:
        """Say goodbye to everybody now."""
        for session in self._sessions:
            session.cut()
        if self.hall is not None:
            self.hall.cut()

    @property
    def sessions(self) -> int:
        """How many there are, counted from the connection on."""
        return len(self._sessions)

    async def serve(self, connection: Socket) -> None:
        """One connection, to its end."""
        if self.hall is None or connection.path == PATH:
            session = Session(connection, self.service)
        elif (speaking := self.hall.speaking(connection)) is None:
            await self.hall.serve(connection)
            return
        else:
            session = speaking
        self._sessions.add(session)
        try:
            code = await session.run()
            if code is not None:
                self.service.metrics.ended.labels(code).inc()
        finally:
            self._sessions.discard(session)
            self._left.set()

    def answer(self, path: str) -> Answer | None:
        """What an HTTP request gets; None for one that may become a session."""
        if path == PATH:
            return _answer(503, "the server is stopping\n") if self.stopping else None
        if path == "/healthz":
            return _answer(503 if self.stopping else 200, json.dumps(self._health()) + "\n", _JSON)
        if path == "/metrics":
            return _answer(200, self._metrics(), CONTENT_TYPE)
        if self.hall is not None and not path.startswith("/v1/"):
            answer = self.hall.answer(path)
            return _answer(503, "the server is stopping\n") if answer is None and self.stopping else answer
        return _answer(404, f"there is {PATH}, /healthz and /metrics\n")

    def enter(self) -> bool:
        """Count a connection that has not said who it is; False where there are too many."""
        if self._opening >= self.service.limits.opening:
            self.service.metrics.errors.labels("too_many_connections").inc()
            return False
        self._opening += 1
        return True

    def leave(self) -> None:
        self._opening -= 1

    async def _emptied(self) -> None:
        while self._sessions:
            self._left = anyio.Event()
            await self._left.wait()

    def _health(self) -> dict[str, object]:
        service = self.service
        return {
            "status": "stopping" if self.stopping else "ok",
            "engine": service.engine.name,
            "sessions": service.admission.sessions,
            "sessions_limit": service.limits.sessions,
            "load": round(service.turns.load.fraction(anyio.current_time()), 3),
        }

    def _metrics(self) -> str:
        metrics = self.service.metrics
        metrics.opening.set(self._opening)
        metrics.load.set(self.service.turns.load.fraction(anyio.current_time()))
        if self.hall is not None:
            measure(self.hall, metrics)
        return metrics.text()


@asynccontextmanager
async def serving(
    service: Service,
    *,
    host: str = "127.0.0.1",
    port: int = 0,
    ssl: tls.SSLContext | None = None,
    hall: Hall | None = None,
) -> AsyncIterator[Server]:
    """A server at `host` and `port` (0: a free one), perhaps with a room; stops on leaving. Raises: OSError."""
    with bound(host, port) as listener:
        server = Server(service, host, _port(listener), ssl is not None, hall)
        what = Listener(serve=server.serve, answer=server.answer, enter=server.enter, leave=server.leave)
        async with anyio.create_task_group() as tasks, listening(listener, what, ssl):
            if hall is not None:
                service.watched.audiences["room"] = partial(figures_of, hall)
                hall.link = room_address(server.base_url, hall.keys.name)
                await tasks.start(hall.run)
            try:
                yield server
            finally:
                with anyio.CancelScope(shield=True):
                    await server.stop()


def room_address(base_url: str, name: str) -> str:
    """Where browsers find the room `name` of the server at `base_url` (ws or wss), from anywhere if they may."""
    scheme, _, place = f"http{base_url.removeprefix('ws')}".partition("://")
    host, _, port = place.rpartition(":")
    return f"{scheme}://{reachable(host.strip('[]'))}:{port}/r/{name}"


def _answer(status: int, text: str, content_type: str = _TEXT) -> Answer:
    return Answer(status, content_type, text.encode())


def _port(listener: socket.socket) -> int:
    return int(listener.getsockname()[1])
