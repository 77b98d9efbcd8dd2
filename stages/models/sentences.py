"""Where a sentence ends: in text as recognisers write it, in any of the supported languages."""

from __future__ import annotations

import re
from collections.abc import Iterable

__all__ = ["pieces", "split_sentences"]

_CANDIDATE = re.compile(r"""[.!?…]+["'”’»)\]]*\s+|[。！？]+["'”’」』）]*\s*""")
_ABBREVIATION = re.compile(
    r"(?:^|[\s(\"'“‘])(?:Mr|Mrs|Ms|Dr|Prof|St|Sr|Sra|Srta|Jr|Mt|Gen|Col|Lt|Capt|Sgt|Rev|Hon|No|vs|etc|e\.g|i\.e|\w)\.$"
)
_SOFT = re.compile(r"(?<=[,;:—–、，；：])\s*|\s+(?=[-–—]\s)")


def split_sentences(text: str) -> list[str]:
    """The sentences of `text`, stripped, in order; none is empty. A title or an initial ends no sentence."""
    found, begin = [], 0
    for match in _CANDIDATE.finditer(text):
        head = text[begin : match.end()].strip()
        if _ABBREVIATION.search(head) or text[match.end() : match.end() + 1].islower():
            continue
        found.append(head)
        begin = match.end()
    found.append(text[begin:].strip())
    return [sentence for sentence in found if sentence]


def pieces(text: str, most: int) -> list[str]:
    """`text` in pieces of at most `most` characters: cut after clauses, else at spaces, else anywhere."""
    if len(text) <= most:
        return [text] if text.strip() else []
    parts = [part for part in _SOFT.split(text) if part.strip()]
    if len(parts) == 1:
        parts = text.split()
    if len(parts) == 1:
        parts = [text[begin : begin + most] for begin in range(0, len(text), most)]
    return [fitting for part in _together(parts, most) for fitting in pieces(part, most)]


def _together(parts: Iterable[str], most: int) -> list[str]:
    """Neighbours joined by a space while they fit into `most`."""
    joined: list[str] = []
    for part in parts:
        if joined and len(joined[-1]) + 1 + len(part) <= most:
            joined[-1] += " " + part
        else:
            joined.append(part)
    return joined
