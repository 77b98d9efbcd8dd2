"""How the blocks of a stream of speech lie in a file: back to back, or at the times when they were spoken.

Both layouts are pure. They take items and give `Audio` that begins at 0 and is gapless, in blocks of at most
a tenth of a second, so that whoever encodes them never keeps others waiting for long.
"""

from __future__ import annotations

from collections import deque
from collections.abc import Iterator, Mapping

import numpy as np
from attrs import define, field
from numpy.typing import NDArray

from pipeline.items import Audio, Item, Mark, MarkKind, Samples
from pipeline.stage import StageError

__all__ = ["Append", "Timeline"]

RAMP_MS = 50
"""How long the bed takes to get softer or louder: shorter clicks, longer lags behind the first word."""


@define
class Append:
    """The blocks back to back, wherever they were spoken. What a `GAP` mark says is missing becomes silence."""

    _end: int = field(init=False, default=0)
    _rate: int = field(init=False, default=0)
    _channels: int = field(init=False, default=0)
    _early: list[Mark] = field(init=False, factory=list)
    _missing: int = field(init=False, default=0)

    def feed(self, item: Item) -> Iterator[Audio]:
        if isinstance(item, Mark) and item.kind is MarkKind.GAP:
            yield from self._gap(item)
        elif isinstance(item, Audio):
            self._rate, self._channels = item.rate, item.channels
            yield from self._gaps()
            at = 0
            for frames in _blocks(item.frames, item.rate):
                yield self._placed(item.samples[at : at + frames])
                at += frames

    def flush(self) -> Iterator[Audio]:
        """Silence for gaps that no audio came after to tell its channels: mono."""
        if self._early:
            self._rate, self._channels = self._early[0].rate, 1
            yield from self._gaps()

    def counts(self) -> Mapping[str, int]:
        return {"frames of silence for missing audio": self._missing}

    def _gap(self, mark: Mark) -> Iterator[Audio]:
        if not self._rate:
            self._early.append(mark)
            return
        missing = _scaled(mark.frames, mark.rate, self._rate)
        self._missing += missing
        for frames in _blocks(missing, self._rate):
            yield self._placed(np.zeros((frames, self._channels), np.int16))

    def _gaps(self) -> Iterator[Audio]:
        while self._early:
            yield from self._gap(self._early.pop(0))

    def _placed(self, samples: Samples) -> Audio:
        self._end += len(samples)
        return Audio(samples, self._end - len(samples), self._rate)


