"""What translates behind the server: the languages it can do, what it has to load, the stage for a session."""

from __future__ import annotations

from collections.abc import Callable, Hashable, Mapping
from functools import partial
from pathlib import Path
from typing import Protocol

import anyio
import anyio.to_thread
from attrs import define, field, frozen

from pipeline.stage import Stage
from stages.asr import Asr
from stages.languages import base
from stages.models.bergamot import Bergamot
from stages.models.silero import Silero
from stages.models.speakers import choose
from stages.models.whisper import Whisper
from stages.mt import Mt
from stages.translate import Translate
from stages.translate.languages import route
from stages.translate.realtime.events import SessionConfig
from stages.translate.realtime.interpreter import Interpreter
from stages.translate.realtime.transport import DEFAULT_BASE_URL
from stages.tts import Tts
from stages.vad import Vad

__all__ = ["Echo", "Engine", "Local", "Relay"]

ANY_TARGET = "en-us"
"""For a session that only transcribes: what is never read is not made."""


class Engine(Protocol):
    """What a server translates with. Its sessions share it."""

    @property
    def name(self) -> str: ...

    @property
    def clones(self) -> bool:
        """Whether it has cloned voices."""

    @property
    def marks(self) -> bool:
        """Whether a mark follows on each of its texts, which says where the utterance ends."""

    def check(self, session: SessionConfig) -> None:
        """Raises ValueError, in one line, where it cannot do the pair of (known) languages."""

    def ready(self, session: SessionConfig) -> bool:
        """Whether a session can begin without loading anything."""

    async def load(self, session: SessionConfig) -> None:
        """Load what a session needs, and keep it. Raises StageError where something is missing."""

    def interpreter(self, session: SessionConfig) -> Stage:
        """A stage that takes mono audio at 24 kHz, and has the ports `transcript`, `text` and `audio`."""


@frozen
class Echo:
    """Gives back what it hears, in utterances of two seconds. For tests of clients, and for measuring."""

    name = "echo"
    clones = False
    marks = True

    def check(self, session: SessionConfig) -> None:
        return None

    def ready(self, session: SessionConfig) -> bool:
        return True

    async def load(self, session: SessionConfig) -> None:
        return None

    def interpreter(self, session: SessionConfig) -> Stage:
        return Translate(
            engine="echo",
            source_language=session.source_language,
            target_language=session.target_language or ANY_TARGET,
        )


@define
class Local:
    """The models of this machine. Once loaded they are kept as long as the server runs.

    `partials_s`: guesses are told, and sentences settled, whenever so much more was said; None: only in pauses.
    """

    asr_model: Path | None = None
    mt_model: Path | None = None
    partials_s: float | None = 1.0
    _kept: dict[Hashable, object] = field(init=False, factory=dict)

    name = "local"
    clones = False
    marks = True

    def check(self, session: SessionConfig) -> None:
        if session.target_language:
            route(session.source_language, session.target_language, own_translation=self.mt_model is not None)

    def ready(self, session: SessionConfig) -> bool:
        return self._loaders(session).keys() <= self._kept.keys()

    async def load(self, session: SessionConfig) -> None:
        for key, loader in self._loaders(session).items():
            if key not in self._kept:
                self._kept[key] = await anyio.to_thread.run_sync(loader, abandon_on_cancel=True)

    def interpreter(self, session: SessionConfig) -> Translate:
        return Translate(
            engine="local",
            source_language=session.source_language,
            target_language=session.target_language or ANY_TARGET,
            asr_model=self.asr_model,
            mt_model=self.mt_model if session.target_language else None,
            partials_s=self.partials_s,
            ends_matter=True,  # a response is told whole before the next one
        )

    def _loaders(self, session: SessionConfig) -> Mapping[Hashable, Callable[[], object]]:
        spoken = "audio" in session.output_modalities and session.target_language
        stages = [part.stage for part in self.interpreter(session).parts().parts.values()]
        return dict(
            loader
            for stage in stages
            if (loader := _loader(stage)) is not None and (spoken or not isinstance(stage, Tts))
        )


@frozen
class Relay:
    """Another realtime service, hosted or ours. Its key, from CAMB_API_KEY, stays here."""

    base_url: str = DEFAULT_BASE_URL

    name = "realtime"
    clones = True
    marks = False

    def check(self, session: SessionConfig) -> None:
        if not session.target_language:
            raise ValueError("a relayed session needs a target language from the beginning")

    def ready(self, session: SessionConfig) -> bool:
        return True

    async def load(self, session: SessionConfig) -> None:
        return None

    def interpreter(self, session: SessionConfig) -> Stage:
        return Interpreter(
            source_language=session.source_language,
            target_language=session.target_language,
            mode="slow" if session.mode == "slow" else "fast",
            voice_id=session.voice_id,
            base_url=self.base_url,
        )


def _loader(stage: Stage) -> tuple[Hashable, Callable[[], object]] | None:
    """What loads the model of `stage`, and a name for it; None where it has none, or loads it when it runs."""
    match stage:
        case Vad():
            return "vad", Silero.load
        case Asr():
            return ("asr", stage.model, stage.threads), partial(Whisper.load, stage.model, stage.threads)
        case Mt(model=None):
            pair = base(stage.source_language), base(stage.target_language)
            return None if pair[0] == pair[1] else (pair, partial(Bergamot.load, *pair))
        case Tts():
            choice = choose(stage.language, stage.voice)
            return (choice, stage.threads), partial(choice.load, stage.threads)
    return None
