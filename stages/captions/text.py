"""What a text is made of on a screen: clean text, its width, and the characters as readers see them."""

from __future__ import annotations

import unicodedata
from collections.abc import Iterator
from functools import lru_cache

__all__ = ["clean", "clusters", "ideographic", "width"]

_ZWNJ, _ZWJ = "\u200c", "\u200d"
_KEPT = {_ZWNJ, _ZWJ, "\u200e", "\u200f"}
"""Format characters that a text needs: joiners (Hindi, Arabic, emoji) and the two direction marks."""

_VIRAMA = 9
"""The combining class of signs that join the consonant before to the one after, as in Hindi's क्ष."""


def clean(text: str) -> str:
    """`text` as one line that can stand in any subtitle file or terminal: no control characters, single spaces.

    Format characters go too, but for joiners and direction marks: a direction *override* would turn around what
    comes after it. The arrow `-->`, which parts the times in SRT and WebVTT, becomes a real one. What
    could not be seen is left out.
    """
    if not (text.isascii() and text.isprintable()):
        text = "".join(map(_cleaned, text))
    return " ".join(word for word in text.replace("-->", "→").split() if width(word))


def _cleaned(character: str) -> str:
    category = unicodedata.category(character)
    if character.isspace() or category[0] == "Z":
        return " "
    if category == "Cs":
        return "\ufffd"
    if category in ("Cc", "Cf") and character not in _KEPT:
        return ""
    return character


def width(text: str) -> int:
    """How wide `text` is in halves of a full-width character: Latin letters take one, kanji two, accents none."""
    return len(text) if text.isascii() and text.isprintable() else sum(map(_units, text))


@lru_cache(maxsize=4096)
def _units(character: str) -> int:
    if unicodedata.category(character) in ("Mn", "Me", "Cf", "Cc"):
        return 0
    return 2 if unicodedata.east_asian_width(character) in "WF" else 1


def ideographic(character: str) -> bool:
    """Whether lines may be broken beside `character` without a space: kanji and kana, and not Hangul."""
    return unicodedata.east_asian_width(character) in "WF" and not _hangul(character)


def clusters(text: str) -> Iterator[str]:
    """The characters as readers see them, each with its accents, joined emoji and conjuncts: never to be split.

    Close to the extended grapheme clusters of Unicode's UAX 29, without its tables: where they differ, more is
    kept together.
    """
    begin, flags = 0, 0
    for at in range(1, len(text)):
        flags = flags + 1 if _flag_letter(text[at - 1]) else 0
        if not (_extends(text[at]) or _joined(text[at - 1], text[at], flags)):
            yield text[begin:at]
            begin = at
    if text:
        yield text[begin:]


def _extends(character: str) -> bool:
    """Whether `character` belongs to whatever is before it."""
    if character.isascii():
        return False
    category = unicodedata.category(character)
    tone = "\U0001f3fb" <= character <= "\U0001f3ff"
    return category in ("Mn", "Me", "Mc", "Cf") or tone or character in "\u0e33\u0eb3" or _jamo_tail(character)


def _joined(last: str, character: str, flags: int) -> bool:
    """Whether `last` holds on to `character`; `flags` counts the flag letters that end with `last`."""
    if last.isascii():
        return False
    if last == _ZWJ or unicodedata.combining(last) == _VIRAMA:
        return not character.isspace()
    if _flag_letter(last) and _flag_letter(character):
        return flags % 2 == 1
    return "\u1100" <= last <= "\u115f" and _hangul(character)


def _flag_letter(character: str) -> bool:
    return "\U0001f1e6" <= character <= "\U0001f1ff"


def _hangul(character: str) -> bool:
    return (
        "\u1100" <= character <= "\u11ff" or "\uac00" <= character <= "\ud7ff" or "\u3130" <= character <= "\u318f"
    )


def _jamo_tail(character: str) -> bool:
    return "\u1160" <= character <= "\u11ff" or "\ud7b0" <= character <= "\ud7fb"
