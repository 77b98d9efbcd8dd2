"""Small stages that the kernel's tests build graphs from."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from typing import Any, ClassVar

import anyio
import numpy as np
from attrs import define, field

from pipeline.caps import ANY, Caps, Port
from pipeline.items import Audio, Item, Text
from pipeline.stage import Inbox, Out, Outbox, Part, Parts, Stage, StageError

IN: Mapping[str, Port] = {"in": Port(ANY)}


@define(kw_only=True)
class Pass:
    """A transform that changes nothing."""

    accepts: ClassVar[Mapping[str, Port]] = IN

    def gives(self, caps: Mapping[str, Caps]) -> Mapping[str, Caps]:
        return {"out": caps["in"]}

    def feed(self, item: Item) -> Iterable[Item]:
        return (item,)

    def flush(self) -> Iterable[Item]:
        return ()


@define(kw_only=True)
class Meets(Pass):
    """A transform that wants to know who else is there, and does without nobody named `needs`."""

    needs: str = "a"
    met: Mapping[str, Stage] = field(init=False, factory=dict)

    def meet(self, stages: Mapping[str, Stage]) -> None:
        if self.needs not in stages:
            raise StageError(f"there is no {self.needs!r}")
        self.met = stages


@define(kw_only=True)
class Halve(Pass):
    """A transform that gives every block in two halves."""

    def feed(self, item: Any) -> Iterable[Item]:
        middle = item.frames // 2
        for begin, end in ((0, middle), (middle, item.frames)):
            if end > begin:
                yield Audio(item.samples[begin:end], item.start + begin, item.rate)


@define(kw_only=True)
class Hold(Pass):
    """A transform that holds one block back until the next, or until it is flushed."""

    _held: Item | None = field(init=False, default=None)

    def feed(self, item: Item) -> Iterable[Item]:
        held, self._held = self._held, item
        return () if held is None else (held,)

    def flush(self) -> Iterable[Item]:
        held, self._held = self._held, None
        return () if held is None else (held,)


@define(kw_only=True)
class Divide(Pass):
    """A transform with two ports: blocks go to `even` and `odd` in turn."""

    _number: int = field(init=False, default=0)

    def gives(self, caps: Mapping[str, Caps]) -> Mapping[str, Caps]:
        return {"even": caps["in"], "odd": caps["in"]}

    def feed(self, item: Item) -> Iterable[Out]:
        self._number += 1
        yield Out("odd" if self._number % 2 == 0 else "even", item)


@define(kw_only=True)
class PassActor:
    """An actor that changes nothing."""

    accepts: ClassVar[Mapping[str, Port]] = {"in": Port(ANY, many=True)}

    def gives(self, caps: Mapping[str, Caps]) -> Mapping[str, Caps]:
        return {"out": ANY}

    async def run(self, inbox: Inbox, outbox: Outbox) -> None:
        async for item in inbox:
            await outbox.send(item)


@define(kw_only=True)
class Merge:
    """A join that hands on whatever comes, from any lane."""

    lanes: list[str] = field(factory=list)
    ended: list[str] = field(factory=list)

    accepts: ClassVar[Mapping[str, Port]] = {"in": Port(ANY, many=True)}

    def gives(self, caps: Mapping[str, Caps]) -> Mapping[str, Caps]:
        return {"out": ANY}

    def open(self, lanes: Sequence[str]) -> None:
        self.lanes = list(lanes)

    def feed(self, item: Item, lane: str) -> Iterable[Item]:
        assert lane in self.lanes
        yield item

    def end(self, lane: str) -> Iterable[Item]:
        self.ended.append(lane)
        return ()

    def flush(self) -> Iterable[Item]:
        assert sorted(self.ended) == sorted(self.lanes)
        return ()


@define(kw_only=True)
class Blocked:
    """A sink that takes `first` items and then waits until it is let go."""

    first: int = 0
    items: list[Item] = field(factory=list)
    gate: anyio.Event = field(factory=anyio.Event)

    accepts: ClassVar[Mapping[str, Port]] = IN

    def gives(self, caps: Mapping[str, Caps]) -> Mapping[str, Caps]:
        return {}

    async def run(self, inbox: Inbox, outbox: Outbox) -> None:
        if not self.first:
            await self.gate.wait()
        async for item in inbox:
            self.items.append(item)
            if len(self.items) == self.first:
                await self.gate.wait()


@define(kw_only=True)
class Endless:
    """A live source that never ends by itself; `sent` counts what it has handed over."""

    live: bool = False
    sent: int = 0

    accepts: ClassVar[Mapping[str, Port]] = {}

    def gives(self, caps: Mapping[str, Caps]) -> Mapping[str, Caps]:
        return {"out": ANY}

    async def run(self, inbox: Inbox, outbox: Outbox) -> None:
        block = np.zeros((10, 1), np.int16)
        while True:
            await outbox.send(Audio(block, self.sent * 10, 8000))
            self.sent += 1


@define(kw_only=True)
class Breaks(Pass):
    """A transform that fails at the item number `at`."""

    at: int = 1
    _seen: int = field(init=False, default=0)

    def feed(self, item: Item) -> Iterable[Item]:
        self._seen += 1
        if self._seen == self.at:
            raise RuntimeError("out of order")
        return (item,)


@define(kw_only=True)
class TakeOne:
    """A sink that has enough after one item."""

    items: list[Item] = field(factory=list)

    accepts: ClassVar[Mapping[str, Port]] = IN

    def gives(self, caps: Mapping[str, Caps]) -> Mapping[str, Caps]:
        return {}

    async def run(self, inbox: Inbox, outbox: Outbox) -> None:
        async for item in inbox:
            self.items.append(item)
            return


@define(kw_only=True)
class Describe:
    """An actor with two outputs: the audio, and a text about each block."""

    accepts: ClassVar[Mapping[str, Port]] = IN

    def gives(self, caps: Mapping[str, Caps]) -> Mapping[str, Caps]:
        return {"audio": caps["in"], "text": ANY}

    async def run(self, inbox: Inbox, outbox: Outbox) -> None:
        async for item in inbox:
            if isinstance(item, Audio):
                await outbox.send(item, "audio")
                await outbox.send(Text(f"{item.frames} frames", item.start_ms, item.end_ms), "text")


@define(kw_only=True)
class Twofold:
    """An assembly: halves what it gets, then describes it."""

    accepts: ClassVar[Mapping[str, Port]] = IN

    def gives(self, caps: Mapping[str, Caps]) -> Mapping[str, Caps]:
        return {"audio": caps["in"], "text": ANY, "halves": caps["in"]}

    def parts(self) -> Parts:
        return Parts(
            parts={
                "halve": Part(Halve()),
                "describe": Part(Describe(), reads=["halve"]),
                "hold": Part(Hold(), reads=["halve"]),
            },
            inputs={"in": "halve"},
            outputs={"audio": "describe.audio", "text": "describe.text", "halves": "hold"},
        )
