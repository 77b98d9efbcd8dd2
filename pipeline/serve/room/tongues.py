"""How an engine makes the languages of a room: which it offers, and of which stages each is made.

Two ways. The models of this machine recognise once; all languages are made from those texts, the voice of each
apart, since it costs most. Any other engine hears, translates and speaks in one piece, once for each language.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Literal, Protocol

from attrs import evolve, frozen

from pipeline.caps import TEXT, AudioCaps, Caps
from pipeline.graph import Graph
from pipeline.serve.engine import ANY_TARGET, Engine, Local
from stages.asr import Asr
from stages.languages import LANGUAGES, base
from stages.mt import Mt
from stages.resample import Resample
from stages.room.board import translated
from stages.room.wire import Offer
from stages.translate.languages import Route, route
from stages.translate.realtime.events import SAMPLE_RATE_HZ, SessionConfig
from stages.tts import Tts
from stages.vad import Vad

__all__ = ["Key", "Kind", "Tongues", "tongues_of"]

Kind = Literal["captions", "voice"]
WELL = ("good", "fair", "as good as the model")


@frozen
class Key:
    """What can be started and ended: the captions of a language, or its voice where that is apart."""

    source: str
    language: str
    kind: Kind

    def __str__(self) -> str:
        return f"{self.language} {self.kind}"


class Tongues(Protocol):
    """What a hall asks of an engine."""

    apart: bool
    """Whether voices are made apart from captions."""

    def offer(self, source: str, target: str) -> Offer:
        """`target` as a listener sees it. Raises ValueError, in one line, where there is no way to it."""

    def all(self, source: str) -> Sequence[Offer]:
        """What can be offered without having been asked for."""

    def hear(self, graph: Graph, source: str) -> tuple[str, str]:
        """Add what recognises behind `ears`; what gives the transcript, and the sound for those who listen too."""

    def needs(self, key: Key) -> Key | None:
        """What `key` is made from, where that is not what was said."""

    def reads(self, key: Key) -> tuple[str | None, Caps]:
        """The language whose texts it is made from, or None for the sound; and what of that it takes."""

    def make(self, graph: Graph, key: Key) -> Mapping[str, str]:
        """Add the stages behind `fed`; what gives `text`, and `audio`, where there is one."""

    def session(self, key: Key) -> SessionConfig:
        """A session for which the same models have to be loaded."""


def tongues_of(engine: Engine) -> Tongues:
    return OfModels(engine) if isinstance(engine, Local) else InOnePiece(engine)


@frozen
class OfModels:
    """Recognition, translation and voices apart."""

    engine: Local
    apart = True

    def offer(self, source: str, target: str) -> Offer:
        return translated(target, self._route(source, target).quality, voice=True)

    def all(self, source: str) -> Sequence[Offer]:
        others = [tag for tag in LANGUAGES if base(tag) != base(source)]
        found = [offer for tag in others if (offer := self._offer(source, tag)) is not None]
        return [offer for offer in found if offer.quality in WELL] or found

    def hear(self, graph: Graph, source: str) -> tuple[str, str]:
        vad = Vad()
        asr = evolve(self._asr(source, "transcribe"), when_settled=vad.begin_anew)
        graph.add("pcm", Resample(rate=16000, channels=1), reads="ears")
        graph.add("vad", vad, reads="pcm").add("asr", asr, reads="vad")
        return "asr", "vad"

    def needs(self, key: Key) -> Key | None:
        if key.kind == "voice":
            return Key(key.source, key.language, "captions")
        way = self._route(key.source, key.language)
        if way.task == "translate" and way.pivot is not None:
            return Key(key.source, way.pivot, "captions")
        return None

    def reads(self, key: Key) -> tuple[str | None, Caps]:
        if (needed := self.needs(key)) is not None:
            return needed.language, TEXT
        if self._route(key.source, key.language).task == "translate":
            return None, AudioCaps(16000, 1)
        return key.source, TEXT

    def make(self, graph: Graph, key: Key) -> Mapping[str, str]:
        if key.kind == "voice":
            graph.add("tts", Tts(language=key.language), reads="noted")
            return {"audio": "tts"}
        way = self._route(key.source, key.language)
        if way.task == "translate" and way.pivot is None:
            graph.add("asr", self._asr(key.source, "translate"), reads="fed")
            return {"text": "asr"}
        mt = Mt(source_language=way.pivot or way.source, target_language=way.target, model=self.engine.mt_model)
        graph.add("mt", mt, reads="fed")
        return {"text": "mt"}

    def session(self, key: Key) -> SessionConfig:
        return SessionConfig(key.source, key.language, ("audio",) if key.kind == "voice" else ("text",))

    def _route(self, source: str, target: str) -> Route:
        return route(source, target, own_translation=self.engine.mt_model is not None)

    def _offer(self, source: str, target: str) -> Offer | None:
        try:
            return self.offer(source, target)
        except ValueError:
            return None

    def _asr(self, source: str, task: Literal["transcribe", "translate"]) -> Asr:
        return Asr(language=source, task=task, model=self.engine.asr_model, partials_s=self.engine.partials_s)


@frozen
class InOnePiece:
    """One interpreter a language, each of which hears for itself."""

    engine: Engine
    apart = False

    def offer(self, source: str, target: str) -> Offer:
        self.engine.check(SessionConfig(source, target))
        return translated(target, "good", voice=True)

    def all(self, source: str) -> Sequence[Offer]:
        return [self.offer(source, tag) for tag in LANGUAGES if base(tag) != base(source)]

    def hear(self, graph: Graph, source: str) -> tuple[str, str]:
        """Listened to by an interpreter whose translation nobody reads."""
        unread = next(tag for tag in (ANY_TARGET, "pt-br") if base(tag) != base(source))
        graph.add("interpreter", self.engine.interpreter(SessionConfig(source, unread)), reads="ears")
        return "interpreter.transcript", "ears"

    def needs(self, key: Key) -> Key | None:
        return None

    def reads(self, key: Key) -> tuple[str | None, Caps]:
        return None, AudioCaps(SAMPLE_RATE_HZ, 1)

    def make(self, graph: Graph, key: Key) -> Mapping[str, str]:
        graph.add("interpreter", self.engine.interpreter(self.session(key)), reads="fed")
        return {"text": "interpreter.text", "audio": "interpreter.audio"}

    def session(self, key: Key) -> SessionConfig:
        return SessionConfig(key.source, key.language)
