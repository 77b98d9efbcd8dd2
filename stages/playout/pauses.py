"""Long pauses made short.

What is quiet is judged in windows of `WINDOW_MS`, against what was loud of late. Of a pause, its beginning and
its end are kept: the dying away of a voice and the breath before a word are quiet, too.
"""

from __future__ import annotations

from collections import deque
from collections.abc import Iterator

import numpy as np
from attrs import define, field

from pipeline.items import Samples
from stages.playout.joins import faded_in, faded_out

__all__ = ["KEPT_MS", "WINDOW_MS", "Pauses"]

WINDOW_MS = 10
_AFTER_MS = 120
"""Kept of a pause behind what was loud."""
_BEFORE_MS = 80
"""Kept before what is loud again: a weak consonant such as /f/ or /h/ that begins a word is shorter than this."""
KEPT_MS = _AFTER_MS + WINDOW_MS + _BEFORE_MS
"""No pause gets shorter than this. Pauses inside a phrase are; those between sentences are longer."""
_QUIET = 0.02
"""Quiet is so much less than loud (-34 dB): under the weakest consonants, over the noise of a studio."""
_SILENT = 33.0
"""Quiet in any case: -60 dB of full scale."""
_FADES_S = 5.0
"""After so long, what was loud counts half."""


@define
class Pauses:
    """Cuts pauses to `KEPT_MS` while `trimming` is set; else everything passes at once, bit for bit.

    `feed` gives what can be passed on, `flush` the rest. While trimming it holds up to 90 ms. Samples are int16 of
    shape (frames, channels). Both sides of a cut are faded.
    """

    rate: int
    channels: int
    trimming: bool = False
    trimmed_frames: int = field(init=False, default=0)
    held_frames: int = field(init=False, default=0)
    _rest: Samples = field(init=False)
    """Less than a window, not judged yet."""
    _quiet: deque[Samples] = field(init=False, factory=deque)
    """The last windows of a pause, not passed on."""
    _passed: int = field(init=False, default=0)
    """Windows of this pause that were passed on."""
    _cut: bool = field(init=False, default=False)
    """Whether some of this pause was left out."""
    _loud: float = field(init=False, default=0.0)

    def __attrs_post_init__(self) -> None:
        self._rest = np.zeros((0, self.channels), np.int16)

    def feed(self, samples: Samples) -> Iterator[Samples]:
        if not self.trimming:
            if self.held_frames:
                yield from self.flush()
            yield samples
            return
        self.held_frames += len(samples)
        waiting = np.concatenate([self._rest, samples])
        window = max(1, self.rate * WINDOW_MS // 1000)
        count = len(waiting) // window
        windows, self._rest = (
            waiting[: count * window].reshape(count, window, self.channels),
            waiting[count * window :],
        )
        amplitudes = np.sqrt(np.mean(np.square(windows, dtype=np.float32), axis=(1, 2)))
        judged = zip(windows, amplitudes.tolist(), strict=True)
        passed = [part for each, amplitude in judged for part in self._judge(each, amplitude)]
        if passed:
            whole = np.concatenate(passed)
            self.held_frames -= len(whole)
            yield whole

    def flush(self) -> Iterator[Samples]:
        """The rest. A pause that goes on begins anew with what comes next."""
        for passed in (*self._resume(), self._rest):
            self.held_frames -= len(passed)
            yield passed
        self._rest = self._rest[:0]

    def _judge(self, window: Samples, amplitude: float) -> Iterator[Samples]:
        """What of it is passed on; `amplitude` is its root mean square."""
        self._loud = max(amplitude, self._loud * 0.5 ** (WINDOW_MS / 1000 / _FADES_S))
        if amplitude <= max(_SILENT, _QUIET * self._loud):
            yield from self._pause(window)
        else:
            yield from self._resume()
            yield window

    def _pause(self, window: Samples) -> Iterator[Samples]:
        if self._passed < _AFTER_MS // WINDOW_MS:
            self._passed += 1
            yield window
            return
        self._quiet.append(window)
        if len(self._quiet) <= _BEFORE_MS // WINDOW_MS:
            return
        oldest = self._quiet.popleft()
        if self._cut:
            self.trimmed_frames += len(oldest)
            self.held_frames -= len(oldest)
        else:
            self._cut = True
            yield faded_out(oldest)

    def _resume(self) -> Iterator[Samples]:
        """What is kept of the pause before what is loud again."""
        while self._quiet:
            window = self._quiet.popleft()
            yield faded_in(window) if self._cut else window
            self._cut = False
        self._passed, self._cut = 0, False
