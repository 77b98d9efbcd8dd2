"""The texts of one port as utterances: what is new of each, and where on the client's own audio it lies. Pure.

An utterance is what lies between its marks, however many sentences a recogniser finds in it. What has been
given of it stays: hypotheses only add what two of them agree on, and the final texts the rest.
"""

from __future__ import annotations

import unicodedata
from collections.abc import Iterator, Sequence

from attrs import define, field, frozen

from pipeline.items import Mark, MarkKind, Text
from stages.resample import scaled
from stages.translate.agreement import Agreement
from stages.translate.realtime.events import SAMPLE_RATE_HZ

__all__ = ["Span", "Spans"]


@frozen
class Span:
    """An utterance that is over: all its text, and the frames of the client's audio that it covers."""

    text: str
    language: str
    start: int
    end: int
    texts: int
    """Final texts in it that are not blank: each is spoken as one stretch of sound."""


@define
class Spans:
    """Gives what is new in an utterance as strings, then its Span; one without text has a blank Span.

    Its frames are those of the marks around it. Where there is no mark at its beginning it is the first text's,
    in whole milliseconds; where `marked` is False, none is waited for, and every final text is an utterance.
    """

    marked: bool = True
    ended: int = field(init=False, default=0)
    """Utterances that are over."""
    _agreement: Agreement = field(init=False, factory=Agreement)
    _finals: list[str] = field(init=False, factory=list)
    _language: str = field(init=False, default="")
    _start: int | None = field(init=False, default=None)
    _end: int = field(init=False, default=0)
    """Where the last text ended, or else the last utterance."""

    def feed(self, item: Text | Mark) -> Iterator[str | Span]:
        """What is to be told with `item`."""
        if isinstance(item, Text):
            yield from self._more(item)
        elif item.kind is MarkKind.UTTERANCE_START:
            yield from self.flush()
            self._start = _frame(item)
        elif item.kind is MarkKind.UTTERANCE_END:
            yield self._over(_frame(item))

    def flush(self) -> Iterator[Span]:
        """The utterance that is going on, if any of it was told."""
        if self._agreement.settled or self._finals:
            yield self._over(self._end)

    def end(self) -> Iterator[Span]:
        """The utterance that was going on when the stream ended, if any of it is final: a hypothesis stays one."""
        if self._finals:
            yield self._over(self._end)

    def _more(self, text: Text) -> Iterator[str | Span]:
        if self._start is None:
            self._start = max(self._end, _frame_of_ms(text.start_ms))
        self._end = max(self._end, self._start, _frame_of_ms(text.end_ms))
        self._language = text.language or self._language
        said = [*self._finals, text.text.strip()] if text.text.strip() else self._finals
        if text.final:
            self._finals = said
        delta = (self._agreement.finish if text.final else self._agreement.feed)(joined(said))
        if delta:
            yield delta
        if text.final and not self.marked:
            yield from self.flush()

    def _over(self, end: int) -> Span:
        start = self._start if self._start is not None else min(self._end, end)
        span = Span(self._agreement.settled, self._language, start, max(start, end), len(self._finals))
        self._agreement.clear()
        self._finals, self._language, self._start, self._end = [], "", None, span.end
        self.ended += 1
        return span


def joined(sentences: Sequence[str]) -> str:
    """One text; a space stands between sentences unless the script does without."""
    text = ""
    for sentence in sentences:
        close = text and unicodedata.east_asian_width(text[-1]) in "WF"
        text += sentence if not text or close else f" {sentence}"
    return text


def _frame(mark: Mark) -> int:
    return scaled(mark.start, mark.rate, SAMPLE_RATE_HZ)


def _frame_of_ms(ms: int) -> int:
    return ms * SAMPLE_RATE_HZ // 1000
