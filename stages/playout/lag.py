"""What is done about speech that comes out late: nothing, shorter pauses, faster, not at all.

The lag of an utterance is how much later it sounds than it would, had it come to a speaker that is not behind:
had no translation before it been longer than its original. So it does not count how long the original was, nor
that one who speaks after a long one is heard after it; and it depends on no clock but the caller's. What is done
is decided from the worst lag that anything in the queue is going to have: it begins before the bound is reached.
"""

from __future__ import annotations

from attrs import frozen

from stages.playout.faster import FASTEST

__all__ = ["Bound"]


@frozen
class Bound:
    """What is to be done to keep the lag under `max_lag_s`.

    From a quarter of it on pauses are trimmed; from a half on speech gets faster, until at three quarters it is as
    fast as it gets; an utterance that would begin later than all of it is skipped.
    """

    max_lag_s: float

    def trims(self, lag_s: float) -> bool:
        return lag_s > self.max_lag_s / 4

    def speed(self, lag_s: float) -> float:
        urgency = min(max(4 * lag_s / self.max_lag_s - 2, 0), 1)
        return 1 + (FASTEST - 1) * urgency

    def skips(self, lag_s: float) -> bool:
        return lag_s > self.max_lag_s
