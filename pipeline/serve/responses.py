"""What an engine gives, as the events that a client gets: pure, and in an order that nobody can mistake.

The protocol's events carry no numbers, so their order is all that a client has. The rule to keep: a response is
told whole before the next one begins, its text first, then its sound; what comes too early waits. Transcripts
are no part of a response, and are told as they come.

What belongs together: an utterance has one response. Each of its final texts that is not blank is spoken as one
stretch of sound that ends with `UTTERANCE_END` (see `tts`). So the first stretch belongs to the first text.
"""

from __future__ import annotations

from collections import deque
from collections.abc import Callable, Iterator

from attrs import define, field

from pipeline.items import Audio, Item, Mark, MarkKind, Text
from pipeline.serve.detection import Detection
from pipeline.serve.spans import Span, Spans
from stages.languages import base
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
class _Response:
    """The text of a response, as far as it has come, and how many stretches of sound belong to it."""

    utterance: int
    events: deque[Payload] = field(factory=deque)
    whole: bool = False
    stretches: int = 0


@define
class Responses:
    """Takes what comes out of the three ports of one graph, and gives the events to send, in order.

    `begun` hears when a response begins to be told in a modality, and `over` where its speech ended, both with
    the number of the utterance. In an automatic session `detection` knows the languages, and what needs no
    translation. `marked`: utterance marks are to be expected around the texts.
    """

    modalities: frozenset[str]
    detection: Detection | None = None
    marked: bool = True
    item_id: Callable[[], str] = lambda: "item_1"
    begun: Callable[[str, int], None] = lambda _modality, _utterance: None
    over: Callable[[int, int], None] = lambda _utterance, _end: None

    _transcripts: Spans = field(init=False)
    _texts: Spans = field(init=False)
    _told: deque[_Response] = field(init=False, factory=deque)
    _open: _Response | None = field(init=False, default=None)
    """The last of `_told`, while more may come."""
    _sounds: deque[AudioDelta | None] = field(init=False, factory=deque)
    """What waits to be told; None ends a stretch."""
    _sounding: _Response | None = field(init=False, default=None)
    """Its text has been told, and its sound is being told."""
    _stray: bool = field(init=False, default=False)
    """A stretch of sound that belongs to no text is being told."""
    _passed: set[int] = field(init=False, factory=set)
    """Utterances in the target language already: neither translated nor spoken."""
    _begun: set[tuple[str, int]] = field(init=False, factory=set)
    _ended: set[str] = field(init=False, factory=set)
    """Ports that nothing more comes from."""

    def __attrs_post_init__(self) -> None:
        self._transcripts, self._texts = Spans(self.marked), Spans(self.marked)

    def feed(self, port: str, item: Item) -> Iterator[Payload]:
        """What can be told with `item` from `port`."""
        if port == "audio":
            self._on_sound(item)
        elif isinstance(item, Text | Mark):
            yield from self._on_words(
                port, (self._transcripts if port == "transcript" else self._texts).feed(item)
            )
        yield from self._tell()

    def end(self, port: str) -> Iterator[Payload]:
        """What is left when nothing more comes out of `port`."""
        if port == "audio":
            self._sounds.append(None)
        else:
            yield from self._on_words(port, self._spans(port).end())
        self._ended.add(port)
        yield from self._tell()

    # --- words

    def _spans(self, port: str) -> Spans:
        return self._transcripts if port == "transcript" else self._texts

    def _on_words(self, port: str, news: Iterator[str | Span]) -> Iterator[Payload]:
        for new in news:
            if port == "transcript":
                yield from self._on_transcript(new)
            elif isinstance(new, Span):
                self._end_text(new)
            else:
                self._more_text(new)

    def _on_transcript(self, new: str | Span) -> Iterator[Payload]:
        if isinstance(new, str):
            yield TranscriptDelta(new)
        elif self.detection is None:
            yield TranscriptCompleted(new.text, start_frame=new.start, end_frame=new.end)
        else:
            yield from self._detected(new, self.detection)

    def _detected(self, span: Span, detection: Detection) -> Iterator[Payload]:
        name, language = self.item_id(), detection.known(span.language)
        passthrough = (
            bool(span.text) and language is not None and base(language) == base(detection.target_language)
        )
        if passthrough:
            self._passed.add(self._transcripts.ended - 1)
        yield from detection.hear(name, language)
        yield TranscriptCompleted(span.text, name, language, passthrough, span.start, span.end)

    def _more_text(self, delta: str) -> None:
        if self._open is None:
            self._open = _Response(self._texts.ended)
            self._told.append(self._open)
        if "text" in self.modalities:
            self._open.events.append(TextDelta(delta))

    def _end_text(self, span: Span) -> None:
        self.over(self._texts.ended - 1, span.end)
        response, self._open = self._open, None
        if response is None:
            return
        if "text" in self.modalities:
            response.events.append(TextDone(span.text, span.start, span.end))
        response.whole, response.stretches = True, span.texts if "audio" in self.modalities else 0

    # --- sound

    def _on_sound(self, item: Item) -> None:
        if "audio" not in self.modalities:
            return
        if isinstance(item, Audio):
            self._sounds.extend(map(AudioDelta, frames_of(item.samples.astype("<i2", copy=False).tobytes())))
        elif isinstance(item, Mark) and item.kind is MarkKind.UTTERANCE_END:
            self._sounds.append(None)

    # --- in order

    def _tell(self) -> Iterator[Payload]:
        while True:
            if self._sounding is not None:
                yield from self._tell_sound(self._sounding)
                if self._sounding.stretches:
                    return
                self._sounding = None
            elif self._is_known():
                yield from self._tell_text(self._told[0])
                if not self._told[0].whole:
                    return
                self._sounding = self._told.popleft()
            else:
                yield from self._tell_strays()
                return

    def _is_known(self) -> bool:
        """Whether the next response can be told: in an automatic session, once its language is known."""
        if not self._told:
            return False
        waits = self.detection is not None and "transcript" not in self._ended
        return not waits or self._transcripts.ended > self._told[0].utterance

    def _tell_text(self, response: _Response) -> Iterator[Payload]:
        while response.events:
            event = response.events.popleft()
            if response.utterance not in self._passed:
                self._note("text", response.utterance)
                yield event

    def _tell_sound(self, response: _Response) -> Iterator[Payload]:
        """The stretches that belong to `response`, as far as they have come."""
        muted = response.utterance in self._passed
        while response.stretches and (self._sounds or "audio" in self._ended):
            sound = self._sounds.popleft() if self._sounds else None
            if sound is None:
                response.stretches -= 1
            elif not muted:
                self._note("audio", response.utterance)
                yield sound
            if not response.stretches and not muted:
                yield AudioDone()

    def _tell_strays(self) -> Iterator[Payload]:
        """Sound of a service that gives no text."""
        while self._sounds and "text" in self._ended:
            sound = self._sounds.popleft()
            if sound is not None or self._stray:
                yield AudioDone() if sound is None else sound
            self._stray = sound is not None

    def _note(self, modality: str, utterance: int) -> None:
        if (modality, utterance) not in self._begun:
            self._begun.add((modality, utterance))
            self.begun(modality, utterance)
