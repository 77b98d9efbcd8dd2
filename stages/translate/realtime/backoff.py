"""How long to wait before the next try, and how fast to go on: numbers only, no clock and no sleep."""

from __future__ import annotations

from collections.abc import Callable

from attrs import define, field

__all__ = ["Backoff", "Pace"]


@define
class Backoff:
    """Exponential backoff with full jitter: any time from 0 to a bound that doubles with every failure.

    Of the ways to jitter it is the one that costs a service in trouble the fewest calls (M. Brooker, "Exponential
    Backoff And Jitter", AWS Architecture Blog, 2015). `dice` gives a number from 0 up to 1.
    """

    base_s: float
    cap_s: float
    dice: Callable[[], float]
    failures: int = field(init=False, default=0)

    def next_s(self) -> float:
        """Seconds to wait after one more failure."""
        bound_s = min(self.cap_s, self.base_s * 2.0 ** min(self.failures, 64))
        self.failures += 1
        return self.dice() * bound_s

    def succeeded(self) -> None:
        """Begin again at `base_s`."""
        self.failures = 0


@define
class Pace:
    """When the next piece of sound may go: in real time, and at most `lead_s` ahead of it.

    What was held up is made up for at once, else a live speaker would stay behind for good; but no more than
    `credit_s` of it, else a file that had to wait for minutes would come all in one go.
    """

    rate: int
    lead_s: float
    credit_s: float
    _due_s: float | None = field(init=False, default=None)

    def wait_s(self, frames: int, now_s: float) -> float:
        """Seconds from `now_s` until `frames` more may go."""
        due_s = now_s if self._due_s is None else max(self._due_s, now_s - self.credit_s)
        self._due_s = due_s + frames / self.rate
        return max(0.0, due_s - now_s - self.lead_s)
