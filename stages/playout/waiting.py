"""The queue of a speaker: utterances, in the order in which they came.

The rule to keep: nothing is cut or lost here. Frames come in by `put`, and go out by `take`, or by `skip` as a
whole utterance that has not begun.
"""

from __future__ import annotations

from collections import deque

import numpy as np
from attrs import define, field, frozen

from pipeline.items import Audio, Samples

__all__ = ["Skipped", "Utterance", "Waiting"]


@frozen
class Skipped:
    """An utterance that was not spoken, so that the next ones come in time.

    `start` and `frames` in sample-frames at `rate` Hz; `lag_s`, how late it would have been.
    """

    start: int
    frames: int
    rate: int
    lag_s: float


@define
class Utterance:
    """What is said in one go: sound without a jump.

    `put_at` is when its first frame came. One that `continues` begins exactly where the one before ended.
    """

    start: int
    put_at: float
    continues: bool = False
    pieces: deque[Samples] = field(factory=deque)
    frames: int = 0
    """Not taken yet."""
    ended: bool = False
    begun: bool = False
    due: float = 0.0
    """When its next frame could have sounded, had nothing been in its way."""


@define
class Waiting:
    """Utterances that wait to be played, and the one that is.

    An utterance ends at an `UTTERANCE_END` mark (`end`), and where positions jump.
    """

    channels: int
    _utterances: deque[Utterance] = field(init=False, factory=deque)
    _next: int | None = field(init=False, default=None)
    """The position at which sound that goes on would start."""
    held_frames: int = field(init=False, default=0)

    @property
    def head(self) -> Utterance | None:
        """The one that is played, or to be played next; never an empty one that has ended."""
        while self._utterances and not self._utterances[0].frames and self._utterances[0].ended:
            self._utterances.popleft()
        return self._utterances[0] if self._utterances else None

    def put(self, audio: Audio, now: float) -> None:
        last = self._utterances[-1] if self._utterances else None
        if last is None or last.ended or audio.start != self._next:
            self.end()
            last = Utterance(audio.start, now, continues=audio.start == self._next, due=now)
            self._utterances.append(last)
        self._append(last, audio.samples)
        self._next = audio.end

    def end(self) -> None:
        """Nothing more comes of the last utterance."""
        if self._utterances:
            self._utterances[-1].ended = True

    def _append(self, utterance: Utterance, samples: Samples) -> None:
        if len(samples):
            utterance.pieces.append(samples)
            utterance.frames += len(samples)
            self.held_frames += len(samples)

    def take(self, most: int) -> Samples:
        """Up to `most` frames of the head's first piece; none where it has none."""
        head = self.head
        if head is None or not head.pieces:
            return np.zeros((0, self.channels), np.int16)
        head.begun = True
        piece = head.pieces.popleft()
        if len(piece) > most:
            head.pieces.appendleft(piece[most:])
            piece = piece[:most]
        head.frames -= len(piece)
        self.held_frames -= len(piece)
        return piece
