"""The captions of one language: settled lines by number, the line that grows, and what is kept for latecomers.

The rule to keep: lines are numbered from 1 without a hole, so that whoever knows the last number it has can be
given exactly what came after it, or be told which lines are gone. Pure: `now` is handed in.
"""

from __future__ import annotations

from collections import deque

from attrs import define, field, frozen

from stages.room.wire import Caption, Missed, Partial, dump

__all__ = ["Captions"]

FIRST_LINES = 20
"""What somebody gets who was not there before."""


@frozen
class _Line:
    seq: int
    at: float
    frame: str


@define
class Captions:
    """The log of one language. Lines are kept for `replay_s`, and at most `limit` of them.

    Every line is put into its frame once, however many read it.
    """

    language: str
    replay_s: float = 600.0
    limit: int = 2000
    seq: int = field(init=False, default=0)
    """The newest line's number."""
    version: int = field(init=False, default=0)
    """Grows whenever the growing line changes."""
    growing: str | None = field(init=False, default=None)
    """The frame of the line that grows; None where none does."""
    utterance: int = field(init=False, default=0)
    """That of the newest line, settled or growing."""
    _lines: deque[_Line] = field(init=False, factory=deque)

    def settle(self, utterance: int, text: str, start_ms: int, end_ms: int, now: float) -> Caption:
        """Add a line; what was growing is over with it."""
        self.seq += 1
        self.utterance = max(self.utterance, utterance)
        caption = Caption(self.language, self.seq, utterance, text, start_ms, end_ms)
        self._lines.append(_Line(self.seq, now, dump(caption)))
        self._forget(now)
        if self.growing is not None:  # the page replaces it by the caption: nothing need be told
            self.growing = None
        return caption

    def grow(self, utterance: int, text: str) -> bool:
        """Let the growing line be `text`; whether that is new."""
        frame = dump(Partial(self.language, utterance, text))
        if frame == self.growing:
            return False
        self.utterance = max(self.utterance, utterance)
        self.growing = frame
        self.version += 1
        return True

    def clear(self) -> bool:
        """The growing line came to nothing; whether there was one."""
        if self.growing is None:
            return False
        self.growing = None
        self.version += 1
        return True

    def cleared(self) -> str:
        """The frame that takes a growing line back."""
        return dump(Partial(self.language, self.utterance, ""))

    def first(self, now: float) -> int:
        """The number behind which somebody begins who was not there before."""
        self._forget(now)
        oldest = self._lines[0].seq if self._lines else self.seq + 1
        return max(oldest - 1, self.seq - FIRST_LINES)

    def after(self, seq: int, now: float) -> tuple[str, int] | None:
        """The frame that comes next behind line `seq`, and the number it brings one to; None where there is none.

        That is the next line, or what says which lines are gone.
        """
        self._forget(now)
        if seq >= self.seq:
            return None
        oldest = self._lines[0].seq if self._lines else self.seq + 1
        if seq + 1 < oldest:
            return dump(Missed(self.language, seq + 1, oldest - 1)), oldest - 1
        line = self._lines[seq + 1 - oldest]
        return line.frame, line.seq

    def _forget(self, now: float) -> None:
        while self._lines and (len(self._lines) > self.limit or self._lines[0].at < now - self.replay_s):
            self._lines.popleft()
