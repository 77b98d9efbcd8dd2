"""Audio in blocks of a fixed length."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from typing import ClassVar, Literal

import numpy as np
from attrs import define, field

from pipeline.caps import AUDIO, AudioCaps, Caps, Port
from pipeline.items import Audio, Mark, Samples
from pipeline.stage import between, option

__all__ = ["Chunk", "block_frames"]


def block_frames(ms: float, rate: int) -> int:
    """The whole frames that fit into `ms` milliseconds at `rate` Hz, at least one."""
    return max(1, int(ms * rate / 1000 + 1e-6))  # 29 ms at 100 kHz: 2900, though the product is below it


@define(kw_only=True)
class Chunk:
    """Cut audio into blocks of `frames`, or of `ms` rounded down to whole frames; positions stay exact.

    A block is cut short where the sound is interrupted: by a mark, which audio may not pass, by a jump in
    positions, or by another rate. The shorter tail at the end of the stream is given as it is, or padded.
    A block that lies inside one incoming item shares its memory.
    """

    ms: float | None = option(
        None, help="length of a block in milliseconds", check=between(1, 60_000, "ms"), example=100
    )
    frames: int | None = option(
        None, help="length of a block in sample-frames, instead of `ms`", check=between(1, 10_000_000, "frames")
    )
    tail: Literal["keep", "pad"] = option(
        "keep", help="what to do with the shorter block at the end: `keep` it, or `pad` it with silence"
    )
    _held: list[Samples] = field(init=False, factory=list)
    _held_frames: int = field(init=False, default=0)
    _end: int = field(init=False, default=0)
    _rate: int = field(init=False, default=0)
    _channels: int = field(init=False, default=0)
    _padded: int = field(init=False, default=0)

    accepts: ClassVar[Mapping[str, Port]] = {"in": Port(AUDIO)}

    def __attrs_post_init__(self) -> None:
        if (self.ms is None) == (self.frames is None):
            raise ValueError(f"wanted `ms` or `frames`, came {'neither' if self.ms is None else 'both'}")

    def gives(self, caps: Mapping[str, Caps]) -> Mapping[str, Caps]:
        """Blocks of a known length are only promised where the tail is padded."""
        came = caps["in"] if isinstance(caps["in"], AudioCaps) else AUDIO
        size = self.frames or (self._block(came.rate_hz) if came.rate_hz else None)
        return {"out": AudioCaps(came.rate_hz, came.channels, size if self.tail == "pad" else None)}

    def feed(self, item: Audio) -> Iterable[Audio]:
        out: list[Audio] = []
        if self._held and (item.start, item.rate, item.channels) != (self._end, self._rate, self._channels):
            out += self._rest()
        self._end, self._rate, self._channels = item.end, item.rate, item.channels
        size = self._block(item.rate)
        done = 0
        if self._held:
            done = min(size - self._held_frames, item.frames)
            self._hold(item.samples[:done])
            if self._held_frames == size:
                out += self._rest(item.start + done)
        while item.frames - done >= size:
            out.append(Audio(item.samples[done : done + size], item.start + done, item.rate))
            done += size
        self._hold(item.samples[done:])
        return out

    def flush(self) -> Iterable[Audio]:
        missing = self._block(self._rate) - self._held_frames if self._held else 0
        if missing and self.tail == "pad":
            self._hold(np.zeros((missing, self._channels), np.int16))
            self._end += missing
            self._padded += missing
        return self._rest()

    def mark(self, mark: Mark) -> Iterable[Audio | Mark]:
        """The block so far, never padded in mid-stream, then the mark."""
        return (*self._rest(), mark)

    def counts(self) -> Mapping[str, int]:
        return {"frames padded": self._padded}

    def _block(self, rate: int) -> int:
        return self.frames or block_frames(self.ms or 0, rate)

    def _hold(self, samples: Samples) -> None:
        if len(samples):
            self._held.append(samples)
            self._held_frames += len(samples)

    def _rest(self, end: int | None = None) -> list[Audio]:
        """What is held, as one block that ends at `end`: where the input ends, if not said."""
        if not self._held:
            return []
        samples = self._held[0] if len(self._held) == 1 else np.concatenate(self._held)
        start = (self._end if end is None else end) - self._held_frames
        self._held, self._held_frames = [], 0
        return [Audio(samples, start, self._rate)]
