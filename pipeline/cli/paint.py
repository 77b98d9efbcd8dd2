"""Colours for a line of text, where whoever reads it has a terminal and wants them. Imports nothing."""

from __future__ import annotations

import os
from typing import IO

__all__ = ["colourful", "paint"]

_CODES = {"bold": "1", "dim": "2", "red": "31", "green": "32", "yellow": "33", "blue": "34", "cyan": "36"}


def colourful(stream: IO[str]) -> bool:
    """Whether `stream` shows colours: a terminal does, unless no-color.org or force-color.org say otherwise."""
    if os.environ.get("NO_COLOR"):
        return False
    return bool(os.environ.get("FORCE_COLOR")) or (stream.isatty() and os.environ.get("TERM") != "dumb")


def paint(text: str, style: str, stream: IO[str]) -> str:
    """`text` in `style` (words such as `bold red`) for `stream`."""
    if not text or not style or not colourful(stream):
        return text
    return f"\x1b[{';'.join(_CODES[word] for word in style.split())}m{text}\x1b[0m"
