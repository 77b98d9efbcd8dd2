"""The interpreters' booths of a hall: which translations run, and which are wanted.

Nothing else starts or ends one. What is wanted runs; what is not goes on for a while, since people come back. What
was made of a language that is not spoken any more ends at once, and so does everything when the room does.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Iterator, Set

from attrs import define, field

from pipeline.serve.room.floor import Floor
from pipeline.serve.room.tongues import Key, Tongues
from pipeline.serve.room.translation import Translation
from pipeline.serve.service import Service

__all__ = ["Booths"]


@define(eq=False)
class Booths:
    """The translations of a room. `start` runs a new one; whoever does tends again when it is over."""

    floor: Floor
    tongues: Tongues
    service: Service
    grace_s: float
    start: Callable[[Translation], None]
    running: dict[Key, Translation] = field(init=False, factory=dict)
    _replaced: dict[Key, Translation] = field(init=False, factory=dict)
    """Those that were coming to their end when another one began."""

    def tend(self, source: str | None, now: float, *, ended: bool) -> float:
        """Start what is wanted and end what is not; when to look again, if nothing changes.

        `source` is what is spoken, None where nobody knows; with `ended` nothing is wanted any more.
        """
        wanted = set() if ended or source is None else set(self._wanted(source))
        for key in wanted:
            self._want(key, now)
        for key in [key for key, each in self.running.items() if each.over and key not in wanted]:
            del self.running[key]
            self.floor.tell(key, None)
        for key in self.running.keys() - wanted:
            self._let_go(self.running[key], wanted, now, at_once=ended or key.source != source)
        return min((self._next_look(each, each.key in wanted) for each in self.running.values()), default=math.inf)

    def _wanted(self, source: str) -> Iterator[Key]:
        """What has to run for those who listen now, and what that is made from."""
        room = self.floor.room
        voices = room.voices_wanted().keys()
        offered = {offer.tag for offer in room.board.languages} - {source}
        keys = [Key(source, tag, "captions") for tag in offered & {*room.captions_wanted(), *voices}]
        if self.tongues.apart:
            keys += [Key(source, tag, "voice") for tag in offered & voices]
        for key in keys:
            yield from self._with_needs(key)

    def _with_needs(self, key: Key | None) -> Iterator[Key]:
        while key is not None:
            yield key
            key = self.tongues.needs(key)

    def _want(self, key: Key, now: float) -> None:
        """Have it run: anew where what runs comes to its end, which tells meanwhile what it still has."""
        running = self.running.get(key)
        if running is not None and not self._is_to_be_replaced(running, now):
            running.idle_since = None
            return
        failures = running.failures if running else 0
        if running is not None:
            self._replaced[key] = running
        self.running[key] = translation = Translation(key, self.floor, self.tongues, self.service, failures)
        self.start(translation)

    def _is_to_be_replaced(self, running: Translation, now: float) -> bool:
        """Whether another one has to run: at most one of a kind comes to its end beside one that runs."""
        if running.over:
            return now >= running.retry_at
        before = self._replaced.get(running.key)
        return running.ending and (before is None or before.over)

    def _let_go(self, translation: Translation, wanted: Set[Key], now: float, *, at_once: bool) -> None:
        translation.idle_since = now if translation.idle_since is None else translation.idle_since
        needed = self.tongues.needs(translation.key)
        if needed in self.running and needed not in wanted:
            return  # what that still gives is made into this too
        if at_once or now >= translation.idle_since + self.grace_s:
            translation.end()

    def _next_look(self, translation: Translation, wanted: bool) -> float:
        if wanted:
            return translation.retry_at if translation.over else math.inf
        if translation.ending or translation.idle_since is None:
            return math.inf
        return translation.idle_since + self.grace_s
