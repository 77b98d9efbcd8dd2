"""What is still to be waited for: answers that are owed, a service that has fallen silent, the end. No clock here.

The protocol has no end of input and no "nothing was said". So both are judged by what sounds in the input, and by
how long ago anything came. `now_s` is the event loop's time.
"""

from __future__ import annotations

from typing import Literal

from attrs import define, field

from stages.translate.realtime.answers import Answers
from stages.translate.realtime.events import SAMPLE_RATE_HZ
from stages.translate.realtime.hearing import Hearing
from stages.translate.realtime.replay import Replay

__all__ = ["LATE_S", "TAIL_S", "Ending", "Waiting"]

Ending = Literal["all is answered", "answers were owed at the deadline"]

TAIL_S = 1.0
"""The silence behind the end of input in which a service notices that the last utterance is over."""
EXACT_QUIET_S = 1.0
"""`quiet_s` for a service that tells what it has answered."""
LATE_S = 8.0
"""A service that tells no places has by then begun to answer, or it will not."""
REST_FRAMES, MARGIN_FRAMES = 2 * SAMPLE_RATE_HZ, SAMPLE_RATE_HZ // 2
"""After so much silence nothing is to be answered, up to a little before the next sound."""
MOST_PATIENCE = 16


@define
class Waiting:
    """Tell it when a session has `begun`, when the service has been `heard`, and when the input has `ended`."""

    answers: Answers
    replay: Replay
    hearing: Hearing
    silent_after_s: float
    quiet_s: float
    deadline_s: float
    ended_s: float | None = field(init=False, default=None)
    """When the input ended."""
    _heard_s: float = field(init=False, default=0.0)
    _news_s: float = field(init=False, default=0.0)
    _owed_s: float | None = field(init=False, default=None)
    """Since when an answer has been owed in this session."""
    _sent_when_heard: int = field(init=False, default=0)
    _patience: int = field(init=False, default=1)

    @property
    def unanswered(self) -> int:
        """Frames of sound without an answer."""
        return self.hearing.sounding(self.replay.answered, self.replay.end)

    def begun(self) -> None:
        """Another session, which owes nothing yet."""
        self._owed_s = None

    def heard(self, now_s: float, *, news: bool) -> None:
        """A part of an answer came; `news`: not one that had been given before."""
        self._heard_s, self._sent_when_heard, self._patience = now_s, self.replay.sent, 1
        if news:
            self._news_s = now_s

    def ended(self, now_s: float) -> None:
        self.ended_s = now_s

    def quiet_until(self, settled: int) -> int:
        """The position up to which no answer is to be expected any more.

        Of a service that tells no places none is for what it was sent (up to `settled`) more than `LATE_S` ago,
        where it has answered since.
        """
        answered = self.replay.answered
        quiet = self.hearing.next_sound(answered) - MARGIN_FRAMES
        if quiet - answered < REST_FRAMES:
            quiet = answered
        if not self.answers.exact:
            quiet = max(quiet, min(self.hearing.last_over(by=settled), self._sent_when_heard))
        return min(quiet, self.replay.sent)

    def silent_s(self, now_s: float, tail_frames: int) -> float | None:
        """For how long nothing has come, where that is too long; the service got `tail_frames` behind the end.

        It may hear no speech where we hear some sound: each time it takes twice as long, until it answers.
        """
        sent = self.replay.sent + tail_frames
        if not (self.answers.outstanding or self.hearing.is_owed(self.replay.answered, by=sent)):
            self._owed_s = None
            return None
        self._owed_s = now_s if self._owed_s is None else self._owed_s
        silent_s = now_s - max(self._owed_s, self._heard_s)
        if silent_s <= self.silent_after_s * self._patience:
            return None
        self._patience = min(2 * self._patience, MOST_PATIENCE)
        return silent_s

    def ending(self, now_s: float) -> Ending | None:
        """How it has all ended; None while there is something to wait for."""
        if self.ended_s is None or self.replay.unsent:
            return None
        quiet_s = now_s - max(self._news_s, self.ended_s + TAIL_S)
        if not self.unanswered and not self.answers.outstanding:
            enough_s = min(self.quiet_s, EXACT_QUIET_S) if self.answers.exact else self.quiet_s
            return "all is answered" if quiet_s >= enough_s else None
        late = now_s - self.ended_s >= self.deadline_s and quiet_s >= self.quiet_s
        return "answers were owed at the deadline" if late else None
