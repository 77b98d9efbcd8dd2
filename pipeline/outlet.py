"""A producer's output at run time: a run of fused transforms, and the channels behind it.

Neighbouring transforms share the task of whoever feeds them: an item goes through all of them by function
calls, lazily, so that what one of them gives is handed on before it makes more.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from itertools import chain

from anyio.lowlevel import checkpoint

from pipeline.channels import EVERY, Channel, ReaderGone
from pipeline.items import Audio, Item, Mark
from pipeline.ledger import Tally
from pipeline.stage import Out, Transform, marks_of

__all__ = ["Outlet", "Step"]


class Step:
    """One transform of a run: dispatches items, counts them, and puts the stage's name to what goes wrong."""

    __slots__ = ("_feed", "_mark", "note", "stage", "tally")

    def __init__(self, stage: Transform, tally: Tally | None, note: Callable[[Exception], None]) -> None:
        self.stage = stage
        self.tally = tally
        self.note = note
        self._feed = stage.feed
        self._mark = marks_of(stage)

    def feed(self, item: Item) -> Iterator[Item | Out]:
        """What the stage makes of `item`."""
        if self.tally is not None:
            self.tally.count_passed(item)
        try:
            yield from self._mark(item) if type(item) is Mark else self._feed(item)
        except Exception as fault:
            self.note(fault)
            raise

    def flush(self) -> Iterator[Item | Out]:
        try:
            yield from self.stage.flush()
        except Exception as fault:
            self.note(fault)
            raise


class Outlet:
    """Everything behind one output: `send` items into it, `finish` at the end.

    `channels` by port: one entry named `out` unless the last transform has several ports. A cancelled `send`
    leaves the rest of what it was delivering, and the next `send` or `finish` delivers it first.
    """

    def __init__(self, steps: Sequence[Step], channels: Mapping[str, Sequence[Channel]]) -> None:
        self.steps = list(steps)
        self.channels = {port: list(each) for port, each in channels.items()}
        self.frames_out = dict.fromkeys(self.channels, 0)
        self.rate_hz = 0
        self._feeds = [step.feed for step in steps]
        self._main = next(iter(self.channels), "out")
        self._readers = [channel for each in self.channels.values() for channel in each]
        self._rest: Iterator[Item | Out] = iter(())
        self._refused: list[tuple[Channel, Item]] = []
        self._busy = False
        self._since_checkpoint = 0

    async def send(self, item: Item) -> None:
        """Put `item` through the run and wait until every channel has what came of it.

        Raises: ReaderGone where nobody reads any of the channels any more.
        """
        if self._busy:
            await self._deliver()
        self._rest = self._through(item, self._feeds)
        await self._deliver()
        self._since_checkpoint += 1
        if self._since_checkpoint >= EVERY:
            self._since_checkpoint = 0
            await checkpoint()

    async def send_all(self, items: Iterable[Item | Out]) -> None:
        """Put each of `items` through the run, one by one; those for another port go straight there."""
        for given in items:
            self._rest = self._through(given, self._feeds)
            await self._deliver()

    async def finish(self) -> None:
        """Deliver what a cancellation left over, then the tail of every transform in turn."""
        await self._deliver()
        for number, step in enumerate(self.steps, start=1):
            self._rest = chain.from_iterable(self._through(item, self._feeds[number:]) for item in step.flush())
            await self._deliver()

    def abandon(self) -> Sequence[tuple[Channel, Item]]:
        """What a cancellation left in hand, with the channel that each item was for."""
        refused, self._refused = self._refused, []
        return refused

    def close(self) -> None:
        """End of the stream for every reader."""
        for channel in self._readers:
            channel.close()

    @property
    def read(self) -> bool:
        """Whether anybody was connected, and still is."""
        return any(not channel.left for channel in self._readers)

    @staticmethod
    def _through(
        item: Item | Out, feeds: Sequence[Callable[[Item], Iterable[Item | Out]]]
    ) -> Iterator[Item | Out]:
        items: Iterable[Item | Out] = (item,)
        for feed in feeds:
            items = chain.from_iterable(map(feed, items))  # type: ignore[arg-type]
        return iter(items)

    async def _deliver(self) -> None:
        """Hand `_rest` to the channels, one by one. Whatever interrupts it, the rest stays for the next call."""
        self._busy = True
        refused = self._refused
        while True:
            while refused:
                channel, held = refused[0]
                while not channel.offer(held):
                    await channel.room.wait()
                refused.pop(0)
            given = next(self._rest, None)
            if given is None:
                break
            port, item = (given.port, given.item) if isinstance(given, Out) else (self._main, given)
            self._count(port, item)
            for channel in self.channels.get(port, ()):
                if not channel.offer(item):
                    refused.append((channel, item))
        self._busy = False
        if self._readers and all(channel.left for channel in self._readers):
            raise ReaderGone

    def _count(self, port: str, item: Item) -> None:
        if type(item) is Audio:
            self.frames_out[port] = self.frames_out.get(port, 0) + len(item.samples)
            self.rate_hz = item.rate
