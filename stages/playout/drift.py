"""Two clocks that differ: how fast a gapless stream is to be played, so that as much as wanted stays held.

Theory. A writer's clock that is faster than the reader's by `d` lets what is held grow by `d` seconds a second; a
reader that takes `1 + u` frames where it gives one lets it shrink by `u`. So u = 2 w e + w^2 (integral of e), with
`e` the smoothed offset from the target, is critically damped with the time constant 1 / w: the integral becomes
`d`, the offset 0, and a step of `d` moves it by no more than d / (e w): 4.4 ms for 200 parts in a million.

What is held goes up and down with every block. The level followed here does not: since the last block came, the
writer has gathered as much as time has passed. What remains is the jitter of arrival, and is smoothed.
"""

from __future__ import annotations

from attrs import define, field

__all__ = ["LIMIT", "Drift"]

LIMIT = 500e-6
"""The most that the pitch is changed: 0.9 cents, a sixth of what a trained ear hears. Clocks are off by 200e-6."""
_SLEW = 50e-6
"""The most that it changes in a second."""
_TIME_CONSTANT_S = 60.0
_SMOOTHING_S = 5.0
_STILL_S = 0.003
"""An offset that is left alone, until it was larger once: clocks that do not differ change no sample."""
_NEAR_S = 0.03
"""From a larger offset nothing is learned about the clocks: it comes from a stall, and is worked off."""
_WINDOW_S = 10.0
"""So long sound must come as fast as it is spoken, to count as live; then the next window begins."""
_UNEVEN_S = 0.5
"""How far it may be ahead or behind within a window: more is a burst, or a stall."""
_MARGIN_S = 0.01
"""Held at the least, between one block that came and the next to come."""


@define
class Drift:
    """How many frames of a stream to take for each that is given (`step`), from when and how much was put.

    Call `put` with all that comes, `follow` before every pull, `restart` where playing breaks off. Times are in
    seconds. Only what is `live` is corrected: what came of late at the pace of speech, not in bursts.
    """

    rate: int
    target_s: float
    step: float = field(init=False, default=1.0)
    live: bool = field(init=False, default=False)
    _correction: float = field(init=False, default=0.0)
    _learned: float = field(init=False, default=0.0)
    """The difference of the clocks."""
    _smoothed: float | None = field(init=False, default=None)
    _correcting: bool = field(init=False, default=False)
    _followed_at: float = field(init=False, default=0.0)
    _put_at: float = field(init=False, default=0.0)
    _block: int = field(init=False, default=0)
    """The longest block."""
    _window: float | None = field(init=False, default=None)
    """When the window began in which frames are counted."""
    _counted: int = field(init=False, default=0)

    def put(self, frames: int, now: float, *, goes_on: bool) -> None:
        """`frames` came; whether they continue what came before."""
        if not goes_on:
            self.live, self._window, self._block = False, None, 0
        self._put_at = now
        if frames > self._block:
            self._block = frames
        if self._window is None:
            self._window, self._counted = now, 0
            return
        self._counted += frames
        passed = now - self._window
        if abs(self._counted / self.rate - passed) > _UNEVEN_S + self._block / self.rate:
            self.live, self._window = False, None
        elif passed >= _WINDOW_S:
            self.live, self._window, self._counted = True, now, 0

    def restart(self) -> None:
        """Playing breaks off; what was learned about the clocks stays."""
        self.live, self._window, self._smoothed = False, None, None
        self.step = 1.0

    def level_s(self, held_frames: int, frames: int, now: float) -> float:
        """What is held on average, where `frames` are taken at a time and the next of them at `now`."""
        return (held_frames - (self._block + frames) / 2) / self.rate + now - self._put_at

    def wanted_s(self, frames: int) -> float:
        """The level to keep: the target, or more where blocks are so long that it would run dry between them."""
        return max(self.target_s, (self._block + frames) / 2 / self.rate + _MARGIN_S)

    def follow(self, held_frames: int, frames: int, now: float) -> float:
        """The `step` for the `frames` that are pulled `now`, of `held_frames`."""
        passed, self._followed_at = now - self._followed_at, now
        if not self.live:
            self._smoothed = None
            self.step = 1.0
            return 1.0
        level = self.level_s(held_frames, frames, now)
        if self._smoothed is None:
            self._smoothed, passed = level, 0.0
        self._smoothed += (level - self._smoothed) * min(1.0, passed / _SMOOTHING_S)
        self.step = 1 + self._correct(self._smoothed - self.wanted_s(frames), passed)
        return self.step

    def _correct(self, offset_s: float, passed_s: float) -> float:
        """The correction for an offset that is there for `passed_s`."""
        if not self._correcting and abs(offset_s) < _STILL_S:
            return 0.0
        self._correcting = True
        frequency = 1 / _TIME_CONSTANT_S
        if abs(offset_s) < _NEAR_S:
            self._learned = _limited(self._learned + frequency**2 * offset_s * passed_s, LIMIT)
        wanted = _limited(2 * frequency * offset_s + self._learned, LIMIT)
        self._correction += _limited(wanted - self._correction, _SLEW * passed_s)
        return self._correction


def _limited(value: float, most: float) -> float:
    return min(max(value, -most), most)
