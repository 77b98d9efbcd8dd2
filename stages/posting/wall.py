"""From positions of the source to UTC: the one place where media time meets the time of day."""

from __future__ import annotations

import math
import re
from datetime import UTC, datetime, timedelta

from attrs import define, field

__all__ = ["WallClock", "check_utc", "utc_ms"]

_EPOCH = datetime(1970, 1, 1, tzinfo=UTC)
_LAST_MS = 253_402_300_799_999
"""The last millisecond of the year 9999, behind which dates have no way to be written."""
_STAMP = re.compile(r"\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d(\.\d{1,6})?Z?")


@define
class WallClock:
    """UTC times as services want them; no clock is read here.

    Position 0 of the source was at `zero_ms` of UTC, in milliseconds since 1970; `delay_ms` is added to all. At
    `start_s` of the caller's steady clock this machine's time of day was `start_ms`.

    Where `zero_ms` comes from this machine's time of day (`follows`), it is set right by the service's, as NTP
    does it: the answer's time is that of half-way between sending and receiving, and the quickest
    exchange so far, which leaves the least room for error, is believed.
    """

    zero_ms: int
    start_ms: int
    start_s: float
    delay_ms: int = 0
    follows: bool = True
    offset_ms: int = field(init=False, default=0)
    """How much the service's clock is ahead of this machine's."""
    _quickest_s: float = field(init=False, default=math.inf)

    def stamp(self, position_ms: int) -> str:
        """`2012-12-24T00:00:06.873` for a position of the source in milliseconds."""
        ms = self.zero_ms + self.offset_ms + self.delay_ms + position_ms
        moment = _EPOCH + timedelta(milliseconds=min(max(0, ms), _LAST_MS))
        return moment.replace(tzinfo=None).isoformat(timespec="milliseconds")

    def exchanged(self, sent_s: float, received_s: float, answer: bytes) -> None:
        """Learn from the answer to a post, if it is a time at all; both moments by the steady clock."""
        theirs = utc_ms(answer[:64].decode("ascii", "replace").strip())
        if not self.follows or theirs is None or received_s - sent_s >= self._quickest_s:
            return
        self._quickest_s = received_s - sent_s
        middle_s = (sent_s + received_s) / 2
        self.offset_ms = theirs - self.start_ms - round((middle_s - self.start_s) * 1000)


def utc_ms(text: str) -> int | None:
    """Milliseconds since 1970 for a time in UTC such as `2012-12-24T00:00:06.873`; None for what is none."""
    if not _STAMP.fullmatch(text):
        return None
    try:
        moment = datetime.fromisoformat(text.removesuffix("Z")).replace(tzinfo=UTC)
    except ValueError:
        return None
    return (moment - _EPOCH) // timedelta(milliseconds=1)


def check_utc(text: str) -> str | None:
    """What was wanted where `text` is no time in UTC: the check of an option."""
    return "a time in UTC such as 2012-12-24T00:00:06.873" if utc_ms(text) is None else None
