"""Which utterance a stretch of sound belongs to: sound says where a stretch ends, and not whose it is."""

from __future__ import annotations

from collections import deque
from collections.abc import Callable

import anyio
from attrs import define, field

from pipeline.items import Audio, Item, Mark, MarkKind, Text
from pipeline.stage import Inbox

__all__ = ["Order", "Stretch", "voice"]

TEXT_WAIT_S = 1.0
"""How long sound waits for the text that says what it belongs to."""
WAITING_LIMIT = 500
"""Texts that wait for their sound; more of them are of a stream that has none."""


@define
class Stretch:
    """An utterance that is spoken. `measured`: it is known already when its sound was heard.

    `sounds_at`: when it begins to sound, in the event loop's time; None before it has sound.
    """

    utterance: int
    end_ms: int
    measured: bool = False
    sounds_at: float | None = None


@define
class Order:
    """Utterances are spoken one by one, in the order of their texts.

    `finals`: final texts are spoken, each as a stretch; else utterances are, each known from its first guess on.
    """

    finals: bool = True
    _waiting: deque[Stretch] = field(init=False, factory=lambda: deque(maxlen=WAITING_LIMIT))
    _newest: int = field(init=False, default=0)
    _last: Stretch = field(init=False, factory=lambda: Stretch(0, 0, measured=True))
    _more: anyio.Event = field(init=False, factory=anyio.Event)

    def note(self, item: Item) -> None:
        """A text that is spoken, now or soon."""
        if not isinstance(item, Text) or not item.text.strip() or (self.finals and not item.final):
            return
        if self.finals or item.utterance > self._newest:
            self._newest = item.utterance
            self._waiting.append(Stretch(item.utterance, item.end_ms))
            self._more.set()
        elif self._waiting and self._waiting[-1].utterance == item.utterance:
            self._waiting[-1].end_ms = item.end_ms

    async def next(self) -> Stretch:
        """What is spoken now. Sound may come a moment before its text; without one, it is more of the last."""
        if not self._waiting:
            self._more = anyio.Event()
            with anyio.move_on_after(TEXT_WAIT_S):
                await self._more.wait()
        if self._waiting:
            self._last = self._waiting.popleft()
        return self._last

    def skip(self) -> None:
        """A stretch is over of which there was no sound: its text is not what is spoken next."""
        if self._waiting:
            self._last = self._waiting.popleft()


async def voice(
    inbox: Inbox, order: Order, sound: Callable[[Audio, Stretch], None], over: Callable[[int], None]
) -> None:
    """Give `sound` each block and what it belongs to, and tell `over` of which utterance a stretch has ended."""
    stretch: Stretch | None = None
    async for item in inbox:
        if isinstance(item, Audio):
            stretch = stretch or await order.next()
            sound(item, stretch)
        elif isinstance(item, Mark) and item.kind is MarkKind.UTTERANCE_END:
            if stretch is None:
                order.skip()
            else:
                over(stretch.utterance)
            stretch = None
    if stretch is not None:
        over(stretch.utterance)
