"""When a frame was captured: positions against a clock, through the jitter of whoever hands them over."""

from __future__ import annotations

from attrs import define, field

__all__ = ["Timing"]

_KEPT_S = 10
"""A clock that is 200 ppm off moves by 2 ms in this time."""


@define
class Timing:
    """Where positions at `rate` Hz lie in time. A block may be handed over late, but never before it is captured.

    So the earliest of the last ten seconds is right, and all the others were late. `note` is one thread's, the
    rest may be asked from another.
    """

    rate: int
    _second: int | None = field(init=False, default=None)
    _earliest: list[float] = field(init=False, factory=list)
    """Where position 0 would lie by the earliest block of each of the last seconds."""

    def note(self, position: int, at: float) -> None:
        """The frame at `position` was, as far as one can tell, captured at the time `at`, or earlier."""
        zero = at - position / self.rate
        if int(at) != self._second:
            self._second = int(at)
            self._earliest = [*self._earliest[1 - _KEPT_S :], zero]
        elif zero < self._earliest[-1]:
            self._earliest[-1] = zero

    def time_of(self, position: int) -> float | None:
        """When the frame at `position` was captured or will be; None before anything was noted."""
        return min(self._earliest) + position / self.rate if self._earliest else None

    def position_at(self, at: float) -> int | None:
        """The frame that was captured at the time `at`; None before anything was noted."""
        return round((at - min(self._earliest)) * self.rate) if self._earliest else None
