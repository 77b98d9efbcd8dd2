"""No click where sound stops, resumes or jumps.

Theory: sound that is cut anywhere clicks, so that its last few milliseconds are faded out, and its first faded
in. Whether a frame is among the last is known only when the next ones are asked for. So `FADE_MS` of what was
put in stay here, behind all that is taken; sound that goes on passes bit for bit.
"""

from __future__ import annotations

import numpy as np
from attrs import define, field
from numpy.typing import NDArray

from pipeline.items import Samples

__all__ = ["FADE_MS", "Joins"]

FADE_MS = 5
"""Long enough to be no click, short enough to swallow no consonant: a plosive's burst lasts about 10 ms."""


@define
class Joins:
    """Lays sound end to end, with raised-cosine fades at both sides of every join.

    `add` what comes next, `stop` where it breaks off, `take` what is `ready`. Samples have shape
    (frames, channels), int16. A stretch shorter than a fade is faded over all its length.
    """

    rate: int
    channels: int
    _pieces: list[Samples] = field(init=False, factory=list)
    _held: int = field(init=False, default=0)
    _open: int | None = field(init=False, default=None)
    """Frames of the stretch that goes on; None where none does."""

    @property
    def held_frames(self) -> int:
        return self._held

    @property
    def ready(self) -> int:
        """Frames that can be taken: all, but for the end of a stretch that goes on."""
        return self._held if self._open is None else max(0, self._held - self._fade)

    @property
    def sounding(self) -> bool:
        """Whether a stretch goes on."""
        return self._open is not None

    def add(self, samples: Samples) -> None:
        """What comes next of the stretch that goes on; else the beginning of a new one."""
        if not len(samples):
            return
        begun = self._open or 0
        if begun < self._fade:
            samples = _scaled(samples, _rise(self._fade)[begun : begun + len(samples)])
        self._open = begun + len(samples)
        self._put(samples)

    def stop(self) -> None:
        """End the stretch that goes on: its last frames are faded out. Without one, nothing."""
        if self._open is None:
            return
        frames = min(self._fade, self._open, self._held)
        whole = np.concatenate(self._pieces) if self._pieces else self._silence(0)
        rest = len(whole) - frames
        self._pieces = [whole[:rest], _scaled(whole[rest:], _rise(frames)[::-1])]
        self._open = None

    def silence(self, frames: int) -> None:
        """Silence between two stretches. Not while one goes on."""
        assert self._open is None
        self._put(self._silence(frames))

    def take(self, frames: int) -> Samples:
        """The first `frames`, no more than are ready."""
        assert frames <= self.ready
        whole = np.concatenate(self._pieces) if self._pieces else self._silence(0)
        self._pieces = [whole[frames:]]
        self._held -= frames
        return whole[:frames]

    def _put(self, samples: Samples) -> None:
        self._pieces.append(samples)
        self._held += len(samples)

    def _silence(self, frames: int) -> Samples:
        return np.zeros((frames, self.channels), np.int16)

    @property
    def _fade(self) -> int:
        return max(1, self.rate * FADE_MS // 1000)


def _rise(frames: int) -> NDArray[np.float64]:
    """From nearly 0 to nearly 1 along half a cosine; with its reverse it adds up to 1."""
    rise: NDArray[np.float64] = 0.5 - 0.5 * np.cos(np.pi * (np.arange(frames) + 0.5) / max(1, frames))
    return rise


def _scaled(samples: Samples, gain: NDArray[np.float64]) -> Samples:
    """`samples` times `gain`, which may be shorter: the rest stays as it is."""
    scaled = samples.copy()
    front = scaled[: len(gain)]
    front[:] = np.rint(front * gain[: len(front), np.newaxis])
    return scaled
