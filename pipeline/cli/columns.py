"""Rows of text under each other, as wide as there is room."""

from __future__ import annotations

import os
import re
import textwrap
import unicodedata
from collections.abc import Iterator, Sequence
from typing import IO

__all__ = ["columns", "room_on", "width"]

LEAST, USUAL = 20, 80
"""Cells that a wrapped column has at least, and those of a terminal that does not tell."""

_STYLE = re.compile(r"\x1b\[[0-9;]*m")


def width(text: str) -> int:
    """The cells that `text` takes on a terminal; colours take none, Chinese and Japanese characters two."""
    plain = _STYLE.sub("", text)
    return sum(
        0 if unicodedata.combining(char) else 2 if unicodedata.east_asian_width(char) in "WF" else 1
        for char in plain
    )


def room_on(stream: IO[str]) -> int | None:
    """The cells of a line on the terminal that `stream` is, or what COLUMNS says; None where it is no terminal."""
    if not stream.isatty():
        return None
    told = os.environ.get("COLUMNS", "")
    if told.isdecimal() and int(told):
        return int(told)
    try:
        return os.get_terminal_size(stream.fileno()).columns or USUAL
    except OSError:
        return USUAL


def columns(rows: Sequence[Sequence[str]], gap: int = 2, room: int | None = None) -> Iterator[str]:
    """Each row as a line, every cell but the last as wide as the widest of its column.

    The last cell is broken into lines under each other where a line would be longer than `room`; colours do not
    go with that.
    """
    most = max((len(row) for row in rows), default=0)
    widths = [max((width(row[place]) for row in rows if place < len(row) - 1), default=0) for place in range(most)]
    for row in rows:
        cells = [cell + " " * (widths[place] - width(cell) + gap) for place, cell in enumerate(row[:-1])]
        yield from _wrapped("".join(cells), row[-1], room)


def _wrapped(start: str, text: str, room: int | None) -> Iterator[str]:
    indent = width(start)
    if room is None or not text or indent + width(text) <= room:
        yield f"{start}{text}".rstrip()
        return
    for number, line in enumerate(textwrap.wrap(text, max(room - indent, LEAST), break_on_hyphens=False)):
        yield f"{' ' * indent if number else start}{line}"
