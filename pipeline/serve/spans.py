"""Where on the client's own audio a text belongs, to the frame. Pure."""

from __future__ import annotations

from collections.abc import Iterator

from attrs import define, field, frozen

from pipeline.items import Mark, MarkKind, Text
from stages.resample import scaled
from stages.translate.realtime.events import SAMPLE_RATE_HZ

__all__ = ["Span", "Spans"]


@frozen
class Span:
    """A final text, and the frames of the client's own audio that it covers."""

    text: str
    language: str
    start: int
    end: int
    utterance: int
    """The utterances that ended before it."""


@define
class Spans:
    """Finds the frames of texts: those of the marks around them where there are any, else whole milliseconds.

    So a final text waits for what follows it, which comes at once; not where no marks are `expected`. An
    utterance without text is a blank span.
    """

    expected: bool = True
    ended: int = field(init=False, default=0)
    """Utterances that are over."""
    _held: Text | None = field(init=False, default=None)
    _start: int | None = field(init=False, default=None)
    _end: int = field(init=False, default=0)
    _quiet: bool = field(init=False, default=True)
    """No text has come in this utterance."""

    def feed(self, item: Text | Mark) -> Iterator[Span | Text]:
        """The final texts that are complete with `item`; one that is not final comes through as it is."""
        if isinstance(item, Text):
            if not item.final:
                yield item
                return
            yield from self.flush()
            self._held = item
            if not self.expected:
                yield from self.flush()
        elif item.kind is MarkKind.UTTERANCE_START:
            yield from self.flush()
            self._start = _frame(item)
        elif item.kind is MarkKind.UTTERANCE_END:
            yield from self._over(_frame(item))
        else:
            yield from self.flush()

    def flush(self, end: int | None = None) -> Iterator[Span]:
        """The text that waits. `end`: where its utterance is known to end."""
        text, self._held = self._held, None
        if text is None:
            return
        start = self._start if self._start is not None else max(self._end, _frame_of_ms(text.start_ms))
        self._end = max(start, end if end is not None else _frame_of_ms(text.end_ms))
        self._start, self._quiet = None, False
        yield Span(text.text.strip(), text.language, start, self._end, self.ended)

    def blank(self) -> Span:
        """An utterance that nothing is known of but its place."""
        return Span("", "", self._end, self._end, self.ended)

    def _over(self, end: int) -> Iterator[Span]:
        if self._held is not None:
            yield from self.flush(end)
        elif self._quiet:
            start = self._start if self._start is not None else self._end
            yield Span("", "", start, max(start, end), self.ended)
        self._start, self._end, self._quiet = None, max(self._end, end), True
        self.ended += 1


def _frame(mark: Mark) -> int:
    return scaled(mark.start, mark.rate, SAMPLE_RATE_HZ)


def _frame_of_ms(ms: int) -> int:
    return ms * SAMPLE_RATE_HZ // 1000
