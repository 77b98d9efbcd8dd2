"""Reads a subtitle file and checks that it keeps the rules of captions. Knows nothing of how it was made.

Its parsers, its measure of a line and its rules are its own: it imports nothing of ours.
"""

from __future__ import annotations

import itertools
import re
import unicodedata
from dataclasses import dataclass
from fractions import Fraction

FRAME_MS = Fraction(1000, 24)
SRT_TIMES = re.compile(r"(\d{2,}):(\d\d):(\d\d),(\d{3}) --> (\d{2,}):(\d\d):(\d\d),(\d{3})")
VTT_TIMES = re.compile(r"(\d{2,}):(\d\d):(\d\d)\.(\d{3}) --> (\d{2,}):(\d\d):(\d\d)\.(\d{3})")
ESCAPE = re.compile(r"&(amp|lt|gt);")


@dataclass(frozen=True)
class Seen:
    """A caption as it stands in the file, its escapes undone."""

    start_ms: int
    end_ms: int
    lines: tuple[str, ...]

    @property
    def ms(self) -> int:
        return self.end_ms - self.start_ms


def parse_srt(text: str) -> list[Seen]:
    blocks = _blocks(text)
    for number, block in enumerate(blocks, 1):
        assert block[0] == str(number), f"block {number} is numbered {block[0]!r}"
        for line in block[2:]:
            assert not set("<>{}") & set(line), f"a player may take {line!r} for markup"
    return [_seen(block[1], block[2:], SRT_TIMES) for block in blocks]


def parse_vtt(text: str) -> list[Seen]:
    head, *blocks = _blocks(text)
    assert head == ["WEBVTT"]
    for block in blocks:
        for line in block[1:]:
            assert not re.search(r"[<>]|&(?!(amp|lt|gt);)", line), f"{line!r} is not escaped"
    return [_seen(block[0], [_unescaped(line) for line in block[1:]], VTT_TIMES) for block in blocks]


def check(cues: list[Seen], language: str, line_chars: float | None = None, max_lines: int = 2) -> None:
    """Assert every rule on every caption and on every two neighbours."""
    for cue in cues:
        assert 1 <= len(cue.lines) <= max_lines, f"{len(cue.lines)} lines"
        assert Fraction(5000, 6) <= cue.ms <= 7000, f"seen for {cue.ms} ms"
        assert cue.start_ms >= 0
        for line in cue.lines:
            _check_line(line, language, line_chars)
    for one, two in itertools.pairwise(cues):
        assert two.start_ms - one.end_ms >= 2 * FRAME_MS, f"{two.start_ms - one.end_ms} ms apart"


def _check_line(line: str, language: str, line_chars: float | None) -> None:
    limit = line_chars or (16 if full_width(language) else 42)
    assert characters(line, language) <= limit, f"{characters(line, language)} characters in {line!r}"
    assert line.strip() == line, f"spaces around {line!r}"
    assert line, "an empty line"
    assert "-->" not in line
    for character in line:
        assert unicodedata.category(character) not in ("Cc", "Cs", "Zl", "Zp"), f"{character!r} in {line!r}"
        assert character not in "\u202a\u202b\u202c\u202d\u202e\u2066\u2067\u2068\u2069", "a direction override"


def full_width(language: str) -> bool:
    return language[:2].lower() in ("ja", "ko", "zh")


def characters(line: str, language: str) -> Fraction:
    """How many characters `line` has: accents none; in full-width languages a half-width one is half of one."""
    total = Fraction(0)
    for character in line:
        if unicodedata.category(character) in ("Mn", "Me", "Cf"):
            continue
        wide = unicodedata.east_asian_width(character) in ("W", "F")
        total += Fraction(2 if wide else 1, 2 if full_width(language) else 1)
    return total


def characters_a_second(cue: Seen, language: str) -> Fraction:
    return sum((characters(line, language) for line in cue.lines), Fraction(0)) * 1000 / cue.ms


def _blocks(text: str) -> list[list[str]]:
    assert text == "" or text.endswith("\n\n"), "the last block is not closed"
    assert "\r" not in text
    return [block.split("\n") for block in text[:-2].split("\n\n")] if text else []


def _seen(times: str, lines: list[str], pattern: re.Pattern[str]) -> Seen:
    match = pattern.fullmatch(times)
    assert match, f"{times!r} are no times"
    h1, m1, s1, ms1, h2, m2, s2, ms2 = map(int, match.groups())
    assert max(m1, s1, m2, s2) < 60
    return Seen(((h1 * 60 + m1) * 60 + s1) * 1000 + ms1, ((h2 * 60 + m2) * 60 + s2) * 1000 + ms2, tuple(lines))


def _unescaped(line: str) -> str:
    return ESCAPE.sub(lambda match: {"amp": "&", "lt": "<", "gt": ">"}[match[1]], line)
