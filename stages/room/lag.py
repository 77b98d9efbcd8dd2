"""How far listeners are behind the speaker: quantiles over the last minutes."""

from __future__ import annotations

import math
from collections import deque
from collections.abc import Callable, Mapping

import anyio
from attrs import define, field

from pipeline.items import Audio, Text
from stages.room.order import Stretch

__all__ = ["Delays", "Hearer", "Lag"]

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


@define
class Hearer:
    """One who hears everything in a language, each sound once what came before it has been played. Pure.

    Speech is made faster than it is played: what comes while another sentence sounds waits for its end.
    """

    _played_at: float = field(init=False, default=-math.inf)
    """When all that has come has been played."""

    def hear(self, seconds: float, now: float) -> float:
        """Sound of `seconds` comes `now`: when it begins to sound."""
        begins = max(now, self._played_at)
        self._played_at = begins + seconds
        return begins


@define(eq=False)
class Delays:
    """From spoken to shown, and from spoken to heard, in the event loop's time.

    Heard is what begins to sound, for one who hears everything in that language (see `Hearer`): what has been sent
    may still wait on the phone. `behind_s` tells how long ago it was that what was said up to a millisecond had
    come; None where nobody knows.
    """

    behind_s: Callable[[int], float | None]
    shown: Lag = field(init=False, factory=Lag)
    heard: Lag = field(init=False, factory=Lag)
    _hearers: dict[str, Hearer] = field(init=False, factory=dict)

    def show(self, text: Text) -> None:
        """Measure a line that is shown now; not one that stands for words that were left out."""
        if text.end_ms > text.start_ms:
            self._measure(self.shown, text.end_ms)

    def sound(self, language: str, audio: Audio, stretch: Stretch) -> Callable[[], None] | None:
        """`audio` of `stretch` is for listeners now. What to call when one gets it; None where all is known."""
        hearer = self._hearers.setdefault(language, Hearer())
        begins = hearer.hear(audio.frames / audio.rate, anyio.current_time())
        sounds_at = stretch.sounds_at = begins if stretch.sounds_at is None else stretch.sounds_at

        def measure() -> None:
            if not stretch.measured:
                stretch.measured = True
                waits_s = max(0.0, sounds_at - anyio.current_time())
                self._measure(self.heard, stretch.end_ms, waits_s)

        return None if stretch.measured else measure

    def spoken_at(self, stretch: Stretch) -> float | None:
        """When the last of the words of `stretch` had come; None where nobody knows."""
        behind_s = self.behind_s(stretch.end_ms)
        return None if behind_s is None else anyio.current_time() - behind_s

    def summary(self, now: float) -> Mapping[str, Mapping[str, float | int | None]]:
        return {"shown": self.shown.summary(now), "heard": self.heard.summary(now)}

    def _measure(self, lag: Lag, end_ms: int, waits_s: float = 0.0) -> None:
        behind_s = self.behind_s(end_ms)
        if behind_s is not None:
            lag.add(behind_s + waits_s, anyio.current_time())
