"""What a speaker plays next."""

from __future__ import annotations

from collections.abc import Mapping

import numpy as np
from attrs import define, field

from pipeline.items import Audio, Mark, MarkKind, Samples
from pipeline.stage import StageError
from stages.playout.joins import Joins
from stages.playout.waiting import Skipped, Waiting

__all__ = ["Playout"]


@define(kw_only=True)
class Playout:
    """What a speaker plays next: utterances back to back, silence where there is nothing, and never a click.

    Every frame that is `put` is played, trimmed (silence), merged by hurrying, skipped (a counted loss), or held.
    `now` is in seconds of any clock that never goes back. It holds no more than about `hold_s`: a caller waits
    while it is `full`.
    """

    rate: int
    channels: int = 1
    target_ms: float = 200
    max_lag_s: float | None = None
    hold_s: float = 60
    _waiting: Waiting = field(init=False)
    _joins: Joins = field(init=False)
    _last_put: float | None = field(init=False, default=None)
    _finished: bool = field(init=False, default=False)
    _underruns: int = field(init=False, default=0)
    _skipped: list[Skipped] = field(init=False, factory=list)

    def __attrs_post_init__(self) -> None:
        self._waiting = Waiting(self.channels)
        self._joins = Joins(self.rate, self.channels)

    def put(self, item: Audio | Mark, now: float) -> None:
        """Take what is to be played, whatever it is, also while `full`.

        Raises: StageError where rate or channels are others than ours.
        """
        if isinstance(item, Audio):
            if (item.rate, item.channels) != (self.rate, self.channels):
                wanted = f"{self.rate} Hz and {self.channels} channels were wanted"
                came = f"{item.rate} Hz and {item.channels} came"
                raise StageError(f"a speaker plays at one rate: {wanted}, {came}: put a `resample` before it")
            self._waiting.put(item, now)
            self._last_put = now
        elif item.kind in (MarkKind.UTTERANCE_END, MarkKind.FLUSH):
            self._waiting.end()

    def finish(self) -> None:
        """Nothing more comes: what is held is played to its end."""
        self._finished = True
        self._waiting.end()

    def pull(self, frames: int, now: float) -> Samples:
        """The next `frames`, of shape (frames, channels), int16; silence where there is nothing."""
        while self._joins.ready < frames:
            head = self._waiting.head
            may_begin = head is not None and (self._joins.sounding or self._ready(now))
            samples = self._waiting.take(frames) if may_begin else np.zeros((0, self.channels), np.int16)
            if len(samples):
                self._joins.add(samples)
                continue
            if self._joins.sounding:
                self._underruns += head is not None and not head.ended
                self._joins.stop()
            self._joins.silence(max(0, frames - self._joins.ready))
        return self._joins.take(frames)

    def _ready(self, now: float) -> bool:
        head = self._waiting.head
        assert head is not None
        held_s = self._waiting.held_frames / self.rate + now - (self._last_put or now)
        return head.ended or held_s >= self.target_ms / 1000

    @property
    def drained(self) -> bool:
        """Whether it is finished, and all is played."""
        return self._finished and not self.held_frames

    @property
    def full(self) -> bool:
        """Whether `hold_s` are held: a caller who waits now is never refused."""
        return self.held_frames >= self.hold_s * self.rate

    @property
    def held_frames(self) -> int:
        """Frames that were put and not played yet."""
        return self._waiting.held_frames + self._joins.held_frames

    def lag_s(self, now: float) -> float:
        """How much later than at its best speech comes out now, in seconds."""
        return 0.0

    def take_skipped(self) -> list[Skipped]:
        """The utterances skipped since it was last asked, to be shown."""
        taken, self._skipped = self._skipped, []
        return taken

    def counts(self) -> Mapping[str, int]:
        return {"underruns": self._underruns}

    def losses(self) -> Mapping[str, int]:
        """Frames of speech skipped, by reason."""
        return {}
