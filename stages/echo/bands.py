"""Sound as the energy of a few bands of frequency, a hundred times a second: what survives a room and a laptop."""

from __future__ import annotations

import numpy as np
from attrs import define, field
from numpy.typing import NDArray

from pipeline.items import Samples

__all__ = ["BANDS", "HOPS_PER_S", "Bands", "Energies"]

HOPS_PER_S = 100
EDGES_HZ = (200, 400, 700, 1100, 1700, 2500, 3700)
"""Within what a laptop's speaker gives and a telephone carries, each about as wide as the ear hears it."""
BANDS = len(EDGES_HZ) - 1

Energies = NDArray[np.float32]
"""Of shape (frames of 10 ms, BANDS): mean power in each band, full scale being 1."""


@define
class Bands:
    """Energies of mono or many-channelled sound at `rate` Hz, frame by frame as it comes.

    A frame looks at 20 ms in a Hann window, and the next one begins 10 ms later. How the sound is cut changes
    nothing.
    """

    rate: int
    _rest: NDArray[np.float32] = field(init=False, factory=lambda: np.zeros(0, np.float32))
    _window: NDArray[np.float32] = field(init=False)
    _filters: NDArray[np.float32] = field(init=False)
    _done: int = field(init=False, default=0)
    """Frames of 10 ms given so far; where each begins is counted from these, as 100 need not divide the rate."""

    def __attrs_post_init__(self) -> None:
        length = 2 * self.rate // HOPS_PER_S
        self._window = np.hanning(length).astype(np.float32)
        hz = np.fft.rfftfreq(length, 1 / self.rate)
        edges = np.array(EDGES_HZ)
        inside = (hz[:, None] >= edges[:-1]) & (hz[:, None] < edges[1:])
        self._filters = inside.astype(np.float32) / np.float32(np.square(self._window).sum() * length / 2)

    @property
    def held(self) -> int:
        """Sample-frames that came and are not the beginning of a frame yet."""
        return len(self._rest)

    def feed(self, samples: Samples) -> Energies:
        """The frames that are whole with `samples`, int16 of shape (frames, channels)."""
        mono = samples.mean(axis=1, dtype=np.float32) / np.float32(32768)
        sound = np.concatenate([self._rest, mono])
        first = self._begin(0)
        count = 0
        while self._begin(count) - first + len(self._window) <= len(sound):
            count += 1
        begins = np.array([self._begin(number) - first for number in range(count)], dtype=np.intp)
        pieces = sound[begins[:, None] + np.arange(len(self._window))] * self._window
        self._rest = sound[self._begin(count) - first :]
        self._done += count
        return np.square(np.abs(np.fft.rfft(pieces, axis=1))).astype(np.float32) @ self._filters

    def _begin(self, number: int) -> int:
        return (self._done + number) * self.rate // HOPS_PER_S
