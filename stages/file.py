"""A source that plays a sound file."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from contextlib import closing, suppress
from pathlib import Path
from typing import ClassVar

from anyio import to_thread
from attrs import define, field

from pipeline.caps import AUDIO, Caps, Port
from pipeline.items import Audio, Mark, MarkKind
from pipeline.stage import Duration, Inbox, Outbox, between, option
from stages.chunk import Chunk
from stages.decode import Findings, decode
from stages.pacing import Pacer

__all__ = ["File"]


@define(kw_only=True)
class File:
    """Give the sound of a file: WAV, FLAC, MP3, Ogg, Opus, AIFF, CAF; with `dragoman[media]` AAC, M4A, WebM, MP4.

    It comes as it is in the file, at its rate and with its channels, as PCM16. Positions count from the beginning
    of the file, also with `start`, so that subtitles fit the whole. What of the file is damaged or cut off is
    left out, with a `GAP` mark in its place where sound follows, and reported as lost.

    Raises: StageError where there is no such file, or no sound in it that can be read.
    """

    path: Path = option(
        help="the recording; its content decides about the format, not its name", opens="reads", example="talk.wav"
    )
    start: Duration = option(Duration(0), help="where to begin", check=between(0, 864_000, "seconds"))
    duration: Duration | None = option(
        None, help="how much to give; null for all the rest", check=between(0.001, 864_000, "seconds")
    )
    block_ms: float = option(100, help="length of a block in milliseconds", check=between(1, 2000, "ms"))
    realtime: bool = option(False, help="give it as slowly as it was spoken, like a live source")
    _found: Findings = field(init=False, factory=Findings)
    _done: int = field(init=False, default=0)

    accepts: ClassVar[Mapping[str, Port]] = {}

    def gives(self, caps: Mapping[str, Caps]) -> Mapping[str, Caps]:
        """Rate and channels are only known when the file is read."""
        return {"out": AUDIO}

    def probe(self) -> None:
        """Read a little of it, so that no sink empties its file for a recording that is not there."""
        with closing(decode(self.path, self.start, self.duration)) as pieces:
            next(pieces, None)

    async def run(self, inbox: Inbox, outbox: Outbox) -> None:
        pieces = decode(self.path, self.start, self.duration, self._found)
        pacer, cut = Pacer(self.realtime), _Cut(Chunk(ms=self.block_ms))
        try:
            while True:
                piece = await to_thread.run_sync(next, pieces, None, abandon_on_cancel=True)
                for item in cut.blocks(piece):
                    if isinstance(item, Audio):
                        await pacer.wait_for(item)
                    await outbox.send(item)
                    self._done += item.frames
                if piece is None:
                    return
        finally:
            # Cancelled while a thread still reads, the file is closed when that thread is done with it.
            with suppress(ValueError):
                pieces.close()

    @property
    def live(self) -> bool:
        """Whether it comes when it comes, and cannot be hurried."""
        return self.realtime

    def progress(self) -> tuple[float, float | None]:
        rate, total = self._found.rate or 1, self._found.total
        return self._done / rate, None if total is None else total / rate

    def losses(self) -> Mapping[str, int]:
        reasons = {"damaged": self._found.damaged, "truncated": self._found.truncated}
        return {reason: frames for reason, frames in reasons.items() if frames}

    def counts(self) -> Mapping[str, int]:
        return {
            "samples limited to full scale": self._found.limited,
            "samples not finite": self._found.not_finite,
        }


@define
class _Cut:
    """Pieces of some seconds into blocks, with a GAP between those that do not adjoin."""

    _chunk: Chunk
    _end: int | None = None

    def blocks(self, piece: Audio | None) -> Iterator[Audio | Mark]:
        """What is ready with `piece`; with None, the end of the file, the rest."""
        if piece is None:
            yield from self._chunk.flush()
            return
        if self._end is not None and piece.start > self._end:
            yield from self._chunk.mark(Mark(MarkKind.GAP, self._end, piece.rate, piece.start - self._end))
        self._end = piece.end
        yield from self._chunk.feed(piece)
