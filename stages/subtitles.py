"""Subtitles into a file."""

from __future__ import annotations

import itertools
from collections import deque
from collections.abc import Callable, Iterable, Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path
from typing import ClassVar

from attrs import define, field

from pipeline.caps import TEXT, Caps, Port
from pipeline.items import Audio
from pipeline.stage import Duration, Inbox, Outbox, between, option
from stages.captions.cues import Cue, Cues, srt, vtt
from stages.out_file import named, out_file, probe_file, replace_file

__all__ = ["Subtitles"]


@define(kw_only=True)
class Subtitles:
    """Write final texts as subtitles that keep the rules of good subtitling, whatever the texts are like.

    Each is written as soon as it is certain, so that a killed process leaves a file that a player opens. The
    rules, and where they come from, stand in `stages.captions.cues`.

    A `.vtt` is a live file: in a new one the header is there from the start, a caption is added in one piece, and
    what was written never changes, so that others may read it, or follow it, while it grows. A caption is certain
    when the next utterance begins, or about a second into the silence behind it. For a player that loads the file
    again and again, over hours, `keep` holds it short.
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
    keep: Duration | None = option(
        None,
        help="only the captions of so long a time, such as 60s; the file is then replaced with each, as a whole; "
        "left out: all, and the file grows",
        check=between(1, 86400, "s"),
    )
    _cues: Cues | None = field(init=False, default=None)

    accepts: ClassVar[Mapping[str, Port]] = {"in": Port(TEXT)}

    def gives(self, caps: Mapping[str, Caps]) -> Mapping[str, Caps]:
        return {}

    def probe(self) -> None:
        """Raises: StageError where the file cannot be written."""
        probe_file(self.path)

    async def run(self, inbox: Inbox, outbox: Outbox) -> None:
        self._cues = cues = Cues(
            max_line_chars=self.max_line_chars,
            max_lines=self.max_lines,
            min_ms=self.min_ms,
            max_ms=self.max_ms,
            gap_ms=self.gap_ms,
            max_cps=self.max_cps,
        )
        path, keep = self.path, self.keep
        opened = _growing(path, inbox) if keep is None else _rolling(path, inbox, round(keep * 1000))
        with opened as put:
            try:
                async for item in inbox:
                    if not isinstance(item, Audio):
                        _put_all(put, cues.feed(item))
            finally:  # cut off, too, the last utterance is worth having
                _put_all(put, cues.flush())

    def counts(self) -> Mapping[str, int]:
        return self._cues.counts() if self._cues else {}


# --- the file

_Put = Callable[[Cue], None]


@contextmanager
def _growing(path: Path, inbox: Inbox) -> Iterator[_Put]:
    """`path`, open; each cue goes behind the others."""
    numbers = itertools.count(1)
    with out_file(path, inbox, header=_header(path)) as file:
        yield lambda cue: file.append(_block(path, cue, next(numbers)))


@contextmanager
def _rolling(path: Path, inbox: Inbox, keep_ms: int) -> Iterator[_Put]:
    """`path`, replaced with each cue; in it are those that are seen in the last `keep_ms`. Else as `out_file`."""
    header, window = _header(path), deque[Cue]()

    def put(cue: Cue) -> None:
        window.append(cue)
        while window[0].end_ms < cue.end_ms - keep_ms:
            window.popleft()
        blocks = (_block(path, each, number) for number, each in enumerate(window, 1))
        replace_file(path, header + b"".join(blocks))

    new = not path.exists()
    if not path.is_file() or not path.stat().st_size:
        replace_file(path, header)
    try:
        yield put
        if not window and not inbox.stopped:
            replace_file(path, header)
            new = False
    finally:
        if new and not window:
            path.unlink(missing_ok=True)


def _header(path: Path) -> bytes:
    return b"WEBVTT\n\n" if path.suffix.lower() == ".vtt" else b""


def _block(path: Path, cue: Cue, number: int) -> bytes:
    return (vtt(cue) if path.suffix.lower() == ".vtt" else srt(cue, number)).encode()


def _put_all(put: _Put, cues: Iterable[Cue]) -> None:
    for cue in cues:
        put(cue)
