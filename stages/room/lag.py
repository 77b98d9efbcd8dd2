"""How far listeners are behind the speaker: quantiles over the last minutes."""

from __future__ import annotations

from collections import deque
from collections.abc import Callable, Mapping

import anyio
from attrs import define, field

from pipeline.items import Text
from stages.room.order import Stretch

__all__ = ["Delays", "Lag"]

WINDOW_S = 300.0
LIMIT = 1000


@define
class Lag:
    """Seconds of delay, as they are measured. Pure: `now` is handed in."""

    window_s: float = WINDOW_S
    _seen: deque[tuple[float, float]] = field(init=False, factory=lambda: deque(maxlen=LIMIT))

    def add(self, seconds: float, now: float) -> None:
        self._seen.append((now, max(0.0, seconds)))

    def quantile(self, part: float, now: float) -> float | None:
        """The delay that `part` of those in the window do not exceed; None where there are none."""
        self._forget(now)
        if not self._seen:
            return None
        delays = sorted(seconds for _, seconds in self._seen)
        return delays[min(len(delays) - 1, int(part * len(delays)))]

    def summary(self, now: float) -> Mapping[str, float | int | None]:
        """How many there were, and the median and the 95th percentile in seconds."""
        told = {"p50_s": self.quantile(0.5, now), "p95_s": self.quantile(0.95, now)}
        rounded = {name: None if value is None else round(value, 3) for name, value in told.items()}
        return {"n": len(self._seen), **rounded}

    def _forget(self, now: float) -> None:
        while self._seen and self._seen[0][0] < now - self.window_s:
            self._seen.popleft()


@define(eq=False)
class Delays:
    """From spoken to shown, and from spoken to heard, in the event loop's time.

    `behind_s` tells how long ago it was that what was said up to a millisecond had come; None where nobody knows.
    """

    behind_s: Callable[[int], float | None]
    shown: Lag = field(init=False, factory=Lag)
    heard: Lag = field(init=False, factory=Lag)

    def show(self, text: Text) -> None:
        """Measure a line that is shown now; not one that stands for words that were left out."""
        if text.end_ms > text.start_ms:
            self._measure(self.shown, text.end_ms)

    def sent(self, stretch: Stretch) -> Callable[[], None] | None:
        """What to call when somebody gets the beginning of `stretch`; None where that is measured already."""

        def measure() -> None:
            if not stretch.measured:
                stretch.measured = True
                self._measure(self.heard, stretch.end_ms)

        return None if stretch.measured else measure

    def summary(self, now: float) -> Mapping[str, Mapping[str, float | int | None]]:
        return {"shown": self.shown.summary(now), "heard": self.heard.summary(now)}

    def _measure(self, lag: Lag, end_ms: int) -> None:
        behind_s = self.behind_s(end_ms)
        if behind_s is not None:
            lag.add(behind_s, anyio.current_time())
