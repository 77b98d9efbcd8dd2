"""The socket at which a process lets its user look into its graphs.

Whatever comes in, the graphs run on: what cannot be done is an error line, a client that does not read misses
what is new, and at the end nobody is waited for longer than `FAREWELL_S`.
"""

from __future__ import annotations

import logging
import os
from collections.abc import Awaitable, Callable, Mapping, Sequence
from contextlib import suppress
from itertools import islice
from pathlib import Path
from typing import Any

import anyio
from anyio.abc import SocketListener, SocketStream, TaskGroup
from anyio.lowlevel import checkpoint
from anyio.streams.buffered import BufferedByteReceiveStream
from attrs import define, field

from pipeline.control.messages import (
    LINE_LIMIT_BYTES,
    PROTOCOL,
    AskGraphs,
    AskLedger,
    AskSet,
    AskTap,
    AskWatch,
    BadRequest,
    Request,
    line,
    parse,
)
from pipeline.control.places import NoControl, new_socket, sockets
from pipeline.ledger import Report
from pipeline.problems import did_you_mean, one_of
from pipeline.runner import Execution
from pipeline.snapshot import GraphSnapshot, take
from pipeline.stage import Hosting, Stage
from pipeline.tapping import Tapped, UnknownEdge
from pipeline.watched import Watched
from stages.jsonl import as_json

__all__ = ["CLIENTS", "FAREWELL_S", "GRAPHS_SHOWN", "MISTAKES", "SETTABLE", "ControlSocket"]

log = logging.getLogger(__name__)

CLIENTS = 16
GRAPHS_SHOWN = 64
"""In one snapshot, which then is some 300 kB long."""
MISTAKES = 10
"""Bad lines, after which a client is not listened to any more."""
FAREWELL_S = 1.0
SETTABLE = {"paused": bool}
"""What of a stage can be set from outside, and what kind of value it takes."""

_GONE = (anyio.BrokenResourceError, anyio.ClosedResourceError, anyio.EndOfStream, anyio.IncompleteRead)

Send = Callable[[bytes], Awaitable[None]]