@define
class Timeline:
    """Every utterance at the time it was spoken, silence between; with `with_bed`, over another sound.

    What is missing of the speech is silence, as everything has a time of its own. An utterance that comes too
    late is pushed to where the last one ended: none is overlapped or cut. The bed is made softer by `duck_db`
    while there is speech. With a bed, a frame is given as soon as the speech is known up to it: by audio that
    lies there, by a `WATERMARK` mark, or because the speech has ended. What is held is no more than what one of
    the two is ahead of the other. It ends where the longer of the two ends.

    Raises: StageError where speech and bed differ in rate, or in channels (mono speech spreads to the bed's).
    """

    with_bed: bool = False
    duck_db: float = -12.0
    _speech: _Track = field(init=False, factory=lambda: _Track())
    _bed: _Track = field(init=False, factory=lambda: _Track())
    _rate: int = field(init=False, default=0)
    _channels: int = field(init=False, default=0)
    _given: int = field(init=False, default=0)
    _next: int | None = field(init=False, default=None)
    _watermark: Mark | None = field(init=False, default=None)
    _ducked: int = field(init=False, default=0)
    _limited: int = field(init=False, default=0)
    _pushed: int = field(init=False, default=0)
    _most_pushed: int = field(init=False, default=0)

    def __attrs_post_init__(self) -> None:
        self._bed.ended = not self.with_bed

    def feed(self, item: Item) -> Iterator[Audio]:
        """Take speech, and what is known of it."""
        if isinstance(item, Audio):
            self._settle(item, is_bed=False)
            self._place(item)
        elif isinstance(item, Mark) and item.kind is MarkKind.UTTERANCE_END:
            self._next = None
        elif isinstance(item, Mark) and item.kind is MarkKind.WATERMARK:
            self._watermark = item
        yield from self._give()

    def feed_bed(self, item: Item) -> Iterator[Audio]:
        """Take what lies under the speech. Where some of it is missing there is silence."""
        if isinstance(item, Audio):
            self._settle(item, is_bed=True)
            self._bed.silence(item.start - self._bed.end)
            self._bed.append(item.samples)
        elif isinstance(item, Mark) and item.kind is MarkKind.GAP and self._rate:
            end = _scaled(item.start + item.frames, item.rate, self._rate)
            self._bed.silence(end - self._bed.end)
        yield from self._give()

    def end_bed(self) -> Iterator[Audio]:
        self._bed.ended = True
        yield from self._give()

    def end_speech(self) -> Iterator[Audio]:
        self._speech.ended = True
        yield from self._give()

    def flush(self) -> Iterator[Audio]:
        """End both, and give the rest."""
        self._bed.ended = self._speech.ended = True
        yield from self._give()

    @property
    def held(self) -> int:
        """Sample-frames that were taken and not yet given."""
        return self._speech.held + self._bed.held

    def counts(self) -> Mapping[str, int]:
        rate = self._rate or 1
        return {
            "utterances pushed later": self._pushed,
            "milliseconds the most pushed was late": self._most_pushed * 1000 // rate,
            "samples limited to full scale": self._limited,
        }

    # --- taking

    def _settle(self, item: Audio, *, is_bed: bool) -> None:
        """Learn rate and channels from the first audio of each, and hold the rest to them."""
        if self._rate and item.rate != self._rate:
            what = f"{self._rate} Hz was wanted, {item.rate} Hz came"
            raise StageError(f"the timeline goes on at one rate: {what}: put a `resample` before it")
        self._rate = item.rate
        track = self._bed if is_bed else self._speech
        if track.channels and item.channels != track.channels:
            what = f"{track.channels} channels were wanted, {item.channels} came"
            raise StageError(f"the timeline goes on with as many channels: {what}: put a `resample` before it")
        track.channels = item.channels
        if self._bed.channels and self._speech.channels not in (0, 1, self._bed.channels):
            what = f"{self._speech.channels} channels of speech over {self._bed.channels} of the bed"
            raise StageError(f"speech must be mono or like its bed: {what}: put a `resample` before one of them")

    def _place(self, item: Audio) -> None:
        """Behind what it continues, else at its own time, but not before the end of the last."""
        if item.frames and item.start != self._next:
            self._speech.silence(item.start - self._speech.end)
            if (late := self._speech.end - item.start) > 0:
                self._pushed += 1
                self._most_pushed = max(self._most_pushed, late)
        self._speech.append(item.samples)
        self._next = item.end

    # --- giving

    def _ready(self) -> int:
        """Up to where everything is known."""
        bed, speech = self._bed, self._speech
        longest = max(bed.end, speech.end)
        known = longest if speech.ended else max(speech.end, self._known())
        return min(longest if bed.ended else bed.end, known)

    def _known(self) -> int:
        mark = self._watermark
        return _scaled(mark.start, mark.rate, self._rate) if mark and self._rate else 0

    def _give(self) -> Iterator[Audio]:
        """State is whole at each `yield`: bed and speech may be fed from two tasks that take turns."""
        while (ready := self._ready()) > self._given:
            self._channels = self._channels or self._bed.channels or self._speech.channels
            wanted = min(ready - self._given, _longest(self._rate))
            frames = self._bed.front(self._speech.front(wanted))
            samples = self._mixed(self._speech.take(frames), self._bed.take(frames), frames)
            self._given += frames
            yield Audio(samples, self._given - frames, self._rate)

    def _mixed(self, speech: Samples | None, bed: Samples | None, frames: int) -> Samples:
        gain = self._duck(frames, speech is not None)
        if bed is None:
            return self._spread(speech, frames)
        if speech is None and isinstance(gain, float) and gain == 1:
            return bed
        mixed = np.rint(bed * np.asarray(gain, np.float32) + (0 if speech is None else speech))
        limited = np.clip(mixed, -32768, 32767)
        self._limited += int(np.count_nonzero(mixed != limited))
        whole: Samples = limited.astype(np.int16)
        return whole

    def _spread(self, speech: Samples | None, frames: int) -> Samples:
        if speech is None:
            return np.zeros((frames, self._channels), np.int16)
        return speech if speech.shape[1] == self._channels else np.repeat(speech, self._channels, axis=1)

    def _duck(self, frames: int, speaking: bool) -> float | NDArray[np.float64]:
        """The bed's gain over the next `frames`: (frames, 1), or one number where it stays the same."""
        ramp = max(1, self._rate * RAMP_MS // 1000)
        begin, goal = self._ducked, ramp if speaking else 0
        step = 1 if speaking else -1
        self._ducked = min(max(begin + step * frames, 0), ramp)
        depth = 1 - 10 ** (self.duck_db / 20)
        if begin == goal:
            return 1 - depth * begin / ramp
        along: NDArray[np.int64] = np.clip(begin + step * np.arange(1, frames + 1), 0, ramp)
        return (1 - depth * along / ramp)[:, np.newaxis]


@define
class _Track:
    """Sound and silence that follow each other, put in behind and taken in front.

    `end` is where the next would lie: behind what was put in, and never before what was taken.
    """

    channels: int = 0
    end: int = 0
    held: int = 0
    ended: bool = False
    _pieces: deque[tuple[int, Samples | None]] = field(init=False, factory=deque)

    def append(self, samples: Samples) -> None:
        self._put(len(samples), samples)
        self.held += len(samples)

    def silence(self, frames: int) -> None:
        """Nothing where `frames` is below 1."""
        self._put(frames, None)

    def _put(self, frames: int, samples: Samples | None) -> None:
        if frames > 0:
            self._pieces.append((frames, samples))
            self.end += frames

    def front(self, most: int) -> int:
        """How many frames, up to `most`, are of one piece."""
        return min(most, self._pieces[0][0]) if self._pieces else most

    def take(self, frames: int) -> Samples | None:
        """The first `frames`, no more than `front`; None for silence, of which there is no end behind the last."""
        if not self._pieces:
            self.end += frames
            return None
        have, samples = self._pieces.popleft()
        if have > frames:
            self._pieces.appendleft((have - frames, None if samples is None else samples[frames:]))
        if samples is None:
            return None
        self.held -= frames
        return samples[:frames]


def _longest(rate: int) -> int:
    """Frames of the longest block that is given."""
    return max(1, rate // 10)


def _blocks(frames: int, rate: int) -> Iterator[int]:
    """`frames` cut into the longest blocks and what is left."""
    while frames > 0:
        yield min(frames, _longest(rate))
        frames -= _longest(rate)


def _scaled(frames: int, rate: int, wanted: int) -> int:
    return frames if rate == wanted else frames * wanted // rate
