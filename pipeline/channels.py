"""One edge at run time: a bounded anyio memory object stream with one writer and one reader.

Theory of operation. The stream is only ever used without waiting (`send_nowait`, `receive_nowait`); who finds
it full or empty parks on a `Bell` that the other side rings. This costs a tenth of the stream's own `send` and
`receive`, which begin with a checkpoint each (anyio issue 1005), and leaves no doubt, on cancellation, whether
an item is in the stream. The price is that every user of a channel must let its neighbours run now and then:
see `EVERY`.

What a lossy edge drops leaves a hole in the order of items. Holes are kept beside the stream, by the number of
the item that they precede, and reach the reader as a GAP mark in that place. Marks are never dropped.
"""

from __future__ import annotations

import math
from collections import deque
from collections.abc import Iterable, Sequence

import anyio
from anyio.lowlevel import checkpoint
from attrs import define, field

from pipeline.bell import Bell
from pipeline.items import Audio, Item, Mark, MarkKind, Text
from pipeline.ledger import Tally
from pipeline.node import Edge

__all__ = ["EVERY", "Channel", "Inlet", "ReaderGone"]

EVERY = 32
"""Items handled without waiting before a checkpoint lets neighbours run and a cancellation be seen."""


class ReaderGone(Exception):
    """Nobody reads any more what this stage gives."""


@define
class _Hole:
    """What was dropped right before item number `before`: one gap, and the marks that were in it."""

    before: int
    start: int = 0
    frames: int = 0
    rate: int = 0
    marks: dict[MarkKind, Mark] = field(factory=dict)

    def add(self, item: Item) -> None:
        if isinstance(item, Audio) or (isinstance(item, Mark) and item.kind is MarkKind.GAP):
            self._widen(item.start, item.frames, item.rate)
        elif isinstance(item, Mark):
            # Without the audio between them only the last mark of a kind means anything.
            self.marks.pop(item.kind, None)
            self.marks[item.kind] = item

    def _widen(self, start: int, frames: int, rate: int) -> None:
        if not self.frames:
            self.start, self.rate = start, rate
        self.frames += frames

    def items(self) -> Iterable[Mark]:
        if self.frames:
            yield Mark(MarkKind.GAP, self.start, self.rate, self.frames)
        yield from self.marks.values()


