"""The other end of a control socket: what a command asks, and what it is told."""

from __future__ import annotations

import json
from collections.abc import AsyncIterator, Mapping, Sequence
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Any

import anyio
from anyio.abc import SocketStream
from anyio.streams.buffered import BufferedByteReceiveStream
from attrs import define, field, frozen

from pipeline.control.messages import PROTOCOL
from pipeline.control.places import Place, sockets
from stages.captions.text import clean

__all__ = [
    "ANSWER_LIMIT_BYTES",
    "Conversation",
    "Message",
    "Process",
    "Refused",
    "connected",
    "processes",
    "readable",
]

ANSWER_LIMIT_BYTES = 8 << 20
"""Of a line: sixty graphs, each with a hundred stages."""
PATIENCE_S = 5.0
"""How long a process may take to say what it runs: its loop may be held up by a stage."""

Message = Mapping[str, Any]

_GONE = (anyio.BrokenResourceError, anyio.ClosedResourceError, anyio.EndOfStream, anyio.IncompleteRead, OSError)


class Refused(Exception):
    """The process says that it cannot; the message says why."""


@frozen
class Process:
    """A process that listens, what it was started as, and its graphs: name, state and edges of each.

    Asked for an edge, each graph also says which `edge` of its own that means; None where it means none.
    """

    place: Place
    command: str
    graphs: Sequence[Message]
    protocol: int = PROTOCOL

    @property
    def names(self) -> list[str]:
        return [graph["name"] for graph in self.graphs]


@define(eq=False)
class Conversation:
    """A connection: `ask` for one answer, or `say` and iterate. What comes is as it was sent: see `readable`."""

    _stream: SocketStream
    _incoming: BufferedByteReceiveStream = field(init=False)

    def __attrs_post_init__(self) -> None:
        self._incoming = BufferedByteReceiveStream(self._stream)

    async def say(self, do: str, **more: object) -> None:
        """Ask for something that has many answers."""
        await self._stream.send(json.dumps({"do": do, **more}).encode() + b"\n")

    async def ask(self, do: str, **more: object) -> Message:
        """The answer to one question. Raises: Refused, also where the process ends meanwhile."""
        try:
            await self.say(do, **more)
        except _GONE:
            raise Refused("the process has ended") from None
        if (message := await self.next()) is None:
            raise Refused("the process has ended")
        return message

    async def next(self) -> Message | None:
        """What it says next; None where it has ended. Raises: Refused."""
        try:
            message: Message = json.loads(await self._incoming.receive_until(b"\n", ANSWER_LIMIT_BYTES))
        except _GONE:
            return None
        except (anyio.DelimiterNotFound, ValueError):
            raise Refused("the process says what this version does not understand") from None
        if message["type"] == "error":
            raise Refused(clean(message["message"]))
        return message

    def __aiter__(self) -> Conversation:
        return self

    async def __anext__(self) -> Message:
        if (message := await self.next()) is None:
            raise StopAsyncIteration
        return message


@asynccontextmanager
async def connected(path: Path) -> AsyncIterator[Conversation]:
    """A conversation with the process that listens at `path`. Raises: OSError."""
    async with await anyio.connect_unix(path) as stream:
        yield Conversation(stream)


async def processes(folder: Path, edge: str | None = None) -> list[Process]:
    """Those that listen in `folder` and answer, by process number; asked for an `edge`. Raises: NoControl."""
    found: list[Process] = []
    async with anyio.create_task_group() as tasks:
        for place in sockets(folder):
            tasks.start_soon(_meet, place, edge, found)
    return sorted(found, key=lambda process: process.place.pid)


async def _meet(place: Place, edge: str | None, found: list[Process]) -> None:
    with anyio.move_on_after(PATIENCE_S):
        try:
            async with connected(place.path) as conversation:
                told = await conversation.ask("graphs", edge=edge)
        except (Refused, OSError):  # it has ended meanwhile
            return
        found.append(Process(place, told["command"], told["graphs"], told["protocol"]))


def readable(value: Any) -> Any:
    """`value` with every text in it as a terminal can show it: names and captions are not ours."""
    if isinstance(value, str):
        return clean(value)
    if isinstance(value, Mapping):
        return {clean(key): readable(each) for key, each in value.items()}
    if isinstance(value, list):
        return [readable(each) for each in value]
    return value
