"""What was said of late in words, and how much of a text is in it."""

from __future__ import annotations

import unicodedata
from collections import deque

import numpy as np
from attrs import define, field

__all__ = ["Said", "plain"]

KEPT = 16
_MOST = 400
"""Letters of a text that are compared; what is longer is long enough."""


@define
class Said:
    """The last texts that a voice spoke."""

    _texts: deque[str] = field(init=False, factory=lambda: deque(maxlen=KEPT))

    def note(self, text: str) -> None:
        self._texts.append(plain(text))

    def share(self, text: str) -> float:
        """How much of `text` was said: 1 letter for letter, about 0.4 where it is something else; 0 without words.

        One less the edits that lead from the text to the part of what was said that is nearest to it, a letter
        (Sellers 1980). Case, accents and punctuation do not count.
        """
        letters, said = plain(text)[:_MOST], " ".join(self._texts)
        if not letters or not said:
            return 0.0
        return max(0.0, 1 - _edits(letters, said) / len(letters))


def plain(text: str) -> str:
    """Small letters and digits of any script, with a space between words.

    >>> plain("Não, é o fim!")
    'nao e o fim'
    """
    bare = (char for char in unicodedata.normalize("NFKD", text.casefold()) if not unicodedata.combining(char))
    return " ".join("".join(char if char.isalnum() else " " for char in bare).split())


def _edits(text: str, said: str) -> int:
    """The fewest edits between `text` and any part of `said`."""
    there = np.array([ord(char) for char in said])
    places = np.arange(len(said) + 1)
    row = np.zeros(len(said) + 1, np.int64)
    for number, char in enumerate(text, start=1):
        replaced = row[:-1] + (there != ord(char))
        best = np.minimum(np.concatenate([[number], replaced]), row + 1)
        row = np.minimum.accumulate(best - places) + places
    return int(row.min())
