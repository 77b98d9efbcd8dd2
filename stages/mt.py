"""Text into another language, on this machine."""

from __future__ import annotations

from collections.abc import Mapping
from functools import partial
from pathlib import Path
from typing import ClassVar, Protocol

import anyio
import anyio.to_thread
from attrs import define, evolve, field

from pipeline.caps import TEXT, Caps, Port
from pipeline.items import Text
from pipeline.stage import Inbox, Outbox, between, option
from stages.languages import base, canonical, checked
from stages.models.bergamot import DIRECTIONS, Bergamot
from stages.models.ct2_translation import Ct2Translation
from stages.models.sentences import split_sentences

__all__ = ["Mt"]


class Translator(Protocol):
    """A loaded translation model."""

    def translate(self, sentence: str) -> str:
        """`sentence`, not empty, in the other language. Blocks."""


@define(kw_only=True)
class Mt:
    """Translate texts, sentence by sentence. Times and utterance numbers stay; the marks that come pass in order.

    Without a `model` it knows English and Portuguese, both ways. A text that is in the target language
    already passes as it is.
    """

    source_language: str = option(help="the language that comes", check=checked, example="en-us")
    target_language: str = option(help="the language to give", check=checked, example="pt-br")
    model: Path | None = option(
        None,
        help="the folder of a CTranslate2 translation model with its SentencePiece files, for any other pair",
    )
    threads: int = option(1, help="processor cores to use; a sentence takes milliseconds", check=between(1, 64))

    limiter: anyio.CapacityLimiter | None = field(default=None, repr=False)
    """What its work in threads waits for; None: one of its own. Graphs that run at once may share one."""

    _status: str = field(init=False, default="")
    _translated: int = field(init=False, default=0)

    accepts: ClassVar[Mapping[str, Port]] = {"in": Port(TEXT)}

    def gives(self, caps: Mapping[str, Caps]) -> Mapping[str, Caps]:
        """Text. Raises ValueError for a pair that no model at hand translates."""
        pair = self._pair
        if self.model is None and pair[0] != pair[1] and pair not in DIRECTIONS:
            known = ", ".join(f"{source} to {target}" for source, target in DIRECTIONS)
            raise ValueError(
                f"no model translates {pair[0]} to {pair[1]}: there is {known}; "
                "for others give `model`, the folder of a CTranslate2 translation model"
            )
        return {"out": TEXT}

    @property
    def status(self) -> str:
        return self._status

    def counts(self) -> Mapping[str, int]:
        return {"texts translated": self._translated}

    @property
    def _pair(self) -> tuple[str, str]:
        return base(self.source_language), base(self.target_language)

    async def run(self, inbox: Inbox, outbox: Outbox) -> None:
        limiter = self.limiter or anyio.CapacityLimiter(1)
        translator = await self._load(limiter)
        target = canonical(self.target_language)
        async for item in inbox:
            if not isinstance(item, Text):
                await outbox.send(item)
            elif translator is None or not item.text.strip() or base(item.language) == base(target):
                await outbox.send(evolve(item, language=target))
            else:
                work = partial(_translate, translator, item.text)
                text = await anyio.to_thread.run_sync(work, abandon_on_cancel=True, limiter=limiter)
                self._translated += 1
                await outbox.send(evolve(item, text=text, language=target))

    async def _load(self, limiter: anyio.CapacityLimiter) -> Translator | None:
        """The model; None where the languages are the same and there is nothing to do."""
        source, target = self._pair
        if self.model is None and source == target:
            return None
        self._status = f"loading the translation {source} to {target}"
        translator = await anyio.to_thread.run_sync(self._open, abandon_on_cancel=True, limiter=limiter)
        self._status = ""
        return translator

    def _open(self) -> Translator:
        source, target = self._pair
        if self.model is None:
            return Bergamot.load(source, target)
        if (self.model / "model.bin").is_file() or (self.model / "model" / "model.bin").is_file():
            languages = canonical(self.source_language), canonical(self.target_language)
            return Ct2Translation.load(self.model, *languages, threads=self.threads)
        return Bergamot.of_folder(self.model)


def _translate(translator: Translator, text: str) -> str:
    return " ".join(translator.translate(sentence) for sentence in split_sentences(text))
