"""The sound that no answer has covered yet, kept so that it can be sent again: a window of bounded length.

Positions count the sample-frames that came in, from 0, whatever their place on the source's clock; so one
session's sound is one stretch of positions, and a hole in the source is none in what is sent. `source` tells
where a position lies on the source's clock.

    ... let go | begin ... sent | ... end     held: begin to end; sent in this session: begin to sent

Nobody waits here. Where the window is full the oldest sound goes. What had been sent by then is not lost yet:
the session that has it may still answer. It is once that session has ended (`rewind`), and what goes until the
next one begins (`resume`) is lost as well. Unless the session had not ended after all (`go_on`).
"""

from __future__ import annotations

from bisect import bisect_right

from attrs import define, field

from pipeline.items import Audio

__all__ = ["Replay"]

_BYTES = 2


@define
class Replay:
    """At most `window_frames` of mono sound: `add` it as it comes, `take` it to send, `cover` what is answered.

    `answered` is the position up to which nothing has to be answered any more.
    """

    window_frames: int
    begin: int = field(init=False, default=0)
    sent: int = field(init=False, default=0)
    end: int = field(init=False, default=0)
    answered: int = field(init=False, default=0)
    _lost: int = field(init=False, default=0)
    _cut: bool = field(init=False, default=False)
    """No session has any of what is held."""
    _pcm: bytearray = field(init=False, factory=bytearray, repr=False)
    _places: list[tuple[int, int]] = field(init=False, factory=list)
    """(position, its place on the source's clock) where a stretch without holes begins."""

    @property
    def room(self) -> int:
        """Frames that can be added while nothing goes that has not been sent."""
        return self.window_frames - (self.end - self.sent)

    @property
    def unsent(self) -> int:
        return self.end - self.sent

    @property
    def lost(self) -> int:
        """Frames that no session will ever answer."""
        return self._lost + (max(0, self.begin - self.answered) if self._cut else 0)

    def add(self, audio: Audio) -> None:
        """Hold `audio` too; where the window is full, the oldest goes."""
        if not self._places or self.source(self.end) != audio.start:
            self._places.append((self.end, audio.start))
        self._pcm += audio.samples.astype("<i2", copy=False).tobytes()
        self.end += audio.frames
        self._let_go(self.end - self.window_frames)
        self.sent = max(self.sent, self.begin)

    def take(self, frames: int) -> bytes:
        """The next `frames` to send, or what there is, as PCM16; counts as sent."""
        first = (self.sent - self.begin) * _BYTES
        pcm = bytes(self._pcm[first : first + frames * _BYTES])
        self.sent += len(pcm) // _BYTES
        return pcm

    def cover(self, answered: int, keep: int | None = None) -> None:
        """Everything before `answered` is answered, for good; hold on to what comes after `keep` all the same."""
        self.answered = max(self.answered, min(answered, self.sent))
        self._let_go(min(self.answered, self.sent, self.answered if keep is None else keep))

    def rewind(self) -> None:
        """The session has ended: all that is held has to be sent again."""
        self.sent, self._cut = self.begin, True

    def resume(self) -> tuple[int, int]:
        """Another session begins, with what is held. (from, to) of what is lost: neither held nor answered."""
        lost_from, self.answered = self.answered, max(self.answered, self.begin)
        self._lost += self.answered - lost_from
        self.sent, self._cut = self.begin, False
        return lost_from, self.answered

    def go_on(self, position: int) -> None:
        """The session that had ended goes on, and has got what comes before `position`, which is held."""
        self.sent, self._cut = min(position, self.end), False

    def source(self, position: int) -> int:
        """Where the frame at `position` lies on the source's clock; before the first came, 0."""
        if not self._places:
            return 0
        number = bisect_right(self._places, (position, 1 << 62)) - 1
        first, place = self._places[max(0, number)]
        return place + position - first

    def source_end(self, position: int) -> int:
        """Where a stretch that ends before `position` ends on the source's clock."""
        return self.source(position - 1) + 1

    def _let_go(self, position: int) -> None:
        gone = position - self.begin
        if gone <= 0:
            return
        del self._pcm[: gone * _BYTES]
        self.begin = position
        # Answers may still come for sound that has gone; a window's length later they hardly will.
        while len(self._places) > 1 and self._places[1][0] < self.begin - self.window_frames:
            del self._places[0]