class Channel:
    """A running edge. The writer uses `offer`, `room` and `close`; the reader `take` and `leave`.

    `ready` rings for the reader, `room` for the writer; `left` says that the reader has gone.
    """

    __slots__ = (
        "_ended",
        "_holes",
        "_limit_items",
        "_limit_ms",
        "_number_in",
        "_number_out",
        "_receive",
        "_send",
        "_size",
        "edge",
        "left",
        "ready",
        "room",
        "tally",
    )

    def __init__(self, edge: Edge) -> None:
        self.edge = edge
        self.tally = Tally()
        self.room = Bell()
        self.ready = Bell()
        self._limit_items = edge.buffer.items or 65_536
        self._limit_ms = edge.buffer.ms or math.inf
        self._send, self._receive = anyio.create_memory_object_stream[Item](self._limit_items)
        self._size = 0
        self._number_in = self._number_out = 0
        self._holes: deque[_Hole] = deque()
        self._ended = False
        self.left = False

    # --- the writer's side

    def offer(self, item: Item) -> bool:
        """Take `item`, or drop it as the policy says; False where the writer must wait for `room`."""
        if self.left:
            self.tally.count_declined(item, queued=False)
            return True
        if self._size >= self._limit_items or (self._limit_ms is not math.inf and self._over_time()):
            if self.edge.when_full == "block":
                return False
            if self.edge.when_full == "drop_newest":
                self._drop_newest(item)
                return True
            self._drop_oldest(item)
        self._send.send_nowait(item)
        self._size += 1
        self._number_in += 1
        self.tally.count_sent(item)
        self.ready.ring()
        return True

    def close(self) -> None:
        """End of the stream; what is in it is still read."""
        self._ended = True
        self._send.close()
        self.ready.ring()

    def _over_time(self) -> bool:
        """Whether it holds its time's worth. One item always fits, however long it is."""
        tally = self.tally
        return self._size > 0 and tally.rate_hz > 0 and tally.queued * 1000 >= self._limit_ms * tally.rate_hz

    def _drop_newest(self, item: Item) -> None:
        if not self._holes or self._holes[-1].before != self._number_in:
            self._holes.append(_Hole(self._number_in))
        self._drop(item, self._holes[-1], queued=False)

    def _drop_oldest(self, item: Item) -> None:
        """Make room for `item`; what goes leaves its hole in front of what is now the oldest."""
        while self._size and (self._size >= self._limit_items or self._over_time()):
            oldest = self._receive.receive_nowait()
            self._size -= 1
            hole = self._holes.popleft() if self._holes and self._holes[0].before == self._number_out else _Hole(0)
            self._number_out += 1
            hole.before = self._number_out
            self._drop(oldest, hole, queued=True)
            if self._holes and self._holes[0].before == self._number_out:
                for mark in self._holes.popleft().items():
                    hole.add(mark)
            self._holes.appendleft(hole)

    def _drop(self, item: Item, hole: _Hole, *, queued: bool) -> None:
        hole.add(item)
        if isinstance(item, Audio | Text):
            self.tally.count_dropped(item, queued=queued)

    # --- the reader's side

    def take(self) -> Item | None:
        """The next item, or None where there is none yet."""
        if self._holes and (mark := self._take_from_hole()) is not None:
            return mark
        if not self._size:
            return None
        item = self._receive.receive_nowait()
        self._size -= 1
        self._number_out += 1
        self.tally.count_received(item)
        self.room.ring()
        return item

    @property
    def finished(self) -> bool:
        """Whether the writer has closed it and all of it is read: asked after `take` gave None."""
        return self._ended and not self._size

    def leave(self) -> None:
        """The reader goes: what is left in the channel, and what still comes, counts as declined."""
        self.left = True
        while self._size:
            self.tally.count_declined(self._receive.receive_nowait(), queued=True)
            self._size -= 1
        self._holes.clear()
        self._receive.close()
        self.room.ring()

    def dispose(self) -> int:
        """Close both ends; the frames that still lay in it."""
        frames = 0
        if not self.left:
            while self._size:
                item = self._receive.receive_nowait()
                frames += item.frames if isinstance(item, Audio) else 0
                self._size -= 1
        self._send.close()
        self._receive.close()
        return frames

    def _take_from_hole(self) -> Mark | None:
        """The next mark of a hole right before the next item, or None where there is none (any more)."""
        hole = self._holes[0]
        if hole.before != self._number_out:
            return None
        mark = next(iter(hole.items()), None)
        if mark is None:
            self._holes.popleft()
        elif mark.kind is MarkKind.GAP:
            hole.frames = 0
        else:
            del hole.marks[mark.kind]
        return mark


class Inlet:
    """The reading end of some channels as one stream: their items as they come, each channel's own in order."""

    def __init__(self, channels: Sequence[Channel]) -> None:
        self._channels = list(channels)
        self._bell = Bell()
        self._since_checkpoint = 0
        for channel in channels:
            channel.ready = self._bell

    async def receive(self) -> tuple[Channel, Item | None] | None:
        """The next item and the channel it came by; an item of None where that channel ended; None at the end."""
        self._since_checkpoint += 1
        if self._since_checkpoint >= EVERY:
            self._since_checkpoint = 0
            await checkpoint()
        while self._channels:
            for place, channel in enumerate(self._channels):
                item = channel.take()
                if item is not None:
                    if len(self._channels) > 1:  # the others have their turn first
                        self._channels.append(self._channels.pop(place))
                    return channel, item
                if channel.finished:
                    return self._channels.pop(place), None
            self._since_checkpoint = 0
            await self._bell.wait()
        return None

    def __aiter__(self) -> Inlet:
        return self

    async def __anext__(self) -> Item:
        if len(self._channels) == 1 and self._since_checkpoint < EVERY:  # the common case, in one call
            item = self._channels[0].take()
            if item is not None:
                self._since_checkpoint += 1
                return item
        while (pair := await self.receive()) is not None:
            if pair[1] is not None:
                return pair[1]
        raise StopAsyncIteration
