"""No click where sound stops, resumes or jumps.

Theory: sound that is cut anywhere clicks, so its last few milliseconds are faded out, and its first faded in.
Whether a frame is among the last is known only when the next ones are asked for. So `FADE_MS` of a stretch that
goes on stay here, behind all that is taken. What lies further from a join passes bit for bit.
"""

from __future__ import annotations

from functools import cache

import numpy as np
from attrs import define, field
from numpy.typing import NDArray

from pipeline.items import Samples

__all__ = ["FADE_MS", "Joins", "faded_in", "faded_out", "rise"]

FADE_MS = 5
"""Long enough to be no click, short enough to swallow no consonant: the burst of a plosive lasts about 10 ms."""


@define
class Joins:
    """Lays stretches of sound end to end, with silence between, and fades at both sides of every join.

    `add` what comes next, `stop` where it breaks off, `take` what is `ready`. Samples are int16 of shape
    (frames, channels). A stretch shorter than a fade is faded over all its length.
    """

    rate: int
    channels: int
    held_frames: int = field(init=False, default=0)
    """Of both sound and silence, not taken yet."""
    _pieces: list[Samples] = field(init=False, factory=list)
    _fade: int = field(init=False)
    _stretch: int | None = field(init=False, default=None)
    """Frames so far of the stretch that goes on; None where none does."""

    def __attrs_post_init__(self) -> None:
        self._fade = max(1, self.rate * FADE_MS // 1000)

    @property
    def ready(self) -> int:
        """Frames that can be taken."""
        return self.held_frames if self._stretch is None else max(0, self.held_frames - self._fade)

    @property
    def sounding(self) -> bool:
        """Whether a stretch goes on."""
        return self._stretch is not None

    def add(self, samples: Samples) -> None:
        """What comes next of the stretch that goes on; else the beginning of a new one."""
        if not len(samples):
            return
        begun = self._stretch or 0
        if begun < self._fade:
            samples = _scaled(samples, rise(self._fade)[begun : begun + len(samples)])
        self._stretch = begun + len(samples)
        self._put(samples)

    def stop(self) -> None:
        """End the stretch that goes on, where one does."""
        if self._stretch is None:
            return
        frames = min(self._fade, self._stretch, self.held_frames)
        whole = self._whole()
        self._pieces = [whole[: len(whole) - frames], faded_out(whole[len(whole) - frames :])]
        self._stretch = None

    def silence(self, frames: int) -> None:
        """Silence between two stretches; not while one goes on."""
        assert self._stretch is None
        self._put(np.zeros((frames, self.channels), np.int16))

    def take(self, frames: int) -> Samples:
        """The first `frames`, no more than are ready."""
        assert frames <= self.ready
        whole = self._whole()
        self._pieces = [whole[frames:]]
        self.held_frames -= frames
        return whole[:frames]

    def _put(self, samples: Samples) -> None:
        self._pieces.append(samples)
        self.held_frames += len(samples)

    def _whole(self) -> Samples:
        if len(self._pieces) == 1:
            return self._pieces[0]
        return np.concatenate(self._pieces) if self._pieces else np.zeros((0, self.channels), np.int16)


@cache
def rise(frames: int) -> NDArray[np.float32]:
    """From nearly 0 to nearly 1 along half a cosine; with its reverse it adds up to 1."""
    gain: NDArray[np.float32] = (0.5 - 0.5 * np.cos(np.pi * (np.arange(frames) + 0.5) / max(1, frames))).astype(
        np.float32
    )
    gain.flags.writeable = False
    return gain


def faded_in(samples: Samples) -> Samples:
    """Rising from silence over all its length."""
    return _scaled(samples, rise(len(samples)))


def faded_out(samples: Samples) -> Samples:
    """Falling into silence over all its length."""
    return _scaled(samples, rise(len(samples))[::-1])


def _scaled(samples: Samples, gain: NDArray[np.float32]) -> Samples:
    """`samples` times `gain`, which may be shorter: the rest stays as it is."""
    scaled = samples.copy()
    front = scaled[: len(gain)]
    front[:] = np.rint(front * gain[: len(front), np.newaxis])
    return scaled
