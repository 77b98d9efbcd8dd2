"""What an engine gives, as the events that a client gets: pure, and in an order that nobody can mistake.

The protocol's events carry no numbers, so their order is all that a client has. The rule to keep: a response is
told whole before the next one begins, its text first, then its sound; what comes too early waits. Transcripts
are no part of a response, and are told as they come.

What belongs together: every final text that is not blank is one response, and is spoken as one stretch of sound
that ends with `UTTERANCE_END` (see `tts`). So the first text has the first stretch, and so on.
"""

from __future__ import annotations

from collections import deque
from collections.abc import Callable, Iterator, Sequence

from attrs import define, field

from pipeline.items import Audio, Item, Mark, MarkKind, Text
from pipeline.serve.detection import Detection
from pipeline.serve.spans import Span, Spans
from stages.languages import base
from stages.translate.agreement import Agreement
from stages.translate.realtime.events import (
    AudioDelta,
    AudioDone,
    Payload,
    TextDelta,
    TextDone,
    TranscriptCompleted,
    TranscriptDelta,
)

__all__ = ["FRAME_BYTES", "Responses", "frames_of", "undisguised"]

FRAME_BYTES = 19_200
"""400 ms, as the vendor sends."""

_BLANK = b" \t\n\v\f\r"


def frames_of(samples: bytes) -> Iterator[bytes]:
    """PCM16 as messages of at most 400 ms, each of whole samples."""
    for begin in range(0, len(samples), FRAME_BYTES):
        yield undisguised(samples[begin : begin + FRAME_BYTES])


def undisguised(data: bytes) -> bytes:
    """`data`, changed by at most 4 of 65,536 in its first sample where some would take it for JSON.

    The vendor's TypeScript SDK 1.2.0 parses a binary message whose first character, blanks aside, is { or [,
    and loses it.
    """
    if data.lstrip(_BLANK)[:1] not in (b"{", b"["):
        return data
    first = next(data[0] ^ bit for bit in (1, 2, 4) if data[0] ^ bit not in _BLANK + b"{[")
    return bytes([first]) + data[1:]


@define
class _Parcel:
    """What a response has to tell in one modality, as far as it has come. A text also says if sound follows it."""

    events: deque[Payload] = field(factory=deque)
    whole: bool = False
    spoken: bool = False
    utterance: int = 0
    end: int | None = None
    begun: bool = False


