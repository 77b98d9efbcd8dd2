"""What flows along an edge: audio, text, and marks. Values, never changed once made.

The rule to keep: positions are integers on the source's own clock. `Audio.start` counts sample-frames,
so that `end == start + frames` exactly; times in seconds or milliseconds are derived, never summed.
End of stream, cancellation, errors and statistics are *not* items: they are a closed channel, a cancel
scope, an exception and a counter.
"""

from __future__ import annotations

from enum import Enum

import numpy as np
from attrs import field, frozen
from numpy.typing import NDArray

__all__ = ["Audio", "Item", "Mark", "MarkKind", "Samples", "Text"]

Samples = NDArray[np.int16]


def _read_only(samples: Samples) -> Samples:
    """The same memory as (frames, channels) int16 that nobody can write through."""
    if samples.dtype != np.int16 or samples.ndim != 2:
        raise ValueError(
            f"audio samples must be int16 of shape (frames, channels), not {samples.dtype} of {samples.shape}"
        )
    if not samples.flags.writeable:
        return samples
    view = samples.view()
    view.flags.writeable = False
    return view


@frozen(eq=False)
class Audio:
    """PCM16 sound: `samples` of shape (frames, channels), `start` in sample-frames at `rate` Hz.

    In a gapless stream each `start` equals the last `end` exactly. A stream of utterances may jump, forward
    or back: whoever needs it gapless says so (`layout: timeline`). Two are equal when all their samples are.

    Raises: ValueError where `samples` is not int16 of two dimensions.
    """

    samples: Samples = field(converter=_read_only)
    start: int
    rate: int

    @property
    def frames(self) -> int:
        return len(self.samples)

    @property
    def channels(self) -> int:
        return int(self.samples.shape[1])

    @property
    def end(self) -> int:
        """The position one past the last frame."""
        return self.start + len(self.samples)

    @property
    def start_ms(self) -> int:
        return self.start * 1000 // self.rate

    @property
    def end_ms(self) -> int:
        return self.end * 1000 // self.rate

    def __eq__(self, other: object) -> bool:
        if not isinstance(other, Audio):
            return NotImplemented
        return (self.start, self.rate) == (other.start, other.rate) and np.array_equal(self.samples, other.samples)

    def __hash__(self) -> int:
        return hash((self.start, self.rate, self.samples.shape))


@frozen
class Text:
    """What was said between `start_ms` and `end_ms` of the source: a transcript or a translation.

    `utterance` numbers what belongs together: a transcript and its translations share it. A text with a higher
    `revision` replaces the earlier ones of its utterance, until one is `final`. `language` is a lower-case
    BCP-47 tag such as `pt-br`.
    """

    text: str
    start_ms: int
    end_ms: int
    language: str = ""
    utterance: int = 0
    final: bool = True
    revision: int = 0


class MarkKind(Enum):
    """What a mark says of its position `start`."""

    UTTERANCE_START = "utterance_start"
    """Speech begins at `start`."""
    UTTERANCE_END = "utterance_end"
    """Speech ended at `start`; what was held for the utterance can go on now."""
    FLUSH = "flush"
    """Let go of what you hold: somebody waits for it."""
    GAP = "gap"
    """`frames` sample-frames from `start` on are missing here, and are counted where they were lost."""
    WATERMARK = "watermark"
    """Nothing that comes later in this stream begins before `start`."""


@frozen
class Mark:
    """A sign between two pieces of audio or text, in order with them. `start` and `frames` at `rate` Hz."""

    kind: MarkKind
    start: int
    rate: int
    frames: int = 0

    @property
    def start_ms(self) -> int:
        return self.start * 1000 // self.rate


Item = Audio | Text | Mark
