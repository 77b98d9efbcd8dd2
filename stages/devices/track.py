"""One stream of items from a microphone that is opened again and again: positions, gaps and flushes. Pure.

The rule to keep: positions go on with time. Within one opening they count the frames that the device gave; from
one to the next the times of both say how far they are apart, so that a hole is as long as the time it took.
"""

from __future__ import annotations

from collections.abc import Iterator

from attrs import define, field

from pipeline.items import Audio, Item, Mark, MarkKind
from stages.devices.intake import Piece
from stages.devices.timing import Timing

__all__ = ["Track"]


@define
class _Opening:
    """One opening of the device; its position 0 is at `zero` of the stream, once that is known."""

    timing: Timing
    closed: bool
    zero: int | None = None


@define
class Track:
    """What the pieces of each opening are in one stream at `rate` Hz: `open`, `items`..., `lose`, `open`...

    A `GAP` says how many frames in front of the next sound are counted as lost; what was not heard by intention is
    a jump in the positions, behind a `FLUSH`.
    """

    rate: int
    end: int = field(init=False, default=0)
    """Where the last that was given ends."""
    away: int = field(init=False, default=0)
    """The frames that would have come while the device was away."""
    unheard_away: int = field(init=False, default=0)
    """The same, while nothing was to be heard."""
    _opening: _Opening | None = field(init=False, default=None)
    _past: _Opening | None = field(init=False, default=None)
    _past_end: int = field(init=False, default=0)
    """The position up to which the past opening gave anything, kept or not."""
    _lost: int = field(init=False, default=0)
    """Lost since the last sound, in openings that are over."""
    _flushed: bool = field(init=False, default=True)

    def open(self, timing: Timing, *, closed: bool = False) -> None:
        """The device is open, and will be timed by `timing`; `closed`: nothing is to be heard as yet."""
        self._opening = _Opening(timing, closed, 0 if self._past is None else None)

    def lose(self, position: int, missing: int = 0) -> Iterator[Mark]:
        """The device is gone after `position` frames, the last `missing` of them lost: let go of what was said."""
        if self._opening is not None and self._opening.zero is not None:
            self._past, self._past_end = self._opening, self._opening.zero + position
            self._lost += missing
        self._opening = None
        yield from self.flush()

    def flush(self) -> Iterator[Mark]:
        """A `FLUSH` behind what has been given, unless there is one already."""
        if not self._flushed:
            self._flushed = True
            yield Mark(MarkKind.FLUSH, self.end, self.rate)

    def items(self, piece: Piece) -> Iterator[Item]:
        """`piece`, and before it what tells of the hole before it."""
        start = self._zero() + piece.start
        lost, self._lost = self._lost + piece.lost, 0
        if lost:
            yield Mark(MarkKind.GAP, self.end, self.rate, lost)
        if piece.unheard:
            yield from self.flush()
        audio = Audio(piece.samples, start, self.rate)
        self.end, self._flushed = audio.end, False
        yield audio

    def time_of(self, position: int) -> float | None:
        """When the frame at `position` of the stream was captured; None where that is not known."""
        opening = self._opening if self._opening is not None and self._opening.zero is not None else self._past
        if opening is None or opening.zero is None:
            return None
        return opening.timing.time_of(position - opening.zero)

    def _zero(self) -> int:
        """Where the opening begins in the stream. Its first sound is what it can be told by."""
        opening, past = self._opening, self._past
        assert opening is not None, "open it first"
        if opening.zero is None:
            assert past is not None
            assert past.zero is not None
            began = opening.timing.time_of(0)
            here = None if began is None else past.timing.position_at(began)
            opening.zero = max(self._past_end, past.zero + (here or 0))
            self._count_away(opening.zero - self._past_end, opening.closed)
        return opening.zero

    def _count_away(self, frames: int, closed: bool) -> None:
        if closed:
            self.unheard_away += frames
        else:
            self.away += frames
            self._lost += frames
