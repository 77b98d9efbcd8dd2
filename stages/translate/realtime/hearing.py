"""Where the input sounds like anything: which stretches of it somebody could want an answer to.

Not a detector of speech: a service that hears speech where we hear none is right. It is for what a client must
guess because the protocol has no positions: whether a silent service owes an answer, and which sound an answer
without positions was about. When in doubt it hears something.
"""

from __future__ import annotations

import math
from collections import deque

import numpy as np
from attrs import define, field

from pipeline.items import Samples
from stages.translate.realtime.events import SAMPLE_RATE_HZ

__all__ = ["PAUSE_FRAMES", "Hearing"]

WINDOW_FRAMES = SAMPLE_RATE_HZ // 50
PAUSE_FRAMES = SAMPLE_RATE_HZ // 2
"""A shorter pause parts nothing: speakers make them between words, and services wait longer."""
LONGEST_FRAMES = 35 * SAMPLE_RATE_HZ
"""Services cut a speaker who does not pause after 30 s at most."""
REMAINDER_FRAMES = SAMPLE_RATE_HZ * 3 // 4
"""So much of a stretch behind an answer's end still belongs to it: breath, echo, another idea of the end."""
FLOOR_DB, LOUDEST_FLOOR_DB = -66.0, -40.0
"""Of full scale: what is taken for the noise of the room lies between the two."""
ABOVE_FLOOR_DB = 6.0
RISE_DB = 0.02
"""A window; so a second of noise lifts the floor by 1 dB, and the first pause between words brings it down."""


@define
class _Run:
    """A stretch of sound, with no longer pause in it than `PAUSE_FRAMES`."""

    start: int
    end: int


@define
class Hearing:
    """Follows the sound (`feed` all of it) and keeps its stretches, until nobody asks for them (`forget`).

    Positions are the replay window's. A stretch is over once a pause follows it.
    """

    heard: int = field(init=False, default=0)
    _runs: deque[_Run] = field(init=False, factory=deque)
    _floor_db: float = field(init=False, default=FLOOR_DB)
    _rest: Samples = field(init=False, factory=lambda: np.zeros((0, 1), np.int16))

    def feed(self, samples: Samples) -> None:
        """Hear the next mono `samples`, of shape (frames, 1)."""
        waiting = np.concatenate([self._rest, samples])
        whole = len(waiting) // WINDOW_FRAMES * WINDOW_FRAMES
        self._rest = waiting[whole:]
        windows = waiting[:whole].reshape(-1, WINDOW_FRAMES).astype(np.float32)
        for power in np.square(windows).mean(axis=1).tolist():
            self._hear(10 * math.log10(power / (1 << 30)) if power else -math.inf)

    def end(self, after: int, by: int) -> int:
        """Where the first stretch beyond `after` ended by `by`, or had come to; `after` where there was none."""
        begun = (run.end for run in self._runs if run.end > after and run.start < by)
        return min(next(begun, after), max(after, by))

    def last_over(self, by: int) -> int:
        """Where the last stretch ends that was over by `by`; 0 where none was."""
        ends = (run.end for run in reversed(self._runs) if run.end + PAUSE_FRAMES <= by)
        return next(ends, 0)

    def next_sound(self, after: int) -> int:
        """Where it first sounds behind an answer that ends at `after`, or else where the sound heard ends."""
        starts = (max(run.start, after) for run in self._runs if run.end > after + self._remainder(run, after))
        return next(starts, max(after, self.heard))

    def sounding(self, begin: int, end: int) -> int:
        """For how many frames it sounds between an answer's end and `end`."""
        start = self.next_sound(begin)
        return sum(max(0, min(run.end, end) - max(run.start, start)) for run in self._runs)

    def is_owed(self, after: int, by: int) -> bool:
        """Whether a service that got everything before `by` should answer sound behind `after`.

        It should for a stretch that was over by then, and for one that is too long for an utterance.
        """
        start = self.next_sound(after)
        over = (run.end + PAUSE_FRAMES <= by for run in self._runs if run.end > start)
        return next(over, False) or (start < self.heard and by - start > LONGEST_FRAMES)

    def forget(self, before: int) -> None:
        while self._runs and self._runs[0].end <= before:
            self._runs.popleft()

    @staticmethod
    def _remainder(run: _Run, after: int) -> int:
        return REMAINDER_FRAMES if run.start < after else 0

    def _hear(self, level_db: float) -> None:
        start, self.heard = self.heard, self.heard + WINDOW_FRAMES
        self._floor_db = min(max(level_db, FLOOR_DB), self._floor_db + RISE_DB, LOUDEST_FLOOR_DB)
        if level_db <= self._floor_db + ABOVE_FLOOR_DB:
            return
        if self._runs and start - self._runs[-1].end < PAUSE_FRAMES:
            self._runs[-1].end = self.heard
        else:
            self._runs.append(_Run(start, self.heard))
