"""A translation model of the user's own: any CTranslate2 directory with its SentencePiece files.

Three layouts are told apart by their files: OPUS-MT (`source.spm`, `target.spm`), Argos (`sentencepiece.model`,
beside or above the model's folder) and NLLB (`sentencepiece.bpe.model`, languages as tokens).
"""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import Any

from attrs import define

from pipeline.stage import StageError
from stages.languages import LANGUAGES, canonical
from stages.models.weights import shared

__all__ = ["Ct2Translation"]

_SOURCE = ("source.spm", "sentencepiece.bpe.model", "sentencepiece.model", "spm.model", "spiece.model")
_TARGET = ("target.spm", *_SOURCE[1:])


@define
class Ct2Translation:
    """A loaded model for one pair of languages. `translate` blocks and may be called from any thread."""

    _model: Any
    _source: Any
    _target: Any
    _prefix: list[str]
    """Tokens before the source; NLLB's name its language."""
    _target_prefix: list[str]
    """Tokens that the target begins with."""

    @classmethod
    def load(cls, folder: Path, source: str, target: str, threads: int = 1) -> Ct2Translation:
        """The model in `folder` for these languages. Raises StageError where there is none, or it lacks a file."""
        key = ("ct2", folder, source, target, threads)
        return shared(key, lambda: cls._load(folder, source, target, threads))

    @classmethod
    def _load(cls, folder: Path, source: str, target: str, threads: int) -> Ct2Translation:
        import ctranslate2

        home = folder / "model" if (folder / "model" / "model.bin").is_file() else folder
        places = (home, home.parent)
        try:
            model = ctranslate2.Translator(str(home), device="cpu", compute_type="int8", intra_threads=threads)
        except (RuntimeError, ValueError) as error:
            raise StageError(f"no CTranslate2 translation model in {folder}: {error}") from error
        pieces = _pieces(places, _SOURCE)
        languages = _tokens_of(pieces.name == "sentencepiece.bpe.model", source, target)
        return cls(model, _processor(pieces), _processor(_pieces(places, _TARGET)), *languages)

    def translate(self, sentence: str) -> str:
        """`sentence` in the other language."""
        tokens = [*self._prefix, *self._source.encode(sentence, out_type=str), "</s>"]
        prefix = [self._target_prefix] if self._target_prefix else None
        result = self._model.translate_batch([tokens], target_prefix=prefix, beam_size=2, max_decoding_length=256)
        found = result[0].hypotheses[0][len(self._target_prefix) :]
        return str(self._target.decode(found)).strip()


def _pieces(places: tuple[Path, ...], names: tuple[str, ...]) -> Path:
    for place in places:
        for name in names:
            if (place / name).is_file():
                return place / name
    raise StageError(f"the translation model in {places[0]} has no SentencePiece file: one of {', '.join(names)}")


def _processor(path: Path) -> Any:
    try:
        import sentencepiece
    except ImportError as missing:
        raise StageError("a translation model by path needs sentencepiece: pip install sentencepiece") from missing
    return sentencepiece.SentencePieceProcessor(model_file=str(path))


def _tokens_of(many_languages: bool, source: str, target: str) -> tuple[list[str], list[str]]:
    """The tokens before the source and before the target."""
    if not many_languages:
        return [], []
    names: Mapping[str, str] = {tag: language.nllb for tag, language in LANGUAGES.items()}
    return [_nllb(names, source)], [_nllb(names, target)]


def _nllb(names: Mapping[str, str], tag: str) -> str:
    known = names.get(canonical(tag))
    if known is None:
        raise StageError(f"a model of many languages needs one of {', '.join(names)}, not {tag}", code=2)
    return known
