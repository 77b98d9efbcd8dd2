"""Audio and marks cut into what a recogniser is given: one piece an utterance, none longer than it can hear."""

from __future__ import annotations

from collections.abc import Iterator

import numpy as np
from attrs import define, field, frozen
from numpy.typing import NDArray

from pipeline.items import Audio, Mark, MarkKind, Samples

__all__ = ["Speech", "Utterances", "quietest"]

_TAIL_S = 0.2
"""Kept after the end of speech, where there is that much: a last consonant is quiet."""
_SILENCE = 33.0
"""Root mean square under which there is nothing to recognise: -60 dB of full scale."""
_STEP_S = 0.02


@frozen(eq=False)
class Speech:
    """A piece of mono sound to recognise, as int16 of shape (frames,), that begins at `start`."""

    samples: Samples
    start: int
    rate: int

    @property
    def start_ms(self) -> int:
        return self.start * 1000 // self.rate

    @property
    def end_ms(self) -> int:
        return self.end * 1000 // self.rate

    @property
    def end(self) -> int:
        return self.start + len(self.samples)

    @property
    def floats(self) -> NDArray[np.float32]:
        """The same sound with full scale at 1.0."""
        return self.samples.astype(np.float32) / np.float32(32768)


@define
class Utterances:
    """Collects speech between `UTTERANCE_START` and `UTTERANCE_END`, and gives it as pieces of at most `most_s`.

    A stream without these marks is one stretch; what is longer than `most_s` is cut at the quietest place of
    its last third. Every mark is given on, behind the speech that came before it.
    """

    most_s: float
    _blocks: list[Audio] = field(init=False, factory=list)
    _marked: bool = field(init=False, default=False)
    _speaking: bool = field(init=False, default=True)
    """True until a first mark tells otherwise: an unmarked stream may be all speech."""

    def feed(self, item: Audio | Mark) -> Iterator[Speech | Mark]:
        """What is complete with `item`."""
        if isinstance(item, Mark):
            yield from self._on_mark(item)
        elif self._speaking and item.frames:
            if self._blocks and self._blocks[-1].end != item.start:
                yield from self.flush()
            self._blocks.append(item)
            if item.end - self._blocks[0].start > self.most_s * item.rate:
                yield from self._cut()

    @property
    def going_on(self) -> tuple[int, int] | None:
        """The positions that the utterance which a mark began reaches from and to so far; None where none did."""
        if not (self._marked and self._speaking and self._blocks):
            return None
        return self._blocks[0].start, self._blocks[-1].end

    def so_far(self) -> Speech:
        """What has come of the utterance that is going on."""
        samples = np.concatenate([block.samples[:, 0] for block in self._blocks])
        return Speech(samples, self._blocks[0].start, self._blocks[0].rate)

    def let_go(self, position: int) -> None:
        """Forget what comes before `position`, within the utterance that is going on."""
        rest = self.so_far()
        self._blocks = [Audio(rest.samples[position - rest.start :, None], position, rest.rate)]

    def flush(self) -> Iterator[Speech]:
        """What is left, where the stream ends or has a hole."""
        while self._blocks and self._blocks[-1].end - self._blocks[0].start > self.most_s * self._blocks[0].rate:
            yield from self._cut()
        speech = self._take()
        if speech is not None:
            yield speech

    def _on_mark(self, mark: Mark) -> Iterator[Speech | Mark]:
        if mark.kind is MarkKind.UTTERANCE_END:
            self._trim(mark.start + int(_TAIL_S * mark.rate))
        yield from self.flush()
        if mark.kind in (MarkKind.UTTERANCE_START, MarkKind.UTTERANCE_END, MarkKind.WATERMARK):
            self._speaking = mark.kind is MarkKind.UTTERANCE_START
            self._marked = True
        yield mark

    def _trim(self, end: int) -> None:
        while self._blocks and self._blocks[-1].end > end:
            last = self._blocks.pop()
            if last.start < end:
                self._blocks.append(Audio(last.samples[: end - last.start], last.start, last.rate))

    def _cut(self) -> Iterator[Speech]:
        """The first `most_s` or a little less, up to the quietest place; the rest stays."""
        whole = self._take()
        if whole is None:
            return
        most = int(self.most_s * whole.rate)
        place = quietest(whole.samples, most * 2 // 3, most, whole.rate)
        self._blocks.append(Audio(whole.samples[place:, None], whole.start + place, whole.rate))
        if _is_audible(whole.samples[:place]):
            yield Speech(whole.samples[:place], whole.start, whole.rate)

    def _take(self) -> Speech | None:
        """All that is held, as one piece; None where it is nothing, or silence."""
        if not self._blocks:
            return None
        samples = np.concatenate([block.samples[:, 0] for block in self._blocks])
        first = self._blocks[0]
        self._blocks.clear()
        return Speech(samples, first.start, first.rate) if _is_audible(samples) else None


def _is_audible(samples: Samples) -> bool:
    return bool(len(samples)) and float(np.sqrt(np.mean(np.square(samples, dtype=np.float64)))) > _SILENCE


def quietest(samples: Samples, begin: int, end: int, rate: int) -> int:
    """The middle of the quietest tenth of a second between `begin` and `end` of mono `samples`."""
    step = int(_STEP_S * rate)
    part = samples[begin : begin + (min(end, len(samples)) - begin) // step * step].astype(np.float64)
    power = np.square(part).reshape(-1, step).mean(axis=1)
    if len(power) < 5:
        return min(end, len(samples))
    smooth = np.convolve(power, np.ones(5), mode="valid")
    return begin + (int(np.argmin(smooth)) + 2) * step + step // 2