@define(eq=False)
class ControlSocket:
    """A socket at `path` that shows `watched`. `open` it, have a task `serve`, at the end of all `close` it."""

    watched: Watched
    command: str
    path: Path
    _listener: SocketListener
    _closing: anyio.Event = field(init=False, factory=anyio.Event)
    _clients: int = field(init=False, default=0)
    _streams: set[anyio.Event] = field(init=False, factory=set)
    """One for each client that is being told of what goes on: set when it has been told all."""

    @classmethod
    async def open(cls, watched: Watched, folder: Path, command: str) -> ControlSocket:
        """Listen in `folder`, which is made if need be. `command` says what this process is. Raises: NoControl."""
        path = new_socket(folder)
        sockets(folder)  # sweeps up
        try:
            listener = await anyio.create_unix_listener(path, mode=0o600)
        except OSError as wrong:
            raise NoControl(f"{path}: {(wrong.strerror or str(wrong)).lower()}") from None
        return cls(watched, command, path, listener)

    async def serve(self) -> None:
        """Answer until cancelled."""
        try:
            async with self._listener, anyio.create_task_group() as tasks:
                await self._accept(tasks)
        finally:
            with suppress(OSError):
                self.path.unlink()

    async def close(self) -> None:
        """Tell those who look on what became of everything; returns when they know, or after `FAREWELL_S`."""
        self._closing.set()
        with anyio.move_on_after(FAREWELL_S):
            for told in list(self._streams):
                await told.wait()

    async def _accept(self, tasks: TaskGroup) -> None:
        while True:
            try:
                stream = await self._listener.accept()
            except OSError:  # no file handles left, perhaps: the graphs run on, and so does this
                await anyio.sleep(1.0)
                continue
            tasks.start_soon(self._attend, stream)

    # --- a client

    async def _attend(self, stream: SocketStream) -> None:
        """Answer one client until it hangs up. Raises nothing but cancellation."""
        self._clients += 1
        try:
            async with stream:
                if self._clients > CLIENTS:
                    await stream.send(line("error", message=f"{CLIENTS} others look on already"))
                else:
                    await self._converse(stream)
        except _GONE:
            pass
        except Exception:
            log.exception("a client of the control socket could not be answered")
        finally:
            self._clients -= 1

    async def _converse(self, stream: SocketStream) -> None:
        incoming = BufferedByteReceiveStream(stream)
        for _ in range(MISTAKES):
            try:
                while True:
                    await self._answer(parse(await incoming.receive_until(b"\n", LINE_LIMIT_BYTES)), stream)
            except (BadRequest, UnknownEdge) as wrong:
                await stream.send(line("error", message=str(wrong)))
            except anyio.DelimiterNotFound:  # nobody can tell where the next line begins
                await stream.send(line("error", message=f"wanted at most {LINE_LIMIT_BYTES} bytes a line"))
                return

    async def _answer(self, request: Request, stream: SocketStream) -> None:
        match request:
            case AskGraphs(edge):
                await stream.send(self._graphs(edge))
            case AskLedger(graph):
                name, execution = self._chosen(graph)
                await stream.send(_ledger(name, execution.state, execution.report()))
            case AskSet():
                await stream.send(self._set(request))
            case AskWatch(every_s, graph):
                only = None if graph is None else self._chosen(graph)[0]
                await self._stream(stream, lambda send: self._watch(every_s, only, send))
            case AskTap(edge, graph):
                name, execution = self._chosen(graph)
                with execution.tap(edge) as tapped:
                    await self._stream(stream, lambda send: _tell_items(name, tapped, send))

    async def _stream(self, stream: SocketStream, tell: Callable[[Send], Awaitable[None]]) -> None:
        """Tell until there is no more, or the client hangs up; what it says meanwhile is not heard."""
        told = anyio.Event()
        self._streams.add(told)
        try:
            async with anyio.create_task_group() as tasks:
                tasks.start_soon(_until_gone, stream, tasks.cancel_scope)
                with suppress(*_GONE):
                    await tell(stream.send)
                tasks.cancel_scope.cancel()
        finally:
            self._streams.discard(told)
            told.set()
        raise anyio.EndOfStream

    # --- answers

    def _graphs(self, edge: str | None) -> bytes:
        graphs = [
            {
                "name": name,
                "state": execution.state,
                "edges": [str(edge) for edge in execution.edges],
                "pausable": list(_able(execution, "paused")),
                **({} if edge is None else {"edge": _meant_by(edge, execution)}),
            }
            for name, execution in self.watched.graphs.items()
        ]
        return line("graphs", protocol=PROTOCOL, pid=os.getpid(), command=self.command, graphs=graphs)

    def _set(self, request: AskSet) -> bytes:
        name, execution = self._chosen(request.graph)
        kind = SETTABLE.get(request.attribute)
        if kind is None:
            raise BadRequest(f"attribute: wanted one of {', '.join(SETTABLE)}, came {request.attribute[:80]!r}")
        if type(request.value) is not kind:
            raise BadRequest(f"value: wanted {kind.__name__}, came {repr(request.value)[:80]}")
        able = _able(execution, request.attribute)
        if request.stage not in able:
            raise BadRequest(f"stage: no {request.stage[:80]!r} can be {request.attribute}, only {one_of(able)}")
        setattr(able[request.stage], request.attribute, request.value)
        return line("set", graph=name, stage=request.stage, attribute=request.attribute, value=request.value)

    async def _watch(self, every_s: float, only: str | None, send: Send) -> None:
        seen = self.watched.ended
        before: Mapping[str, GraphSnapshot] = {}
        while True:
            last = self._closing.is_set()
            graphs = {name: each for name, each in self.watched.graphs.items() if only in (None, name)}
            before, told = await _looks(graphs, before)
            await send(line("snapshot", graphs=told, more=len(graphs) - len(told), rooms=self._rooms(graphs)))
            seen = await self._tell_ledgers(seen, only, send)
            if last:
                await send(line("over"))
                return
            with anyio.move_on_after(every_s):
                await self._closing.wait()

    def _rooms(self, graphs: Mapping[str, Execution]) -> Sequence[Mapping[str, Any]]:
        """How each audience fares: those of the process, and those of `graphs`."""
        told = [{"name": name, **figures()} for name, figures in self.watched.audiences.items()]
        for execution in graphs.values():
            for name, stage in _able(execution, "figures").items():
                if isinstance(stage, Hosting):
                    told.append({"name": name, **stage.figures()})
        return told

    async def _tell_ledgers(self, seen: int, only: str | None, send: Send) -> int:
        """Of the graphs that ended after the `seen`th; the number of the last."""
        for ended in self.watched.ended_since(seen):
            if ended.number > seen + 1:
                await send(line("missed", ledgers=ended.number - seen - 1))
            if only in (None, ended.name):
                await send(_ledger(ended.name, ended.state, ended.report))
            seen = ended.number
        return seen

    def _chosen(self, name: str | None) -> tuple[str, Execution]:
        """The graph of that name, or the only one. Raises: BadRequest."""
        graphs = self.watched.graphs
        if name is None and len(graphs) == 1:
            return next(iter(graphs.items()))
        if name is not None and name in graphs:
            return name, graphs[name]
        what = "graph: several run" if name is None else f"graph: no {name[:80]!r} runs here"
        hint = did_you_mean(name or "", graphs)
        raise BadRequest(f"{what}{f'; {hint}' if hint else ''}; there is {one_of(graphs)}")