@define
class Responses:
    """Takes what comes out of the three ports of one graph, and gives the events to send, in order.

    `first` hears when a response begins to be told in a modality, and at which frame its speech ended (None: it
    goes on). In an automatic session `detection` knows the languages, and what needs no translation.
    """

    modalities: frozenset[str]
    detection: Detection | None = None
    first: Callable[[str, int | None], None] = lambda _modality, _end: None
    item_id: Callable[[], str] = lambda: "item_1"

    marks: bool = True
    """Whether marks around the texts are to be expected."""

    _transcripts: Spans = field(init=False)
    _hypothesis: Agreement = field(init=False, factory=Agreement)
    _texts: Spans = field(init=False)
    _translation: Agreement = field(init=False, factory=Agreement)
    _told: deque[_Parcel] = field(init=False, factory=deque)
    _open: _Parcel | None = field(init=False, default=None)
    """The last of `_told`, while more may come."""
    _spoken: deque[_Parcel] = field(init=False, factory=lambda: deque([_Parcel()]))
    _sounding: _Parcel | None = field(init=False, default=None)
    """The text that has been told, and whose sound is being told."""
    _textless: bool = field(init=False, default=False)
    """No text comes any more: what sounds needs none."""
    _soundless: bool = field(init=False, default=False)
    """No sound comes any more: no text waits for it."""
    _passed: set[int] = field(init=False, factory=set)
    """Utterances in the target language already: neither translated nor spoken."""

    def __attrs_post_init__(self) -> None:
        self._transcripts, self._texts = Spans(self.marks), Spans(self.marks)

    def feed(self, port: str, item: Item) -> Iterator[Payload]:
        """What can be told with `item` from `port`."""
        if port == "audio":
            if "audio" in self.modalities:
                self._on_sound(item)
        elif isinstance(item, Text | Mark):
            if port == "transcript":
                for each in self._transcripts.feed(item):
                    yield from self._on_transcript(each)
            else:
                self._on_texts(self._texts.feed(item))
        yield from self._tell()

    def end(self, port: str) -> Iterator[Payload]:
        """What is left when nothing more comes out of `port`."""
        if port == "transcript":
            for each in self._transcripts.flush():
                yield from self._on_transcript(each)
            if self._hypothesis.settled:
                yield from self._on_transcript(self._transcripts.blank())
            self._transcripts.ended = 1 << 62  # nothing waits for it any more
        elif port == "text":
            self._on_texts(self._texts.flush())
            if self._open is not None:
                self._end_text(self._texts.blank())
            self._textless = True
        else:
            last = self._spoken[-1]
            if self._sounding is not None or last.events or last.begun:
                self._end_sound()
            self._soundless = True
        yield from self._tell()

    # --- transcripts

    def _on_transcript(self, span: Span | Text) -> Iterator[Payload]:
        if isinstance(span, Text):
            if delta := self._hypothesis.feed(span.text):
                yield TranscriptDelta(delta)
            return
        before = self._hypothesis.settled
        delta = self._hypothesis.finish(span.text)
        completed, told = self._completed(span, before + delta)
        yield from told
        if delta:
            yield TranscriptDelta(delta)
        self._hypothesis.clear()
        yield completed

    def _completed(self, span: Span, said: str) -> tuple[TranscriptCompleted, Sequence[Payload]]:
        """The last event of a transcript, and what is to be told before: another language."""
        if self.detection is None:
            return TranscriptCompleted(said, start_frame=span.start, end_frame=span.end), ()
        name = self.item_id()
        language = self.detection.known(span.language)
        needless = base(self.detection.target_language)
        passthrough = bool(said) and language is not None and base(language) == needless
        if passthrough:
            self._passed.add(span.utterance)
        completed = TranscriptCompleted(said, name, language, passthrough, span.start, span.end)
        return completed, list(self.detection.hear(name, language))

    # --- text

    def _on_texts(self, spans: Iterator[Span | Text]) -> None:
        for span in spans:
            if isinstance(span, Text):
                self._more_text(self._translation.feed(span.text), self._texts.ended)
            elif span.text or self._open is not None:
                self._more_text(self._translation.finish(span.text), span.utterance)
                self._end_text(span)

    def _more_text(self, delta: str, utterance: int) -> None:
        if self._open is None:
            self._open = _Parcel(utterance=utterance)
            self._told.append(self._open)
        if delta and "text" in self.modalities:
            self._open.events.append(TextDelta(delta))

    def _end_text(self, span: Span) -> None:
        """The response has all its text. A guess that never became final ends with what was told of it."""
        parcel, self._open = self._open, None
        assert parcel is not None
        parcel.end = span.end
        if "text" in self.modalities and self._translation.settled:
            parcel.events.append(TextDone(self._translation.settled, span.start, span.end))
        parcel.whole, parcel.spoken = True, bool(span.text)
        self._translation.clear()

    # --- sound

    def _on_sound(self, item: Item) -> None:
        if isinstance(item, Audio):
            events = self._spoken[-1].events
            events.extend(AudioDelta(data) for data in frames_of(item.samples.astype("<i2", copy=False).tobytes()))
        elif isinstance(item, Mark) and item.kind is MarkKind.UTTERANCE_END:
            self._end_sound()

    def _end_sound(self) -> None:
        self._spoken[-1].events.append(AudioDone())
        self._spoken[-1].whole = True
        self._spoken.append(_Parcel())

    # --- in order

    def _tell(self) -> Iterator[Payload]:
        while (lane := self._lane()) is not None:
            parcel = lane[0]
            while parcel.events:
                event = parcel.events.popleft()
                if parcel.utterance not in self._passed:
                    self._note(parcel, event)
                    yield event
            if not parcel.whole:
                return
            lane.popleft()
            follows = lane is self._told and parcel.spoken and not self._soundless
            self._sounding = parcel if follows and "audio" in self.modalities else None

    def _lane(self) -> deque[_Parcel] | None:
        """Whose turn it is; None where that has to wait."""
        if self._sounding is not None:
            self._spoken[0].utterance, self._spoken[0].end = self._sounding.utterance, self._sounding.end
            return self._spoken
        if not self._told:
            return self._spoken if self._textless and self._spoken[0].events else None
        untold = self.detection is not None and self._transcripts.ended <= self._told[0].utterance
        return None if untold else self._told

    def _note(self, parcel: _Parcel, event: Payload) -> None:
        if not parcel.begun:
            parcel.begun = True
            self.first("audio" if isinstance(event, AudioDelta | AudioDone) else "text", parcel.end)
