"""What a speaker plays next.

The way of a frame: it waits its turn (`Waiting`), is left out with a long pause (`Pauses`) or merged with others
(`Faster`) where speech is late, is moved a little where clocks differ (`Fractional`, led by `Drift`), and is faded
where sound breaks off (`Joins`). The order to keep: sound breaks off only when all of them are flushed.
"""

from __future__ import annotations

from collections.abc import Mapping
from math import ceil

from attrs import define, field

from pipeline.items import Audio, Mark, MarkKind, Samples
from pipeline.stage import StageError
from stages.playout.drift import Drift
from stages.playout.faster import Faster
from stages.playout.fractional import Fractional
from stages.playout.joins import Joins
from stages.playout.lag import Bound
from stages.playout.pauses import Pauses
from stages.playout.waiting import Skipped, Utterance, Waiting

__all__ = ["Playout"]

_MOST_BLOCKS = 20_000
"""Held at once: a minute of blocks of 3 ms."""
_ENDS = (MarkKind.UTTERANCE_END, MarkKind.GAP, MarkKind.FLUSH)


@define(kw_only=True)
class Playout:
    """What a speaker plays next: utterances back to back, silence where there is nothing, and never a click.

    An utterance begins to be played when `target_ms` of it are held, or all of it; where it runs dry before its
    end, that is an underrun, and it waits again. Positions say what belongs together, not when it is played. In a
    stream that is gapless and comes as fast as it is spoken, `target_ms` stay held on average, though the writer's
    clock and the device's differ: it is resampled by some parts in a million. What needs none of this, and lies
    further from a join than 5 ms, passes bit for bit.

    With `max_lag_s` speech catches up before it is later than that: see `Bound`. An utterance is skipped only
    before it begins; `take_skipped` tells of each.

    Every frame that is `put` is played, trimmed (silence), merged by hurrying, skipped (a loss), or held.
    It holds about `hold_s` at the most if callers wait while it is `full`; what they put all the same is taken.
    `now` is in seconds of any clock that never goes back; in `pull` it is when the first frame sounds, but for a
    delay that stays the same. It is for one thread.
    """

    rate: int
    channels: int = 1
    target_ms: float = 200
    max_lag_s: float | None = None
    hold_s: float = 60.0
    _waiting: Waiting = field(init=False)
    _pauses: Pauses = field(init=False)
    _faster: Faster = field(init=False)
    _fractional: Fractional = field(init=False)
    _joins: Joins = field(init=False)
    _drift: Drift = field(init=False)
    _bound: Bound | None = field(init=False)
    _spoken: Utterance | None = field(init=False, default=None)
    """The utterance that is played."""
    _position: int = field(init=False, default=0)
    """The end of what was taken of it."""
    _now: float = field(init=False, default=0.0)
    """When the last pull was, and how much it wanted."""
    _pull_frames: int = field(init=False, default=0)
    _least_wait_s: float = field(init=False)
    """How long speech waits at its best."""
    _taken_frames: int = field(init=False, default=0)
    _underruns: int = field(init=False, default=0)
    _finished: bool = field(init=False, default=False)

    def __attrs_post_init__(self) -> None:
        self._waiting = Waiting(self.rate, self.channels)
        self._pauses = Pauses(self.rate, self.channels)
        self._faster = Faster(self.rate, self.channels)
        self._fractional = Fractional(self.channels)
        self._joins = Joins(self.rate, self.channels)
        self._drift = Drift(self.rate, self.target_ms / 1000)
        self._bound = None if self.max_lag_s is None else Bound(self.max_lag_s)
        self._least_wait_s = self.target_ms / 1000

    def put(self, item: Audio | Mark, now: float) -> None:
        """Take what is to be played. Marks say where an utterance ends, or that nobody should wait for more.

        Raises: StageError where rate or channels are others than ours.
        """
        if isinstance(item, Mark):
            if item.kind in _ENDS:
                self._waiting.end()
            return
        if (item.rate, item.channels) != (self.rate, self.channels):
            wanted = f"{self.rate} Hz and {self.channels} channels were wanted"
            came = f"{item.rate} Hz and {item.channels} came"
            raise StageError(f"a speaker plays at one rate: {wanted}, {came}: put a `resample` before it")
        if item.frames:
            goes_on = self._waiting.put(item, now)
            self._drift.put(item.frames, now, goes_on=goes_on)

    def finish(self) -> None:
        """Nothing more comes: what is held is played to its end."""
        self._finished = True
        self._waiting.end()

    def pull(self, frames: int, now: float) -> Samples:
        """The next `frames`, int16 of shape (frames, channels); silence where there is nothing."""
        self._now, self._pull_frames = now, frames
        self._catch_up(now)
        self._fractional.step = self._drift.follow(self.held_frames, frames, now)
        while (missing := frames - self._joins.ready) > 0:
            if not self._speak(missing):
                self._joins.silence(max(0, frames - self._joins.ready))
        return self._joins.take(frames)

    # --- what it tells

    @property
    def drained(self) -> bool:
        """Whether it is finished, and all is played."""
        return self._finished and not self.held_frames

    @property
    def full(self) -> bool:
        """Whether `hold_s` are held, or very many blocks: time for a caller to wait."""
        return self._waiting.held_frames >= self.hold_s * self.rate or self._waiting.held_blocks >= _MOST_BLOCKS

    @property
    def held_frames(self) -> int:
        """Frames that were put and not played yet."""
        parts = (self._waiting, self._pauses, self._faster, self._fractional, self._joins)
        return sum(part.held_frames for part in parts)

    def lag_s(self, now: float) -> float:
        """How much later than at its best that comes out which is played now, in seconds; 0 where nothing is."""
        return 0.0 if self._spoken is None else self._lag_s(self._spoken, now)

    @property
    def clock_ppm(self) -> float:
        """By how much the stream is played faster than it is, in parts in a million, because clocks differ."""
        return (self._fractional.step - 1) * 1e6

    def take_skipped(self) -> list[Skipped]:
        """The utterances that were skipped since it was last asked, to be shown: the last 64 at most."""
        return self._waiting.take_skipped()

    def counts(self) -> Mapping[str, int]:
        return {
            "underruns": self._underruns,
            "frames played": self._played_frames,
            "frames of silence trimmed": self._pauses.trimmed_frames,
            "frames saved by speaking faster": self._faster.merged_frames,
            "utterances skipped": self._waiting.skipped_utterances,
            "samples limited to full scale": self._fractional.limited_samples,
        }

    def losses(self) -> Mapping[str, int]:
        """Frames of speech skipped, by reason."""
        return {"too late": self._waiting.skipped_frames} if self._waiting.skipped_frames else {}

    @property
    def _played_frames(self) -> int:
        left_out = self._pauses.trimmed_frames + self._faster.merged_frames
        return self._taken_frames - left_out - (self.held_frames - self._waiting.held_frames)

    # --- playing

    def _speak(self, frames: int) -> bool:
        """Add about `frames` to what is ready; False where there is nothing to play now."""
        head = self._next_head()
        if head is None:
            self._break_off()
            return False
        if head is not self._spoken and not self._begin(head, frames):
            return False
        samples = self._waiting.take(frames)
        if not len(samples):
            self._underruns += 1
            self._break_off()
            return False
        self._taken_frames += len(samples)
        self._position += len(samples)
        self._pass_on(samples)
        return True

    @property
    def _sounds_at(self) -> float:
        """When what is added now is going to sound."""
        return self._now + self._joins.held_frames / self.rate

    def _next_head(self) -> Utterance | None:
        """What is to be played; what is too late by now is skipped."""
        now = self._sounds_at
        while (head := self._waiting.head) is not None:
            if head.begun or self._bound is None or not self._bound.skips(lag_s := self._lag_s(head, now)):
                return head
            self._waiting.skip(lag_s)
        return None

    def _begin(self, head: Utterance, frames: int) -> bool:
        """Begin to play `head`, perhaps after some of the `frames`; False where it is not its time yet."""
        goes_on = self._joins.sounding and head.start == self._position
        if not goes_on:
            self._break_off()
            missing = self._missing(head)
            if not head.frames or missing >= frames:
                return False
            self._joins.silence(missing)
        if not head.begun:
            self._least_wait_s = min(self._least_wait_s, head.wait_s(self._sounds_at))
            self._position = head.start
        self._spoken = head
        return True

    def _missing(self, head: Utterance) -> int:
        """Frames of silence until enough of `head` is held to begin."""
        if head.ended:
            return 0
        held = self.held_frames - self._joins.held_frames
        level_s = self._drift.level_s(held, self._pull_frames, self._sounds_at)
        return max(0, ceil((self._drift.wanted_s(self._pull_frames) - level_s) * self.rate))

    def _pass_on(self, samples: Samples) -> None:
        for trimmed in self._pauses.feed(samples):
            for hurried in self._faster.feed(trimmed):
                self._joins.add(self._fractional.feed(hurried))

    def _break_off(self) -> None:
        """Play what is on its way; then sound stops."""
        for trimmed in self._pauses.flush():
            for hurried in self._faster.feed(trimmed):
                self._joins.add(self._fractional.feed(hurried))
        for hurried in self._faster.flush():
            self._joins.add(self._fractional.feed(hurried))
        self._joins.add(self._fractional.flush())
        self._joins.stop()
        if self._spoken is not None:
            self._spoken = None
            self._drift.restart()

    # --- being late

    def _lag_s(self, utterance: Utterance, now: float) -> float:
        return max(0.0, utterance.wait_s(now) - self._least_wait_s, self._backlog_s(now))

    def _catch_up(self, now: float) -> None:
        if self._bound is None:
            return
        worst_s = self._waiting.worst_wait_s(now) - self._least_wait_s
        lag_s = max(worst_s, self._backlog_s(now))
        self._pauses.trimming = self._bound.trims(lag_s)
        self._faster.speed = self._bound.speed(lag_s)

    def _backlog_s(self, now: float) -> float:
        """How much more is held than wanted of a stream that comes as fast as it is spoken; 0 of others."""
        if not self._drift.live:
            return 0.0
        level_s = self._drift.level_s(self.held_frames, self._pull_frames, now)
        return level_s - self._drift.wanted_s(self._pull_frames)
