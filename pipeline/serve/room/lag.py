"""How far listeners are behind the speaker: quantiles over the last minutes. Pure: `now` is handed in."""

from __future__ import annotations

from collections import deque
from collections.abc import Mapping

from attrs import define, field

__all__ = ["Lag"]

WINDOW_S = 300.0
LIMIT = 1000


@define
class Lag:
    """Seconds of delay, as they are measured."""

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
