"""Subtitles into a file."""

from __future__ import annotations

import itertools
from collections.abc import Iterable, Mapping
from pathlib import Path
from typing import ClassVar

from attrs import define, field

from pipeline.caps import TEXT, Caps, Port
from pipeline.items import Audio
from pipeline.stage import Inbox, Outbox, between, option
from stages.captions.cues import Cue, Cues, srt, vtt
from stages.out_file import named, out_file

__all__ = ["Subtitles"]


@define(kw_only=True)
class Subtitles:
    """Write final texts as subtitles that keep the rules of good subtitling, whatever the texts are like.

    Each is written as soon as it is certain, so that a killed process leaves a file that a player opens. The
    rules, and where they come from, stand in `stages.captions.cues`.
    """

    path: Path = option(
        help="the file, which is overwritten; its folder must exist. The suffix says the format: .srt or .vtt",
        check=named(".srt", ".vtt"),
        example="translated.srt",
        opens="writes",
    )
    max_line_chars: int | None = option(
        None,
        help="characters in a line; left out: 42, or 16 full-width ones in Japanese, Korean and Chinese",
        check=between(8, 200, "characters"),
    )
    max_lines: int = option(2, help="lines in a caption", check=between(1, 3, "lines"))
    min_ms: int = option(834, help="how long a caption is seen at least", check=between(1, 3000, "ms"))
    max_ms: int = option(7000, help="how long a caption is seen at most", check=between(3000, 60000, "ms"))
    gap_ms: int = option(84, help="the least time between two captions", check=between(0, 1000, "ms"))
    max_cps: float | None = option(
        None,
        help="characters a second that can be read, which a caption keeps to where the speech allows; left out: "
        "17, or 20 in English, 12 in Korean, 9 in Chinese, 4 in Japanese",
        check=between(1, 100, "characters a second"),
    )
    _cues: Cues | None = field(init=False, default=None)

    accepts: ClassVar[Mapping[str, Port]] = {"in": Port(TEXT)}

    def gives(self, caps: Mapping[str, Caps]) -> Mapping[str, Caps]:
        return {}

    async def run(self, inbox: Inbox, outbox: Outbox) -> None:
        self._cues = cues = Cues(
            max_line_chars=self.max_line_chars,
            max_lines=self.max_lines,
            min_ms=self.min_ms,
            max_ms=self.max_ms,
            gap_ms=self.gap_ms,
            max_cps=self.max_cps,
        )
        is_vtt = self.path.suffix.lower() == ".vtt"
        numbers = itertools.count(1)

        def write(some: Iterable[Cue]) -> None:
            for cue in some:
                file.append((vtt(cue) if is_vtt else srt(cue, next(numbers))).encode())

        with out_file(self.path) as file:
            file.append(b"WEBVTT\n\n" if is_vtt else b"")
            try:
                async for item in inbox:
                    if not isinstance(item, Audio):
                        write(cues.feed(item))
            finally:  # cut off, too, the last utterance is worth having
                write(cues.flush())

    def counts(self) -> Mapping[str, int]:
        return self._cues.counts() if self._cues else {}
