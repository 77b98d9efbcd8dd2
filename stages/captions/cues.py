"""Makes cues of texts: captions that can be read, valid whatever the texts and their times are like.

The rules are those of the Netflix Timed Text Style Guide, General Requirements (partnerhelp.netflixstudios.com,
article 215758617): at most 2 lines; from 5/6 of a second to 7 seconds; at least 2 frames between two (at 24 frames
a second, the longest they can be); one line where the text fits on one; lines broken after punctuation and before
conjunctions and prepositions. From its guides for each language: 42 characters a line, 16 full-width ones in
Chinese and Korean, of which a half-width one takes half (Japanese has 13; we give it 16 too); 17 characters a
second, 20 in English, 12 in Korean, 9 in Chinese, 4 in Japanese.

Speech goes before reading speed: a cue that is too fast lasts into the silence behind it, as long as the next
utterance lets it, and is counted where that is not enough.
"""

from __future__ import annotations

import itertools
import math
from collections.abc import Iterator, Mapping, Sequence

from attrs import define, field, frozen

from pipeline.items import Mark, MarkKind, Text
from stages.captions.lines import break_into_cues
from stages.captions.text import clean, width

__all__ = ["Cue", "Cues", "srt", "vtt"]

FULL_WIDTH = frozenset({"ja", "ko", "zh"})
"""Languages whose lines are measured in full-width characters."""
READING_CPS: Mapping[str, float] = {"en": 20, "ja": 4, "ko": 12, "zh": 9}
"""Characters a second, where it is not 17."""


@frozen
class Cue:
    """What stands on the screen from `start_ms` to `end_ms`, in one or more lines."""

    start_ms: int
    end_ms: int
    lines: tuple[str, ...]


