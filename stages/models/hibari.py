"""hibari: an English voice (Kokoro's "heart", distilled) at a hundredth of real time on one core."""

from __future__ import annotations

import threading
from collections.abc import Iterator
from typing import Any

import numpy as np
from attrs import define, field
from numpy.typing import NDArray

from pipeline.stage import StageError
from stages.models.weights import HIBARI, installed, shared

__all__ = ["Hibari"]


@define
class Hibari:
    """The loaded voice. `speak` blocks and may be called from any thread."""

    _tts: Any
    _lock: threading.Lock = field(factory=threading.Lock)
    """Its text front end keeps state."""
    rate: int = field(init=False, default=24000)

    @classmethod
    def load(cls) -> Hibari:
        return shared("hibari", cls._load)

    @classmethod
    def _load(cls) -> Hibari:
        if not installed("hibari"):
            raise StageError("the English voice needs hibari-tts: pip install 'dragoman[local]'")
        import hibari

        HIBARI.read()
        voice = cls(hibari.Hibari())
        voice._tts.g2p  # noqa: B018 - its lexicon is loaded on first use, and that should not be the first sentence
        return voice

    def speak(self, text: str, speed: float) -> Iterator[NDArray[np.float32]]:
        """`text` as sound at 24 kHz (full scale 1.0), a sentence at a time; the same for the same text."""
        with self._lock:
            sentences = self._tts.phonemize(text)
        for spoken in sentences:
            yield self._tts.from_phonemes(spoken, speed, seed=0)
