"""Ways from a loudspeaker to a microphone, simulated: the delay, the laptop, the room, the noise."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
import soundfile
import soxr
from attrs import define, field, frozen
from numpy.typing import NDArray

from pipeline.items import Audio, Samples
from stages.echo_guard import EchoGuard
from stages.played import Played

__all__ = [
    "RATE",
    "EchoPath",
    "FakeMicrophone",
    "FakeSpeaker",
    "Sound",
    "guarded",
    "level",
    "noise",
    "pcm",
    "speech_of",
]

RATE = 16000
Sound = NDArray[np.float64]
"""Mono at 16 kHz, full scale being 1."""


@frozen
class EchoPath:
    """How our own speech comes back: later, quieter, without lows and highs, and with a room around it."""

    delay_ms: float = 150
    level_db: float = -12
    low_hz: float = 250
    high_hz: float = 5000
    room_s: float = 0.3
    """How long the room takes to let a sound die away by 60 dB."""
    direct_db: float = 3
    """How much louder the direct sound is than all that the room adds."""
    seed: int = 0

    @classmethod
    def any(cls, dice: np.random.Generator) -> EchoPath:
        """One of those that the figures of the gate were measured on."""
        return cls(
            delay_ms=dice.uniform(60, 400),
            level_db=dice.uniform(-30, -6),
            low_hz=dice.uniform(150, 400),
            high_hz=dice.uniform(3000, 7000),
            room_s=dice.uniform(0.15, 0.6),
            direct_db=dice.uniform(-3, 8),
            seed=int(dice.integers(2**31)),
        )

    def heard(self, played: Sound) -> Sound:
        """What of `played` comes to the microphone, as long as `played`."""
        coloured = _convolved(_between(played, self.low_hz, self.high_hz), self._room())[: len(played)]
        coloured *= 10 ** (self.level_db / 20) * _rms(played) / max(_rms(coloured), 1e-9)
        delay = round(self.delay_ms * RATE / 1000)
        return np.concatenate([np.zeros(delay), coloured])[: len(played)]

    def _room(self) -> Sound:
        length = round(self.room_s * RATE)
        tail = np.random.default_rng(self.seed).standard_normal(length) * 10 ** (-3 * np.arange(length) / length)
        tail[:40] = 0
        tail *= 10 ** (-self.direct_db / 20) / np.sqrt(np.square(tail).sum())
        tail[0] = 1
        return tail


def _between(sound: Sound, low_hz: float, high_hz: float) -> Sound:
    hz = np.fft.rfftfreq(len(sound), 1 / RATE) + 1e-9
    gain = 1 / np.sqrt(1 + (low_hz / hz) ** 4) / np.sqrt(1 + (hz / high_hz) ** 4)
    return np.fft.irfft(np.fft.rfft(sound) * gain, len(sound))


def _convolved(sound: Sound, kernel: Sound) -> Sound:
    length = len(sound) + len(kernel) - 1
    return np.fft.irfft(np.fft.rfft(sound, length) * np.fft.rfft(kernel, length), length)


def _rms(sound: Sound) -> float:
    return float(np.sqrt(np.mean(np.square(sound))))


def level(sound: Sound, db: float) -> Sound:
    """`sound` so loud that where it is not silent it has this root mean square, in dB of full scale."""
    return sound * 10 ** (db / 20) / _rms(sound[np.abs(sound) > np.abs(sound).max() / 50])


def noise(frames: int, db: float, seed: int = 0) -> Sound:
    """Of a room: louder the lower it is."""
    spectrum = np.fft.rfft(np.random.default_rng(seed).standard_normal(frames))
    pink = np.fft.irfft(spectrum / np.sqrt(np.arange(len(spectrum)) + 50), frames)
    return pink * 10 ** (db / 20) / _rms(pink)


def speech_of(path: Path, begin_s: float = 0, length_s: float | None = None) -> Sound:
    """A recording, or a part of it."""
    samples, rate = soundfile.read(path, always_2d=True)
    sound = np.asarray(soxr.resample(samples.mean(axis=1), rate, RATE), np.float64)
    end = None if length_s is None else round((begin_s + length_s) * RATE)
    return sound[round(begin_s * RATE) : end]


def pcm(sound: Sound) -> Samples:
    return np.rint(np.clip(sound, -1, 1) * 32767).astype(np.int16)[:, None]


@define
class FakeMicrophone:
    """Hears its position 0 at the loop's time `began`."""

    began: float = 100.0
    rate_hz: int = RATE

    def time_of(self, position_frames: int) -> float | None:
        return self.began + position_frames / self.rate_hz


@define
class FakeSpeaker:
    played: Played = field(factory=Played)


def guarded(guard: EchoGuard, played: Sound, heard: Sound, block_ms: int = 50) -> Sound:
    """What `guard` lets through of `heard` while `played` sounds, both beginning at once, as if it were live."""
    microphone, speaker = FakeMicrophone(), FakeSpeaker()
    met: dict[str, Any] = {"speaker": speaker, "mic": microphone}
    guard.meet(met)
    block, out = RATE * block_ms // 1000, list[Samples]()
    ours, theirs = pcm(played), pcm(heard)
    for begin in range(0, len(theirs), block):
        # A speaker tells of what sounds before it does.
        speaker.played.note(ours[begin : begin + block], RATE, microphone.began + begin / RATE)
        if begin >= block:
            audio = Audio(theirs[begin - block : begin], begin - block, RATE)
            out += [audio.samples for audio in guard.feed(audio)]
    rest = len(theirs) - 1 - (len(theirs) - 1) % block
    out += [audio.samples for audio in guard.feed(Audio(theirs[rest:], rest, RATE))]
    out += [audio.samples for audio in guard.flush()]
    return np.concatenate(out)[:, 0] / 32767
