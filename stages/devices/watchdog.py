"""Whether a device still works, when nothing says that it does not."""

from __future__ import annotations

from attrs import define, field

__all__ = ["LOST_AFTER_S", "TICK_S", "Watchdog"]

TICK_S = 0.05
"""How often to look, at least."""
LOST_AFTER_S = 0.8
"""Longer than any block, and short enough to be noticed within a second."""
START_WITHIN_S = 3.0
"""Devices that sleep take their time, before their first call or after it; PulseAudio's null sink two seconds."""
_STARTED_LOOKS = 5
"""It has started when there were calls at so many looks."""


@define
class Watchdog:
    """Tells when a device has not called back for `LOST_AFTER_S`, or, while it starts, for `START_WITHIN_S`.

    A look that comes late counts as one that was in time: where this process itself stood still (a model held
    the interpreter, a laptop slept), the device's thread did as well, and is no reason to call it lost.
    """

    _calls: int = field(init=False, default=0)
    _looked: float | None = field(init=False, default=None)
    _lively: int = field(init=False, default=0)
    """Looks that saw calls."""
    _silent_s: float = field(init=False, default=0.0)

    def look(self, calls: int, now: float) -> bool:
        """Whether the device is lost, after `calls` calls in all at the time `now`."""
        if calls != self._calls:
            self._calls, self._silent_s = calls, 0.0
            self._lively += 1
        elif self._looked is not None:
            self._silent_s += min(now - self._looked, 2 * TICK_S)
        self._looked = now
        return self._silent_s >= (LOST_AFTER_S if self.started else START_WITHIN_S)

    @property
    def started(self) -> bool:
        """Whether the device works, or did."""
        return self._lively >= _STARTED_LOOKS
