"""What a speaker has played of late, for whoever has to tell it from what somebody says."""

from __future__ import annotations

from collections import deque
from contextlib import suppress

import numpy as np
from attrs import define, field
from numpy.typing import NDArray

from pipeline.items import Samples
from stages.echo.bands import BANDS, HOPS_PER_S, Bands, Energies

__all__ = ["Played"]

KEPT_S = 60
AUDIBLE = 1e-6
_BEFORE_S = 3
"""How much earlier than a question the next one may be; who asks now and then looks back two seconds."""
_MARGIN_S = 0.1
"""A frame looks at 20 ms, and times waver."""
_JITTER_S = 0.05
"""What a device tells of its latency wavers; more than this is a jump."""


@define
class Played:
    """What was played of late: its energy in frames of 10 ms with the times at which it sounded, for a minute.

    `note` may be called from a device's thread: it copies, and no more. All else is asked from the event loop. Who
    asks does the work, for the stretch that is asked about: what was played three seconds before it, and was in no
    question yet, is forgotten, so that a question after a minute costs no more than one after a moment.
    """

    _notes: deque[tuple[Samples, int, float]] = field(init=False, factory=deque, repr=False)
    """What was noted and nobody asked about yet, with its rate and its time."""
    _bands: Bands | None = field(init=False, default=None, repr=False)
    _ring: Energies = field(init=False, repr=False)
    _end: int | None = field(init=False, default=None)
    """The frame of 10 ms, counted from the loop's time 0, one past the last that is in the ring."""

    def __attrs_post_init__(self) -> None:
        self._ring = np.zeros((KEPT_S * HOPS_PER_S, BANDS), np.float32)

    def note(self, samples: Samples, rate: int, at: float) -> None:
        """`samples`, int16 of shape (frames, channels) at `rate` Hz, sound from the loop's time `at` on.

        In order of time, silence too or not, as is easier.
        """
        self._notes.append((samples.copy(), rate, at))
        with suppress(IndexError):  # the event loop may take them at this moment
            while self._notes[0][2] < at - KEPT_S:
                self._notes.popleft()

    def energies(self, begin: float, frames: int) -> Energies:
        """So many frames of 10 ms from the loop's time `begin` on; zero for silence, and what is forgotten."""
        self._take(begin - _BEFORE_S, begin + frames / HOPS_PER_S + _MARGIN_S)
        out = np.zeros((frames, BANDS), np.float32)
        if self._end is not None:
            first = round(begin * HOPS_PER_S)
            low, high = max(first, self._end - len(self._ring)), min(first + frames, self._end)
            if low < high:
                out[low - first : high - first] = self._ring[np.arange(low, high) % len(self._ring)]
        return out

    def sounds(self, begin: float, frames: int) -> NDArray[np.bool_]:
        """In which of these frames there was anything that a person would hear: more than -60 dB of full scale."""
        return np.asarray(self.energies(begin, frames).sum(axis=1) > AUDIBLE)

    def _take(self, begin: float, end: float) -> None:
        while self._notes and self._notes[0][2] < end:
            samples, rate, at = self._notes.popleft()
            if len(samples) and at + len(samples) / rate > begin:
                self._fold(samples, rate, at)

    def _fold(self, samples: Samples, rate: int, at: float) -> None:
        held = self._bands.held if self._bands is not None and self._bands.rate == rate else 0
        frame = (at - held / rate) * HOPS_PER_S
        if self._bands is None or self._bands.rate != rate or self._end is None or self._jumps(frame):
            self._bands, frame = Bands(rate), at * HOPS_PER_S
            self._put(np.zeros((0, BANDS), np.float32), round(frame))
        assert self._end is not None
        self._put(self._bands.feed(samples), self._end)

    def _jumps(self, frame: float) -> bool:
        assert self._end is not None
        return abs(frame - self._end) > _JITTER_S * HOPS_PER_S

    def _put(self, energies: Energies, begin: int) -> None:
        """Into the ring, with zeros for what nobody noted; what would lie before its end has sounded already."""
        if self._end is not None and begin > self._end:
            hole = np.arange(max(self._end, begin - len(self._ring)), begin)
            self._ring[hole % len(self._ring)] = 0
        places = np.arange(begin, begin + len(energies))[-len(self._ring) :]
        self._ring[places % len(self._ring)] = energies[-len(self._ring) :]
        self._end = begin + len(energies)
