"""Which language is spoken, in a session that has to find out: from one utterance after the other. Pure."""

from __future__ import annotations

from collections.abc import Iterator, Sequence

from attrs import define, field

from stages.languages import base
from stages.translate.realtime.events import Payload, SourceLanguageChanged, SwitchConfirmationRequested

__all__ = ["Detection"]

SUSTAINED = 2
"""Utterances in a row that make a known speaker's language another one; the protocol says "sustained speech"."""


@define
class Detection:
    """The source language of an automatic session, and what the client is told of it.

    With `changing_speakers` any utterance may switch it. A `single_known_speaker` needs two in a row, and is
    never taken to speak the language that is translated into: a confirmation is asked for instead.
    """

    setup: str = "changing_speakers"
    candidates: Sequence[str] = ()
    target_language: str = ""
    language: str | None = None
    """What is spoken, as far as it is known."""
    _pending: dict[str, str] = field(init=False, factory=dict)
    """Utterances by `item_id` that speak for another language, all for the same one."""
    _asked: str | None = field(init=False, default=None)

    def known(self, language: str) -> str | None:
        """The recogniser's `language` as one of the candidates; None where it is none of them."""
        if not self.candidates:
            return language or None
        return next((each for each in self.candidates if base(each) == base(language)), None)

    def hear(self, item_id: str, language: str | None) -> Iterator[Payload]:
        """What is to be told when the utterance `item_id` was in `language` (None: too short to tell)."""
        if language is None:
            return
        if language == self.language:
            self._pending.clear()
            self._asked = None
        elif self.language is None or self.setup != "single_known_speaker":
            yield from self.switch(language)
        else:
            yield from self._doubt(item_id, language)

    def ignore(self, item_id: str) -> None:
        """Do not count the utterance `item_id`; without effect once the switch has happened."""
        self._pending.pop(item_id, None)

    def switch(self, language: str) -> Iterator[Payload]:
        """From now on it is `language`."""
        previous, self.language = self.language, language
        self._pending.clear()
        self._asked = None
        if previous != language:
            yield SourceLanguageChanged(language, previous)

    def _doubt(self, item_id: str, language: str) -> Iterator[Payload]:
        if language not in self._pending.values():
            self._pending.clear()
        self._pending[item_id] = language
        if len(self._pending) < SUSTAINED:
            return
        if base(language) != base(self.target_language):
            yield from self.switch(language)
        elif self._asked != language:
            self._asked = language
            yield SwitchConfirmationRequested(language)
