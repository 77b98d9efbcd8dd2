"""Which sentences are settled while somebody still speaks: those whose end two guesses in a row agree on. Pure.

LocalAgreement-2 (Liu et al. 2020, "Low-latency sequence-to-sequence speech recognition and translation by partial
hypothesis selection"; Macháček et al. 2023, "Turning Whisper into real-time transcription system"), on the ends of
sentences: a recogniser that hears an utterance anew may spell a hard word otherwise each time, and yet be sure
where a sentence ends. A full stop at the very end of a guess says nothing, since Whisper puts one where a sound is
cut off; so the next sentence must have been heard behind it.
"""

from __future__ import annotations

from collections.abc import Sequence
from difflib import SequenceMatcher

from stages.models.loop_guard import WORDS_PER_SECOND, word_count
from stages.models.whisper import Sentence

__all__ = ["settled"]

_END_LETTERS = 4
"""They end with the same letters, and the same sign."""
_NEAR_S = 0.3
"""The next sentence begins at the same time in both guesses, if it is the same."""
_ALIKE = 0.75
"""So much of the letters is the same up to there; else one of the guesses has left something out."""


def settled(before: Sequence[Sentence], now: Sequence[Sentence]) -> int:
    """How many of the first sentences of `now` are settled, `before` being the guess before it on the same sound.

    Never all of them: the last one is still being spoken.
    """
    for count in range(len(now) - 1, 0, -1):
        if any(_agree(before, other, now, count) for other in range(1, len(before))):
            return count
    return 0


def _agree(before: Sequence[Sentence], other: int, now: Sequence[Sentence], count: int) -> bool:
    """Whether the first `other` sentences of `before` are the first `count` of `now`."""
    if abs(before[other].begin_s - now[count].begin_s) > _NEAR_S:
        return False
    texts = _joined(before[:other]), _joined(now[:count])
    if texts[0][-_END_LETTERS:] != texts[1][-_END_LETTERS:]:
        return False
    if word_count(texts[1]) > WORDS_PER_SECOND * now[count].begin_s:
        return False  # nobody says so much before: the time is wrong, and the sound would be cut within it
    return SequenceMatcher(None, *texts, autojunk=False).ratio() >= _ALIKE


def _joined(sentences: Sequence[Sentence]) -> str:
    return " ".join(sentence.text for sentence in sentences).casefold()
