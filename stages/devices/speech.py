"""Items on their way to a speaker: louder or softer, at the device's rate, queued, and in its channels. Pure."""

from __future__ import annotations

from collections.abc import Iterable, Mapping

import numpy as np
from attrs import define, field

from pipeline.items import Audio, Item, Mark, Text
from stages.devices.playing import LEAD_S
from stages.devices.ring import Ring
from stages.gain import Gain
from stages.playout import Playout
from stages.resample import Resample

__all__ = ["Speech"]

_HOLD_S = 10.0
"""What waits here where nothing is ever skipped; the rest waits where it came from."""


@define(kw_only=True)
class Speech:
    """What a device of `rate` Hz and `channels` is to play. `put` items in, `fill` the ring for the device.

    `mono`: it is queued as one channel, and sounds in all.
    """

    rate: int
    channels: int
    mono: bool
    volume_db: float = 0.0
    target_ms: float = 200
    max_lag_s: float | None = None
    playout: Playout = field(init=False)
    ring: Ring = field(init=False)
    skipped: int = field(init=False, default=0)
    """Utterances that were skipped so far."""
    _gain: Gain = field(init=False)
    _resample: Resample = field(init=False)

    def __attrs_post_init__(self) -> None:
        channels = 1 if self.mono else self.channels
        self.playout = Playout(
            rate=self.rate, channels=channels, target_ms=self.target_ms, max_lag_s=self.max_lag_s
        )
        if self.max_lag_s is None:
            self.playout.hold_s = _HOLD_S
        self.ring = Ring(2 * int(LEAD_S * self.rate), self.channels)
        self._gain = Gain(db=self.volume_db)
        self._resample = Resample(rate=self.rate, channels=channels)

    def put(self, item: Item, now: float) -> None:
        """Take what is to be played, at any rate. Raises: StageError where its channels cannot be played."""
        assert not isinstance(item, Text), "the port takes audio"
        if isinstance(item, Mark):
            self._queue(self._resample.mark(item), now)
            return
        for scaled in (item,) if self.volume_db == 0 else self._gain.feed(item):
            self._queue(self._resample.feed(scaled), now)

    def finish(self, now: float) -> None:
        """Nothing more comes."""
        self._queue(self._resample.flush(), now)
        self.playout.finish()

    def fill(self, frames: int, now: float) -> None:
        """Put the next `frames` into the ring."""
        if frames:
            samples = self.playout.pull(frames, now)
            self.ring.put(np.repeat(samples, self.channels, axis=1) if self.mono else samples)
            self.skipped += len(self.playout.take_skipped())

    @property
    def unplayed(self) -> int:
        """The frames that were put in, and that no device has taken."""
        return self.playout.held_frames + self.ring.held

    def counts(self) -> Mapping[str, int]:
        limited = self._gain.counts()["samples limited to full scale"]
        limited += self._resample.counts()["samples limited to full scale"]
        return {**self.playout.counts(), "samples limited to full scale": limited}

    def _queue(self, items: Iterable[Item], now: float) -> None:
        for item in items:
            assert isinstance(item, Audio | Mark)
            self.playout.put(item, now)
