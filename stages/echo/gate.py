"""Which stretches of what was heard are our own speech, once enough of what follows is known.

What was heard is judged in steps of 100 ms, by windows of 1.5 s that end with each of them. A step is our own
speech where seven of the fifteen windows that it lies in are like what was played, at the same delay; a likeness
by chance has another delay in each. Where somebody else is heard at the same time, what is nearby is left alone.

Measured on 60 scenes of 16 s (`python -m benchmarks.echo_guard`), with speech of Kokoro, hibari and recordings
in ten languages, through loudspeakers of laptops (150-400 Hz to 3-7 kHz), rooms (0.15-0.6 s), 60-400 ms of delay,
-6 to -30 dB, and noise at -65 to -52 dB of full scale; of the time in which one of both is loud:

    what is heard               of ours passed   of others' silenced
    our own speech alone             1.1 %
    others alone                                       0.0 %
    both, others 12 dB louder         62 %             0.1 %
    both, others 6 dB louder          60 %             0.5 %
    both, as loud                     55 %             2.7 %
    both, others 6 dB quieter         41 %            12.7 %

Whoever talks over our speech is heard, and with him some of ours: what both say at once is not taken apart.
"""

from __future__ import annotations

from collections import deque
from collections.abc import Iterator

from attrs import define, field, frozen

from pipeline.items import Audio
from stages.echo.bands import HOPS_PER_S
from stages.echo.likeness import AHEAD_S, LATEST_S, likeness, unexplained
from stages.played import Played

__all__ = ["STEP_S", "Gate", "Verdict"]

STEP_S = 0.1
_STEP = round(STEP_S * HOPS_PER_S)
_STEPS = 15
_WINDOW = _STEPS * _STEP
_LIKE = 0.65
"""Unrelated speech comes to 0.55 in such a window; our own through a bad room to 0.74 and more."""
_WITNESSES = 7
_SAME_LAG = 2
_LEAST_SOUND = 40
"""Frames in a window in which we must be heard: an onset alone is like every other."""
_SOMEBODY = 0.05
"""So much of a step that we cannot have caused, and somebody else speaks."""
_NEARBY = 8
"""Steps around somebody else that are left alone: a word has quiet sounds too."""
_ROOM_S = 0.4
_AFTER = round((LATEST_S + _ROOM_S) * HOPS_PER_S)
_BEFORE = round(AHEAD_S * HOPS_PER_S)


@frozen
class Verdict:
    """A step of what was heard, and whether it is our own speech."""

    audio: Audio
    ours: bool


@frozen
class _Witness:
    """One window that is like what was played, as far as it concerns one step of it."""

    score: float
    lag: int
    strange: float
    """How much of the step we cannot have caused."""


@define
class _Step:
    audio: Audio
    at: float
    near: bool
    """Whether our own speech may be in it at all."""
    witnesses: list[_Witness] = field(factory=list)

    @property
    def best(self) -> _Witness | None:
        return max(self.witnesses, key=lambda witness: witness.score, default=None)

    @property
    def somebody(self) -> bool:
        return self.best is not None and self.best.strange > _SOMEBODY

    @property
    def ours(self) -> bool:
        best = self.best
        if best is None or not self.near:
            return False
        return sum(abs(witness.lag - best.lag) <= _SAME_LAG for witness in self.witnesses) >= _WITNESSES


@define
class Gate:
    """Judges step after step of what was heard: while we are silent each one at once, else 1.6 s later."""

    played: Played
    heard: Played = field(factory=Played)
    """What was heard of late, kept in the same way as what was played."""
    _held: deque[_Step] = field(init=False, factory=deque)
    _times: deque[float] = field(init=False, factory=lambda: deque(maxlen=_STEPS + 1))
    """When the last steps began, held or not."""
    _end: int | None = field(init=False, default=None)
    _quiet: int = field(init=False, default=_NEARBY)
    """Steps judged since one with somebody else in it."""

    def feed(self, audio: Audio, at: float) -> Iterator[Verdict]:
        """What is certain with `audio`, a step of 100 ms that was heard from the loop's time `at` on."""
        if self._end is not None and audio.start != self._end:
            yield from self.flush()
        self._end = audio.end
        self.heard.note(audio.samples, audio.rate, at)
        self.heard.energies(at, 0)  # a text may ask about it much later
        step = _Step(audio, at, self._is_near(at))
        self._times.append(at)
        self._held.append(step)
        if len(self._times) > _STEPS:
            # Up to the step before this one: of its last frame, a part lies in this one.
            self._look(self._times[0])
        while self._held and (len(self._held) > _STEPS + 1 or not self._waits):
            yield self._judged()

    def flush(self) -> Iterator[Verdict]:
        """What is held, by what is known; what comes next is taken for another stream."""
        while self._held:
            yield self._judged()
        self._times.clear()
        self._quiet = _NEARBY

    @property
    def _waits(self) -> bool:
        return any(step.near for step in self._held)

    def _is_near(self, at: float) -> bool:
        begin = at - _AFTER / HOPS_PER_S
        return bool(self.played.sounds(begin, _AFTER + _STEP + _BEFORE).any())

    def _look(self, begin: float) -> None:
        """Compare the window that begins at `begin`, and let the steps in it know."""
        earlier = round(LATEST_S * HOPS_PER_S)
        played = self.played.energies(begin - LATEST_S, earlier + _WINDOW + _BEFORE)
        if not played.any():
            return
        heard = self.heard.energies(begin, _WINDOW)
        found = likeness(heard, played)
        if found.score < _LIKE:
            return
        loud = played[found.lag : found.lag + _WINDOW].sum(axis=1)
        if (loud > loud.max() / 100).sum() < _LEAST_SOUND:
            return
        strange = unexplained(heard, played, found.lag).reshape(_STEPS, _STEP).mean(axis=1)
        for step in self._held:
            place = round((step.at - begin) / STEP_S)
            if 0 <= place < _STEPS:
                step.witnesses.append(_Witness(found.score, found.lag, float(strange[place])))

    def _judged(self) -> Verdict:
        step = self._held.popleft()
        self._quiet = 0 if step.somebody else self._quiet + 1
        soon = any(other.somebody for other in list(self._held)[:_NEARBY])
        return Verdict(step.audio, step.ours and self._quiet > _NEARBY and not soon)
