"""Where somebody speaks: audio passes unchanged, marks say where each utterance begins and ends.

The rule to keep: every decision falls at the end of a window of 512 samples, counted from where the stream
began, so that how the input is cut changes nothing. What is passed on and what is held follows from the
decisions alone.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from enum import Enum, auto
from typing import ClassVar

import numpy as np
from attrs import define, field

from pipeline.caps import AudioCaps, Caps, Port
from pipeline.items import Audio, Item, Mark, MarkKind, Samples
from pipeline.stage import between, option
from stages.models.silero import RATE, WINDOW, Silero, SpeechSense

__all__ = ["Vad"]

_HYSTERESIS = 0.15
"""Silero's own: speech that has begun goes on until its probability is this much under the threshold."""
_WATERMARK_FRAMES = RATE
_FALSE_START_FRAMES = 3 * WINDOW
"""So much silence before `min_speech_ms` is reached, and it was no speech."""
_TIRED_S = 24
"""From here on a quiet moment ends an utterance even where the detector hears no pause."""
_QUIET = 0.3
"""Such a moment's amplitude, as a part of the utterance's."""


class _State(Enum):
    SILENT = auto()
    MAYBE = auto()
    """Sounds like speech, but not for `min_speech_ms` yet."""
    SPEAKING = auto()


