"""Word error rate, for tests of the recogniser and of what the voices say."""

from __future__ import annotations

import re
import unicodedata

import numpy as np

__all__ = ["error_rate", "words"]

_NUMBERS = {"14 55": "fourteen fifty five", "1455": "fourteen fifty five", "15th": "fifteenth", "42": "forty two"}


def words(text: str) -> list[str]:
    """Lower-case words without punctuation; numbers that our recordings have are spelled out."""
    plain = unicodedata.normalize("NFC", text.lower()).replace("’", "'").replace("-", " ")
    for digits, spelled in _NUMBERS.items():
        plain = re.sub(rf"\b{digits}\b", spelled, plain)
    return re.findall(r"[\w']+", plain)


def error_rate(wanted: str, came: str) -> float:
    """Words to insert, delete or replace, as a part of the words wanted (Levenshtein)."""
    reference, guess = words(wanted), words(came)
    row = np.arange(len(guess) + 1)
    for number, word in enumerate(reference, 1):
        replaced = row[:-1] + np.array([word != other for other in guess], dtype=int)
        row = np.minimum(np.concatenate([[number], replaced]), row + 1)
        row = np.minimum.accumulate(row - np.arange(len(row))) + np.arange(len(row))
    return float(row[-1]) / max(1, len(reference))
