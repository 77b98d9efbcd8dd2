"""One answer of a service: what it has said about one utterance, and what of that has been handed on.

It makes items of it, each once, however often it is said: `given` outlasts the session, `came` does not.
"""

from __future__ import annotations

import re
from collections.abc import Iterator
from difflib import SequenceMatcher

import numpy as np
from attrs import define, field

from pipeline.items import Audio, Item, Mark, MarkKind, Text
from stages.translate.agreement import words
from stages.translate.realtime.events import SAMPLE_RATE_HZ, Payload

__all__ = ["Answer", "Given", "Words", "alike"]

Given = tuple[str, Item]
"""A port, and what goes there."""
BLOCK_FRAMES = SAMPLE_RATE_HZ // 5
ALIKE = 0.75
"""Two sessions' texts of one utterance are at least so much alike (difflib's ratio, of words)."""
LONGEST_PARTIAL = 10_000
"""Characters. No utterance has so many: what a service goes on to say is waited for, not shown."""


def alike(one: str, other: str) -> bool:
    """Whether two texts may be of one utterance: the same, or nearly; case and punctuation do not count.

    >>> alike("I have a dream today.", "i had a dream today"), alike("No.", "Yes.")
    (True, False)
    """
    a, b = (
        [bare for word in words(text) if (bare := re.sub(r"\W", "", word.casefold()))] for text in (one, other)
    )
    return a == b or SequenceMatcher(None, a, b, autojunk=False).ratio() >= ALIKE


def _bare_words(text: str) -> list[str]:
    return [bare for word in words(text) if (bare := re.sub(r"\W", "", word.casefold()))]


@define(eq=False)
class Words:
    """A transcript or a translation, as far as it has come."""

    text: str = ""
    revision: int = 0


@define(eq=False)
class Answer:
    """What is known of an utterance. Its parts are `transcript`, `text` and `audio`, which are ports too.

    `place` is where it was said, as (start, end) positions of the replay window; `exact` where the service told.
    `held` has what came while it was not known whether this is an answer given before; None once it is known.
    """

    number: int = 0
    place: tuple[int, int] | None = None
    exact: bool = False
    passthrough: bool = False
    untranslated: bool = False
    """It was only transcribed, and as things are nobody will translate it."""
    came: set[str] = field(factory=set)
    """What this session has said to its end."""
    given: set[str] = field(factory=set)
    """What has been handed on to its end, in this session or before."""
    held: list[Payload] | None = None
    spoken: int = field(init=False, default=0)
    """Frames of speech handed on."""
    _words: dict[str, Words] = field(init=False, factory=dict)
    _next_frame: int = field(init=False, default=0)
    """Where the next frame of its speech goes, on the source's clock."""
    _skip: int = field(init=False, default=0)
    """Bytes of speech to pass over: they have been handed on."""
    _odd: bytes = field(init=False, default=b"")

    def said(self, kind: str) -> Words:
        return self._words.setdefault(kind, Words())

    @property
    def speaking(self) -> bool:
        return self.spoken > 0 and "audio" not in self.given

    @property
    def begun(self) -> bool:
        """Whether anything of it has been handed on."""
        return bool(self.given or self.spoken or any(said.revision for said in self._words.values()))

    def again(self) -> None:
        """Another session will say it from the beginning."""
        self.came, self._odd, self._skip = set(), b"", self.spoken * 2
        for kind, said in self._words.items():
            said.text = said.text if kind in self.given else ""

    def partial(self, kind: str, delta: str, span: tuple[int, int], language: str) -> Iterator[Given]:
        """More of a text, which lies between the frames of `span` as far as is known."""
        said = self.said(kind)
        if kind in self.given or not delta or len(said.text) > LONGEST_PARTIAL:
            return
        said.text += delta
        yield self._text(kind, span, language, final=False)
        said.revision += 1

    def final(self, kind: str, text: str, span: tuple[int, int], language: str) -> Iterator[Given]:
        """The whole of a text. One with nothing in it is handed on where it replaces something."""
        if kind in self.given:
            return
        said = self.said(kind)
        said.text = text.strip()
        self.given.add(kind)
        if said.text or said.revision:
            yield self._text(kind, span, language, final=True)

    def speech(self, data: bytes, start: int) -> Iterator[Given]:
        """More speech, which begins at `start` unless it has begun; a sample may be cut in two anywhere."""
        if "audio" in self.given:
            return
        data = self._odd + data
        even = len(data) // 2 * 2
        data, self._odd = data[:even], data[even:]
        skipped = min(self._skip, len(data))
        self._skip -= skipped
        samples = np.frombuffer(data, "<i2", offset=skipped).astype(np.int16, copy=False).reshape(-1, 1)
        if not self.spoken:
            self._next_frame = start
        for begin in range(0, len(samples), BLOCK_FRAMES):
            block = Audio(samples[begin : begin + BLOCK_FRAMES], self._next_frame, SAMPLE_RATE_HZ)
            self._next_frame = block.end
            self.spoken += block.frames
            yield "audio", block

    def hush(self) -> Iterator[Given]:
        """Its speech has ended."""
        if self.speaking:
            yield "audio", Mark(MarkKind.UTTERANCE_END, self._next_frame, SAMPLE_RATE_HZ)
        self.given.add("audio")

    def _text(self, kind: str, span: tuple[int, int], language: str, *, final: bool) -> Given:
        said = self.said(kind)
        start_ms, end_ms = (frame * 1000 // SAMPLE_RATE_HZ for frame in span)
        return kind, Text(said.text, start_ms, end_ms, language, self.number, final, said.revision)
