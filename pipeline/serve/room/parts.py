"""The ends of a hall's graphs: what reads a feed, what shows, what speaks. The rest is stages that there are."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping
from functools import partial
from typing import ClassVar

from attrs import define, field

from pipeline.caps import ANY, TEXT, AudioCaps, Caps, Port
from pipeline.channels import Channel, Inlet
from pipeline.items import Item, Text
from pipeline.serve.room.floor import Feed, Floor
from pipeline.stage import Inbox, Outbox
from stages.room.order import Order, voice
from stages.translate.realtime.events import SAMPLE_RATE_HZ

__all__ = ["Fed", "Heard", "Note", "Overheard", "Shown", "Spoken"]


@define(kw_only=True)
class Fed:
    """A source of what a feed brings. A guess that has been overtaken by what waits behind it is left out.

    `missed` hears of texts that were dropped before they could be read, at the place where they are missing.
    """

    channel: Channel
    missed: Callable[[int], None] = lambda _count: None
    _passed_over: int = field(init=False, default=0)

    accepts: ClassVar[Mapping[str, Port]] = {}

    def gives(self, caps: Mapping[str, Caps]) -> Mapping[str, Caps]:
        return {"out": self.channel.edge.caps}

    def counts(self) -> Mapping[str, int]:
        tally = self.channel.tally
        return {
            "guesses passed over": self._passed_over,
            "texts dropped, too far behind": tally.texts_dropped,
        }

    def losses(self) -> Mapping[str, int]:
        return {"too far behind": self.channel.tally.dropped} if self.channel.tally.dropped else {}

    async def run(self, inbox: Inbox, outbox: Outbox) -> None:
        tally, dropped = self.channel.tally, 0
        async for item in Inlet([self.channel]):
            if tally.texts_dropped > dropped:
                self.missed(tally.texts_dropped - dropped)
                dropped = tally.texts_dropped
            if isinstance(item, Text) and not item.final and tally.texts_sent > tally.texts_received:
                self._passed_over += 1
            else:
                await outbox.send(item)


@define(kw_only=True)
class Heard:
    """Shows what was recognised in the language that is spoken, numbered on from what was said before."""

    floor: Floor
    language: str
    _before: int = field(init=False)

    accepts: ClassVar[Mapping[str, Port]] = {"in": Port(TEXT)}

    def __attrs_post_init__(self) -> None:
        self._before = self.floor.utterance

    def gives(self, caps: Mapping[str, Caps]) -> Mapping[str, Caps]:
        return {}

    async def run(self, inbox: Inbox, outbox: Outbox) -> None:
        async for item in inbox:
            numbered = self.floor.numbered(item, self._before) if isinstance(item, Text) else item
            self.floor.show(self.language, numbered)


@define(kw_only=True)
class Overheard:
    """Feeds what is said to the graphs that listen themselves."""

    feed: Feed

    accepts: ClassVar[Mapping[str, Port]] = {"in": Port(ANY)}

    def gives(self, caps: Mapping[str, Caps]) -> Mapping[str, Caps]:
        return {}

    async def run(self, inbox: Inbox, outbox: Outbox) -> None:
        async for item in inbox:
            self.feed.put(item)


@define(kw_only=True)
class Note:
    """Passes on what can be spoken, and notes which texts are next; "[…]" is only to be read."""

    order: Order

    accepts: ClassVar[Mapping[str, Port]] = {"in": Port(TEXT)}

    def gives(self, caps: Mapping[str, Caps]) -> Mapping[str, Caps]:
        return {"out": TEXT}

    def feed(self, item: Text) -> Iterator[Item]:
        if any(map(str.isalnum, item.text)):
            self.order.note(item)
            yield item

    def flush(self) -> Iterator[Item]:
        yield from ()


@define(kw_only=True)
class Shown:
    """Shows a translation. `before`: the utterances there were when its graph began to count, if it counts."""

    floor: Floor
    language: str
    order: Order
    before: int = 0

    accepts: ClassVar[Mapping[str, Port]] = {"in": Port(TEXT)}

    def gives(self, caps: Mapping[str, Caps]) -> Mapping[str, Caps]:
        return {}

    async def run(self, inbox: Inbox, outbox: Outbox) -> None:
        async for item in inbox:
            numbered = self.floor.numbered(item, self.before) if isinstance(item, Text) else item
            self.order.note(numbered)
            self.floor.show(self.language, numbered)


@define(kw_only=True)
class Spoken:
    """Lets a translation be heard."""

    floor: Floor
    language: str
    order: Order

    accepts: ClassVar[Mapping[str, Port]] = {"in": Port(AudioCaps(SAMPLE_RATE_HZ, 1))}

    def gives(self, caps: Mapping[str, Caps]) -> Mapping[str, Caps]:
        return {}

    async def run(self, inbox: Inbox, outbox: Outbox) -> None:
        await voice(
            inbox,
            self.order,
            partial(self.floor.speak, self.language),
            partial(self.floor.room.silence, self.language),
        )
