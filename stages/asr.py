"""Speech into text: Whisper on this machine."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping, Sequence
from functools import partial
from pathlib import Path
from typing import ClassVar, Literal

import anyio
import anyio.to_thread
from attrs import define, evolve, field

from pipeline.caps import TEXT, AudioCaps, Caps, Port
from pipeline.items import Mark, Text
from pipeline.stage import Inbox, Outbox, StageError, between, option
from stages.languages import base, canonical, checked_or_auto, full_tag
from stages.models.mel import RATE
from stages.models.whisper import Heard, Sentence, Whisper
from stages.settling import settled
from stages.utterances import Speech, Utterances, quietest

__all__ = ["Asr"]

_MOST_S = 28
"""Two seconds less than Whisper's window, so that it still hears the silence that ends a text."""
_BEFORE_S, _AFTER_S = 0.4, 0.1
"""Around the time at which a sentence is thought to begin, the pause before it is looked for so far."""


@define(kw_only=True)
class Asr:
    """Write down what is said. Put a `vad` in front: each of its utterances is recognised once it is over.

    Gives one Text a sentence, numbered from 1, with the time it was said at; the marks that come pass in order.
    Without marks the stream is cut into stretches of at most 28 s at its quietest places. Text comes only from
    speech: where Whisper's own signs say that nobody spoke, or it repeats itself without end, there is none,
    and the report counts it.

    With `partials_s` it guesses while somebody speaks, and with `sentences` a sentence is settled as soon as two
    guesses agree on its end and something comes behind it: its text is final, and only what comes behind is
    guessed on.
    """

    language: str = option(
        "auto",
        help="the language spoken, such as en-us; auto listens for it, which costs time and is less sure",
        check=checked_or_auto,
        example="en-us",
    )
    task: Literal["transcribe", "translate"] = option(
        "transcribe", help="transcribe, or translate: Whisper's own translation into English"
    )
    model: Path | None = option(None, help="the folder of a CTranslate2 Whisper model; without it, Whisper base")
    beam: int = option(
        1, help="hypotheses kept while searching; 5 is slower and barely better", check=between(1, 20)
    )
    threads: int = option(1, help="processor cores to use; a second one barely helps", check=between(1, 64))
    sentences: bool = option(True, help="one text a sentence; false: one an utterance, numbered as the utterances")

    partials_s: float | None = option(
        None,
        help="guess what is said while somebody still speaks, whenever so much more was said; a guess costs as "
        "much as recognising what there is that is not settled",
        check=between(0.3, 10, "s"),
    )
    limiter: anyio.CapacityLimiter | None = field(default=None, repr=False)
    """What its work in threads waits for; None: one of its own. Graphs that run at once may share one."""
    when_settled: Callable[[int], None] = field(default=lambda _position: None, repr=False)
    """Called with the position up to which everything is settled, while somebody still speaks."""

    _status: str = field(init=False, default="")
    _utterance: int = field(init=False, default=0)
    _counts: dict[str, int] = field(init=False, factory=dict)
    _guessed: int = field(init=False, default=0)
    """Where the last guess ended."""
    _before: Sequence[Sentence] = field(init=False, default=())
    """The last guess, in seconds from where the sound that is held begins."""
    _guesses: int = field(init=False, default=0)
    _rest_until: float = field(init=False, default=0.0)
    """A guess is followed by a rest as long as it took, in which what has come meanwhile is caught up with."""

    accepts: ClassVar[Mapping[str, Port]] = {"in": Port(AudioCaps(16000, 1))}

    def gives(self, caps: Mapping[str, Caps]) -> Mapping[str, Caps]:
        return {"out": TEXT}

    @property
    def status(self) -> str:
        return self._status

    def counts(self) -> Mapping[str, int]:
        return self._counts

    async def run(self, inbox: Inbox, outbox: Outbox) -> None:
        limiter = self.limiter or anyio.CapacityLimiter(1)
        whisper = await self._load(limiter)
        cut = Utterances(_MOST_S)
        async for item in inbox:
            assert not isinstance(item, Text), "the port takes audio"
            for piece in cut.feed(item):
                await self._answer(piece, whisper, limiter, outbox)
            if self.partials_s is not None and limiter.available_tokens >= 1:
                await self._guess(cut, whisper, limiter, outbox)
        for piece in cut.flush():
            await self._answer(piece, whisper, limiter, outbox)

    async def _load(self, limiter: anyio.CapacityLimiter) -> Whisper:
        self._status = f"loading whisper {self.model or 'base'}"
        load = partial(Whisper.load, self.model, self.threads)
        whisper = await anyio.to_thread.run_sync(load, abandon_on_cancel=True, limiter=limiter)
        self._status = ""
        if self.language != "auto" and not whisper.knows(base(self.language)):
            raise StageError(f"the model {self.model or 'whisper base'} does not know {self.language}", code=2)
        return whisper

    async def _answer(
        self, piece: Speech | Mark, whisper: Whisper, limiter: anyio.CapacityLimiter, outbox: Outbox
    ) -> None:
        if isinstance(piece, Mark):
            await outbox.send(piece)
            return
        heard = await self._hear(piece, whisper, limiter)
        self._guessed, self._guesses, self._before = piece.end, 0, ()
        self._count(heard)
        for text in self._texts(piece, heard):
            await outbox.send(text)

    async def _guess(
        self, cut: Utterances, whisper: Whisper, limiter: anyio.CapacityLimiter, outbox: Outbox
    ) -> None:
        """Say what the utterance seems to be, if so much more of it has come since the last time."""
        assert self.partials_s is not None
        if cut.going_on is None:
            return
        start, end = cut.going_on
        begun = anyio.current_time()
        if end - max(self._guessed, start) < self.partials_s * RATE or begun < self._rest_until:
            return
        piece = cut.so_far()
        heard = await self._hear(piece, whisper, limiter)
        self._rest_until = 2 * anyio.current_time() - begun
        self._guessed = end
        if self.sentences and (count := settled(self._before, heard.sentences)):
            piece, heard = await self._settle(cut, piece, heard, count, outbox)
        self._before = heard.sentences
        if heard.sentences:
            text = " ".join(sentence.text for sentence in heard.sentences)
            language, number = self._language_of(heard), self._utterance + 1
            await outbox.send(
                Text(text, piece.start_ms, piece.end_ms, language, number, final=False, revision=self._guesses)
            )
            self._guesses += 1

    async def _settle(
        self, cut: Utterances, piece: Speech, heard: Heard, count: int, outbox: Outbox
    ) -> tuple[Speech, Heard]:
        """Give the first `count` sentences for good, and let go of their sound. What is left."""
        begin_s = heard.sentences[count].begin_s
        begin, end = int(max(0.0, begin_s - _BEFORE_S) * RATE), int((begin_s + _AFTER_S) * RATE)
        place = quietest(piece.samples, begin, end, RATE)
        said = Speech(piece.samples[:place], piece.start, RATE)
        for text in self._texts(said, evolve(heard, sentences=heard.sentences[:count])):
            await outbox.send(text)
        cut.let_go(said.end)
        self.when_settled(said.end)
        self._guesses = 0
        self._add("sentences settled while somebody still spoke", count)
        rest = [_later(sentence, place / RATE) for sentence in heard.sentences[count:]]
        return cut.so_far(), evolve(heard, sentences=rest)

    async def _hear(self, piece: Speech, whisper: Whisper, limiter: anyio.CapacityLimiter) -> Heard:
        language = None if self.language == "auto" else base(self.language)
        hear = partial(whisper.hear, piece.floats, language, self.task, self.beam)
        return await anyio.to_thread.run_sync(hear, abandon_on_cancel=True, limiter=limiter)

    def _texts(self, piece: Speech, heard: Heard) -> Iterator[Text]:
        """What was heard in `piece`, as items."""
        language = self._language_of(heard)
        if not self.sentences:
            self._utterance += 1
            if heard.sentences:
                text = " ".join(sentence.text for sentence in heard.sentences)
                yield Text(text, piece.start_ms, piece.end_ms, language, self._utterance)
            return
        for sentence in heard.sentences:
            self._utterance += 1
            begin = piece.start_ms + int(sentence.begin_s * 1000)
            end = min(piece.start_ms + int(sentence.end_s * 1000), piece.end_ms)
            yield Text(sentence.text, begin, max(begin, end), language, self._utterance)

    def _language_of(self, heard: Heard) -> str:
        if self.task == "translate":
            return "en-us"
        return full_tag(heard.language) if self.language == "auto" else canonical(self.language)

    def _count(self, heard: Heard) -> None:
        self._add("utterances")
        if heard.why_not:
            self._add(f"utterances without text ({heard.why_not})")
        if heard.redone:
            self._add("utterances decoded twice (repetition)")
        if heard.echoes:
            self._add("sentences left out (recognised twice)", heard.echoes)

    def _add(self, what: str, count: int = 1) -> None:
        self._counts[what] = self._counts.get(what, 0) + count


def _later(sentence: Sentence, by_s: float) -> Sentence:
    """The same, where the sound begins later."""
    return evolve(sentence, begin_s=max(0.0, sentence.begin_s - by_s), end_s=sentence.end_s - by_s)
