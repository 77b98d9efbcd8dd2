"""What a device's thread gives to the event loop: sound in a ring, and where of it something is missing.

The thread only calls `give`, which copies and counts. Positions count every frame that the device gave, kept or
not, so that what is lost leaves a hole of the right length in the right place. While `closed`, nothing is copied:
what is said then is in no memory of ours.
"""

from __future__ import annotations

from collections import deque

from attrs import define, field, frozen

from pipeline.items import Samples
from stages.devices.ring import Ring

__all__ = ["Intake", "Piece"]


@frozen(eq=False)
class Piece:
    """Sound without a hole in it, that begins at `start`; before it `lost` frames and `unheard` ones are missing.

    Lost is what found no room, or what the device itself lost; unheard what came while the intake was closed.
    They may lie in either order.
    """

    samples: Samples
    start: int
    lost: int = 0
    unheard: int = 0

    @property
    def end(self) -> int:
        return self.start + len(self.samples)


@frozen
class _Jump:
    """From the frame number `at` of the ring on, positions go on from `start`."""

    at: int
    start: int
    lost: int
    unheard: int


@define
class Intake:
    """At most `capacity` frames of `channels` between a device's thread, which gives, and the loop, which takes.

    There is a jump only between two frames in the ring, so that these are bounded as well.
    """

    capacity: int
    channels: int
    closed: bool = False
    """Set by the loop: nothing is copied."""
    opens_at: int = 0
    """Set by the loop: nothing before this position is copied. Set it before `closed` is taken away."""
    position: int = field(init=False, default=0)
    """The frames that the device has given, kept or not."""
    lost: int = field(init=False, default=0)
    """The frames that found no room, for want of somebody who takes them, and those that the device lost."""
    unheard: int = field(init=False, default=0)
    """The frames that came while it was closed, and were not copied."""
    _ring: Ring = field(init=False)
    _jumps: deque[_Jump] = field(init=False, factory=deque)
    _end: int = field(init=False, default=0)
    """Where the last frame that was copied ends; the thread's."""
    _missing: tuple[int, int] = field(init=False, default=(0, 0))
    """Lost and unheard since then; the thread's."""
    _taken_to: int = field(init=False, default=0)
    """Where the last frame that was taken ends; the loop's."""

    def __attrs_post_init__(self) -> None:
        self._ring = Ring(self.capacity, self.channels)

    def give(self, samples: Samples) -> None:
        """Take over the device's next frames, int16 (frames, channels). Called in its thread; never waits."""
        shut = self._shut(len(samples))
        self._miss(0, shut)
        kept = self._keep(samples[shut:])
        self._miss(len(samples) - shut - kept, 0)

    def skip(self, frames: int) -> None:
        """The device itself has lost so many, if any, before those that it gives next. Called in its thread."""
        if frames > 0:
            shut = self._shut(frames)
            self._miss(frames - shut, shut)

    def _shut(self, frames: int) -> int:
        """How many of the next `frames` come while it is closed."""
        return frames if self.closed else max(0, min(frames, self.opens_at - self.position))

    def _keep(self, samples: Samples) -> int:
        kept = min(len(samples), self._ring.room)
        if kept:
            if self.position != self._end:
                self._jumps.append(_Jump(self._ring.put_in, self.position, *self._missing))
                self._missing = (0, 0)
            self._ring.put(samples[:kept])
            self.position += kept
            self._end = self.position
        return kept

    def _miss(self, lost: int, unheard: int) -> None:
        if lost or unheard:
            self._missing = (self._missing[0] + lost, self._missing[1] + unheard)
            self.lost += lost
            self.unheard += unheard
            self.position += lost + unheard

    # --- the loop's side

    @property
    def missing(self) -> int:
        """The frames lost since the last that was kept."""
        return self._missing[0]

    @property
    def held(self) -> int:
        """The frames that wait to be taken."""
        return self._ring.held

    def take(self, frames: int, *, all_of_it: bool = False) -> Piece | None:
        """The next `frames`, or fewer where a hole follows; None where there is no such piece yet.

        With `all_of_it` also what is less than `frames`: nobody waits for more.
        """
        held = self._ring.held  # before the jumps: whatever comes meanwhile, those between these frames are there
        if not held:
            return None
        lost = unheard = 0
        if self._jumps and self._jumps[0].at == self._ring.taken_out:
            jump = self._jumps[0]
            self._taken_to, lost, unheard = jump.start, jump.lost, jump.unheard
        here = self._before_hole(skip=1 if lost or unheard else 0)
        stretch = held if here is None else here
        if stretch < frames and here is None and not all_of_it:
            return None
        if lost or unheard:
            self._jumps.popleft()
        samples = self._ring.take(min(frames, stretch))
        piece = Piece(samples, self._taken_to, lost, unheard)
        self._taken_to = piece.end
        return piece

    def _before_hole(self, skip: int) -> int | None:
        """How many frames are there before the next hole but `skip`; None where there is none."""
        ahead = self._jumps[skip] if len(self._jumps) > skip else None
        return None if ahead is None else ahead.at - self._ring.taken_out
