"""A speaker and what comes to it, in simulated time: for tests of `stages.playout`."""

from __future__ import annotations

from collections.abc import Iterable, Iterator

import numpy as np

from pipeline.items import Audio, Mark, MarkKind, Samples
from stages.playout import Playout

__all__ = ["Arrival", "harmonic", "live", "play", "spoken", "tone"]

Arrival = tuple[float, Audio | Mark]
"""When it is put, and what."""


def play(playout: Playout, arrivals: Iterable[Arrival], until_s: float, pull_ms: float = 10) -> Samples:
    """What is played from 0 to `until_s`; each pull comes after what has arrived by then."""
    coming = iter(arrivals)
    next_ = next(coming, None)
    frames = round(playout.rate * pull_ms / 1000)
    played: list[Samples] = []
    for number in range(round(until_s * 1000 / pull_ms)):
        now = number * pull_ms / 1000
        while next_ is not None and next_[0] <= now:
            playout.put(next_[1], next_[0])
            next_ = next(coming, None)
        played.append(playout.pull(frames, now))
    return np.concatenate(played)


def live(sound: Samples, rate: int, block_ms: float, *, ppm: float = 0, start: int = 0) -> Iterator[Arrival]:
    """`sound` in blocks, each when its last frame was spoken, by a clock that is faster by `ppm`."""
    step = round(rate * block_ms / 1000)
    for begin in range(0, len(sound), step):
        block = Audio(sound[begin : begin + step], start + begin, rate)
        yield (begin + block.frames) / rate / (1 + ppm * 1e-6), block


def spoken(at: float, start: int, sound: Samples, rate: int, block_ms: float = 100) -> Iterator[Arrival]:
    """An utterance that is all there `at` once, in blocks, with its end."""
    step = round(rate * block_ms / 1000)
    for begin in range(0, len(sound), step):
        yield at, Audio(sound[begin : begin + step], start + begin, rate)
    yield at, Mark(MarkKind.UTTERANCE_END, start + len(sound), rate)


def tone(hz: float, seconds: float, rate: int, amplitude: float = 16000) -> Samples:
    """A sine; shape (frames, 1)."""
    wave = amplitude * np.sin(2 * np.pi * hz * np.arange(round(seconds * rate)) / rate)
    rounded: Samples = np.rint(wave).astype(np.int16)[:, np.newaxis]
    return rounded


def harmonic(tones_hz: list[float], seconds: float, rate: int, amplitude: float = 16000) -> Samples:
    """Tones together, each softer than the one before; shape (frames, 1)."""
    time = np.arange(round(seconds * rate)) / rate
    wave = sum(np.sin(2 * np.pi * hz * time) / number for number, hz in enumerate(tones_hz, 1))
    scaled: Samples = np.rint(amplitude * wave / np.max(np.abs(wave))).astype(np.int16)[:, np.newaxis]
    return scaled