def _meant_by(edge: str, execution: Execution) -> str | None:
    try:
        return str(execution.edge(edge))
    except UnknownEdge:
        return None


def _able(execution: Execution, attribute: str) -> Mapping[str, Stage]:
    """The stages that have it."""
    stages = {name: node.stage for name, node in execution.plan.nodes.items() if node.stage is not None}
    return {name: stage for name, stage in stages.items() if hasattr(stage, attribute)}


async def _looks(
    graphs: Mapping[str, Execution], before: Mapping[str, GraphSnapshot]
) -> tuple[Mapping[str, GraphSnapshot], Sequence[Mapping[str, Any]]]:
    """A look at each of the first `GRAPHS_SHOWN`, and what to tell of it.

    One of ten stages takes half a millisecond: in between, the graphs go on.
    """
    looks: dict[str, GraphSnapshot] = {}
    told = []
    for name, execution in islice(graphs.items(), GRAPHS_SHOWN):
        looks[name] = take(execution, before.get(name), name=name)
        told.append(looks[name].as_json())
        await checkpoint()
    return looks, told


async def _tell_items(graph: str, tapped: Tapped, send: Send) -> None:
    await send(line("tapping", graph=graph, edge=str(tapped.edge)))
    missed = (0, 0)
    async for item in tapped:
        if missed != (tapped.missed_frames, tapped.missed_texts):
            missed = (tapped.missed_frames, tapped.missed_texts)
            await send(line("missed", **_missed(tapped)))
        await send(line("item", item=as_json(item)))
    await send(line("ended", missed=_missed(tapped)))


def _missed(tapped: Tapped) -> Mapping[str, float]:
    """So much in all so far."""
    return {"frames": tapped.missed_frames, "audio_s": round(tapped.missed_s, 3), "texts": tapped.missed_texts}


def _ledger(graph: str, state: str, report: Report) -> bytes:
    return line("ledger", graph=graph, state=state, report=report.as_json())


async def _until_gone(stream: SocketStream, scope: anyio.CancelScope) -> None:
    with suppress(*_GONE):
        while True:
            await stream.receive()
    scope.cancel()