@define(kw_only=True)
class Vad:
    """Mark where utterances begin and end. The audio passes unchanged; while nobody speaks, `pad_ms` of it wait.

    `UTTERANCE_START` comes before the utterance's first audio, `pad_ms` before the speech; `UTTERANCE_END`
    once the pause is long enough, its `start` where the speech ended; `WATERMARK` about once a second through
    silence. A speaker who does not pause is cut at ever shorter pauses: half of `min_silence_ms` from 10 s on,
    60 ms from 18 s on, any quiet moment from 24 s on, and in any case at `max_utterance_s`.
    """

    threshold: float = option(
        0.5, help="how sure it must be that this is speech; lower hears more, noise too", check=between(0.05, 0.99)
    )
    min_speech_ms: int = option(
        250, help="shorter sounds are no speech: a cough, a click", check=between(32, 5000, "ms")
    )
    min_silence_ms: int = option(
        400,
        help="a pause that ends an utterance; shorter makes the translation come sooner, and sentences break",
        check=between(60, 10000, "ms"),
    )
    pad_ms: int = option(
        200, help="silence kept before the speech, so that no first sound is lost", check=between(0, 2000, "ms")
    )
    max_utterance_s: float = option(
        28.0, help="where a speaker who does not pause is cut", check=between(1, 30, "s")
    )

    _model: Silero | None = field(init=False, default=None)
    _sense: SpeechSense | None = field(init=False, default=None)
    _state: _State = field(init=False, default=_State.SILENT)
    _held: list[Audio] = field(init=False, factory=list)
    """Passed through the detector, not passed on."""
    _rest: Samples = field(init=False, factory=lambda: np.zeros((0, 1), np.int16))
    """Less than a window, not heard yet."""
    _position: int = field(init=False, default=0)
    """The end of what the detector has heard."""
    _fresh: bool = field(init=False, default=True)
    _speech_start: int = field(init=False, default=0)
    _speech_end: int = field(init=False, default=0)
    _energy: float = field(init=False, default=0.0)
    _marked: int = field(init=False, default=0)
    """Where the last mark was put."""
    _utterances: int = field(init=False, default=0)
    _cut: int = field(init=False, default=0)
    _passed_over: int = field(init=False, default=0)

    accepts: ClassVar[Mapping[str, Port]] = {"in": Port(AudioCaps(RATE, 1))}

    def gives(self, caps: Mapping[str, Caps]) -> Mapping[str, Caps]:
        return {"out": AudioCaps(RATE, 1)}

    def probe(self) -> None:
        """Load the model, which takes a while, in which a microphone would not be listened to."""
        self._model = self._model or Silero.load()

    @property
    def speaking(self) -> bool:
        """Whether an utterance is going on, in what it was fed so far."""
        return self._state is _State.SPEAKING

    def begin_anew(self, position: int) -> None:
        """Count how long the utterance has been going on from `position`: what was said before it is settled."""
        if self._state is _State.SPEAKING and self._speech_start < position < self._position:
            self._energy *= (self._position - position) / (self._position - self._speech_start)
            self._speech_start = position

    def counts(self) -> Mapping[str, int]:
        return {
            "utterances": self._utterances,
            "utterances cut without a pause": self._cut,
            "sounds too short for speech": self._passed_over,
        }

    def feed(self, item: Audio) -> Iterator[Item]:
        if not self._fresh and item.start != self._position + len(self._rest):
            yield from self.flush()
        if self._fresh:
            self._fresh = False
            self._position = self._marked = item.start
            yield self._mark_at(MarkKind.WATERMARK, item.start)
        waiting = np.concatenate([self._rest, item.samples])
        whole = len(waiting) // WINDOW * WINDOW
        for begin in range(0, whole, WINDOW):
            yield from self._hear(waiting[begin : begin + WINDOW])
        self._rest = waiting[whole:]

    def flush(self) -> Iterator[Item]:
        """The tail; an utterance that is going on ends with it."""
        if len(self._rest):
            yield from self._hear(self._rest)
        if self._state is _State.SPEAKING:
            yield from self._end()
        yield from self._let_go()
        self._rest = self._rest[:0]
        self._sense, self._state, self._fresh = None, _State.SILENT, True

    def _hear(self, window: Samples) -> Iterator[Item]:
        audio = Audio(window, self._position, RATE)
        self._held.append(audio)
        self._position = audio.end
        enough = self.threshold - (_HYSTERESIS if self._state is _State.SPEAKING else 0)
        if self._probability(window) >= enough:
            yield from self._on_speech(audio)
        else:
            yield from self._on_silence(audio)

    def _probability(self, window: Samples) -> float:
        if self._sense is None:
            self._model = self._model or Silero.load()
            self._sense = SpeechSense(self._model)
        whole = np.zeros(WINDOW, np.int16)
        whole[: len(window)] = window[:, 0]
        return self._sense(whole)

    def _on_speech(self, audio: Audio) -> Iterator[Item]:
        if self._state is _State.SILENT:
            self._state, self._speech_start = _State.MAYBE, audio.start
        self._speech_end = audio.end
        if self._state is _State.MAYBE and self._frames(self.min_speech_ms) <= audio.end - self._speech_start:
            yield from self._begin()
        elif self._state is _State.SPEAKING:
            yield from self._go_on(audio)

    def _on_silence(self, audio: Audio) -> Iterator[Item]:
        if self._state is _State.SPEAKING:
            yield from self._go_on(audio)
            return
        if self._state is _State.MAYBE:
            if audio.end - self._speech_end < _FALSE_START_FRAMES:
                return
            self._state = _State.SILENT
            self._passed_over += 1
        yield from self._let_go(keep=self._frames(self.pad_ms))
        if self._silence_start - self._marked >= _WATERMARK_FRAMES:
            yield self._mark_at(MarkKind.WATERMARK, self._silence_start)

    def _begin(self) -> Iterator[Item]:
        """Speech is certain now; it began some windows ago."""
        self._state = _State.SPEAKING
        self._utterances += 1
        yield from self._let_go(keep=self._position - self._speech_start + self._frames(self.pad_ms))
        self._speech_start = self._silence_start
        self._energy = sum(_energy(audio.samples) for audio in self._held)
        yield self._mark_at(MarkKind.UTTERANCE_START, self._speech_start)
        yield from self._let_go()

    def _go_on(self, audio: Audio) -> Iterator[Item]:
        """Pass on what was said; end the utterance at a pause that is long enough for its length."""
        self._energy += _energy(audio.samples)
        yield from self._let_go()
        seconds = (audio.end - self._speech_start) / RATE
        if audio.end - self._speech_end >= self._pause_frames(seconds):
            yield from self._end()
        elif seconds >= self.max_utterance_s or (seconds >= _TIRED_S and self._is_quiet(audio)):
            self._cut += 1
            self._speech_end = audio.end
            yield from self._end()

    def _end(self) -> Iterator[Item]:
        yield from self._let_go()
        yield self._mark_at(MarkKind.UTTERANCE_END, self._speech_end)
        self._marked = self._position
        self._state = _State.SILENT

    def _pause_frames(self, seconds: float) -> int:
        if seconds >= 18:
            return self._frames(min(self.min_silence_ms, 60))
        return self._frames(self.min_silence_ms // 2 if seconds >= 10 else self.min_silence_ms)

    def _is_quiet(self, audio: Audio) -> bool:
        mean = self._energy / max(1, audio.end - self._speech_start)
        return _energy(audio.samples) < _QUIET**2 * mean * audio.frames

    @property
    def _silence_start(self) -> int:
        """Where what is held begins."""
        return self._held[0].start if self._held else self._position

    def _let_go(self, keep: int = 0) -> Iterator[Audio]:
        """What is held but for the last `keep` frames, in whole windows (so at most that much stays)."""
        while self._held and self._position - self._held[0].start > keep:
            yield self._held.pop(0)

    def _mark_at(self, kind: MarkKind, start: int) -> Mark:
        self._marked = start
        return Mark(kind, start, RATE)

    def _frames(self, ms: float) -> int:
        return int(ms * RATE / 1000)


def _energy(samples: Samples) -> float:
    """The sum of squares."""
    return float(np.sum(np.square(samples, dtype=np.float64)))
