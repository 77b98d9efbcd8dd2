"""A producer's output at run time: a run of fused transforms, and the channels behind it.

Neighbouring transforms share the task of whoever feeds them: an item goes through all of them by function
calls, lazily, so that what one of them gives is handed on before it makes more.
"""

from __future__ import annotations

import traceback
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from itertools import chain

from anyio.lowlevel import checkpoint
from attrs import frozen

from pipeline.channels import EVERY, Channel, ReaderGone
from pipeline.items import Audio, Item, Mark
from pipeline.ledger import Tally
from pipeline.stage import Out, Transform, marks_of

__all__ = ["Outlet", "Step"]


Feed = Callable[[Item], Iterable[Item | Out]]


@frozen
class Step:
    """One transform of a run: `name`, and the tally of the fused edge into it (None where a channel feeds it)."""

    name: str
    stage: Transform
    tally: Tally | None = None

    def feed(self) -> Feed:
        """A function that counts an item and gives what the stage makes of it. On the hot path: see benchmarks."""
        feed, on_mark, tally = self.stage.feed, marks_of(self.stage), self.tally or Tally()

        def step(item: Item) -> Iterable[Item | Out]:
            if type(item) is Audio:
                frames = len(item.samples)
                tally.sent += frames
                tally.end = item.start + frames
                tally.rate_hz = item.rate
                return feed(item)
            if type(item) is Mark:
                return on_mark(item)
            tally.count_sent(item)
            return feed(item)

        return step


@frozen
class _Tapped:
    """A feed whose items `tap` is offered first."""

    feed: Feed
    tap: Channel

    def __call__(self, item: Item) -> Iterable[Item | Out]:
        self.tap.offer(item)
        return self.feed(item)


def _without(tap: Channel, feed: Feed) -> Feed:
    """`feed` with all its taps but `tap`."""
    if not isinstance(feed, _Tapped):
        return feed
    return feed.feed if feed.tap is tap else _Tapped(_without(tap, feed.feed), feed.tap)


class Outlet:
    """Everything behind one output: `send` items into it, `finish` at the end.

    `channels` by port: one entry named `out` unless the last transform has several ports. A cancelled `send`
    leaves the rest of what it was delivering, and the next `send` or `finish` delivers it first. `readers` are
    the channels of all ports. Where a transform fails, `culprit` is its name.
    """

    def __init__(self, steps: Sequence[Step], channels: Mapping[str, Sequence[Channel]]) -> None:
        self.steps = list(steps)
        self.channels = {port: list(each) for port, each in channels.items()}
        self.culprit: str | None = None
        self._feeds = [step.feed() for step in steps]
        self._taps: list[Channel] = []
        self._closed = False
        self._main = self.channels[next(iter(self.channels), "out")] if self.channels else []
        self.readers = [channel for each in self.channels.values() for channel in each]
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
        if self._feeds:
            self._rest = self._through(item, self._feeds)
            await self._deliver()
        else:
            self._offer(self._main, item)
            if self._busy:
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
            tail = (item for _ in (1,) for item in step.stage.flush())  # called when asked for, not here
            self._rest = chain.from_iterable(self._through(item, self._feeds[number:]) for item in tail)
            await self._deliver()

    def abandon(self) -> Sequence[tuple[Channel, Item]]:
        """What a cancellation left in hand, with the channel that each item was for."""
        refused, self._refused = self._refused, []
        return refused

    def close(self) -> None:
        """End of the stream for every reader, and every tap."""
        self._closed = True
        for channel in (*self.readers, *self._taps):
            channel.close()

    # --- taps: channels that never refuse anything, and count for nobody. Without them nothing is different.

    def attach(self, tap: Channel, place: Channel | str) -> bool:
        """Give `tap` what goes to the channel `place`, or into the step of that name. False where it has none."""
        for beside in self.channels.values():
            if place in beside:
                beside.append(tap)
                break
        else:
            number = next((number for number, step in enumerate(self.steps) if step.name == place), None)
            if number is None:
                return False
            self._feeds[number] = _Tapped(self._feeds[number], tap)
        self._taps.append(tap)
        if self._closed:
            tap.close()
        return True

    def detach(self, tap: Channel) -> None:
        """Undo `attach`. What is on its way through the steps may still be offered to it."""
        self._taps.remove(tap)
        for beside in self.channels.values():
            if tap in beside:
                beside.remove(tap)
        self._feeds = [_without(tap, feed) for feed in self._feeds]

    @property
    def read(self) -> bool:
        """Whether anybody was connected, and still is."""
        return any(not channel.left for channel in self.readers)

    @staticmethod
    def _through(item: Item | Out, feeds: Sequence[Feed]) -> Iterator[Item | Out]:
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
            try:
                given = next(self._rest, None)
            except Exception as fault:
                self.culprit = self._blame(fault)
                raise
            if given is None:
                break
            if isinstance(given, Out):
                self._offer(self.channels.get(given.port, ()), given.item)
            else:
                self._offer(self._main, given)
        self._busy = False
        if self.readers and all(channel.left for channel in self.readers):
            raise ReaderGone

    def _offer(self, channels: Sequence[Channel], item: Item) -> None:
        """Offer `item` to each; `_busy` says that not all is well and `_deliver` has to look after it."""
        for channel in channels:
            if not channel.offer(item):
                self._refused.append((channel, item))
                self._busy = True
            elif channel.left:
                self._busy = True

    def _blame(self, fault: Exception) -> str:
        """Which stage failed, by the frames of the traceback: the iterators between the stages leave none."""
        selves = {id(frame.f_locals.get("self")) for frame, _ in traceback.walk_tb(fault.__traceback__)}
        certain = [step.name for step in self.steps if id(step.stage) in selves]
        return certain[-1] if certain else " or ".join(step.name for step in self.steps)
