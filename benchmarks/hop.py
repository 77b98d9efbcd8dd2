"""What one hop costs: a 480-frame item through 1, 4 and 8 stages that do nothing.

Peers in the same run: plain function calls, and a hand-written chain of anyio memory object streams with a
task a stage. The ratio to that chain is what counts; the microseconds are this machine's, today.

    python -m benchmarks.hop [--json]
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping
from typing import Any, ClassVar

import anyio
from attrs import define

from benchmarks.measure import median_s, show
from pipeline.caps import ANY, Caps, Port
from pipeline.graph import Graph
from pipeline.items import Audio
from pipeline.runner import run
from pipeline.stage import Inbox, Outbox
from pipeline.testing import Playlist, noise

ITEMS: list[Audio] = [noise(480)] * 5000
LENGTHS = (1, 4, 8)


@define(kw_only=True)
class Nothing:
    """A transform that does nothing."""

    accepts: ClassVar[Mapping[str, Port]] = {"in": Port(ANY)}

    def gives(self, caps: Mapping[str, Caps]) -> Mapping[str, Caps]:
        return {"out": caps["in"]}

    def feed(self, item: Audio) -> Iterable[Audio]:
        return (item,)

    def flush(self) -> Iterable[Audio]:
        return ()


@define(kw_only=True)
class NothingActor:
    """An actor that does nothing."""

    accepts: ClassVar[Mapping[str, Port]] = {"in": Port(ANY)}

    def gives(self, caps: Mapping[str, Caps]) -> Mapping[str, Caps]:
        return {"out": caps["in"]}

    async def run(self, inbox: Inbox, outbox: Outbox) -> None:
        async for item in inbox:
            await outbox.send(item)


@define(kw_only=True)
class Sink:
    """A sink that forgets."""

    accepts: ClassVar[Mapping[str, Port]] = {"in": Port(ANY)}

    def gives(self, caps: Mapping[str, Caps]) -> Mapping[str, Caps]:
        return {}

    async def run(self, inbox: Inbox, outbox: Outbox) -> None:
        async for _ in inbox:
            pass


def dragoman(make: Callable[[], Any]) -> Callable[[str, int], None]:
    def go(backend: str, length: int) -> None:
        graph = Graph().add("0", Playlist(items=ITEMS))
        for number in range(1, length + 1):
            graph.add(str(number), make(), str(number - 1))
        report = anyio.run(run, graph.add("sink", Sink(), str(length)), backend=backend)
        assert report.balanced

    return go


def anyio_chain(backend: str, length: int) -> None:
    """The peer: a task a stage, a stream an edge, as anyone would write it."""

    async def source(send: Any) -> None:
        async with send:
            for item in ITEMS:
                await send.send(item)

    async def stage(receive: Any, send: Any) -> None:
        async with receive, send:
            async for item in receive:
                await send.send(item)

    async def sink(receive: Any) -> None:
        async with receive:
            async for _ in receive:
                pass

    async def main() -> None:
        async with anyio.create_task_group() as tasks:
            send, receive = anyio.create_memory_object_stream[Audio](16)
            tasks.start_soon(source, send)
            for _ in range(length):
                send, following = anyio.create_memory_object_stream[Audio](16)
                tasks.start_soon(stage, receive, send)
                receive = following
            tasks.start_soon(sink, receive)

    anyio.run(main, backend=backend)


def calls(backend: str, length: int) -> None:
    """The floor: nothing but calls."""
    stages = [Nothing() for _ in range(length)]
    for item in ITEMS:
        items: Iterable[Audio] = (item,)
        for stage in stages:
            for each in items:
                items = stage.feed(each)


WAYS: Mapping[str, Callable[[str, int], None]] = {
    "plain calls": calls,
    "dragoman, fused transforms": dragoman(Nothing),
    "dragoman, actors": dragoman(NothingActor),
    "anyio chain by hand": anyio_chain,
}


def per_hop_us(way: Callable[[str, int], None], backend: str) -> dict[int, float]:
    """Microseconds an item for each stage added, by the number of stages."""
    none = median_s(lambda: way(backend, 0), 3)
    taken = {length: median_s(lambda length=length: way(backend, length), 5) for length in LENGTHS}  # type: ignore[misc]
    return {length: (seconds - none) / length / len(ITEMS) * 1e6 for length, seconds in taken.items()}


def main() -> None:
    rows = []
    for backend in ("asyncio", "trio"):
        figures = {name: per_hop_us(way, backend) for name, way in WAYS.items()}
        chain = figures["anyio chain by hand"]
        for name, hops in figures.items():
            row: dict[str, Any] = {"backend": backend, "way": name}
            row.update({f"us a hop, {length} stages": hops[length] for length in LENGTHS})
            rows.append({**row, "against the chain": hops[8] / chain[8]})
    show("hop", rows)


if __name__ == "__main__":
    main()
