"""Signs that a recogniser has lost the thread: it repeats itself, or says more than anyone can.

Decoding without padding is 2 to 5 times as fast, and its one failure is repetition: unguarded, every third
word of short prompts was wrong; guarded, the error is that of the full window.
"""

from __future__ import annotations

import unicodedata
from collections.abc import Sequence

__all__ = ["echoes", "loops", "word_count"]

WORDS_PER_SECOND = 5
"""Fast speech is 3 to 4 words a second."""
SPARE_WORDS = 3
"""A word in half a second is no loop."""
FEW_WORDS = 2
LONGEST_PHRASE = 10


def loops(text: str, seconds: float) -> bool:
    """Whether `text`, recognised in `seconds` of sound, is likely a loop rather than speech."""
    words = text.lower().split()
    if word_count(text) > WORDS_PER_SECOND * seconds + SPARE_WORDS:
        return True
    return _repeats(words) or (len(words) <= 2 and _repeats(text))


def echoes(before: str, text: str, seconds: float) -> bool:
    """Whether `text` is what was said `before` it once more, in fewer `seconds` than anybody needs to say it.

    A short utterance is sometimes recognised twice over, its echo lying in the silence behind it. People do say
    "thank you" twice, and quickly: so few words are never taken for one.
    """
    least = max(FEW_WORDS, WORDS_PER_SECOND * seconds)
    return _letters(text) == _letters(before) and word_count(text) > least


def word_count(text: str) -> float:
    """Words; in scripts without spaces a character counts as half of one."""
    wide = sum(unicodedata.east_asian_width(char) == "W" for char in text)
    return wide / 2 if wide > len(text) / 2 else len(text.split())


def _letters(text: str) -> str:
    return "".join(char for char in text.casefold() if char.isalnum())


def _repeats(units: Sequence[str]) -> bool:
    """Whether some phrase comes at least thrice running (a single word five times, two words four times)."""
    return any(_runs(units, size) >= {1: 5, 2: 4}.get(size, 3) for size in range(1, LONGEST_PHRASE + 1))


def _runs(units: Sequence[str], size: int) -> int:
    """How often the most repeated phrase of `size` units follows itself, counting itself."""
    best = same = 0
    for index in range(size, len(units)):
        same = same + 1 if units[index] == units[index - size] else 0
        best = max(best, same)
    return best // size + 1 if len(units) >= size else 0
