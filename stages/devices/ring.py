"""A bounded ring of sample-frames between two threads: one puts in, the other takes out, and neither waits.

The rule to keep: `_put` is written only by who puts in, `_taken` only by who takes out, each *after* the samples
are copied. The other side may then read an old number, which only makes it see less room, or less sound.
"""

from __future__ import annotations

import numpy as np
from attrs import define, field

from pipeline.items import Samples

__all__ = ["Ring"]


@define
class Ring:
    """At most `capacity` frames of `channels`, first in, first out."""

    capacity: int
    channels: int
    _samples: Samples = field(init=False, repr=False)
    _put: int = field(init=False, default=0)
    _taken: int = field(init=False, default=0)

    def __attrs_post_init__(self) -> None:
        self._samples = np.zeros((self.capacity, self.channels), np.int16)

    @property
    def held(self) -> int:
        """The frames that wait to be taken."""
        return self._put - self._taken

    @property
    def room(self) -> int:
        return self.capacity - self.held

    @property
    def put_in(self) -> int:
        """The frames ever put in."""
        return self._put

    @property
    def taken_out(self) -> int:
        """The frames ever taken out."""
        return self._taken

    def put(self, samples: Samples) -> int:
        """Copy in what there is room for of `samples`, int16 (frames, channels), from its beginning: how many."""
        frames = min(len(samples), self.room)
        begin = self._put % self.capacity
        first = min(frames, self.capacity - begin)
        self._samples[begin : begin + first] = samples[:first]
        self._samples[: frames - first] = samples[first:frames]
        self._put += frames
        return frames

    def take_into(self, out: Samples) -> int:
        """Copy out what there is for `out`, into its beginning: how many frames."""
        frames = min(len(out), self.held)
        begin = self._taken % self.capacity
        first = min(frames, self.capacity - begin)
        out[:first] = self._samples[begin : begin + first]
        out[first:frames] = self._samples[: frames - first]
        self._taken += frames
        return frames

    def take(self, frames: int) -> Samples:
        """The first `frames`, or what there is, as an array of their own."""
        out = np.empty((min(frames, self.held), self.channels), np.int16)
        self.take_into(out)
        return out
