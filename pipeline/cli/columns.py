"""Rows of text under each other."""

from __future__ import annotations

import re
import unicodedata
from collections.abc import Iterator, Sequence

__all__ = ["columns", "width"]

_STYLE = re.compile(r"\x1b\[[0-9;]*m")


def width(text: str) -> int:
    """The cells that `text` takes on a terminal; colours take none, Chinese and Japanese characters two."""
    plain = _STYLE.sub("", text)
    return sum(
        0 if unicodedata.combining(char) else 2 if unicodedata.east_asian_width(char) in "WF" else 1
        for char in plain
    )


def columns(rows: Sequence[Sequence[str]], gap: int = 2) -> Iterator[str]:
    """Each row as a line, every cell but the last as wide as the widest of its column."""
    most = max((len(row) for row in rows), default=0)
    widths = [max((width(row[place]) for row in rows if place < len(row) - 1), default=0) for place in range(most)]
    for row in rows:
        cells = [cell + " " * (widths[place] - width(cell) + gap) for place, cell in enumerate(row[:-1])]
        yield "".join([*cells, row[-1]]).rstrip()