@define(kw_only=True)
class Cues:
    """Cues from final texts, in order; each is final when it is given.

    The last utterance is held until it is known when the next begins, because until then it may last: a later
    text tells (a partial one too), or a mark, or the end. Cues follow each other in time: what comes too late
    for its time is pushed, behind what was given.
    """

    max_line_chars: int | None = None
    max_lines: int = 2
    min_ms: int = 834
    max_ms: int = 7000
    gap_ms: int = 84
    max_cps: float | None = None
    _held: _Held | None = field(init=False, default=None)
    _free: int = field(init=False, default=0)
    _given: int = field(init=False, default=0)
    _too_fast: int = field(init=False, default=0)
    _pushed: int = field(init=False, default=0)

    def feed(self, item: Text | Mark) -> Iterator[Cue]:
        if isinstance(item, Mark):
            yield from self._told(item)
            return
        yield from self._release(item.start_ms)
        if item.final:
            self._held = self._broken(item)

    def flush(self) -> Iterator[Cue]:
        yield from self._release(None)

    def counts(self) -> Mapping[str, int]:
        return {"cues": self._given, "cues too fast to read": self._too_fast, "cues pushed later": self._pushed}

    # --- when the held utterance may go

    def _told(self, mark: Mark) -> Iterator[Cue]:
        held = self._held
        if mark.kind is MarkKind.FLUSH:
            yield from self.flush()
        elif mark.kind is MarkKind.UTTERANCE_START:
            yield from self._release(mark.start_ms)
        elif mark.kind is MarkKind.WATERMARK and held and self._wanted_end(held) + self.gap_ms <= mark.start_ms:
            yield from self.flush()

    def _release(self, next_start_ms: int | None) -> Iterator[Cue]:
        """Give what is held, now that the next is known to begin at `next_start_ms` (None: not soon)."""
        held, self._held = self._held, None
        if held is None:
            return
        self._pushed += len(held.captions) * (self._free > held.start_ms)
        for cue, units in zip(self._laid_out(held, next_start_ms), held.units, strict=True):
            self._free = cue.end_ms + self.gap_ms
            self._given += 1
            self._too_fast += units * 1000 > held.units_a_second * (cue.end_ms - cue.start_ms)
            yield cue

    # --- what is in a cue, and when it is seen

    def _broken(self, text: Text) -> _Held | None:
        """`text` in captions that could be read in their time, if the speech is not too fast; None for no text."""
        language = text.language.partition("-")[0].lower()
        char_units = 2 if language in FULL_WIDTH else 1
        units_a_second = char_units * (self.max_cps or READING_CPS.get(language, 17))
        line_units = char_units * (self.max_line_chars or (16 if language in FULL_WIDTH else 42))
        start, clear = max(0, text.start_ms), clean(text.text)
        span = max(1, text.end_ms - start)
        in_time = min(int(units_a_second * self.max_ms / 1000), width(clear) * self.max_ms // span)
        captions = break_into_cues(
            clear,
            language,
            line_units=line_units,
            max_lines=self.max_lines,
            cue_units=max(in_time, line_units // 3),  # a cue of a word or two is worse than a hole
        )
        return _Held(start, start + span, captions, units_a_second) if captions else None

    def _needs(self, held: _Held) -> list[int]:
        """How long each caption must be seen to be read, in milliseconds."""
        times = [math.ceil(units * 1000 / held.units_a_second) for units in held.units]
        return [min(max(time, self.min_ms), self.max_ms) for time in times]

    def _wanted_end(self, held: _Held) -> int:
        """Where the utterance ends, or where all of it could be read."""
        needs = self._needs(held)
        start = max(held.start_ms, self._free)
        return max(held.end_ms, start + sum(needs) + self.gap_ms * (len(needs) - 1))

    def _laid_out(self, held: _Held, next_start_ms: int | None) -> Iterator[Cue]:
        """The captions over the time of their utterance, each as much of it as it has of the text."""
        needs, gaps = self._needs(held), self.gap_ms * (len(held.captions) - 1)
        start, end = max(held.start_ms, self._free), self._wanted_end(held)
        if next_start_ms is not None:
            early = next_start_ms <= held.start_ms  # it will be pushed in any case
            end = min(end, held.end_ms if early else next_start_ms - self.gap_ms)
        time = max(end - start - gaps, self.min_ms * len(needs))
        floors = needs if time >= sum(needs) else [self.min_ms] * len(needs)
        for lines, share in zip(held.captions, _shares(time, held.units, floors), strict=True):
            yield Cue(start, start + min(share, self.max_ms), lines)
            start += share + self.gap_ms


@frozen
class _Held:
    """An utterance in captions, not yet given; `units_a_second` are how many can be read."""

    start_ms: int
    end_ms: int
    captions: Sequence[tuple[str, ...]]
    units_a_second: float

    @property
    def units(self) -> list[int]:
        return [sum(map(width, lines)) for lines in self.captions]


def _shares(total: int, weights: Sequence[int], floors: Sequence[int]) -> list[int]:
    """`total` in parts as `weights` are to each other, but none below its floor. The floors fit into the total."""
    shares: dict[int, int] = {}
    while True:
        free = [at for at in range(len(weights)) if at not in shares]
        rest, weight = total - sum(shares.values()), sum(weights[at] for at in free)
        short = [at for at in free if rest * weights[at] < floors[at] * weight]
        if not short:
            break
        shares |= {at: floors[at] for at in short}
    bounds = [rest * done // weight for done in itertools.accumulate((weights[at] for at in free), initial=0)]
    shares |= {at: high - low for at, (low, high) in zip(free, itertools.pairwise(bounds), strict=True)}
    return [shares[at] for at in range(len(weights))]


# --- how a cue is written


def srt(cue: Cue, number: int) -> str:
    """`cue` as a block of a SubRip file, the `number`-th from 1.

    SubRip has no way to escape what players take for markup, `<b>` and `{\\an8}`: the signs are replaced by
    ones that look alike.
    """
    lines = "\n".join(cue.lines).translate(_SRT_SIGNS)
    return f"{number}\n{_clock(cue.start_ms, ',')} --> {_clock(cue.end_ms, ',')}\n{lines}\n\n"


def vtt(cue: Cue) -> str:
    """`cue` as a block of a WebVTT file, which begins with the line `WEBVTT` and an empty one."""
    lines = "\n".join(cue.lines).translate(_VTT_ESCAPES)
    return f"{_clock(cue.start_ms, '.')} --> {_clock(cue.end_ms, '.')}\n{lines}\n\n"


_SRT_SIGNS = str.maketrans("<>{}", "‹›()")
_VTT_ESCAPES = str.maketrans({"&": "&amp;", "<": "&lt;", ">": "&gt;"})


def _clock(ms: int, point: str) -> str:
    seconds, ms = divmod(ms, 1000)
    return f"{seconds // 3600:02}:{seconds // 60 % 60:02}:{seconds % 60:02}{point}{ms:03}"
