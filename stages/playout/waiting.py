"""The queue of a speaker: utterances, in the order in which they came.

The rule to keep: frames come in by `put`; they go out in order by `take`, or by `skip`, an utterance at a time
and counted.
"""

from __future__ import annotations

from collections import deque

import numpy as np
from attrs import define, field, frozen

from pipeline.items import Audio, Samples

__all__ = ["Skipped", "Utterance", "Waiting"]

_REMEMBERED = 64
"""Skipped utterances that are told of; where nobody asks, the oldest are forgotten. The counts hold them all."""
_FAIR = 1.05
"""How much faster than its original speech would be at its best: so that an utterance which is late only because
another was long is made up for in minutes, not taken as the rule."""


@frozen
class Skipped:
    """An utterance that was not spoken, so that the next ones come in time.

    `start` and `frames` in sample-frames at `rate` Hz; `lag_s`, how late it was by then.
    """

    start: int
    frames: int
    rate: int
    lag_s: float


@define(eq=False)
class Utterance:
    """What is said in one go: sound without a jump, which begins at position `start`."""

    start: int
    fair_at: float
    """When it would begin, were nothing ahead of it late."""
    total: int = 0
    """Frames that came."""
    frames: int = 0
    """Not taken yet."""
    ended: bool = False
    begun: bool = False
    skipped_lag_s: float | None = None
    """How late it was when it was skipped."""
    skipped_frames: int = 0
    _blocks: deque[tuple[Samples, float]] = field(init=False, factory=deque)
    """Blocks, and when they came."""
    _due: float = field(init=False, default=0.0)
    """When the next frame could have sounded, had nothing been in its way."""

    def __attrs_post_init__(self) -> None:
        self._due = self.fair_at

    @property
    def blocks(self) -> int:
        return len(self._blocks)

    def append(self, samples: Samples, now: float) -> None:
        self._blocks.append((samples, now))
        self.frames += len(samples)
        self.total += len(samples)

    def take(self, most: int, rate: int) -> Samples:
        """Up to `most` frames of the first block; there must be one."""
        samples, came_at = self._blocks.popleft()
        if len(samples) > most:
            self._blocks.appendleft((samples[most:], came_at))
            samples = samples[:most]
        self.begun = True
        self.frames -= len(samples)
        self._due = max(self._due, came_at) + len(samples) / rate
        return samples

    def wait_s(self, now: float) -> float:
        """How much later than it could have sounded its next frame sounds, if it sounds `now`."""
        return now - max(self._due, self._blocks[0][1] if self._blocks else self._due)

    def clear(self) -> int:
        """Forget what was not taken; how many frames that were."""
        self._blocks.clear()
        frames, self.frames = self.frames, 0
        self.total -= frames
        return frames


@define
class Waiting:
    """Utterances that wait to be played, and the one that is.

    An utterance ends where `end` says so, and where positions jump. `head` is the one that is played, or the next.
    """

    rate: int
    channels: int
    held_frames: int = field(init=False, default=0)
    held_blocks: int = field(init=False, default=0)
    skipped_frames: int = field(init=False, default=0)
    skipped_utterances: int = field(init=False, default=0)
    _utterances: deque[Utterance] = field(init=False, factory=deque)
    _last: Utterance | None = field(init=False, default=None)
    """The last that came, also when it has been played."""
    _longest: int = field(init=False, default=0)
    """Frames of the longest original since nobody had to wait."""
    _next: int | None = field(init=False, default=None)
    """The position at which sound that goes on would start."""
    _told: deque[Skipped] = field(init=False, factory=lambda: deque(maxlen=_REMEMBERED))

    def put(self, audio: Audio, now: float) -> bool:
        """Queue `audio`, of one frame at least; whether it continues what came before."""
        goes_on = audio.start == self._next
        last = self._utterances[-1] if self._utterances else None
        if last is None or last.ended or not goes_on:
            self.end()
            last = Utterance(audio.start, self._fair_at(audio.start, now))
            self._utterances.append(last)
            self._last = last
        if last.skipped_lag_s is not None:
            self._drop(last, audio.frames)
        else:
            last.append(audio.samples, now)
            self.held_frames += audio.frames
            self.held_blocks += 1
        self._next = audio.end
        return goes_on

    def end(self) -> None:
        """Nothing more comes of the last utterance."""
        if self._utterances:
            self._utterances[-1].ended = True

    @property
    def head(self) -> Utterance | None:
        while self._utterances and self._utterances[0].ended and not self._utterances[0].frames:
            self._pass(self._utterances.popleft())
        if not self._utterances or self._utterances[0].skipped_lag_s is not None:
            return None
        return self._utterances[0]

    def take(self, most: int) -> Samples:
        """Up to `most` frames of the head; none where it waits for more to come."""
        head = self.head
        if head is None or not head.frames:
            return np.zeros((0, self.channels), np.int16)
        blocks = head.blocks
        taken = head.take(most, self.rate)
        self.held_frames -= len(taken)
        self.held_blocks -= blocks - head.blocks
        return taken

    def worst_wait_s(self, now: float) -> float:
        """The longest that anything here is going to have waited when it begins to sound; 0 where nothing is."""
        worst, ahead_s = 0.0, 0.0
        for utterance in self._utterances:
            if utterance.frames:
                worst = max(worst, utterance.wait_s(now + ahead_s))
            ahead_s += utterance.frames / self.rate
        return worst

    def skip(self, lag_s: float) -> None:
        """Do without the head, also with what is still to come of it."""
        head = self.head
        assert head is not None
        head.skipped_lag_s = lag_s
        self.skipped_utterances += 1
        self.held_frames -= head.frames
        self.held_blocks -= head.blocks
        self._drop(head, head.clear())

    def take_skipped(self) -> list[Skipped]:
        """The utterances skipped since it was last asked."""
        told = list(self._told)
        self._told.clear()
        return told

    def _fair_at(self, start: int, now: float) -> float:
        """When an utterance would begin that comes `now`, had none before it been longer than its original.

        Who comes behind a long one waits, and is not late; but no longer than the longest took, however many come
        at once.
        """
        if self._last is None:
            return now
        original = start - self._last.start
        frames = min(original, self._last.total) if original > 0 else self._last.total
        self._longest = max(self._longest, frames)
        at = min(self._last.fair_at + frames / _FAIR / self.rate, now + self._longest / self.rate)
        if at <= now:
            self._longest = 0
        return max(now, at)

    def _drop(self, utterance: Utterance, frames: int) -> None:
        utterance.skipped_frames += frames
        utterance.total += frames
        self.skipped_frames += frames

    def _pass(self, utterance: Utterance) -> None:
        if utterance.skipped_lag_s is not None:
            frames, lag_s = utterance.skipped_frames, utterance.skipped_lag_s
            self._told.append(Skipped(utterance.start, frames, self.rate, lag_s))
